/* SPDX-License-Identifier: MIT */
/*
 * unheard.c - a collector that is not there yet.
 *
 * In a pod the program may be up before the collector beside it. Where PILLION_SOCKET alone
 * says where to go, the process begins all the same: it keeps its segment, goes dormant by the
 * collector's silence like any other, and asks again and again. Not with a token: such a
 * collector was started for one recording, and does not come back.
 *
 * The descriptor stays open in the sampling thread's own table. Where that cannot have one
 * (unshare is refused, or it began too late), the program has one more until the collector is
 * there. When the thread steps aside, its table goes with it: meanwhile the program has it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/stat.h>

#include <pillion/atomic.h>
#include <pillion/syscall.h>

#include "clock.h"
#include "log.h"
#include "options.h"
#include "process/process.h"
#include "text.h"

#define FIRST_FD 512 /* out of the way of programs that count on low numbers */
#define PAUSE_NS PLN_SECOND_NS /* twice as long each time */
#define PAUSE_MAX_NS (10 * PLN_SECOND_NS)
#define TAKE_NS 10000000 /* so often at most, for a thread to begin: */
#define TAKE_TIMES 10

enum holder {
	NOBODY, /* the sampling thread has not begun yet */
	TAKING, /* it is about to have a table of its own */
	THREAD, /* in its own table */
	PROCESS, /* in the table of all */
};

static int kept_fd = -1; /* as the sampling thread has it, or will */
static int shared_fd = -1; /* the same in the table of all, while it is there */
static struct stat kept;
static enum pln_hello_reason kept_reason;
static _Atomic uint32_t holder;
static uint64_t next_ns, pause_ns;

bool pln_unheard_is_possible(void)
{
	return !pln_options.token[0] && !pln_options.output[0];
}

/* The last two: it ended when we were at the door. */
bool pln_unheard_may_come(int error)
{
	return pln_unheard_is_possible() && (error == -ENOENT || error == -ECONNREFUSED ||
					     error == -EPIPE || error == -ECONNRESET);
}

/* Of those as well that the next time may not have: they are no answer. */
static bool is_worth_a_retry(int error)
{
	return pln_unheard_may_come(error) || error == -EAGAIN || error == -EMFILE ||
	       error == -ENFILE || error == -ENOBUFS || error == -ENOMEM;
}

/* Where close() would be a cancellation point, the program does not expect one. */
static void close_file(int fd)
{
	(void)pln_syscall3(SYS_close, fd, 0, 0);
}

static long identify(int fd, struct stat *st)
{
	return pln_syscall3(SYS_fstat, fd, (long)st, 0);
}

/* A program that closes what it does not know may have closed it, and opened another. */
static bool is_kept(int fd)
{
	struct stat st;

	return !identify(fd, &st) && st.st_ino == kept.st_ino && st.st_dev == kept.st_dev;
}

/* Into the table of all, for the next sampling thread to take. */
static void share(int fd)
{
	shared_fd = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD);
	if (shared_fd < 0)
		shared_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	kept_fd = shared_fd;
	pln_store_relaxed(&holder, NOBODY);
}

int pln_unheard_keep(int segment_fd, enum pln_hello_reason reason)
{
	if (identify(segment_fd, &kept))
		return -EMFILE;
	share(segment_fd);
	if (kept_fd < 0)
		return -EMFILE;
	kept_reason = reason;
	pause_ns = PAUSE_NS;
	next_ns = pln_now_ns_sigsafe() + pause_ns;
	return 0;
}

int pln_unheard_fd(void)
{
	return kept_fd;
}

bool pln_unheard_claim(void)
{
	uint32_t nobody = NOBODY;

	return kept_fd < 0 || pln_cas_acquire(&holder, &nobody, TAKING);
}

void pln_unheard_take(bool own_files)
{
	if (kept_fd < 0)
		return;
	/* release: the thread has a copy before the process closes its own */
	pln_store_release(&holder, own_files ? THREAD : PROCESS);
	(void)pln_syscall4(SYS_futex, (long)&holder, FUTEX_WAKE_PRIVATE, 1, 0);
}

static bool is_held_by(enum holder who)
{
	/* acquire: pairs with pln_unheard_take() */
	return pln_load_acquire(&holder) == who;
}

static void wait_while(enum holder who)
{
	struct timespec limit = { .tv_nsec = TAKE_NS };

	(void)pln_syscall4(SYS_futex, (long)&holder, FUTEX_WAIT_PRIVATE, who, (long)&limit);
}

/* False: it is too late, or can have none, and shares the table of all. */
static bool thread_takes_it(void)
{
	uint32_t nobody = NOBODY;

	for (int i = 0; i < TAKE_TIMES && is_held_by(NOBODY); i++)
		wait_while(NOBODY);
	(void)pln_cas_acquire(&holder, &nobody, PROCESS);
	/* For as long as two system calls take it. */
	while (is_held_by(TAKING))
		wait_while(TAKING);
	return is_held_by(THREAD);
}

void pln_unheard_hand_over(bool begun)
{
	int fd = shared_fd;

	if (fd < 0 || (begun && !thread_takes_it()))
		return;
	shared_fd = -1;
	close_file(fd);
	if (!begun)
		kept_fd = -1;
}

void pln_unheard_take_back(uint32_t tid)
{
	struct pln_text path = { .size = 0 };
	int fd;

	if (kept_fd < 0 || !is_held_by(THREAD))
		return;
	pln_text_add(&path, "/proc/self/task/");
	pln_text_add_number(&path, tid);
	pln_text_add(&path, "/fd/");
	pln_text_add_number(&path, (uint64_t)kept_fd);
	fd = (int)pln_syscall4(SYS_openat, AT_FDCWD, (long)path.bytes, O_RDWR | O_CLOEXEC, 0);
	share(fd);
	if (fd >= 0)
		close_file(fd);
}

/* It is closed, or was never ours. */
static void forget(void)
{
	if (pln_load_relaxed(&holder) == PROCESS)
		shared_fd = -1;
	kept_fd = -1;
}

void pln_unheard_try(uint64_t now_ns)
{
	int error;

	if (kept_fd < 0 || now_ns < next_ns)
		return;
	if (!is_kept(kept_fd)) {
		forget();
		return;
	}
	error = pln_hello_send_late(kept_fd, kept_reason);
	if (is_worth_a_retry(error)) {
		pause_ns = 2 * pause_ns < PAUSE_MAX_NS ? 2 * pause_ns : PAUSE_MAX_NS;
		next_ns = now_ns + pause_ns;
		return;
	}
	pln_log(PLN_LOG_INFO, error ? "not sampling: the collector cannot be reached" : "sampling",
		"");
	close_file(kept_fd);
	forget();
}

void pln_unheard_end(void)
{
	if (pln_load_relaxed(&holder) == THREAD)
		kept_fd = -1;
}

void pln_unheard_after_fork(void)
{
	if (shared_fd >= 0 && is_kept(shared_fd))
		close_file(shared_fd);
	shared_fd = kept_fd = -1;
}
