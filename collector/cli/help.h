/* SPDX-License-Identifier: MIT */
/*
 * help.h - a verb's table as help on a screen, or handed to who makes something else of it:
 * a man page (man.c), completion for a shell (completion.c).
 */
#ifndef PILLION_COLLECTOR_HELP_H
#define PILLION_COLLECTOR_HELP_H

#include "cli/cli.h"
#include "cli/verbs.h"

/* --help prints what is rare, too, from now on. */
void pln_help_set_all(void);

bool pln_help_is_short(void);

typedef void (*pln_help_printer)(const struct pln_verb *verb);

/* Hands the table of a verb, which only the verb itself knows, to `print`. */
void pln_help_describe(const struct pln_verb_entry *entry, pln_help_printer print);

/* Whether pln_help_describe() is at work: a verb adds nothing of its own to its help then. */
bool pln_help_is_described(void);

/*
 * The next word of a verb's usage: one of "[" "]" "|" "--", an option ("-f"), what follows an
 * option, or an operand ("COMMAND", "start|stop|rotate"). Moves *usage behind it; false at the
 * end.
 */
bool pln_help_next_word(const char **usage, char *word, size_t size);

void pln_help_print(FILE *out, const struct pln_verb *verb);

/* One line of a list: what it is about, and in the second column what there is to say. */
void pln_help_print_item(FILE *out, const char *left, const char *text);

/* The same of what is rare: " a b c" is the list of their names, "" none. */
void pln_help_print_others(FILE *out, const char *names);

#endif
