/* SPDX-License-Identifier: MIT */
/*
 * snippets.h - how to set the variables, in the words of what starts programs.
 */
#ifndef PILLION_COLLECTOR_SNIPPETS_H
#define PILLION_COLLECTOR_SNIPPETS_H

#include <stdio.h>

enum pln_snippet {
	PLN_SNIPPET_SH,
	PLN_SNIPPET_DOCKER,
	PLN_SNIPPET_K8S,
	PLN_SNIPPET_SYSTEMD,
	PLN_SNIPPET_COUNT,
};
extern const char *const pln_snippet_names[]; /* in the order of enum pln_snippet; ends with NULL */

/*
 * Prints LD_PRELOAD and the variables that are set now. `library`: its path on this machine;
 * containers have its directory as /pillion.
 */
void pln_snippet_print(FILE *out, enum pln_snippet snippet, const char *library);

#endif
