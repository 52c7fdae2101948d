/* SPDX-License-Identifier: MIT */
/*
 * sample.h - from two walks to one record in a lane.
 */
#ifndef PILLION_PRELOAD_SAMPLE_H
#define PILLION_PRELOAD_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include <pillion/wire.h>

#include "native/native.h"
#include "python/python.h"
#include "sampling/threads.h"

/* Everything that was read from one stack at one moment. */
struct pln_capture {
	struct pln_stack stack;
	struct pln_regs regs;
	struct pln_native_walk native;
	struct pln_python_walk python;
	bool want_native;
	const greg_t *gregs; /* all registers of frame 0, NULL: only `regs` are known */
};

/* Where a record goes. */
struct pln_outlet {
	struct pln_lane *lane;
	uint32_t data_size;
	uint64_t *last_hash; /* of the stack that SAME_STACK refers to, in this lane and thread */
};

/* A thread's own lane, whose one writer the caller is. */
struct pln_outlet pln_outlet_of_sigsafe(struct pln_thread *thread);

/* Points the arrays of `capture` at `scratch`. */
void pln_capture_init_sigsafe(struct pln_capture *capture, const struct pln_scratch *scratch);

/*
 * Describes new code objects, then writes `head` with the frames of `capture`. `head` has
 * its times, thread, cause, gil and syscall set; the rest is filled in here. False: the
 * lane is full (counted), nothing of the sample was written.
 */
bool pln_sample_write_sigsafe(const struct pln_outlet *outlet, struct pln_sample *head,
			      const struct pln_capture *capture);

/* A record that says "time passed on the stack that `*last_hash` names" (0: no stack). */
bool pln_sample_repeat_sigsafe(const struct pln_outlet *outlet, struct pln_sample *head);

#endif
