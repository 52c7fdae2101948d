/* SPDX-License-Identifier: MIT */
/*
 * template.h - the name of a profile, and the file of that name.
 *
 *   %p pid   %h host   %t local time   %e program   %n first free number   %% percent
 *
 * What a target says of itself names the file and never the directory. A new file is its
 * owner's alone (0600).
 */
#ifndef PILLION_COLLECTOR_TEMPLATE_H
#define PILLION_COLLECTOR_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PLN_TEMPLATE_DEFAULT "pillion.%e.%p.pillion"

struct pln_template_values {
	pid_t pid;
	const char *program; /* a path: its last part is used */
	unsigned number;
};

/*
 * Expands into `out`. Returns 0, -EINVAL for an unknown % (its letter in *bad), or
 * -ENAMETOOLONG. *numbered tells whether the result depends on the number.
 */
int pln_template_expand(char *out, size_t size, const char *text,
			const struct pln_template_values *values, bool *numbered, char *bad);

enum pln_overwrite {
	PLN_OVERWRITE_NO, /* an existing file is an error */
	PLN_OVERWRITE_YES, /* it is opened; its content stays until pln_output_commit() */
	PLN_OVERWRITE_AVOID, /* NAME.2.pillion, NAME.3.pillion, ... */
};

struct pln_output {
	int fd;
	char path[4096];
	bool created; /* the file was not there before */
};

/*
 * Opens the profile to be written: the expanded template, or the default name in it
 * when it is a directory; never stdout ("-"). Returns 0, or -errno with one line in `why`.
 */
int pln_output_open(struct pln_output *output, const char *text, pid_t pid, const char *program,
		    enum pln_overwrite overwrite, char *why, size_t why_size);

/*
 * Whether pln_output_open() could open one now, before it is known for whom: what depends on
 * that is not looked at, and nothing is made. Returns 0, or -errno with one line in `why`.
 */
int pln_output_check(const char *text, enum pln_overwrite overwrite, char *why, size_t why_size);

/*
 * Opens a later file of the same name: "a.pillion" is followed by "a.2.pillion" and so on; in a
 * template with %n it is the number. The first from *number on that is free, which *number is
 * set to. Returns as pln_output_open().
 */
int pln_output_open_numbered(struct pln_output *output, const char *text, pid_t pid,
			     const char *program, unsigned *number, char *why, size_t why_size);

/*
 * The names, without directory, that a template can make for `program` on this host with any
 * pid, time and number, as a POSIX extended regular expression. Returns 0 or -errno.
 */
int pln_output_pattern(char *pattern, size_t size, const char *text, const char *program);

/* The recording begins: what an overwritten file held goes. Returns 0 or -errno. */
int pln_output_commit(struct pln_output *output);

/* Closes it; `nothing_written`: as if it had never been opened. */
void pln_output_close(struct pln_output *output, bool nothing_written);

#endif
