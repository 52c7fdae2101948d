/* SPDX-License-Identifier: MIT */
/*
 * prologue.c - reads from a function's first instructions how far rsp is below rbp.
 *
 * `push rbp; mov rsp,rbp; push ...; sub n,rsp`, with other instructions in between: they
 * are decoded for their length, up to the first that is not one of a prologue's. The
 * body may move rsp further: so the answer is a list of distances to try.
 * Context: handler or sampling thread.
 */
#include "native/prologue_i.h"

#include <stdbool.h>
#include <string.h>

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
	[0x01] = OP_MODRM,
	[0x03] = OP_MODRM,
	[0x09] = OP_MODRM,
	[0x0b] = OP_MODRM,
	[0x21] = OP_MODRM,
	[0x23] = OP_MODRM,
	[0x29] = OP_MODRM,
	[0x2b] = OP_MODRM,
	[0x31] = OP_MODRM,
	[0x33] = OP_MODRM,
	[0x38 ... 0x3b] = OP_MODRM,
	[0x3d] = OP_IMM32,
	[0x50 ... 0x57] = OP_PLAIN,
	[0x63] = OP_MODRM,
	[0x68] = OP_IMM32,
	[0x69] = OP_MODRM_IMM32,
	[0x6a] = OP_IMM8,
	[0x6b] = OP_MODRM_IMM8,
	[0x70 ... 0x79] = OP_IMM8,
	[0x7c ... 0x7f] = OP_IMM8,
	[0x80] = OP_MODRM_IMM8,
	[0x81] = OP_MODRM_IMM32,
	[0x83] = OP_MODRM_IMM8,
	[0x84 ... 0x85] = OP_MODRM,
	[0x88 ... 0x8b] = OP_MODRM,
	[0x8d] = OP_MODRM,
	[0x90] = OP_PLAIN,
	[0x98 ... 0x99] = OP_PLAIN,
	[0xa8] = OP_IMM8,
	[0xa9] = OP_IMM32,
	[0xb8 ... 0xbf] = OP_IMM_FULL,
	[0xc1] = OP_MODRM_IMM8,
	[0xc6] = OP_MODRM_IMM8,
	[0xc7] = OP_MODRM_IMM32,
	[0xd1] = OP_MODRM,
	[0xd3] = OP_MODRM,
};

/* Two-byte opcodes: endbr64 and nop, moves of SSE registers, setcc, cmov, movzx, movsx, bt. */
static const uint8_t two_byte[256] = {
	[0x10 ... 0x12] = OP_MODRM, [0x14] = OP_MODRM,		[0x16] = OP_MODRM,
	[0x1e ... 0x1f] = OP_MODRM, [0x28 ... 0x2a] = OP_MODRM, [0x2e ... 0x2f] = OP_MODRM,
	[0x44 ... 0x45] = OP_MODRM, [0x48 ... 0x49] = OP_MODRM, [0x54] = OP_MODRM,
	[0x57] = OP_MODRM,	    [0x62] = OP_MODRM,		[0x6c] = OP_MODRM,
	[0x6e ... 0x6f] = OP_MODRM, [0x7e ... 0x7f] = OP_MODRM, [0x82 ... 0x89] = OP_IMM32,
	[0x8c ... 0x8f] = OP_IMM32, [0x90] = OP_MODRM,		[0x92] = OP_MODRM,
	[0x94 ... 0x95] = OP_MODRM, [0x9f] = OP_MODRM,		[0xa3] = OP_MODRM,
	[0xaf] = OP_MODRM,	    [0xb6 ... 0xb7] = OP_MODRM, [0xba] = OP_MODRM_IMM8,
	[0xbe ... 0xbf] = OP_MODRM, [0xd6] = OP_MODRM,		[0xef] = OP_MODRM,
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
		*size = (int32_t)(0u - (uint32_t)*size);
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

static void add_distance_sigsafe(struct pln_prologue *prologue, uint32_t distance)
{
	if (prologue->count < PLN_PROLOGUE_DISTANCES)
		prologue->distances[prologue->count++] = distance;
}

void pln_prologue_read_sigsafe(const uint8_t *text, size_t size, struct pln_prologue *prologue)
{
	const uint8_t *end = text + size;
	uint32_t distance = 0;
	bool framed = false;
	struct insn insn;
	int32_t bytes;

	for (; text < end && decode_sigsafe(text, &insn); text += insn.size) {
		if (is_mov_rsp_to_rbp_sigsafe(&insn)) {
			framed = true;
			prologue->count = 0;
			distance = 0;
		} else if (is_sub_from_rsp_sigsafe(&insn, &bytes)) {
			distance += (uint32_t)bytes;
		} else if (pushed_sigsafe(&insn)) {
			distance += 8;
		} else if (framed && moves_frame_sigsafe(&insn)) {
			return;
		} else {
			continue;
		}
		if (framed)
			add_distance_sigsafe(prologue, distance);
	}
}
