/* SPDX-License-Identifier: MIT */
/*
 * table_i.h - compact unwind tables: what to do at a pc, in eight bytes.
 *
 * A table covers one executable range [lo, hi) of a module. It is immutable once
 * built, lives in one private mapping, and has no pointer to the module's memory, so
 * that it stays good after a dlclose.
 *
 *   struct pln_table | index: row of each 256 bytes of text | rows, by rising pc
 */
#ifndef PILLION_PRELOAD_NATIVE_TABLE_I_H
#define PILLION_PRELOAD_NATIVE_TABLE_I_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hot.h"

/* How the CFA, the caller's stack pointer, is found. `n` is the cfa field of the row. */
enum pln_row_kind {
	PLN_ROW_GAP = 0, /* no unwind information */
	PLN_ROW_RSP = 1, /* rsp + 8n */
	PLN_ROW_RBP = 2, /* rbp + 8n */
	PLN_ROW_RBX = 3, /* rbx + 8n */
	PLN_ROW_R10 = 4, /* r10 + 8n */
	PLN_ROW_RBP_DEREF = 5, /* *(rbp + n), n signed: realigned stacks */
	PLN_ROW_RSP_DEREF = 6, /* *(rsp + n) + 8: assembly that keeps the old rsp in its frame */
	PLN_ROW_PLT = 7, /* rsp + 8, and 8 more from byte n of a 16-byte stub on */
	PLN_ROW_SIGNAL = 8, /* the kernel's signal frame is at rsp */
	PLN_ROW_END = 9, /* the outermost frame */
	PLN_ROW_UNSUPPORTED = 10, /* a rule that does not fit into a row */
	PLN_ROW_R11 = 11, /* r11 + 8n */
	PLN_ROW_ANONYMOUS = 12 /* never in a table: remembered of code in no module */
};

/*
 * Invariants: rows[0].pc == 0, pcs strictly rise, two neighbours differ in more than
 * pc or the second one starts a function. The return address is at CFA - 8 in all
 * kinds from RSP to PLT.
 */
struct pln_row {
	uint32_t pc; /* offset from the table's lo; valid up to the next row's */
	uint16_t cfa;
	int8_t rbp; /* caller's rbp is at CFA + 8 * rbp, or one of PLN_ROW_RBP_* */
	uint8_t kind; /* enum pln_row_kind | rbx code << 4 | PLN_ROW_STARTS_FUNCTION */
};

#define PLN_ROW_KIND 0x0fu
#define PLN_ROW_STARTS_FUNCTION 0x80u

/* Values of pln_row.rbp that are no offset. */
#define PLN_ROW_RBP_SAME 0
#define PLN_ROW_RBP_UNKNOWN 127
#define PLN_ROW_RBP_AT_RBP (-128)
#define PLN_ROW_RBP_LOWEST (-126)

/* Code of the caller's rbx: unchanged, lost, or (2 to 7) at CFA - 8 * code. */
#define PLN_ROW_RBX_SHIFT 4
#define PLN_ROW_RBX_MASK 7u
#define PLN_ROW_RBX_SAME 0u
#define PLN_ROW_RBX_UNKNOWN 1u

/* First member of what walks may still read when the sampling thread drops it. */
struct pln_block {
	struct pln_block *next;
	size_t size_bytes;
};

#define PLN_TABLE_INDEX_SHIFT 8

/* What a lookup needs: an index entry and the one behind it bound where the row is. */
struct pln_row_list {
	const uint32_t *index;
	const struct pln_row *rows;
};

struct pln_table {
	struct pln_block block;
	struct pln_row_list list;
	uint32_t row_count; /* at least 1 */
	uint32_t index_count; /* one more than there are spans of text */
};

static inline enum pln_row_kind pln_row_kind_sigsafe(struct pln_row row)
{
	return (enum pln_row_kind)(row.kind & PLN_ROW_KIND);
}

/* Whether the row is of a function that has unwind information. */
static inline bool pln_row_is_function_sigsafe(struct pln_row row)
{
	return pln_row_kind_sigsafe(row) != PLN_ROW_GAP &&
	       pln_row_kind_sigsafe(row) != PLN_ROW_ANONYMOUS;
}

static inline unsigned pln_row_rbx_sigsafe(struct pln_row row)
{
	return row.kind >> PLN_ROW_RBX_SHIFT & PLN_ROW_RBX_MASK;
}

/* Number of the row that covers `offset`, which must be inside of the table's range. */
static inline uint32_t pln_table_find_sigsafe(const struct pln_row_list *list, uint32_t offset)
{
	uint32_t span = offset >> PLN_TABLE_INDEX_SHIFT;
	uint32_t low = list->index[span];
	uint32_t high = list->index[span + 1] + 1;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (list->rows[middle].pc <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

struct pln_eh_image;

/*
 * Context: sampling thread. Compiles the image's rows for [lo, hi); an image without
 * frames gives one gap row. NULL when memory is short. The caller owns the table and
 * unmaps block.size_bytes of it.
 */
struct pln_table *pln_table_build(const struct pln_eh_image *image, uintptr_t lo, uintptr_t hi);

#endif
