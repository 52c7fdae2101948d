/* SPDX-License-Identifier: MIT */
/*
 * far_frames.c - copies frames in as few system calls as will do.
 *
 * The thread is in its handler while it walks its own frames: a copy made early in the
 * walk is as good as one made when the chain gets there. A hint may be stale, or another
 * thread's: then a copy is made in vain, or cut short, and nobody asks for it.
 * Context: handler.
 */
#include "far_frames.h"

#include <pillion/atomic.h>

#include "checked_read.h"

#define HINT_LINES 64

/* A cache line for each thread, as long as they are few. Relaxed: any address will do. */
struct pln_far_hints {
	_Alignas(64) _Atomic uintptr_t at[PLN_FAR_FRAMES]; /* 0: no more */
};

static struct pln_far_hints hints[HINT_LINES];

void pln_far_frames_begin_sigsafe(struct pln_far_frames *far, uintptr_t thread, size_t size)
{
	far->hints = &hints[thread * 0x9e3779b97f4a7c15ull >> 32 & (HINT_LINES - 1)];
	far->size = size;
	far->found = far->count = 0;
}

static void copy_likely_sigsafe(struct pln_far_frames *far, uintptr_t address)
{
	struct pln_read_part parts[PLN_FAR_FRAMES + 1];
	unsigned count = 0;

	far->at[count++] = address;
	for (unsigned i = 0; i < PLN_FAR_FRAMES; i++) {
		uintptr_t other = pln_load_relaxed(&far->hints->at[i]);

		if (!other)
			break;
		if (other != address)
			far->at[count++] = other;
	}
	for (unsigned i = 0; i < count; i++)
		parts[i] = (struct pln_read_part){ far->at[i], far->bytes[i], far->size };
	far->count = pln_checked_read_parts_sigsafe(parts, count);
}

static const unsigned char *find_sigsafe(const struct pln_far_frames *far, uintptr_t address)
{
	for (unsigned i = 0; i < far->count; i++) {
		if (far->at[i] == address)
			return far->bytes[i];
	}
	return NULL;
}

const unsigned char *pln_far_frame_sigsafe(struct pln_far_frames *far, uintptr_t address)
{
	const unsigned char *bytes;

	if (!far->found)
		copy_likely_sigsafe(far, address);
	bytes = find_sigsafe(far, address);
	if (!bytes && pln_checked_read_sigsafe(address, far->single, far->size))
		bytes = far->single;
	if (bytes && far->found < PLN_FAR_FRAMES)
		pln_store_relaxed(&far->hints->at[far->found++], address);
	return bytes;
}

/* The next walk copies no more than this one has found. */
void pln_far_frames_end_sigsafe(const struct pln_far_frames *far)
{
	if (far->found && far->found < PLN_FAR_FRAMES)
		pln_store_relaxed(&far->hints->at[far->found], 0);
}
