/* SPDX-License-Identifier: MIT */
/*
 * sources.h - the source files that most is spent in, as they are on this machine now.
 *
 * Names of files come out of the profile, which may be anybody's, and the page may go to
 * anybody: only regular files that are called like source code are read.
 */
#ifndef PILLION_COLLECTOR_HTML_SOURCES_H
#define PILLION_COLLECTOR_HTML_SOURCES_H

#include "html/tree.h"

#define PLN_HTML_SOURCES_MAX 80u
#define PLN_HTML_SOURCE_BYTES (512u << 10) /* of one file */
#define PLN_HTML_SOURCES_BYTES (4u << 20) /* of all */

struct pln_html_source {
	const char *file;
	char *text; /* terminated */
	bool changed; /* written to after the recording began */
};

struct pln_html_sources {
	struct pln_html_source *files; /* most weight first */
	size_t count;
	size_t left_out; /* readable, but for the limits */
};

/* Returns 0 or -errno. pln_html_sources_free() is due in either case. */
int pln_html_sources_read(struct pln_html_sources *sources, const struct pln_html_tree *tree);
void pln_html_sources_free(struct pln_html_sources *sources);

#endif
