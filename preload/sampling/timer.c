/* SPDX-License-Identifier: MIT */
/*
 * timer.c - CPU-clock timers and the signal that they send.
 *
 * Context: sampling thread and new threads; what ends in _sigsafe, the handler. A timer on a
 * thread's own CPU clock fires only while that thread runs, and (kernel 5.11 and later) on its way
 * back to user mode: no system call is interrupted.
 *
 * Each period of CPU time is sampled at one moment, drawn anew from all of it: every
 * instruction has the same chance, whatever the program does in step with its own clock,
 * and exactly one sample stands for each period. The kernel looks at these timers at its own
 * ticks only, so that what is drawn chooses a tick: the last one before the moment. The timer is
 * set a tick early, and fires at the first that comes. A thread that lives for less than a period,
 * or for less than a tick, is then seen in proportion to its life, as ticks meet it. A signal
 * stands for all periods whose tick it is.
 *
 * Raw system calls, because glibc's timer_create would wrap ids in pointers and, for
 * SIGEV_THREAD, start a thread.
 */
#include "timer.h"

#include <errno.h>
#include <string.h>

#include <pillion/atomic.h>

#include "clock.h"
#include "hot.h"
#include "options.h"
#include "process/signals.h"
#include "sampling/handler.h"
#include "sampling/scan.h"
#include "segment.h"

#ifndef SIGEV_THREAD_ID
#define SIGEV_THREAD_ID 4
#endif

#define RETRY_PERIODS 8
#define OVERDUE_TICKS 16 /* of CPU time without a tick: no accident */
#define FORCED_LOST_NS 100000000 /* a forced signal may have been lost that does not arrive */
#define SOON_NS 5000 /* a timer that is set to less might fire at once, and not at a tick */

static int signal_number;
static _Atomic uint64_t random_state;

PLN_HOT uint64_t pln_timer_random_sigsafe(uint64_t limit)
{
	uint64_t x = pln_load_relaxed(&random_state);

	/* xorshift64*; a lost update between two threads only repeats a number. */
	if (!x)
		x = pln_now_ns_sigsafe() ^ (uint64_t)pln_getpid_sigsafe() << 32;
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	pln_store_relaxed(&random_state, x);
	return limit ? (x * 0x2545f4914f6cdd1dull >> 11) % limit : 0;
}

void pln_timer_after_fork(void)
{
	pln_store_relaxed(&random_state, 0);
}

/* Everything waits until the handler is done, but for what the handler itself may raise. */
static void fill_mask(sigset_t *mask)
{
	sigfillset(mask);
	sigdelset(mask, SIGSEGV);
	sigdelset(mask, SIGBUS);
	sigdelset(mask, SIGFPE);
	sigdelset(mask, SIGILL);
	sigdelset(mask, SIGTRAP);
	sigdelset(mask, SIGABRT);
	sigdelset(mask, SIGSYS);
}

static int set_handler(int signo, int more_flags)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO | SA_ONSTACK | more_flags };

	action.sa_sigaction = pln_handler_on_signal;
	fill_mask(&action.sa_mask);
	return pln_signals_real_action(signo, &action, NULL) ? -errno : 0;
}

static int install(int signo)
{
	struct sigaction old;
	int error;

	if (pln_signals_real_action(signo, NULL, &old))
		return -errno;
	if ((old.sa_flags & SA_SIGINFO) || old.sa_handler != SIG_DFL)
		return -EBUSY;
	error = set_handler(signo, SA_RESTART);
	if (error)
		return error;
	signal_number = signo;
	return 0;
}

void pln_timer_set_restart(bool restart)
{
	(void)set_handler(signal_number, restart ? SA_RESTART : 0);
}

int pln_timer_init(void)
{
	/*
	 * SIGSTKFLT first: no program uses it, while SIGPROF and SIGVTALRM belong to
	 * setitimer, which profilers, test suites and applications do use. Standard
	 * signals rather than real-time ones, which queue.
	 */
	static const int candidates[] = { SIGSTKFLT, SIGPWR, SIGPROF, SIGVTALRM, SIGXFSZ };
	int error;

	if (signal_number)
		return 0;
	if (pln_options.signal)
		return install((int)pln_options.signal);
	for (unsigned i = 0; i < sizeof(candidates) / sizeof(*candidates); i++) {
		error = install(candidates[i]);
		if (!error)
			return 0;
	}
	return -EBUSY;
}

int pln_timer_signal(void)
{
	return signal_number;
}

bool pln_timer_handler_is_ours(void)
{
	struct sigaction now;

	return signal_number && !pln_signals_real_action(signal_number, NULL, &now) &&
	       (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == pln_handler_on_signal;
}

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / PLN_SECOND_NS),
				  .tv_nsec = (long)(ns % PLN_SECOND_NS) };
}

static int create(uint32_t tid, void *value, int signo, int *timer)
{
	struct sigevent event;

	memset(&event, 0, sizeof(event));
	event.sigev_notify = SIGEV_THREAD_ID;
	event.sigev_signo = signo;
	event.sigev_value.sival_ptr = value;
	event._sigev_un._tid = (int)tid;
	return (int)pln_syscall3(SYS_timer_create, pln_thread_clock(tid), (long)&event,
				 (long)timer);
}

/*
 * In time with the thread's own clock. Should a signal get lost (the program may take it in
 * sigwait), another one comes RETRY_PERIODS later.
 */
PLN_HOT static void set_timer_sigsafe(const struct pln_thread *thread)
{
	struct itimerspec when = { .it_interval =
					   to_timespec(RETRY_PERIODS * pln_segment_own.period_ns),
				   .it_value = to_timespec(thread->due_ns) };

	(void)pln_syscall4(SYS_timer_settime, thread->timer, TIMER_ABSTIME, (long)&when, 0);
}

/* When to set the timer for the period that begins at period_at_ns. */
PLN_HOT static void draw_due_sigsafe(struct pln_thread *thread)
{
	thread->due_ns = thread->period_at_ns +
			 pln_timer_random_sigsafe(pln_segment_own.period_ns) -
			 pln_segment_own.clk_tck_ns;
}

/*
 * In a thread's first tick the moment may be less than a tick away from its start. Then this
 * tick, at `cpu_ns`, is the last one before it only if it comes before it: else that one
 * was before the thread's life, and the period has no sample.
 */
PLN_HOT static bool first_tick_is_in_time_sigsafe(struct pln_thread *thread, uint64_t cpu_ns)
{
	uint64_t until = thread->first_until_ns;

	thread->first_until_ns = 0;
	if (!until || cpu_ns <= until)
		return true;
	thread->period_at_ns += pln_segment_own.period_ns;
	draw_due_sigsafe(thread);
	return thread->due_ns <= cpu_ns;
}

PLN_HOT uint64_t pln_timer_take_due_sigsafe(struct pln_thread *thread, uint64_t cpu_ns)
{
	uint64_t period = pln_segment_own.period_ns, from, many;

	if (!thread->due_ns || thread->due_ns > cpu_ns ||
	    !first_tick_is_in_time_sigsafe(thread, cpu_ns))
		return 0;
	from = thread->period_at_ns;
	/* Of the periods that have passed, all but the newest for certain. */
	many = cpu_ns > from ? (cpu_ns - from) / period : 0;
	if (many)
		thread->period_at_ns += (many - 1) * period;
	do {
		thread->period_at_ns += period;
		draw_due_sigsafe(thread);
	} while (thread->due_ns <= cpu_ns);
	if (thread->due_ns < cpu_ns + SOON_NS)
		thread->due_ns = cpu_ns + SOON_NS;
	return thread->period_at_ns - from;
}

uint64_t pln_timer_take_overdue_sigsafe(struct pln_thread *thread, uint64_t cpu_ns)
{
	if (!thread->due_ns || cpu_ns < thread->due_ns + OVERDUE_TICKS * pln_segment_own.clk_tck_ns)
		return 0;
	return pln_timer_take_due_sigsafe(thread, cpu_ns);
}

PLN_HOT uint64_t pln_timer_fired_sigsafe(struct pln_thread *thread)
{
	uint64_t due =
		pln_timer_take_due_sigsafe(thread, pln_clock_ns_sigsafe(CLOCK_THREAD_CPUTIME_ID));

	if (thread->due_ns)
		set_timer_sigsafe(thread);
	return due;
}

static bool create_for(struct pln_thread *thread)
{
	union pln_signal_value value = { .thread = { thread->index, thread->serial } };

	if (!(pln_load_relaxed(&pln_segment->engine) & PILLION_ENGINE_CPU_TIMER) ||
	    pln_load_relaxed(&pln_segment->state) == PILLION_TARGET_DORMANT)
		return false;
	if (create(thread->tid, value.pointer, signal_number, &thread->timer) < 0) {
		thread->timer = -1;
		pln_segment_drop_sigsafe(PILLION_DROP_NO_TIMER);
		return false;
	}
	thread->timer_armed = true;
	return true;
}

static void begin_first_period(struct pln_thread *thread)
{
	uint64_t cpu = pln_clock_ns_sigsafe(pln_thread_clock(thread->tid));
	uint64_t moment = pln_timer_random_sigsafe(pln_segment_own.period_ns);

	thread->period_at_ns = cpu;
	if (moment < pln_segment_own.clk_tck_ns + SOON_NS) {
		thread->first_until_ns = cpu + moment;
		thread->due_ns = cpu + SOON_NS;
	} else {
		thread->first_until_ns = 0;
		thread->due_ns = cpu + moment - pln_segment_own.clk_tck_ns;
	}
	set_timer_sigsafe(thread);
}

void pln_timer_again_sigsafe(const struct pln_thread *thread)
{
	if (thread->due_ns)
		set_timer_sigsafe(thread);
}

bool pln_timer_arm(struct pln_thread *thread)
{
	if (!create_for(thread))
		return false;
	begin_first_period(thread);
	return true;
}

void pln_timer_delete(struct pln_thread *thread)
{
	if (!thread->timer_armed)
		return;
	(void)pln_syscall3(SYS_timer_delete, thread->timer, 0, 0);
	thread->timer_armed = false;
	thread->timer = -1;
}

void pln_timer_rest(struct pln_thread *thread)
{
	pln_timer_delete(thread);
	/* What passes on its clock from now on is nobody's. */
	thread->rested_due_ns = thread->due_ns;
	thread->due_ns = 0;
}

/* The period that was cut in two keeps its length, and its one sample. */
bool pln_timer_resume(struct pln_thread *thread, uint64_t rested_ns)
{
	uint64_t due = thread->rested_due_ns;

	thread->rested_due_ns = 0;
	if (!create_for(thread))
		return false;
	if (due) {
		thread->period_at_ns += rested_ns;
		thread->first_until_ns += thread->first_until_ns ? rested_ns : 0;
		thread->due_ns = due + rested_ns;
		set_timer_sigsafe(thread);
	} else {
		begin_first_period(thread);
	}
	return true;
}

void pln_timer_take_back(void)
{
	uint64_t set = 1ull << (signal_number - 1);
	struct timespec at_once = { .tv_sec = 0 };

	/* Forced ones and a timer's; real-time signals queue. */
	while (pln_syscall4(SYS_rt_sigtimedwait, (long)&set, 0, (long)&at_once, sizeof(set)) > 0)
		;
}

bool pln_timer_works(void)
{
	int timer;

	if (create((uint32_t)pln_gettid_sigsafe(), NULL, SIGSTKFLT, &timer) < 0)
		return false;
	(void)pln_syscall3(SYS_timer_delete, timer, 0, 0);
	return true;
}

/*
 * Where the thread blocks it, a real-time signal would queue, up to what the user may have. One
 * that does not arrive may also have been taken, by a wait that we do not see: the kernel knows.
 */
static bool is_on_its_way(struct pln_thread *thread)
{
	uint64_t since = pln_load_relaxed(&thread->forced_at_ns);

	if (!since || thread->seen_ns - since < FORCED_LOST_NS)
		return since;
	if (!pln_scan_has_pending(thread->tid, signal_number))
		return false;
	pln_store_relaxed(&thread->forced_at_ns, thread->seen_ns);
	return true;
}

void pln_timer_force(struct pln_thread *thread)
{
	union pln_signal_value value = { .thread = { thread->index, thread->serial } };
	siginfo_t info;

	if (is_on_its_way(thread))
		return;
	memset(&info, 0, sizeof(info));
	info.si_code = SI_QUEUE;
	info.si_pid = (int)pln_getpid_sigsafe();
	info.si_value.sival_ptr = value.pointer;
	/* First: the handler, which takes it back, may be faster. */
	pln_store_relaxed(&thread->forced_at_ns, thread->seen_ns);
	if (pln_syscall4(SYS_rt_tgsigqueueinfo, info.si_pid, thread->tid, signal_number,
			 (long)&info))
		pln_store_relaxed(&thread->forced_at_ns, 0);
}
