/* SPDX-License-Identifier: MIT */
/*
 * functions.h - what the page is told of a function, or of a place that stands for one.
 */
#ifndef PILLION_COLLECTOR_HTML_FUNCTIONS_H
#define PILLION_COLLECTOR_HTML_FUNCTIONS_H

#include "html/tree.h"

/* In the order of page/data.js. */
enum pln_html_kind {
	PLN_HTML_KIND_PYTHON,
	PLN_HTML_KIND_NATIVE,
	PLN_HTML_KIND_GC,
	PLN_HTML_KIND_GIL,
	PLN_HTML_KIND_BLOCKED,
	PLN_HTML_KIND_RUNNABLE,
	PLN_HTML_KIND_SMALL,
	PLN_HTML_KIND_NO_STACK,
};

struct pln_html_function {
	const char *name;
	const char *short_name; /* without what is long in it */
	const char *file;
	const char *short_file;
	const char *library; /* the name of its file; "": none */
	const char *library_path; /* several may have one name */
	uint32_t line; /* the first one; 0: unknown */
	enum pln_html_kind kind;
	char buffer[512]; /* where a name may stand */
};

/* A function of the profile, or its function_count + enum pln_html_place. */
void pln_html_function(struct pln_html_function *f, const struct pln_profile *profile, uint32_t id);
/* An enum pln_html_place by itself. */
void pln_html_place_function(struct pln_html_function *f, uint32_t place);

/* The same as an array, in the order of the structure. */
void pln_html_put_function(struct pln_json *json, const struct pln_html_function *f);

#endif
