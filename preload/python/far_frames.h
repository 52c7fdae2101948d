/* SPDX-License-Identifier: MIT */
/*
 * far_frames.h - frames that lie in no stack: those of generators and coroutines, and all
 * up to 3.10.
 *
 * They are read by copying them, and a chain leads from one to the next: a system call
 * for each. But most of them are where the last walk of the same thread found them, so
 * the first one of a walk is copied together with all that are likely to follow. Where
 * that ends, deep chains of them lie close together: whole pages are copied, and asked
 * for what the chain leads to. Only where to look is remembered, never what was there.
 */
#ifndef PILLION_PRELOAD_PYTHON_FAR_FRAMES_H
#define PILLION_PRELOAD_PYTHON_FAR_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "layout.h"

#define PLN_FAR_FRAMES 8

struct pln_far_hints;
struct pln_far_pages;

/* One walk's copies. Large: only what is used of it is touched. */
struct pln_far_frames {
	struct pln_far_hints *hints;
	size_t size; /* of a frame */
	unsigned found; /* frames of this walk that `hints` has */
	unsigned count; /* copies */
	unsigned pages_found; /* pages of this walk that `hints` has */
	bool pages_wanted; /* `pages` was tried for */
	struct pln_far_pages *pages; /* NULL: others have them all */
	uintptr_t at[PLN_FAR_FRAMES + 1];
	unsigned char bytes[PLN_FAR_FRAMES + 1][PLN_FRAME_BYTES];
	unsigned char single[PLN_FRAME_BYTES];
};

/*
 * Context of all: handler, on the thread whose PyThreadState is at `thread`, or sampling
 * thread, while that one is blocked. Each begin has its end.
 */
void pln_far_frames_begin_sigsafe(struct pln_far_frames *far, uintptr_t thread, size_t size);
/* Its bytes as they are now, NULL: not mapped. Valid until the next call. */
const unsigned char *pln_far_frame_sigsafe(struct pln_far_frames *far, uintptr_t address);
void pln_far_frames_end_sigsafe(struct pln_far_frames *far);

/* In a forked child: whoever was in a walk is not here to end it. */
void pln_far_frames_after_fork(void);

#endif
