/* SPDX-License-Identifier: MIT */
/*
 * real.c - finds the next allocator in the loader's order, and lives through the search.
 *
 * Context: the first allocation of a process, before any constructor of ours, on its only
 * thread. dlsym() may itself allocate: that comes from a small area, which is never freed.
 * Everything is found at once, in one order of libraries.
 */
#include "real.h"

#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <string.h>

#include "glibc.h"
#include "memory/memory.h"
#include "pages.h"

#define AREA_SIZE 16384
#define ALIGNMENT 16u

static _Alignas(ALIGNMENT) unsigned char area[AREA_SIZE];
static size_t area_used;
static bool searching;

/* ------------------------------------------------------ during the search */

/* Each block has its size in front, in room that keeps it aligned. */
static void *area_alloc(size_t size)
{
	size_t needed = ((size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1)) + ALIGNMENT;
	unsigned char *p = area + area_used;

	if (size > AREA_SIZE || needed > AREA_SIZE - area_used) {
		errno = ENOMEM;
		return NULL;
	}
	area_used += needed;
	memcpy(p, &size, sizeof(size));
	return p + ALIGNMENT;
}

static bool in_area(const void *p)
{
	return (uintptr_t)p - (uintptr_t)area < AREA_SIZE;
}

static size_t area_size_of(const void *p)
{
	size_t size;

	memcpy(&size, (const unsigned char *)p - ALIGNMENT, sizeof(size));
	return size;
}

/* ------------------------------------- when something of it is still in use */

/* The allocator proper, once pln_real's functions have to look out for the area. */
static struct pln_real beyond;

static void free_around_area(void *p)
{
	if (!in_area(p))
		beyond.free(p);
}

static void *realloc_around_area(void *p, size_t size)
{
	void *moved;

	if (!in_area(p))
		return beyond.realloc(p, size);
	moved = beyond.malloc(size);
	if (moved)
		memcpy(moved, p, area_size_of(p) < size ? area_size_of(p) : size);
	return moved;
}

static size_t size_around_area(void *p)
{
	return in_area(p) ? area_size_of(p) : beyond.malloc_usable_size(p);
}

static void look_out_for_area(void)
{
	beyond = pln_real;
	pln_real.free = free_around_area;
	pln_real.realloc = realloc_around_area;
	pln_real.malloc_usable_size = size_around_area;
	/* A block of the area has no chunk's header. */
	pln_real.has_headers = false;
}

/* -------------------------------------------------------------- the search */

static bool is_in_libc(void *function)
{
	Dl_info ours, libc;

	return dladdr(function, &ours) && dladdr((void *)gnu_get_libc_version, &libc) &&
	       ours.dli_fbase == libc.dli_fbase;
}

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

static void search(void)
{
	struct pln_real found = { .has_headers = false };

	searching = true;
	*(void **)&found.malloc = next("malloc");
	*(void **)&found.calloc = next("calloc");
	*(void **)&found.realloc = next("realloc");
	*(void **)&found.free = next("free");
	*(void **)&found.posix_memalign = next("posix_memalign");
	*(void **)&found.aligned_alloc = next("aligned_alloc");
	*(void **)&found.memalign = next("memalign");
	*(void **)&found.valloc = next("valloc");
	*(void **)&found.pvalloc = next("pvalloc");
	*(void **)&found.malloc_usable_size = next("malloc_usable_size");
	*(void **)&found.mmap = next("mmap");
	*(void **)&found.munmap = next("munmap");
	*(void **)&found.mremap = next("mremap");
	found.has_headers = is_in_libc((void *)found.malloc) && is_in_libc((void *)found.free);
	/* An allocator may have none: glibc's would read what is before its blocks. */
	found.has_sizes =
		is_in_libc((void *)found.malloc) == is_in_libc((void *)found.malloc_usable_size);
	pln_real = found;
	if (area_used)
		look_out_for_area();
	searching = false;
	pln_memory_real_is_known();
}

static void *first_malloc(size_t size)
{
	if (searching)
		return area_alloc(size);
	search();
	return pln_real.malloc(size);
}

static void *first_calloc(size_t count, size_t size)
{
	size_t bytes;

	if (searching)
		return __builtin_mul_overflow(count, size, &bytes) ? NULL : area_alloc(bytes);
	search();
	return pln_real.calloc(count, size);
}

static void *first_realloc(void *p, size_t size)
{
	void *moved;

	if (!searching) {
		search();
		return pln_real.realloc(p, size);
	}
	moved = area_alloc(size);
	if (moved && p)
		memcpy(moved, p, area_size_of(p) < size ? area_size_of(p) : size);
	return moved;
}

static void first_free(void *p)
{
	if (searching)
		return;
	search();
	pln_real.free(p);
}

static int first_posix_memalign(void **p, size_t alignment, size_t size)
{
	search();
	return pln_real.posix_memalign(p, alignment, size);
}

static void *first_aligned_alloc(size_t alignment, size_t size)
{
	search();
	return pln_real.aligned_alloc(alignment, size);
}

static void *first_memalign(size_t alignment, size_t size)
{
	search();
	return pln_real.memalign(alignment, size);
}

static void *first_valloc(size_t size)
{
	search();
	return pln_real.valloc(size);
}

static void *first_pvalloc(size_t size)
{
	search();
	return pln_real.pvalloc(size);
}

static size_t first_usable_size(void *p)
{
	if (searching)
		return in_area(p) ? area_size_of(p) : 0;
	search();
	return pln_real.malloc_usable_size(p);
}

static void *first_mmap(void *hint, size_t size, int prot, int flags, int fd, off_t offset)
{
	if (searching)
		return pln_pages_result(
			pln_syscall6(SYS_mmap, (long)hint, (long)size, prot, flags, fd, offset));
	search();
	return pln_real.mmap(hint, size, prot, flags, fd, offset);
}

static int first_munmap(void *address, size_t size)
{
	if (searching)
		return pln_pages_result(pln_syscall3(SYS_munmap, (long)address, (long)size, 0)) ? -1
												: 0;
	search();
	return pln_real.munmap(address, size);
}

static void *first_mremap(void *address, size_t old_size, size_t size, int flags, ...)
{
	va_list arguments;
	void *to;

	va_start(arguments, flags);
	to = va_arg(arguments, void *);
	va_end(arguments);
	if (searching)
		return pln_pages_result(pln_syscall6(SYS_mremap, (long)address, (long)old_size,
						     (long)size, flags, (long)to, 0));
	search();
	return pln_real.mremap(address, old_size, size, flags, to);
}

struct pln_real pln_real = {
	.malloc = first_malloc,
	.calloc = first_calloc,
	.realloc = first_realloc,
	.free = first_free,
	.posix_memalign = first_posix_memalign,
	.aligned_alloc = first_aligned_alloc,
	.memalign = first_memalign,
	.valloc = first_valloc,
	.pvalloc = first_pvalloc,
	.malloc_usable_size = first_usable_size,
	.mmap = first_mmap,
	.munmap = first_munmap,
	.mremap = first_mremap,
};
