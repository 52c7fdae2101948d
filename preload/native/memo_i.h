/* SPDX-License-Identifier: MIT */
/*
 * memo_i.h - the rows of the last walk of a stack, in its order.
 *
 * A sampled stack shares most of its outer frames with the sample before. Rows of equal
 * frames are found here one behind the other, where the shared cache would give one
 * cache miss per frame; and since the next row then does not depend on the return
 * address just loaded but for a branch that is predicted, the loads of the stack
 * overlap too. A memo only spares lookups: a row is taken from it for the very pc that
 * it was found for, so nothing about the stack itself is believed.
 */
#ifndef PILLION_PRELOAD_NATIVE_MEMO_I_H
#define PILLION_PRELOAD_NATIVE_MEMO_I_H

#include <stdbool.h>
#include <stdint.h>

#include "native/table_i.h"

#define PLN_MEMO_FRAMES 256

struct pln_memo_frame {
	uint64_t pc; /* the address that was looked up */
	uint32_t depth; /* from the stack's top down to sp; falls from frame to frame */
	uint32_t rules; /* pln_row_pack_sigsafe() */
};

struct pln_memo;

/* One walk's use of a memo: it reads what the last walk left, and leaves its own. */
struct pln_memo_use {
	struct pln_memo *memo; /* NULL: none is to be had */
	const struct pln_memo_frame *old; /* next frame of the last walk */
	const struct pln_memo_frame *old_end;
	struct pln_memo_frame *new;
	struct pln_memo_frame *new_end;
};

/* Starts to load the memo that will be taken. */
void pln_memo_prefetch_sigsafe(uintptr_t top);
/* `top` tells stacks apart, `epoch` is that of the module set. */
void pln_memo_take_sigsafe(uintptr_t top, uint32_t epoch, struct pln_memo_use *use);
void pln_memo_give_back_sigsafe(struct pln_memo_use *use);
/* In a forked child: those in use by other threads of the parent are free again. */
void pln_memo_after_fork(void);

static inline uint32_t pln_row_pack_sigsafe(struct pln_row row)
{
	return (uint32_t)row.cfa << 16 | (uint32_t)(uint8_t)row.rbp << 8 | row.kind;
}

static inline struct pln_row pln_row_unpack_sigsafe(uint32_t rules)
{
	return (struct pln_row){ .cfa = (uint16_t)(rules >> 16),
				 .rbp = (int8_t)(rules >> 8),
				 .kind = (uint8_t)rules };
}

static inline bool pln_memo_recall_sigsafe(struct pln_memo_use *use, uint32_t depth, uint64_t pc,
					   struct pln_row *row)
{
	while (use->old < use->old_end && use->old->depth > depth)
		use->old++;
	if (use->old == use->old_end || use->old->depth != depth || use->old->pc != pc)
		return false;
	*row = pln_row_unpack_sigsafe(use->old->rules);
	return true;
}

static inline void pln_memo_note_sigsafe(struct pln_memo_use *use, uint32_t depth, uint64_t pc,
					 struct pln_row row)
{
	if (use->new < use->new_end)
		*use->new ++ = (struct pln_memo_frame){ pc, depth, pln_row_pack_sigsafe(row) };
}

#endif
