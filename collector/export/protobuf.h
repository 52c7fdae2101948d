/* SPDX-License-Identifier: MIT */
/*
 * protobuf.h - as much of the Protocol Buffers wire format as profile.proto needs:
 * varints, and length-delimited fields.
 */
#ifndef PILLION_COLLECTOR_PROTOBUF_H
#define PILLION_COLLECTOR_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A message under construction. Zero-initialized is empty. */
struct pln_message {
	uint8_t *bytes;
	size_t size;
	size_t capacity;
	bool failed; /* out of memory: what it holds is not to be used */
};

void pln_message_free(struct pln_message *m);

/* A field of value 0 is left out, as proto3 does. */
void pln_message_uint(struct pln_message *m, unsigned field, uint64_t value);
void pln_message_bytes(struct pln_message *m, unsigned field, const void *bytes, size_t size);
/* A sub-message; `part` is emptied for the next one. */
void pln_message_part(struct pln_message *m, unsigned field, struct pln_message *part);
/* A packed repeated integer. */
void pln_message_packed(struct pln_message *m, unsigned field, const uint64_t *values,
			size_t count);

#endif
