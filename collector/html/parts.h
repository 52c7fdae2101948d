/* SPDX-License-Identifier: MIT */
/*
 * parts.h - how the data of a page is put together: "PLNH", then parts, each a 32-bit size
 * (least byte first) and as many bytes. page/data.js takes it apart.
 */
#ifndef PILLION_COLLECTOR_HTML_PARTS_H
#define PILLION_COLLECTOR_HTML_PARTS_H

#include <stdio.h>

#include "html/prune.h"
#include "profile/codec.h"

void pln_html_put_magic(struct pln_buffer *data);
/* Returns 0 or -errno. */
int pln_html_put_part(struct pln_buffer *data, const struct pln_buffer *part);
/* A part that is what `write` prints. Returns 0 or -errno, as `write` does. */
int pln_html_put_text(struct pln_buffer *data, int (*write)(const void *arg, FILE *out),
		      const void *arg);

/*
 * The number of calls, and a column of varints: how much less deep than one below the
 * call before each is.
 */
void pln_html_put_depths(struct pln_buffer *part, const struct pln_html_pruned *pruned);

#endif
