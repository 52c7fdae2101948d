/* SPDX-License-Identifier: MIT */
/*
 * self.h - a sample of the stack that we are on: of a thread that a signal stopped, or that
 * called us.
 */
#ifndef PILLION_PRELOAD_SELF_H
#define PILLION_PRELOAD_SELF_H

#include <signal.h>
#include <stdbool.h>

#include "sampling/sample.h"

/* Whether stacks have native frames, and so need unwind tables: none do where bursts are. */
bool pln_self_wants_native_sigsafe(void);

/* Whether the calling thread has room for a walk on the stack that it runs on. */
bool pln_self_has_room_sigsafe(const stack_t *alternate);

/*
 * Walks the calling thread's stack from where `capture` says (`regs`, and `gregs` where they are
 * known), and writes `head`, with its gil and flags filled in, to the thread's lane, which the
 * caller has taken. False: the lane is full (counted).
 */
bool pln_self_sample_sigsafe(struct pln_thread *thread, struct pln_capture *capture,
			     struct pln_sample *head);

#endif
