/* SPDX-License-Identifier: MIT */
/*
 * fork.c - quiet before, a new segment in the child after.
 *
 * Context: pthread_atfork handlers, on the forking thread. The prepare handler waits until
 * no tick is in progress, so that the child never inherits a half-done one. The child gets
 * its own segment and says hello. vfork and posix_spawn run no handlers and need none: their
 * children have no timers, and the parent's memory is not touched.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include <pillion/syscall.h>

#include "burst/burst.h"
#include "checked_read.h"
#include "glibc.h"
#include "memory/memory.h"
#include "native/native.h"
#include "options.h"
#include "process/process.h"
#include "process/signals.h"
#include "python/python.h"
#include "sampling/sampler.h"
#include "sampling/stack_bounds.h"
#include "sampling/threads.h"
#include "sampling/tick.h"
#include "segment.h"

__attribute__((visibility("hidden"))) extern void *__dso_handle; /* the compiler's: this library */

/* Of the forking thread: several may be between their handlers at once. */
static __thread uint64_t mask; /* of signals, as it was */
static __thread bool held;
static __thread bool followed; /* the child shall be sampled, too */

/* The tick that was waited for in vain, 0: none. Threads that race to set it mean the same one. */
static _Atomic uint64_t stuck_tick;

static uint64_t bit_of(int signo)
{
	return 1ull << (signo - 1);
}

static uint64_t current_tick(void)
{
	return pln_tick_rounds() + 1;
}

bool pln_process_hold(void)
{
	if (pln_load_relaxed(&stuck_tick) == current_tick())
		return false;
	if (pln_sampler_hold())
		return true;
	pln_store_relaxed(&stuck_tick, current_tick());
	return false;
}

/*
 * Dormant without being told to, nobody would hear of the child either: unless one comes yet, or
 * it is but a thread that is missing, as after unshare(CLONE_NEWPID), which is made to fork.
 */
static bool may_be_heard(void)
{
	return !pln_tick_is_allowed() || pln_unheard_is_possible() || pln_tick_is_unattended() ||
	       pln_load_relaxed(&pln_segment->state) != PILLION_TARGET_DORMANT;
}

/*
 * With our thread in the process glibc has a lock around fork(), and a program of one thread whose
 * handler of a signal forks, in the middle of another fork, would wait for itself.
 */
static void block_signals(void)
{
	uint64_t all = ~(bit_of(SIGSEGV) | bit_of(SIGBUS) | bit_of(SIGFPE) | bit_of(SIGILL) |
			 bit_of(SIGTRAP) | bit_of(SIGSYS));

	(void)pln_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&mask, sizeof(mask));
}

static void unblock_signals(void)
{
	(void)pln_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, 0, sizeof(mask));
}

static void before_fork(void)
{
	int saved = errno;
	bool ours = pln_segment_is_ours_sigsafe();
	/* A server that forks has it step aside each time: it must not be lost for good. */
	bool is_back = ours && pln_sampler_try_again();
	bool wanted;

	block_signals();
	held = ours && pln_process_hold();
	wanted = ours && pln_options.subprocesses && (is_back || may_be_heard());
	followed = held && wanted;
	if (wanted && !held)
		pln_segment_drop_sigsafe(PILLION_DROP_CHILD);
	pln_memory_before_fork();
	errno = saved;
}

static void after_fork_in_parent(void)
{
	pln_memory_after_fork_in_parent();
	if (held)
		pln_sampler_let_go();
	held = false;
	unblock_signals();
}

/* False: the child is not sampled. */
static bool begin_again(void)
{
	pln_checked_read_after_fork();
	pln_burst_after_fork();
	pln_native_after_fork();
	pln_stack_copy_after_fork();
	pln_python_after_fork();
	pln_python_forget_codes();
	pln_threads_reset();
	if (!followed)
		return false;
	if (pln_process_start(PILLION_REASON_FORK) && !pln_segment_is_ours_sigsafe()) {
		pln_memory_init(false);
		return false;
	}
	return true;
}

static void leave_parent(bool clean)
{
	pln_segment_forget();
	pln_unheard_after_fork();
	pln_sampler_after_fork();
	pln_store_relaxed(&stuck_tick, 0);
	/* Else a tick was in progress, and what it was changing cannot be trusted: unsampled. */
	if (!clean || !begin_again())
		pln_signals_give_back();
}

static void after_fork_in_child(void)
{
	int saved = errno;
	bool clean = held;

	held = false;
	pln_memory_after_fork_in_child(clean && followed);
	if (pln_segment)
		leave_parent(clean);
	unblock_signals();
	errno = saved;
}

void pln_fork_init(void)
{
	(void)__register_atfork(before_fork, after_fork_in_parent, after_fork_in_child,
				&__dso_handle);
}
