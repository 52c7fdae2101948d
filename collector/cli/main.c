/* SPDX-License-Identifier: MIT */
/*
 * main.c - pillion VERB ...: which verb, and what an exit code means.
 *
 *   0    it worked
 *   1    it failed: I/O, an unreadable profile
 *   2    it was called wrongly: unknown verb or option, malformed value
 *   3    the profile holds nothing of what was asked for
 *   4    diff --fail-on: something grew by more than that
 *   125  record failed before the command was started (or, with --strict, at all)
 *   126  the command was found, but cannot be executed
 *   127  the command was not found
 * otherwise record's exit code is the command's, and its death the command's signal.
 * The names of these are in cli.h (enum pln_exit).
 */
#include <string.h>

#include <pillion/pillion.h>
#include <pillion/wire.h>

#include "cli/cli.h"
#include "cli/help.h"
#include "cli/verbs.h"
#include "profile/format.h"

static int show_help_of(int argc, char **argv);

const struct pln_verb_entry pln_verbs[] = {
	{ "record", "run a command and record it", pln_cmd_record },
	{ "report", "show where the time went", pln_cmd_report },
	{ "annotate", "lines or instructions, and what was sampled there", pln_cmd_annotate },
	{ "diff", "what grew and what shrank between two profiles", pln_cmd_diff },
	{ "stat", "the counters of a run", pln_cmd_stat },
	{ "merge", "one profile of several", pln_cmd_merge },
	{ "export", "write a profile for other tools", pln_cmd_export },
	{ "html", "write a profile as a page for a browser", pln_cmd_html },
	{ "info", "what a profile holds, and what it cost", pln_cmd_info },
	{ "collect", "record processes that are started elsewhere", pln_cmd_collect },
	{ "ctl", "switch a recording that runs: start, stop, rotate", pln_cmd_ctl },
	{ "env", "list the variables that the library obeys", pln_cmd_env },
	{ NULL, NULL, NULL },
};

static void print_usage(FILE *out)
{
	fputs("usage: pillion VERB [options]\n"
	      "Pillion records what CPython programs do: Python and native stacks, all threads.\n"
	      "Verbs:\n",
	      out);
	for (const struct pln_verb_entry *v = pln_verbs; v->name; v++)
		fprintf(out, "  %-10s %s\n", v->name, v->summary);
	fputs("  help VERB  the options of a verb (as pillion VERB --help)\n"
	      "  --version  version, and what it works with\n"
	      "Examples:\n"
	      "  pillion record -- python app.py --an-option-of-app\n"
	      "  pillion report\n"
	      "  pillion html\n"
	      "  pillion export -f speedscope app.pillion\n",
	      out);
}

static int show_version(void)
{
	printf("pillion %s (CPython 3.8 to 3.15, x86-64; protocol %d, profile format %d.%d)\n",
	       PILLION_VERSION, PILLION_WIRE_VERSION, PILLION_FILE_VERSION_MAJOR,
	       PILLION_FILE_VERSION_MINOR);
	return pln_cli_end_output();
}

const struct pln_verb_entry *pln_verb_named(const char *name)
{
	for (const struct pln_verb_entry *v = pln_verbs; v->name; v++)
		if (!strcmp(v->name, name))
			return v;
	return NULL;
}

/* By name or by an unambiguous beginning of it; NULL: none, or several. */
static const struct pln_verb_entry *find_verb(const char *name)
{
	const struct pln_verb_entry *found = NULL;
	unsigned matches = 0;

	for (const struct pln_verb_entry *v = pln_verbs; *name && v->name; v++) {
		if (!strncmp(v->name, name, strlen(name))) {
			found = v;
			matches++;
		}
	}
	return matches == 1 ? found : pln_verb_named(name);
}

static bool is_beginning(const char *name)
{
	for (const struct pln_verb_entry *v = pln_verbs; v->name; v++)
		if (!strncmp(v->name, name, strlen(name)))
			return true;
	return false;
}

static int unknown_verb(const char *name)
{
	if (name[0] == '-')
		pln_cli_message("there is no option '%s' before the verb; see 'pillion --help'",
				name);
	else if (is_beginning(name))
		pln_cli_message("'%s' could be several verbs; see 'pillion --help'", name);
	else
		pln_cli_message("there is no verb '%s'; to record a command: pillion record -- %s",
				name, name);
	return PLN_EXIT_USAGE;
}

static int run_verb(int argc, char **argv)
{
	const struct pln_verb_entry *verb = find_verb(argv[0]);

	if (verb)
		return verb->run(argc, argv);
	if (!strcmp(argv[0], "help"))
		return show_help_of(argc, argv);
	if (!strcmp(argv[0], "dev-man"))
		return pln_cmd_dev_man(argc, argv);
	if (!strcmp(argv[0], "dev-completion"))
		return pln_cmd_dev_completion(argc, argv);
	return unknown_verb(argv[0]);
}

static int show_help(void)
{
	print_usage(stdout);
	return pln_cli_end_output();
}

/* help VERB */
static int show_help_of(int argc, char **argv)
{
	char help[] = "--help";
	char *verb_argv[] = { argv[argc - 1], help, NULL };

	if (argc < 2)
		return show_help();
	return find_verb(argv[1]) ? find_verb(argv[1])->run(2, verb_argv) : unknown_verb(argv[1]);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_usage(stderr);
		return PLN_EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return show_help();
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))
		return show_version();
	return run_verb(argc - 1, argv + 1);
}
