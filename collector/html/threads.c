/* SPDX-License-Identifier: MIT */
/*
 * threads.c - see threads.h.
 */
#include "html/threads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int by_wall(const void *a, const void *b, void *times)
{
	uint32_t ta = *(const uint32_t *)a, tb = *(const uint32_t *)b;
	uint64_t wa = pln_times_wall_ns((struct pln_times *)times + ta);
	uint64_t wb = pln_times_wall_ns((struct pln_times *)times + tb);

	if (wa != wb)
		return wa > wb ? -1 : 1;
	return ta < tb ? -1 : ta > tb;
}

int pln_html_threads_choose(struct pln_html_threads *threads, const struct pln_report *report)
{
	size_t all = report->profile->thread_count, count = 0;
	uint32_t *order;

	memset(threads, 0, sizeof(*threads));
	threads->page_thread = malloc((all + 1) * sizeof(uint32_t));
	threads->threads = order = malloc((all + 1) * sizeof(uint32_t));
	if (!threads->page_thread || !order)
		return -ENOMEM;
	for (uint32_t t = 0; t < all; t++) {
		threads->page_thread[t] = PLN_NONE;
		if (report->aggregate.thread_kept[t])
			order[count++] = t;
	}
	qsort_r(order, count, sizeof(*order), by_wall, report->summary.threads);
	for (size_t i = 0; i < count; i++)
		threads->page_thread[order[i]] =
			(uint32_t)(i < PLN_HTML_THREADS_MAX ? i : PLN_HTML_THREADS_MAX);
	threads->count = count;
	if (count > PLN_HTML_THREADS_MAX) {
		threads->others = count - PLN_HTML_THREADS_MAX;
		threads->count = PLN_HTML_THREADS_MAX + 1;
		order[PLN_HTML_THREADS_MAX] = PLN_NONE;
	}
	return 0;
}

void pln_html_threads_free(struct pln_html_threads *threads)
{
	free(threads->page_thread);
	free(threads->threads);
	memset(threads, 0, sizeof(*threads));
}
