/* SPDX-License-Identifier: MIT */
/*
 * window.c - how much of the time that a thread held the GIL it ran.
 *
 * A thread may be off its CPU while it holds the GIL, wherever it was: on a crowded machine
 * more often than on it. Looks alone would call that time spent there. So they are kept
 * back for some tens of microseconds, in which the thread either ran or did not: what of
 * them is CPU time, its clock tells. What the clock says beyond that (it is not read at the
 * very moment of a look) goes on to the next window.
 *
 * After another thread has held the GIL, or nobody has, the first look is before the first
 * reading of the clock: then the thread just ran, to take the GIL.
 */
#include "burst_i.h"

#include "clock.h"

#define WINDOW_NS 50000
#define WINDOW_LOOKS 512

static struct {
	uint32_t tid; /* 0: none */
	uint64_t cpu_ns; /* its clock, less what rows already have of it */
	uint64_t opened_ns;
	uint64_t held_ns; /* sum of the looks */
	unsigned count;
	struct pln_burst_seen looks[WINDOW_LOOKS];
} window;

/* Its time is owed; a whole stack takes what is. */
static void settle(const struct pln_burst_seen *seen, uint64_t cpu_ns, uint64_t wait_ns)
{
	pln_burst_owed_add(seen->debt, cpu_ns, wait_ns);
	if (seen->cell == PLN_BURST_NO_CELL)
		return;
	pln_burst_owed_take(seen->taken, &cpu_ns, &wait_ns);
	pln_burst_table_add(seen->cell, cpu_ns, wait_ns);
}

/* Everything that is kept back, with `cpu_ns` of held_ns on a CPU. */
static void hand_out(uint64_t cpu_ns)
{
	uint64_t held_ns = window.held_ns ? window.held_ns : 1;

	for (unsigned i = 0; i < window.count; i++) {
		const struct pln_burst_seen *seen = &window.looks[i];
		uint64_t ran = (uint64_t)((unsigned __int128)seen->ns * cpu_ns / held_ns);

		settle(seen, ran, seen->ns - ran);
	}
	window.count = 0;
	window.held_ns = 0;
}

void pln_burst_window_flush(void)
{
	uint64_t cpu_ns, ran_ns;

	if (!window.count)
		return;
	cpu_ns = pln_clock_ns_sigsafe(pln_thread_clock(window.tid));
	/* 0: the thread is gone. */
	ran_ns = cpu_ns > window.cpu_ns ? cpu_ns - window.cpu_ns : 0;
	if (!cpu_ns || ran_ns > window.held_ns)
		ran_ns = window.held_ns;
	window.cpu_ns += ran_ns;
	hand_out(ran_ns);
}

void pln_burst_window_close(void)
{
	pln_burst_window_flush();
	window.tid = 0;
}

void pln_burst_window_add(const struct pln_burst_seen *seen)
{
	if (seen->tid != window.tid) {
		pln_burst_window_close();
		window.tid = seen->tid;
		window.cpu_ns = pln_clock_ns_sigsafe(pln_thread_clock(seen->tid));
		window.opened_ns = seen->now_ns;
		settle(seen, seen->ns, 0);
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
