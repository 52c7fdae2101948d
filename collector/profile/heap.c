/* SPDX-License-Identifier: MIT */
/*
 * heap.c - see heap.h.
 *
 * A block of S bytes is a sample with chance p = 1 - exp(-S / R), whatever happened before. So
 * S / p is an unbiased estimate of the bytes at its place (Horvitz and Thompson), and
 * S^2 (1 - p) / p^2 one of its variance.
 */
#include "profile/heap.h"

#include <math.h>
#include <stdlib.h>

struct pln_heap_weight pln_block_weight(const struct pln_block_row *block)
{
	double size = (double)block->size;
	double chance = -expm1(-size / (double)block->interval);

	/* Interval 1: each one is a sample. */
	if (block->interval <= 1)
		chance = 1;
	return (struct pln_heap_weight){
		.blocks = 1 / chance,
		.bytes = size / chance,
		.variance = size * size * (1 - chance) / (chance * chance),
	};
}

/* ---------------------------------------------------------------- moments */

/* What is live changes. */
struct change {
	uint64_t time_ns;
	double bytes;
};

static int compare_changes(const void *a, const void *b)
{
	const struct change *x = a, *y = b;

	return (x->time_ns > y->time_ns) - (x->time_ns < y->time_ns);
}

static uint64_t time_of_most(struct change *changes, size_t count)
{
	double live = 0, most = 0;
	uint64_t when = 0;

	qsort(changes, count, sizeof(*changes), compare_changes);
	for (size_t i = 0; i < count; i++) {
		live += changes[i].bytes;
		if (live > most) {
			most = live;
			when = changes[i].time_ns;
		}
	}
	return when;
}

static uint32_t process_of(const struct pln_profile *p, const struct pln_block_row *block)
{
	return p->threads[block->thread].process;
}

static uint64_t sampled_peak(const struct pln_profile *p, uint32_t process)
{
	struct change *changes = calloc(2 * p->block_count + 1, sizeof(*changes));
	uint64_t when = p->processes[process].heap_peak_ns;
	size_t count = 0;

	if (!changes)
		return when;
	for (size_t i = 0; i < p->block_count; i++) {
		const struct pln_block_row *b = &p->blocks[i];
		double bytes = pln_block_weight(b).bytes;

		if (b->unfollowed || process_of(p, b) != process)
			continue;
		changes[count++] = (struct change){ b->time_ns, bytes };
		if (b->freed_ns)
			changes[count++] = (struct change){ b->freed_ns, -bytes };
	}
	if (count)
		when = time_of_most(changes, count);
	free(changes);
	return when;
}

struct pln_heap_moments *pln_heap_find_moments(const struct pln_profile *p)
{
	struct pln_heap_moments *moments = calloc(p->process_count, sizeof(*moments));

	for (uint32_t i = 0; moments && i < p->process_count; i++) {
		const struct pln_process *process = &p->processes[i];

		moments[i].end_ns = process->finalizing_ns ? process->finalizing_ns : UINT64_MAX;
		moments[i].peak_ns = process->heap[PILLION_HEAP_OBJECT].alloc_calls
					     ? sampled_peak(p, i)
					     : process->heap_peak_ns;
	}
	return moments;
}

/* ------------------------------------------------------------------ views */

static bool is_live_at(const struct pln_block_row *block, uint64_t time_ns)
{
	return block->time_ns <= time_ns && (!block->freed_ns || block->freed_ns > time_ns);
}

bool pln_heap_counts(const struct pln_block_row *block, enum pln_heap_view view,
		     const struct pln_heap_moments *moments)
{
	if (view == PLN_HEAP_ALLOCATED)
		return true;
	if (block->unfollowed)
		return false;
	switch (view) {
	case PLN_HEAP_LIVE:
		return is_live_at(block, moments->end_ns);
	case PLN_HEAP_PEAK:
		return is_live_at(block, moments->peak_ns);
	case PLN_HEAP_TEMPORARY:
		return block->freed_ns && block->freed_ns - block->time_ns < PLN_HEAP_TEMPORARY_NS;
	case PLN_HEAP_ALLOCATED:
		break;
	}
	return true;
}
