/* SPDX-License-Identifier: MIT */
/*
 * output.h - the file that an export goes to: appears whole or not at all, and replaces
 * nothing unless told to.
 */
#ifndef PILLION_COLLECTOR_OUTPUT_H
#define PILLION_COLLECTOR_OUTPUT_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

struct pln_export_output {
	FILE *file;
	const char *path;
	bool direct; /* stdout, a pipe or a device: written as it comes */
	bool replace;
	char real_path[PATH_MAX];
	char temporary[PATH_MAX];
};

/* Whether a file is there that only one told to replace it may write. */
bool pln_export_output_is_taken(const char *path);

/* "-", or a name that stdout has: stdout. Returns 0 or -errno; -EEXIST: the file is there, and
 * `replace` is not set. */
int pln_export_output_open(struct pln_export_output *output, const char *path, bool replace);
/* Puts the file in its place. Returns 0 or -errno; in either case nothing is left open. */
int pln_export_output_commit(struct pln_export_output *output);
/* Leaves no trace. */
void pln_export_output_abandon(struct pln_export_output *output);

#endif
