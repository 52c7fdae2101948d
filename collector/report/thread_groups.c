/* SPDX-License-Identifier: MIT */
/*
 * thread_groups.c - see thread_groups.h.
 */
#include "report/thread_groups.h"

#include <ctype.h>
#include <stdlib.h>

/* As strcmp(), numbers aside: "worker-1" is like "worker-12". */
static int compare_names(const char *a, const char *b)
{
	for (;;) {
		while (isdigit((unsigned char)*a))
			a++;
		while (isdigit((unsigned char)*b))
			b++;
		if (*a != *b || !*a)
			return (unsigned char)*a - (unsigned char)*b;
		a++;
		b++;
	}
}

/* 0: they look alike. */
static int compare_looks(const struct pln_report *r, uint32_t a, uint32_t b)
{
	const struct pln_thread *ta = &r->profile->threads[a], *tb = &r->profile->threads[b];
	uint32_t ea = r->thread_entries[a], eb = r->thread_entries[b];

	if (ta->process != tb->process)
		return ta->process < tb->process ? -1 : 1;
	if (ta->is_main != tb->is_main)
		return ta->is_main ? -1 : 1;
	if (ea != eb)
		return ea < eb ? -1 : 1;
	return compare_names(ta->name ? ta->name : "", tb->name ? tb->name : "");
}

static int by_looks(const void *a, const void *b, void *report)
{
	const struct pln_thread_group *ga = a, *gb = b;
	int order = compare_looks(report, ga->thread, gb->thread);

	if (order)
		return order;
	return pln_report_compare_times(report, &ga->times, &gb->times);
}

static int by_time(const void *a, const void *b, void *report)
{
	const struct pln_thread_group *ga = a, *gb = b;
	int order = pln_report_compare_times(report, &ga->times, &gb->times);

	return order ? order : ga->thread < gb->thread ? -1 : ga->thread > gb->thread;
}

static void add_times(struct pln_times *to, const struct pln_times *what)
{
	to->samples += what->samples;
	to->cpu_ns += what->cpu_ns;
	to->offcpu_ns += what->offcpu_ns;
	to->runnable_ns += what->runnable_ns;
	to->hold_ns += what->hold_ns;
	to->wait_ns += what->wait_ns;
	to->clock_cpu_ns += what->clock_cpu_ns;
	to->clock_wall_ns += what->clock_wall_ns;
}

static size_t merge(const struct pln_report *r, struct pln_thread_group *groups, size_t count)
{
	size_t kept = 0;

	qsort_r(groups, count, sizeof(*groups), by_looks, (void *)(uintptr_t)r);
	for (size_t i = 0; i < count; i++) {
		struct pln_thread_group *last = kept ? &groups[kept - 1] : NULL;

		if (!last || compare_looks(r, last->thread, groups[i].thread)) {
			groups[kept++] = groups[i];
			continue;
		}
		last->count++;
		add_times(&last->times, &groups[i].times);
	}
	return kept;
}

struct pln_thread_group *pln_thread_groups(const struct pln_report *report, size_t *count,
					   struct pln_times *unmet)
{
	const struct pln_profile *p = report->profile;
	struct pln_thread_group *groups = calloc(p->thread_count + 1, sizeof(*groups));

	*count = 0;
	*unmet = (struct pln_times){ .threads = 0 };
	for (uint32_t t = 0; groups && t < p->thread_count; t++) {
		const struct pln_times *times = &report->summary.threads[t];

		if (!report->aggregate.thread_kept[t])
			continue;
		if (times->samples) {
			groups[(*count)++] = (struct pln_thread_group){ t, 1, *times };
			continue;
		}
		unmet->threads++;
		add_times(unmet, times);
	}
	if (groups && pln_report_limited(report, *count) < *count)
		*count = merge(report, groups, *count);
	if (groups)
		qsort_r(groups, *count, sizeof(*groups), by_time, (void *)(uintptr_t)report);
	return groups;
}
