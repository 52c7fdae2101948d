/* SPDX-License-Identifier: MIT */
/*
 * checked_read.h - reads of own memory that cannot fault.
 *
 * process_vm_readv on the own process: EFAULT instead of SIGSEGV, 0.8 us a call.
 * No SIGSEGV handler is involved: applications own that signal.
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

/* Whether process_vm_readv works here (seccomp may forbid it). Probed once, not in a handler. */
bool pln_checked_read_init(void);
bool pln_checked_read_works_sigsafe(void);

/* All of [addr, addr + size) into dst: true, or false (dst undefined). Preserves errno. */
bool pln_checked_read_sigsafe(uintptr_t addr, void *dst, size_t size);

/* As much as can be read from addr on: number of bytes (0: nothing). */
size_t pln_checked_read_some_sigsafe(uintptr_t addr, void *dst, size_t size);

/* Several parts in one call, at most 64. Returns how many leading parts were read whole. */
unsigned pln_checked_read_parts_sigsafe(const struct pln_read_part *parts, unsigned count);

#endif
