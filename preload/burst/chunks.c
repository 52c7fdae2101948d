/* SPDX-License-Identifier: MIT */
/*
 * chunks.c - which memory of the data stack is mapped, and stays so while it is read.
 *
 * CPython 3.11+ maps the chunks of its data stack, and unmaps a chunk after it has taken it
 * off its list. That call comes through munmap() in memory/mappings.c:
 *
 *   interpreter                          sampling thread
 *   ------------------------------       ------------------------------------
 *   takes the chunk off the list         enter: epoch becomes odd
 *   munmap(): full fence                 full fence
 *     known? no: unmap it                reads the list
 *     make it unknown, full fence        known? read it in place
 *     epoch odd? hand it over            leave: epoch becomes even;
 *     else unmap it                        unmaps what was handed over
 *
 * Whoever comes second sees what the other did: either the list without the chunk, or an odd
 * epoch. A chunk becomes known (then fence, then check that it is mapped) before a pointer
 * to it is followed that is read later; so a munmap() that did not know it yet is of a chunk
 * that is off the list by then. Nobody waits, unless 64 chunks are handed over at one time.
 */
#include "burst_i.h"

#include <sched.h>

#include <pillion/atomic.h>

#include "burst/burst.h"
#include "checked_read.h"
#include "memory/real.h"
#include "python/layout.h"
#include "segment.h"

#define KNOWN 1024 /* a power of two */
#define HANDED 64
#define PAGE 4096u
#define CHUNK_BYTES_MAX (1u << 30)
#define PATIENCE 1000

struct known_chunk {
	_Atomic uintptr_t lo; /* 0: none */
	uintptr_t hi;
};

enum handed_state {
	FREE,
	TAKEN, /* being filled in */
	READY,
};

struct handed_chunk {
	_Atomic uint32_t state;
	uintptr_t address;
	size_t size;
};

static struct known_chunk known[KNOWN];
static struct handed_chunk handed[HANDED];
static _Atomic uint32_t handed_any;
static _Atomic uint64_t epoch; /* odd: the sampling thread is inside */
static _Atomic uint32_t active;

static struct known_chunk *place_of(uintptr_t address)
{
	return &known[(address / PAGE * 0x9e3779b97f4a7c15ull >> 40) & (KNOWN - 1)];
}

/* ---------------------------------------------------------- the interpreter's side */

static bool hand_over(uintptr_t address, size_t size)
{
	for (unsigned i = 0; i < HANDED; i++) {
		uint32_t none = FREE;

		if (!pln_cas_acquire(&handed[i].state, &none, TAKEN))
			continue;
		handed[i].address = address;
		handed[i].size = size;
		/* release: pairs with unmap_handed() */
		pln_store_release(&handed[i].state, READY);
		pln_store_release(&handed_any, 1);
		return true;
	}
	return false;
}

/* No room: the look that is going on will not last. If it does, the memory stays mapped. */
static bool outlasts(uint64_t look)
{
	for (unsigned i = 0; i < PATIENCE; i++) {
		if (pln_load_acquire(&epoch) != look)
			return false;
		sched_yield();
	}
	return true;
}

bool pln_burst_chunk_retire(uintptr_t address, size_t size)
{
	struct known_chunk *chunk = place_of(address);
	uint64_t look;

	if (!pln_load_relaxed(&active))
		return false;
	/* The list without the chunk first, then whether it is known. */
	atomic_thread_fence(memory_order_seq_cst);
	if (!address || pln_load_relaxed(&chunk->lo) != address || !pln_segment_is_ours_sigsafe())
		return false;
	atomic_store_explicit(&chunk->lo, 0, memory_order_seq_cst);
	look = atomic_load_explicit(&epoch, memory_order_seq_cst);
	if (!(look & 1))
		return false;
	return hand_over(address, size) || outlasts(look);
}

/* ---------------------------------------------------------- the sampling thread's side */

void pln_burst_chunks_begin(void)
{
	/* Any munmap() that was under way without a fence is over when the first look comes. */
	pln_store_relaxed(&active, 1);
}

void pln_burst_chunks_reset(void)
{
	for (unsigned i = 0; i < KNOWN; i++)
		pln_store_relaxed(&known[i].lo, 0);
	/* A forked child keeps a few chunks mapped that the parent was about to unmap. */
	for (unsigned i = 0; i < HANDED; i++)
		pln_store_relaxed(&handed[i].state, FREE);
	pln_store_relaxed(&handed_any, 0);
	pln_store_relaxed(&epoch, 0);
}

void pln_burst_chunks_enter(void)
{
	/* seq_cst: before any read of the list; pairs with pln_burst_chunk_retire() */
	atomic_fetch_add_explicit(&epoch, 1, memory_order_seq_cst);
}

static void unmap_handed(void)
{
	pln_store_relaxed(&handed_any, 0);
	/* Set again behind our back, or what it stands for is READY: nothing is forgotten. */
	atomic_thread_fence(memory_order_seq_cst);
	for (unsigned i = 0; i < HANDED; i++) {
		/* acquire: pairs with hand_over() */
		if (pln_load_acquire(&handed[i].state) != READY)
			continue;
		(void)pln_real.munmap((void *)handed[i].address, handed[i].size);
		pln_store_release(&handed[i].state, FREE);
	}
}

void pln_burst_chunks_leave(void)
{
	/* release: our reads come before the chunk goes */
	pln_store_release(&epoch, pln_load_relaxed(&epoch) + 1);
	if (pln_load_relaxed(&handed_any))
		unmap_handed();
}

bool pln_burst_chunk_find(uintptr_t address, struct pln_burst_window *window)
{
	struct known_chunk *chunk = place_of(address);

	if (!address || pln_load_relaxed(&chunk->lo) != address)
		return false;
	window->lo = address;
	window->hi = chunk->hi;
	return true;
}

static bool read_header(uintptr_t address, struct pln_stack_chunk *header)
{
	return pln_checked_read_sigsafe(address, header, sizeof(*header)) &&
	       header->size > sizeof(*header) && header->size <= CHUNK_BYTES_MAX &&
	       header->size % PAGE == 0;
}

void pln_burst_chunk_learn(uintptr_t address)
{
	struct known_chunk *chunk = place_of(address);
	struct pln_stack_chunk header, again;
	uint64_t last;

	/* Mapped by itself, not part of some heap. */
	if (!address || address % PAGE || !read_header(address, &header))
		return;
	/* Whoever has this place must not be found with our end. */
	atomic_store_explicit(&chunk->lo, 0, memory_order_seq_cst);
	chunk->hi = address + header.size;
	/* seq_cst: known first, then seen to be mapped; pairs with pln_burst_chunk_retire() */
	atomic_store_explicit(&chunk->lo, address, memory_order_seq_cst);
	if (!read_header(address, &again) || again.size != header.size ||
	    !pln_checked_read_sigsafe(chunk->hi - sizeof(last), &last, sizeof(last)))
		pln_store_relaxed(&chunk->lo, 0);
}
