/* SPDX-License-Identifier: MIT */
/*
 * append.h - whole chunks to the end of a file, and room kept for the last ones.
 *
 * A file that ends in order says how its recording ended, also when the disk is full by
 * then. So blocks behind the end are set aside before a chunk is written, and what does
 * not fit in front of them is not written. They are no part of the file's size.
 */
#ifndef PILLION_COLLECTOR_APPEND_H
#define PILLION_COLLECTOR_APPEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Invariant: offset <= set_aside when set_aside is not 0. */
struct pln_append {
	int fd;
	uint64_t offset; /* end of the last whole chunk */
	uint64_t set_aside; /* blocks up to here are ours; 0: none, or no file that has them */
	bool torn; /* a part of a chunk stands behind `offset` */
};

void pln_append_open(struct pln_append *a, int fd);

/*
 * Writes all of it or nothing, and nothing when less than `room` bytes would be left for
 * others after it. Returns 0 or -errno.
 */
int pln_append_write(struct pln_append *a, const void *bytes, size_t size, uint64_t room);

/* Gives back what was set aside. More may be written afterwards. */
void pln_append_settle(struct pln_append *a);

#endif
