/* SPDX-License-Identifier: MIT */
/*
 * stack_bounds.h - how far up a stack may be read, and how.
 *
 * A thread's own stack stays mapped as long as the thread lives, and its ends are known
 * from its start: it is read in place. Any other stack (an alternate signal stack, a
 * fiber, a thread that did not come through pthread_create) is bounded by the mapping that
 * its stack pointer lies in, from a copy of /proc/self/maps that the sampling thread
 * keeps. Parts of that mapping may be gone by now, so that such a stack is copied first.
 */
#ifndef PILLION_PRELOAD_STACK_BOUNDS_H
#define PILLION_PRELOAD_STACK_BOUNDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/native.h"

/* The lowest address of a stack by pthread_create is up to so much below pln_stack_range.lo. */
#define PLN_STACK_DOUBT 4096ul

struct pln_stack_range {
	uintptr_t lo;
	uintptr_t hi;
};

/*
 * Async-signal-safe. End of the mapping around `sp`; when it is not in the copy, the end of
 * its page (which is mapped, because the thread runs on it), and the copy is made anew soon.
 */
uintptr_t pln_stack_end_sigsafe(uintptr_t sp);

/* Sampling thread: renews the copy if somebody missed something. */
void pln_stack_bounds_refresh(void);

/*
 * Handler, for a stack that may go away: copies what can be read of it from `lo` (below
 * `sp`) on, and points *stack at the copy. NULL: *stack needs no copy (it may be empty).
 */
struct pln_stack_copy *pln_stack_copy_take_sigsafe(uintptr_t lo, uintptr_t sp,
						   struct pln_stack *stack);
void pln_stack_copy_give_back_sigsafe(struct pln_stack_copy *copy);
/* In a forked child: what other threads of the parent had taken is free again. */
void pln_stack_copy_after_fork(void);

/* The stack below a thread's descriptor, which is at its end; `size` as asked for, 0: unknown. */
struct pln_stack_range pln_stack_of_descriptor(uintptr_t descriptor, size_t size);

/* Normal context: the calling thread's own stack, straight from the kernel; {0, 0}: unknown. */
struct pln_stack_range pln_stack_range_now(void);

#endif
