/* SPDX-License-Identifier: MIT */
/*
 * far_frames.c - copies frames in as few system calls as will do.
 *
 * The thread is in its handler while it walks its own frames: a copy made early in the
 * walk is as good as one made when the chain gets there. A hint may be stale, or another
 * thread's: then a copy is made in vain, or cut short, and nobody asks for it.
 * Context: handler, sampling thread.
 */
#include "far_frames.h"

#include <pillion/atomic.h>

#include "checked_read.h"

#define HINT_LINES 64
#define POOL_SIZE 8 /* threads that walk deep chains at the same moment; more do without */
#define MAX_PAGES 8
#define PAGE 4096ul

/* Two cache lines for each thread, as long as they are few. Relaxed: any address will do. */
struct pln_far_hints {
	_Alignas(64) _Atomic uintptr_t at[PLN_FAR_FRAMES]; /* 0: no more */
	_Atomic uintptr_t pages[MAX_PAGES];
};

/* Too large for a handler's stack. Copies replace the oldest ones in turn. */
struct pln_far_pages {
	_Atomic uint32_t taken;
	unsigned count; /* copies made */
	uintptr_t at[MAX_PAGES];
	bool used[MAX_PAGES]; /* a frame was found there */
	_Alignas(64) unsigned char bytes[MAX_PAGES][PAGE];
};

static struct pln_far_hints hints[HINT_LINES];
static struct pln_far_pages pool[POOL_SIZE]; /* 258 KiB of BSS, touched as chains get deep */

void pln_far_frames_begin_sigsafe(struct pln_far_frames *far, uintptr_t thread, size_t size)
{
	far->hints = &hints[thread * 0x9e3779b97f4a7c15ull >> 32 & (HINT_LINES - 1)];
	far->size = size;
	far->found = far->count = 0;
	far->pages_found = 0;
	far->pages_wanted = false;
	far->pages = NULL;
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

/* ---------------------------------------------------------- pages */

/* The same ones for the same thread, if it may be: they are in its caches. */
static struct pln_far_pages *take_pages_sigsafe(const struct pln_far_frames *far)
{
	unsigned first = (unsigned)(far->hints - hints);

	for (unsigned i = 0; i < POOL_SIZE; i++) {
		struct pln_far_pages *pages = &pool[(first + i) % POOL_SIZE];
		uint32_t no = 0;

		/* acquire: pairs with the store in pln_far_frames_end_sigsafe() */
		if (pln_cas_acquire(&pages->taken, &no, 1)) {
			pages->count = 0;
			return pages;
		}
	}
	return NULL;
}

/* The page, and the first time all those that the last walk went through. */
static bool copy_pages_sigsafe(const struct pln_far_frames *far, uintptr_t page)
{
	struct pln_far_pages *pages = far->pages;
	struct pln_read_part parts[MAX_PAGES];
	unsigned first = pages->count % MAX_PAGES, count = 0;

	pages->at[first + count++] = page;
	for (unsigned i = 0; i < MAX_PAGES && !pages->count && count < MAX_PAGES; i++) {
		uintptr_t other = pln_load_relaxed(&far->hints->pages[i]);

		if (!other)
			break;
		if (other != page)
			pages->at[count++] = other;
	}
	for (unsigned i = 0; i < count; i++) {
		parts[i] = (struct pln_read_part){ pages->at[first + i], pages->bytes[first + i],
						   PAGE };
		pages->used[first + i] = false;
	}
	count = pln_checked_read_parts_sigsafe(parts, count);
	if (!count)
		pages->at[first] = 0;
	pages->count += count;
	return count > 0;
}

static const unsigned char *in_page_sigsafe(struct pln_far_frames *far, unsigned i,
					    uintptr_t address)
{
	struct pln_far_pages *pages = far->pages;

	if (!pages->used[i] && far->pages_found < MAX_PAGES)
		pln_store_relaxed(&far->hints->pages[far->pages_found++], pages->at[i]);
	pages->used[i] = true;
	return pages->bytes[i] + address % PAGE;
}

/* NULL also where it lies in two pages. */
static const unsigned char *in_pages_sigsafe(struct pln_far_frames *far, uintptr_t address)
{
	uintptr_t page = address - address % PAGE;
	struct pln_far_pages *pages;
	unsigned newest;

	if (!far->pages_wanted)
		far->pages = take_pages_sigsafe(far);
	far->pages_wanted = true;
	pages = far->pages;
	if (!pages || address % PAGE + far->size > PAGE)
		return NULL;
	for (unsigned i = 0; i < MAX_PAGES && i < pages->count; i++) {
		if (pages->at[i] == page)
			return in_page_sigsafe(far, i, address);
	}
	newest = pages->count % MAX_PAGES;
	return copy_pages_sigsafe(far, page) ? in_page_sigsafe(far, newest, address) : NULL;
}

/* ---------------------------------------------------------- both */

const unsigned char *pln_far_frame_sigsafe(struct pln_far_frames *far, uintptr_t address)
{
	const unsigned char *bytes;

	if (!far->found)
		copy_likely_sigsafe(far, address);
	bytes = find_sigsafe(far, address);
	if (!bytes)
		bytes = in_pages_sigsafe(far, address);
	if (!bytes && pln_checked_read_sigsafe(address, far->single, far->size))
		bytes = far->single;
	if (bytes && far->found < PLN_FAR_FRAMES)
		pln_store_relaxed(&far->hints->at[far->found++], address);
	return bytes;
}

/* The next walk copies no more than this one has found. */
void pln_far_frames_end_sigsafe(struct pln_far_frames *far)
{
	if (far->found && far->found < PLN_FAR_FRAMES)
		pln_store_relaxed(&far->hints->at[far->found], 0);
	if (!far->pages)
		return;
	if (far->pages_found < MAX_PAGES)
		pln_store_relaxed(&far->hints->pages[far->pages_found], 0);
	/* release: the copies are no longer looked at; pairs with take_pages_sigsafe() */
	pln_store_release(&far->pages->taken, 0);
	far->pages = NULL;
}

void pln_far_frames_after_fork(void)
{
	/* A page that is not written is not copied. */
	for (unsigned i = 0; i < POOL_SIZE; i++)
		if (pln_load_relaxed(&pool[i].taken))
			pln_store_relaxed(&pool[i].taken, 0);
}
