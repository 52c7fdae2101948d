/* SPDX-License-Identifier: MIT */
/*
 * real.h - what is behind our interposed functions: libc's, or another library's, preloaded after
 * us.
 */
#ifndef PILLION_PRELOAD_REAL_H
#define PILLION_PRELOAD_REAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "export.h"

/* One member per function that is passed on to. Usable at any time: each finds all at its first
 * call. */
struct pln_real {
	void *(*malloc)(size_t size);
	void *(*calloc)(size_t count, size_t size);
	void *(*realloc)(void *p, size_t size);
	void (*free)(void *p);
	int (*posix_memalign)(void **p, size_t alignment, size_t size);
	void *(*aligned_alloc)(size_t alignment, size_t size);
	void *(*memalign)(size_t alignment, size_t size);
	void *(*valloc)(size_t size);
	void *(*pvalloc)(size_t size);
	size_t (*malloc_usable_size)(void *p);
	void *(*mmap)(void *hint, size_t size, int prot, int flags, int fd, off_t offset);
	int (*munmap)(void *address, size_t size);
	void *(*mremap)(void *address, size_t old_size, size_t size, int flags, ...);
	bool has_headers; /* glibc's own: a chunk's size is in the word before it */
	bool has_sizes; /* malloc_usable_size() is the same allocator's */
};

extern PLN_OWN struct pln_real pln_real;

/*
 * glibc's malloc keeps the size of a chunk, with three flags, in the word before it: free() is
 * about to read it anyhow, and a call costs more than all the rest of our counting. What a chunk
 * with a mapping of its own has room for depends on glibc's version: it is asked.
 */
static inline size_t pln_chunk_header(const void *p)
{
	return ((const size_t *)p)[-1];
}

static inline bool pln_chunk_is_mapped(size_t header)
{
	return header & 2;
}

static inline size_t pln_chunk_size(size_t header)
{
	return (header & ~(size_t)7) - sizeof(size_t);
}

/* Bytes that `p`, not NULL, has room for; of any allocator. */
static inline size_t pln_usable_size(void *p)
{
	size_t header;

	if (!pln_real.has_headers)
		return pln_real.malloc_usable_size(p);
	header = pln_chunk_header(p);
	return pln_chunk_is_mapped(header) ? pln_real.malloc_usable_size(p)
					   : pln_chunk_size(header);
}

#endif
