/* SPDX-License-Identifier: MIT */
/*
 * disassemble.h - one x86-64 instruction at a time. Capstone lives behind this only.
 */
#ifndef PILLION_COLLECTOR_DISASSEMBLE_H
#define PILLION_COLLECTOR_DISASSEMBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pln_syntax {
	PLN_SYNTAX_ATT = 0,
	PLN_SYNTAX_INTEL = 1,
};

struct pln_disassembler;

struct pln_decoded {
	unsigned size; /* bytes, at least 1 */
	char text[192];
	uint64_t target; /* where a direct call or jump goes, else 0 */
};

/* Why pln_disassembler_new() cannot work in this build; NULL: it can. */
const char *pln_disassembler_missing(void);

/* NULL: out of memory, or missing. */
struct pln_disassembler *pln_disassembler_new(enum pln_syntax syntax);
void pln_disassembler_free(struct pln_disassembler *d);

/*
 * Decodes what is at `address`; `size` bytes of `code` are left, at least one. What cannot be
 * decoded is one byte, shown as data.
 */
void pln_disassemble(struct pln_disassembler *d, const uint8_t *code, size_t size, uint64_t address,
		     struct pln_decoded *decoded);

#endif
