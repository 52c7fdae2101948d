/* SPDX-License-Identifier: MIT */
/*
 * dwarf_index.c - which unit has the code at an address; then that unit, in full.
 *
 * The units' own DIEs say where their code is. .debug_aranges says it too, but may be
 * absent (clang) or lack units, and reading it takes as long (libc: 44 against 48 ms
 * with decompression, libpython: 23 against 12), so it is not used. Units without code
 * (dwz's partial units, LTO's early ones, types) are only reached by references.
 */
#include "symbols/dwarf_i.h"

#include <errno.h>

/* No file comes close; a cycle in damaged headers would. */
#define UNITS_MAX (1u << 20)

struct index_sink {
	struct pln_array *ranges;
	uint64_t unit;
};

static int add_range(uint64_t low, uint64_t high, void *arg)
{
	struct index_sink *sink = arg;
	struct pln_dwarf_range range = { low, high, sink->unit };

	return pln_array_append(sink->ranges, &range, sizeof(range));
}

/* Moves to the next unit; NULL at the end. Its DIE is to be given back. */
static bool next_unit(struct pln_dwarf_session *session, Dwarf_Die *unit)
{
	Dwarf_Unsigned length, type_offset, next;
	Dwarf_Half version, address_size, offset_size, extension_size, kind;
	Dwarf_Off abbreviations;
	Dwarf_Sig8 signature;

	*unit = NULL;
	if (!pln_dwarf_ok(session, dwarf_next_cu_header_d(
					   session->dbg, 1, &length, &version, &abbreviations,
					   &address_size, &offset_size, &extension_size, &signature,
					   &type_offset, &next, &kind, &session->error)))
		return false;
	if (!pln_dwarf_ok(session, dwarf_siblingof_b(session->dbg, NULL, 1, unit, &session->error)))
		*unit = NULL;
	return true;
}

static int index_unit(struct pln_dwarf_session *session, Dwarf_Die unit, struct pln_array *ranges)
{
	struct index_sink sink = { .ranges = ranges };
	Dwarf_Half tag = pln_die_tag(session, unit);
	Dwarf_Addr base = 0;
	Dwarf_Off offset;

	/* A skeleton has the lines of a unit whose functions are in a .dwo file. */
	if ((tag != DW_TAG_compile_unit && tag != DW_TAG_skeleton_unit) ||
	    !pln_dwarf_ok(session, dwarf_dieoffset(unit, &offset, &session->error)))
		return 0;
	sink.unit = offset;
	if (!pln_dwarf_ok(session, dwarf_lowpc(unit, &base, &session->error)))
		base = 0;
	return pln_die_ranges(session, unit, base, add_range, &sink);
}

int pln_dwarf_read_index(struct pln_dwarf_session *session, struct pln_dwarf_message *message)
{
	Dwarf_Die unit;
	int rc = 0;

	for (unsigned i = 0; !rc && i < UNITS_MAX && next_unit(session, &unit); i++) {
		if (!unit)
			continue;
		rc = index_unit(session, unit, &message->arrays[PLN_DWARF_RANGES]);
		dwarf_dealloc_die(unit);
	}
	return rc;
}

int pln_dwarf_read_unit(struct pln_dwarf_session *session, uint64_t offset,
			struct pln_dwarf_message *message)
{
	struct pln_die_ref ref = { false, offset };
	Dwarf_Die unit = pln_die_at(session, ref);
	uint32_t first_file;
	int rc;

	if (!unit)
		return -EBADMSG;
	rc = pln_dwarf_read_lines(session, unit, message, &first_file);
	if (!rc)
		rc = pln_dwarf_read_functions(session, unit, first_file, message);
	dwarf_dealloc_die(unit);
	return rc;
}
