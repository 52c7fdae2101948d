/* SPDX-License-Identifier: MIT */
/*
 * guess.c - crosses code that has no unwind information.
 *
 * Hand-written assembly (half of the samples of a matrix product are in such code),
 * and code that a program makes at run time. The stack is searched for a return
 * address: a word that points behind a call instruction, into a function with rows.
 * Dead words of earlier calls look the same; a word whose direct call leads to a
 * function with rows cannot have led here, and is taken only when there is no better.
 * Everything found so is marked as guessed.
 */
#include "native/walk_i.h"

#include "checked_read.h"

/* Words to look at: from a register that ought to point at the frame, and from sp. */
#define WORDS_FROM_REGISTER 16
#define WORDS_FROM_SP 256
#define LOWEST_TEXT 4096

/* Whether `word` returns into a function with rows, by a call as good as asked for. */
static bool is_return_sigsafe(struct pln_walker *w, uintptr_t word, bool strict)
{
	struct pln_row row;
	enum pln_call call;

	if (word < LOWEST_TEXT || pln_rows_find_sigsafe(w, word - 1, &row) != PLN_LOOKUP_ROW ||
	    !pln_row_is_function_sigsafe(row))
		return false;
	call = pln_call_before_sigsafe(w, word);
	return call != PLN_CALL_NONE && !(strict && call == PLN_CALL_TO_FUNCTION);
}

/* Whether the stack goes on well behind a return address at `at`. */
static bool leads_on_sigsafe(const struct pln_walker *w, uintptr_t at, uintptr_t word)
{
	struct pln_regs regs = { .pc = word, .sp = at + 8 };

	return pln_trial_holds_sigsafe(w, &regs);
}

/* Address of the first return address from `from` on, 0: none. */
static uintptr_t search_sigsafe(struct pln_walker *w, uintptr_t from, unsigned words, bool strict)
{
	uintptr_t word;

	for (unsigned i = 0; i < words; i++) {
		if (!pln_walker_load_sigsafe(w, from + 8 * i, &word))
			return 0;
		if (is_return_sigsafe(w, word, strict) && leads_on_sigsafe(w, from + 8 * i, word))
			return from + 8 * i;
	}
	return 0;
}

static uintptr_t search_register_sigsafe(struct pln_walker *w, unsigned known, uintptr_t value,
					 bool strict)
{
	if (!(w->regs.known & known) || value <= w->regs.sp)
		return 0;
	return search_sigsafe(w, value, WORDS_FROM_REGISTER, strict);
}

/* A frameless function: its return address is on top, and tells by itself who was called. */
static bool top_is_proof_sigsafe(struct pln_walker *w)
{
	uintptr_t word;

	return pln_walker_load_sigsafe(w, w->regs.sp, &word) && is_return_sigsafe(w, word, true) &&
	       pln_call_before_sigsafe(w, word) == PLN_CALL_TO_UNKNOWN;
}

/* Assembly that realigns its stack keeps the old one in rbx (OpenBLAS) or in rbp. */
static uintptr_t search_all_sigsafe(struct pln_walker *w, bool strict)
{
	uintptr_t at = search_register_sigsafe(w, PLN_REG_BX, w->regs.bx, strict);

	if (!at)
		at = search_register_sigsafe(w, PLN_REG_BP, w->regs.bp, strict);
	if (!at)
		at = search_sigsafe(w, w->regs.sp, WORDS_FROM_SP, strict);
	return at;
}

/* The caller's registers, when its return address is at `at`. */
static bool leave_by_sigsafe(struct pln_walker *w, uintptr_t at, struct pln_regs *next)
{
	if (!at || !pln_walker_load_sigsafe(w, at, &next->pc))
		return false;
	next->sp = at + 8;
	next->known = 0;
	/* Assembly may have saved rbp anywhere, or may not have touched it. */
	w->bp_hint = w->regs.known & PLN_REG_BP ? w->regs.bp : 0;
	if (w->bp_hint + 8 == at && pln_walker_load_sigsafe(w, w->bp_hint, &next->bp))
		w->bp_hint = next->bp;
	w->guessed = true;
	return true;
}

bool pln_guess_gap_sigsafe(struct pln_walker *w, struct pln_regs *next)
{
	uintptr_t at = w->regs.sp;

	if (!top_is_proof_sigsafe(w))
		at = search_all_sigsafe(w, true);
	if (!at)
		at = search_all_sigsafe(w, false);
	return leave_by_sigsafe(w, at, next);
}

/*
 * The trampolines that CPython makes with -X perf have no tables, but two known
 * shapes. Their return address is behind `call *%rcx`.
 */
bool pln_guess_trampoline_sigsafe(uintptr_t pc, struct pln_row *row)
{
	/* 3.12, 3.13: sub $8,%rsp; call *%rcx; add $8,%rsp; ret */
	static const uint8_t plain[] = { 0xff, 0xd1, 0x48, 0x83, 0xc4, 0x08, 0xc3 };
	/* 3.14 and later: push %rbp; mov %rsp,%rbp; call *%rcx; pop %rbp; ret */
	static const uint8_t framed[] = { 0xff, 0xd1, 0x5d, 0xc3 };
	uint8_t text[sizeof(plain)];

	if (!pln_checked_read_works_sigsafe() ||
	    !pln_checked_read_sigsafe(pc - 2, text, sizeof(text)))
		return false;
	*row = (struct pln_row){ .cfa = 2, .rbp = PLN_ROW_RBP_SAME, .kind = PLN_ROW_RSP };
	if (!memcmp(text, plain, sizeof(plain)))
		return true;
	row->rbp = -2;
	return !memcmp(text, framed, sizeof(framed));
}

/* Code with frame pointers: the caller's rbp and the return address are where rbp points. */
static bool follow_bp_sigsafe(struct pln_walker *w, struct pln_regs *next)
{
	uintptr_t bp = w->regs.bp, ra, saved;

	if (!(w->regs.known & PLN_REG_BP) || bp < w->regs.sp ||
	    !pln_walker_load_sigsafe(w, bp, &saved) || !pln_walker_load_sigsafe(w, bp + 8, &ra) ||
	    pln_call_before_sigsafe(w, ra) == PLN_CALL_NONE)
		return false;
	*next = (struct pln_regs){ .pc = ra, .sp = bp + 16, .bp = saved, .known = PLN_REG_BP };
	w->guessed = true;
	return true;
}

bool pln_guess_anonymous_sigsafe(struct pln_walker *w, struct pln_regs *next)
{
	uintptr_t at;

	/* A caller in no module must at least end in a call; else the stack is garbage. */
	if (!w->exact && pln_call_before_sigsafe(w, w->regs.pc) == PLN_CALL_NONE)
		return false;
	if (follow_bp_sigsafe(w, next))
		return true;
	at = search_sigsafe(w, w->regs.sp, WORDS_FROM_SP, true);
	if (!at)
		at = search_sigsafe(w, w->regs.sp, WORDS_FROM_SP, false);
	return leave_by_sigsafe(w, at, next);
}
