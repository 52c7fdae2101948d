/* SPDX-License-Identifier: MIT */
/*
 * stack_bounds.h - how far up a stack may be read.
 *
 * The end of a thread's own stack is known from its start. Any other stack (an alternate
 * signal stack, a fiber, a thread that did not come through pthread_create) is bounded by
 * the mapping that its stack pointer lies in, from a copy of /proc/self/maps that the
 * sampling thread keeps.
 */
#ifndef PILLION_PRELOAD_STACK_BOUNDS_H
#define PILLION_PRELOAD_STACK_BOUNDS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Async-signal-safe. End of the mapping around `sp`; when it is not in the copy, the end of
 * its page (which is mapped, because the thread runs on it), and the copy is made anew soon.
 */
uintptr_t pln_stack_end_sigsafe(uintptr_t sp);

/* Sampling thread: renews the copy if somebody missed something. */
void pln_stack_bounds_refresh(void);

/* Normal context: end of the mapping around `sp` now, straight from the kernel; 0: none. */
uintptr_t pln_stack_end_now(uintptr_t sp);

#endif
