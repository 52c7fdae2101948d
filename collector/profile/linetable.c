/* SPDX-License-Identifier: MIT */
/*
 * linetable.c - see linetable.h. The formats are those of CPython's
 * Objects/lnotab_notes.txt (3.8-3.10) and Objects/locations.md (3.11 on).
 *
 * Tables come from another process and may be cut: each read is checked, and a table
 * that ends too early gives line 0.
 */
#include "profile/linetable.h"

#include <stdbool.h>

#include <pillion/wire.h>

#define CODE_UNIT_SIZE 2u /* bytes of an instruction */

/* Lines are kept as the interpreter does: a running sum that may pass through nonsense. */
static uint32_t line_or_none(int64_t line)
{
	return line > 0 && line <= INT32_MAX ? (uint32_t)line : 0;
}

/* Pairs (bytes to go, lines to go): the line holds from the sum of bytes on. */
static uint32_t lnotab_line(const uint8_t *table, size_t size, uint32_t first_line, uint32_t instr)
{
	int64_t line = first_line;
	uint64_t start = 0;

	for (size_t i = 0; i + 1 < size; i += 2) {
		start += table[i];
		if (start > instr)
			break;
		line += (int8_t)table[i + 1];
	}
	return line_or_none(line);
}

/* Pairs (bytes of the range, lines to its line); -128: the range has no line. */
static uint32_t ranges_line(const uint8_t *table, size_t size, uint32_t first_line, uint32_t instr)
{
	int64_t line = first_line;
	uint64_t end = 0;

	for (size_t i = 0; i + 1 < size; i += 2) {
		int8_t delta = (int8_t)table[i + 1];

		end += table[i];
		if (delta != INT8_MIN)
			line += delta;
		if (instr < end)
			return delta == INT8_MIN ? 0 : line_or_none(line);
	}
	return 0;
}

/* ------------------------------------------------------- the location table, 3.11+ */

/* First byte of an entry: 1, then four bits of its form, then three of its length - 1. */
enum location_form {
	FORM_SHORT_LAST = 9, /* 0-9: same line, one byte of columns */
	FORM_ONE_LINE_LAST = 12, /* 10-12: that minus 10 lines on, two bytes of columns */
	FORM_NO_COLUMNS = 13, /* lines to go as svarint */
	FORM_LONG = 14, /* lines to go as svarint, then three varints */
	FORM_NONE = 15, /* no location */
};

struct location_table {
	const uint8_t *pos;
	const uint8_t *end;
	bool failed;
};

static uint8_t next_byte(struct location_table *t)
{
	if (t->pos < t->end)
		return *t->pos++;
	t->failed = true;
	return 0;
}

/* Six bits a byte, least significant first; bit 6 says that more follow. */
static uint32_t next_varint(struct location_table *t)
{
	uint8_t byte = next_byte(t);
	uint32_t value = byte & 0x3f;

	for (unsigned shift = 6; byte & 0x40 && shift < 32; shift += 6) {
		byte = next_byte(t);
		value |= (uint32_t)(byte & 0x3f) << shift;
	}
	return value;
}

/* The sign is the lowest bit. */
static int64_t next_svarint(struct location_table *t)
{
	uint32_t value = next_varint(t);

	return value & 1 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
}

/* Reads the rest of an entry. Returns how many lines it moves on. */
static int64_t next_line_delta(struct location_table *t, unsigned form)
{
	int64_t delta = 0;

	if (form <= FORM_SHORT_LAST) {
		next_byte(t);
	} else if (form <= FORM_ONE_LINE_LAST) {
		delta = form - (FORM_SHORT_LAST + 1);
		next_byte(t);
		next_byte(t);
	} else if (form != FORM_NONE) {
		delta = next_svarint(t);
		for (int i = 0; i < 3 && form == FORM_LONG; i++)
			next_varint(t);
	}
	return delta;
}

static uint32_t locations_line(const uint8_t *table, size_t size, uint32_t first_line,
			       uint32_t instr)
{
	struct location_table t = { .pos = table, .end = table + size };
	int64_t line = first_line;
	uint64_t end = 0;

	while (t.pos < t.end) {
		uint8_t head = next_byte(&t);
		unsigned form = head >> 3 & 15;

		line += next_line_delta(&t, form);
		end += ((head & 7) + 1) * CODE_UNIT_SIZE;
		if (t.failed)
			return 0;
		if (instr < end)
			return form == FORM_NONE ? 0 : line_or_none(line);
	}
	return 0;
}

uint32_t pln_linetable_line(uint8_t kind, const uint8_t *table, size_t size, uint32_t first_line,
			    uint32_t instr)
{
	if (instr == PILLION_NO_INSTR)
		return first_line;
	switch (kind) {
	case PILLION_LINETABLE_LNOTAB:
		return lnotab_line(table, size, first_line, instr);
	case PILLION_LINETABLE_310:
		return ranges_line(table, size, first_line, instr);
	case PILLION_LINETABLE_LOCATIONS:
		return locations_line(table, size, first_line, instr);
	default:
		return 0;
	}
}
