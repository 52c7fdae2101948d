/* SPDX-License-Identifier: MIT */
/*
 * callsite.c - tells whether a word on a stack is a return address.
 *
 * It is one when a call instruction ends right before it. Text is read by checked
 * reads, because its module may be unmapped at any moment; answers are remembered in
 * the cache of rows, so that a hot spot pays for the system call once.
 */
#include "native/walk_i.h"

#include "checked_read.h"

#define LONGEST_CALL 7
#define STUB_SIZE 12
/* Answers share the cache with rows, under addresses that no code has. */
#define ANSWER_TAG (1ull << 63)

/* Size of a call through a register or memory (FF /2), from its ModRM and SIB bytes; 0: none. */
static unsigned indirect_call_size_sigsafe(uint8_t modrm, uint8_t sib)
{
	unsigned mod = modrm >> 6, rm = modrm & 7;
	unsigned size = 2;

	if ((modrm >> 3 & 7) != 2)
		return 0;
	if (mod == 3)
		return size;
	if (rm == 4)
		size++;
	if (mod == 1)
		return size + 1;
	if (mod == 2 || rm == 5 || (rm == 4 && (sib & 7) == 5))
		return size + 4;
	return size;
}

/* `end` points behind the last of LONGEST_CALL bytes. */
static bool ends_in_indirect_call_sigsafe(const uint8_t *end)
{
	for (unsigned size = 2; size <= LONGEST_CALL; size++)
		if (end[-(int)size] == 0xff &&
		    indirect_call_size_sigsafe(end[1 - (int)size],
					       size > 2 ? end[2 - (int)size] : 0) == size)
			return true;
	return false;
}

/* A stub of a PLT: [endbr64] [bnd] jmp *slot(%rip). */
static bool is_jump_stub_sigsafe(uintptr_t addr)
{
	static const uint8_t endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	uint8_t text[STUB_SIZE];
	const uint8_t *p = text;

	if (!pln_checked_read_sigsafe(addr, text, sizeof(text)))
		return false;
	if (!memcmp(p, endbr64, sizeof(endbr64)))
		p += sizeof(endbr64);
	if (*p == 0xf2)
		p++;
	return p[0] == 0xff && p[1] == 0x25;
}

/* PLN_CALL_NONE: the target is in no module, it may be no call at all. */
static enum pln_call direct_call_sigsafe(struct pln_walker *w, uintptr_t target)
{
	struct pln_row row = { .kind = PLN_ROW_GAP };
	enum pln_lookup found = pln_rows_find_sigsafe(w, target, &row);

	if (found == PLN_LOOKUP_NO_MODULE || pln_row_kind_sigsafe(row) == PLN_ROW_ANONYMOUS)
		return PLN_CALL_NONE;
	if (found != PLN_LOOKUP_ROW || !pln_row_is_function_sigsafe(row) ||
	    pln_row_kind_sigsafe(row) == PLN_ROW_PLT || is_jump_stub_sigsafe(target))
		return PLN_CALL_TO_UNKNOWN;
	return PLN_CALL_TO_FUNCTION;
}

/* *target is set for direct calls. */
static enum pln_call decode_sigsafe(struct pln_walker *w, uintptr_t ra, uintptr_t *target)
{
	uint8_t text[LONGEST_CALL];
	const uint8_t *end = text + sizeof(text);
	enum pln_call call = PLN_CALL_NONE;
	int32_t distance;

	if (!pln_checked_read_works_sigsafe() || ra < sizeof(text) ||
	    !pln_checked_read_sigsafe(ra - sizeof(text), text, sizeof(text)))
		return PLN_CALL_NONE;
	if (end[-5] == 0xe8) {
		memcpy(&distance, end - 4, sizeof(distance));
		*target = ra + (uintptr_t)(intptr_t)distance;
		call = direct_call_sigsafe(w, *target);
	}
	if (call == PLN_CALL_NONE && ends_in_indirect_call_sigsafe(end))
		call = PLN_CALL_INDIRECT;
	if (call == PLN_CALL_NONE && end[-5] == 0xe8)
		call = PLN_CALL_TO_UNKNOWN;
	return call;
}

/* An answer in the shape of a row: `kind` is the call, `cfa` 16 bits of a direct call's target. */
static struct pln_row answer_sigsafe(struct pln_walker *w, uintptr_t ra)
{
	struct pln_row answer = { .kind = PLN_CALL_NONE };
	uintptr_t target = 0;

	if (pln_rows_recall_sigsafe(w, ra | ANSWER_TAG, &answer))
		return answer;
	answer.kind = (uint8_t)decode_sigsafe(w, ra, &target);
	answer.cfa = (uint16_t)target;
	pln_rows_remember_sigsafe(w, ra | ANSWER_TAG, answer);
	return answer;
}

enum pln_call pln_call_before_sigsafe(struct pln_walker *w, uintptr_t ra)
{
	return (enum pln_call)answer_sigsafe(w, ra).kind;
}

bool pln_call_is_to_sigsafe(struct pln_walker *w, uintptr_t ra, uintptr_t function)
{
	struct pln_row answer = answer_sigsafe(w, ra);
	uintptr_t target = 0;

	return answer.kind == PLN_CALL_TO_FUNCTION && answer.cfa == (uint16_t)function &&
	       decode_sigsafe(w, ra, &target) == PLN_CALL_TO_FUNCTION && target == function;
}
