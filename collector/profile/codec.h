/* SPDX-License-Identifier: MIT */
/*
 * codec.h - the primitives that chunk payloads are made of.
 *
 *   varint  = LEB128, 7 bits a byte, least significant first, at most 10 bytes
 *   signed  = varint of the zigzag of the value
 *   string  = varint size, then as many bytes
 *   part    = varint size, then as many bytes that are a payload themselves
 *
 * Failure sticks: a buffer that could not grow, or a decoder that ran over its end,
 * stays failed, puts nothing and gives zeros, so that a codec reads as a plain list of
 * fields and asks once, at its end, whether all went well.
 */
#ifndef PILLION_COLLECTOR_CODEC_H
#define PILLION_COLLECTOR_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLN_VARINT_MAX 10 /* bytes of the largest varint */

struct pln_buffer {
	uint8_t *data;
	size_t size;
	size_t capacity;
	bool failed; /* something is missing: memory ran out */
};

/* Room for `more` bytes behind what is there: where they go, or NULL (and failed). */
uint8_t *pln_buffer_reserve(struct pln_buffer *b, size_t more);
/* Empties, keeps the memory. */
void pln_buffer_clear(struct pln_buffer *b);
void pln_buffer_free(struct pln_buffer *b);

void pln_put_byte(struct pln_buffer *b, uint8_t value);
void pln_put_varint(struct pln_buffer *b, uint64_t value);
void pln_put_signed(struct pln_buffer *b, int64_t value);
void pln_put_bytes(struct pln_buffer *b, const void *bytes, size_t size);
/* NULL is put as "". */
void pln_put_string(struct pln_buffer *b, const char *text);
/* Its first `size` bytes. */
void pln_put_string_of(struct pln_buffer *b, const char *text, size_t size);

struct pln_decoder {
	const uint8_t *pos;
	const uint8_t *end;
	bool failed; /* the bytes are not what the grammar says */
};

struct pln_decoder pln_decoder_of(const void *data, size_t size);
size_t pln_decoder_left(const struct pln_decoder *d);

uint8_t pln_get_byte(struct pln_decoder *d);
uint64_t pln_get_varint(struct pln_decoder *d);
/* A varint that fails the decoder when it does not fit in 32 bits. */
uint32_t pln_get_u32(struct pln_decoder *d);
int64_t pln_get_signed(struct pln_decoder *d);
/* NULL (and failed) when there are not as many; valid as long as the payload. */
const uint8_t *pln_get_bytes(struct pln_decoder *d, size_t size);
/* Not terminated. */
const char *pln_get_string(struct pln_decoder *d, size_t *size);
struct pln_decoder pln_get_part(struct pln_decoder *d);

#endif
