/* SPDX-License-Identifier: MIT */
/*
 * thread_groups.h - the rows of the list of threads.
 *
 * A server that starts a thread for each request has thousands that run the same function:
 * when there are more threads than rows, those that look alike share one.
 */
#ifndef PILLION_COLLECTOR_THREAD_GROUPS_H
#define PILLION_COLLECTOR_THREAD_GROUPS_H

#include "report/report.h"

struct pln_thread_group {
	uint32_t thread; /* the one with the most time */
	uint32_t count;
	struct pln_times times; /* of all of them */
};

/*
 * The threads that a sample met, most time first: each on its own when the report's limit
 * allows for that, else together when process, function and name agree, but for numbers in
 * names. *unmet: the others. malloc()ed; NULL: out of memory.
 */
struct pln_thread_group *pln_thread_groups(const struct pln_report *report, size_t *count,
					   struct pln_times *unmet);

#endif
