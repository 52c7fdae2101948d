/* SPDX-License-Identifier: MIT */
/*
 * mutate.c - the changes that find most: odd values, flipped bits, pieces lost, doubled and
 * moved. The same state gives the same changes.
 */
#include "fuzz.h"

#include <string.h>

static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1du >> 16;
}

/* Bytes that are the edges of something: of signs, varints, sizes. */
static uint8_t odd_byte(uint64_t *state)
{
	static const uint8_t odd[] = { 0, 1, 0x7f, 0x80, 0x81, 0xff, 0xfe, 8, 0x40, 0x3f };
	uint64_t r = next(state);

	return r & 1 ? (uint8_t)(r >> 8) : odd[(r >> 8) % sizeof(odd)];
}

static size_t remove_piece(uint8_t *data, size_t size, uint64_t *state)
{
	size_t at = next(state) % size, count = 1 + next(state) % 16;

	if (count > size - at)
		count = size - at;
	memmove(data + at, data + at + count, size - at - count);
	return size - count;
}

/* Copies a piece to somewhere else: over what is there, or in between. */
static size_t copy_piece(uint8_t *data, size_t size, size_t room, bool insert, uint64_t *state)
{
	uint8_t piece[64];
	size_t count = 1 + next(state) % sizeof(piece), from = next(state) % size;
	size_t to = next(state) % size;

	if (count > size - from)
		count = size - from;
	memcpy(piece, data + from, count);
	if (insert && count <= room - size) {
		memmove(data + to + count, data + to, size - to);
		size += count;
	} else if (count > size - to) {
		count = size - to;
	}
	memcpy(data + to, piece, count);
	return size;
}

static void widen(uint8_t *data, size_t size, uint64_t *state)
{
	size_t at = next(state) % size, count = 1 + next(state) % 8;

	if (count > size - at)
		count = size - at;
	memset(data + at, odd_byte(state), count);
}

size_t fuzz_mutate(uint8_t *data, size_t size, size_t room, uint64_t *random_state)
{
	unsigned changes = 1 + next(random_state) % 6;

	while (changes-- && size) {
		switch (next(random_state) % 8) {
		case 0:
			size = remove_piece(data, size, random_state);
			break;
		case 1:
			size = copy_piece(data, size, room, true, random_state);
			break;
		case 2:
			size = copy_piece(data, size, room, false, random_state);
			break;
		case 3:
			widen(data, size, random_state);
			break;
		case 4:
			data[next(random_state) % size] ^= (uint8_t)(1u << next(random_state) % 8);
			break;
		default:
			data[next(random_state) % size] = odd_byte(random_state);
		}
	}
	return size;
}
