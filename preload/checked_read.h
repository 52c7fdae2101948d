/* SPDX-License-Identifier: MIT */
/*
 * checked_read.h - reads of own memory that cannot fault.
 *
 * process_vm_readv on the own process: EFAULT instead of SIGSEGV, 0.8 us a call. Where it is
 * refused (Docker did so on kernels before 4.8, other containers still do), the same from
 * /proc/thread-self/mem, for the price of an open file. No SIGSEGV handler is involved:
 * applications own that signal.
 */
#ifndef PILLION_PRELOAD_CHECKED_READ_H
#define PILLION_PRELOAD_CHECKED_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pln_read_part {
	uintptr_t addr;
	void *dst;
	size_t size;
};

/* Whether one of the two ways works here. Probed once, not in a handler. */
bool pln_checked_read_init(void);
bool pln_checked_read_works_sigsafe(void);

/* On a thread that closed everything, in a descriptor table of its own. */
void pln_checked_read_reopen(void);

/* In a forked child: what its parent had open is the parent's memory. */
void pln_checked_read_after_fork(void);

/* All of [addr, addr + size) into dst: true, or false (dst undefined). Preserves errno. */
bool pln_checked_read_sigsafe(uintptr_t addr, void *dst, size_t size);

/* As much as can be read from addr on: number of bytes (0: nothing). */
size_t pln_checked_read_some_sigsafe(uintptr_t addr, void *dst, size_t size);

/* Several parts in one call, at most 64. Returns how many leading parts were read whole. */
unsigned pln_checked_read_parts_sigsafe(const struct pln_read_part *parts, unsigned count);

#endif
