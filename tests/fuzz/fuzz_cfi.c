/* SPDX-License-Identifier: MIT */
/*
 * fuzz_cfi.c - .eh_frame of whatever a program has loaded, as the library reads it in the
 * program; and the first instructions of functions, which it reads for frame pointers.
 *
 * Input: bytes of .eh_frame_hdr (two, little endian), those bytes, then .eh_frame.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "native/eh_frame_i.h"
#include "native/prologue_i.h"
#include "native/table_i.h"

#define TEXT 0x10000000ul
#define TEXT_SIZE 0x10000ul
#define FRAMES 0x20000000ul
#define HDR 0x20100000ul

static uint8_t *copy_of(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, bytes, size);
	return copy;
}

/* Rows begin at 0 and rise, and each offset finds the one that covers it. */
static bool is_sound(const struct pln_table *table)
{
	const struct pln_row *rows = table->list.rows;

	if (!table->row_count || rows[0].pc)
		return false;
	for (uint32_t i = 1; i < table->row_count; i++)
		if (rows[i].pc <= rows[i - 1].pc || rows[i].pc >= TEXT_SIZE ||
		    pln_row_kind_sigsafe(rows[i]) >= PLN_ROW_ANONYMOUS)
			return false;
	for (uint32_t offset = 0; offset < TEXT_SIZE; offset += 251) {
		uint32_t row = pln_table_find_sigsafe(&table->list, offset);

		if (row >= table->row_count || rows[row].pc > offset ||
		    (row + 1 < table->row_count && rows[row + 1].pc <= offset))
			return false;
	}
	return true;
}

static bool build(const uint8_t *hdr, size_t hdr_size, const uint8_t *frames, size_t frames_size)
{
	struct pln_eh_image image = { .hdr = copy_of(hdr, hdr_size),
				      .hdr_size = hdr_size,
				      .hdr_addr = HDR,
				      .frames = copy_of(frames, frames_size),
				      .frames_size = frames_size,
				      .frames_addr = FRAMES };
	struct pln_table *table = pln_table_build(&image, TEXT, TEXT + TEXT_SIZE);
	bool ok = table && is_sound(table);

	(void)pln_eh_frame_address(image.hdr, hdr_size, HDR);
	if (table)
		munmap(table, table->block.size_bytes);
	free((void *)(uintptr_t)image.hdr);
	free((void *)(uintptr_t)image.frames);
	return ok;
}

static bool read_prologue(const uint8_t *text, size_t size)
{
	struct pln_prologue prologue = { .count = 0 };
	uint8_t *padded;

	if (size > PLN_PROLOGUE_BYTES)
		size = PLN_PROLOGUE_BYTES;
	padded = calloc(1, size + PLN_PROLOGUE_PADDING);
	if (!padded)
		abort();
	memcpy(padded, text, size);
	pln_prologue_read_sigsafe(padded, size, &prologue);
	free(padded);
	return prologue.count <= PLN_PROLOGUE_DISTANCES;
}

bool fuzz_cfi(const uint8_t *data, size_t size)
{
	size_t hdr_size;

	if (size < 2)
		return true;
	hdr_size = data[0] | (size_t)data[1] << 8;
	data += 2;
	size -= 2;
	if (hdr_size > size)
		hdr_size = size;
	return build(data, hdr_size, data + hdr_size, size - hdr_size) && read_prologue(data, size);
}
