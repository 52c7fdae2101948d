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

/* No sum of what is real comes near; sizes in a damaged profile may. */
#define ESTIMATE_MAX 0x1p62

static uint64_t whole(double estimate, double *rest)
{
	double rounded = floor(estimate + *rest + 0.5);

	if (!(rounded < ESTIMATE_MAX))
		return (uint64_t)ESTIMATE_MAX;
	*rest += estimate - rounded;
	return (uint64_t)rounded;
}

struct pln_block_sum pln_block_whole(const struct pln_block_row *block, struct pln_block_rest *rest)
{
	struct pln_heap_weight weight = pln_block_weight(block);

	return (struct pln_block_sum){ .blocks = whole(weight.blocks, &rest->blocks),
				       .bytes = whole(weight.bytes, &rest->bytes) };
}

/* ---------------------------------------------------------------- moments */

/* What is live changes. */
struct change {
	uint64_t time_ns;
	double bytes;
	uint32_t process;
};

static int compare_changes(const void *a, const void *b)
{
	const struct change *x = a, *y = b;

	if (x->process != y->process)
		return x->process < y->process ? -1 : 1;
	return (x->time_ns > y->time_ns) - (x->time_ns < y->time_ns);
}

/* By samples, where Python's objects were followed: their counts say nothing of frees. */
static bool by_samples(const struct pln_process *process)
{
	return process->heap[PILLION_HEAP_OBJECT].alloc_calls;
}

static size_t list_changes(const struct pln_profile *p, struct change *changes)
{
	size_t count = 0;

	for (size_t i = 0; i < p->block_count; i++) {
		const struct pln_block_row *b = &p->blocks[i];
		uint32_t process = p->threads[b->thread].process;
		double bytes = pln_block_weight(b).bytes;

		if (b->unfollowed || !by_samples(&p->processes[process]))
			continue;
		changes[count++] = (struct change){ b->time_ns, bytes, process };
		if (b->freed_ns)
			changes[count++] = (struct change){ b->freed_ns, -bytes, process };
	}
	return count;
}

/* Leaves alone the moments of processes without samples. */
static void find_sampled_peaks(const struct pln_profile *p, struct pln_heap_moments *moments)
{
	struct change *changes = calloc(2 * p->block_count + 1, sizeof(*changes));
	size_t count = changes ? list_changes(p, changes) : 0;
	double live = 0, most = 0;

	if (count)
		qsort(changes, count, sizeof(*changes), compare_changes);
	for (size_t i = 0; i < count; i++) {
		if (!i || changes[i].process != changes[i - 1].process)
			live = most = 0;
		live += changes[i].bytes;
		if (live > most) {
			most = live;
			moments[changes[i].process].peak_ns = changes[i].time_ns;
		}
	}
	free(changes);
}

struct pln_heap_moments *pln_heap_find_moments(const struct pln_profile *p)
{
	struct pln_heap_moments *moments = calloc(p->process_count, sizeof(*moments));
	bool any_by_samples = false;

	for (uint32_t i = 0; moments && i < p->process_count; i++) {
		const struct pln_process *process = &p->processes[i];

		moments[i].end_ns = process->finalizing_ns ? process->finalizing_ns : UINT64_MAX;
		moments[i].peak_ns = process->heap_peak_ns;
		any_by_samples |= by_samples(process);
	}
	if (moments && any_by_samples)
		find_sampled_peaks(p, moments);
	return moments;
}

/* ------------------------------------------------------------------- parts */

static int compare_starts(const void *pa, const void *pb, void *processes)
{
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
	const struct pln_process *x = (struct pln_process *)processes + a;
	const struct pln_process *y = (struct pln_process *)processes + b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	if (x->start_ns != y->start_ns)
		return x->start_ns < y->start_ns ? -1 : 1;
	return a < b ? -1 : a > b;
}

/* What a part begins with is what was live when the one before it ended, to the byte. */
static bool goes_on_as(const struct pln_process *part, const struct pln_process *next)
{
	return next->heap_inherited_bytes && next->inner_pid == part->inner_pid &&
	       next->reason == part->reason &&
	       next->heap_inherited_bytes ==
		       pln_heap_live_bytes(part->heap, part->heap_inherited_bytes);
}

/* The part behind that of order[at]; PLN_NONE: it is the last. */
static uint32_t next_part(const struct pln_profile *p, const uint32_t *order, size_t at)
{
	const struct pln_process *part = &p->processes[order[at]];

	for (size_t i = at + 1; i < p->process_count; i++) {
		const struct pln_process *next = &p->processes[order[i]];

		if (next->pid != part->pid)
			break;
		if (goes_on_as(part, next))
			return order[i];
	}
	return PLN_NONE;
}

uint32_t *pln_heap_last_parts(const struct pln_profile *p)
{
	uint32_t *last = malloc((p->process_count + 1) * sizeof(*last));
	uint32_t *order = malloc((p->process_count + 1) * sizeof(*order));
	bool done = last && order;

	for (uint32_t i = 0; done && i < p->process_count; i++)
		last[i] = order[i] = i;
	if (done)
		qsort_r(order, p->process_count, sizeof(*order), compare_starts, p->processes);
	for (size_t i = done ? p->process_count : 0; i-- > 0;) {
		uint32_t next = next_part(p, order, i);

		if (next != PLN_NONE)
			last[order[i]] = last[next];
	}
	free(order);
	if (done)
		return last;
	free(last);
	return NULL;
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
		return block->freed_ns && block->freed_ns < block->time_ns + PLN_HEAP_TEMPORARY_NS;
	case PLN_HEAP_ALLOCATED:
		break;
	}
	return true;
}
