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

/*
 * How well a supposed return address fits the function, best first. `chained`: the saved
 * rbp points outwards, as where callers have frame pointers too. A direct call of another
 * function (`any`) may have led here too, by a jump.
 */
enum fit { FIT_CALLS_US, FIT_POSSIBLE_CHAINED, FIT_POSSIBLE, FIT_ANY_CHAINED, FIT_ANY, FIT_NONE };

/* A search for the frame pointer: what it needs, and the best that it has found. */
struct search {
	struct pln_walker *w;
	struct pln_row row;
	uintptr_t start; /* of the function */
	uintptr_t bp;
	enum fit fit;
};

static bool is_chained_sigsafe(const struct pln_walker *w, uintptr_t bp)
{
	uintptr_t saved;

	return pln_walker_load_sigsafe(w, bp, &saved) && saved > bp && saved < w->stack->hi &&
	       !(saved & 7);
}

static enum fit fit_sigsafe(const struct search *s, uintptr_t ra, uintptr_t bp)
{
	bool chained = is_chained_sigsafe(s->w, bp);

	if (pln_call_is_to_sigsafe(s->w, ra, s->start))
		return FIT_CALLS_US;
	if (pln_call_before_sigsafe(s->w, ra) == PLN_CALL_TO_FUNCTION)
		return chained ? FIT_ANY_CHAINED : FIT_ANY;
	return chained ? FIT_POSSIBLE_CHAINED : FIT_POSSIBLE;
}

/* Cheap, and sorts out nearly all words that are no return address. */
static bool is_in_function_sigsafe(struct pln_walker *w, uintptr_t ra)
{
	struct pln_row row;

	return ra && pln_rows_find_sigsafe(w, ra - 1, &row) == PLN_LOOKUP_ROW &&
	       pln_row_is_function_sigsafe(row);
}

/* Keeps `bp` if it makes sense and fits better than what there is. */
static void consider_sigsafe(struct search *s, uintptr_t bp, bool anywhere)
{
	struct pln_walker tried = *s->w;
	enum fit fit;

	tried.regs.bp = bp;
	tried.regs.known |= PLN_REG_BP;
	if (bp < s->w->regs.sp || !pln_walk_by_row_sigsafe(&tried, s->row))
		return;
	if (!anywhere && !is_in_function_sigsafe(s->w, tried.regs.pc))
		return;
	if (!pln_trial_holds_sigsafe(&tried, &tried.regs))
		return;
	fit = fit_sigsafe(s, tried.regs.pc, bp);
	if (fit >= s->fit)
		return;
	s->fit = fit;
	s->bp = bp;
}

/* The newest distance first: the thread is behind the prologue as a rule. */
static void try_prologue_sigsafe(struct search *s)
{
	uint8_t text[PLN_PROLOGUE_BYTES + PLN_PROLOGUE_PADDING] = { 0 };
	struct pln_prologue prologue = { .count = 0 };
	size_t size = s->w->regs.pc - s->start;

	if (size > PLN_PROLOGUE_BYTES)
		size = PLN_PROLOGUE_BYTES;
	if (!pln_checked_read_sigsafe(s->start, text, size))
		return;
	pln_prologue_read_sigsafe(text, size, &prologue);
	while (prologue.count && s->fit > FIT_POSSIBLE)
		consider_sigsafe(s, s->w->regs.sp + prologue.distances[--prologue.count], true);
}

/* A saved rbp and a return address, one behind the other; the nearest of those that fit best. */
static void try_stack_sigsafe(struct search *s)
{
	for (unsigned i = 0; i < WORDS_TO_SEARCH && s->fit != FIT_CALLS_US; i++)
		consider_sigsafe(s, s->w->regs.sp + 8 * i, false);
}

static bool take_sigsafe(struct search *s)
{
	struct pln_walker *w = s->w;

	if (s->fit == FIT_NONE)
		return false;
	w->regs.bp = s->bp;
	w->regs.known |= PLN_REG_BP;
	w->bp_hint = 0;
	return true;
}

bool pln_frame_pointer_find_sigsafe(struct pln_walker *w, struct pln_row row)
{
	struct search search = { .w = w, .row = row, .fit = FIT_NONE };
	struct search by_stack;

	if (w->regs.known & PLN_REG_BP || (pln_row_kind_sigsafe(row) != PLN_ROW_RBP &&
					   pln_row_kind_sigsafe(row) != PLN_ROW_RBP_DEREF))
		return false;
	if (!pln_rows_function_start_sigsafe(w, w->regs.pc - !w->exact, &search.start))
		return false;
	if (w->bp_hint)
		consider_sigsafe(&search, w->bp_hint, true);
	try_prologue_sigsafe(&search);
	if (search.fit <= FIT_POSSIBLE)
		return take_sigsafe(&search);
	w->guessed = true;
	by_stack = search;
	by_stack.fit = FIT_NONE;
	try_stack_sigsafe(&by_stack);
	/* Against what a prologue says, only the proof of a direct call counts. */
	if (search.fit == FIT_NONE || by_stack.fit == FIT_CALLS_US)
		return take_sigsafe(&by_stack);
	return take_sigsafe(&search);
}
