/* SPDX-License-Identifier: MIT */
/*
 * memo.c - hands out memos, one walk at a time.
 *
 * There are as many memos as threads are likely to be busy; stacks that share one only
 * make each other's walks slower. A walk that finds its memo in use does without.
 * Context: handler or sampling thread.
 */
#include "native/memo_i.h"

#include <pillion/atomic.h>

#define MEMOS 64
/* Cache lines of each half: the processor itself sees the rest coming. */
#define PREFETCHED 4

/* Two halves: one is read while the other is written. */
struct pln_memo {
	_Alignas(64) _Atomic bool taken;
	uint8_t current; /* the half that the last walk wrote */
	uint32_t epoch;
	uint32_t count;
	uintptr_t top;
	_Alignas(64) struct pln_memo_frame frames[2][PLN_MEMO_FRAMES];
};

static struct pln_memo memos[MEMOS];

/* Stacks lie some pages apart. */
static struct pln_memo *memo_of_sigsafe(uintptr_t top)
{
	return &memos[(top >> 12) % MEMOS];
}

PLN_HOT void pln_memo_prefetch_sigsafe(uintptr_t top)
{
	struct pln_memo *memo = memo_of_sigsafe(top);

	__builtin_prefetch(memo, 1);
	for (unsigned i = 0; i < PREFETCHED; i++) {
		__builtin_prefetch((char *)memo->frames[0] + 64 * i, 1);
		__builtin_prefetch((char *)memo->frames[1] + 64 * i, 1);
	}
}

PLN_HOT void pln_memo_take_sigsafe(uintptr_t top, uint32_t epoch, struct pln_memo_use *use)
{
	struct pln_memo *memo = memo_of_sigsafe(top);
	const struct pln_memo_frame *old;

	*use = (struct pln_memo_use){ .memo = NULL };
	/* acquire: pairs with giving back; the memo is ours alone until then */
	if (pln_swap_acquire(&memo->taken, true))
		return;
	old = memo->frames[memo->current];
	use->memo = memo;
	use->old = use->old_end = old;
	if (memo->top == top && memo->epoch == epoch)
		use->old_end = old + memo->count;
	memo->top = top;
	memo->epoch = epoch;
	use->new = memo->frames[!memo->current];
	use->new_end = use->new + PLN_MEMO_FRAMES;
}

PLN_HOT void pln_memo_give_back_sigsafe(struct pln_memo_use *use)
{
	struct pln_memo *memo = use->memo;

	if (!memo)
		return;
	memo->current = !memo->current;
	memo->count = (uint32_t)(use->new - memo->frames[memo->current]);
	pln_store_release(&memo->taken, false);
}

void pln_memo_after_fork(void)
{
	/* A page that is not written is not copied. */
	for (unsigned i = 0; i < MEMOS; i++)
		if (pln_load_relaxed(&memos[i].taken))
			pln_store_relaxed(&memos[i].taken, false);
}
