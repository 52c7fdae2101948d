/* SPDX-License-Identifier: MIT */
/*
 * symbols.h - from (file, address) to functions, files and lines.
 *
 * symbolizer.c answers, from the best source that a file has. elf_*.c read symbol
 * tables, PLT stubs, unwind tables and build ids (libelf), debug_file.c finds separate
 * debug files (build id, debuglink, dwz), dwarf_*.c read lines and inlined chains
 * (libdwarf, behind dwarf_i.h) in a child process that may die of a hostile file
 * (dwarf_worker.h), demangle.c makes C++ and Rust names readable (libiberty).
 *
 * Not thread-safe: one thread at a time per symbolizer.
 */
#ifndef PILLION_COLLECTOR_SYMBOLS_H
#define PILLION_COLLECTOR_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pln_symbolizer;
struct pln_symbol_file;

/* One source-level frame of an address. Strings live as long as the symbolizer. */
struct pln_symbol {
	const char *name; /* demangled; never NULL, "" when there is none */
	const char *linkage_name; /* as in the symbol table, "" unknown */
	const char *file; /* "" unknown */
	uint32_t line; /* 0 unknown */
	uint32_t decl_line; /* first line of the function, 0 unknown */
	bool inlined; /* inlined into the next symbol */
};

/* `debug_dirs`: NULL-terminated list searched for separate debug files; NULL: /usr/lib/debug. */
struct pln_symbolizer *pln_symbolizer_new(const char *const *debug_dirs);
void pln_symbolizer_free(struct pln_symbolizer *s);

/*
 * Opens (once) the file at `path`. When `build_id_size` is not 0 and the file's own
 * build id differs, it is the wrong file and is refused (-ESTALE). `root` (or NULL)
 * is put before the path when that exists there: /proc/PID/root; without it, the path
 * alone is only taken when the build id matches. "[vdso]" with its build id is found
 * in this process. Returns 0 or -errno.
 */
int pln_symbolizer_file(struct pln_symbolizer *s, const char *root, const char *path,
			const uint8_t *build_id, size_t build_id_size,
			struct pln_symbol_file **file);

/*
 * Source-level frames at `address` (ELF virtual address; give the return address
 * minus one for frames that are not leaves). Innermost (most inlined) first. Fills at
 * most `max`, returns how many (0: nothing known).
 */
unsigned pln_symbolizer_lookup(struct pln_symbolizer *s, struct pln_symbol_file *file,
			       uint64_t address, struct pln_symbol *out, unsigned max);

/*
 * The function, or the cold part of one, that the address lies in: [start, end). Needs
 * no symbols. False: the file does not tell.
 */
bool pln_symbolizer_function_range(struct pln_symbolizer *s, struct pln_symbol_file *file,
				   uint64_t address, uint64_t *start, uint64_t *end);

/* What was found for a file, for `info`: "dwarf", "symtab", "dynsym", "none"; and the debug file or
 * "". */
const char *pln_symbol_file_source(const struct pln_symbol_file *file);
const char *pln_symbol_file_debug_path(const struct pln_symbol_file *file);
/* Why debug information that is there could not be used in full, or "". */
const char *pln_symbol_file_problem(const struct pln_symbol_file *file);

/* Demangled copy (malloc), or NULL when `name` is not mangled. C++ (Itanium), Rust legacy and v0.
 */
char *pln_demangle(const char *name);

#endif
