/* SPDX-License-Identifier: MIT */
/*
 * live.h - which sampled blocks are live, so that their free is told, and only theirs.
 */
#ifndef PILLION_PRELOAD_LIVE_H
#define PILLION_PRELOAD_LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include <pillion/atomic.h>

#include "export.h"

#define PLN_LIVE_PAGES (1u << 16)

/* Sampled live blocks by the low bits of their page's number: blocks that are near share a line. */
extern PLN_OWN _Atomic uint16_t pln_live_on_page[PLN_LIVE_PAGES];

/* Once, before the first block. `interval`: mean bytes between samples. Returns 0 or -errno. */
int pln_live_init(uint64_t interval);

/* Before the program knows the block. False: there is no room. */
bool pln_live_add_sigsafe(uintptr_t block, uint64_t id);

/* Before it is freed. Returns its id, 0: it was not sampled. */
uint64_t pln_live_remove_sigsafe(uintptr_t block);

/* In a forked child: what its parent sampled is nobody's here. */
void pln_live_forget(void);

/* False for certain, true with a doubt: then ask pln_live_remove_sigsafe(). */
static inline bool pln_live_may_hold(const void *block)
{
	return pln_load_relaxed(&pln_live_on_page[((uintptr_t)block >> 12) % PLN_LIVE_PAGES]);
}

#endif
