/* SPDX-License-Identifier: MIT */
/*
 * sampled.c - which allocations are looked at, and what is live.
 *
 * Context: inside of malloc on any thread, and the sampling thread.
 */
#include <pillion/atomic.h>

#include "clock.h"
#include "memory/counters.h"
#include "memory/memory.h"
#include "options.h"
#include "sampling/threads.h"
#include "segment.h"

/* Numbers of ours, that nobody else sees. */
struct sums {
	uint64_t alloc_calls, alloc_bytes, free_calls, free_bytes;
};

static void add(struct sums *sums, const struct pln_alloc_counters *one)
{
	sums->alloc_calls += pln_load_relaxed(&one->alloc_calls);
	sums->alloc_bytes += pln_load_relaxed(&one->alloc_bytes);
	sums->free_calls += pln_load_relaxed(&one->free_calls);
	sums->free_bytes += pln_load_relaxed(&one->free_bytes);
}

static struct sums add_all(void)
{
	struct sums sums = { .alloc_calls = 0 };

	add(&sums, &pln_segment->alloc_rest);
	for (uint32_t i = 0; i < pln_threads_high_water_sigsafe(); i++)
		add(&sums, &pln_segment_slot_sigsafe(i)->alloc);
	return sums;
}

/* Races with others that do the same lose a peak of the same moment, or the lower one. */
static void follow_peak(uint64_t live, uint64_t now_ns)
{
	if ((int64_t)live <= 0 || live <= pln_load_relaxed(&pln_segment->peak_bytes))
		return;
	pln_store_relaxed(&pln_segment->peak_bytes, live);
	pln_store_relaxed(&pln_segment->peak_ns, now_ns);
}

static uint64_t live_of(const struct sums *sum)
{
	return sum->alloc_bytes - sum->free_bytes + pln_segment->inherited_bytes;
}

void pln_memory_tick(uint64_t now_ns)
{
	struct sums sum;

	if (pln_memory_mode == PLN_MEMORY_OFF)
		return;
	sum = add_all();
	pln_store_relaxed(&pln_segment->alloc_total.alloc_calls, sum.alloc_calls);
	pln_store_relaxed(&pln_segment->alloc_total.alloc_bytes, sum.alloc_bytes);
	pln_store_relaxed(&pln_segment->alloc_total.free_calls, sum.free_calls);
	pln_store_relaxed(&pln_segment->alloc_total.free_bytes, sum.free_bytes);
	follow_peak(live_of(&sum), now_ns);
}

uint64_t pln_memory_next_look(uint64_t alloc_bytes)
{
	return alloc_bytes + (512u << 10);
}

void pln_memory_sample(struct pln_memory_thread *self, void *p, uint64_t size)
{
	struct sums sum;

	(void)p;
	(void)size;
	self->look_at = pln_memory_next_look(pln_load_relaxed(&self->counters->alloc_bytes));
	if (!pln_segment_is_ours_sigsafe()) {
		pln_memory_mode = PLN_MEMORY_OFF;
		return;
	}
	sum = add_all();
	follow_peak(live_of(&sum), pln_now_ns_sigsafe());
}
