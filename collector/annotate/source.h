/* SPDX-License-Identifier: MIT */
/*
 * source.h - the lines of a source file of this machine.
 */
#ifndef PILLION_COLLECTOR_SOURCE_H
#define PILLION_COLLECTOR_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pln_source {
	char *text; /* terminated lines; NULL: the file could not be read */
	char **lines;
	uint32_t count;
	uint64_t changed_ns; /* CLOCK_REALTIME when it was last written */
};

/*
 * Reads a regular file of up to 64 MiB. A path that is not absolute is looked for in
 * `directory`. Returns 0 or -errno, then with no line; pln_source_free() is due in either
 * case.
 */
int pln_source_read(struct pln_source *source, const char *path, const char *directory);
void pln_source_free(struct pln_source *source);

/* A malloc()ed copy of line `number`, from 1, with tabs as blanks; "" when there is none. */
char *pln_source_line(const struct pln_source *source, uint32_t number);

#endif
