/* SPDX-License-Identifier: MIT */
/*
 * walk_i.h - the state of one walk, and what its helpers do with it.
 *
 * Context of everything here: handler or sampling thread, between entering and leaving
 * the module set.
 */
#ifndef PILLION_PRELOAD_NATIVE_WALK_I_H
#define PILLION_PRELOAD_NATIVE_WALK_I_H

#include <string.h>

#include "native/memo_i.h"
#include "native/module_set_i.h"
#include "native/native.h"

struct pln_walker {
	const struct pln_stack *stack;
	uintptr_t floor; /* lowest address of the stack that may be read */
	struct pln_module_set *set;
	struct pln_module_view *view; /* where the last pc was found: the next is often near */
	struct pln_regs regs; /* of the frame that is stepped out of */
	struct pln_memo_use memo;
	uintptr_t bp_hint; /* rbp before code that may have changed it; 0: none */
	bool exact; /* regs.pc is the instruction itself, not a return address */
	bool guessed; /* the frame that regs now describe was found by guessing */
};

/* The stack's word at addr; false when it lies outside. */
static inline bool pln_walker_load_sigsafe(const struct pln_walker *w, uintptr_t addr,
					   uintptr_t *word)
{
	const struct pln_stack *stack = w->stack;

	if (addr < w->floor || addr > stack->hi - sizeof(*word) || (addr & 7))
		return false;
	memcpy(word, stack->bytes + (addr - stack->lo), sizeof(*word));
	return true;
}

/* A CFA must lie outwards of sp: so every walk ends. */
static inline bool pln_walker_cfa_is_good_sigsafe(const struct pln_walker *w, uintptr_t cfa)
{
	return cfa > w->regs.sp && cfa <= w->stack->hi && !(cfa & 7);
}

/* ---------------------------------------------------------------- rows.c */

enum pln_lookup {
	PLN_LOOKUP_ROW,
	PLN_LOOKUP_NO_TABLE, /* not built yet */
	PLN_LOOKUP_HOPELESS, /* a module whose table could not be built */
	PLN_LOOKUP_NO_MODULE
};

/* The row of the instruction at pc; its pc field is not filled. Also gaps and PLN_ROW_ANONYMOUS. */
enum pln_lookup pln_rows_find_sigsafe(struct pln_walker *w, uintptr_t pc, struct pln_row *row);

/* Starts to load what finding pc's row will need. */
void pln_rows_prefetch_sigsafe(uintptr_t pc);

/* Where the function around pc starts. */
bool pln_rows_function_start_sigsafe(struct pln_walker *w, uintptr_t pc, uintptr_t *start);

/* The cache itself, for what was found out otherwise. It forgets when modules change. */
void pln_rows_remember_sigsafe(struct pln_walker *w, uintptr_t pc, struct pln_row row);
bool pln_rows_recall_sigsafe(const struct pln_walker *w, uintptr_t pc, struct pln_row *row);

/* ------------------------------------------------------------ callsite.c */

enum pln_call {
	PLN_CALL_NONE = 0, /* no call ends at the address */
	PLN_CALL_INDIRECT = 1, /* anything may have been called */
	PLN_CALL_TO_UNKNOWN =
		2, /* a direct call to code without rows, or to a stub that jumps on */
	PLN_CALL_TO_FUNCTION = 3 /* a direct call to a function that has rows */
};

/* What call, if any, returns to `ra`. Reads text by checked reads, and remembers. */
enum pln_call pln_call_before_sigsafe(struct pln_walker *w, uintptr_t ra);

/* Whether a direct call of `function`, which has rows, returns to `ra`. */
bool pln_call_is_to_sigsafe(struct pln_walker *w, uintptr_t ra, uintptr_t function);

/* --------------------------------------------------------------- guess.c */

/*
 * Steps out of code without unwind information: fills *next with the caller's
 * registers. Returns false when nothing plausible is found.
 */
bool pln_guess_gap_sigsafe(struct pln_walker *w, struct pln_regs *next);

/* The rule at the return address `pc` into a trampoline that CPython made, known by its bytes. */
bool pln_guess_trampoline_sigsafe(uintptr_t pc, struct pln_row *row);

/* As for gaps, for a pc that is in no module: a JIT's, or a module not known yet. */
bool pln_guess_anonymous_sigsafe(struct pln_walker *w, struct pln_regs *next);

/* ------------------------------------------------------- frame_pointer.c */

/*
 * Finds rbp for a row whose CFA needs it and puts it into w->regs. False: not found, or
 * it is another register that is not known.
 */
bool pln_frame_pointer_find_sigsafe(struct pln_walker *w, struct pln_row row);

/* --------------------------------------------------------------- walk.c */

/* Whether the register that the row's CFA counts from is known. */
bool pln_walk_has_base_sigsafe(const struct pln_walker *w, struct pln_row row);

/* Steps out by a row from RSP to PLT, whose base is known. False: the stack does not allow it. */
bool pln_walk_by_row_sigsafe(struct pln_walker *w, struct pln_row row);

/* --------------------------------------------------------------- trial.c */

/* Whether a caller with these registers (pc a return address) fits the stack above it. */
bool pln_trial_holds_sigsafe(const struct pln_walker *from, const struct pln_regs *regs);

#endif
