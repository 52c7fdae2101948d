/* SPDX-License-Identifier: MIT */
/*
 * verbs.h - the verbs, for main.c, the man pages and completion.
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
 * Hidden verbs, used by the build; both copy stdin to stdout, and put what the tables say in
 * the place of lines such as @OPTIONS@.
 *
 *   dev-man [VERB]                 of a man page, which is about that verb (see man.c)
 *   dev-completion bash|zsh|fish   of a completion file (see completion.c)
 */
int pln_cmd_dev_man(int argc, char **argv);
int pln_cmd_dev_completion(int argc, char **argv);

/* By its whole name; NULL: there is none. */
const struct pln_verb_entry *pln_verb_named(const char *name);

#endif
