/* SPDX-License-Identifier: MIT */
/*
 * html.h - a profile as one page that any browser opens, offline.
 *
 *   tree.c      the stack tree with equal calls merged, waits as calls of their own
 *   prune.c     as much of it as a page can hold, in the order of the page
 *   cells.c     what was spent where, by thread and moment
 *   threads.c   the threads that the page tells apart
 *   sources.c   the source files that matter, as they are on this machine
 *   instructions.c   the instructions of the hottest native functions
 *   data.c      all of that as bytes
 *   diff_calls.c, diff_data.c   the same of two profiles
 *   page.c      these bytes inside of the page, which bundle.cmake makes from page/
 *
 * The page gets weights of calls, not samples: it grows with what a program does, not
 * with how long it does it. Every number in it is a sum over cells, in whole nanoseconds and
 * bytes, and is the report's number as long as nothing had to be left out; the page says what was.
 */
#ifndef PILLION_COLLECTOR_HTML_H
#define PILLION_COLLECTOR_HTML_H

#include <stdbool.h>
#include <stdio.h>

#include "diff/diff.h"
#include "profile/codec.h"
#include "report/report.h"

struct pln_html_options {
	const char *title; /* NULL: the command */
	struct pln_filter filter;
	bool no_source;
};

/*
 * Appends what the page is told, uncompressed: see data.c. `report`: built with the view CPU and
 * the options' filter. Returns 0 or -errno.
 */
int pln_html_data(struct pln_buffer *data, const struct pln_report *report,
		  const struct pln_html_options *options);

/* Writes the whole page. Returns 0 or -errno, write errors included. */
int pln_html_write(const struct pln_report *report, const struct pln_html_options *options,
		   FILE *out);

/* The same of a diff, in its view: see diff_data.c. `title` NULL: that it is one. */
int pln_html_diff_data(struct pln_buffer *data, const struct pln_diff *diff, const char *title);
int pln_html_diff_write(const struct pln_diff *diff, const char *title, FILE *out);

#endif
