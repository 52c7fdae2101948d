/* SPDX-License-Identifier: MIT */
/*
 * cfi.c - runs DWARF call frame programs (DWARF 5 section 6.4, LSB for .eh_frame).
 *
 * Only CFA, rbp, rbx and the return address are followed: a walk needs no more.
 * Expressions are not evaluated; those that compilers, the linker's PLT and glibc
 * emit are recognised by their bytes, any other is "unsupported".
 * Context: sampling thread, on private copies; any input must be survived.
 */
#include "native/cfi_i.h"

enum { REG_RBX = 3, REG_RBP = 6, REG_RSP = 7, REG_R10 = 10, REG_R11 = 11, REG_RA = 16 };

enum {
	DW_CFA_ADVANCE_LOC = 1, /* these three: the two high bits */
	DW_CFA_OFFSET = 2,
	DW_CFA_RESTORE = 3,
	DW_CFA_NOP = 0x00,
	DW_CFA_SET_LOC = 0x01,
	DW_CFA_ADVANCE_LOC1 = 0x02,
	DW_CFA_ADVANCE_LOC2 = 0x03,
	DW_CFA_ADVANCE_LOC4 = 0x04,
	DW_CFA_OFFSET_EXTENDED = 0x05,
	DW_CFA_RESTORE_EXTENDED = 0x06,
	DW_CFA_UNDEFINED = 0x07,
	DW_CFA_SAME_VALUE = 0x08,
	DW_CFA_REGISTER = 0x09,
	DW_CFA_REMEMBER_STATE = 0x0a,
	DW_CFA_RESTORE_STATE = 0x0b,
	DW_CFA_DEF_CFA = 0x0c,
	DW_CFA_DEF_CFA_REGISTER = 0x0d,
	DW_CFA_DEF_CFA_OFFSET = 0x0e,
	DW_CFA_DEF_CFA_EXPRESSION = 0x0f,
	DW_CFA_EXPRESSION = 0x10,
	DW_CFA_OFFSET_EXTENDED_SF = 0x11,
	DW_CFA_DEF_CFA_SF = 0x12,
	DW_CFA_DEF_CFA_OFFSET_SF = 0x13,
	DW_CFA_VAL_OFFSET = 0x14,
	DW_CFA_VAL_OFFSET_SF = 0x15,
	DW_CFA_VAL_EXPRESSION = 0x16,
	DW_CFA_GNU_ARGS_SIZE = 0x2e,
	DW_CFA_GNU_NEGATIVE_OFFSET_EXTENDED = 0x2f
};

enum {
	DW_OP_DEREF = 0x06,
	DW_OP_PLUS_UCONST = 0x23,
	DW_OP_LIT0 = 0x30,
	DW_OP_LIT15 = 0x3f,
	DW_OP_BREG6 = 0x76,
	DW_OP_BREG7 = 0x77
};

#define MAX_REMEMBERED 8
/* Offset of the interrupted rsp in the kernel's ucontext, see PLN_ROW_SIGNAL in walk.c. */
#define UCONTEXT_RSP 160

static uint64_t pointer_value(struct pln_bytes *b, uint8_t format)
{
	switch (format) {
	case 0x00: /* DW_EH_PE_absptr, udata8, sdata8 */
	case 0x04:
	case 0x0c:
		return pln_bytes_unsigned(b, 8);
	case 0x01: /* uleb128 */
		return pln_bytes_uleb(b);
	case 0x02:
		return pln_bytes_unsigned(b, 2);
	case 0x03:
		return pln_bytes_unsigned(b, 4);
	case 0x09: /* sleb128 */
		return (uint64_t)pln_bytes_sleb(b);
	case 0x0a:
		return (uint64_t)pln_bytes_signed(b, 2);
	case 0x0b:
		return (uint64_t)pln_bytes_signed(b, 4);
	default:
		pln_bytes_fail(b);
		return 0;
	}
}

uintptr_t pln_cfi_pointer(struct pln_bytes *b, uint8_t encoding, uintptr_t data_base)
{
	uintptr_t place = pln_bytes_addr(b);
	uint64_t value = pointer_value(b, encoding & 0x0f);

	switch (encoding & 0xf0) {
	case 0x00: /* absolute */
		return value;
	case 0x10: /* DW_EH_PE_pcrel */
		return place + value;
	case 0x30: /* DW_EH_PE_datarel */
		return data_base + value;
	default: /* text- or function-relative, aligned, indirect: met nowhere on x86-64 Linux */
		pln_bytes_fail(b);
		return 0;
	}
}

static struct pln_cfi_rule *rule_of(struct pln_cfi_state *state, uint64_t reg)
{
	switch (reg) {
	case REG_RBP:
		return &state->rbp;
	case REG_RBX:
		return &state->rbx;
	case REG_RA:
		return &state->ra;
	default:
		return NULL;
	}
}

static void set_rule(struct pln_cfi_state *state, uint64_t reg, enum pln_cfi_rule_kind kind,
		     int64_t offset)
{
	struct pln_cfi_rule *rule = rule_of(state, reg);

	if (rule)
		*rule = (struct pln_cfi_rule){ kind, offset };
}

/* False: a rule of a register that is followed has no initial state to go back to. */
static bool restore_rule(const struct pln_cfi_run *run, struct pln_cfi_state *state, uint64_t reg)
{
	struct pln_cfi_rule *rule = rule_of(state, reg);
	struct pln_cfi_state initial;

	if (!rule)
		return true;
	if (!run->initial)
		return false;
	initial = *run->initial;
	*rule = *rule_of(&initial, reg);
	return true;
}

static void set_cfa_register(struct pln_cfi_state *state, uint64_t reg)
{
	switch (reg) {
	case REG_RSP:
		state->cfa_kind = PLN_ROW_RSP;
		return;
	case REG_RBP:
		state->cfa_kind = PLN_ROW_RBP;
		return;
	case REG_RBX:
		state->cfa_kind = PLN_ROW_RBX;
		return;
	case REG_R10:
		state->cfa_kind = PLN_ROW_R10;
		return;
	case REG_R11:
		state->cfa_kind = PLN_ROW_R11;
		return;
	default:
		state->cfa_kind = PLN_ROW_UNSUPPORTED;
	}
}

/*
 * rsp + 8 + ((rip & 15) >= N) * 8, as the linker writes it for its PLT; N depends on
 * the kind of PLT.
 */
static bool is_plt_expression(const uint8_t *expr, size_t size)
{
	static const uint8_t plt[] = { 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0, 0x2a, 0x33, 0x24, 0x22 };

	return size == sizeof(plt) && !memcmp(expr, plt, 6) && !memcmp(expr + 7, plt + 7, 4) &&
	       expr[6] >= DW_OP_LIT0 && expr[6] <= DW_OP_LIT15;
}

static void set_cfa_expression(struct pln_cfi_state *state, struct pln_bytes expr)
{
	const uint8_t *bytes = expr.pos;
	size_t size = pln_bytes_left(&expr);
	uint8_t base = pln_bytes_u8(&expr);
	int64_t offset;

	state->cfa_kind = PLN_ROW_UNSUPPORTED;
	if (is_plt_expression(bytes, size)) {
		state->cfa_kind = PLN_ROW_PLT;
		state->cfa_offset = bytes[6] - DW_OP_LIT0;
		return;
	}
	offset = pln_bytes_sleb(&expr);
	if (pln_bytes_u8(&expr) != DW_OP_DEREF || expr.bad)
		return;
	state->cfa_offset = offset;
	if (!pln_bytes_left(&expr)) {
		if (base == DW_OP_BREG6)
			state->cfa_kind = PLN_ROW_RBP_DEREF;
		else if (base == DW_OP_BREG7 && offset == UCONTEXT_RSP)
			state->cfa_kind = PLN_ROW_SIGNAL;
		return;
	}
	if (base == DW_OP_BREG7 && pln_bytes_u8(&expr) == DW_OP_PLUS_UCONST &&
	    pln_bytes_uleb(&expr) == 8 && !expr.bad && !pln_bytes_left(&expr))
		state->cfa_kind = PLN_ROW_RSP_DEREF;
}

static struct pln_bytes read_expression(struct pln_bytes *b)
{
	uint64_t size = pln_bytes_uleb(b);
	struct pln_bytes expr = *b;

	pln_bytes_skip(b, size);
	if (b->bad)
		size = 0;
	expr.end = expr.pos + size;
	return expr;
}

static void set_rule_expression(struct pln_cfi_state *state, uint64_t reg, struct pln_bytes expr)
{
	bool at_rbp = pln_bytes_left(&expr) == 2 && expr.pos[0] == DW_OP_BREG6 && !expr.pos[1];

	set_rule(state, reg, at_rbp ? PLN_CFI_AT_RBP : PLN_CFI_OTHER, 0);
}

/* Moves to `pc`. False: at or behind the limit, the rest of the program does not matter. */
static bool move_to(struct pln_cfi_run *run, const struct pln_cfi_state *state, uintptr_t pc)
{
	if (pc > run->pc && run->pc < run->limit && run->emit)
		run->emit(run->pc, state, run->arg);
	if (pc > run->pc)
		run->pc = pc;
	return run->pc < run->limit;
}

/* Offsets are factored, and no real one comes near the bound: it keeps products defined. */
static int64_t factored(const struct pln_cfi_run *run, int64_t value)
{
	int64_t product;

	if (__builtin_mul_overflow(value, run->factors.data_align, &product))
		return INT64_MAX;
	return product;
}

static void set_at_cfa(struct pln_cfi_run *run, struct pln_cfi_state *state, uint64_t reg,
		       int64_t value)
{
	set_rule(state, reg, PLN_CFI_AT_CFA, factored(run, value));
}

/* Opcodes that define the CFA. False: not one of them. */
static bool run_cfa_op(struct pln_cfi_run *run, struct pln_cfi_state *state, uint8_t op)
{
	struct pln_bytes *b = &run->program;

	switch (op) {
	case DW_CFA_DEF_CFA:
		set_cfa_register(state, pln_bytes_uleb(b));
		state->cfa_offset = (int64_t)pln_bytes_uleb(b);
		return true;
	case DW_CFA_DEF_CFA_SF:
		set_cfa_register(state, pln_bytes_uleb(b));
		state->cfa_offset = factored(run, pln_bytes_sleb(b));
		return true;
	case DW_CFA_DEF_CFA_REGISTER:
		set_cfa_register(state, pln_bytes_uleb(b));
		return true;
	case DW_CFA_DEF_CFA_OFFSET:
		state->cfa_offset = (int64_t)pln_bytes_uleb(b);
		return true;
	case DW_CFA_DEF_CFA_OFFSET_SF:
		state->cfa_offset = factored(run, pln_bytes_sleb(b));
		return true;
	case DW_CFA_DEF_CFA_EXPRESSION:
		set_cfa_expression(state, read_expression(b));
		return true;
	default:
		return false;
	}
}

/* Opcodes that define where a register is. False: not one of them, or not possible. */
static bool run_register_op(struct pln_cfi_run *run, struct pln_cfi_state *state, uint8_t op)
{
	struct pln_bytes *b = &run->program;
	uint64_t reg = pln_bytes_uleb(b); /* all but unknown opcodes have it first */

	switch (op) {
	case DW_CFA_OFFSET_EXTENDED:
		set_at_cfa(run, state, reg, (int64_t)pln_bytes_uleb(b));
		return true;
	case DW_CFA_OFFSET_EXTENDED_SF:
		set_at_cfa(run, state, reg, pln_bytes_sleb(b));
		return true;
	case DW_CFA_GNU_NEGATIVE_OFFSET_EXTENDED:
		set_at_cfa(run, state, reg, -(int64_t)(pln_bytes_uleb(b) & INT64_MAX));
		return true;
	case DW_CFA_RESTORE_EXTENDED:
		return restore_rule(run, state, reg);
	case DW_CFA_UNDEFINED:
		set_rule(state, reg, PLN_CFI_UNDEFINED, 0);
		return true;
	case DW_CFA_SAME_VALUE:
		set_rule(state, reg, PLN_CFI_SAME, 0);
		return true;
	case DW_CFA_REGISTER:
	case DW_CFA_VAL_OFFSET:
		pln_bytes_uleb(b);
		set_rule(state, reg, PLN_CFI_OTHER, 0);
		return true;
	case DW_CFA_VAL_OFFSET_SF:
		pln_bytes_sleb(b);
		set_rule(state, reg, PLN_CFI_OTHER, 0);
		return true;
	case DW_CFA_EXPRESSION:
		set_rule_expression(state, reg, read_expression(b));
		return true;
	case DW_CFA_VAL_EXPRESSION:
		read_expression(b);
		set_rule(state, reg, PLN_CFI_OTHER, 0);
		return true;
	default:
		return false;
	}
}

/* States that DW_CFA_remember_state put away. */
struct remembered {
	struct pln_cfi_state states[MAX_REMEMBERED];
	unsigned count;
};

static bool run_state_op(struct remembered *r, struct pln_cfi_state *state, uint8_t op)
{
	if (op == DW_CFA_REMEMBER_STATE && r->count < MAX_REMEMBERED) {
		r->states[r->count++] = *state;
		return true;
	}
	if (op == DW_CFA_RESTORE_STATE && r->count) {
		*state = r->states[--r->count];
		return true;
	}
	return false;
}

/* The pc that an advancing opcode moves to; *is_advance tells whether `op` is one. */
static uintptr_t advance_target(struct pln_cfi_run *run, uint8_t op, bool *is_advance)
{
	struct pln_bytes *b = &run->program;
	uint64_t delta;

	*is_advance = true;
	if (op >> 6 == DW_CFA_ADVANCE_LOC)
		delta = op & 0x3f;
	else if (op == DW_CFA_ADVANCE_LOC1)
		delta = pln_bytes_unsigned(b, 1);
	else if (op == DW_CFA_ADVANCE_LOC2)
		delta = pln_bytes_unsigned(b, 2);
	else if (op == DW_CFA_ADVANCE_LOC4)
		delta = pln_bytes_unsigned(b, 4);
	else if (op == DW_CFA_SET_LOC)
		return pln_cfi_pointer(b, run->factors.pointer_encoding, 0);
	else
		return *is_advance = false, run->pc;
	return run->pc + delta * run->factors.code_align;
}

bool pln_cfi_run(struct pln_cfi_run *run, struct pln_cfi_state *state)
{
	struct remembered remembered = { .count = 0 };
	struct pln_bytes *b = &run->program;

	while (pln_bytes_left(b)) {
		uint8_t op = pln_bytes_u8(b);
		bool is_advance, known = true;
		uintptr_t pc = advance_target(run, op, &is_advance);

		if (b->bad)
			return false;
		if (is_advance) {
			if (!move_to(run, state, pc))
				return true;
		} else if (op >> 6 == DW_CFA_OFFSET) {
			set_at_cfa(run, state, op & 0x3f, (int64_t)pln_bytes_uleb(b));
		} else if (op >> 6 == DW_CFA_RESTORE) {
			known = restore_rule(run, state, op & 0x3f);
		} else if (op == DW_CFA_REMEMBER_STATE || op == DW_CFA_RESTORE_STATE) {
			known = run_state_op(&remembered, state, op);
		} else if (op == DW_CFA_GNU_ARGS_SIZE) {
			pln_bytes_uleb(b);
		} else if (op != DW_CFA_NOP) {
			known = run_cfa_op(run, state, op) || run_register_op(run, state, op);
		}
		if (!known || b->bad)
			return false;
	}
	move_to(run, state, run->limit);
	return true;
}
