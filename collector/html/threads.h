/* SPDX-License-Identifier: MIT */
/*
 * threads.h - the threads that the page tells apart.
 *
 * A server that starts a thread for each request has more of them than anybody can look at:
 * those with the most wall time are themselves, all others are one.
 */
#ifndef PILLION_COLLECTOR_HTML_THREADS_H
#define PILLION_COLLECTOR_HTML_THREADS_H

#include "report/report.h"

#define PLN_HTML_THREADS_MAX 256u

struct pln_html_threads {
	uint32_t *page_thread; /* by thread: its index in the page */
	uint32_t *threads; /* by index in the page: most wall time first; PLN_NONE: the others */
	size_t count;
	size_t others; /* how many these are */
};

/* Returns 0 or -errno. pln_html_threads_free() is due in either case. */
int pln_html_threads_choose(struct pln_html_threads *threads, const struct pln_report *report);
void pln_html_threads_free(struct pln_html_threads *threads);

#endif
