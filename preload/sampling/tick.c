/* SPDX-License-Identifier: MIT */
/*
 * tick.c - one round over the threads of the process.
 *
 * Context: sampling thread. For each thread, wall time minus CPU time since the last tick is
 * the time that it did not run. Part of that is the wait for a CPU (schedstat); the rest is
 * charged to the stack on which the thread is next seen waiting, so that totals are
 * conserved and stacks are seen in proportion to the time that they block. A thread whose
 * CPU clock has not moved since it was read as waiting still waits on the same stack.
 */
#include "tick.h"

#include <errno.h>
#include <unistd.h>

#include <pillion/atomic.h>

#include "burst/burst.h"
#include "checked_read.h"
#include "clock.h"
#include "log.h"
#include "memory/memory.h"
#include "memory/objects.h"
#include "native/native.h"
#include "options.h"
#include "process/process.h"
#include "python/python.h"
#include "sampling/announce.h"
#include "sampling/blocked.h"
#include "sampling/scan.h"
#include "sampling/self.h"
#include "sampling/stack_bounds.h"
#include "sampling/threads.h"
#include "sampling/timer.h"
#include "segment.h"
#include "text.h"

#define FLUSH_IDLE_NS PLN_SECOND_NS /* a long wait shows up at least this often */
#define RUNQUEUE_WORTH_NS 100000 /* less off-CPU time than this is not split */
#define COLLECTOR_SILENT_NS (5 * PLN_SECOND_NS)
#define SIGNAL_BLOCKED_NS (500 * 1000000ull) /* CPU time without a sample, besides two periods */
#define SELDOM_NS 160000000ull /* between looks at what changes slowly, whatever the rate */
#define TABLES_NS 30000000ull /* a process that ends before needs no unwind tables */
#define OFF_WORTH 20 /* less off-CPU time than this part of a tick waits for more */
#define READ_SHARE 100 /* at most this part of the time is spent on reading stacks */
#define FORCE_SHARE 4 /* and this part on finding whom to force a sample on */
#define NONE UINT32_MAX
#define CLOSE_RANGE_UNSHARE_FLAG 2
#define UNHINDERED 8 /* visits in a row: nobody else wants its CPU */
#define NOT_RUNNING 20 /* in a row: it only runs where we do */
#define LONG_NS 100000000 /* CPU time without a sample, and periods of it */
#define LONG_PERIODS 20
#define AT_LIMITS                                                                                  \
	"no sampling thread could be made, so nothing is sampled: a limit of processes or of "     \
	"memory is reached (ulimit -u or -v, pids.max of a container)"
#define NO_MORE_THREADS                                                                            \
	"no sampling thread could be made any more, so nothing is sampled: the kernel gives none " \
	"after unshare or setns of PID namespaces"
#define ON_CPU (PILLION_ENGINE_CPU_TIMER | PILLION_ENGINE_FORCED)

static bool blocked_works;
static _Atomic uint32_t forbidden; /* the program has said so */
static _Atomic uint32_t dormant;
/* Start of the segment for which no sampling thread could be made, the last time; 0: one could. */
static uint64_t unattended_segment_ns;
static uint32_t first_thread; /* where the next round starts, for fairness */
static uint64_t force_left_ns; /* of this round, for threads that may be forced */
static uint32_t first_unforced; /* the first that it did not suffice for, or NONE */
static uint64_t began_ns;
static uint64_t began_segment_ns; /* and the start of the segment that it is about */
static uint64_t dormant_since_ns;
static uint64_t
	earlier_cpu_ns; /* of threads that were the sampling thread before, in this segment */
static uint32_t wish_obeyed; /* the last one in this segment */
static _Atomic uint64_t rounds; /* the segment has those alone in which sampling was on */
static uint64_t seldom_ns; /* when it is time again to look at what changes slowly */
static uint64_t modules_ns; /* and at the loader's list */
static bool interpreter_settled;
static uint64_t own_ns, own_cpu_ns; /* CPU time of our own since the last tick, and until then */

/* ------------------------------------------------------------- run queue */

static uint64_t read_run_delay(struct pln_thread *thread)
{
	char line[64];
	const char *p = line;
	long n;

	if (thread->schedstat_fd < 0)
		thread->schedstat_fd = pln_scan_open_task_file(thread->tid, "/schedstat");
	if (thread->schedstat_fd < 0)
		return thread->run_delay_ns;
	n = pln_syscall4(SYS_pread64, thread->schedstat_fd, (long)line, sizeof(line) - 1, 0);
	pln_scan_done_with_files(thread);
	if (n <= 0)
		return thread->run_delay_ns;
	line[n] = '\0';
	(void)pln_parse_decimal(&p);
	if (*p++ != ' ')
		return thread->run_delay_ns;
	return pln_parse_decimal(&p);
}

/*
 * Moves what was a wait for a CPU from the thread's pending off-CPU time to its runnable time.
 * Returns it.
 */
static uint64_t split_run_queue_wait(struct pln_thread *thread, struct pln_slot *slot)
{
	uint64_t off = pln_load_relaxed(&slot->pending_offcpu_ns);
	uint64_t delay, wait;

	if (off < RUNQUEUE_WORTH_NS)
		return 0;
	delay = read_run_delay(thread);
	wait = delay - thread->run_delay_ns;
	thread->run_delay_ns = delay;
	if (wait > off)
		wait = off;
	pln_store_relaxed(&slot->pending_offcpu_ns, off - wait);
	pln_add_relaxed(&slot->pending_runnable_ns, wait);
	return wait;
}

/* ----------------------------------------------------------- one thread */

static void charge_blocked(struct pln_thread *thread, struct pln_slot *slot,
			   const struct pln_blocked *blocked)
{
	uint64_t off = pln_load_relaxed(&slot->pending_offcpu_ns);

	/* It did not wait for a CPU to come here: that is the next CPU sample's. */
	if (pln_blocked_sample(thread, blocked, thread->cpu_ns, off)) {
		pln_store_relaxed(&slot->pending_offcpu_ns, 0);
		thread->idle = true;
	}
}

/* The wait that the thread was in has ended, or lasts long: put its time into a record. */
static void flush_idle(struct pln_thread *thread, struct pln_slot *slot)
{
	uint64_t off = thread->idle_since_flush_ns;

	if (off && pln_blocked_repeat(thread, off, 0, PILLION_CAUSE_BLOCKED)) {
		thread->idle_since_flush_ns = 0;
		pln_store_relaxed(&slot->pending_offcpu_ns,
				  pln_load_relaxed(&slot->pending_offcpu_ns) - off);
	}
}

static void thread_idles(struct pln_thread *thread, struct pln_slot *slot, uint64_t off)
{
	thread->idle_since_flush_ns += off;
	if (thread->idle_since_flush_ns >= FLUSH_IDLE_NS)
		flush_idle(thread, slot);
}

/* Whether a thread that did not run for so long since the last tick, or two, may have waited for
 * us. */
static bool is_ours(uint64_t ns)
{
	return ns <= 2 * own_ns + RUNQUEUE_WORTH_NS;
}

/*
 * A thread that waits for a CPU has our signal when it gets one, where it was taken off: on a
 * crowded machine mostly where it asked the kernel something, which says nothing of what it ran.
 * So samples are of threads that run: those whose clock moves on, and those that nobody has
 * hindered lately, who ran until we came, if their CPU is ours. (Where clocks are coarse, that
 * must do.) Where there is but one CPU, for many, it is enough that it ran all the time since the
 * last tick, and at last nothing is asked.
 */
static bool is_worth_forcing(const struct pln_thread *thread, uint64_t off)
{
	uint64_t long_ns = LONG_PERIODS * pln_segment_own.period_ns;

	if (long_ns < LONG_NS)
		long_ns = LONG_NS;
	return !thread->not_running || thread->unhindered >= UNHINDERED ||
	       (thread->not_running > NOT_RUNNING && is_ours(off)) ||
	       pln_load_relaxed(&thread->forced_cpu_ns) >= long_ns;
}

/*
 * One sample for each period of its CPU time: a thread that has run for half of one has half a
 * chance. What is not taken now is the next one's.
 */
static void force_in_proportion(struct pln_thread *thread, uint64_t off)
{
	uint64_t period = pln_segment_own.period_ns;

	if (pln_load_relaxed(&thread->forced_cpu_ns) + pln_timer_random_sigsafe(period) < period)
		return;
	if (pln_clock_ns_sigsafe(pln_thread_clock(thread->tid)) > thread->cpu_ns)
		thread->not_running = 0;
	else
		thread->not_running++;
	if (is_worth_forcing(thread, off))
		pln_timer_force(thread);
}

/* Where it waits, if its stack may be read; or if it runs, a sample if it is to be forced. */
static void look_at(struct pln_thread *thread, struct pln_slot *slot, uint64_t off, bool may_read,
		    bool may_force)
{
	struct pln_blocked blocked;

	if (is_ours(split_run_queue_wait(thread, slot)))
		thread->unhindered++;
	else
		thread->unhindered = 0;
	if (!blocked_works) {
		if (may_force)
			force_in_proportion(thread, off);
		return;
	}
	switch (pln_blocked_probe(thread, &blocked)) {
	case PLN_BLOCKED_WAITING:
		if (may_read)
			charge_blocked(thread, slot, &blocked);
		break;
	case PLN_BLOCKED_RUNNING:
	case PLN_BLOCKED_UNKNOWN: /* of who became another user the file cannot be opened */
		if (may_force)
			force_in_proportion(thread, off);
		break;
	default:
		break;
	}
	pln_scan_done_with_files(thread);
}

/* What it ran and is not sampled for now is the next forced sample's, in this round or a later one.
 */
static void look_and_force(struct pln_thread *thread, struct pln_slot *slot, uint64_t off,
			   bool in_time)
{
	uint64_t begin = pln_now_ns_sigsafe(), used;

	if (!force_left_ns) {
		if (first_unforced == NONE)
			first_unforced = thread->index;
		return;
	}
	look_at(thread, slot, off, in_time, true);
	used = pln_now_ns_sigsafe() - begin;
	force_left_ns -= used < force_left_ns ? used : force_left_ns;
}

static void thread_ran(struct pln_thread *thread, struct pln_slot *slot, uint64_t ran, uint64_t off,
		       bool in_time)
{
	bool forced = pln_load_relaxed(&pln_segment->engine) & PILLION_ENGINE_FORCED;

	flush_idle(thread, slot);
	/* Or the lane is full: then that time is pending, like what comes now. */
	thread->idle_since_flush_ns = 0;
	thread->idle = false;
	if (forced && ran)
		look_and_force(thread, slot, off, in_time);
	else if (in_time && (forced || pln_load_relaxed(&slot->pending_offcpu_ns) >=
					       pln_segment_own.tick_ns / OFF_WORTH))
		look_at(thread, slot, off, true, false);
}

/*
 * A thread that burns CPU time but never gets to the handler blocks our signal. What the handler
 * itself cannot do is counted there.
 */
static void notice_blocked_signal(struct pln_thread *thread)
{
	uint32_t calls = pln_load_relaxed(&thread->calls);
	uint64_t limit_ns = SIGNAL_BLOCKED_NS + 2 * pln_segment_own.period_ns;

	if (!(pln_load_relaxed(&pln_segment->engine) & ON_CPU))
		return;
	if (calls != thread->last_calls || !thread->unsampled_since_ns) {
		thread->last_calls = calls;
		thread->unsampled_since_ns = thread->cpu_ns;
	} else if (thread->cpu_ns - thread->unsampled_since_ns > limit_ns) {
		thread->unsampled_since_ns = thread->cpu_ns;
		pln_segment_drop_sigsafe(PILLION_DROP_SIGNAL_BLOCKED);
	}
}

/*
 * Moves the thread's clocks to now. What of the time since then it did not run is pending
 * until a stack is found for it. Returns false when the thread is gone.
 */
static bool advance(struct pln_thread *thread, uint64_t *ran, uint64_t *off)
{
	struct pln_slot *slot = pln_segment_slot_sigsafe(thread->index);
	uint64_t cpu = pln_clock_ns_sigsafe(pln_thread_clock(thread->tid));
	uint64_t now = pln_now_ns_sigsafe();
	uint64_t passed;

	/* A clock that went back is another thread's, with the same tid. */
	if (!cpu || cpu < thread->cpu_ns)
		return false;
	*ran = cpu - thread->cpu_ns;
	passed = now - thread->seen_ns;
	/* Burst mode knows no waits: there is no stack to charge them to. */
	*off = passed > *ran && !pln_burst_is_on() ? passed - *ran : 0;
	thread->cpu_ns = cpu;
	thread->seen_ns = now;
	pln_store_relaxed(&slot->cpu_ns, cpu);
	pln_store_relaxed(&slot->seen_ns, now);
	pln_add_relaxed(&slot->pending_offcpu_ns, *off);
	/* Only forced samples take it; timers count for themselves. */
	if (pln_load_relaxed(&pln_segment->engine) & PILLION_ENGINE_FORCED)
		pln_add_relaxed(&thread->forced_cpu_ns, *ran);
	return true;
}

static void visit(struct pln_thread *thread, bool in_time)
{
	struct pln_slot *slot = pln_segment_slot_sigsafe(thread->index);
	uint64_t ran, off;

	if (!advance(thread, &ran, &off)) /* the next scan says so */
		return;
	if (pln_burst_is_on())
		return;
	if (!ran && thread->idle)
		thread_idles(thread, slot, off);
	else
		thread_ran(thread, slot, ran, off, in_time);
	if (ran)
		notice_blocked_signal(thread);
}

/* -------------------------------------------------------------- the tick */

/*
 * Reading stacks of waiting threads (some 15 us each) may take a small part of the tick, and
 * looking at running ones, to force samples, some more; threads left for later ticks keep their
 * pending time, so that nothing is lost and the cost stays bounded with any number of threads.
 */
static void visit_all(void)
{
	uint64_t cpu_ns = pln_clock_ns_sigsafe(CLOCK_THREAD_CPUTIME_ID);
	uint64_t limit = pln_now_ns_sigsafe() + pln_segment_own.tick_ns / READ_SHARE;
	uint32_t used = pln_threads_high_water_sigsafe();
	uint32_t next = first_thread < used ? first_thread : 0;
	bool in_time = true;

	own_ns = cpu_ns - own_cpu_ns;
	own_cpu_ns = cpu_ns;
	force_left_ns = pln_segment_own.tick_ns / FORCE_SHARE;
	first_unforced = NONE;
	for (uint32_t i = 0; i < used; i++) {
		struct pln_thread *thread = pln_thread_sigsafe((first_thread + i) % used);

		if (!thread->adopted)
			continue;
		if (in_time && pln_now_ns_sigsafe() > limit) {
			in_time = false;
			next = thread->index;
		}
		visit(thread, in_time);
	}
	first_thread = first_unforced == NONE ? next : first_unforced;
}

static void publish_own_cpu(void)
{
	pln_store_relaxed(&pln_segment->sampler_cpu_ns,
			  earlier_cpu_ns + pln_clock_ns_sigsafe(CLOCK_THREAD_CPUTIME_ID));
}

static void publish_process_cpu(void)
{
	pln_store_relaxed(&pln_segment->process_cpu_ns,
			  pln_clock_ns_sigsafe(CLOCK_PROCESS_CPUTIME_ID));
}

static void publish_totals(void)
{
	publish_own_cpu();
	publish_process_cpu();
	pln_store_relaxed(&pln_segment->table_bytes, pln_native_table_bytes());
	pln_store_relaxed(&pln_segment->private_bytes, pln_threads_bytes());
}

/* Whether to be quiet: we were asked to, or the collector has not been heard of for long. */
static bool should_be_dormant(uint64_t now)
{
	uint64_t heard = pln_load_relaxed(&pln_segment->collector_ns);

	if (pln_load_relaxed(&forbidden) ||
	    pln_load_relaxed(&pln_segment->command) == PILLION_COMMAND_STOP)
		return true;
	if (heard < began_ns)
		heard = began_ns;
	return now > heard && now - heard > COLLECTOR_SILENT_NS;
}

/* From outside; it holds until the next one, or until the program says otherwise. */
static void obey_wish(void)
{
	/* relaxed: a word on its own */
	uint32_t wish = pln_load_relaxed(&pln_segment->wish);

	if (wish == wish_obeyed)
		return;
	wish_obeyed = wish;
	pln_tick_allow(wish & 1);
}

static void rest(uint64_t now)
{
	/* First: threads that start from now on arm no timer. */
	pln_store_relaxed(&pln_segment->state, PILLION_TARGET_DORMANT);
	pln_scan_rest();
	dormant_since_ns = now;
	pln_store_relaxed(&dormant, 1);
}

void pln_tick_without_thread(int error)
{
	if (pln_load_relaxed(&pln_segment->state) != PILLION_TARGET_DORMANT)
		rest(pln_now_ns_sigsafe());
	pln_store_relaxed(&dormant, 1);
	if (unattended_segment_ns != pln_segment->start_mono_ns)
		pln_announce_note(1, error == -EAGAIN ? AT_LIMITS : NO_MORE_THREADS);
	unattended_segment_ns = pln_segment->start_mono_ns;
}

void pln_tick_allow(bool on)
{
	pln_store_relaxed(&forbidden, !on);
}

bool pln_tick_is_allowed(void)
{
	return !pln_load_relaxed(&forbidden);
}

bool pln_tick_is_unattended(void)
{
	return unattended_segment_ns;
}

bool pln_tick_is_dormant(void)
{
	return pln_load_relaxed(&dormant);
}

static void last_look(struct pln_thread *thread)
{
	struct pln_slot *slot = pln_segment_slot_sigsafe(thread->index);
	uint64_t ran, off;

	if (!advance(thread, &ran, &off))
		return;
	if (!ran && thread->idle)
		thread->idle_since_flush_ns += off;
	flush_idle(thread, slot);
}

/* What was before is told to the end; what comes now is nobody's. */
static void fall_asleep(uint64_t now)
{
	pln_log(PLN_LOG_INFO, "dormant: told to, or the collector went silent", "");
	pln_scan_threads(now);
	pln_scan_each(last_look);
	rest(now);
}

static void forget_run_delay(struct pln_thread *thread)
{
	thread->run_delay_ns = read_run_delay(thread);
}

static void wake_up(void)
{
	pln_log(PLN_LOG_INFO, "sampling again", "");
	pln_store_relaxed(&pln_segment->state, PILLION_TARGET_SAMPLING);
	pln_scan_wake();
	pln_scan_each(forget_run_delay);
	pln_add_relaxed(&pln_segment->dormant_ns, pln_now_ns_sigsafe() - dormant_since_ns);
	pln_store_relaxed(&dormant, 0);
}

/* It was about to begin as sampling stopped. */
static void rest_late(struct pln_thread *thread)
{
	if (thread->timer_armed)
		pln_timer_rest(thread);
}

static void check_handler(void)
{
	uint32_t engine = pln_load_relaxed(&pln_segment->engine);

	if (!(engine & ON_CPU)) {
		pln_scan_each(rest_late);
		return;
	}
	if (pln_timer_handler_is_ours())
		return;
	/* Timers that go on would call the program's handler, or end the program. What runs from
	 * now on has no sample. First: threads that start from now on arm no timer. */
	pln_store_relaxed(&pln_segment->engine, engine & ~(uint32_t)ON_CPU);
	pln_scan_rest();
	pln_segment_drop_sigsafe(PILLION_DROP_SIGNAL_TAKEN);
	pln_announce_note(
		1, "the program took over the signal that samples use; CPU sampling stopped");
}

/* What it waits on may show more now: its stack is read once more. */
static void look_again(struct pln_thread *thread)
{
	thread->idle = false;
}

/* A program that embeds the interpreter may begin again. */
static void follow_finalization(void)
{
	uint32_t state = pln_load_relaxed(&pln_segment->state);

	if (state == PILLION_TARGET_SAMPLING && pln_python_finalizing_sigsafe())
		pln_store_relaxed(&pln_segment->state, PILLION_TARGET_FINALIZING);
	else if (state == PILLION_TARGET_FINALIZING && !pln_python_finalizing_sigsafe())
		pln_store_relaxed(&pln_segment->state, PILLION_TARGET_SAMPLING);
}

/* Every tick until the interpreter is known for good, then now and then (its end). */
static void poll_interpreter(bool seldom)
{
	struct pln_wire_interpreter interpreter;

	if (interpreter_settled && !seldom)
		return;
	if (pln_python_poll(&interpreter)) {
		pln_announce_interpreter(&interpreter);
		pln_scan_each(look_again);
		interpreter_settled = interpreter.status != PILLION_INTERPRETER_FOUND;
	}
	follow_finalization();
}

/* The clocks go on, threads come and go. */
static void sleep_on(uint64_t now)
{
	pln_scan_threads(now);
	pln_scan_each(rest_late);
	pln_scan_each(pln_scan_skip);
	poll_interpreter(true); /* so that it is known when sampling starts */
	pln_objects_tick();
	pln_memory_tick_dormant();
	pln_launch_reap();
	pln_add_relaxed(&pln_segment->dormant_ns, now - dormant_since_ns);
	dormant_since_ns = now;
}

static bool is_time(uint64_t *next_ns, uint64_t every_ns, uint64_t now)
{
	if (now < *next_ns)
		return false;
	*next_ns = now + every_ns;
	return true;
}

uint64_t pln_tick_rounds(void)
{
	return pln_load_relaxed(&rounds);
}

void pln_tick(void)
{
	uint64_t now = pln_now_ns_sigsafe();
	bool seldom = is_time(&seldom_ns, SELDOM_NS, now);

	pln_add_relaxed(&rounds, 1);
	/*
	 * release: this tick has begun, so what the one before told of is in its lanes; pairs with
	 * note_tick() in drain.c, which relies on that this is when a tick begins
	 */
	pln_store_release(&pln_segment->heartbeat_ns, now);
	obey_wish();
	pln_unheard_try(now);
	if (pln_tick_is_dormant())
		sleep_on(now);
	if (should_be_dormant(now) != pln_tick_is_dormant())
		pln_tick_is_dormant() ? wake_up() : fall_asleep(now);
	if (pln_tick_is_dormant())
		return;
	pln_add_relaxed(&pln_segment->ticks, 1);
	poll_interpreter(seldom);
	pln_objects_tick();
	pln_python_tick();
	pln_burst_tick();
	pln_stack_bounds_refresh();
	if (is_time(&modules_ns, PILLION_MODULES_WITHIN_NS, now) || pln_native_refresh_is_due())
		pln_announce_modules(pln_self_wants_native_sigsafe() && now - began_ns > TABLES_NS);
	pln_scan_threads(now);
	visit_all();
	pln_memory_tick(now);
	if (seldom) {
		check_handler();
		publish_totals();
		pln_launch_reap();
	}
}

/* ---------------------------------------------------------- begin and end */

/* What the start did not know yet; that it uses timers or not, it knew. */
static uint32_t probe_engine(void)
{
	uint32_t engine = 0;

	if (blocked_works)
		engine |= PILLION_ENGINE_BLOCKED;
	if (pln_scan_has_schedstat())
		engine |= PILLION_ENGINE_SCHEDSTAT;
	if (pln_self_wants_native_sigsafe())
		engine |= PILLION_ENGINE_NATIVE;
	if (pln_checked_read_works_sigsafe())
		engine |= PILLION_ENGINE_CHECKED_READ;
	return engine;
}

/*
 * A table of descriptors of our own: empty, but for the segment that nobody was told of yet, and
 * for stderr if we have something to say there. (Else who waits for its end would wait for us.)
 */
static bool take_own_files(void)
{
	uint32_t segment = (uint32_t)pln_unheard_fd(); /* ~0: none */
	uint32_t low = pln_log_is_on(PLN_LOG_INFO) ? STDERR_FILENO + 1 : 0;
	uint32_t rest = segment + 1 ? segment + 1 : low;
	bool own = pln_unheard_claim() &&
		   !pln_syscall3(SYS_close_range, rest, ~0u, CLOSE_RANGE_UNSHARE_FLAG);

	if (own && rest > low + 1)
		(void)pln_syscall3(SYS_close_range, low, rest - 2, 0);
	if (own && low)
		(void)pln_syscall3(SYS_close_range, 0, STDERR_FILENO - 1, 0);
	pln_unheard_take(own);
	return own;
}

void pln_tick_begin(void)
{
	uint32_t state = pln_load_relaxed(&pln_segment->state);
	bool own_files = take_own_files(), was_unattended = unattended_segment_ns;

	unattended_segment_ns = 0;
	if (own_files)
		pln_checked_read_reopen();
	pln_scan_begin(own_files);
	blocked_works = !pln_burst_is_on() && pln_blocked_init();
	interpreter_settled = false;
	own_cpu_ns =
		pln_clock_ns_sigsafe(CLOCK_THREAD_CPUTIME_ID); /* in a child: another thread's */
	seldom_ns = modules_ns = 0;
	earlier_cpu_ns = pln_load_relaxed(&pln_segment->sampler_cpu_ns); /* 0 in a new segment */
	pln_store_relaxed(&dormant, state == PILLION_TARGET_DORMANT);
	pln_store_relaxed(&pln_segment->engine,
			  pln_load_relaxed(&pln_segment->engine) | probe_engine());
	if (began_segment_ns == pln_segment->start_mono_ns) {
		if (was_unattended)
			pln_announce_note(1, "the sampling thread is back");
		return;
	}
	began_segment_ns = pln_segment->start_mono_ns;
	wish_obeyed = 0;
	began_ns = dormant_since_ns = pln_now_ns_sigsafe();
	if (*pln_options_complaint())
		pln_announce_note(1, pln_options_complaint());
	if (state == PILLION_TARGET_STARTING)
		pln_store_relaxed(&pln_segment->state, PILLION_TARGET_SAMPLING);
}

static void advance_only(struct pln_thread *thread)
{
	uint64_t ran, off;

	(void)advance(thread, &ran, &off);
}

void pln_tick_last(void)
{
	pln_scan_each(pln_tick_is_dormant() ? pln_scan_skip : advance_only);
	publish_process_cpu();
	pln_memory_tick_last();
}

void pln_tick_end(void)
{
	/* The private descriptor table goes with the thread; a shared one keeps nothing open. */
	pln_scan_end();
	pln_unheard_end();
	publish_own_cpu();
}
