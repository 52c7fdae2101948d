/* SPDX-License-Identifier: MIT */
/*
 * runs.h - samples of each thread in the order of time, neighbours in one call made one.
 */
#ifndef PILLION_COLLECTOR_EXPORT_RUNS_H
#define PILLION_COLLECTOR_EXPORT_RUNS_H

#include "export/export.h"

/* A time in one call of the tree, or memory allocated there. */
struct pln_run {
	uint64_t time_ns;
	uint64_t weight; /* in the view of the export; never 0 */
	uint32_t thread;
	uint32_t call; /* of the call tree */
};

struct pln_runs {
	struct pln_run *items; /* by thread, then time */
	size_t count;
	size_t capacity;
};

/* `tree`: of the same export. Returns 0 or -errno; pln_runs_free() is due in either case. */
int pln_runs_collect(struct pln_runs *runs, const struct pln_export *export,
		     const struct pln_calltree *tree);
void pln_runs_free(struct pln_runs *runs);

/* Behind the last run of the thread of run `first`. */
size_t pln_runs_thread_end(const struct pln_runs *runs, size_t first);
uint64_t pln_runs_sum(const struct pln_run *runs, size_t count);

#endif
