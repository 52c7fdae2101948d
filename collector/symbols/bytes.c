/* SPDX-License-Identifier: MIT */
/*
 * bytes.c - see bytes.h.
 */
#include "symbols/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

uint64_t pln_read_fixed(struct pln_reader *reader, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++) {
		uint64_t byte = reader->at < reader->end ? *reader->at++ : 0;

		if (i < 8)
			value |= byte << (8 * i);
	}
	return value;
}

/* Either LEB128; fills the upper bits with the sign when it is a signed one. */
static uint64_t read_leb(struct pln_reader *reader, bool is_signed)
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
	if (is_signed && (byte & 0x40) && shift < 64)
		value |= UINT64_MAX << shift;
	return value;
}

uint64_t pln_read_uleb(struct pln_reader *reader)
{
	return read_leb(reader, false);
}

int64_t pln_read_sleb(struct pln_reader *reader)
{
	return (int64_t)read_leb(reader, true);
}

void pln_reader_skip(struct pln_reader *reader, uint64_t size)
{
	size_t left = (size_t)(reader->end - reader->at);

	reader->at += size < left ? size : left;
}

const char *pln_read_string(struct pln_reader *reader)
{
	const char *string = (const char *)reader->at;
	const uint8_t *end = NULL;

	if (reader->at < reader->end)
		end = memchr(reader->at, '\0', (size_t)(reader->end - reader->at));
	reader->at = end ? end + 1 : reader->end;
	return end ? string : "";
}
