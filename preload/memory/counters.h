/* SPDX-License-Identifier: MIT */
/*
 * counters.h - exact counts of what each thread allocates and frees.
 *
 * A thread counts in its slot of the shared segment, through a pointer of its own: no lock,
 * no shared line, and the collector knows the truth even after a SIGKILL. Until it has a slot, it
 * counts beside; what it counted there moves along when it gets one. Additions are single
 * instructions: a signal handler that allocates in between loses nothing.
 *
 * Bytes are what the blocks have room for (malloc_usable_size), on both sides: what is live
 * is the difference.
 */
#ifndef PILLION_PRELOAD_COUNTERS_H
#define PILLION_PRELOAD_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

#include <pillion/atomic.h>
#include <pillion/wire.h>

#include "clock.h"
#include "memory/live.h"
#include "memory/memory.h"
#include "memory/real.h"

/* Of the calling thread. Zero is where every thread begins. */
struct pln_memory_thread {
	struct pln_alloc_counters *counters; /* NULL: not yet, or not any more */
	uint64_t look_at; /* alloc_bytes at which to look up from counting */
	struct pln_alloc_counters own; /* without a slot */
	uint64_t interval; /* that look_at was drawn with, 0: no samples */
	uint64_t random;
	bool ended;
};

extern __thread struct pln_memory_thread pln_memory_self;

enum pln_memory_mode {
	PLN_MEMORY_OFF, /* calls are passed through */
	PLN_MEMORY_FAST, /* sizes are in chunk headers */
	PLN_MEMORY_SLOW, /* sizes must be asked for; also before we know */
};

extern uint8_t pln_memory_mode;

static inline void pln_count(_Atomic uint64_t *counter, uint64_t value)
{
	__asm__("addq %1, %0" : "+m"(*counter) : "er"(value) : "cc");
}

/*
 * What is not fast, of the same effect. These stand in their callers' last place, so that a
 * caller has no registers to keep.
 */
void *pln_memory_allocated_slowly(void *p);
void *pln_memory_look(void *p, uint64_t size);
void pln_memory_free_slowly(void *p);

/* Gives the thread its slot to count in, if it has one by now. */
void pln_memory_look_for_slot(struct pln_memory_thread *self);

/* The thread's alloc_bytes at which the next sample is due. */
uint64_t pln_memory_next_look(struct pln_memory_thread *self, uint64_t alloc_bytes);

/* A sampled block is freed. */
void pln_memory_tell_free(uint64_t id);

/* In a forked child: its parent's samples are not its own. */
void pln_memory_forget_samples(void);

/* A block that was freed already. */
void pln_memory_freed(uint64_t size);

/* In fast mode. Returns `p`, which is not NULL. */
static inline void *pln_memory_allocated(void *p)
{
	struct pln_memory_thread *self = &pln_memory_self;
	struct pln_alloc_counters *counters = self->counters;
	uint64_t size;

	if (__builtin_expect(!counters, 0))
		return pln_memory_allocated_slowly(p);
	size = pln_chunk_size(p);
	pln_count(&counters->alloc_calls, 1);
	pln_count(&counters->alloc_bytes, size);
	if (__builtin_expect(pln_load_relaxed(&counters->alloc_bytes) >= self->look_at, 0))
		return pln_memory_look(p, size);
	return p;
}

/* In fast mode. Counts `p`, which is not NULL, then frees it: it may be somebody else's at once. */
static inline void pln_memory_free(void *p)
{
	struct pln_alloc_counters *counters = pln_memory_self.counters;

	if (__builtin_expect(!counters || pln_live_may_hold(p), 0)) {
		pln_memory_free_slowly(p);
		return;
	}
	pln_count(&counters->free_calls, 1);
	pln_count(&counters->free_bytes, pln_chunk_size(p));
	pln_real.free(p);
}

#endif
