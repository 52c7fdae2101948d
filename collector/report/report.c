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
	if (!err && options->part == PLN_REPORT_TREE)
		err = pln_calltree_build(&report->tree, a, view, false);
	return err;
}

void pln_report_free(struct pln_report *report)
{
	free(report->thread_entries);
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

void pln_report_explain_empty(const struct pln_report *report, char *buffer, size_t size)
{
	const struct pln_profile *p = report->profile;
	const struct pln_filter *filter = &report->options.filter;

	if (p->recording.truncated && !p->sample_count)
		snprintf(buffer, size, "cut before the first sample; record again");
	else if (!p->process_count)
		snprintf(buffer, size,
			 "no Python process was recorded: the command may not run Python, may be "
			 "statically linked or setuid, or may have ended at once");
	else if (!p->sample_count)
		snprintf(buffer, size,
			 "no sample was recorded: the program may have ended within one sampling "
			 "period; try a higher --freq, and see `pillion info`");
	else if (!report->aggregate.quality.samples && (filter->threads || filter->processes))
		snprintf(buffer, size,
			 "no sample matches the filter%s%s%s%s; `pillion info` lists threads and "
			 "processes",
			 filter->threads ? " --thread " : "",
			 filter->threads ? filter->threads : "",
			 filter->processes ? " --process " : "",
			 filter->processes ? filter->processes : "");
	else
		snprintf(buffer, size, "no sample has any %s; try --view wall",
			 pln_view_text(report->options.view));
}

/* -------------------------------------------------------------------- order */

static int compare_ns(uint64_t a, uint64_t b)
{
	return a > b ? -1 : a < b;
}

static int compare_costs(const struct pln_cost *a, const struct pln_cost *b, enum pln_sort sort)
{
	int by_self = compare_ns(a->self.ns, b->self.ns);
	int by_total = compare_ns(a->total.ns, b->total.ns);

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
		order = compare_ns(t->functions[a].self.ns + t->function_native[a].ns,
				   t->functions[b].self.ns + t->function_native[b].ns);
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
		order = compare_ns(la->cost.total.ns, lb->cost.total.ns);
	}
	if (!order)
		order = compare_ns(pln_line_own_ns(la), pln_line_own_ns(lb));
	return order ? order : a < b ? -1 : a > b;
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
	}
	return 0;
}

int pln_report_compare_times(const struct pln_report *report, const struct pln_times *a,
			     const struct pln_times *b)
{
	int order = compare_ns(time_in_view(a, report->options.view),
			       time_in_view(b, report->options.view));

	return order ? order : compare_ns(pln_times_wall_ns(a), pln_times_wall_ns(b));
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
	return r->totals.functions[id].total.ns;
}

static bool python_has_any(const struct pln_report *r, uint32_t id)
{
	return r->totals.functions[id].total.ns &&
	       r->profile->functions[id].kind == PLN_FUNCTION_PYTHON;
}

/* Without a file, or without a number, it is not a line. */
static bool line_has_any(const struct pln_report *r, uint32_t id)
{
	const struct pln_line *line = &r->totals.lines[id];

	return line->cost.total.ns && line->line && *r->profile->functions[line->function].file;
}

static bool library_has_any(const struct pln_report *r, uint32_t id)
{
	return r->totals.libraries[id].cost.total.ns;
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
