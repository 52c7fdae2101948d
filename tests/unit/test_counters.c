/* SPDX-License-Identifier: MIT */
/*
 * test_counters.c - what a thread has counted moves to the process when it ends; whoever sums up
 * meanwhile sees all of it once, or is told so.
 */
#include <pthread.h>
#include <sched.h>

#include "check.h"
#include "memory/counters.h"
#include "memory/objects.h"
#include "sampling/threads.h"
#include "segment.h"

#define BYTES (1ull << 30) /* that the thread allocated, and freed again */
#define ROUNDS_MIN 2000
#define ROUNDS_MAX 2000000
#define SEEN_ENOUGH 20 /* sums that did not hold */

static struct pln_segment segment;
static struct pln_slot slot;
static _Atomic unsigned started, ended; /* rounds */

/* ------------------------------------------------ what the file stands on */

struct pln_segment *pln_segment = &segment;
struct pln_segment_own pln_segment_own;
struct pln_real pln_real;

bool pln_segment_is_ours_sigsafe(void)
{
	return true;
}

struct pln_thread *pln_threads_know_own_sigsafe(void)
{
	return NULL;
}

void pln_objects_after_fork(void)
{
}

void pln_memory_forget_samples(void)
{
}

void pln_memory_draw(struct pln_memory_thread *self, enum pln_heap_class heap)
{
	(void)self;
	(void)heap;
}

void *pln_memory_look(void *p, uint64_t size, enum pln_block_kind kind)
{
	(void)size;
	(void)kind;
	return p;
}

void pln_memory_tell_free(uint64_t id)
{
	(void)id;
}

bool pln_memory_live_bytes(uint64_t *live)
{
	*live = 0;
	return true;
}

/* --------------------------------------------------------------------- test */

static void fill(struct pln_alloc_counters *heap, uint64_t bytes)
{
	for (unsigned i = 0; i < PILLION_HEAP_COUNT; i++) {
		pln_store_relaxed(&heap[i].alloc_calls, 1);
		pln_store_relaxed(&heap[i].alloc_bytes, bytes);
		pln_store_relaxed(&heap[i].free_calls, 1);
		pln_store_relaxed(&heap[i].free_bytes, bytes);
	}
}

static uint64_t live_in(const struct pln_alloc_counters *heap)
{
	return pln_load_relaxed(&heap->alloc_bytes) - pln_load_relaxed(&heap->free_bytes);
}

static uint64_t calls_in(const struct pln_alloc_counters *heap)
{
	return pln_load_relaxed(&heap->alloc_calls);
}

static void *end_threads(void *unused)
{
	for (unsigned round = 1;; round++) {
		unsigned now;

		while ((now = pln_load_acquire(&started)) < round)
			sched_yield();
		if (now > round) /* the last word */
			return unused;
		pln_memory_slot_is_left(&slot);
		pln_store_release(&ended, round);
	}
}

/* Returns how many sums did not hold. */
static unsigned sum_while_it_ends(unsigned round)
{
	unsigned moved = 0;
	bool over = false;

	memset(segment.heap_rest, 0, sizeof(segment.heap_rest));
	fill(slot.heap, BYTES);
	pln_store_release(&started, round);
	while (!over) {
		uint64_t live = 0, calls = 0;
		uint32_t began;

		over = pln_load_acquire(&ended) == round;
		began = pln_memory_sum_begins();
		for (unsigned i = 0; i < PILLION_HEAP_COUNT; i++) {
			live += live_in(&segment.heap_rest[i]) + live_in(&slot.heap[i]);
			calls += calls_in(&segment.heap_rest[i]) + calls_in(&slot.heap[i]);
		}
		if (!pln_memory_sum_holds(began)) {
			moved++;
			continue;
		}
		if (!CHECK_EQ(live, 0) || !CHECK_EQ(calls, PILLION_HEAP_COUNT))
			break;
	}
	return moved;
}

static void test_counts_move_as_one(void)
{
	unsigned moved = 0, round = 1;
	pthread_t thread;

	if (!CHECK(!pthread_create(&thread, NULL, end_threads, NULL)))
		return;
	for (; !check_failed && round < ROUNDS_MAX && (round < ROUNDS_MIN || moved < SEEN_ENOUGH);
	     round++)
		moved += sum_while_it_ends(round);
	CHECK(moved >= SEEN_ENOUGH);
	pln_store_release(&started, round + 1);
	pthread_join(thread, NULL);
}

int main(void)
{
	test_counts_move_as_one();
	return check_result();
}
