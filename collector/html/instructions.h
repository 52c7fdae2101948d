/* SPDX-License-Identifier: MIT */
/*
 * instructions.h - the instructions of the hottest native functions, as the page is told them.
 *
 * They are read on this machine, now, of the files that ran: see annotate/annotate.h. Costs are CPU
 * time of all threads of the page, over the whole recording; samples know no more.
 */
#ifndef PILLION_COLLECTOR_HTML_INSTRUCTIONS_H
#define PILLION_COLLECTOR_HTML_INSTRUCTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report/report.h"

#define PLN_HTML_CODE_FUNCTIONS 24u
#define PLN_HTML_CODE_BYTES (2u << 20) /* of JSON */

struct pln_html_instructions {
	char *json; /* see instructions.c; NULL: there are none */
	size_t size;
	size_t functions; /* that have them */
	size_t left_out; /* native ones with time of their own that have none */
	double share; /* of all time, that each of these has at most */
};

/*
 * `page_function`: by function its id in the page, PLN_NONE: it is not in it. Returns 0 or
 * -errno; pln_html_instructions_free() is due in either case.
 */
int pln_html_instructions_read(struct pln_html_instructions *instructions,
			       const struct pln_report *report, const uint32_t *page_function);
void pln_html_instructions_free(struct pln_html_instructions *instructions);

/* What the page says of them: how many there are, or why there are none. */
void pln_html_instructions_explain(const struct pln_html_instructions *instructions, bool no_source,
				   char *buffer, size_t size);

#endif
