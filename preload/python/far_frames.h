/* SPDX-License-Identifier: MIT */
/*
 * far_frames.h - frames that lie in no stack: those of generators and coroutines.
 *
 * They are read by copying them, and a chain leads from one to the next: a system call
 * for each. But most of them are where the last walk of the same thread found them, so
 * the first one of a walk is copied together with all that are likely to follow. Only
 * where to look is remembered, never what was there.
 */
#ifndef PILLION_PRELOAD_PYTHON_FAR_FRAMES_H
#define PILLION_PRELOAD_PYTHON_FAR_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#include "layout.h"

#define PLN_FAR_FRAMES 8

struct pln_far_hints;

/* One walk's copies. Large: only what is used of it is touched. */
struct pln_far_frames {
	struct pln_far_hints *hints;
	size_t size; /* of a frame */
	unsigned found; /* frames of this walk that `hints` has */
	unsigned count; /* copies */
	uintptr_t at[PLN_FAR_FRAMES + 1];
	unsigned char bytes[PLN_FAR_FRAMES + 1][PLN_FRAME_BYTES];
	unsigned char single[PLN_FRAME_BYTES];
};

/* Context of all: handler, on the thread whose PyThreadState is at `thread`. */
void pln_far_frames_begin_sigsafe(struct pln_far_frames *far, uintptr_t thread, size_t size);
/* Its bytes as they are now, NULL: not mapped. Valid until the next call. */
const unsigned char *pln_far_frame_sigsafe(struct pln_far_frames *far, uintptr_t address);
void pln_far_frames_end_sigsafe(const struct pln_far_frames *far);

#endif
