/* SPDX-License-Identifier: MIT */
/*
 * stacks.h - from a raw sample to one stack id.
 *
 *   snapshot.c  finishes native walks that the target could not (libunwind)
 *   join.c      puts Python frames in the place of their C eval calls
 *   intern.c    gives equal stacks one id (intern.h)
 */
#ifndef PILLION_COLLECTOR_STACKS_H
#define PILLION_COLLECTOR_STACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pillion/wire.h>

#include "stacks/intern.h"

/* --------------------------------------------------------------- join.c */

struct pln_raw_stack {
	const uint64_t *pc; /* innermost first */
	const uint32_t *cfa; /* minus sp; PILLION_CFA_GUESSED may be set; 0 unknown (last frame) */
	unsigned native_count;
	bool native_complete; /* the native walk reached the root */
	const struct pln_wire_frame *python; /* innermost first */
	unsigned python_count;
	uint64_t eval_lo, eval_hi; /* for stacks without markers */
	bool no_markers;
};

/* One frame of a joined stack. */
struct pln_joined_frame {
	bool is_python;
	bool guessed;
	bool is_leaf; /* native frame 0 */
	uint64_t value; /* native: pc; python: code key */
	uint32_t instr; /* python */
};

/*
 * Joins into `out` (room for native_count + python_count), innermost first. Returns
 * the number of frames. Every Python frame is kept, in order; a native frame is left out
 * only when Python frames stand in its place. Where markers and native frames disagree,
 * frames go to the best known place and *mismatch is set; that a walk stopped before the
 * frame it would have needed is no disagreement.
 */
unsigned pln_join(const struct pln_raw_stack *raw, struct pln_joined_frame *out, bool *mismatch);

/* ----------------------------------------------------------- snapshot.c */

/* Finds the ELF file behind a pc, for libunwind. */
struct pln_unwind_module {
	uint64_t lo, hi, bias;
	uint64_t eh_frame_hdr; /* address in the target */
	const char *path; /* to open here (root already put before it) */
};

struct pln_unwinder; /* one per process; knows its ELF files */
struct pln_unwinder *
pln_unwinder_new(const struct pln_unwind_module *(*find)(uint64_t pc, void *arg), void *arg);
void pln_unwinder_free(struct pln_unwinder *u);

/*
 * Finishes a walk: `snap` and its stack copy. Appends frames after native frame
 * `from_frame` (whose registers they are) to pc[] and cfa[] (offsets from `sp`), which
 * hold `count` of `max`. Returns the new count; *root tells whether the root was
 * reached.
 */
unsigned pln_unwinder_finish(struct pln_unwinder *u, const struct pln_snapshot *snap,
			     const uint8_t *stack, uint64_t sp, uint64_t *pc, uint32_t *cfa,
			     unsigned count, unsigned max, bool *root);

#endif
