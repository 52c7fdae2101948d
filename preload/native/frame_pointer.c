/* SPDX-License-Identifier: MIT */
/*
 * frame_pointer.c - finds the frame pointer of a function when nobody has kept rbp.
 *
 * The kernel tells sp and pc of a blocked thread, not rbp. Where a function with a frame
 * pointer stands between, its rbp follows from sp and from what its prologue pushed
 * below. Where no prologue can be read (cold parts of split functions, frames of variable
 * size), the stack is searched for a pair of saved rbp and return address. Either is
 * believed only when the frames above make sense.
 * Context: handler or sampling thread; rare, so it may take checked reads of text.
 */
#include "native/walk_i.h"

#include "checked_read.h"
#include "native/prologue_i.h"

#define WORDS_TO_SEARCH 1024

/* Steps out of the frame that rbp = `bp` would mean, if there can be one. */
static bool try_sigsafe(const struct pln_walker *w, struct pln_row row, uintptr_t bp,
			struct pln_walker *tried)
{
	*tried = *w;
	tried->regs.bp = bp;
	tried->regs.known |= PLN_REG_BP;
	return bp >= w->regs.sp && pln_walk_by_row_sigsafe(tried, row);
}

/* Whether rbp = `bp` makes sense. */
static bool holds_sigsafe(const struct pln_walker *w, struct pln_row row, uintptr_t bp)
{
	struct pln_walker tried;

	return try_sigsafe(w, row, bp, &tried) && pln_trial_holds_sigsafe(&tried, &tried.regs);
}

static bool take_sigsafe(struct pln_walker *w, uintptr_t bp)
{
	w->regs.bp = bp;
	w->regs.known |= PLN_REG_BP;
	w->bp_hint = 0;
	return true;
}

static void read_own_prologue_sigsafe(const struct pln_walker *w, uintptr_t start,
				      struct pln_prologue *prologue)
{
	uint8_t text[PLN_PROLOGUE_BYTES + PLN_PROLOGUE_PADDING] = { 0 };
	size_t size = w->regs.pc - start;

	if (size > PLN_PROLOGUE_BYTES)
		size = PLN_PROLOGUE_BYTES;
	if (pln_checked_read_sigsafe(start, text, size))
		pln_prologue_read_sigsafe(text, size, prologue);
}

/* The newest distance first: the thread is behind the prologue as a rule. */
static bool find_by_prologue_sigsafe(struct pln_walker *w, struct pln_row row, uintptr_t start)
{
	struct pln_prologue prologue = { .count = 0 };

	read_own_prologue_sigsafe(w, start, &prologue);
	while (prologue.count) {
		uintptr_t bp = w->regs.sp + prologue.distances[--prologue.count];

		if (holds_sigsafe(w, row, bp))
			return take_sigsafe(w, bp);
	}
	return false;
}

/*
 * How well a supposed return address fits the function, best first. A direct call of
 * another function may have led here too, by a jump.
 */
enum fit { FIT_CALLS_US, FIT_POSSIBLE_CHAINED, FIT_POSSIBLE, FIT_ANY_CHAINED, FIT_ANY, FIT_NONE };

/* `chained`: the saved rbp points outwards, as where callers have frame pointers too. */
static enum fit fit_sigsafe(struct pln_walker *w, uintptr_t ra, uintptr_t start, bool chained)
{
	if (pln_call_is_to_sigsafe(w, ra, start))
		return FIT_CALLS_US;
	if (pln_call_before_sigsafe(w, ra) == PLN_CALL_TO_FUNCTION)
		return chained ? FIT_ANY_CHAINED : FIT_ANY;
	return chained ? FIT_POSSIBLE_CHAINED : FIT_POSSIBLE;
}

static bool is_chained_sigsafe(const struct pln_walker *w, uintptr_t bp)
{
	uintptr_t saved;

	return pln_walker_load_sigsafe(w, bp, &saved) && saved > bp && saved < w->stack->hi &&
	       !(saved & 7);
}

/* Cheap, and sorts out nearly all words that are no return address. */
static bool is_in_function_sigsafe(struct pln_walker *w, uintptr_t ra)
{
	struct pln_row row;

	return ra && pln_rows_find_sigsafe(w, ra - 1, &row) == PLN_LOOKUP_ROW &&
	       pln_row_is_function_sigsafe(row);
}

/* A saved rbp and a return address, one behind the other: the nearest of those that fit best. */
static bool search_stack_sigsafe(struct pln_walker *w, struct pln_row row, uintptr_t start)
{
	struct pln_walker tried;
	enum fit best = FIT_NONE;
	uintptr_t found = 0;

	for (unsigned i = 0; i < WORDS_TO_SEARCH && best != FIT_CALLS_US; i++) {
		uintptr_t bp = w->regs.sp + 8 * i;
		enum fit fit;

		if (!try_sigsafe(w, row, bp, &tried) || !is_in_function_sigsafe(w, tried.regs.pc))
			continue;
		fit = fit_sigsafe(w, tried.regs.pc, start, is_chained_sigsafe(w, bp));
		if (fit >= best || !pln_trial_holds_sigsafe(&tried, &tried.regs))
			continue;
		best = fit;
		found = bp;
	}
	return best != FIT_NONE && take_sigsafe(w, found);
}

bool pln_frame_pointer_find_sigsafe(struct pln_walker *w, struct pln_row row)
{
	uintptr_t start = 0;

	if (w->regs.known & PLN_REG_BP || (pln_row_kind_sigsafe(row) != PLN_ROW_RBP &&
					   pln_row_kind_sigsafe(row) != PLN_ROW_RBP_DEREF))
		return false;
	if (!pln_rows_function_start_sigsafe(w, w->regs.pc - !w->exact, &start))
		return false;
	if (w->bp_hint && holds_sigsafe(w, row, w->bp_hint))
		return take_sigsafe(w, w->bp_hint);
	if (find_by_prologue_sigsafe(w, row, start))
		return true;
	w->guessed = true;
	return search_stack_sigsafe(w, row, start);
}
