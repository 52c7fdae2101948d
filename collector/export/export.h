/* SPDX-License-Identifier: MIT */
/*
 * export.h - profiles for other tools.
 *
 *   folded.c      one line a call path, for flame graphs
 *   pprof.c       profile.proto, gzipped, through protobuf.c
 *   speedscope.c  one timeline a thread
 *   timeline.c    exact counts of memory over time
 *   blocks.c      what views of memory count
 *   output.c      the file that it goes to
 *
 * All of them are written from the cells (or, where the order in time matters, the
 * samples) that the report sums up, in nanoseconds, so their numbers are the report's.
 * Views of memory are written from sampled allocations, in bytes or blocks.
 */
#ifndef PILLION_COLLECTOR_EXPORT_H
#define PILLION_COLLECTOR_EXPORT_H

#include <stdio.h>

#include "export/blocks.h"
#include "report/report.h"

enum pln_export_format {
	PLN_EXPORT_FOLDED = 0,
	PLN_EXPORT_PPROF = 1,
	PLN_EXPORT_SPEEDSCOPE = 2,
	PLN_EXPORT_TIMELINE = 3,
};

struct pln_export {
	struct pln_profile *profile;
	const struct pln_aggregate *aggregate; /* in a view of memory: that of `blocks` */
	const struct pln_export_blocks *blocks; /* NULL: a view of time */
	const char *name; /* of the profile, for titles */
	const struct pln_filter *filter; /* timeline: which processes */
	enum pln_view view; /* CPU in a view of memory */
	bool annotate; /* folded: mark Python and native frames */
	bool by_line; /* folded, speedscope: keep lines apart */
};

/* For titles. */
static inline const char *pln_export_view_name(const struct pln_export *export)
{
	return pln_report_view_names[export->blocks ? PLN_VIEW_ALLOCATED + export->blocks->view
						    : export->view];
}

/* Each returns 0 or -errno, write errors included. */
int pln_export_folded(const struct pln_export *export, FILE *out);
int pln_export_pprof(const struct pln_export *export, FILE *out);
int pln_export_speedscope(const struct pln_export *export, FILE *out);
int pln_export_timeline(const struct pln_export *export, FILE *out);

#endif
