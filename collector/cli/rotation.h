/* SPDX-License-Identifier: MIT */
/*
 * rotation.h - a recording in files that follow each other, and room for them.
 */
#ifndef PILLION_COLLECTOR_ROTATION_H
#define PILLION_COLLECTOR_ROTATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/template.h"

struct pln_rotation {
	uint64_t every_ns; /* begin a new file after so long; 0: never */
	uint64_t size_bytes; /* or when it has so much */
	uint64_t keep_bytes; /* of all files that the name could have made; 0: any number */

	const char *text; /* the template */
	pid_t pid;
	char program[4096];
	unsigned number; /* of the newest file */
	struct pln_output output; /* the newest file */
	struct pln_output before; /* the one before it; valid until that has ended */
};

/*
 * "60s", "5min", "1h"; "10M", "1G"; or both, "60s,10M"; `keep`: a size; NULL or "": unset. With
 * `keep` alone, a file has a quarter of it. Returns 0, or -EINVAL with one line in `why`.
 */
int pln_rotation_parse(struct pln_rotation *r, const char *rotate, const char *keep, char *why,
		       size_t size);

/* The same, with PILLION_ROTATE and PILLION_KEEP where an option was not given. */
int pln_rotation_choose(struct pln_rotation *r, const char *rotate, const char *keep, char *why,
			size_t size);

/* Opens the first file: see pln_output_open(). */
int pln_rotation_open(struct pln_rotation *r, const char *text, pid_t pid, const char *program,
		      enum pln_overwrite overwrite, char *why, size_t size);

/* The next file. The one before stays open, its descriptor is the caller's. Returns an fd or
 * -errno. */
int pln_rotation_next(struct pln_rotation *r, char *why, size_t size);

/*
 * One of the two has ended: closes it and makes room. When it is the newest one, that could
 * not be used: it is removed, and the one before it is the newest again.
 */
void pln_rotation_ended(struct pln_rotation *r, int fd);

/* Removes the oldest files, but none that is being written, until what is kept is within bounds. */
void pln_rotation_make_room(const struct pln_rotation *r);

#endif
