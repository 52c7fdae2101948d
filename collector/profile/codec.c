/* SPDX-License-Identifier: MIT */
/*
 * codec.c - see codec.h. Nothing here trusts a length that it was given.
 */
#include "profile/codec.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 256u

uint8_t *pln_buffer_reserve(struct pln_buffer *b, size_t more)
{
	size_t capacity = b->capacity ? b->capacity : FIRST_CAPACITY;
	uint8_t *data;

	if (b->failed)
		return NULL;
	if (b->data && more <= b->capacity - b->size)
		return b->data + b->size;
	while (capacity - b->size < more && capacity <= SIZE_MAX / 2)
		capacity *= 2;
	data = capacity - b->size < more ? NULL : realloc(b->data, capacity);
	if (!data) {
		b->failed = true;
		return NULL;
	}
	b->data = data;
	b->capacity = capacity;
	return b->data + b->size;
}

void pln_buffer_clear(struct pln_buffer *b)
{
	b->size = 0;
	b->failed = false;
}

void pln_buffer_free(struct pln_buffer *b)
{
	free(b->data);
	*b = (struct pln_buffer){ 0 };
}

void pln_put_byte(struct pln_buffer *b, uint8_t value)
{
	pln_put_bytes(b, &value, 1);
}

void pln_put_varint(struct pln_buffer *b, uint64_t value)
{
	uint8_t *at = pln_buffer_reserve(b, PLN_VARINT_MAX);
	size_t size = 0;

	if (!at)
		return;
	for (; value >= 0x80; value >>= 7)
		at[size++] = (uint8_t)value | 0x80;
	at[size++] = (uint8_t)value;
	b->size += size;
}

void pln_put_signed(struct pln_buffer *b, int64_t value)
{
	pln_put_varint(b, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

void pln_put_bytes(struct pln_buffer *b, const void *bytes, size_t size)
{
	uint8_t *at = pln_buffer_reserve(b, size);

	if (!at || !size)
		return;
	memcpy(at, bytes, size);
	b->size += size;
}

void pln_put_string(struct pln_buffer *b, const char *text)
{
	pln_put_string_of(b, text, text ? strlen(text) : 0);
}

void pln_put_string_of(struct pln_buffer *b, const char *text, size_t size)
{
	pln_put_varint(b, size);
	pln_put_bytes(b, text, size);
}

struct pln_decoder pln_decoder_of(const void *data, size_t size)
{
	const uint8_t *bytes = data;

	return (struct pln_decoder){ .pos = bytes, .end = bytes ? bytes + size : NULL };
}

size_t pln_decoder_left(const struct pln_decoder *d)
{
	return d->failed ? 0 : (size_t)(d->end - d->pos);
}

uint8_t pln_get_byte(struct pln_decoder *d)
{
	const uint8_t *byte = pln_get_bytes(d, 1);

	return byte ? *byte : 0;
}

uint64_t pln_get_varint(struct pln_decoder *d)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && !d->failed && d->pos < d->end; shift += 7) {
		uint8_t byte = *d->pos++;

		/* The tenth byte has room for one bit. */
		if (shift == 63 && byte > 1)
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return value;
	}
	d->failed = true;
	return 0;
}

uint32_t pln_get_u32(struct pln_decoder *d)
{
	uint64_t value = pln_get_varint(d);

	if (value <= UINT32_MAX)
		return (uint32_t)value;
	d->failed = true;
	return 0;
}

int64_t pln_get_signed(struct pln_decoder *d)
{
	uint64_t value = pln_get_varint(d);

	return (int64_t)(value >> 1 ^ (value & 1 ? UINT64_MAX : 0));
}

const uint8_t *pln_get_bytes(struct pln_decoder *d, size_t size)
{
	const uint8_t *at = d->pos;

	if (size > pln_decoder_left(d))
		d->failed = true;
	if (d->failed)
		return NULL;
	d->pos += size;
	return at;
}

const char *pln_get_string(struct pln_decoder *d, size_t *size)
{
	uint64_t length = pln_get_varint(d);
	const uint8_t *at = pln_get_bytes(d, length);

	*size = at ? length : 0;
	return (const char *)at;
}

struct pln_decoder pln_get_part(struct pln_decoder *d)
{
	size_t size;
	const char *at = pln_get_string(d, &size);
	struct pln_decoder part = pln_decoder_of(at, size);

	part.failed = !at;
	return part;
}
