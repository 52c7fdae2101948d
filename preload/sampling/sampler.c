/* SPDX-License-Identifier: MIT */
/*
 * sampler.c - the sampling thread's life: a small stack of its own, all signals blocked, a
 * private descriptor table, and a jittered sleep between ticks.
 *
 * The private table (close_range with CLOSE_RANGE_UNSHARE) keeps the few files that it
 * holds open out of the program's sight: no number is taken, a closefrom() in the program
 * does not reach them, and no child inherits them. Where the kernel refuses, nothing is
 * kept open and /proc files are opened for each read.
 */
#include "sampler.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#include <pillion/atomic.h>

#include "burst/burst.h"
#include "clock.h"
#include "log.h"
#include "process/process.h"
#include "sampling/scan.h"
#include "sampling/threads.h"
#include "sampling/tick.h"
#include "sampling/timer.h"
#include "segment.h"

#define STACK_SIZE (256u << 10)
#define STACK_SIZE_MAX (64u << 20) /* where each thread's stack has much thread-local storage */
#define HOLD_LIMIT_NS 200000000
#define DORMANT_TICK_NS 200000000 /* it only follows the clocks, and waits for the bell */
#define SWITCH_LIMIT_NS 1000000000ull

static pthread_t sampler;
static bool running; /* guarded by aside_lock, once the process is started */
static _Atomic uint32_t lost; /* it could not come back, but may yet */
static _Atomic uint32_t stopping;
static _Atomic uint32_t
	bell; /* the futex that the thread sleeps on: rung, it looks what there is */
static _Atomic uint32_t sampler_tid;
static pthread_mutex_t tick_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t aside_lock = PTHREAD_MUTEX_INITIALIZER; /* held while stepped aside */
static uint64_t next_ns; /* when the next tick is due */
static uint64_t slept_cpu_ns; /* CPU time of ours up to the last sleep */

static void ring(void)
{
	pln_add_relaxed(&bell, 1);
	(void)pln_syscall4(SYS_futex, (long)&bell, FUTEX_WAKE_PRIVATE, INT_MAX, 0);
}

/*
 * Until the next tick: on average a tick after the last one, whatever the round took, but
 * never in step with the program (uniform in [0.5, 1.5) of a tick). Where rounds fill the ticks,
 * for as long as the round took: half of a CPU is what we use at most, and who waits for the lock
 * finds it free. `rung`: the bell, as it was before the last one.
 */
static void sleep_until_next(uint32_t rung)
{
	uint64_t tick = pln_tick_is_dormant() ? DORMANT_TICK_NS : pln_segment_own.tick_ns;
	uint64_t cpu_ns = pln_clock_ns_sigsafe(CLOCK_THREAD_CPUTIME_ID);
	uint64_t now = pln_now_ns_sigsafe();
	uint64_t took_ns = cpu_ns - slept_cpu_ns, until_ns;
	struct timespec ts;

	slept_cpu_ns = cpu_ns;
	if (now > next_ns + 10 * tick) /* stopped, or far too slow: do not catch up */
		next_ns = now;
	next_ns += tick / 2 + pln_timer_random_sigsafe(tick);
	until_ns = next_ns;
	if (took_ns > tick / 2 && until_ns < now + took_ns)
		until_ns = now + took_ns;
	if (until_ns <= now || pln_burst_until(until_ns, &bell, rung))
		return;
	ts.tv_sec = (time_t)((until_ns - now) / PLN_SECOND_NS);
	ts.tv_nsec = (long)((until_ns - now) % PLN_SECOND_NS);
	(void)pln_syscall4(SYS_futex, (long)&bell, FUTEX_WAIT_PRIVATE, rung, (long)&ts);
}

static void *sampler_main(void *arg)
{
	uint32_t rung;

	(void)arg;
	pln_store_relaxed(&sampler_tid, (uint32_t)pln_gettid_sigsafe());
	(void)pln_syscall3(SYS_prctl, PR_SET_NAME, (long)"pillion", 0);
	pthread_mutex_lock(&tick_lock);
	pln_tick_begin();
	pln_burst_begin();
	next_ns = pln_now_ns_sigsafe();
	slept_cpu_ns = pln_clock_ns_sigsafe(CLOCK_THREAD_CPUTIME_ID);
	pthread_mutex_unlock(&tick_lock);
	/* Alone, return like any last thread: glibc then ends the process. */
	/* acquire: pairs with stop(); with it comes who has the descriptor that is kept */
	while (!pln_load_acquire(&stopping) && !pln_scan_is_alone()) {
		pthread_mutex_lock(&tick_lock);
		rung = pln_load_relaxed(&bell);
		if (!pln_load_relaxed(&stopping))
			pln_tick();
		pthread_mutex_unlock(&tick_lock);
		sleep_until_next(rung);
	}
	pln_tick_end();
	return NULL;
}

static int create_thread(void)
{
	pthread_attr_t attr;
	int error = EINVAL;

	pthread_attr_init(&attr);
	/* Explicit: an unlimited RLIMIT_STACK would ask for more than there is. */
	for (size_t size = STACK_SIZE; error == EINVAL && size <= STACK_SIZE_MAX; size *= 4) {
		pthread_attr_setstacksize(&attr, size);
		error = pln_threads_real_create(&sampler, &attr, sampler_main, NULL);
	}
	pthread_attr_destroy(&attr);
	return -error;
}

static int start(void)
{
	sigset_t all, old;
	int error;

	pln_store_relaxed(&stopping, 0);
	sigfillset(&all);
	/* A program's filter may trap what we call, and its handler answer; blocked, it would end
	 * it. */
	sigdelset(&all, SIGSYS);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = create_thread();
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	running = !error;
	return error;
}

int pln_sampler_start(void)
{
	int error = running ? 0 : start();

	/* Who ends the process meanwhile has it look at all threads a last time. */
	if (error && pln_sampler_hold()) {
		pln_tick_without_thread(error);
		pln_sampler_let_go();
	}
	return error;
}

/*
 * pthread_join returns before the kernel has taken the thread out of its count. It takes the id
 * away first, and counts after it, under the lock of the process's signals: a call that needs
 * this lock returns when both are done.
 */
static void wait_until_gone(uint32_t tid)
{
	struct timespec ts = { .tv_nsec = 20000 };
	uint64_t pending;

	for (int i = 0; i < 5000; i++) {
		if (pln_syscall3(SYS_tgkill, pln_getpid_sigsafe(), tid, 0) == -ESRCH)
			break;
		nanosleep(&ts, NULL);
	}
	(void)pln_syscall3(SYS_rt_sigpending, (long)&pending, sizeof(pending), 0);
}

/* Never longer: a thread may have been forked off, or be interrupted, with the lock held. */
static bool lock_in_time(pthread_mutex_t *lock)
{
	struct timespec until;

	(void)pln_clock_read_sigsafe(CLOCK_REALTIME, &until);
	until.tv_nsec += HOLD_LIMIT_NS;
	if (until.tv_nsec >= (long)PLN_SECOND_NS) {
		until.tv_nsec -= (long)PLN_SECOND_NS;
		until.tv_sec++;
	}
	return !pthread_mutex_timedlock(lock, &until);
}

/* Between two ticks, so that the join waits for no tick. */
static bool stop(void)
{
	int cancel;

	if (!running || !pln_sampler_hold())
		return false;
	pln_unheard_take_back(pln_load_relaxed(&sampler_tid));
	/* release: pairs with sampler_main() */
	pln_store_release(&stopping, 1);
	pln_sampler_let_go();
	ring();
	/* The program does not expect a cancellation point here. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	pthread_join(sampler, NULL);
	wait_until_gone(pln_load_relaxed(&sampler_tid));
	pthread_setcancelstate(cancel, NULL);
	running = false;
	return true;
}

bool pln_sampler_step_aside(void)
{
	int saved = errno;
	bool aside = false;

	if (lock_in_time(&aside_lock) && !(aside = stop()))
		pthread_mutex_unlock(&aside_lock);
	errno = saved;
	return aside;
}

int pln_sampler_come_back(void)
{
	int error = pln_sampler_start();

	/* Other errors stay: after CLONE_NEWPID no thread can be made any more. */
	pln_store_relaxed(&lost, error == -EAGAIN);
	pln_unheard_hand_over(!error);
	pthread_mutex_unlock(&aside_lock);
	return error;
}

bool pln_sampler_try_again(void)
{
	bool back;

	if (!pln_load_relaxed(&lost) || !lock_in_time(&aside_lock))
		return false;
	back = pln_load_relaxed(&lost) && !start();
	if (back)
		pln_store_relaxed(&lost, 0);
	pthread_mutex_unlock(&aside_lock);
	return back;
}

int pln_sampler_switch(bool on)
{
	uint64_t until = pln_now_ns_sigsafe() + SWITCH_LIMIT_NS;
	struct timespec ts = { .tv_nsec = 50000 };

	if (on)
		(void)pln_sampler_try_again();
	pln_tick_allow(on);
	ring();
	while (pln_tick_is_dormant() == on) {
		if (pln_now_ns_sigsafe() > until)
			return -ETIMEDOUT;
		(void)pln_syscall3(SYS_nanosleep, (long)&ts, 0, 0);
	}
	return 0;
}

bool pln_sampler_hold(void)
{
	return lock_in_time(&tick_lock);
}

void pln_sampler_let_go(void)
{
	pthread_mutex_unlock(&tick_lock);
}

void pln_sampler_after_fork(void)
{
	tick_lock = aside_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	running = false;
	pln_store_relaxed(&lost, 0);
	pln_timer_after_fork();
}
