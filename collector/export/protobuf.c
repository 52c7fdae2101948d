/* SPDX-License-Identifier: MIT */
/*
 * protobuf.c - see protobuf.h.
 */
#include "export/protobuf.h"

#include <stdlib.h>
#include <string.h>

enum { WIRE_VARINT = 0, WIRE_LENGTH = 2, VARINT_MAX = 10 };

void pln_message_free(struct pln_message *m)
{
	free(m->bytes);
	memset(m, 0, sizeof(*m));
}

static bool reserve(struct pln_message *m, size_t more)
{
	size_t capacity = m->capacity ? m->capacity : 256;
	uint8_t *bytes;

	while (capacity < m->size + more)
		capacity *= 2;
	if (capacity == m->capacity)
		return true;
	bytes = realloc(m->bytes, capacity);
	m->failed |= !bytes;
	if (!bytes)
		return false;
	m->bytes = bytes;
	m->capacity = capacity;
	return true;
}

static unsigned varint_size(uint64_t value)
{
	unsigned size = 1;

	while (value >>= 7)
		size++;
	return size;
}

static void put_varint(struct pln_message *m, uint64_t value)
{
	if (!reserve(m, VARINT_MAX))
		return;
	while (value >= 0x80) {
		m->bytes[m->size++] = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	m->bytes[m->size++] = (uint8_t)value;
}

static void put_tag(struct pln_message *m, unsigned field, unsigned wire_type)
{
	put_varint(m, (uint64_t)field << 3 | wire_type);
}

void pln_message_uint(struct pln_message *m, unsigned field, uint64_t value)
{
	if (!value)
		return;
	put_tag(m, field, WIRE_VARINT);
	put_varint(m, value);
}

void pln_message_bytes(struct pln_message *m, unsigned field, const void *bytes, size_t size)
{
	put_tag(m, field, WIRE_LENGTH);
	put_varint(m, size);
	if (!size || !reserve(m, size))
		return;
	memcpy(m->bytes + m->size, bytes, size);
	m->size += size;
}

void pln_message_part(struct pln_message *m, unsigned field, struct pln_message *part)
{
	pln_message_bytes(m, field, part->bytes, part->size);
	m->failed |= part->failed;
	part->size = 0;
}

void pln_message_packed(struct pln_message *m, unsigned field, const uint64_t *values, size_t count)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		size += varint_size(values[i]);
	put_tag(m, field, WIRE_LENGTH);
	put_varint(m, size);
	for (size_t i = 0; i < count; i++)
		put_varint(m, values[i]);
}
