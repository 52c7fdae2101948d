/* SPDX-License-Identifier: MIT */
/*
 * elf_symbols_i.h - what elf_symbols.c and elf_plt.c share.
 */
#ifndef PILLION_COLLECTOR_SYMBOLS_ELF_SYMBOLS_I_H
#define PILLION_COLLECTOR_SYMBOLS_ELF_SYMBOLS_I_H

#include "symbols/elf_symbols.h"

/* From the worst name for an address to the best. */
enum pln_symbol_kind {
	PLN_SYMBOL_STUB, /* a PLT entry */
	PLN_SYMBOL_LABEL, /* untyped, in hand-written assembly */
	PLN_SYMBOL_OPEN, /* a function without a size */
	PLN_SYMBOL_FUNCTION,
};

struct pln_candidate {
	uint64_t address;
	uint64_t end; /* for those without a size: the end of their section */
	const char *name; /* belongs to the Elf, for stubs to the table (`owned`) */
	char *owned;
	uint8_t kind;
	uint8_t binding;
};

/* Adds "name@plt" for every stub of an x86-64 file. */
int pln_symtab_add_stubs(struct pln_symtab *table, const struct pln_elf *file);

#endif
