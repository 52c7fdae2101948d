/* SPDX-License-Identifier: MIT */
/*
 * trial.c - tells whether a stack goes on well from a supposed frame.
 *
 * A wrong guess puts the next return address at a wrong place, and a few frames later
 * at the latest there is a word that no call returns to. So guesses are walked on for
 * some frames, by tables alone, before they are believed.
 * Context: handler or sampling thread, on the rare path of guesses.
 */
#include "native/walk_i.h"

#define TRIAL_FRAMES 8
#define LOWEST_TEXT 4096

/* What one more frame says: go on, or the verdict. */
enum verdict { GOES_ON, HOLDS, FAILS };

static enum verdict judge_sigsafe(struct pln_walker *w)
{
	struct pln_row row;

	if (w->regs.pc < LOWEST_TEXT || w->regs.pc - w->stack->lo < w->stack->hi - w->stack->lo)
		return FAILS;
	if (pln_rows_find_sigsafe(w, w->regs.pc - 1, &row) != PLN_LOOKUP_ROW)
		row.kind = PLN_ROW_ANONYMOUS;
	if (pln_row_kind_sigsafe(row) == PLN_ROW_SIGNAL)
		return HOLDS;
	if (pln_call_before_sigsafe(w, w->regs.pc) == PLN_CALL_NONE)
		return FAILS;
	/* The root, or where tables do not lead on: nothing speaks against it. */
	if (!pln_row_is_function_sigsafe(row) || pln_row_kind_sigsafe(row) == PLN_ROW_END ||
	    pln_row_kind_sigsafe(row) == PLN_ROW_UNSUPPORTED || !pln_walk_has_base_sigsafe(w, row))
		return HOLDS;
	return pln_walk_by_row_sigsafe(w, row) ? GOES_ON : FAILS;
}

bool pln_trial_holds_sigsafe(const struct pln_walker *from, const struct pln_regs *regs)
{
	struct pln_walker w = *from;
	enum verdict verdict = GOES_ON;

	w.regs = *regs;
	for (unsigned i = 0; i < TRIAL_FRAMES && verdict == GOES_ON; i++)
		verdict = judge_sigsafe(&w);
	return verdict != FAILS;
}
