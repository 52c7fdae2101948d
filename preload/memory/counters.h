/* SPDX-License-Identifier: MIT */
/*
 * counters.h - exact counts of what each thread allocates and frees.
 *
 * A thread counts in its slot of the shared segment, through a pointer of its own: no lock,
 * no shared line, and the collector knows the truth even after a SIGKILL. Until it has a slot, it
 * counts beside; what it counted there moves along when it gets one. Additions are single
 * instructions: a signal handler that allocates in between loses nothing.
 *
 * Bytes of malloc's blocks are what they have room for (malloc_usable_size), on both sides:
 * what is live is the difference.
 */
#ifndef PILLION_PRELOAD_COUNTERS_H
#define PILLION_PRELOAD_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

#include <pillion/atomic.h>
#include <pillion/wire.h>

#include "export.h"
#include "hot.h"
#include "memory/live.h"
#include "memory/memory.h"
#include "memory/real.h"

/*
 * Of the calling thread. Zero is where every thread begins. What malloc and free look at is in one
 * cache line.
 */
struct pln_memory_thread {
	/* heap, where nothing else has to be asked: in fast mode. Else, or meanwhile, NULL. */
	_Alignas(PLN_CACHE_LINE) struct pln_alloc_counters *fast;
	struct pln_alloc_counters *heap; /* by class; NULL: not yet, not any more, or: */
	struct pln_alloc_counters *nested; /* the same, while a request of Python's is served */
	uint64_t look_at[PILLION_HEAP_COUNT]; /* alloc_bytes at which to look up from counting */
	struct pln_alloc_counters own[PILLION_HEAP_COUNT]; /* without a slot */
	uint64_t interval[PILLION_HEAP_COUNT]; /* that look_at was drawn with, 0: no samples */
	uint64_t random;
	bool ended;
};

extern PLN_OWN __thread struct pln_memory_thread pln_memory_self;

enum pln_memory_mode {
	PLN_MEMORY_OFF, /* calls are passed through */
	PLN_MEMORY_FAST, /* sizes are in chunk headers */
	PLN_MEMORY_SLOW, /* sizes must be asked for; also before we know */
};

extern PLN_OWN uint8_t pln_memory_mode;

static inline void pln_count(_Atomic uint64_t *counter, uint64_t value)
{
	__asm__("addq %1, %0" : "+m"(*counter) : "er"(value) : "cc");
}

/*
 * From now on, the thread counts there; NULL: nowhere of its own. A handler in between takes the
 * slow path, which finds either place.
 */
static inline void pln_memory_count_at(struct pln_memory_thread *self,
				       struct pln_alloc_counters *heap)
{
	self->fast = NULL;
	pln_signal_fence();
	self->heap = heap;
	pln_signal_fence();
	if (pln_memory_mode == PLN_MEMORY_FAST)
		self->fast = heap;
	pln_signal_fence();
}

/*
 * What is not fast, of the same effect, unless all is off. These stand in their callers' last
 * place, so that a caller has no registers to keep.
 */
void *pln_memory_allocated_slowly(void *p);
void *pln_memory_look(void *p, uint64_t size, enum pln_block_kind kind);
void pln_memory_free_slowly(void *p);

/* The slow path's first step: whether the calling thread has a place to count in. */
bool pln_memory_can_count(struct pln_memory_thread *self);

/* Gives the thread its slot to count in, if it has one by now. */
void pln_memory_look_for_slot(struct pln_memory_thread *self);

/* Draws the next sample of a class. */
void pln_memory_draw(struct pln_memory_thread *self, enum pln_heap_class heap);

/* All classes. */
void pln_memory_add_counts(struct pln_alloc_counters *to, const struct pln_alloc_counters *from);

static inline enum pln_heap_class pln_memory_class_of(enum pln_block_kind kind)
{
	return kind < PILLION_BLOCK_OBJECT ? (enum pln_heap_class)kind : PILLION_HEAP_OBJECT;
}

/*
 * The counts of a thread move when it gets a slot, and when it is gone: who sums up all places
 * meanwhile may see them twice, or what was allocated without what was freed. A sum that began
 * at `began` is right only if this holds after it.
 */
uint32_t pln_memory_sum_begins(void);
bool pln_memory_sum_holds(uint32_t began);

/* What is live of malloc and mappings, as of now. False: counts moved all the while. */
bool pln_memory_live_bytes(uint64_t *live);

/* A sampled block is freed. */
void pln_memory_tell_free(uint64_t id);

/* For good, in this process: what the thread counts is nobody's from now on. */
void pln_memory_stop(struct pln_memory_thread *self);

/* In a forked child: its parent's samples are not its own. */
void pln_memory_forget_samples(void);

/*
 * What is not fast, wherever the thread counts now: what is asked of malloc and mmap to serve a
 * request of Python's is counted again as PILLION_HEAP_NESTED.
 */
void pln_memory_count_alloc(enum pln_heap_class heap, uint64_t size);
void pln_memory_count_free(enum pln_heap_class heap, uint64_t size);

/* Counts, and samples, a block that is there. Returns `p`. */
void *pln_memory_count_block(void *p, uint64_t size, enum pln_block_kind kind);

/* Returns `p`, which is not NULL. That `fast` is set tells the mode, too: one question for both. */
static inline void *pln_memory_allocated(void *p)
{
	struct pln_memory_thread *self = &pln_memory_self;
	struct pln_alloc_counters *counters = self->fast;
	uint64_t header, size;

	if (__builtin_expect(!counters, 0))
		return pln_memory_mode == PLN_MEMORY_OFF ? p : pln_memory_allocated_slowly(p);
	header = pln_chunk_header(p);
	if (__builtin_expect(pln_chunk_is_mapped(header), 0))
		return pln_memory_allocated_slowly(p);
	size = pln_chunk_size(header);
	pln_count(&counters->alloc_calls, 1);
	pln_count(&counters->alloc_bytes, size);
	if (__builtin_expect(pln_load_relaxed(&counters->alloc_bytes) >= self->look_at[0], 0))
		return pln_memory_look(p, size, PILLION_BLOCK_MALLOC);
	return p;
}

/* Counts `p`, which is not NULL, then frees it: it may be somebody else's at once. */
static inline void pln_memory_free(void *p)
{
	struct pln_alloc_counters *counters = pln_memory_self.fast;
	uint64_t header;

	if (__builtin_expect(!counters, 0)) {
		if (pln_memory_mode == PLN_MEMORY_OFF)
			pln_real.free(p);
		else
			pln_memory_free_slowly(p);
		return;
	}
	header = pln_chunk_header(p);
	if (__builtin_expect(pln_chunk_is_mapped(header) || pln_live_may_hold(p), 0)) {
		pln_memory_free_slowly(p);
		return;
	}
	pln_count(&counters->free_calls, 1);
	pln_count(&counters->free_bytes, pln_chunk_size(header));
	pln_real.free(p);
}

#endif
