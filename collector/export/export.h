/* SPDX-License-Identifier: MIT */
/*
 * export.h - profiles for other tools.
 *
 *   formats.c     the table of them: names, files, what views they have
 *   folded.c      one line a call path, for flame graphs
 *   pprof.c       profile.proto, gzipped, through protobuf.c
 *   speedscope.c  one timeline a thread
 *   firefox.c     threads, markers and memory over time, with firefox_*.c
 *   cpuprofile.c  V8's tree and samples
 *   pstats.c, callgrind.c   who calls whom, through callgraph.c
 *   svg.c         a flame graph in a picture
 *   lines.c, csv.c          lines and functions in all views, through views.c
 *   timeline.c    exact counts of memory over time
 *   blocks.c      what views of memory count
 *   text.c        names and numbers in files of text
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

struct pln_export {
	struct pln_profile *profile;
	const struct pln_aggregate *aggregate; /* in a view of memory: that of `blocks` */
	const struct pln_export_blocks *blocks; /* NULL: a view of time */
	const char *name; /* of the profile, for titles */
	const struct pln_filter *filter; /* timeline: which processes */
	enum pln_view view; /* CPU in a view of memory */
	bool annotate; /* folded: mark Python and native frames */
	bool by_line; /* folded, speedscope, cpuprofile, svg: keep lines apart */
};

/* What a format makes of the view that is asked for. */
enum pln_export_scope {
	PLN_EXPORT_ANY_VIEW, /* a file is of one view, of time or memory */
	PLN_EXPORT_TIME_VIEW, /* a file is of one view, of time */
	PLN_EXPORT_TIMES, /* it has all views of time, or one of memory */
	PLN_EXPORT_ALL_VIEWS, /* it has all of time and memory */
	PLN_EXPORT_COUNTS, /* it has no samples in it */
};

struct pln_export_format {
	const char *name;
	const char *suffix; /* of its files, ".pb.gz" */
	enum pln_export_scope scope;
	bool binary;
	bool unit_in_name; /* of its files: nothing inside tells the unit */
	bool without_lines; /* it is of functions, or of processes */
	int (*write)(const struct pln_export *export, FILE *out); /* 0 or -errno */
};

/* In the order of the help; ends with one without a name. */
extern const struct pln_export_format pln_export_formats[];

/* For titles. */
static inline const char *pln_export_view_name(const struct pln_export *export)
{
	return pln_report_view_names[export->blocks ? PLN_VIEW_ALLOCATED + export->blocks->view
						    : export->view];
}

/* Writes what is left. Returns 0 or -errno; a write that failed before counts. */
int pln_export_flush(FILE *out);

/* Each returns 0 or -errno, write errors included. */
int pln_export_folded(const struct pln_export *export, FILE *out);
int pln_export_pprof(const struct pln_export *export, FILE *out);
int pln_export_speedscope(const struct pln_export *export, FILE *out);
int pln_export_firefox(const struct pln_export *export, FILE *out);
int pln_export_cpuprofile(const struct pln_export *export, FILE *out);
int pln_export_pstats(const struct pln_export *export, FILE *out);
int pln_export_callgrind(const struct pln_export *export, FILE *out);
int pln_export_svg(const struct pln_export *export, FILE *out);
int pln_export_lines(const struct pln_export *export, FILE *out);
int pln_export_csv(const struct pln_export *export, FILE *out);
int pln_export_timeline(const struct pln_export *export, FILE *out);

#endif
