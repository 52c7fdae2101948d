/* SPDX-License-Identifier: MIT */
/*
 * gzip.h - a gzip stream into a FILE.
 */
#ifndef PILLION_COLLECTOR_GZIP_H
#define PILLION_COLLECTOR_GZIP_H

#include <stddef.h>
#include <stdio.h>

struct pln_gzip;

/* NULL: out of memory. */
struct pln_gzip *pln_gzip_open(FILE *out);
/* Returns 0 or -errno. */
int pln_gzip_write(struct pln_gzip *gzip, const void *bytes, size_t size);
/* A stream into it, to be closed before it; NULL: out of memory. */
FILE *pln_gzip_stream(struct pln_gzip *gzip);
/* Writes the end when `whole`, and frees. Returns 0 or -errno. */
int pln_gzip_close(struct pln_gzip *gzip, int whole);

#endif
