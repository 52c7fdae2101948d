/* SPDX-License-Identifier: MIT */
/*
 * counters.c - where each thread counts, from its first allocation to its last.
 *
 * Context: any thread, inside of malloc; nothing here allocates or waits.
 */
#include "counters.h"

#include <string.h>

#include <pillion/atomic.h>

#include "clock.h"
#include "memory/memory.h"
#include "sampling/threads.h"
#include "segment.h"

#define LOOK_FIRST 4096u /* bytes until a thread first tries to find its slot */
#define LOOK_AT_LEAST (1u << 20) /* it tries after twice as many each time, up to this */

uint8_t pln_memory_mode = PLN_MEMORY_SLOW;
__thread struct pln_memory_thread pln_memory_self;

static bool is_on_its_own(const struct pln_memory_thread *self)
{
	return self->counters == &self->own;
}

static void add_all(struct pln_alloc_counters *to, const struct pln_alloc_counters *from)
{
	/* Atomic: threads that have no slot any more share this. */
	pln_add_relaxed(&to->alloc_calls, pln_load_relaxed(&from->alloc_calls));
	pln_add_relaxed(&to->alloc_bytes, pln_load_relaxed(&from->alloc_bytes));
	pln_add_relaxed(&to->free_calls, pln_load_relaxed(&from->free_calls));
	pln_add_relaxed(&to->free_bytes, pln_load_relaxed(&from->free_bytes));
}

/* First to where it counts from now on, then what it has counted: a handler in between loses
 * nothing. */
static void count_in(struct pln_memory_thread *self, struct pln_alloc_counters *counters)
{
	struct pln_alloc_counters *before = self->counters;

	self->look_at = UINT64_MAX;
	pln_signal_fence();
	self->counters = counters;
	pln_signal_fence();
	if (before == &self->own) {
		add_all(counters, before);
		memset(&self->own, 0, sizeof(self->own));
	}
	self->look_at = pln_memory_next_look(self, pln_load_relaxed(&counters->alloc_bytes));
}

static struct pln_thread *find_slot_owner(void)
{
	struct pln_thread *thread = pln_threads_own_sigsafe();

	return thread ? thread : pln_threads_find((uint32_t)pln_gettid_sigsafe());
}

void pln_memory_look_for_slot(struct pln_memory_thread *self)
{
	struct pln_thread *thread = NULL;

	if (pln_segment_is_ours_sigsafe())
		thread = find_slot_owner();
	if (thread)
		count_in(self, &pln_segment_slot_sigsafe(thread->index)->alloc);
	else
		self->look_at += self->look_at < LOOK_AT_LEAST ? self->look_at : LOOK_AT_LEAST;
}

/* The thread's first call, or one after its last words. True: it has a place to count in now. */
static bool begin(struct pln_memory_thread *self)
{
	if (self->ended)
		return false;
	self->look_at = LOOK_FIRST;
	self->counters = &self->own;
	return true;
}

void *pln_memory_allocated_slowly(void *p)
{
	struct pln_memory_thread *self = &pln_memory_self;
	uint64_t size = pln_usable_size(p);

	if (!self->counters && !begin(self)) {
		if (!pln_segment_is_ours_sigsafe())
			return p;
		pln_add_relaxed(&pln_segment->alloc_rest.alloc_calls, 1);
		pln_add_relaxed(&pln_segment->alloc_rest.alloc_bytes, size);
		return p;
	}
	pln_count(&self->counters->alloc_calls, 1);
	pln_count(&self->counters->alloc_bytes, size);
	return pln_load_relaxed(&self->counters->alloc_bytes) < self->look_at
		       ? p
		       : pln_memory_look(p, size);
}

void pln_memory_freed(uint64_t size)
{
	struct pln_memory_thread *self = &pln_memory_self;

	if (!self->counters && !begin(self)) {
		if (!pln_segment_is_ours_sigsafe())
			return;
		pln_add_relaxed(&pln_segment->alloc_rest.free_calls, 1);
		pln_add_relaxed(&pln_segment->alloc_rest.free_bytes, size);
		return;
	}
	pln_count(&self->counters->free_calls, 1);
	pln_count(&self->counters->free_bytes, size);
}

void pln_memory_free_slowly(void *p)
{
	uint64_t id = pln_live_may_hold(p) ? pln_live_remove_sigsafe((uintptr_t)p) : 0;

	if (id)
		pln_memory_tell_free(id);
	pln_memory_freed(pln_usable_size(p));
	pln_real.free(p);
}

/* ----------------------------------------------------- life of a process */

void pln_memory_real_is_known(void)
{
	if (pln_memory_mode == PLN_MEMORY_SLOW && pln_real.has_headers)
		pln_memory_mode = PLN_MEMORY_FAST;
}

void pln_memory_init(bool wanted)
{
	if (!wanted)
		pln_memory_mode = PLN_MEMORY_OFF;
}

/* ------------------------------------------------------ life of a thread */

void pln_memory_thread_begins(struct pln_slot *slot)
{
	struct pln_memory_thread *self = &pln_memory_self;

	if (pln_memory_mode == PLN_MEMORY_OFF)
		return;
	if (!self->counters)
		(void)begin(self);
	count_in(self, &slot->alloc);
}

void pln_memory_thread_ends(void)
{
	struct pln_memory_thread *self = &pln_memory_self;
	bool alone = is_on_its_own(self);

	self->ended = true;
	pln_signal_fence();
	self->counters = NULL;
	pln_signal_fence();
	if (alone && pln_segment_is_ours_sigsafe())
		add_all(&pln_segment->alloc_rest, &self->own);
}

void pln_memory_slot_is_left(struct pln_slot *slot)
{
	add_all(&pln_segment->alloc_rest, &slot->alloc);
	memset(&slot->alloc, 0, sizeof(slot->alloc));
}

/* ----------------------------------------------------------------- fork */

/* The segment is shared with the child, which must not count in it. */
void pln_memory_before_fork(void)
{
	struct pln_memory_thread *self = &pln_memory_self;

	if (!self->counters || is_on_its_own(self))
		return;
	self->look_at = UINT64_MAX;
	pln_signal_fence();
	self->counters = &self->own;
}

void pln_memory_after_fork_in_parent(void)
{
	if (is_on_its_own(&pln_memory_self))
		pln_memory_look_for_slot(&pln_memory_self);
}

void pln_memory_after_fork_in_child(bool followed)
{
	struct pln_memory_thread *self = &pln_memory_self;

	if (!followed)
		pln_memory_mode = PLN_MEMORY_OFF;
	memset(&self->own, 0, sizeof(self->own));
	self->look_at = LOOK_FIRST;
	self->random = 0;
	pln_memory_forget_samples();
}
