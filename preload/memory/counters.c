/* SPDX-License-Identifier: MIT */
/*
 * counters.c - where each thread counts, from its first allocation to its last.
 *
 * Context: any thread, inside of malloc; nothing here allocates or waits.
 */
#include "counters.h"

#include <string.h>

#include <pillion/atomic.h>

#include "memory/memory.h"
#include "memory/objects.h"
#include "sampling/threads.h"
#include "segment.h"

#define LOOK_FIRST 4096u /* bytes until a thread first tries to find its slot */
#define LOOK_AT_LEAST (1u << 20) /* it tries after twice as many each time, up to this */

uint8_t pln_memory_mode = PLN_MEMORY_SLOW;
__thread struct pln_memory_thread pln_memory_self;

static bool is_on_its_own(const struct pln_memory_thread *self)
{
	return self->heap == self->own;
}

void pln_memory_add_counts(struct pln_alloc_counters *to, const struct pln_alloc_counters *from)
{
	for (unsigned i = 0; i < PILLION_HEAP_COUNT; i++) {
		/* Atomic: threads that have no slot any more share this. */
		pln_add_relaxed(&to[i].alloc_calls, pln_load_relaxed(&from[i].alloc_calls));
		pln_add_relaxed(&to[i].alloc_bytes, pln_load_relaxed(&from[i].alloc_bytes));
		pln_add_relaxed(&to[i].free_calls, pln_load_relaxed(&from[i].free_calls));
		pln_add_relaxed(&to[i].free_bytes, pln_load_relaxed(&from[i].free_bytes));
	}
}

/* Several may move at once. A locked addition keeps its place among all other accesses. */
static _Atomic uint32_t moves_begun;
static _Atomic uint32_t moves_ended;

static void move_counts(struct pln_alloc_counters *to, struct pln_alloc_counters *from)
{
	(void)pln_add_relaxed(&moves_begun, 1);
	pln_signal_fence();
	pln_memory_add_counts(to, from);
	memset(from, 0, PILLION_HEAP_COUNT * sizeof(*from));
	pln_signal_fence();
	(void)pln_add_relaxed(&moves_ended, 1);
}

uint32_t pln_memory_sum_begins(void)
{
	uint32_t ended = pln_load_relaxed(&moves_ended);

	pln_signal_fence();
	return ended;
}

bool pln_memory_sum_holds(uint32_t began)
{
	pln_signal_fence();
	return pln_load_relaxed(&moves_begun) == began;
}

static void look_away(struct pln_memory_thread *self)
{
	for (unsigned i = 0; i < PILLION_HEAP_COUNT; i++)
		self->look_at[i] = UINT64_MAX;
	pln_signal_fence();
}

/*
 * First to where it counts from now on, then what it has counted: a handler in between loses
 * nothing.
 */
static void count_in(struct pln_memory_thread *self, struct pln_alloc_counters *heap)
{
	struct pln_alloc_counters *before = self->heap;

	look_away(self);
	pln_memory_count_at(self, heap);
	if (before == self->own)
		move_counts(heap, self->own);
	for (unsigned i = 0; i < PILLION_HEAP_NESTED; i++)
		pln_memory_draw(self, i);
}

void pln_memory_look_for_slot(struct pln_memory_thread *self)
{
	struct pln_thread *thread = NULL;
	uint64_t *next = &self->look_at[PILLION_HEAP_MALLOC];

	if (pln_segment_is_ours_sigsafe())
		thread = pln_threads_know_own_sigsafe();
	if (thread)
		count_in(self, pln_segment_slot_sigsafe(thread->index)->heap);
	else
		*next += *next < LOOK_AT_LEAST ? *next : LOOK_AT_LEAST;
}

void pln_memory_stop(struct pln_memory_thread *self)
{
	pln_memory_mode = PLN_MEMORY_OFF;
	look_away(self);
	pln_memory_count_at(self, self->own);
}

bool pln_memory_can_count(struct pln_memory_thread *self)
{
	if (self->heap || self->nested)
		return true;
	if (self->ended)
		return false;
	look_away(self);
	pln_memory_count_at(self, self->own);
	self->look_at[PILLION_HEAP_MALLOC] = LOOK_FIRST;
	return true;
}

/* Returns by class, NULL: at its end, a thread has nothing of its own any more. */
static struct pln_alloc_counters *find_counters(struct pln_memory_thread *self)
{
	if (!pln_memory_can_count(self))
		return NULL;
	return self->heap ? self->heap : self->nested;
}

void pln_memory_count_alloc(enum pln_heap_class heap, uint64_t size)
{
	struct pln_memory_thread *self = &pln_memory_self;
	struct pln_alloc_counters *counters = find_counters(self);

	if (counters) {
		pln_count(&counters[heap].alloc_calls, 1);
		pln_count(&counters[heap].alloc_bytes, size);
	} else if (pln_segment_is_ours_sigsafe()) {
		pln_add_relaxed(&pln_segment->heap_rest[heap].alloc_calls, 1);
		pln_add_relaxed(&pln_segment->heap_rest[heap].alloc_bytes, size);
	}
	if (counters && !self->heap && heap < PILLION_HEAP_OBJECT) {
		pln_count(&counters[PILLION_HEAP_NESTED].alloc_calls, 1);
		pln_count(&counters[PILLION_HEAP_NESTED].alloc_bytes, size);
		/* Its bytes are on nobody's way to the next point. */
		if (self->look_at[heap] <= UINT64_MAX - size)
			self->look_at[heap] += size;
	}
}

void pln_memory_count_free(enum pln_heap_class heap, uint64_t size)
{
	struct pln_memory_thread *self = &pln_memory_self;
	struct pln_alloc_counters *counters = find_counters(self);

	if (counters) {
		pln_count(&counters[heap].free_calls, 1);
		pln_count(&counters[heap].free_bytes, size);
	} else if (pln_segment_is_ours_sigsafe()) {
		pln_add_relaxed(&pln_segment->heap_rest[heap].free_calls, 1);
		pln_add_relaxed(&pln_segment->heap_rest[heap].free_bytes, size);
	}
}

void *pln_memory_count_block(void *p, uint64_t size, enum pln_block_kind kind)
{
	struct pln_memory_thread *self = &pln_memory_self;
	enum pln_heap_class heap = pln_memory_class_of(kind);
	struct pln_alloc_counters *counters = self->heap + heap;

	/* What is served for Python is no sample, nor are a thread's last words. */
	if (!self->heap && (self->nested || self->ended)) {
		pln_memory_count_alloc(heap, size);
		return p;
	}
	if (!self->heap) {
		(void)pln_memory_can_count(self);
		counters = self->heap + heap;
	}
	pln_count(&counters->alloc_calls, 1);
	pln_count(&counters->alloc_bytes, size);
	return pln_load_relaxed(&counters->alloc_bytes) < self->look_at[heap]
		       ? p
		       : pln_memory_look(p, size, kind);
}

void *pln_memory_allocated_slowly(void *p)
{
	return pln_memory_count_block(p, pln_usable_size(p), PILLION_BLOCK_MALLOC);
}

void pln_memory_free_slowly(void *p)
{
	uint64_t id = pln_live_may_hold(p) ? pln_live_remove_sigsafe((uintptr_t)p) : 0;

	if (id)
		pln_memory_tell_free(id);
	pln_memory_count_free(PILLION_HEAP_MALLOC, pln_usable_size(p));
	pln_real.free(p);
}

/* ----------------------------------------------------- life of a process */

void pln_memory_real_is_known(void)
{
	struct pln_memory_thread *self = &pln_memory_self;

	if (!pln_real.has_sizes)
		pln_memory_stop(self);
	if (pln_memory_mode != PLN_MEMORY_SLOW || !pln_real.has_headers)
		return;
	pln_memory_mode = PLN_MEMORY_FAST;
	pln_memory_count_at(self, self->heap);
}

void pln_memory_init(bool wanted)
{
	if (!wanted)
		pln_memory_stop(&pln_memory_self);
}

/* ------------------------------------------------------ life of a thread */

void pln_memory_thread_begins(struct pln_slot *slot)
{
	if (pln_memory_mode != PLN_MEMORY_OFF && pln_memory_can_count(&pln_memory_self))
		count_in(&pln_memory_self, slot->heap);
}

void pln_memory_thread_ends(void)
{
	struct pln_memory_thread *self = &pln_memory_self;
	bool alone = is_on_its_own(self);

	self->ended = true;
	pln_signal_fence();
	pln_memory_count_at(self, NULL);
	if (alone && pln_segment_is_ours_sigsafe())
		move_counts(pln_segment->heap_rest, self->own);
}

void pln_memory_slot_is_left(struct pln_slot *slot)
{
	move_counts(pln_segment->heap_rest, slot->heap);
}

/* ----------------------------------------------------------------- fork */

static uint64_t live_at_fork;

/*
 * The segment is shared with the child, which must not count in it: nor where it was stopped while
 * this thread did not look.
 */
void pln_memory_before_fork(void)
{
	struct pln_memory_thread *self = &pln_memory_self;

	if (pln_memory_mode != PLN_MEMORY_OFF && pln_segment_is_ours_sigsafe())
		(void)pln_memory_live_bytes(&live_at_fork);
	if (!self->heap || is_on_its_own(self))
		return;
	look_away(self);
	pln_memory_count_at(self, self->own);
}

void pln_memory_after_fork_in_parent(void)
{
	if (pln_memory_mode != PLN_MEMORY_OFF && is_on_its_own(&pln_memory_self))
		pln_memory_look_for_slot(&pln_memory_self);
}

void pln_memory_after_fork_in_child(bool followed)
{
	struct pln_memory_thread *self = &pln_memory_self;

	memset(self->own, 0, sizeof(self->own));
	self->look_at[PILLION_HEAP_MALLOC] = LOOK_FIRST;
	if (!followed)
		pln_memory_stop(self);
	self->random = 0;
	/* A thread that was in the middle of one is not here to end it. */
	pln_store_relaxed(&moves_ended, pln_load_relaxed(&moves_begun));
	pln_memory_forget_samples();
	pln_objects_after_fork();
}

uint64_t pln_memory_inherited_bytes(void)
{
	return live_at_fork;
}
