/* SPDX-License-Identifier: MIT */
/*
 * heap_summary.c - see heap_summary.h.
 */
#include "report/heap_summary.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define USUAL_INTERVAL 524288.

/* What the blocks of one kind add up to. */
struct kind_sum {
	double bytes;
	double variance;
	uint64_t samples;
	uint64_t interval;
};

static void add_counts(struct pln_heap_counts *sum, const struct pln_heap_counts *what)
{
	for (unsigned c = 0; c < PILLION_HEAP_COUNT; c++) {
		sum[c].alloc_calls += what[c].alloc_calls;
		sum[c].alloc_bytes += what[c].alloc_bytes;
		sum[c].free_calls += what[c].free_calls;
		sum[c].free_bytes += what[c].free_bytes;
	}
}

/* Of one that began with memory, a point is told once that changes: without any, it did not. */
static const struct pln_heap_counts *without_points(const struct pln_process *process)
{
	static const struct pln_heap_counts unchanged[PILLION_HEAP_COUNT];

	return process->finalizing_ns && process->heap_inherited_bytes ? unchanged : process->heap;
}

/*
 * By process, its counts when the program was over: at the last point before the interpreter went
 * down, which frees much; else at its end. To be freed; NULL: out of memory.
 */
static const struct pln_heap_counts **find_last_counts(const struct pln_profile *p)
{
	const struct pln_heap_counts **last = calloc(p->process_count + 1, sizeof(*last));

	for (size_t i = 0; last && i < p->process_count; i++)
		last[i] = without_points(&p->processes[i]);
	for (size_t i = 0; last && i < p->heap_point_count; i++) {
		const struct pln_heap_point *point = &p->heap_points[i];

		if (point->time_ns <= p->processes[point->process].finalizing_ns)
			last[point->process] = point->heap;
	}
	return last;
}

/* To the last part of a process, what an earlier one knows better. */
static void add_part(struct pln_process *whole, const struct pln_process *part)
{
	if (part->start_ns < whole->start_ns)
		whole->start_ns = part->start_ns;
	if (part->brk_peak_bytes > whole->brk_peak_bytes)
		whole->brk_peak_bytes = part->brk_peak_bytes;
	if (part->heap_peak_bytes <= whole->heap_peak_bytes)
		return;
	whole->heap_peak_bytes = part->heap_peak_bytes;
	whole->heap_peak_ns = part->heap_peak_ns;
}

/* By process, where it is the last part of one: the whole. To be freed; NULL: out of memory. */
static struct pln_process *find_wholes(const struct pln_profile *p, const uint32_t *last_part)
{
	struct pln_process *wholes = malloc((p->process_count + 1) * sizeof(*wholes));

	if (!wholes)
		return NULL;
	for (uint32_t id = 0; id < p->process_count; id++)
		wholes[id] = p->processes[id];
	for (uint32_t id = 0; id < p->process_count; id++) {
		if (last_part[id] != id)
			add_part(&wholes[last_part[id]], &p->processes[id]);
	}
	return wholes;
}

static void add_process(struct pln_heap_summary *s, const struct pln_process *process,
			const struct pln_heap_counts *last)
{
	s->processes++;
	s->live_bytes += pln_heap_live_bytes(last, process->heap_inherited_bytes);
	if (process->reason == PILLION_REASON_FORK)
		s->forked_bytes += process->heap_inherited_bytes;
	if (process->brk_peak_bytes > s->brk_peak_bytes)
		s->brk_peak_bytes = process->brk_peak_bytes;
	s->peaks_bytes += process->heap_peak_bytes;
	if (process->heap_peak_bytes <= s->peak_bytes)
		return;
	s->peak_bytes = process->heap_peak_bytes;
	s->peak_after_ns = process->heap_peak_ns > process->start_ns
				   ? process->heap_peak_ns - process->start_ns
				   : 0;
}

/* ------------------------------------------------------------------- checks */

static void sum_blocks(struct pln_heap_summary *s, const struct pln_aggregate *a,
		       struct kind_sum sums[PILLION_BLOCK_KINDS])
{
	const struct pln_profile *p = a->profile;

	for (size_t i = 0; i < p->block_count; i++) {
		const struct pln_block_row *block = &p->blocks[i];
		struct pln_heap_weight weight;

		if (block->kind >= PILLION_BLOCK_KINDS || !a->thread_kept[block->thread])
			continue;
		weight = pln_block_weight(block);
		sums[block->kind].bytes += weight.bytes;
		sums[block->kind].variance += weight.variance;
		sums[block->kind].samples++;
		if (sums[block->kind].interval < block->interval)
			sums[block->kind].interval = block->interval;
		s->samples++;
		s->unfollowed += block->unfollowed;
	}
}

static void add_check(struct pln_heap_summary *s, const char *name, uint64_t counted_bytes,
		      const struct kind_sum *a, const struct kind_sum *b)
{
	const struct pln_heap_check check = { .name = name,
					      .counted_bytes = counted_bytes,
					      .sampled_bytes = a->bytes + b->bytes,
					      .variance = a->variance + b->variance,
					      .interval = a->interval > b->interval ? a->interval
										    : b->interval,
					      .samples = a->samples + b->samples };

	if (check.counted_bytes || check.samples)
		s->checks[s->check_count++] = check;
}

/*
 * Where Python's objects are followed, what they get their memory by is counted, but no sample:
 * it is known for malloc and mappings together.
 */
static void check_classes(struct pln_heap_summary *s, const struct kind_sum *sums)
{
	static const struct kind_sum nothing;
	const struct pln_heap_counts *c = s->counts;
	uint64_t both = c[PILLION_HEAP_MALLOC].alloc_bytes + c[PILLION_HEAP_MAPPING].alloc_bytes;
	uint64_t nested = c[PILLION_HEAP_NESTED].alloc_bytes;

	if (c[PILLION_HEAP_OBJECT].alloc_bytes) {
		add_check(s, "malloc and mmap", both > nested ? both - nested : 0,
			  &sums[PILLION_BLOCK_MALLOC], &sums[PILLION_BLOCK_MAPPING]);
		add_check(s, "Python objects", c[PILLION_HEAP_OBJECT].alloc_bytes,
			  &sums[PILLION_BLOCK_OBJECT], &sums[PILLION_BLOCK_MEMORY]);
	} else {
		add_check(s, "malloc", c[PILLION_HEAP_MALLOC].alloc_bytes,
			  &sums[PILLION_BLOCK_MALLOC], &nothing);
		add_check(s, "mmap", c[PILLION_HEAP_MAPPING].alloc_bytes,
			  &sums[PILLION_BLOCK_MAPPING], &nothing);
	}
}

double pln_heap_check_share(const struct pln_heap_check *check)
{
	double counted = (double)check->counted_bytes;

	return counted > 0 ? (check->sampled_bytes - counted) / counted : 0;
}

/*
 * The variance is estimated from the samples that there are: of blocks that none was taken of, one
 * interval is what may well be missing.
 */
double pln_heap_check_sigma(const struct pln_heap_check *check)
{
	double interval = check->interval ? (double)check->interval : USUAL_INTERVAL;
	double error = interval > 1 ? sqrt(check->variance + interval * interval) : 0;

	return error > 0 ? (check->sampled_bytes - (double)check->counted_bytes) / error : 0;
}

/* Counts are those of all parts; what was live, the last one knows. */
static int add_processes(struct pln_heap_summary *s, const struct pln_profile *p,
			 const struct pln_filter *filter)
{
	const struct pln_heap_counts **last = find_last_counts(p);
	uint32_t *last_part = pln_heap_last_parts(p);
	struct pln_process *wholes = last_part ? find_wholes(p, last_part) : NULL;
	bool done = last && wholes;

	for (uint32_t id = 0; done && id < p->process_count; id++) {
		const struct pln_process *process = &p->processes[id];

		if (!pln_filter_keeps_process(filter, process))
			continue;
		if (!s->by_thread)
			add_counts(s->counts, process->heap);
		s->dormant_ns += process->dormant_ns;
		if (last_part[id] == id)
			add_process(s, &wholes[id], last[id]);
		else
			s->in_parts = true;
	}
	free(last);
	free(last_part);
	free(wholes);
	return done ? 0 : -ENOMEM;
}

int pln_heap_summarize(struct pln_heap_summary *summary, const struct pln_aggregate *aggregate,
		       const struct pln_filter *filter)
{
	const struct pln_profile *p = aggregate->profile;
	struct kind_sum sums[PILLION_BLOCK_KINDS] = { { 0 } };
	int err;

	memset(summary, 0, sizeof(*summary));
	summary->by_thread = filter->threads;
	summary->points = p->heap_point_count;
	err = add_processes(summary, p, filter);
	if (err)
		return err;
	for (uint32_t t = 0; summary->by_thread && t < p->thread_count; t++) {
		if (aggregate->thread_kept[t])
			add_counts(summary->counts, p->threads[t].heap);
	}
	sum_blocks(summary, aggregate, sums);
	if (summary->samples && !summary->dormant_ns)
		check_classes(summary, sums);
	return 0;
}
