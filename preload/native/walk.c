/* SPDX-License-Identifier: MIT */
/*
 * walk.c - walks a native stack by compact unwind tables.
 *
 * Context: handler on the sampled thread, or the sampling thread on a copied stack. No
 * lock, no allocation; no system call but in guesses (guess.c, frame_pointer.c). Nothing is
 * read but the given stack, within its bounds, and our own tables: so a wrong table
 * gives a wrong or short stack, and never a fault. Every step moves outwards, so every
 * walk ends.
 */
#include "native/walk_i.h"

/* The interrupted context that the kernel puts at rsp: offsets in struct ucontext. */
#define UCONTEXT_R10 56
#define UCONTEXT_R11 64
#define UCONTEXT_RBP 120
#define UCONTEXT_RBX 128
#define UCONTEXT_RSP 160
#define UCONTEXT_RIP 168

/* Callees may keep data below sp, and tables may still name it: the red zone of the ABI. */
#define RED_ZONE 128
#define SMALLEST_STACK 64
#define PREFETCHED_FRAMES 64

/* Internal result: the step was made. */
#define STEPPED ((enum pln_walk_end)100)

static inline bool cfa_sigsafe(const struct pln_walker *w, struct pln_row row, uintptr_t *cfa)
{
	const struct pln_regs *regs = &w->regs;
	uintptr_t offset = (uintptr_t)(intptr_t)(int16_t)row.cfa;

	if (pln_row_kind_sigsafe(row) == PLN_ROW_RSP) { /* nine frames in ten */
		*cfa = regs->sp + 8ul * row.cfa;
		return true;
	}
	switch (pln_row_kind_sigsafe(row)) {
	case PLN_ROW_RBP:
		*cfa = regs->bp + 8ul * row.cfa;
		return true;
	case PLN_ROW_RBX:
		*cfa = regs->bx + 8ul * row.cfa;
		return true;
	case PLN_ROW_R10:
		*cfa = regs->r10 + 8ul * row.cfa;
		return true;
	case PLN_ROW_R11:
		*cfa = regs->r11 + 8ul * row.cfa;
		return true;
	case PLN_ROW_RBP_DEREF:
		return pln_walker_load_sigsafe(w, regs->bp + offset, cfa);
	case PLN_ROW_RSP_DEREF:
		if (!pln_walker_load_sigsafe(w, regs->sp + offset, cfa))
			return false;
		*cfa += 8;
		return true;
	case PLN_ROW_PLT:
		*cfa = regs->sp + ((regs->pc & 15) >= row.cfa ? 16 : 8);
		return true;
	default:
		return false;
	}
}

/*
 * A register saved at `at`. Where that is below sp and cannot be read, an epilogue has
 * popped it, and the register has its old value again though the table still names the
 * stack.
 */
static bool restore_sigsafe(const struct pln_walker *w, uintptr_t at, unsigned known, uintptr_t now,
			    uintptr_t *value)
{
	if (pln_walker_load_sigsafe(w, at, value))
		return true;
	*value = now;
	return at < w->regs.sp && (w->regs.known & known);
}

static bool restore_bp_sigsafe(const struct pln_walker *w, struct pln_row row, uintptr_t cfa,
			       struct pln_regs *next)
{
	uintptr_t at = cfa + (uintptr_t)(8l * row.rbp);

	if (row.rbp == PLN_ROW_RBP_SAME) {
		next->bp = w->regs.bp;
		return w->regs.known & PLN_REG_BP;
	}
	if (row.rbp == PLN_ROW_RBP_UNKNOWN)
		return false;
	if (row.rbp == PLN_ROW_RBP_AT_RBP) {
		if (!(w->regs.known & PLN_REG_BP))
			return false;
		at = w->regs.bp;
	}
	return restore_sigsafe(w, at, PLN_REG_BP, w->regs.bp, &next->bp);
}

static bool restore_bx_sigsafe(const struct pln_walker *w, struct pln_row row, uintptr_t cfa,
			       struct pln_regs *next)
{
	unsigned code = pln_row_rbx_sigsafe(row);

	if (code == PLN_ROW_RBX_SAME) {
		next->bx = w->regs.bx;
		return w->regs.known & PLN_REG_BX;
	}
	if (code == PLN_ROW_RBX_UNKNOWN)
		return false;
	return restore_sigsafe(w, cfa - 8ul * code, PLN_REG_BX, w->regs.bx, &next->bx);
}

/* Whether the register that the row's CFA counts from is known. */
PLN_HOT bool pln_walk_has_base_sigsafe(const struct pln_walker *w, struct pln_row row)
{
	if (pln_row_kind_sigsafe(row) == PLN_ROW_RSP)
		return true;
	switch (pln_row_kind_sigsafe(row)) {
	case PLN_ROW_RBX:
		return w->regs.known & PLN_REG_BX;
	case PLN_ROW_R10:
		return w->regs.known & PLN_REG_R10;
	case PLN_ROW_R11:
		return w->regs.known & PLN_REG_R11;
	case PLN_ROW_RBP:
	case PLN_ROW_RBP_DEREF:
		return w->regs.known & PLN_REG_BP;
	default:
		return true;
	}
}

PLN_HOT bool pln_walk_by_row_sigsafe(struct pln_walker *w, struct pln_row row)
{
	struct pln_regs next = { .known = 0 };
	uintptr_t cfa;

	if (!cfa_sigsafe(w, row, &cfa) || !pln_walker_cfa_is_good_sigsafe(w, cfa) ||
	    !pln_walker_load_sigsafe(w, cfa - 8, &next.pc))
		return false;
	next.sp = cfa;
	if (restore_bp_sigsafe(w, row, cfa, &next))
		next.known |= PLN_REG_BP;
	if (restore_bx_sigsafe(w, row, cfa, &next))
		next.known |= PLN_REG_BX;
	w->regs = next;
	w->exact = false;
	return true;
}

static PLN_HOT enum pln_walk_end step_by_row_sigsafe(struct pln_walker *w, struct pln_row row)
{
	if (!pln_walk_has_base_sigsafe(w, row) && !pln_frame_pointer_find_sigsafe(w, row))
		return PLN_WALK_NO_ROW;
	return pln_walk_by_row_sigsafe(w, row) ? STEPPED : PLN_WALK_BAD_STACK;
}

static enum pln_walk_end step_by_signal_frame_sigsafe(struct pln_walker *w)
{
	struct pln_regs next = { .known = PLN_REG_BP | PLN_REG_BX | PLN_REG_R10 | PLN_REG_R11 };
	uintptr_t sp = w->regs.sp;

	if (!pln_walker_load_sigsafe(w, sp + UCONTEXT_RIP, &next.pc) ||
	    !pln_walker_load_sigsafe(w, sp + UCONTEXT_RSP, &next.sp) ||
	    !pln_walker_load_sigsafe(w, sp + UCONTEXT_RBP, &next.bp) ||
	    !pln_walker_load_sigsafe(w, sp + UCONTEXT_RBX, &next.bx) ||
	    !pln_walker_load_sigsafe(w, sp + UCONTEXT_R10, &next.r10) ||
	    !pln_walker_load_sigsafe(w, sp + UCONTEXT_R11, &next.r11) ||
	    !pln_walker_cfa_is_good_sigsafe(w, next.sp))
		return PLN_WALK_BAD_STACK;
	w->regs = next;
	w->exact = true;
	return STEPPED;
}

static enum pln_walk_end
step_by_guess_sigsafe(struct pln_walker *w, bool (*guess)(struct pln_walker *, struct pln_regs *),
		      enum pln_walk_end otherwise)
{
	struct pln_regs next = { .known = 0 };

	if (!guess(w, &next))
		return otherwise;
	w->regs = next;
	w->exact = false;
	return STEPPED;
}

/*
 * A pc in no module, met for the first time: *row is what holds there from now on, until
 * modules change. (CPython keeps its trampolines for good; of a JIT's code nothing is
 * remembered but that it is such code.)
 */
static bool meet_anonymous_sigsafe(struct pln_walker *w, struct pln_row *row)
{
	pln_module_set_missed_sigsafe();
	if (pln_module_set_is_loaded_sigsafe(w->regs.pc))
		return false;
	if (w->exact || !pln_guess_trampoline_sigsafe(w->regs.pc, row))
		*row = (struct pln_row){ .kind = PLN_ROW_ANONYMOUS };
	pln_rows_remember_sigsafe(w, w->regs.pc - !w->exact, *row);
	return true;
}

/* By the memo of the last walk where that had the same frame. */
static inline enum pln_lookup find_row_sigsafe(struct pln_walker *w, struct pln_row *row)
{
	uintptr_t pc = w->regs.pc - !w->exact;
	uint32_t depth = (uint32_t)((w->stack->hi - w->regs.sp) / 8);
	enum pln_lookup found = PLN_LOOKUP_ROW;

	if (!pln_memo_recall_sigsafe(&w->memo, depth, pc, row))
		found = pln_rows_find_sigsafe(w, pc, row);
	if (found == PLN_LOOKUP_ROW)
		pln_memo_note_sigsafe(&w->memo, depth, pc, *row);
	return found;
}

static PLN_HOT enum pln_walk_end step_by_kind_sigsafe(struct pln_walker *w, struct pln_row row)
{
	if (pln_row_kind_sigsafe(row) == PLN_ROW_RSP)
		return step_by_row_sigsafe(w, row);
	switch (pln_row_kind_sigsafe(row)) {
	case PLN_ROW_GAP:
		return step_by_guess_sigsafe(w, pln_guess_gap_sigsafe, PLN_WALK_NO_ROW);
	case PLN_ROW_ANONYMOUS:
		return step_by_guess_sigsafe(w, pln_guess_anonymous_sigsafe, PLN_WALK_UNKNOWN_PC);
	case PLN_ROW_SIGNAL:
		return step_by_signal_frame_sigsafe(w);
	case PLN_ROW_UNSUPPORTED:
		return PLN_WALK_NO_ROW;
	default:
		return step_by_row_sigsafe(w, row);
	}
}

/* `last`: there is no room for another frame; only tells whether this one is the root. */
static PLN_HOT enum pln_walk_end step_sigsafe(struct pln_walker *w, bool last)
{
	struct pln_row row;
	enum pln_lookup found = find_row_sigsafe(w, &row);

	if (found == PLN_LOOKUP_ROW && pln_row_kind_sigsafe(row) == PLN_ROW_END)
		return PLN_WALK_ROOT;
	if (last)
		return PLN_WALK_DEPTH;
	if (found == PLN_LOOKUP_HOPELESS)
		return PLN_WALK_NO_ROW;
	if (found == PLN_LOOKUP_NO_TABLE ||
	    (found == PLN_LOOKUP_NO_MODULE && !meet_anonymous_sigsafe(w, &row)))
		return PLN_WALK_NO_TABLE;
	return step_by_kind_sigsafe(w, row);
}

static void add_frame_sigsafe(struct pln_native_walk *out, struct pln_walker *w)
{
	out->pc[out->count] = w->regs.pc;
	out->cfa[out->count] = 0;
	out->guessed[out->count] = w->guessed;
	out->any_guessed |= w->guessed;
	out->count++;
	w->guessed = false;
}

static PLN_HOT enum pln_walk_end walk_sigsafe(struct pln_walker *w, struct pln_native_walk *out)
{
	enum pln_walk_end end = STEPPED;

	while (out->count < out->max) {
		add_frame_sigsafe(out, w);
		end = step_sigsafe(w, out->count == out->max);
		if (end != STEPPED)
			return end;
		out->cfa[out->count - 1] = w->regs.sp;
		if (!w->regs.pc)
			return PLN_WALK_ROOT;
	}
	return PLN_WALK_DEPTH;
}

/*
 * Starts to load the return addresses that the last walk found, all at once: a walk comes
 * from each frame to the next only as fast as memory answers.
 */
static inline void prefetch_stack_sigsafe(const struct pln_walker *w)
{
	uintptr_t top = (uintptr_t)w->stack->bytes + (w->stack->hi - w->stack->lo);
	const struct pln_memo_frame *frame = w->memo.old;

	for (unsigned i = 0; i < PREFETCHED_FRAMES && frame < w->memo.old_end; i++, frame++)
		__builtin_prefetch((const void *)(top - 8ul * frame->depth - 8));
}

static bool is_walkable_sigsafe(const struct pln_walker *w)
{
	const struct pln_stack *stack = w->stack;

	return stack->lo < stack->hi && stack->hi - stack->lo >= SMALLEST_STACK &&
	       w->regs.sp >= stack->lo && w->regs.sp < stack->hi;
}

PLN_HOT void pln_native_prefetch_sigsafe(uintptr_t top, uintptr_t pc)
{
	pln_memo_prefetch_sigsafe(top);
	pln_rows_prefetch_sigsafe(pc);
	pln_module_set_prefetch_sigsafe(top);
}

PLN_HOT void pln_native_walk_sigsafe(const struct pln_stack *stack, const struct pln_regs *regs,
				     struct pln_native_walk *out)
{
	struct pln_walker w = { .stack = stack, .regs = *regs, .exact = true };

	pln_native_prefetch_sigsafe(stack->hi, regs->pc);
	out->count = 0;
	out->any_guessed = false;
	out->end = PLN_WALK_BAD_STACK;
	w.floor = regs->sp - stack->lo > RED_ZONE ? regs->sp - RED_ZONE : stack->lo;
	w.set = pln_module_set_enter_sigsafe(stack->hi);
	if (w.set && is_walkable_sigsafe(&w)) {
		pln_memo_take_sigsafe(stack->hi, w.set->epoch, &w.memo);
		prefetch_stack_sigsafe(&w);
		out->end = walk_sigsafe(&w, out);
		pln_memo_give_back_sigsafe(&w.memo);
	} else if (out->max) {
		add_frame_sigsafe(out, &w);
	}
	pln_module_set_leave_sigsafe(stack->hi);
	out->stop_regs = w.regs;
}
