/* SPDX-License-Identifier: MIT */
/*
 * dwarf_line_program.c - the byte code of a line table, run for addresses and lines.
 *
 * libdwarf can run it too, but gets it wrong: 20210528 starts DWARF 5 sequences in file
 * 0 instead of 1 (1 % of CPython's code in the wrong file), and up to 0.11 a row that
 * begins an epilogue is said to end the sequence (a tenth of Rust's code without
 * lines). It also takes three times as long. So it only reads the file names.
 */
#include "symbols/dwarf_i.h"

#include <errno.h>
#include <string.h>

struct reader {
	const uint8_t *at;
	const uint8_t *end;
};

struct program {
	struct reader code;
	uint64_t instruction_size;
	int line_base;
	uint8_t line_range;
	uint8_t opcode_base;
	const uint8_t *operand_counts; /* of opcode 1, 2, ... */
	struct pln_array *rows;

	/* The registers of the machine that matter here. */
	uint64_t address;
	uint64_t file;
	int64_t line;
};

/* Little-endian; at the end of the data it reads zeros. */
static uint64_t read_fixed(struct reader *reader, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++) {
		uint64_t byte = reader->at < reader->end ? *reader->at++ : 0;

		if (i < 8)
			value |= byte << (8 * i);
	}
	return value;
}

/* Either LEB128; `*negative` when a signed one would be. */
static uint64_t read_leb(struct reader *reader, unsigned *bits, bool *negative)
{
	uint64_t value = 0;
	unsigned shift = 0;
	uint8_t byte = 0;

	while (reader->at < reader->end) {
		byte = *reader->at++;
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
		if (!(byte & 0x80))
			break;
	}
	*bits = shift;
	*negative = byte & 0x40;
	return value;
}

static uint64_t read_uleb(struct reader *reader)
{
	unsigned bits;
	bool negative;

	return read_leb(reader, &bits, &negative);
}

static int64_t read_sleb(struct reader *reader)
{
	unsigned bits;
	bool negative;
	uint64_t value = read_leb(reader, &bits, &negative);

	if (negative && bits < 64)
		value |= UINT64_MAX << bits;
	return (int64_t)value;
}

static void skip(struct reader *reader, uint64_t size)
{
	size_t left = (size_t)(reader->end - reader->at);

	reader->at += size < left ? size : left;
}

/* Reads the header at the start of `reader` as far as the program needs it. */
static bool open_program(struct reader reader, struct program *program, unsigned *version)
{
	unsigned offset_size = 4;
	uint64_t length = read_fixed(&reader, 4);

	if (length == UINT32_MAX) {
		offset_size = 8;
		length = read_fixed(&reader, 8);
	}
	if (length < (uint64_t)(reader.end - reader.at))
		reader.end = reader.at + length;
	*version = (unsigned)read_fixed(&reader, 2);
	if (*version < 2 || *version > 5)
		return false;
	skip(&reader, *version >= 5 ? 2 : 0); /* sizes of address and segment */
	length = read_fixed(&reader, offset_size);
	program->code = reader;
	skip(&program->code, length);
	program->instruction_size = read_fixed(&reader, 1);
	skip(&reader, *version >= 4 ? 2 : 1); /* operations per instruction, default_is_stmt */
	program->line_base = (int8_t)read_fixed(&reader, 1);
	program->line_range = (uint8_t)read_fixed(&reader, 1);
	program->opcode_base = (uint8_t)read_fixed(&reader, 1);
	program->operand_counts = reader.at;
	return program->line_range && program->opcode_base &&
	       (size_t)(reader.end - reader.at) >= program->opcode_base - 1u;
}

static void reset(struct program *program)
{
	program->address = 0;
	program->file = 1;
	program->line = 1;
}

static int add_row(struct program *program)
{
	struct pln_dwarf_row row = {
		.address = program->address,
		/* The largest is the mark of an end. */
		.file = program->file < PLN_DWARF_NONE ? (uint32_t)program->file : 0,
		.line = program->line > 0 && program->line <= UINT32_MAX ? (uint32_t)program->line
									 : 0,
	};

	return pln_array_append(program->rows, &row, sizeof(row));
}

static int end_sequence(struct program *program)
{
	struct pln_dwarf_row row = { program->address, PLN_DWARF_NONE, 0 };

	reset(program);
	return pln_array_append(program->rows, &row, sizeof(row));
}

/* By as much as special opcode `adjusted` does. */
static void advance_address(struct program *program, unsigned adjusted)
{
	program->address += adjusted / program->line_range * program->instruction_size;
}

static int run_special(struct program *program, unsigned adjusted)
{
	advance_address(program, adjusted);
	program->line += program->line_base + (int)(adjusted % program->line_range);
	return add_row(program);
}

static int run_standard(struct program *program, uint8_t opcode)
{
	switch (opcode) {
	case DW_LNS_copy:
		return add_row(program);
	case DW_LNS_advance_pc:
		program->address += read_uleb(&program->code) * program->instruction_size;
		break;
	case DW_LNS_advance_line:
		program->line =
			(int64_t)((uint64_t)program->line + (uint64_t)read_sleb(&program->code));
		break;
	case DW_LNS_set_file:
		program->file = read_uleb(&program->code);
		break;
	case DW_LNS_const_add_pc:
		advance_address(program, 255u - program->opcode_base);
		break;
	case DW_LNS_fixed_advance_pc:
		program->address += read_fixed(&program->code, 2);
		break;
	default:
		for (unsigned i = 0; i < program->operand_counts[opcode - 1]; i++)
			read_uleb(&program->code);
	}
	return 0;
}

static int run_extended(struct program *program)
{
	uint64_t size = read_uleb(&program->code);
	struct reader operand = program->code;

	skip(&program->code, size);
	switch (size ? read_fixed(&operand, 1) : 0) {
	case DW_LNE_end_sequence:
		return end_sequence(program);
	case DW_LNE_set_address:
		program->address = read_fixed(&operand, size - 1 < 8 ? (unsigned)size - 1 : 8);
		return 0;
	default:
		return 0;
	}
}

static int run(struct program *program)
{
	int rc = 0;

	reset(program);
	while (!rc && program->code.at < program->code.end) {
		uint8_t opcode = *program->code.at++;

		if (opcode >= program->opcode_base)
			rc = run_special(program, opcode - program->opcode_base);
		else if (opcode)
			rc = run_standard(program, opcode);
		else
			rc = run_extended(program);
	}
	return rc;
}

int pln_dwarf_run_lines(struct pln_dwarf_session *session, Dwarf_Die unit, struct pln_array *rows,
			unsigned *version)
{
	struct program program = { .rows = rows };
	struct reader reader;
	uint64_t offset;
	size_t size;

	reader.at = pln_dwarf_section(session, ".debug_line", &size);
	if (!reader.at || !pln_die_offset(session, unit, DW_AT_stmt_list, &offset) ||
	    offset >= size)
		return -ENOENT;
	reader.end = reader.at + size;
	skip(&reader, offset);
	return open_program(reader, &program, version) ? run(&program) : -EBADMSG;
}
