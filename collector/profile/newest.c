/* SPDX-License-Identifier: MIT */
/*
 * newest.c - see newest.h.
 */
#include "profile/newest.h"

#include <stdlib.h>
#include <string.h>

static bool grow(struct pln_newest_table *t)
{
	uint32_t capacity = t->capacity ? t->capacity * 2 : 16;
	struct pln_newest *rows;

	if (t->count < t->capacity)
		return true;
	rows = realloc(t->rows, capacity * sizeof(*rows));
	if (!rows)
		return false;
	t->rows = rows;
	t->capacity = capacity;
	return true;
}

uint32_t pln_newest_add(struct pln_newest_table *t)
{
	if (t->next == t->count && grow(t))
		t->rows[t->count++] = (struct pln_newest){ 0 };
	return t->next++;
}

void pln_newest_set(struct pln_newest_table *t, uint32_t id, const struct pln_buffer *entry,
		    uint32_t strings)
{
	struct pln_newest *row;
	uint8_t *bytes;

	if (id >= t->count || entry->failed)
		return;
	row = &t->rows[id];
	if (row->size == entry->size && !memcmp(row->bytes, entry->data, entry->size))
		return;
	bytes = realloc(row->bytes, entry->size);
	if (!bytes)
		return;
	memcpy(bytes, entry->data, entry->size);
	row->bytes = bytes;
	row->size = (uint32_t)entry->size;
	row->strings = strings;
	row->dirty = true;
}

uint32_t pln_newest_put_dirty(const struct pln_newest_table *t, uint32_t begin, uint32_t strings,
			      struct pln_buffer *payload)
{
	uint32_t i = begin;

	for (; i < t->count && t->rows[i].strings <= strings && payload->size < PLN_NEWEST_PAYLOAD;
	     i++)
		if (t->rows[i].dirty)
			pln_put_bytes(payload, t->rows[i].bytes, t->rows[i].size);
	return i;
}

void pln_newest_written(struct pln_newest_table *t, uint32_t begin, uint32_t end)
{
	for (uint32_t i = begin; i < end; i++)
		t->rows[i].dirty = false;
}

bool pln_newest_is_written(const struct pln_newest_table *t)
{
	for (uint32_t i = 0; i < t->count; i++)
		if (t->rows[i].dirty)
			return false;
	return true;
}

void pln_newest_free(struct pln_newest_table *t)
{
	for (uint32_t i = 0; i < t->count; i++)
		free(t->rows[i].bytes);
	free(t->rows);
}
