/* SPDX-License-Identifier: MIT */
/*
 * burst.c - when to look, and what each look stands for.
 *
 * Context: sampling thread, between two ticks. Looks come at random moments, uniform in
 * [0.5, 1.5) of the period after the one before, so as not to march in step with the program.
 * A sample has the time since the one before it, so that nothing depends on the rate that
 * is reached, and the sum is the time that passed. A torn stack is read again at once, and
 * the time goes to the next one that holds.
 */
#include "burst.h"

#include <linux/futex.h>
#include <sys/prctl.h>
#include <time.h>

#include <pillion/atomic.h>

#include "burst_i.h"
#include "checked_read.h"
#include "clock.h"
#include "options.h"
#include "python/python.h"
#include "segment.h"

#define NODES (1u << 19)
#define CELLS (1u << 18)
#define SMALL_NODES (1u << 14)
#define SMALL_CELLS (1u << 13)
#define SPIN_NS 20000 /* shorter periods than this are waited for without sleeping */
#define CATCH_UP_NS 200000 /* this much of what a tick took is made up for */
#define TOGETHER_NS 100000000 /* looks further apart say nothing of the time between */
/*
 * Looks further apart than this, in time and in periods, are told as far: while we had no
 * CPU the thread may have had ours, and is seen where it was taken off it again.
 */
#define FAR_NS 500000
#define FAR_PERIODS 8
#define TORN_AT_ONCE 4

static struct pln_burst *shared; /* NULL: no burst mode in this process */
static uint64_t period_ns;
static uint64_t last_ns; /* of the last look that held; 0: none */
static uint64_t due_ns; /* of the next look */
static struct pln_burst_stack stack;

static uint32_t node_max(bool small)
{
	return small ? SMALL_NODES : NODES;
}

static uint32_t cell_max(bool small)
{
	return small ? SMALL_CELLS : CELLS;
}

uint64_t pln_burst_size(bool small)
{
	if (!pln_options.burst)
		return 0;
	return sizeof(struct pln_burst) + node_max(small) * sizeof(struct pln_burst_node) +
	       cell_max(small) * sizeof(struct pln_burst_cell);
}

void pln_burst_place(void *memory, bool small)
{
	shared = memory;
	shared->asked_hz = (uint64_t)pln_options.burst;
	shared->nodes_off = sizeof(struct pln_burst);
	shared->cells_off = shared->nodes_off + node_max(small) * sizeof(struct pln_burst_node);
	shared->node_max = node_max(small);
	shared->cell_max = cell_max(small);
	pln_burst_table_place(shared);
	if (!pln_checked_read_works_sigsafe() || !pln_burst_table_reset())
		shared = NULL;
	period_ns = PLN_SECOND_NS / (uint64_t)pln_options.burst;
	last_ns = due_ns = 0;
}

bool pln_burst_is_on(void)
{
	return shared != NULL;
}

void pln_burst_after_fork(void)
{
	shared = NULL;
	pln_burst_chunks_reset();
	pln_burst_mirror_reset();
	pln_burst_codes_reset();
	pln_burst_window_reset();
}

void pln_burst_begin(void)
{
	if (!shared)
		return;
	(void)pln_syscall3(SYS_prctl, PR_SET_TIMERSLACK, 1, 0);
	pln_burst_chunks_begin();
}

/* ---------------------------------------------------------- accounts */

/* We are the only writer. */
static void add(_Atomic uint64_t *sum, uint64_t value)
{
	pln_store_relaxed(sum, pln_load_relaxed(sum) + value);
}

/* One look, which stands for `ns`. False: it did not hold. */
static bool look_once(uint64_t now_ns, uint64_t ns)
{
	enum pln_burst_counted counted = PLN_BURST_IMPLAUSIBLE;
	uint32_t cell;

	switch (pln_burst_walk(&stack)) {
	case PLN_BURST_IDLE:
		pln_burst_window_close();
		add(&shared->idle, 1);
		add(&shared->idle_ns, ns);
		return true;
	case PLN_BURST_WHOLE:
		counted = pln_burst_table_find(&stack, &cell);
		break;
	case PLN_BURST_TORN:
		break;
	}
	if (counted == PLN_BURST_IMPLAUSIBLE) {
		add(&shared->torn, 1);
		return false;
	}
	add(&shared->held_ns, ns);
	if (counted == PLN_BURST_FULL) {
		add(&shared->full, 1);
		add(&shared->dropped_ns, ns);
		return true;
	}
	add(&shared->samples, 1);
	pln_burst_window_add(stack.tid, cell, ns, now_ns);
	return true;
}

static void look(uint64_t now_ns)
{
	uint64_t passed = last_ns ? now_ns - last_ns : 0;
	uint64_t lost = passed > TOGETHER_NS && passed > FAR_PERIODS * period_ns ? passed : 0;
	bool far = passed > FAR_NS && passed > FAR_PERIODS * period_ns;

	if (lost)
		pln_burst_window_close();
	for (unsigned i = 0; i < TORN_AT_ONCE; i++) {
		if (!look_once(now_ns, passed - lost))
			continue;
		add(&shared->lost_ns, lost);
		add(&shared->far_ns, far ? passed : 0);
		add(&shared->covered_ns, passed);
		last_ns = now_ns;
		return;
	}
}

/* ---------------------------------------------------------- pace */

/* A stream of its own: it is drawn from a million times a second. */
static uint64_t random_below(uint64_t limit)
{
	static uint64_t x;

	if (!x)
		x = pln_now_ns_sigsafe() | 1;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint64_t)((unsigned __int128)x * limit >> 64);
}

static void sleep_on(_Atomic uint32_t *bell, uint32_t rung, uint64_t ns)
{
	struct timespec ts = { (time_t)(ns / PLN_SECOND_NS), (long)(ns % PLN_SECOND_NS) };

	(void)pln_syscall4(SYS_futex, (long)bell, FUTEX_WAIT_PRIVATE, rung, (long)&ts);
}

/* When the one after the look at `now_ns` is due. */
static void schedule(uint64_t now_ns)
{
	if (due_ns + CATCH_UP_NS < now_ns)
		due_ns = now_ns - CATCH_UP_NS;
	due_ns += period_ns / 2 + random_below(period_ns);
}

/* Until the next look is due, or it is `until_ns`, or the bell rings. Returns what time it is. */
static uint64_t wait_for_next(uint64_t until_ns, _Atomic uint32_t *bell, uint32_t rung)
{
	uint64_t end_ns = due_ns < until_ns ? due_ns : until_ns, now_ns;

	while ((now_ns = pln_now_ns_sigsafe()) < end_ns && pln_load_relaxed(bell) == rung) {
		if (period_ns >= SPIN_NS)
			sleep_on(bell, rung, end_ns - now_ns);
		else
			__builtin_ia32_pause();
	}
	return now_ns;
}

bool pln_burst_until(uint64_t until_ns, _Atomic uint32_t *bell, uint32_t rung)
{
	uint64_t now_ns;

	if (!shared || pln_load_relaxed(&pln_segment->state) != PILLION_TARGET_SAMPLING ||
	    !pln_burst_walk_prepare()) {
		last_ns = 0; /* what passes now is not covered */
		return false;
	}
	for (;;) {
		now_ns = wait_for_next(until_ns, bell, rung);
		if (now_ns >= until_ns || pln_load_relaxed(bell) != rung ||
		    !pln_python_ready_sigsafe())
			break;
		look(now_ns);
		schedule(now_ns);
	}
	pln_burst_window_flush();
	pln_burst_table_end_slice();
	return true;
}
