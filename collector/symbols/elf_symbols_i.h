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
	const char *name; /* in the table's strings; of stubs: what they call */
	uint16_t length; /* of the name, where it is cut */
	uint16_t underscores; /* at its start */
	uint8_t kind;
	uint8_t binding;
};

/* One string table of a file. */
struct pln_strings {
	const struct pln_elf *file;
	size_t section;
	char *data; /* owned; NULL when it cannot be read */
	size_t size; /* without the NUL that was put behind it */
};

/* Counts what is read; NULL: nothing to read, or too much. To be freed. */
void *pln_symtab_read(struct pln_symtab *table, const struct pln_elf *file, const GElf_Shdr *header,
		      size_t *size);
/* Read once. */
struct pln_strings pln_symtab_strings(struct pln_symtab *table, const struct pln_elf *file,
				      size_t section);
/* NULL: not in there. Ends in NUL, wherever that is. */
const char *pln_string_at(const struct pln_strings *strings, uint64_t offset);
/* Fills in what is known of the name. */
int pln_symtab_append(struct pln_symtab *table, struct pln_candidate *candidate);

/* Adds "name@plt" for every stub of an x86-64 file. */
int pln_symtab_add_stubs(struct pln_symtab *table, const struct pln_elf *file);

#endif
