/* SPDX-License-Identifier: MIT */
/*
 * no_sizes.c - an allocator without malloc_usable_size(): glibc's, which is found instead, reads
 * in front of a block, where there is nothing here.
 *
 * Preloaded. Each block begins a page, behind one that nobody may touch; none is used again.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096u
#define PAGES (1u << 24)

static char *_Atomic area;
static _Atomic uint32_t used;
static uint32_t *pages_of; /* by a block's first page */

static void *map(size_t size, int protection)
{
	void *p = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		_Exit(98);
	return p;
}

/* The first call is that of a process with one thread. */
static void begin(void)
{
	if (area)
		return;
	pages_of = map(PAGES * sizeof(*pages_of), PROT_READ | PROT_WRITE);
	area = map((size_t)PAGES * PAGE, PROT_NONE);
}

void *malloc(size_t size)
{
	uint32_t pages, at;

	begin();
	if (size > SIZE_MAX / 2 || size / PAGE >= PAGES - used - 2) {
		errno = ENOMEM;
		return NULL;
	}
	pages = (uint32_t)(size / PAGE) + 1;
	at = atomic_fetch_add(&used, pages + 1) + 1;
	if (mprotect(area + (size_t)at * PAGE, (size_t)pages * PAGE, PROT_READ | PROT_WRITE))
		_Exit(98);
	pages_of[at] = pages;
	return area + (size_t)at * PAGE;
}

void free(void *p)
{
	uint32_t at = (uint32_t)(((char *)p - area) / PAGE);

	if (p)
		(void)madvise(p, (size_t)pages_of[at] * PAGE, MADV_DONTNEED);
}

void *calloc(size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return malloc(bytes);
}

void *realloc(void *p, size_t size)
{
	size_t old = p ? (size_t)pages_of[((char *)p - area) / PAGE] * PAGE : 0;
	void *moved = malloc(size);

	if (moved && p) {
		memcpy(moved, p, old < size ? old : size);
		free(p);
	}
	return moved;
}

int posix_memalign(void **p, size_t alignment, size_t size)
{
	if (alignment > PAGE)
		return ENOMEM;
	*p = malloc(size);
	return *p ? 0 : ENOMEM;
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return alignment > PAGE ? NULL : malloc(size);
}

void *memalign(size_t alignment, size_t size)
{
	return aligned_alloc(alignment, size);
}
