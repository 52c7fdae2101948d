/* SPDX-License-Identifier: MIT */
/*
 * dwarf_file.h - the DWARF of one file: units fetched from a worker when first hit.
 */
#ifndef PILLION_COLLECTOR_SYMBOLS_DWARF_FILE_H
#define PILLION_COLLECTOR_SYMBOLS_DWARF_FILE_H

#include "symbols/arena.h"
#include "symbols/dwarf_worker.h"

struct pln_dwarf_file;

/* The workers that are alive. A file that has not been asked for a while loses its own. */
#define PLN_DWARF_POOL_SIZE 4

struct pln_dwarf_pool {
	struct pln_dwarf_file *files[PLN_DWARF_POOL_SIZE]; /* the latest asked first */
};

/* One source-level frame: names and files are shared strings. */
struct pln_dwarf_frame {
	const char *name;
	const char *linkage_name;
	const char *file;
	uint32_t line;
	uint32_t decl_line;
};

/* Takes both fds over, also on failure. NULL without memory. */
struct pln_dwarf_file *pln_dwarf_file_new(struct pln_dwarf_pool *pool,
					  const struct pln_dwarf_source *source);
void pln_dwarf_file_free(struct pln_dwarf_file *file);

/*
 * Frames at the address, innermost first; when there are more than `max`, the last is
 * still the function itself. A line without a function is one frame without a name.
 */
unsigned pln_dwarf_file_frames(struct pln_dwarf_file *file, struct pln_arena *arena,
			       uint64_t address, struct pln_dwarf_frame *out, unsigned max);

/* Why something could not be read, or "". */
const char *pln_dwarf_file_problem(const struct pln_dwarf_file *file);

#endif
