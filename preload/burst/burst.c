/* SPDX-License-Identifier: MIT */
/*
 * burst.c - when to look, and what each look stands for.
 *
 * Context: sampling thread, between two ticks. Looks come at random moments, uniform in
 * [0.5, 1.5) of the period after the one before, so as not to march in step with the program.
 * A look has the time since the one before it, so that nothing depends on the rate that is
 * reached, and the sum is the time that passed. Whether it holds or not, its time is owed to
 * what it saw innermost (owed.c), so that nothing depends on what holds, either; of a long time,
 * only what the thread waited is.
 */
#include "burst.h"

#include <link.h>
#include <linux/futex.h>
#include <sys/prctl.h>
#include <time.h>

#include <pillion/atomic.h>

#include "burst_i.h"
#include "checked_read.h"
#include "clock.h"
#include "hot.h"
#include "options.h"
#include "python/python_i.h"
#include "segment.h"

#define NODES (1u << 19)
#define CELLS (1u << 18)
#define SMALL_NODES (1u << 14)
#define SMALL_CELLS (1u << 13)
#define SPIN_NS 20000 /* shorter periods than this are waited for without sleeping */
#define CATCH_UP_NS 5000000 /* this much of what a tick took, or others, is made up for */
#define TOGETHER_NS 100000000 /* looks further apart say nothing of the time between */
/*
 * Looks further apart than this, in time and in what is usual, are told as far: while we had no
 * CPU the thread may have had ours, and is seen where it was taken off it again.
 */
#define FAR_NS 100000
#define FAR_PERIODS 8
#define TORN_AT_ONCE 8
#define MORE_AT_ONCE 64
#define TRY_NS 50000 /* of the period for each: two percent of it, where all are torn */
#define TORN_OFTEN 64 /* one in so many looks */
#define REST_NS 300
#define LONG_LOOKS 8 /* as long as so many of the last slice */
#define LONG_NS 20000
#define RESTS 10 /* ten percent of the time is what a program may lose by looks */

static struct pln_burst *shared; /* NULL: no burst mode in this process */
static uint64_t period_ns;
static uint64_t last_ns; /* of the last look whose time was placed; 0: none */
static uint64_t due_ns; /* of the next look */
static uint64_t ended_ns; /* of the last look */
static uint64_t random_state;
static struct pln_burst_stack stack;

/* Of this slice; see reckon_apart(). */
static struct {
	uint64_t apart_ns; /* from look to look at least; 0: as it comes */
	uint64_t took_ns; /* sum of all looks */
	uint64_t walked_ns; /* what of it was spent reading the program's memory */
	uint64_t long_ns; /* no look can take longer, by all that is known of them */
	uint64_t looks;
	uint64_t links; /* of the stacks that they saw */
	uint64_t torn; /* before it */
} pace = { .long_ns = LONG_NS };

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
	stack.is_chain = false; /* in a forked child it may be half of one */
	period_ns = PLN_SECOND_NS / (uint64_t)pln_options.burst;
	last_ns = due_ns = 0;
}

PLN_HOT bool pln_burst_is_on(void)
{
	return shared != NULL;
}

void pln_burst_after_fork(void)
{
	if (!shared) /* none of it was ever written, and the child has no pages of its own for it */
		return;
	shared = NULL;
	random_state = 0; /* forked workers are not to look at the same moments */
	pln_burst_chunks_reset();
	pln_burst_mirror_reset();
	pln_burst_codes_reset();
	pln_burst_window_reset();
	pln_burst_owed_reset();
}

void pln_burst_begin(void)
{
	if (!shared)
		return;
	(void)pln_syscall3(SYS_prctl, PR_SET_TIMERSLACK, 1, 0);
	pln_burst_chunks_begin();
}

/* The segment of a module that the runtime lies in. */
static int find_data(struct dl_phdr_info *info, size_t size, void *data)
{
	uintptr_t runtime = pln_load_relaxed(&pln_python.runtime), lo;

	(void)size;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];

		lo = info->dlpi_addr + ph->p_vaddr;
		if (ph->p_type != PT_LOAD || runtime - lo >= ph->p_memsz)
			continue;
		*(struct pln_burst_window *)data =
			(struct pln_burst_window){ lo, lo + ph->p_memsz };
		return 1;
	}
	return 0;
}

void pln_burst_tick(void)
{
	static bool was_searched;
	struct pln_burst_window data = { 0 };

	if (!shared || was_searched || !pln_python_ready_sigsafe())
		return;
	was_searched = true;
	(void)dl_iterate_phdr(find_data, &data);
	pln_burst_walk_stand_on(&data);
}

/* ---------------------------------------------------------- accounts */

/* We are the only writer. */
static void add(_Atomic uint64_t *sum, uint64_t value)
{
	pln_store_relaxed(sum, pln_load_relaxed(sum) + value);
}

static void count_idle(uint64_t ns)
{
	pln_burst_window_close();
	add(&shared->idle, 1);
	add(&shared->idle_ns, ns);
}

/* Its thread's clock has run for it, too. */
static void count_full(struct pln_burst_seen *seen)
{
	add(&shared->full, 1);
	seen->tid = stack.tid;
	seen->cell = PLN_BURST_NO_CELL;
	pln_burst_window_add(seen);
}

/* No slot has its stacks, and no other thread's is to have its time. */
static void count_stranger(uint64_t ns)
{
	pln_burst_window_close();
	pln_burst_table_drop(ns);
	add(&shared->full, 1);
}

/* What a look saw. */
enum looked {
	BLIND, /* not even what was innermost: its time is the next one's */
	TORN,
	DONE,
};

/* `seen`: the cell is known, if it was whole. */
static enum looked count_held(struct pln_burst_seen *seen)
{
	bool whole = seen->cell != PLN_BURST_NO_CELL;

	if (stack.thread && (whole || stack.innermost.code))
		seen->debt = pln_burst_owed_find(stack.thread, &stack.innermost);
	if (whole)
		seen->taken = pln_burst_owed_find(stack.thread, &stack.running);
	if (!seen->debt || (whole && !seen->taken)) {
		add(&shared->torn, 1);
		return BLIND;
	}
	seen->shared = pln_burst_owed_find_shared(stack.thread, seen->far);
	seen->tid = stack.tid;
	add(whole ? &shared->samples : &shared->torn, 1);
	pln_burst_window_add(seen);
	return whole ? DONE : TORN;
}

/* One look, which stands for `ns`. `far`: too long to have been spent at what it sees. */
static enum looked look_once(uint64_t now_ns, uint64_t ns, bool far)
{
	struct pln_burst_seen seen = {
		.ns = ns, .far = far, .now_ns = now_ns, .cell = PLN_BURST_NO_CELL
	};
	enum pln_burst_counted counted = PLN_BURST_IMPLAUSIBLE;

	switch (pln_burst_walk(&stack, pace.apart_ns != 0)) {
	case PLN_BURST_IDLE:
		count_idle(ns);
		return DONE;
	case PLN_BURST_STRANGER:
		count_stranger(ns);
		return DONE;
	case PLN_BURST_WHOLE:
		counted = pln_burst_table_find(&stack, &seen.cell);
		break;
	case PLN_BURST_TORN:
		break;
	}
	if (counted == PLN_BURST_FULL) {
		count_full(&seen);
		return DONE;
	}
	if (counted == PLN_BURST_IMPLAUSIBLE)
		seen.cell = PLN_BURST_NO_CELL;
	return count_held(&seen);
}

/* A program that calls and returns all the time is seen whole by one look in twenty. */
static unsigned tries_at_once(void)
{
	uint64_t tries = period_ns / TRY_NS;

	if (period_ns < SPIN_NS)
		return 1;
	if (tries < TORN_AT_ONCE)
		return TORN_AT_ONCE;
	return tries < MORE_AT_ONCE ? (unsigned)tries : MORE_AT_ONCE;
}

/* One that we had no CPU for meanwhile says nothing of all others. */
static void add_walked(uint64_t ns)
{
	pace.walked_ns += ns < pace.long_ns ? ns : pace.long_ns;
}

/* The first one has the time. Others follow where there is some until the next is due. */
static bool look_until_done(uint64_t now_ns, uint64_t ns, bool far)
{
	uint64_t start_ns = now_ns;
	enum looked looked = TORN;
	bool placed = false;

	for (unsigned i = tries_at_once(); i && looked != DONE; i--) {
		looked = look_once(now_ns, placed ? 0 : ns, far && !placed);
		placed |= looked != BLIND;
		add_walked(stack.read_ns - start_ns);
		if (looked != DONE)
			start_ns = pln_now_ns_sigsafe();
	}
	return placed;
}

static void look(uint64_t now_ns)
{
	uint64_t passed = last_ns ? now_ns - last_ns : 0;
	uint64_t usual_ns = period_ns > pace.apart_ns ? period_ns : pace.apart_ns;
	uint64_t lost = passed > TOGETHER_NS && passed > FAR_PERIODS * usual_ns ? passed : 0;
	bool far = passed > FAR_NS && passed > FAR_PERIODS * usual_ns;

	if (lost)
		pln_burst_window_close();
	if (!look_until_done(now_ns, passed - lost, far))
		return;
	add(&shared->lost_ns, lost);
	add(&shared->far_ns, far ? passed : 0);
	add(&shared->covered_ns, passed);
	last_ns = now_ns;
}

/* ---------------------------------------------------------- pace */

/* A stream of its own: it is drawn from a million times a second. */
static uint64_t random_below(uint64_t limit)
{
	uint64_t x = random_state ? random_state : (pln_now_ns_sigsafe() | 1);

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	random_state = x;
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
	uint64_t least_ns = pace.apart_ns;

	if (due_ns + CATCH_UP_NS < now_ns)
		due_ns = now_ns - CATCH_UP_NS;
	due_ns += period_ns / 2 + random_below(period_ns);
	if (least_ns && due_ns < now_ns + least_ns)
		due_ns = now_ns + least_ns + random_below(least_ns / 2);
	ended_ns = pln_now_ns_sigsafe();
	pace.looks++;
	pace.links += stack.count;
	pace.took_ns += ended_ns - now_ns;
}

/*
 * How far looks are apart, as the last slice was. A look that is torn is over early, just after
 * what ran has changed. If the next one followed at once, moments after a change would have more
 * looks than others. So when that is often, looks are apart by more than they take, and what
 * they see does not decide when the next one comes.
 *
 * The rest is also for the program: what we read of what it has just written is gone from its
 * CPU's cache, and costs it as much as us. What is torn was just written, and so was what takes
 * longer than reading alone. For such looks the program is left alone RESTS times as long.
 */
static uint64_t reckon_apart(uint64_t torn)
{
	uint64_t dirty_ns = pace.walked_ns * torn / pace.looks;
	uint64_t clean_ns = pln_burst_walk_clean_ns(pace.looks, pace.links);

	if (pace.walked_ns > clean_ns && pace.walked_ns - clean_ns > dirty_ns)
		dirty_ns = pace.walked_ns - clean_ns;
	if (torn <= pace.looks / TORN_OFTEN && dirty_ns < pace.walked_ns / TORN_OFTEN)
		return 0;
	return (pace.took_ns * 5 / 4 + dirty_ns * RESTS) / pace.looks + REST_NS;
}

/* For the next slice. */
static void set_pace(void)
{
	uint64_t torn = pln_load_relaxed(&shared->torn), fresh = torn - pace.torn;

	pace.apart_ns = pace.looks ? reckon_apart(fresh < pace.looks ? fresh : pace.looks) : 0;
	pace.long_ns = LONG_NS;
	if (LONG_LOOKS * pace.walked_ns > LONG_NS * pace.looks)
		pace.long_ns = LONG_LOOKS * pace.walked_ns / pace.looks;
	pace.torn = torn;
	pace.looks = pace.took_ns = pace.walked_ns = pace.links = 0;
}

/* Until the next look is due, or it is `until_ns`, or the bell rings. Returns what time it is. */
static uint64_t wait_for_next(uint64_t until_ns, _Atomic uint32_t *bell, uint32_t rung)
{
	uint64_t end_ns = due_ns < until_ns ? due_ns : until_ns, now_ns = ended_ns;

	while (now_ns < end_ns && pln_load_relaxed(bell) == rung) {
		if (period_ns >= SPIN_NS)
			sleep_on(bell, rung, end_ns - now_ns);
		else
			__builtin_ia32_pause();
		now_ns = pln_now_ns_sigsafe();
	}
	return now_ns;
}

bool pln_burst_until(uint64_t until_ns, _Atomic uint32_t *bell, uint32_t rung)
{
	uint64_t now_ns;

	if (!shared || pln_load_relaxed(&pln_segment->state) != PILLION_TARGET_SAMPLING ||
	    !pln_burst_walk_prepare()) {
		/* What passes now is not covered, nor is what runs meanwhile. */
		if (shared && last_ns) {
			pln_burst_window_close();
			pln_burst_owed_stop_sharing();
		}
		last_ns = 0;
		return false;
	}
	ended_ns = pln_now_ns_sigsafe();
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
	pln_burst_owed_settle(now_ns);
	set_pace();
	return true;
}
