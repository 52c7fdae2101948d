/* SPDX-License-Identifier: MIT */
/*
 * prologue.c - finds the frame pointer of a function when nobody has kept rbp.
 *
 * The kernel tells sp and pc of a blocked thread, not rbp. Where a function with a frame
 * pointer stands between, its rbp follows from sp and from what its prologue pushed
 * below: `push rbp; mov rsp,rbp; push ...; sub n,rsp`, with other instructions in
 * between. Each guess is checked: it must put a return address behind a call. Where no
 * prologue can be read (cold parts of split functions, variable-size frames), the
 * stack is searched for a pair of saved rbp and return address.
 * Context: handler or sampling thread; rare, so it may take checked reads of text.
 */
#include "native/walk_i.h"

#include "checked_read.h"

#define PROLOGUE_BYTES 192
#define MAX_DISTANCES 12
#define WORDS_TO_SEARCH 1024

/* Bytes from rbp down to sp that a prologue may have left, in order of decoding. */
struct distances {
	uint32_t at[MAX_DISTANCES];
	unsigned count;
	bool framed; /* mov rsp,rbp was seen */
};

/* What an opcode has behind it. */
enum {
	OP_STOP = 0, /* not decoded: the body has begun */
	OP_PLAIN = 1,
	OP_MODRM = 2,
	OP_MODRM_IMM8 = 3,
	OP_MODRM_IMM32 = 4,
	OP_IMM8 = 5,
	OP_IMM32 = 6,
	OP_IMM_FULL = 7 /* 8 bytes with REX.W */
};

/* One-byte opcodes that compilers mix into prologues. */
static const uint8_t one_byte[256] = {
	[0x01] = OP_MODRM,	[0x03] = OP_MODRM,	 [0x09] = OP_MODRM,
	[0x0b] = OP_MODRM,	[0x21] = OP_MODRM,	 [0x23] = OP_MODRM,
	[0x29] = OP_MODRM,	[0x2b] = OP_MODRM,	 [0x31] = OP_MODRM,
	[0x33] = OP_MODRM,	[0x38] = OP_MODRM,	 [0x39] = OP_MODRM,
	[0x3a] = OP_MODRM,	[0x3b] = OP_MODRM,	 [0x3d] = OP_IMM32,
	[0x50] = OP_PLAIN,	[0x51] = OP_PLAIN,	 [0x52] = OP_PLAIN,
	[0x53] = OP_PLAIN,	[0x54] = OP_PLAIN,	 [0x55] = OP_PLAIN,
	[0x56] = OP_PLAIN,	[0x57] = OP_PLAIN,	 [0x63] = OP_MODRM,
	[0x68] = OP_IMM32,	[0x69] = OP_MODRM_IMM32, [0x6a] = OP_IMM8,
	[0x6b] = OP_MODRM_IMM8, [0x70] = OP_IMM8,	 [0x71] = OP_IMM8,
	[0x72] = OP_IMM8,	[0x73] = OP_IMM8,	 [0x74] = OP_IMM8,
	[0x75] = OP_IMM8,	[0x76] = OP_IMM8,	 [0x77] = OP_IMM8,
	[0x78] = OP_IMM8,	[0x79] = OP_IMM8,	 [0x7c] = OP_IMM8,
	[0x7d] = OP_IMM8,	[0x7e] = OP_IMM8,	 [0x7f] = OP_IMM8,
	[0x80] = OP_MODRM_IMM8, [0x81] = OP_MODRM_IMM32, [0x83] = OP_MODRM_IMM8,
	[0x84] = OP_MODRM,	[0x85] = OP_MODRM,	 [0x88] = OP_MODRM,
	[0x89] = OP_MODRM,	[0x8a] = OP_MODRM,	 [0x8b] = OP_MODRM,
	[0x8d] = OP_MODRM,	[0x90] = OP_PLAIN,	 [0x98] = OP_PLAIN,
	[0x99] = OP_PLAIN,	[0xa8] = OP_IMM8,	 [0xa9] = OP_IMM32,
	[0xb8] = OP_IMM_FULL,	[0xb9] = OP_IMM_FULL,	 [0xba] = OP_IMM_FULL,
	[0xbb] = OP_IMM_FULL,	[0xbc] = OP_IMM_FULL,	 [0xbd] = OP_IMM_FULL,
	[0xbe] = OP_IMM_FULL,	[0xbf] = OP_IMM_FULL,	 [0xc1] = OP_MODRM_IMM8,
	[0xc6] = OP_MODRM_IMM8, [0xc7] = OP_MODRM_IMM32, [0xd1] = OP_MODRM,
	[0xd3] = OP_MODRM,
};

/* Two-byte opcodes: endbr64 and nop, moves of SSE registers, setcc, cmov, movzx, movsx, bt. */
static const uint8_t two_byte[256] = {
	[0x10] = OP_MODRM, [0x11] = OP_MODRM,	   [0x12] = OP_MODRM, [0x14] = OP_MODRM,
	[0x16] = OP_MODRM, [0x1e] = OP_MODRM,	   [0x1f] = OP_MODRM, [0x28] = OP_MODRM,
	[0x29] = OP_MODRM, [0x2a] = OP_MODRM,	   [0x2e] = OP_MODRM, [0x2f] = OP_MODRM,
	[0x44] = OP_MODRM, [0x45] = OP_MODRM,	   [0x48] = OP_MODRM, [0x49] = OP_MODRM,
	[0x54] = OP_MODRM, [0x57] = OP_MODRM,	   [0x62] = OP_MODRM, [0x6c] = OP_MODRM,
	[0x6e] = OP_MODRM, [0x6f] = OP_MODRM,	   [0x7e] = OP_MODRM, [0x7f] = OP_MODRM,
	[0x82] = OP_IMM32, [0x83] = OP_IMM32,	   [0x84] = OP_IMM32, [0x85] = OP_IMM32,
	[0x86] = OP_IMM32, [0x87] = OP_IMM32,	   [0x88] = OP_IMM32, [0x89] = OP_IMM32,
	[0x8c] = OP_IMM32, [0x8d] = OP_IMM32,	   [0x8e] = OP_IMM32, [0x8f] = OP_IMM32,
	[0x90] = OP_MODRM, [0x92] = OP_MODRM,	   [0x94] = OP_MODRM, [0x95] = OP_MODRM,
	[0x9f] = OP_MODRM, [0xa3] = OP_MODRM,	   [0xaf] = OP_MODRM, [0xb6] = OP_MODRM,
	[0xb7] = OP_MODRM, [0xba] = OP_MODRM_IMM8, [0xbe] = OP_MODRM, [0xbf] = OP_MODRM,
	[0xd6] = OP_MODRM, [0xef] = OP_MODRM,
};

/* One decoded instruction. */
struct insn {
	const uint8_t *opcode; /* last opcode byte; ModRM follows */
	unsigned size;
	bool wide; /* REX.W */
	bool two_byte;
	uint8_t rex;
};

static unsigned modrm_size_sigsafe(const uint8_t *modrm)
{
	unsigned mod = *modrm >> 6, rm = *modrm & 7;
	unsigned size = 1;

	if (mod == 3)
		return size;
	if (rm == 4)
		size++;
	if (mod == 1)
		return size + 1;
	if (mod == 2 || rm == 5 || (rm == 4 && (modrm[1] & 7) == 5))
		return size + 4;
	return size;
}

static unsigned operand_size_sigsafe(const struct insn *insn, uint8_t form)
{
	const uint8_t *modrm = insn->opcode + 1;

	switch (form) {
	case OP_MODRM:
		return modrm_size_sigsafe(modrm);
	case OP_MODRM_IMM8:
		return modrm_size_sigsafe(modrm) + 1;
	case OP_MODRM_IMM32:
		return modrm_size_sigsafe(modrm) + 4;
	case OP_IMM8:
		return 1;
	case OP_IMM32:
		return 4;
	case OP_IMM_FULL:
		return insn->wide ? 8 : 4;
	default:
		return 0;
	}
}

/* The bytes behind `text` must be readable for the longest instruction (padding). */
static bool decode_sigsafe(const uint8_t *text, struct insn *insn)
{
	const uint8_t *p = text;
	bool narrow = false;
	uint8_t form;

	*insn = (struct insn){ .rex = 0 };
	while (*p == 0x66 || *p == 0xf2 || *p == 0xf3 || *p == 0x64) {
		if (p - text > 4)
			return false;
		narrow |= *p++ == 0x66;
	}
	if ((*p & 0xf0) == 0x40)
		insn->rex = *p++;
	insn->wide = insn->rex & 8;
	insn->two_byte = *p == 0x0f;
	if (insn->two_byte)
		p++;
	insn->opcode = p;
	form = insn->two_byte ? two_byte[*p] : one_byte[*p];
	if (form == OP_STOP || (narrow && (form == OP_MODRM_IMM32 || form == OP_IMM_FULL)))
		return false;
	insn->size = (unsigned)(p + 1 - text) + operand_size_sigsafe(insn, form);
	return true;
}

static bool is_mov_rsp_to_rbp_sigsafe(const struct insn *insn)
{
	const uint8_t *op = insn->opcode;

	return insn->rex == 0x48 && !insn->two_byte &&
	       ((op[0] == 0x89 && op[1] == 0xe5) || (op[0] == 0x8b && op[1] == 0xec));
}

/* Arithmetic on rsp with an immediate: bytes that it moves down by; false: not one. */
static bool is_sub_from_rsp_sigsafe(const struct insn *insn, int32_t *size)
{
	const uint8_t *op = insn->opcode;

	if (insn->rex != 0x48 || insn->two_byte || (op[0] != 0x83 && op[0] != 0x81))
		return false;
	if (op[0] == 0x83)
		*size = (int8_t)op[2];
	else
		memcpy(size, op + 2, sizeof(*size));
	if (op[1] == 0xc4) /* add -n */
		*size = -*size;
	return (op[1] == 0xec || op[1] == 0xc4) && *size > 0;
}

/* Any other instruction that writes rsp, or rbp once it points at the frame. */
static bool moves_frame_sigsafe(const struct insn *insn)
{
	uint8_t op = insn->opcode[0], modrm = insn->opcode[1];
	unsigned to = modrm & 7, from = modrm >> 3 & 7;

	if (insn->two_byte || (one_byte[op] != OP_MODRM && one_byte[op] != OP_MODRM_IMM8 &&
			       one_byte[op] != OP_MODRM_IMM32))
		return false;
	if (op == 0x8b || op == 0x8d || op == 0x63 || op == 0x03 || op == 0x2b || op == 0x33)
		return !(insn->rex & 4) && (from == 4 || from == 5);
	return modrm >> 6 == 3 && !(insn->rex & 1) && (to == 4 || to == 5) && op != 0x85 &&
	       op != 0x39 && op != 0x3b && !(op == 0x83 && from == 7);
}

static unsigned pushed_sigsafe(const struct insn *insn)
{
	uint8_t op = insn->opcode[0];

	return !insn->two_byte && ((op >= 0x50 && op <= 0x57) || op == 0x6a || op == 0x68) ? 8 : 0;
}

static void add_distance_sigsafe(struct distances *d, uint32_t distance)
{
	if (d->count < MAX_DISTANCES)
		d->at[d->count++] = distance;
}

/* Decodes up to `size` bytes; text is padded behind. */
static void read_prologue_sigsafe(const uint8_t *text, size_t size, struct distances *d)
{
	const uint8_t *end = text + size;
	uint32_t distance = 0;
	struct insn insn;
	int32_t bytes;

	for (; text < end && decode_sigsafe(text, &insn); text += insn.size) {
		if (is_mov_rsp_to_rbp_sigsafe(&insn)) {
			d->framed = true;
			d->count = 0;
			distance = 0;
		} else if (is_sub_from_rsp_sigsafe(&insn, &bytes)) {
			distance += (uint32_t)bytes;
		} else if (pushed_sigsafe(&insn)) {
			distance += 8;
		} else if (d->framed && moves_frame_sigsafe(&insn)) {
			return;
		} else {
			continue;
		}
		if (d->framed)
			add_distance_sigsafe(d, distance);
	}
}

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

static void read_own_prologue_sigsafe(struct pln_walker *w, uintptr_t start, struct distances *d)
{
	uint8_t text[PROLOGUE_BYTES + 16] = { 0 };
	size_t size = w->regs.pc - start;

	if (size > PROLOGUE_BYTES)
		size = PROLOGUE_BYTES;
	if (pln_checked_read_sigsafe(start, text, size))
		read_prologue_sigsafe(text, size, d);
}

/* The newest distance first: the thread is behind the prologue as a rule. */
static bool find_by_prologue_sigsafe(struct pln_walker *w, struct pln_row row, uintptr_t start)
{
	struct distances d = { .count = 0 };

	read_own_prologue_sigsafe(w, start, &d);
	while (d.count)
		if (holds_sigsafe(w, row, w->regs.sp + d.at[--d.count]))
			return take_sigsafe(w, w->regs.sp + d.at[d.count]);
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
	       pln_row_is_function(row);
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

bool pln_prologue_find_bp_sigsafe(struct pln_walker *w, struct pln_row row)
{
	uintptr_t start = 0;

	if (w->regs.known & PLN_REG_BP ||
	    (pln_row_kind(row) != PLN_ROW_RBP && pln_row_kind(row) != PLN_ROW_RBP_DEREF))
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
