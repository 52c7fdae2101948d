/* SPDX-License-Identifier: MIT */
/*
 * views.h - functions and lines in every view at once, for formats that are tables.
 */
#ifndef PILLION_COLLECTOR_EXPORT_VIEWS_H
#define PILLION_COLLECTOR_EXPORT_VIEWS_H

#include "export/export.h"

#define PLN_EXPORT_VIEWS_MAX 8u

struct pln_export_view {
	const char *name; /* "cpu", "live" */
	const char *unit; /* "ns" or "bytes" */
	struct pln_totals totals; /* functions and lines have the same ids in all views */
	struct pln_export_blocks blocks; /* of a view of memory */
};

/* Those that have anything. */
struct pln_export_views {
	struct pln_export_view items[PLN_EXPORT_VIEWS_MAX];
	unsigned count;
};

/* Returns 0 or -errno; pln_export_views_free() is due in either case. */
int pln_export_views_compute(struct pln_export_views *views, const struct pln_aggregate *kept);
void pln_export_views_free(struct pln_export_views *views);

#endif
