/* SPDX-License-Identifier: MIT */
/*
 * dwarf_data.c - checks of a received message, and lookups in it.
 *
 * After pln_dwarf_unit_new() every index is known to be inside its array and callers
 * to have lower indexes, so that lookups need no checks and always end.
 */
#include "symbols/dwarf_data.h"

#include "symbols/demangle.h"

static const size_t item_sizes[PLN_DWARF_ARRAYS] = {
	[PLN_DWARF_RANGES] = sizeof(struct pln_dwarf_range),
	[PLN_DWARF_ROWS] = sizeof(struct pln_dwarf_row),
	[PLN_DWARF_SLICES] = sizeof(struct pln_slice),
	[PLN_DWARF_NODES] = sizeof(struct pln_dwarf_node),
	[PLN_DWARF_FUNCTIONS] = sizeof(struct pln_dwarf_function),
	[PLN_DWARF_FILES] = sizeof(uint32_t),
	[PLN_DWARF_STRINGS] = 1,
};

static void set_views(struct pln_dwarf_unit *unit, const struct pln_dwarf_header *header)
{
	const char *at = unit->memory;

	for (int i = 0; i < PLN_DWARF_ARRAYS; i++) {
		unit->arrays[i].items = at;
		unit->arrays[i].count = header->sizes[i] / item_sizes[i];
		at += (header->sizes[i] + 7) & ~UINT64_C(7);
	}
	unit->size = (size_t)(at - (const char *)unit->memory);
}

static bool in_array(const struct pln_dwarf_unit *unit, enum pln_dwarf_array array, uint32_t index)
{
	return index < unit->arrays[array].count;
}

static bool is_string(const struct pln_dwarf_unit *unit, uint32_t offset)
{
	return in_array(unit, PLN_DWARF_STRINGS, offset);
}

static bool strings_end(const struct pln_dwarf_unit *unit)
{
	const struct pln_dwarf_view *strings = &unit->arrays[PLN_DWARF_STRINGS];
	const char *bytes = strings->items;

	return strings->count && !bytes[0] && !bytes[strings->count - 1];
}

static bool nodes_valid(const struct pln_dwarf_unit *unit)
{
	const struct pln_dwarf_node *nodes = unit->arrays[PLN_DWARF_NODES].items;
	const struct pln_dwarf_function *functions = unit->arrays[PLN_DWARF_FUNCTIONS].items;

	for (size_t i = 0; i < unit->arrays[PLN_DWARF_FUNCTIONS].count; i++) {
		if (!is_string(unit, functions[i].name) ||
		    !is_string(unit, functions[i].linkage_name))
			return false;
	}
	for (size_t i = 0; i < unit->arrays[PLN_DWARF_NODES].count; i++) {
		if (!in_array(unit, PLN_DWARF_FUNCTIONS, nodes[i].function))
			return false;
		if (nodes[i].caller != PLN_DWARF_NONE && nodes[i].caller >= i)
			return false;
		if (nodes[i].call_file != PLN_DWARF_NONE &&
		    !in_array(unit, PLN_DWARF_FILES, nodes[i].call_file))
			return false;
	}
	return true;
}

static bool addresses_valid(const struct pln_dwarf_unit *unit)
{
	const struct pln_dwarf_row *rows = unit->arrays[PLN_DWARF_ROWS].items;
	const struct pln_slice *slices = unit->arrays[PLN_DWARF_SLICES].items;
	const uint32_t *files = unit->arrays[PLN_DWARF_FILES].items;

	for (size_t i = 0; i < unit->arrays[PLN_DWARF_FILES].count; i++) {
		if (!is_string(unit, files[i]))
			return false;
	}
	for (size_t i = 0; i < unit->arrays[PLN_DWARF_ROWS].count; i++) {
		if (rows[i].file != PLN_DWARF_NONE &&
		    !in_array(unit, PLN_DWARF_FILES, rows[i].file))
			return false;
	}
	for (size_t i = 0; i < unit->arrays[PLN_DWARF_SLICES].count; i++) {
		if (slices[i].value != PLN_SPAN_NONE &&
		    !in_array(unit, PLN_DWARF_NODES, slices[i].value))
			return false;
	}
	return true;
}

struct pln_dwarf_unit *pln_dwarf_unit_new(const struct pln_dwarf_header *header, void *memory)
{
	struct pln_dwarf_unit *unit = calloc(1, sizeof(*unit));

	if (!unit) {
		free(memory);
		return NULL;
	}
	unit->memory = memory;
	set_views(unit, header);
	if (strings_end(unit) && nodes_valid(unit) && addresses_valid(unit))
		return unit;
	pln_dwarf_unit_free(unit);
	return NULL;
}

void pln_dwarf_unit_free(struct pln_dwarf_unit *unit)
{
	if (!unit)
		return;
	free(unit->memory);
	free(unit);
}

const struct pln_dwarf_row *pln_dwarf_unit_row(const struct pln_dwarf_unit *unit, uint64_t address)
{
	const struct pln_dwarf_row *rows = unit->arrays[PLN_DWARF_ROWS].items;
	size_t low = 0, high = unit->arrays[PLN_DWARF_ROWS].count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (rows[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low && rows[low - 1].file != PLN_DWARF_NONE ? &rows[low - 1] : NULL;
}

const struct pln_dwarf_node *pln_dwarf_unit_node(const struct pln_dwarf_unit *unit,
						 uint64_t address)
{
	const struct pln_dwarf_node *nodes = unit->arrays[PLN_DWARF_NODES].items;
	uint32_t index = pln_slices_find(unit->arrays[PLN_DWARF_SLICES].items,
					 unit->arrays[PLN_DWARF_SLICES].count, address);

	return index == PLN_SPAN_NONE ? NULL : &nodes[index];
}

const struct pln_dwarf_node *pln_dwarf_unit_caller(const struct pln_dwarf_unit *unit,
						   const struct pln_dwarf_node *node)
{
	const struct pln_dwarf_node *nodes = unit->arrays[PLN_DWARF_NODES].items;

	return node->caller == PLN_DWARF_NONE ? NULL : &nodes[node->caller];
}

const struct pln_dwarf_function *pln_dwarf_unit_function(const struct pln_dwarf_unit *unit,
							 const struct pln_dwarf_node *node)
{
	const struct pln_dwarf_function *functions = unit->arrays[PLN_DWARF_FUNCTIONS].items;

	return &functions[node->function];
}

const char *pln_dwarf_unit_file(const struct pln_dwarf_unit *unit, uint32_t file)
{
	const uint32_t *files = unit->arrays[PLN_DWARF_FILES].items;

	return file == PLN_DWARF_NONE ? "" : pln_dwarf_unit_string(unit, files[file]);
}

const char *pln_dwarf_unit_string(const struct pln_dwarf_unit *unit, uint32_t offset)
{
	const char *string = (const char *)unit->arrays[PLN_DWARF_STRINGS].items + offset;

	return strnlen(string, PLN_NAME_MAX_BYTES + 1) > PLN_NAME_MAX_BYTES ? "" : string;
}
