/* SPDX-License-Identifier: MIT */
/*
 * dwarf_line_program.c - the byte code of a line table, run for addresses and lines.
 */
#include "symbols/dwarf_line_i.h"

struct machine {
	const struct pln_line_header *header;
	struct pln_reader code;
	struct pln_array *rows;

	/* The registers that matter here. */
	uint64_t address;
	uint64_t file;
	uint64_t line; /* wraps as it likes */
};

static void reset(struct machine *machine)
{
	machine->address = 0;
	machine->file = 1;
	machine->line = 1;
}

static int add_row(struct machine *machine)
{
	struct pln_dwarf_row row = {
		.address = machine->address,
		/* The largest is the mark of an end. */
		.file = machine->file < PLN_DWARF_NONE ? (uint32_t)machine->file : 0,
		.line = machine->line <= UINT32_MAX ? (uint32_t)machine->line : 0,
	};

	return pln_array_append(machine->rows, &row, sizeof(row));
}

static int end_sequence(struct machine *machine)
{
	struct pln_dwarf_row row = { machine->address, PLN_DWARF_NONE, 0 };

	reset(machine);
	return pln_array_append(machine->rows, &row, sizeof(row));
}

/* By as much as special opcode `adjusted` does. */
static void advance_address(struct machine *machine, unsigned adjusted)
{
	machine->address +=
		adjusted / machine->header->line_range * machine->header->instruction_size;
}

static int run_special(struct machine *machine, unsigned adjusted)
{
	int64_t lines = machine->header->line_base + (int)(adjusted % machine->header->line_range);

	advance_address(machine, adjusted);
	machine->line += (uint64_t)lines;
	return add_row(machine);
}

static int run_standard(struct machine *machine, uint8_t opcode)
{
	const struct pln_line_header *header = machine->header;

	switch (opcode) {
	case DW_LNS_copy:
		return add_row(machine);
	case DW_LNS_advance_pc:
		machine->address += pln_read_uleb(&machine->code) * header->instruction_size;
		break;
	case DW_LNS_advance_line:
		machine->line += (uint64_t)pln_read_sleb(&machine->code);
		break;
	case DW_LNS_set_file:
		machine->file = pln_read_uleb(&machine->code);
		break;
	case DW_LNS_const_add_pc:
		advance_address(machine, 255u - header->opcode_base);
		break;
	case DW_LNS_fixed_advance_pc:
		machine->address += pln_read_fixed(&machine->code, 2);
		break;
	default:
		for (unsigned i = 0; i < header->operand_counts[opcode - 1]; i++)
			pln_read_uleb(&machine->code);
	}
	return 0;
}

static int run_extended(struct machine *machine)
{
	uint64_t size = pln_read_uleb(&machine->code);
	struct pln_reader operand = machine->code;

	pln_reader_skip(&machine->code, size);
	switch (size ? pln_read_fixed(&operand, 1) : 0) {
	case DW_LNE_end_sequence:
		return end_sequence(machine);
	case DW_LNE_set_address:
		machine->address = pln_read_fixed(&operand, size < 9 ? (unsigned)size - 1 : 8);
		return 0;
	default:
		return 0;
	}
}

int pln_line_program_run(const struct pln_line_header *header, struct pln_array *rows)
{
	struct machine machine = { .header = header, .code = header->program, .rows = rows };
	int rc = 0;

	reset(&machine);
	while (!rc && machine.code.at < machine.code.end) {
		uint8_t opcode = *machine.code.at++;

		if (opcode >= header->opcode_base)
			rc = run_special(&machine, opcode - header->opcode_base);
		else if (opcode)
			rc = run_standard(&machine, opcode);
		else
			rc = run_extended(&machine);
	}
	return rc;
}
