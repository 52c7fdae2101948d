/* SPDX-License-Identifier: MIT */
/*
 * dwarf_line_i.h - the two halves of a line table: its header and its program.
 *
 * libdwarf reads line tables too, but gets them wrong: 20210528 starts DWARF 5
 * sequences in file 0 instead of 1 (1 % of CPython's code in the wrong file) and names
 * the directory of a relative compilation twice; up to 0.11 a row that begins an
 * epilogue is said to end its sequence (a tenth of Rust's code without lines). Reading
 * them here takes a third of its time and gives the same answers with every version.
 */
#ifndef PILLION_COLLECTOR_SYMBOLS_DWARF_LINE_I_H
#define PILLION_COLLECTOR_SYMBOLS_DWARF_LINE_I_H

#include "symbols/bytes.h"
#include "symbols/dwarf_i.h"

struct pln_line_file {
	const char *name; /* in the sections, as all strings here */
	uint64_t directory;
};

struct pln_line_header {
	unsigned version;
	unsigned offset_size;
	uint64_t instruction_size;
	int line_base;
	uint8_t line_range;
	uint8_t opcode_base;
	const uint8_t *operand_counts; /* of opcode 1, 2, ... */
	struct pln_reader program;
	struct pln_array directories; /* const char *; [0] is the compilation's */
	struct pln_array files; /* struct pln_line_file */
};

/* dwarf_line_header.c; -ENOENT the unit has no table, -EBADMSG a damaged one. */
int pln_line_header_read(struct pln_dwarf_session *session, Dwarf_Die unit,
			 struct pln_line_header *header);
void pln_line_header_free(struct pln_line_header *header);

/* dwarf_line_program.c: every row as it is written, with the files' numbers. */
int pln_line_program_run(const struct pln_line_header *header, struct pln_array *rows);

#endif
