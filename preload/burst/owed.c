/* SPDX-License-Identifier: MIT */
/*
 * owed.c - the time of looks, until a whole stack takes it.
 *
 * Where the program changes fastest, looks hold least. If the time of one that does not hold
 * went to whatever holds next, short calls would lose theirs to long ones, however many looks
 * there are. But what a look reads first, which code runs at which instruction, was true at
 * nearly one moment, whether the rest holds or not. To that the time is owed, and the next
 * whole stack that is like it takes all of it:
 *
 *   look       whole?   is owed 1   takes
 *   f at 8     no       f at 8
 *   g at 4     yes      g at 4      1
 *   f at 8     yes      f at 8      2
 *
 * So each whole stack weighs as much as one in so many looks like it holds, and what runs
 * innermost has its share of all looks, whole or torn. What is not taken for a while may be
 * taken by any whole stack of the same code object; what is left in the end was never seen
 * whole, and is told as that: it is in no stack.
 *
 * What a thread ran while we had no CPU to look from is owed to no code object: on a crowded
 * machine a thread is mostly taken off its CPU, and seen again, in a few places. All its whole
 * stacks share it, each by what it weighs itself, over the next milliseconds. If there are no
 * more of them, the last one has what is left.
 */
#include "burst_i.h"

#include <string.h>

#define DEBTS (1u << 14)
#define SETTLE_NS 100000000 /* what is taken at all mostly is within a few looks */
#define ANYWHERE (1ull << 63) /* no instruction, neither pointer nor index */
#define SHARED 1 /* no code object: what all stacks of a thread share */
#define SPREAD_NS 2000000 /* whole stacks of so much take what is shared, but for 1/e of it */
#define CRUMB_NS 10000 /* so little is not shared any further */

struct debt {
	uintptr_t code;
	uint64_t instr; /* or ANYWHERE */
	uint64_t cpu_ns;
	uint64_t wait_ns;
	uint32_t thread; /* serial */
	uint32_t cell; /* of SHARED: the last one that took some, plus 1 */
	uint16_t anywhere; /* the debt to the same code object; 0: not looked up yet */
	bool taken; /* since pln_burst_owed_settle() */
};

static struct debt debts[DEBTS]; /* from 1 on */
static uint16_t debts_at[2 * DEBTS]; /* by content; 0: none */
static uint32_t count = 1;
static uint64_t total_ns, settled_ns;
static uint64_t shared_ns; /* of total_ns: what whole stacks share */

void pln_burst_owed_reset(void)
{
	memset(debts_at, 0, sizeof(debts_at));
	count = 1;
	total_ns = settled_ns = shared_ns = 0;
}

uint64_t pln_burst_owed_ns(void)
{
	return total_ns;
}

/* 0: no room. */
static uint32_t find(uint32_t thread, uintptr_t code, uint64_t instr)
{
	uint64_t hash =
		((code >> 3 ^ instr) * 0x9e3779b97f4a7c15ull ^ thread) * 0xc2b2ae3d27d4eb4full;
	uint32_t mask = 2 * DEBTS - 1, i = (uint32_t)(hash >> 40) & mask;

	for (; debts_at[i]; i = (i + 1) & mask) {
		const struct debt *d = &debts[debts_at[i]];

		if (d->code == code && d->instr == instr && d->thread == thread)
			return debts_at[i];
	}
	if (count == DEBTS)
		return 0;
	debts[count] = (struct debt){ .code = code, .instr = instr, .thread = thread };
	debts_at[i] = (uint16_t)count;
	return count++;
}

uint32_t pln_burst_owed_find(uint32_t thread, const struct pln_burst_step *innermost)
{
	uint32_t debt = find(thread, innermost->code, innermost->instr), anywhere;

	if (!debt || debts[debt].anywhere)
		return debt;
	anywhere = find(thread, innermost->code, ANYWHERE);
	debts[debt].anywhere = (uint16_t)anywhere;
	return anywhere ? debt : 0;
}

void pln_burst_owed_add(uint32_t debt, uint64_t cpu_ns, uint64_t wait_ns)
{
	debts[debt].cpu_ns += cpu_ns;
	debts[debt].wait_ns += wait_ns;
	total_ns += cpu_ns + wait_ns;
}

static void move(struct debt *from, uint64_t *cpu_ns, uint64_t *wait_ns)
{
	*cpu_ns += from->cpu_ns;
	*wait_ns += from->wait_ns;
	from->cpu_ns = from->wait_ns = 0;
}

void pln_burst_owed_take(uint32_t debt, uint64_t *cpu_ns, uint64_t *wait_ns)
{
	struct debt *d = &debts[debt];

	*cpu_ns = *wait_ns = 0;
	move(d, cpu_ns, wait_ns);
	move(&debts[d->anywhere], cpu_ns, wait_ns);
	d->taken = true;
	total_ns -= *cpu_ns + *wait_ns;
}

uint32_t pln_burst_owed_find_shared(uint32_t thread, bool far)
{
	return far || shared_ns ? find(thread, SHARED, ANYWHERE) : 0;
}

void pln_burst_owed_add_shared(uint32_t debt, uint64_t cpu_ns)
{
	pln_burst_owed_add(debt, cpu_ns, 0);
	shared_ns += cpu_ns;
}

uint64_t pln_burst_owed_take_share(uint32_t debt, uint32_t cell, uint64_t ran_ns)
{
	struct debt *d = &debts[debt];
	uint64_t share_ns = d->cpu_ns;

	if (!debt || !ran_ns)
		return 0;
	if (ran_ns < SPREAD_NS && share_ns > CRUMB_NS)
		share_ns = (uint64_t)((unsigned __int128)share_ns * ran_ns / SPREAD_NS);
	d->taken = true;
	d->cell = cell + 1;
	d->cpu_ns -= share_ns;
	shared_ns -= share_ns;
	total_ns -= share_ns;
	return share_ns;
}

/* `d` is a copy: it comes to lie before where it was, or there. */
static void keep(struct debt d)
{
	uint32_t kept;

	if (!d.cpu_ns && !d.wait_ns)
		return;
	kept = find(d.thread, d.code, d.taken ? d.instr : ANYWHERE);
	debts[kept].cpu_ns += d.cpu_ns;
	debts[kept].wait_ns += d.wait_ns;
	debts[kept].cell = d.cell;
}

/* The thread is not seen any more: its last stack has it. */
static bool is_left_over(const struct debt *d)
{
	return d->code == SHARED && !d->taken && d->cell;
}

static void give_left_over(struct debt *d)
{
	pln_burst_table_give(d->cell - 1, d->cpu_ns);
	total_ns -= d->cpu_ns;
	shared_ns -= d->cpu_ns;
	d->cpu_ns = 0;
}

/* What runs later is another thing. Without any whole stack so far, it is in none. */
void pln_burst_owed_stop_sharing(void)
{
	for (uint32_t i = 1; i < count; i++) {
		if (debts[i].code != SHARED)
			continue;
		if (debts[i].cell)
			give_left_over(&debts[i]);
		shared_ns -= debts[i].cpu_ns;
		debts[i].cpu_ns = 0;
	}
}

/* Makes room, too: nothing is kept where nothing is owed. */
void pln_burst_owed_settle(uint64_t now_ns)
{
	uint32_t had = count;

	if (now_ns - settled_ns < SETTLE_NS && count < DEBTS / 2)
		return;
	settled_ns = now_ns;
	memset(debts_at, 0, sizeof(debts_at));
	count = 1;
	for (uint32_t i = 1; i < had; i++) {
		if (is_left_over(&debts[i]))
			give_left_over(&debts[i]);
		keep(debts[i]);
	}
}
