/* SPDX-License-Identifier: MIT */
/*
 * write.h - the file that a verb makes of a profile: its name, and what is said of it.
 */
#ifndef PILLION_COLLECTOR_CLI_WRITE_H
#define PILLION_COLLECTOR_CLI_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* dir/app.pillion and ".html" to dir/app.html. Returns 0 or -ENAMETOOLONG. */
int pln_cli_name_beside(const char *profile, const char *suffix, char *buffer, size_t size);

/* Whether the name is free, or what has it may be replaced; if not, says so. */
bool pln_cli_may_write(const char *path, bool replace);

/*
 * Has `write`, which returns 0 or -errno, fill the file, whole or not at all ("-": stdout), and
 * says so, or why not. Returns an enum pln_exit.
 */
int pln_cli_write(const char *path, bool replace, int (*write)(FILE *out, const void *arg),
		  const void *arg);

/* "PATH: cannot read: ..."; returns PLN_EXIT_FAILURE. `err`: -errno. */
int pln_cli_cannot_read(const char *path, int err);

#endif
