/* SPDX-License-Identifier: MIT */
/*
 * elf_symbols.h - which symbol an address lies in, by .symtab, .dynsym and the PLT.
 */
#ifndef PILLION_COLLECTOR_SYMBOLS_ELF_SYMBOLS_H
#define PILLION_COLLECTOR_SYMBOLS_ELF_SYMBOLS_H

#include "symbols/arena.h"
#include "symbols/array.h"
#include "symbols/elf_file.h"

#include <stdbool.h>
#include <stdint.h>

struct pln_elf_symbol {
	const char *linkage_name; /* as in the table */
	const char *name; /* NULL until it is first asked for */
	uint16_t length; /* of linkage_name, which may go on behind it until it is found */
	bool is_stub; /* and has no suffix yet */
};

/* What is collected, then how it is looked up. Zero is an empty one. */
struct pln_symtab {
	struct pln_array candidates; /* between add and finish */
	struct pln_array symbols; /* struct pln_elf_symbol */
	struct pln_array slices; /* struct pln_slice: address to index in symbols */
	struct pln_array strings; /* struct pln_strings, which names lie in */
	uint64_t bytes_read; /* of all files added */
	bool has_symtab; /* one of the files added has a .symtab */
};

/* Adds the functions and stubs of a file, which must stay open until pln_symtab_finish(). */
int pln_symtab_add(struct pln_symtab *table, const struct pln_elf *file);
/* Chooses one name for each address. Returns 0 or -ENOMEM. */
int pln_symtab_finish(struct pln_symtab *table, struct pln_arena *arena);
void pln_symtab_free(struct pln_symtab *table);

/* Or NULL. Its names live as long as both the table and the arena. */
struct pln_elf_symbol *pln_symtab_find(const struct pln_symtab *table, struct pln_arena *arena,
				       uint64_t address);

#endif
