/* SPDX-License-Identifier: MIT */
/*
 * hooks.c - malloc and its family, interposed: count, and pass through.
 *
 * Context: any thread at any time, from before the first constructor to after the last
 * destructor, inside of signal handlers too. The real function's result, errno and
 * everything else that the program sees stay as they are. A block is counted after it is there, and
 * before it goes: in between, no other thread can have it.
 *
 * realloc is one call that frees and one that allocates, as its block may move or not: the
 * counts then do not depend on which.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#include <pillion/atomic.h>

#include "export.h"
#include "memory/counters.h"
#include "memory/real.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)

static inline void *counted_fast(void *p)
{
	return LIKELY(p) ? pln_memory_allocated(p) : NULL;
}

static void *counted(void *p)
{
	return p && pln_memory_mode != PLN_MEMORY_OFF ? pln_memory_allocated_slowly(p) : p;
}

PLN_EXPORT void *malloc(size_t size)
{
	return counted_fast(pln_real.malloc(size));
}

PLN_EXPORT void *calloc(size_t count, size_t size)
{
	return counted_fast(pln_real.calloc(count, size));
}

PLN_EXPORT void free(void *p)
{
	if (LIKELY(p))
		pln_memory_free(p);
	else
		pln_real.free(NULL);
}

/* What did not work has freed nothing; with size 0 it may have freed, and return NULL all the same.
 */
static void *resize(void *p, size_t size)
{
	uint64_t id;
	size_t before;
	void *moved;

	if (pln_memory_mode == PLN_MEMORY_OFF)
		return pln_real.realloc(p, size);
	before = p ? pln_usable_size(p) : 0;
	/* Before: its place may be somebody else's by the time that realloc returns. */
	id = p && pln_live_may_hold(p) ? pln_live_remove_sigsafe((uintptr_t)p) : 0;
	moved = pln_real.realloc(p, size);
	if (p && (moved || !size)) {
		if (id)
			pln_memory_tell_free(id);
		pln_memory_count_free(PILLION_HEAP_MALLOC, before);
	} else if (id) {
		(void)pln_live_add_sigsafe((uintptr_t)p, id);
	}
	return counted(moved);
}

PLN_EXPORT void *realloc(void *p, size_t size)
{
	return resize(p, size);
}

/*
 * As glibc's, which calls whatever realloc() the program has: that of an allocator in front of us,
 * which may have none of these, is not ours.
 */
PLN_EXPORT void *reallocarray(void *p, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, bytes);
}

PLN_EXPORT int posix_memalign(void **p, size_t alignment, size_t size)
{
	int error = pln_real.posix_memalign(p, alignment, size);

	if (!error)
		(void)counted(*p);
	return error;
}

PLN_EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
	return counted(pln_real.aligned_alloc(alignment, size));
}

PLN_EXPORT void *memalign(size_t alignment, size_t size)
{
	return counted(pln_real.memalign(alignment, size));
}

PLN_EXPORT void *valloc(size_t size)
{
	return counted(pln_real.valloc(size));
}

PLN_EXPORT void *pvalloc(size_t size)
{
	return counted(pln_real.pvalloc(size));
}

/* C23's. What they are told of the size may only be checked by who allocated. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls" /* newer glibc has them */
void free_sized(void *p, size_t size);
void free_aligned_sized(void *p, size_t alignment, size_t size);
#pragma GCC diagnostic pop

PLN_EXPORT void free_sized(void *p, size_t size)
{
	(void)size;
	free(p);
}

PLN_EXPORT void free_aligned_sized(void *p, size_t alignment, size_t size)
{
	(void)alignment;
	(void)size;
	free(p);
}

PLN_EXPORT size_t malloc_usable_size(void *p)
{
	return pln_real.malloc_usable_size(p);
}
