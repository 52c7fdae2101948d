/* SPDX-License-Identifier: MIT */
/*
 * elf_fdes.h - where functions begin and end, by the tables for unwinding them.
 *
 * No name survives in a stripped library, but .eh_frame does: exceptions need it at run
 * time. It has an entry (FDE) for each piece of code that the compiler laid out: a
 * function, or the cold part of one.
 */
#ifndef PILLION_COLLECTOR_SYMBOLS_ELF_FDES_H
#define PILLION_COLLECTOR_SYMBOLS_ELF_FDES_H

#include "symbols/array.h"
#include "symbols/elf_file.h"

#include <stdint.h>

/* The code of one FDE: [start, end). */
struct pln_fde {
	uint64_t start;
	uint64_t end;
};

/* Appends every FDE (struct pln_fde) by address. 0, -ENOENT there is no table, -ENOMEM. */
int pln_fdes_read(const struct pln_elf *file, struct pln_array *fdes);

/* The one that the address lies in, or NULL. */
const struct pln_fde *pln_fdes_find(const struct pln_array *fdes, uint64_t address);

#endif
