/* SPDX-License-Identifier: MIT */
/*
 * heap_spans.c - see heap_spans.h.
 */
#include "report/heap_spans.h"

#include <math.h>
#include <stdlib.h>

#define STOPPED_SHARE 0.05 /* of the time: stopped for less than that is as not stopped */
#define MEAN_SHARE 0.05 /* of the time, to either side of a moment */

static uint64_t end_of_life(const struct pln_profile *p, const struct pln_process *process)
{
	return process->end_ns ? process->end_ns : p->recording.end_ns;
}

static bool was_stopped(const struct pln_profile *p, const struct pln_process *process)
{
	uint64_t end_ns = end_of_life(p, process);

	return end_ns > process->start_ns &&
	       (double)process->dormant_ns > STOPPED_SHARE * (double)(end_ns - process->start_ns);
}

/* --------------------------------------------------------- what was sampled */

/* By process: the first and the last moment. */
struct sampled {
	const struct pln_profile *profile;
	uint64_t *first_ns, *last_ns;
};

static void see(const struct sampled *s, uint32_t thread, uint64_t time_ns)
{
	uint32_t process = s->profile->threads[thread].process;

	if (time_ns < s->first_ns[process])
		s->first_ns[process] = time_ns;
	if (time_ns > s->last_ns[process])
		s->last_ns[process] = time_ns;
}

/* What was left over at a thread's end may be of long before. */
static int see_sample(const struct pln_sample_row *row, void *arg)
{
	const struct sampled *s = arg;

	if (row->thread < s->profile->thread_count && row->cause != PILLION_CAUSE_EXIT)
		see(s, row->thread, row->time_ns);
	return 0;
}

static void cut_to_sampled(struct pln_heap_span *span, const struct pln_profile *p,
			   const struct pln_process *process, uint64_t first_ns, uint64_t last_ns)
{
	double first = (double)first_ns, last = (double)last_ns;
	double before = first - (double)process->start_ns;
	double after = (double)end_of_life(p, process) - last;
	double end = fmin(span->start_ns + span->length_ns, last);

	span->has_gap =
		(double)process->dormant_ns - before - after > STOPPED_SHARE * (last - first);
	span->partial |= span->has_gap || before > STOPPED_SHARE * (last - first);
	span->start_ns = fmax(span->start_ns, first);
	span->length_ns = fmax(end - span->start_ns, 0);
}

/* Returns false when memory is short. */
static bool find_sampled(struct pln_heap_span *spans, struct pln_profile *p)
{
	size_t size = (p->process_count + 1) * sizeof(uint64_t);
	struct sampled s = { .profile = p, .first_ns = malloc(size), .last_ns = malloc(size) };
	bool done = s.first_ns && s.last_ns;

	for (uint32_t i = 0; done && i < p->process_count; i++) {
		s.first_ns[i] = UINT64_MAX;
		s.last_ns[i] = 0;
	}
	for (size_t i = 0; done && i < p->block_count; i++)
		see(&s, p->blocks[i].thread, p->blocks[i].time_ns);
	done = done && !pln_profile_each_sample(p, see_sample, &s);
	for (uint32_t i = 0; done && i < p->process_count; i++) {
		if (was_stopped(p, &p->processes[i]) && s.first_ns[i] <= s.last_ns[i])
			cut_to_sampled(&spans[i], p, &p->processes[i], s.first_ns[i], s.last_ns[i]);
	}
	free(s.first_ns);
	free(s.last_ns);
	return done;
}

/* ----------------------------------------------------------- what was counted */

/* Live bytes of a process, as of `at_ns`, and their means so far about two moments. */
struct level {
	double at_ns;
	double live;
	double mean[2];
};

/* They stayed what they were until then. */
static void stay_until(struct level *level, const struct pln_heap_span *span,
		       const double moments[2], double until_ns)
{
	double width = 2 * MEAN_SHARE * span->length_ns;

	for (unsigned i = 0; i < 2; i++) {
		double begin = span->start_ns + moments[i] * span->length_ns - width / 2;
		double from = fmax(level->at_ns, begin), to = fmin(until_ns, begin + width);

		if (to > from)
			level->mean[i] += level->live * (to - from) / width;
	}
	level->at_ns = fmax(level->at_ns, until_ns);
}

static void find_growth(struct pln_heap_span *spans, const struct pln_profile *p,
			const double moments[2], struct level *levels)
{
	for (uint32_t i = 0; i < p->process_count; i++)
		levels[i].live = (double)p->processes[i].heap_inherited_bytes;
	for (size_t i = 0; i < p->heap_point_count; i++) {
		const struct pln_heap_point *point = &p->heap_points[i];
		uint32_t id = point->process;

		stay_until(&levels[id], &spans[id], moments, (double)point->time_ns);
		levels[id].live = (double)pln_heap_live_bytes(
			point->heap, p->processes[id].heap_inherited_bytes);
	}
	for (uint32_t i = 0; i < p->process_count; i++) {
		stay_until(&levels[i], &spans[i], moments, INFINITY);
		if (spans[i].partial)
			spans[i].grown_bytes = levels[i].mean[1] - levels[i].mean[0];
	}
}

/* -------------------------------------------------------------------- spans */

static struct pln_heap_span whole_span(const struct pln_profile *p,
				       const struct pln_process *process, uint64_t down_ns)
{
	uint64_t end_ns = end_of_life(p, process);

	if (down_ns < end_ns)
		end_ns = down_ns;
	return (struct pln_heap_span){
		.start_ns = (double)process->start_ns,
		.length_ns = end_ns > process->start_ns ? (double)(end_ns - process->start_ns) : 0,
		.partial = process->heap_inherited_bytes,
	};
}

struct pln_heap_span *pln_heap_find_spans(struct pln_profile *profile,
					  const struct pln_heap_moments *moments, double from,
					  double to)
{
	struct pln_heap_span *spans = calloc(profile->process_count, sizeof(*spans));
	struct level *levels = calloc(profile->process_count, sizeof(*levels));
	const double at[2] = { from, to };
	bool done = spans && levels, any_stopped = false;

	for (uint32_t i = 0; done && i < profile->process_count; i++) {
		const struct pln_process *process = &profile->processes[i];

		spans[i] = whole_span(profile, process, moments[i].end_ns);
		any_stopped |= was_stopped(profile, process);
	}
	if (done && any_stopped)
		done = find_sampled(spans, profile);
	if (done)
		find_growth(spans, profile, at, levels);
	free(levels);
	if (done)
		return spans;
	free(spans);
	return NULL;
}
