/* SPDX-License-Identifier: MIT */
/*
 * env.c - pillion env: the variables that the library obeys.
 */
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/help.h"
#include "cli/library.h"
#include "cli/snippets.h"
#include "cli/variables.h"

static const char *const examples[] = {
	"LD_PRELOAD=.../libpillion.so PILLION_OUTPUT=/tmp/%p.pillion python app.py",
	NULL,
};

static void print_variable(enum pln_variable_id id)
{
	const struct pln_variable *v = &pln_variables[id];
	char left[80], text[256], number[24];
	const char *otherwise = pln_variable_default(id, number, sizeof(number));

	snprintf(left, sizeof(left), "  %s=%s", v->name, v->metavar);
	if (*otherwise)
		snprintf(text, sizeof(text), "%s (%s)", v->help, otherwise);
	else
		snprintf(text, sizeof(text), "%s", v->help);
	pln_help_print_item(stdout, left, text);
}

/* `short_form`: of those that are seldom needed, the names. */
static void print_variables(bool short_form)
{
	char others[512] = "";
	size_t size = 0;

	for (unsigned id = 0; id < PLN_VARIABLE_COUNT; id++) {
		if (pln_variables[id].type == PLN_VARIABLE_SECRET)
			continue;
		if (!short_form || !pln_variable_is_rare(id))
			print_variable(id);
		else if (size < sizeof(others))
			size += (size_t)snprintf(others + size, sizeof(others) - size, " %s",
						 pln_variables[id].name);
	}
	pln_help_print_others(stdout, others);
}

static void print_set_variables(void)
{
	bool any = false;

	for (unsigned id = 0; id < PLN_VARIABLE_COUNT; id++) {
		const struct pln_variable *v = &pln_variables[id];
		const char *value = getenv(v->name);

		if (!value || v->type == PLN_VARIABLE_SECRET)
			continue;
		if (!any)
			printf("Set now:\n");
		any = true;
		printf("  %s=%s\n", v->name, value);
	}
}

/* Returns an exit code. */
static int print_snippet(enum pln_snippet snippet)
{
	struct pln_library library;
	char why[5000];

	if (pln_library_open(&library, why, sizeof(why))) {
		pln_cli_message("%s", why);
		return PLN_EXIT_FAILURE;
	}
	/* What is printed would lead to a link that is about to go. */
	if (library.link_dir[0] && snippet != PLN_SNIPPET_K8S) {
		pln_cli_message("LD_PRELOAD cannot name this library: its path has a space, a "
				"colon or a dollar; move pillion to another directory");
		pln_library_close(&library);
		return PLN_EXIT_FAILURE;
	}
	pln_snippet_print(stdout, snippet, library.path);
	pln_library_close(&library);
	return pln_cli_end_output();
}

int pln_cmd_env(int argc, char **argv)
{
	unsigned shell = PLN_SNIPPET_COUNT;
	const struct pln_option options[] = {
		{ .type = PLN_OPTION_CHOICE,
		  .name = "shell",
		  .metavar = "KIND",
		  .help = "how to set them: sh, docker, k8s or systemd",
		  .choices = pln_snippet_names,
		  .to = &shell },
	};
	const struct pln_verb verb = {
		.name = "env",
		.usage = "[--shell KIND]",
		.summary = "List the variables that the library obeys, with their (defaults).",
		.options = options,
		.option_count = sizeof(options) / sizeof(options[0]),
		.examples = examples,
	};
	struct pln_operands operands;
	int result = pln_cli_parse(&verb, argc, argv, &operands);

	if (result > 0 || pln_help_is_described())
		return result;
	if (result < 0 && operands.count)
		return pln_cli_usage_error(&verb, "it takes no '%s'", operands.value[0]);
	if (result < 0 && shell != PLN_SNIPPET_COUNT)
		return print_snippet((enum pln_snippet)shell);
	/* The help of this verb is the list itself. */
	printf("Variables:\n");
	print_variables(result == PLN_EXIT_OK && pln_help_is_short());
	if (result < 0)
		print_set_variables();
	return pln_cli_end_output();
}
