/* SPDX-License-Identifier: MIT */
/*
 * fuzz_dwarf.c - what the worker that reads DWARF answers. It may have been taken over by
 * the file that it read: the collector checks each index once, and looks up without checks.
 *
 * Input: sizes of the arrays (two bytes each, little endian), then the arrays.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "symbols/dwarf_data.h"

enum { HEADER = 2 * PLN_DWARF_ARRAYS };

/* As a worker's answer is received: arrays are padded to 8 bytes. NULL: it has none. */
static struct pln_dwarf_unit *receive(const uint8_t *data, size_t size)
{
	struct pln_dwarf_header header = { 0 };
	size_t total = 0;
	uint8_t *memory;

	for (int i = 0; i < PLN_DWARF_ARRAYS; i++) {
		header.sizes[i] = data[2 * i] | (uint64_t)data[2 * i + 1] << 8;
		total += (header.sizes[i] + 7) & ~(size_t)7;
	}
	if (!total)
		return NULL;
	memory = calloc(1, total);
	if (!memory)
		abort();
	size -= HEADER;
	memcpy(memory, data + HEADER, size < total ? size : total);
	return pln_dwarf_unit_new(&header, memory);
}

static size_t look_up(const struct pln_dwarf_unit *unit, uint64_t address)
{
	const struct pln_dwarf_row *row = pln_dwarf_unit_row(unit, address);
	const struct pln_dwarf_node *node = pln_dwarf_unit_node(unit, address);
	size_t length = row ? strlen(pln_dwarf_unit_file(unit, row->file)) : 0;

	for (; node; node = pln_dwarf_unit_caller(unit, node)) {
		const struct pln_dwarf_function *f = pln_dwarf_unit_function(unit, node);

		length += strlen(pln_dwarf_unit_string(unit, f->name));
		length += strlen(pln_dwarf_unit_string(unit, f->linkage_name));
		length += strlen(pln_dwarf_unit_file(unit, node->call_file));
	}
	return length;
}

bool fuzz_dwarf(const uint8_t *data, size_t size)
{
	struct pln_dwarf_unit *unit = size >= HEADER ? receive(data, size) : NULL;
	const struct pln_dwarf_row *rows;
	size_t length = 0;

	if (!unit)
		return true;
	rows = unit->arrays[PLN_DWARF_ROWS].items;
	for (size_t i = 0; i < unit->arrays[PLN_DWARF_ROWS].count; i++)
		length += look_up(unit, rows[i].address);
	for (unsigned bit = 0; bit < 64; bit++)
		length += look_up(unit, UINT64_C(1) << bit);
	pln_dwarf_unit_free(unit);
	return length < SIZE_MAX / 2;
}
