/* SPDX-License-Identifier: MIT */
/*
 * window.c - how much of the time that a thread held the GIL it ran.
 *
 * A thread may be off its CPU while it holds the GIL, wherever it was: on a crowded machine
 * more often than on it. Looks alone would call that time spent there. So they are kept
 * back for some tens of microseconds: what of them is CPU time, its clock tells. If it is not
 * all, or nothing, the thread was taken off its CPU meanwhile, or put on one: what ran before
 * still did in the first looks, and what did not does in the last. What the clock says beyond
 * that (it is not read at the very moment of a look) goes on to the next window.
 *
 * Where we had no CPU, what the thread ran meanwhile is not what it is seen at: see owed.c.
 *
 * After another thread has held the GIL, or nobody has, the first look is before the first
 * reading of the clock: then the thread just ran, to take the GIL.
 */
#include "burst_i.h"

#include "clock.h"
#include "sampling/threads.h"

#define WINDOW_NS 50000
#define WINDOW_LOOKS 512

static struct {
	uint32_t tid; /* 0: none */
	uint64_t cpu_ns; /* its clock, less what rows already have of it */
	uint64_t opened_ns;
	uint64_t held_ns; /* sum of the looks */
	unsigned count;
	bool running; /* when its first look came */
	struct pln_burst_seen looks[WINDOW_LOOKS];
} window;

/* Its time is owed; a whole stack takes what is. */
static void settle(const struct pln_burst_seen *seen, uint64_t cpu_ns, uint64_t wait_ns)
{
	if (!seen->debt) {
		pln_burst_table_drop(cpu_ns + wait_ns);
		return;
	}
	pln_burst_owed_add(seen->debt, cpu_ns, wait_ns);
	if (seen->cell == PLN_BURST_NO_CELL)
		return;
	pln_burst_owed_take(seen->taken, &cpu_ns, &wait_ns);
	cpu_ns += pln_burst_owed_take_share(seen->shared, seen->cell, cpu_ns);
	pln_burst_table_add(seen->cell, cpu_ns, wait_ns);
}

/* Whether the thread ran at the end of a window that it ran for `cpu_ns` of. */
static bool runs_after(uint64_t cpu_ns)
{
	uint64_t little_ns = window.held_ns / 8;

	if (!window.held_ns)
		return window.running;
	if (cpu_ns <= little_ns)
		return false;
	return cpu_ns >= window.held_ns - little_ns || !window.running;
}

/* Everything that is kept back, with `cpu_ns` of held_ns on a CPU. */
static void hand_out(uint64_t cpu_ns)
{
	uint64_t first_ns = window.running ? cpu_ns : window.held_ns - cpu_ns;

	for (unsigned i = 0; i < window.count; i++) {
		const struct pln_burst_seen *seen = &window.looks[i];
		uint64_t first = seen->ns < first_ns ? seen->ns : first_ns, rest = seen->ns - first;

		first_ns -= first;
		settle(seen, window.running ? first : rest, window.running ? rest : first);
	}
	window.running = runs_after(cpu_ns);
	window.count = 0;
	window.held_ns = 0;
}

static uint64_t clock_ns(void)
{
	return pln_clock_ns_sigsafe(pln_thread_clock(window.tid));
}

/* Of the last `held_ns`, what rows have not. */
static uint64_t take_ran(uint64_t held_ns)
{
	uint64_t cpu_ns = clock_ns();
	/* 0: the thread is gone. */
	uint64_t ran_ns = cpu_ns > window.cpu_ns ? cpu_ns - window.cpu_ns : 0;

	if (!cpu_ns || ran_ns > held_ns)
		ran_ns = held_ns;
	window.cpu_ns += ran_ns;
	return ran_ns;
}

void pln_burst_window_flush(void)
{
	if (window.count)
		hand_out(take_ran(window.held_ns));
}

void pln_burst_window_close(void)
{
	pln_burst_window_flush();
	window.tid = 0;
}

/* It waited where it is seen; it ran anywhere. */
static void settle_far(const struct pln_burst_seen *seen, uint64_t cpu_ns)
{
	if (cpu_ns > seen->ns)
		cpu_ns = seen->ns;
	pln_burst_owed_add_shared(seen->shared, cpu_ns);
	settle(seen, 0, seen->ns - cpu_ns);
}

/* Until now, since the last tick: an upper bound of what the thread of the window ran in between.
 */
static uint64_t ran_since_tick(void)
{
	const struct pln_thread *thread = pln_threads_find(window.tid);

	return thread && window.cpu_ns > thread->cpu_ns ? window.cpu_ns - thread->cpu_ns : 0;
}

/* The thread was not seen before: it ran to take the GIL, but not for all of a long time. */
static void add_first(const struct pln_burst_seen *seen, bool far)
{
	pln_burst_window_close();
	window.tid = seen->tid;
	window.cpu_ns = clock_ns();
	window.opened_ns = seen->now_ns;
	window.running = true;
	if (!far)
		settle(seen, seen->ns, 0);
	else
		settle_far(seen, ran_since_tick());
}

/* What was kept back did not run in the time that the clock has moved on by now: that is after it.
 */
static void add_far(const struct pln_burst_seen *seen)
{
	uint64_t before_ns;

	if (window.count)
		hand_out(window.running ? take_ran(window.held_ns) : 0);
	settle_far(seen, take_ran(seen->ns));
	window.opened_ns = seen->now_ns;
	before_ns = clock_ns();
	window.running = clock_ns() > before_ns;
}

void pln_burst_window_add(const struct pln_burst_seen *seen)
{
	bool far = seen->far && seen->shared;

	if (seen->tid != window.tid) {
		add_first(seen, far);
		return;
	}
	if (far) {
		add_far(seen);
		return;
	}
	window.looks[window.count++] = *seen;
	window.held_ns += seen->ns;
	if (window.count < WINDOW_LOOKS && seen->now_ns - window.opened_ns < WINDOW_NS)
		return;
	pln_burst_window_flush();
	window.opened_ns = seen->now_ns;
}

void pln_burst_window_reset(void)
{
	window.tid = 0;
	window.count = 0;
	window.held_ns = 0;
}
