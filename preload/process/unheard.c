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
 * (unshare is refused), the program has one more until the collector is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pillion/atomic.h>

#include "clock.h"
#include "log.h"
#include "options.h"
#include "process/process.h"
#include "syscall.h"

#define FIRST_FD 512 /* out of the way of programs that count on low numbers */
#define PAUSE_NS PLN_SECOND_NS /* twice as long each time */
#define PAUSE_MAX_NS (10 * PLN_SECOND_NS)
#define TAKE_NS 10000000 /* so often at most, for a thread to begin: */
#define TAKE_TIMES 10

enum holder {
	NOBODY, /* the sampling thread has not begun yet */
	THREAD, /* in its own table */
	PROCESS, /* in the table of all */
};

static int kept_fd = -1;
static struct stat kept;
static enum pln_hello_reason kept_reason;
static _Atomic uint32_t holder;
static uint64_t next_ns, pause_ns;

bool pln_unheard_may_come(int error)
{
	return !pln_options.token[0] && !pln_options.output[0] &&
	       (error == -ENOENT || error == -ECONNREFUSED);
}

static long identify(int fd, struct stat *st)
{
	return pln_syscall3(SYS_fstat, fd, (long)st, 0);
}

int pln_unheard_keep(int segment_fd, enum pln_hello_reason reason)
{
	kept_fd = fcntl(segment_fd, F_DUPFD_CLOEXEC, FIRST_FD);
	if (kept_fd < 0)
		kept_fd = fcntl(segment_fd, F_DUPFD_CLOEXEC, 3);
	if (kept_fd >= 0 && identify(kept_fd, &kept)) {
		close(kept_fd);
		kept_fd = -1;
	}
	if (kept_fd < 0)
		return -EMFILE;
	kept_reason = reason;
	pause_ns = PAUSE_NS;
	next_ns = pln_now_ns_sigsafe() + pause_ns;
	pln_store_relaxed(&holder, NOBODY);
	return 0;
}

int pln_unheard_fd(void)
{
	return kept_fd;
}

void pln_unheard_take(bool own_files)
{
	if (kept_fd < 0)
		return;
	/* release: the thread has a copy before the process closes its own */
	pln_store_release(&holder, own_files ? THREAD : PROCESS);
	(void)pln_syscall4(SYS_futex, (long)&holder, FUTEX_WAKE_PRIVATE, 1, 0);
}

void pln_unheard_hand_over(bool begun)
{
	struct timespec limit = { .tv_nsec = TAKE_NS };

	if (kept_fd < 0)
		return;
	/* acquire: pairs with pln_unheard_take() */
	for (int i = 0; i < TAKE_TIMES && begun && pln_load_acquire(&holder) == NOBODY; i++)
		(void)pln_syscall4(SYS_futex, (long)&holder, FUTEX_WAIT_PRIVATE, NOBODY,
				   (long)&limit);
	if (!begun || pln_load_acquire(&holder) == THREAD)
		close(kept_fd);
	if (!begun)
		kept_fd = -1;
}

void pln_unheard_try(uint64_t now_ns)
{
	struct stat st;
	int error;

	if (kept_fd < 0 || now_ns < next_ns)
		return;
	/* A program that closes what it does not know may have closed it, and opened another. */
	if (identify(kept_fd, &st) || st.st_ino != kept.st_ino || st.st_dev != kept.st_dev) {
		kept_fd = -1;
		return;
	}
	error = pln_hello_send_late(kept_fd, kept_reason);
	if (pln_unheard_may_come(error)) {
		pause_ns = 2 * pause_ns < PAUSE_MAX_NS ? 2 * pause_ns : PAUSE_MAX_NS;
		next_ns = now_ns + pause_ns;
		return;
	}
	pln_log(PLN_LOG_INFO, error ? "not sampling: the collector cannot be reached" : "sampling",
		"");
	close(kept_fd);
	kept_fd = -1;
}

void pln_unheard_end(void)
{
	if (pln_load_relaxed(&holder) == THREAD)
		kept_fd = -1;
}

void pln_unheard_after_fork(void)
{
	if (kept_fd >= 0 && pln_load_relaxed(&holder) == PROCESS)
		close(kept_fd);
	kept_fd = -1;
}
