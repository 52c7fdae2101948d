/* SPDX-License-Identifier: MIT */
/*
 * fixture.h - real inputs for the symbolizer, made by the compilers that are there.
 *
 * A test works in its own temporary directory, which goes away with the process.
 * Sources mark places twice: an assembler label (MARK) gives the address, a comment
 * with the same word gives the line.
 */
#ifndef PILLION_TESTS_SYMBOLS_FIXTURE_H
#define PILLION_TESTS_SYMBOLS_FIXTURE_H

#include "symbols/symbols.h"

#include "check.h"

#include <stdbool.h>
#include <stdint.h>

/* The directory; made on the first call. */
const char *fixture_dir(void);
/* "<dir>/<name>"; up to eight results stay valid. */
const char *fixture_path(const char *name);
/* Where the sources are. */
const char *fixture_source(const char *name);

bool fixture_has(const char *command);
/* Runs a shell command in the directory, with $S for the sources; true when it succeeds. */
bool fixture_run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Address of a symbol by nm; 0: none. */
uint64_t fixture_address(const char *name, const char *symbol);
/* Line of a source that has the words "line: <mark>" in it. */
unsigned fixture_line(const char *source, const char *mark);

/* A symbolizer that looks for debug files in <dir>/debug, and its one file. */
struct fixture {
	struct pln_symbolizer *symbolizer;
	struct pln_symbol_file *file;
	struct pln_symbol symbols[16];
	unsigned count;
};

/* Checks that the file opens. */
static inline bool fixture_open(struct fixture *fixture, const char *name)
{
	const char *dirs[] = { fixture_path("debug"), NULL };

	*fixture = (struct fixture){ .symbolizer = pln_symbolizer_new(dirs) };
	return CHECK(fixture->symbolizer) &&
	       CHECK_EQ(pln_symbolizer_file(fixture->symbolizer, NULL, fixture_path(name), NULL, 0,
					    &fixture->file),
			0);
}

static inline void fixture_close(struct fixture *fixture)
{
	pln_symbolizer_free(fixture->symbolizer);
}

/* Looks up `symbol`'s address plus `offset`. */
static inline void fixture_lookup(struct fixture *fixture, const char *name, const char *symbol,
				  int offset)
{
	uint64_t address = fixture_address(name, symbol);

	fixture->count = 0;
	if (!CHECK(address)) {
		fprintf(stderr, "\t%s has no %s\n", name, symbol);
		return;
	}
	fixture->count =
		pln_symbolizer_lookup(fixture->symbolizer, fixture->file,
				      address + (uint64_t)(int64_t)offset, fixture->symbols, 16);
}

/* Checks frame `i` of the last lookup; `mark` NULL: neither file nor line is expected. */
static inline void fixture_check(const struct fixture *fixture, unsigned i, const char *name,
				 const char *source, const char *mark)
{
	const struct pln_symbol *symbol = &fixture->symbols[i];

	if (!CHECK(i < fixture->count)) {
		fprintf(stderr, "\tno frame %u (%s)\n", i, name);
		return;
	}
	CHECK_STR(symbol->name, name);
	CHECK_EQ(symbol->inlined, i + 1 < fixture->count);
	CHECK_STR(symbol->file, mark ? fixture_source(source) : "");
	CHECK_EQ(symbol->line, mark ? fixture_line(source, mark) : 0);
}

#endif
