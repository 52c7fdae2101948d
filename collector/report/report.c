/* SPDX-License-Identifier: MIT */
/*
 * report.c - computes what a report shows, and in which order.
 */
#include "report/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/names.h"

const char *const pln_sort_names[] = { "self", "total", "name", NULL };

#define AMOUNT_VIEWS "cpu", "wall", "offcpu", "gil", "allocated", "live", "peak", "temporary"
const char *const pln_report_view_names[] = { AMOUNT_VIEWS, "leaks", NULL };
const char *const pln_amount_view_names[] = { AMOUNT_VIEWS, NULL };

/* What only views of memory need. */
static int build_heap(struct pln_report *report)
{
	report->moments = pln_heap_find_moments(report->profile);
	/* Without a process there is no block. */
	if (!report->moments)
		return report->profile->process_count ? -ENOMEM : 0;
	return pln_aggregate_blocks(&report->aggregate, report->options.view, report->moments);
}

int pln_report_build(struct pln_report *report, struct pln_profile *profile, const char *path,
		     const struct pln_report_options *options)
{
	enum pln_view view = options->view;
	struct pln_aggregate *a = &report->aggregate;
	int err;

	memset(report, 0, sizeof(*report));
	report->path = path;
	report->profile = profile;
	report->options = *options;
	err = pln_aggregate_samples(a, profile, &options->filter);
	if (!err && pln_view_is_heap(view))
		err = build_heap(report);
	if (!err)
		err = pln_summary_compute(&report->summary, a, &options->filter);
	if (!err)
		err = pln_totals_compute(&report->totals, a, view);
	if (!err)
		err = pln_waits_compute(&report->waits, a, &report->totals);
	if (!err) {
		report->thread_entries = pln_thread_entries(a);
		err = report->thread_entries ? 0 : -ENOMEM;
	}
	if (!err)
		err = pln_killed_find(&report->last_runs, profile);
	if (!err && options->part == PLN_REPORT_TREE)
		err = pln_calltree_build(&report->tree, a, view, false);
	if (!err && view == PLN_VIEW_LEAKS && report->moments)
		err = pln_leaks_find(&report->leaks, a, &report->totals, report->moments);
	if (!err)
		err = pln_heap_summarize(&report->heap, a, &options->filter);
	return err;
}

void pln_report_free(struct pln_report *report)
{
	free(report->thread_entries);
	free(report->last_runs);
	pln_leaks_free(&report->leaks);
	free(report->moments);
	pln_calltree_free(&report->tree);
	pln_waits_free(&report->waits);
	pln_totals_free(&report->totals);
	pln_summary_free(&report->summary);
	pln_aggregate_free(&report->aggregate);
}

size_t pln_report_limited(const struct pln_report *report, size_t count)
{
	uint64_t limit = report->options.limit;

	return limit && limit < count ? limit : count;
}

bool pln_report_has_any(const struct pln_report *report)
{
	if (report->options.view == PLN_VIEW_LEAKS)
		return report->heap.samples > 0;
	return report->totals.all.weight > 0;
}

static void explain_no_memory(const struct pln_report *r, char *buffer, size_t size)
{
	if (!pln_heap_is_counted(&r->heap) && !r->profile->block_count)
		snprintf(buffer, size,
			 "memory was not looked at; record with --memory sample (the default)");
	else if (!r->profile->block_count)
		snprintf(buffer, size,
			 "allocations were counted, but none was sampled: record with "
			 "--memory sample, or try a lower --alloc-interval");
	else
		snprintf(buffer, size, "no sampled block is %s; try --view allocated, or info",
			 pln_view_text(r->options.view));
}

/* A warning need not be the reason: it is told as what it is. */
static void explain_no_sample(const struct pln_profile *p, char *buffer, size_t size)
{
	for (size_t i = 0; i < p->note_count; i++) {
		if (p->notes[i].level) {
			snprintf(buffer, size, "no sample was recorded; a warning of it: %s",
				 p->notes[i].text);
			return;
		}
	}
	snprintf(buffer, size,
		 "no sample was recorded: the program may have ended within one sampling "
		 "period; try a higher --freq, and see `pillion info`");
}

void pln_report_explain_empty(const struct pln_report *report, char *buffer, size_t size)
{
	const struct pln_profile *p = report->profile;
	const struct pln_filter *filter = &report->options.filter;
	bool heap = pln_view_is_heap(report->options.view);
	bool any = heap ? p->block_count : p->sample_count;

	if (p->recording.truncated && !p->sample_count)
		snprintf(buffer, size, "cut before the first sample; record again");
	else if (!p->process_count)
		snprintf(buffer, size,
			 "no Python process was recorded: the command may not run Python, may be "
			 "statically linked or setuid, or may have ended at once");
	else if (any && !report->aggregate.quality.samples &&
		 (filter->threads || filter->processes))
		snprintf(buffer, size,
			 "no sample matches the filter%s%s%s%s; `pillion info` lists threads and "
			 "processes",
			 filter->threads ? " --thread " : "",
			 filter->threads ? filter->threads : "",
			 filter->processes ? " --process " : "",
			 filter->processes ? filter->processes : "");
	else if (heap)
		explain_no_memory(report, buffer, size);
	else if (!any)
		explain_no_sample(p, buffer, size);
	else
		snprintf(buffer, size, "no sample has any %s; try --view wall",
			 pln_view_text(report->options.view));
}

/* -------------------------------------------------------------------- order */

static int compare_weights(uint64_t a, uint64_t b)
{
	return a > b ? -1 : a < b;
}

static int compare_costs(const struct pln_cost *a, const struct pln_cost *b, enum pln_sort sort)
{
	int by_self = compare_weights(a->self.weight, b->self.weight);
	int by_total = compare_weights(a->total.weight, b->total.weight);

	if (sort == PLN_SORT_TOTAL)
		return by_total ? by_total : by_self;
	return by_self ? by_self : by_total;
}

static int compare_functions(const void *pa, const void *pb, void *arg)
{
	const struct pln_report *r = arg;
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
	int order = 0;

	if (r->options.sort == PLN_SORT_NAME)
		order = strcmp(pln_function_name(r->profile, a), pln_function_name(r->profile, b));
	if (!order)
		order = compare_costs(&r->totals.functions[a], &r->totals.functions[b],
				      r->options.sort);
	return order ? order : a < b ? -1 : a > b;
}

static int compare_python(const void *pa, const void *pb, void *arg)
{
	const struct pln_report *r = arg;
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
	const struct pln_totals *t = &r->totals;
	int order = 0;

	if (r->options.sort == PLN_SORT_SELF)
		order = compare_weights(t->functions[a].self.weight + t->function_native[a].weight,
					t->functions[b].self.weight + t->function_native[b].weight);
	return order ? order : compare_functions(pa, pb, arg);
}

static int compare_lines(const void *pa, const void *pb, void *arg)
{
	const struct pln_report *r = arg;
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
	const struct pln_line *la = &r->totals.lines[a], *lb = &r->totals.lines[b];
	const struct pln_function *functions = r->profile->functions;
	int order = 0;

	if (r->options.sort == PLN_SORT_NAME) {
		order = strcmp(functions[la->function].file, functions[lb->function].file);
		if (!order)
			order = la->line < lb->line ? -1 : la->line > lb->line;
	} else if (r->options.sort == PLN_SORT_TOTAL) {
		order = compare_weights(la->cost.total.weight, lb->cost.total.weight);
	}
	if (!order)
		order = compare_weights(pln_line_own(la), pln_line_own(lb));
	return order ? order : a < b ? -1 : a > b;
}

static int compare_program_lines(const void *pa, const void *pb, void *arg)
{
	const struct pln_report *r = arg;
	const struct pln_line *a = &r->totals.lines[*(const uint32_t *)pa];
	const struct pln_line *b = &r->totals.lines[*(const uint32_t *)pb];
	int order = 0;

	if (r->options.sort == PLN_SORT_SELF)
		order = compare_weights(a->spent.weight, b->spent.weight);
	return order ? order : compare_lines(pa, pb, arg);
}

static int compare_libraries(const void *pa, const void *pb, void *arg)
{
	const struct pln_report *r = arg;
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
	int order = compare_costs(&r->totals.libraries[a].cost, &r->totals.libraries[b].cost,
				  PLN_SORT_SELF);

	return order ? order : a < b ? -1 : a > b;
}

static uint64_t time_in_view(const struct pln_times *times, enum pln_view view)
{
	switch (view) {
	case PLN_VIEW_CPU:
		return times->cpu_ns;
	case PLN_VIEW_WALL:
		return pln_times_wall_ns(times);
	case PLN_VIEW_OFFCPU:
		return times->offcpu_ns;
	case PLN_VIEW_GIL:
		return times->hold_ns + times->wait_ns;
	default:
		return times->cpu_ns;
	}
}

int pln_report_compare_times(const struct pln_report *report, const struct pln_times *a,
			     const struct pln_times *b)
{
	int order = compare_weights(time_in_view(a, report->options.view),
				    time_in_view(b, report->options.view));

	return order ? order : compare_weights(pln_times_wall_ns(a), pln_times_wall_ns(b));
}

static int compare_threads(const void *pa, const void *pb, void *arg)
{
	const struct pln_report *r = arg;
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
	int order = pln_report_compare_times(r, &r->summary.threads[a], &r->summary.threads[b]);

	return order ? order : a < b ? -1 : a > b;
}

/* The ids below `all` that has_any() says yes to, sorted. */
static uint32_t *order_ids(const struct pln_report *r, size_t all,
			   bool (*has_any)(const struct pln_report *, uint32_t),
			   int (*compare)(const void *, const void *, void *), size_t *count)
{
	uint32_t *order = malloc((all + 1) * sizeof(*order));

	*count = 0;
	if (!order)
		return NULL;
	for (uint32_t id = 0; id < all; id++) {
		if (has_any(r, id))
			order[(*count)++] = id;
	}
	qsort_r(order, *count, sizeof(*order), compare, (void *)(uintptr_t)r);
	return order;
}

static bool function_has_any(const struct pln_report *r, uint32_t id)
{
	return r->totals.functions[id].total.weight;
}

static bool python_has_any(const struct pln_report *r, uint32_t id)
{
	return r->totals.functions[id].total.weight &&
	       r->profile->functions[id].kind == PLN_FUNCTION_PYTHON;
}

/* Without a file, or without a number, it is not a line. */
static bool line_has_any(const struct pln_report *r, uint32_t id)
{
	const struct pln_line *line = &r->totals.lines[id];

	return line->cost.total.weight && line->line && *r->profile->functions[line->function].file;
}

static bool program_line_has_any(const struct pln_report *r, uint32_t id)
{
	return r->totals.lines[id].spent.weight && line_has_any(r, id);
}

static bool library_has_any(const struct pln_report *r, uint32_t id)
{
	return r->totals.libraries[id].cost.total.weight;
}

static bool thread_is_kept(const struct pln_report *r, uint32_t id)
{
	return r->aggregate.thread_kept[id];
}

uint32_t *pln_report_order_functions(const struct pln_report *report, size_t *count)
{
	return order_ids(report, report->profile->function_count + 1, function_has_any,
			 compare_functions, count);
}

uint32_t *pln_report_order_python(const struct pln_report *report, size_t *count)
{
	return order_ids(report, report->profile->function_count, python_has_any, compare_python,
			 count);
}

uint32_t *pln_report_order_lines(const struct pln_report *report, size_t *count)
{
	return order_ids(report, report->totals.line_count, line_has_any, compare_lines, count);
}

uint32_t *pln_report_order_program_lines(const struct pln_report *report, size_t *count)
{
	return order_ids(report, report->totals.line_count, program_line_has_any,
			 compare_program_lines, count);
}

uint32_t *pln_report_order_libraries(const struct pln_report *report, size_t *count)
{
	return order_ids(report, report->totals.library_count, library_has_any, compare_libraries,
			 count);
}

uint32_t *pln_report_order_threads(const struct pln_report *report, size_t *count)
{
	return order_ids(report, report->profile->thread_count, thread_is_kept, compare_threads,
			 count);
}
