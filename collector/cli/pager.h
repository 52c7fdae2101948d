/* SPDX-License-Identifier: MIT */
/*
 * pager.h - text for a terminal, through a pager when it is longer than the screen.
 *
 * Which pager: $PILLION_PAGER, else $PAGER, else less -FRX; none when that is empty. Text for a
 * pipe or a file goes there as it comes.
 */
#ifndef PILLION_COLLECTOR_PAGER_H
#define PILLION_COLLECTOR_PAGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct pln_pager {
	FILE *out; /* where the text is to be written */
	char *text; /* collected; NULL: written to stdout at once */
	size_t size;
};

void pln_pager_open(struct pln_pager *pager, bool wanted);

/* Shows what was written. Returns 0 or -errno; a pager that is left early is no error. */
int pln_pager_close(struct pln_pager *pager);

#endif
