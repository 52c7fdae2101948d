/* SPDX-License-Identifier: MIT */
/*
 * debug_file.h - where the debug information of a stripped file is.
 */
#ifndef PILLION_COLLECTOR_SYMBOLS_DEBUG_FILE_H
#define PILLION_COLLECTOR_SYMBOLS_DEBUG_FILE_H

#include "symbols/elf_file.h"

struct pln_debug_search {
	const char *root; /* tried before every path, then the path alone; NULL: only that */
	const char *const *dirs; /* NULL-terminated, such as /usr/lib/debug */
};

/*
 * The separate debug file of `file`, which was opened at `path` (as the target sees
 * it): by build id, then by .gnu_debuglink with its checksum. Returns 0 or -ENOENT;
 * `*found_path` is malloc.
 */
int pln_debug_file_find(const struct pln_debug_search *search, const struct pln_elf *file,
			const char *path, struct pln_elf **found, char **found_path);

/* The file that dwz moved common parts of `file` into: -ENOENT not found, -ENODATA has none. */
int pln_debug_file_find_alt(const struct pln_debug_search *search, const struct pln_elf *file,
			    const char *path, struct pln_elf **found, char **found_path);

/* The ELF file packed into .gnu_debugdata, which has local symbols only. -ENOENT has none. */
int pln_debug_file_unpack_mini(const struct pln_elf *file, struct pln_elf **found);

#endif
