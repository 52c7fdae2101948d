/* SPDX-License-Identifier: MIT */
/*
 * verbs.h - the verbs, for main.c and for the man page.
 */
#ifndef PILLION_COLLECTOR_VERBS_H
#define PILLION_COLLECTOR_VERBS_H

struct pln_verb_entry {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv);
};

/* Ends with an entry without name. */
extern const struct pln_verb_entry pln_verbs[];

/*
 * Hidden verb, used by the build: copies a man page from stdin to stdout, putting the
 * verbs' options where a line says @VERBS@ and the variables where one says @VARIABLES@.
 */
int pln_cmd_dev_man(int argc, char **argv);

#endif
