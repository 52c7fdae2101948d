/* SPDX-License-Identifier: MIT */
/*
 * fuzz_layout.c - the table by which CPython 3.13 and later say where their fields are: a
 * layout that is taken from it must fit the copies that are made by it.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "checked_read.h"
#include "python/layout.h"

enum { TABLE_BYTES = 1024 };

/* Lies within the first `room` bytes. */
static bool fits(uint32_t offset, size_t width, size_t room)
{
	return offset <= room && width <= room - offset;
}

/* The same, of what some versions do not have. */
static bool may_fit(uint32_t offset, size_t width, size_t room)
{
	return !pln_has(offset) || fits(offset, width, room);
}

static bool is_sound(const struct pln_layout *l)
{
	return l->thread.size <= PLN_THREAD_BYTES && l->frame.size <= PLN_FRAME_BYTES &&
	       l->code.size <= PLN_CODE_BYTES && fits(l->thread.interp, 8, l->thread.size) &&
	       fits(l->thread.next, 8, l->thread.size) &&
	       fits(l->thread.frame, 8, l->thread.size) &&
	       may_fit(l->thread.base_frame, 8, l->thread.size) &&
	       fits(l->thread.thread_id, 8, l->thread.size) &&
	       fits(l->thread.native_id, 8, l->thread.size) &&
	       fits(l->thread.chunk, 8, l->thread.size) &&
	       fits(l->thread.chunk_top, 8, l->thread.size) &&
	       may_fit(l->thread.holds_gil, 4, l->thread.size) &&
	       fits(l->thread.status, 4, l->thread.size) &&
	       fits(l->frame.previous, 8, l->frame.size) && fits(l->frame.code, 8, l->frame.size) &&
	       fits(l->frame.instr, 8, l->frame.size) && fits(l->frame.owner, 1, l->frame.size) &&
	       may_fit(l->frame.tlbc_index, 4, l->frame.size) &&
	       fits(l->code.filename, 8, l->code.size) && fits(l->code.name, 8, l->code.size) &&
	       fits(l->code.linetable, 8, l->code.size) &&
	       fits(l->code.first_line, 4, l->code.size) && fits(l->code.body, 8, l->code.size) &&
	       fits(l->code.first_traceable, 4, l->code.size) &&
	       may_fit(l->code.tlbc, 8, l->code.size) && l->object.str_ascii <= PLN_OBJECT_BYTES &&
	       l->object.bytes_data <= PLN_OBJECT_BYTES &&
	       fits(l->object.str_length, 8, l->object.str_ascii) &&
	       fits(l->object.str_state, 4, l->object.str_ascii) &&
	       fits(l->object.bytes_size, 8, l->object.bytes_data) &&
	       fits(l->gil.locked, 4, PLN_GIL_BYTES) &&
	       fits(l->gil.last_holder, 8, PLN_GIL_BYTES) &&
	       may_fit(l->gil.enabled, 4, PLN_GIL_BYTES) && memchr(l->name, 0, sizeof(l->name));
}

bool fuzz_layout(const uint8_t *data, size_t size)
{
	static bool has_reads;
	struct pln_layout layout;
	uint8_t *table;
	bool ok = true;

	if (!has_reads && !pln_checked_read_init())
		abort();
	has_reads = true;
	table = calloc(1, TABLE_BYTES);
	if (!table)
		abort();
	memcpy(table, data, size < TABLE_BYTES ? size : TABLE_BYTES);
	if (pln_layout_debug_version((uintptr_t)table) &&
	    !pln_layout_from_debug_offsets((uintptr_t)table, &layout))
		ok = is_sound(&layout);
	free(table);
	return ok;
}
