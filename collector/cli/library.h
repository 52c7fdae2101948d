/* SPDX-License-Identifier: MIT */
/*
 * library.h - where libpillion.so is, and the LD_PRELOAD that loads it.
 */
#ifndef PILLION_COLLECTOR_LIBRARY_H
#define PILLION_COLLECTOR_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

struct pln_library {
	char path[4096]; /* usable in LD_PRELOAD: without spaces, colons and dollars */
	char link_dir[64]; /* "", or a private directory that holds a link of a better name */
};

/* Finds it relative to this executable. Returns 0, or -errno with one line in `why`. */
int pln_library_open(struct pln_library *library, char *why, size_t why_size);

/* Of AddressSanitizer's shared runtimes, which end a program that another library comes first in.
 */
#define PLN_LIBRARY_RUNTIME_MAX 16 /* of their names, so much tells */
bool pln_library_must_be_first(const char *name);

/* LD_PRELOAD names one of these already. */
bool pln_library_is_behind_another(void);

/* Puts it before what LD_PRELOAD holds already, but for what must be first. Returns 0 or -errno. */
int pln_library_preload(const struct pln_library *library);

/* Takes the link away, if one was made. */
void pln_library_close(struct pln_library *library);

#endif
