/* SPDX-License-Identifier: MIT */
/*
 * help.h - a verb's table as help on a screen, or as a section of the man page.
 */
#ifndef PILLION_COLLECTOR_HELP_H
#define PILLION_COLLECTOR_HELP_H

#include "cli/cli.h"

enum pln_help_form {
	PLN_HELP_SCREEN = 0,
	PLN_HELP_MDOC = 1, /* for man/pillion.1, made at build time */
	PLN_HELP_ALL = 2, /* what is rare, too */
};

/* What --help prints from now on. */
void pln_help_set_form(enum pln_help_form form);

bool pln_help_is_short(void);

void pln_help_print(FILE *out, const struct pln_verb *verb);

/* One line of a list: what it is about, and in the second column what there is to say. */
void pln_help_print_item(FILE *out, const char *left, const char *text);

/* The same of what is rare: " a b c" is the list of their names, "" none. */
void pln_help_print_others(FILE *out, const char *names);

/* Text with what mdoc would take as a command made harmless. */
void pln_help_print_mdoc_text(FILE *out, const char *text);

#endif
