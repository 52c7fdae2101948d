/* SPDX-License-Identifier: MIT */
/*
 * cfi_i.h - runs DWARF call frame programs for the registers that a walk needs.
 */
#ifndef PILLION_PRELOAD_NATIVE_CFI_I_H
#define PILLION_PRELOAD_NATIVE_CFI_I_H

#include <stdbool.h>
#include <stdint.h>

#include "native/bytes_i.h"
#include "native/table_i.h"

enum pln_cfi_rule_kind {
	PLN_CFI_SAME = 0,
	PLN_CFI_AT_CFA = 1, /* saved at CFA + offset */
	PLN_CFI_UNDEFINED = 2,
	PLN_CFI_AT_RBP = 3, /* saved at rbp + 0 (an expression of realigned functions) */
	PLN_CFI_OTHER = 4
};

struct pln_cfi_rule {
	enum pln_cfi_rule_kind kind;
	int64_t offset;
};

/* Rules at one pc. */
struct pln_cfi_state {
	enum pln_row_kind cfa_kind; /* never GAP, END or ANONYMOUS */
	int64_t cfa_offset; /* bytes; of a PLT: the first byte of the stub after its push */
	struct pln_cfi_rule rbp;
	struct pln_cfi_rule rbx;
	struct pln_cfi_rule ra;
};

struct pln_cfi_factors {
	uint64_t code_align;
	int64_t data_align;
	uint8_t pointer_encoding; /* of DW_CFA_set_loc */
};

/* One program: what is run, where it starts and ends, and who takes the rules. */
struct pln_cfi_run {
	struct pln_bytes program;
	struct pln_cfi_factors factors;
	const struct pln_cfi_state *initial; /* for DW_CFA_restore; NULL in a CIE */
	uintptr_t pc;
	uintptr_t limit;
	/* Rules that hold from pc on. Called with rising pc. NULL: not wanted. */
	void (*emit)(uintptr_t pc, const struct pln_cfi_state *state, void *arg);
	void *arg;
};

/* Runs to the end. False when the program is broken or uses what is not understood. */
bool pln_cfi_run(struct pln_cfi_run *run, struct pln_cfi_state *state);

/*
 * Reads a pointer of DW_EH_PE encoding; `data_base` is what data-relative ones count
 * from. Indirect pointers are not followed: reading one fails.
 */
uintptr_t pln_cfi_pointer(struct pln_bytes *b, uint8_t encoding, uintptr_t data_base);

#endif
