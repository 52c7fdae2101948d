/* SPDX-License-Identifier: MIT */
/*
 * man.c - the parts of man/pillion.1 that are known elsewhere already.
 */
#include <stdlib.h>
#include <string.h>

#include <pillion/pillion.h>

#include "cli/cli.h"
#include "cli/help.h"
#include "cli/variables.h"
#include "cli/verbs.h"

/* Each verb prints its own section: only it knows its options. */
static void print_verbs(void)
{
	char help[] = "--help";

	pln_help_set_form(PLN_HELP_MDOC);
	for (const struct pln_verb_entry *v = pln_verbs; v->name; v++) {
		char name[32];
		char *argv[] = { name, help, NULL };

		snprintf(name, sizeof(name), "%s", v->name);
		if (v->run != pln_cmd_env)
			v->run(2, argv);
	}
}

static void print_variables(void)
{
	printf(".Bl -tag -width Ds\n");
	for (unsigned id = 0; id < PLN_VARIABLE_COUNT; id++) {
		const struct pln_variable *v = &pln_variables[id];
		char number[24];
		const char *otherwise = pln_variable_default(id, number, sizeof(number));

		if (v->type == PLN_VARIABLE_SECRET)
			continue;
		printf(".It Ev %s Ns = Ns Ar %s\n", v->name, v->metavar);
		pln_help_print_mdoc_text(stdout, v->help);
		if (*v->option)
			printf("\n.Pq option Fl %s .\n", v->option + 1);
		else
			printf(".\n");
		if (*otherwise)
			printf("Default: %s.\n", otherwise);
	}
	printf(".El\n");
}

int pln_cmd_dev_man(int argc, char **argv)
{
	char line[1024];

	(void)argc;
	(void)argv;
	while (fgets(line, sizeof(line), stdin)) {
		if (!strcmp(line, "@VERBS@\n"))
			print_verbs();
		else if (!strcmp(line, "@VARIABLES@\n"))
			print_variables();
		else
			fputs(line, stdout);
	}
	return ferror(stdin) || fflush(stdout) ? PLN_EXIT_FAILURE : PLN_EXIT_OK;
}
