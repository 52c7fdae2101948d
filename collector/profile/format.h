/* SPDX-License-Identifier: MIT */
/*
 * format.h - the .pillion file: an append-only log of self-contained chunks.
 *
 *   file   = chunk*
 *   chunk  = struct pln_chunk_header, then `stored_size` bytes (zstd when
 *            PILLION_CHUNK_ZSTD is set, raw otherwise)
 *
 * Little-endian. The first chunk is of type FILE. Every chunk carries the XXH3-64 of
 * its stored bytes; a reader takes every whole chunk up to the first that is cut or
 * wrong, so a file can be read at any moment, while it is written and after any
 * crash. Ids are dense, count from 0 in each space, and are defined by a chunk that
 * stands before (in file order) any chunk that refers to them. A reader skips chunk
 * types that it does not know, and refuses a file whose major version is newer. A newer
 * minor version may add chunk types, columns of samples, kinds of drops, and fields at
 * the end of FILE and END.
 *
 * A definition chunk says which id it starts at, so that a reader that had to leave
 * out a damaged chunk notices the first id that it cannot know, and stops there.
 *
 * Payloads are sequences of LEB128 varints (zigzag for signed), and strings as
 * length + UTF-8 bytes; profile/codec.h has the primitives. What each type holds, is
 * written as a byte grammar above its encoder, in writer.c (SAMPLES: in samples.c);
 * pillion-format(5) has the same for strangers, and a test compares.
 */
#ifndef PILLION_COLLECTOR_FORMAT_H
#define PILLION_COLLECTOR_FORMAT_H

#include <assert.h>
#include <stdint.h>

#define PILLION_FILE_MAGIC 0x4e4c4c50u /* "PLLN": start of every chunk */
#define PILLION_FILE_VERSION_MAJOR 1
#define PILLION_FILE_VERSION_MINOR 0

enum pln_chunk_type {
	PILLION_CHUNK_FILE =
		1, /* version, who wrote it, the recording's settings; never compressed */
	PILLION_CHUNK_PROCESSES = 2, /* new processes and how known ones ended */
	PILLION_CHUNK_THREADS = 3, /* new threads, names, ends and clocks */
	PILLION_CHUNK_MODULES = 4,
	PILLION_CHUNK_STRINGS = 5,
	PILLION_CHUNK_FUNCTIONS = 6, /* Python's as they are met, native ones with the symbols */
	PILLION_CHUNK_FRAMES = 7,
	PILLION_CHUNK_STACKS = 8,
	PILLION_CHUNK_SAMPLES = 9,
	PILLION_CHUNK_COUNTERS = 10, /* drops, own cost, clocks: totals so far, per process */
	PILLION_CHUNK_SYMBOLS = 11, /* the locations of native frames */
	PILLION_CHUNK_NOTES = 12, /* lines for the user */
	PILLION_CHUNK_END = 13, /* the recording ended in order */
	PILLION_CHUNK_BLOCKS = 14, /* sampled allocations */
	PILLION_CHUNK_FREES = 15, /* and what became of them */
	PILLION_CHUNK_HEAP = 16, /* exact counts of malloc and free, over time */
	PILLION_CHUNK_LABELS = 20, /* of processes */
};

/* Bits of entries. */
enum pln_thread_bit {
	PLN_THREAD_IS_MAIN = 1 << 0,
	PLN_THREAD_HAS_PYTHON = 1 << 1,
	PLN_THREAD_EXITED = 1 << 2,
};

enum pln_function_bit {
	PLN_FUNCTION_IS_NATIVE = 1 << 0,
	PLN_FUNCTION_IS_UNKNOWN = 1 << 1,
};

enum pln_frame_bit {
	PLN_FRAME_IS_NATIVE = 1 << 0,
	PLN_FRAME_IS_GUESSED = 1 << 1,
	PLN_FRAME_IS_LEAF = 1 << 2,
};

#define PILLION_CHUNK_ZSTD 1u

/*
 * Bounds that make a chunk believable before a byte of it is decompressed. A writer
 * stores a chunk raw that would compress by more than the ratio.
 */
#define PILLION_CHUNK_RAW_MAX (64u << 20)
#define PILLION_CHUNK_RATIO_MAX 128u

struct pln_chunk_header {
	uint32_t magic; /* PILLION_FILE_MAGIC */
	uint16_t type; /* enum pln_chunk_type */
	uint16_t flags;
	uint32_t stored_size; /* bytes behind this header */
	uint32_t raw_size; /* bytes once decompressed */
	uint64_t checksum; /* XXH3-64 of the stored bytes, seeded with type | flags << 16 |
			      (u64)raw_size << 32 */
};
static_assert(sizeof(struct pln_chunk_header) == 24, "file layout");

#endif
