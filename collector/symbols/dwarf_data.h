/* SPDX-License-Identifier: MIT */
/*
 * dwarf_data.h - what is kept of DWARF: flat arrays, which also cross a socket.
 *
 * The worker (dwarf_worker.h) parses and sends a message; the collector checks every
 * index in it once (dwarf_data.c) and looks addresses up in place. A message is a
 * header and its arrays, one after the other.
 */
#ifndef PILLION_COLLECTOR_SYMBOLS_DWARF_DATA_H
#define PILLION_COLLECTOR_SYMBOLS_DWARF_DATA_H

#include "symbols/array.h"
#include "symbols/spans.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLN_DWARF_NONE UINT32_MAX

/* Where a unit's code is. */
struct pln_dwarf_range {
	uint64_t low;
	uint64_t high;
	uint64_t unit; /* offset of the unit's DIE */
};

/* From `address` up to the next row's; file PLN_DWARF_NONE ends a sequence. */
struct pln_dwarf_row {
	uint64_t address;
	uint32_t file;
	uint32_t line;
};

/* Names are offsets in the strings; 0 is "". */
struct pln_dwarf_function {
	uint32_t name; /* with its scopes: ns::class::name */
	uint32_t linkage_name;
	uint32_t decl_line;
};

/* A function's code, or one inlined copy of it. */
struct pln_dwarf_node {
	uint32_t function;
	uint32_t caller; /* node that it is inlined into; always a lower index */
	uint32_t call_file;
	uint32_t call_line;
};

enum pln_dwarf_array {
	PLN_DWARF_RANGES, /* struct pln_dwarf_range, of an index only */
	PLN_DWARF_ROWS, /* struct pln_dwarf_row, by address */
	PLN_DWARF_SLICES, /* struct pln_slice: address to node */
	PLN_DWARF_NODES,
	PLN_DWARF_FUNCTIONS,
	PLN_DWARF_FILES, /* uint32_t offset in the strings */
	PLN_DWARF_STRINGS, /* the first and the last byte are NUL */
	PLN_DWARF_ARRAYS,
};

struct pln_dwarf_header {
	int32_t error; /* 0 or -errno: nothing follows */
	uint32_t reserved;
	uint64_t sizes[PLN_DWARF_ARRAYS]; /* bytes; each array is padded to 8 */
};

/* What a worker builds and sends. */
struct pln_dwarf_message {
	struct pln_array arrays[PLN_DWARF_ARRAYS];
};

/* An array that was received. */
struct pln_dwarf_view {
	const void *items;
	size_t count;
};

/* A message that was received and is found consistent. */
struct pln_dwarf_unit {
	void *memory;
	size_t size;
	struct pln_dwarf_view arrays[PLN_DWARF_ARRAYS];
};

/*
 * Takes over `memory`, which holds the arrays. Returns NULL when something in it points
 * outside: the worker that sent it had read a hostile file.
 */
struct pln_dwarf_unit *pln_dwarf_unit_new(const struct pln_dwarf_header *header, void *memory);
void pln_dwarf_unit_free(struct pln_dwarf_unit *unit);

/* The row in force at the address, or NULL. */
const struct pln_dwarf_row *pln_dwarf_unit_row(const struct pln_dwarf_unit *unit, uint64_t address);
/* The innermost node at the address, or NULL. */
const struct pln_dwarf_node *pln_dwarf_unit_node(const struct pln_dwarf_unit *unit,
						 uint64_t address);
const struct pln_dwarf_node *pln_dwarf_unit_caller(const struct pln_dwarf_unit *unit,
						   const struct pln_dwarf_node *node);
const struct pln_dwarf_function *pln_dwarf_unit_function(const struct pln_dwarf_unit *unit,
							 const struct pln_dwarf_node *node);
const char *pln_dwarf_unit_file(const struct pln_dwarf_unit *unit, uint32_t file);
/* "" when it is longer than any real name: what it is asked for goes into the profile. */
const char *pln_dwarf_unit_string(const struct pln_dwarf_unit *unit, uint32_t offset);

#endif
