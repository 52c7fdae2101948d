/* SPDX-License-Identifier: MIT */
/*
 * fuzz_linetable.c - line tables of code objects, as a target sent them.
 *
 * Input: kind (one byte), first line (four), instruction (four), the table.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include <pillion/wire.h>

#include "profile/linetable.h"

enum { HEADER = 9 };

bool fuzz_linetable(const uint8_t *data, size_t size)
{
	uint32_t first_line, instr, again;
	uint8_t *table;

	if (size < HEADER)
		return true;
	memcpy(&first_line, data + 1, sizeof(first_line));
	memcpy(&instr, data + 5, sizeof(instr));
	/* Of exactly its size, so that a read behind its end is seen. */
	table = malloc(size - HEADER + 1);
	if (!table)
		abort();
	table = realloc(table, size - HEADER ? size - HEADER : 1);
	memcpy(table, data + HEADER, size - HEADER);
	again = pln_linetable_line(data[0], table, size - HEADER, first_line, instr);
	/* Many instructions at once, as a profile has them; the same question, the same answer. */
	for (uint32_t at = 0; at < 64; at += 2)
		(void)pln_linetable_line(data[0], table, size - HEADER, first_line, at);
	again = again == pln_linetable_line(data[0], table, size - HEADER, first_line, instr);
	(void)pln_linetable_line(data[0], table, size - HEADER, first_line, PILLION_NO_INSTR);
	free(table);
	return again;
}
