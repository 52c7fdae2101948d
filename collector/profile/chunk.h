/* SPDX-License-Identifier: MIT */
/*
 * chunk.h - the container of format.h: payloads packed into chunks and back.
 */
#ifndef PILLION_COLLECTOR_CHUNK_H
#define PILLION_COLLECTOR_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profile/codec.h"
#include "profile/format.h"

/* Packs payloads; `out` holds the newest whole chunk, header and stored bytes. */
struct pln_packer {
	void *zstd; /* ZSTD_CCtx, kept: making one costs more than a small chunk does */
	struct pln_buffer out;
};

/* Returns 0, or -ENOMEM, or -EFBIG when a reader would refuse the chunk for its size. */
int pln_packer_pack(struct pln_packer *p, enum pln_chunk_type type, const void *payload,
		    size_t size);
void pln_packer_free(struct pln_packer *p);

enum pln_chunk_status {
	PLN_CHUNK_WHOLE = 0,
	PLN_CHUNK_DAMAGED = 1, /* its bounds can be believed, its content cannot */
	PLN_CHUNK_CUT = 2, /* no whole chunk starts here */
	PLN_CHUNK_FAILED = 3, /* the file could not be read, or memory ran out: errno */
};

struct pln_unpacker {
	int fd;
	void *zstd; /* ZSTD_DCtx */
	struct pln_buffer stored;
	struct pln_buffer raw;
	/* The newest chunk. */
	struct pln_chunk_header header;
	const uint8_t *payload;
	size_t payload_size;
};

/*
 * Reads the chunk at `offset` of a file that ends at `file_size`. With pread, not
 * mmap: a writer may cut a torn chunk off while it is being read.
 */
enum pln_chunk_status pln_unpacker_read(struct pln_unpacker *u, uint64_t offset,
					uint64_t file_size);
void pln_unpacker_free(struct pln_unpacker *u);

#endif
