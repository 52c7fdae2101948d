/* SPDX-License-Identifier: MIT */
/*
 * pages.h - memory of our own, straight from the kernel: mmap() is the program's, and counted.
 */
#ifndef PILLION_PRELOAD_PAGES_H
#define PILLION_PRELOAD_PAGES_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>

#include <pillion/atomic.h>
#include <pillion/syscall.h>

/* Returns MAP_FAILED with errno set on failure. */
static inline void *pln_pages_result(long result)
{
	if (result >= 0 || result < -4095)
		return (void *)result;
	errno = (int)-result;
	return MAP_FAILED;
}

/* Zeroed, private; `flags`: more of mmap's. */
static inline void *pln_pages_map(size_t size, int flags)
{
	return pln_pages_result(pln_syscall6(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE,
					     MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0));
}

static inline void *pln_pages_resize(void *pages, size_t size, size_t new_size)
{
	return pln_pages_result(
		pln_syscall4(SYS_mremap, (long)pages, (long)size, (long)new_size, MREMAP_MAYMOVE));
}

static inline void pln_pages_unmap(void *pages, size_t size)
{
	(void)pln_syscall3(SYS_munmap, (long)pages, (long)size, 0);
}

/*
 * Threads may map the same thing at once: those of the first are kept, in *at. False: there are
 * none (`pages` is MAP_FAILED).
 */
static inline bool pln_pages_keep(_Atomic(char *) *at, void *pages, size_t size)
{
	char *none = NULL;

	if (pages == MAP_FAILED)
		return false;
	/* release: who finds them finds them mapped */
	if (!pln_cas_release(at, &none, (char *)pages))
		pln_pages_unmap(pages, size);
	return true;
}

#endif
