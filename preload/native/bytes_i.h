/* SPDX-License-Identifier: MIT */
/*
 * bytes_i.h - reads from a private copy of a module's memory that may be cut or hostile.
 *
 * A read past the end gives 0, moves to the end and sets `bad`; nothing is ever read
 * outside of [start, end). Callers check `bad` once, after a group of reads.
 */
#ifndef PILLION_PRELOAD_NATIVE_BYTES_I_H
#define PILLION_PRELOAD_NATIVE_BYTES_I_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct pln_bytes {
	const uint8_t *pos;
	const uint8_t *end;
	const uint8_t *start; /* pos - start + addr: where the byte lies in the target */
	uintptr_t addr;
	bool bad;
};

static inline struct pln_bytes pln_bytes_at(const uint8_t *copy, size_t size, uintptr_t addr)
{
	return (struct pln_bytes){ copy, copy + size, copy, addr, false };
}

static inline size_t pln_bytes_left(const struct pln_bytes *b)
{
	return (size_t)(b->end - b->pos);
}

static inline uintptr_t pln_bytes_addr(const struct pln_bytes *b)
{
	return b->addr + (uintptr_t)(b->pos - b->start);
}

static inline void pln_bytes_fail(struct pln_bytes *b)
{
	b->pos = b->end;
	b->bad = true;
}

static inline void pln_bytes_skip(struct pln_bytes *b, uint64_t size)
{
	if (size > pln_bytes_left(b))
		pln_bytes_fail(b);
	else
		b->pos += size;
}

/* Little-endian, `size` of 1 to 8 bytes. */
static inline uint64_t pln_bytes_unsigned(struct pln_bytes *b, unsigned size)
{
	uint64_t value = 0;

	if (size > pln_bytes_left(b)) {
		pln_bytes_fail(b);
		return 0;
	}
	memcpy(&value, b->pos, size);
	b->pos += size;
	return value;
}

static inline int64_t pln_bytes_signed(struct pln_bytes *b, unsigned size)
{
	unsigned unused = 64 - 8 * size;

	return (int64_t)(pln_bytes_unsigned(b, size) << unused) >> unused;
}

static inline uint8_t pln_bytes_u8(struct pln_bytes *b)
{
	return (uint8_t)pln_bytes_unsigned(b, 1);
}

static inline uint64_t pln_bytes_uleb(struct pln_bytes *b)
{
	uint64_t value = 0;
	unsigned shift = 0;

	while (b->pos < b->end) {
		uint8_t byte = *b->pos++;

		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
		if (!(byte & 0x80))
			return value;
	}
	pln_bytes_fail(b);
	return 0;
}

static inline int64_t pln_bytes_sleb(struct pln_bytes *b)
{
	uint64_t value = 0;
	unsigned shift = 0;

	while (b->pos < b->end) {
		uint8_t byte = *b->pos++;

		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
		if (byte & 0x80)
			continue;
		if (shift < 64 && (byte & 0x40))
			value |= ~0ull << shift;
		return (int64_t)value;
	}
	pln_bytes_fail(b);
	return 0;
}

#endif
