/* SPDX-License-Identifier: MIT */
/*
 * reader_i.h - what reader.c, load.c and resolve.c share about a profile being read.
 *
 *   reader.c   walks over the chunks, hands out samples
 *   load.c     decodes definitions into the arrays of struct pln_profile
 *   resolve.c  gives every frame its locations, and every function one id
 */
#ifndef PILLION_COLLECTOR_READER_I_H
#define PILLION_COLLECTOR_READER_I_H

#include "profile/chunk.h"
#include "profile/codec.h"
#include "profile/reader.h"
#include "stacks/intern.h"

/* A SAMPLES chunk whose rows were all found good when the file was opened. */
struct pln_sample_chunk {
	uint64_t offset;
	uint64_t rows;
};

/* The locations of a native frame, as the file or the symbolizer gave them. */
struct pln_found {
	size_t first; /* in found_locations */
	uint32_t count; /* 0: not known */
};

struct pln_reader {
	struct pln_profile profile; /* what callers see; first */
	struct pln_unpacker unpacker;
	struct pln_sample_chunk *chunks;
	size_t chunk_count;
	/* Texts, terminated, each once: equal texts have equal pointers. */
	struct pln_intern *texts;
	struct pln_buffer text; /* the one being added */
	const char **strings; /* by string id of the file */
	size_t string_count;
	struct pln_found *found; /* by frame */
	size_t found_count;
	struct pln_location *found_locations;
	size_t found_location_count;
	size_t free_count; /* entries of FREES chunks, seen so far */
	uint64_t last_time_ns; /* of the entry before, in a chunk of things that happened */
	size_t symbol_entries; /* of SYMBOLS chunks, seen so far */
};

enum pln_load_result {
	PLN_LOAD_OK = 0,
	PLN_LOAD_WRONG = 1, /* the payload is not what its type says, or refers to nothing */
	PLN_LOAD_GAP = 2, /* definitions before it are missing */
	PLN_LOAD_MEMORY = 3,
	PLN_LOAD_NEWER = 4, /* a FILE chunk of a newer major version */
};

/*
 * Grows `*array` so that it holds `count` elements of `size` bytes and room for one
 * more. Capacities are powers of two and follow from the count alone.
 */
bool pln_reader_grow(void *array, size_t count, size_t size);

/* The reader's own copy of a text, made valid UTF-8; NULL when memory ran out. */
const char *pln_reader_text(struct pln_reader *r, const char *text, size_t size);

/* Appends to found_locations. Returns false when memory ran out. */
bool pln_reader_add_location(struct pln_reader *r, const struct pln_location *location);

/* load.c: any chunk but SAMPLES; unknown types are fine. */
enum pln_load_result pln_reader_load(struct pln_reader *r, uint16_t type,
				     struct pln_decoder payload);

/* resolve.c: after the last chunk. Returns false when memory ran out. */
bool pln_reader_resolve(struct pln_reader *r, bool no_symbolize);

#endif
