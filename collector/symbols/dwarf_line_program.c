/* SPDX-License-Identifier: MIT */
/*
 * dwarf_line_program.c - which rows of a line table were made before any file was set.
 *
 * Such rows are in file 1. libdwarf 20210528 (and addr2line 2.40) think that it is
 * file 0 in DWARF 5, which names the wrong file for 1 % of CPython's code, and the row
 * that libdwarf returns does not tell an unset 0 from one that was set. So the program
 * is run here once more for this one register.
 */
#include "symbols/dwarf_i.h"

#include <errno.h>
#include <string.h>

struct reader {
	const uint8_t *at;
	const uint8_t *end;
};

/* What of the header is needed to tell opcodes apart. */
struct program {
	struct reader code;
	uint8_t opcode_base;
	const uint8_t *operand_counts; /* of opcode 1, 2, ... */
};

/* Little-endian; at the end of the data it reads zeros. */
static uint64_t read_fixed(struct reader *reader, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++) {
		uint64_t byte = reader->at < reader->end ? *reader->at++ : 0;

		value |= byte << (8 * i);
	}
	return value;
}

static uint64_t read_uleb(struct reader *reader)
{
	uint64_t value = 0;

	for (unsigned shift = 0; reader->at < reader->end; shift += 7) {
		uint8_t byte = *reader->at++;

		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			break;
	}
	return value;
}

static void skip(struct reader *reader, uint64_t size)
{
	size_t left = (size_t)(reader->end - reader->at);

	reader->at += size < left ? size : left;
}

/* Reads the header at the start of `reader`. */
static bool open_program(struct reader reader, struct program *program)
{
	unsigned offset_size = 4;
	uint64_t length = read_fixed(&reader, 4);
	unsigned version;

	if (length == UINT32_MAX) {
		offset_size = 8;
		length = read_fixed(&reader, 8);
	}
	if (length < (uint64_t)(reader.end - reader.at))
		reader.end = reader.at + length;
	version = (unsigned)read_fixed(&reader, 2);
	if (version < 2 || version > 5)
		return false;
	skip(&reader, version >= 5 ? 2 : 0); /* sizes of address and segment */
	length = read_fixed(&reader, offset_size);
	program->code = reader;
	skip(&program->code, length);
	skip(&reader, version >= 4 ? 5 : 4); /* up to line_range */
	program->opcode_base = (uint8_t)read_fixed(&reader, 1);
	program->operand_counts = reader.at;
	return program->opcode_base &&
	       (size_t)(reader.end - reader.at) >= program->opcode_base - 1u;
}

static int add_row(struct pln_array *unset, bool file_set)
{
	uint8_t flag = !file_set;

	return pln_array_append(unset, &flag, sizeof(flag));
}

/* A standard opcode; `*file_set` becomes true when it sets the file. */
static void skip_operands(struct program *program, uint8_t opcode, bool *file_set)
{
	if (opcode == DW_LNS_fixed_advance_pc) {
		skip(&program->code, 2);
		return;
	}
	*file_set |= opcode == DW_LNS_set_file;
	for (unsigned i = 0; i < program->operand_counts[opcode - 1]; i++)
		read_uleb(&program->code);
}

static int run(struct program *program, struct pln_array *unset)
{
	bool file_set = false;
	int rc = 0;

	while (!rc && program->code.at < program->code.end) {
		uint8_t opcode = (uint8_t)read_fixed(&program->code, 1);

		if (opcode >= program->opcode_base || opcode == DW_LNS_copy) {
			rc = add_row(unset, file_set);
		} else if (opcode) {
			skip_operands(program, opcode, &file_set);
		} else {
			uint64_t size = read_uleb(&program->code);
			struct reader extended = program->code;

			skip(&program->code, size);
			if (read_fixed(&extended, 1) != DW_LNE_end_sequence)
				continue;
			rc = add_row(unset, file_set);
			file_set = false;
		}
	}
	return rc;
}

int pln_dwarf_rows_without_file(struct pln_dwarf_session *session, Dwarf_Die unit,
				struct pln_array *unset)
{
	struct program program;
	struct reader reader;
	uint64_t offset;
	size_t size;

	reader.at = pln_dwarf_section(session, ".debug_line", &size);
	if (!reader.at || !pln_die_offset(session, unit, DW_AT_stmt_list, &offset) ||
	    offset >= size)
		return 0;
	reader.end = reader.at + size;
	skip(&reader, offset);
	return open_program(reader, &program) ? run(&program, unset) : 0;
}
