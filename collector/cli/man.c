/* SPDX-License-Identifier: MIT */
/*
 * man.c - the parts of man pages that are known elsewhere already: in the table of verbs, in
 * each verb's own, and in that of variables. A page is a file in man/ with prose, and with lines
 * that stand for such parts:
 *
 *   @HEAD@       of a verb's page, from .Dt to its purpose
 *   @OPTIONS@    .Sh OPTIONS, in the groups of the help
 *   @EXIT@       the list of exit codes: those that the verb has, without a verb all
 *   @EXAMPLES@   .Sh EXAMPLES, those of the help
 *   @VERBS@      the verbs, with their pages
 *   @VARIABLES@  the variables
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <pillion/pillion.h>

#include "cli/cli.h"
#include "cli/help.h"
#include "cli/variables.h"
#include "cli/verbs.h"

/* ------------------------------------------------------------------------ text */

#define LINE_COLUMNS 78

/* A dot or quote at the start of a line, and any backslash, would be commands. */
static void print_verbatim(const char *text, int length)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", stdout);
	for (int i = 0; i < length; i++) {
		if (text[i] == '\\')
			fputs("\\e", stdout);
		else
			putchar(text[i]);
	}
}

/* In lines that are not long; the last one is not ended. */
static void print_text(const char *text)
{
	int column = 0;

	for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
		int length = (int)strcspn(text, " ");

		if (column && column + 1 + length > LINE_COLUMNS) {
			putchar('\n');
			column = 0;
		} else if (column) {
			putchar(' ');
			column++;
		}
		print_verbatim(text, length);
		column += length;
		text += length;
	}
}

/* The variables have a page of their own, their verb has none. */
static void print_page_of(const char *verb)
{
	if (!strcmp(verb, "env"))
		fputs(".Xr pillion-env 7", stdout);
	else
		printf(".Xr pillion-%s 1", verb);
}

/* ------------------------------------------------------------------------ head */

static void print_usage_word(const char *word)
{
	if (!strcmp(word, "["))
		puts(".Oo");
	else if (!strcmp(word, "]"))
		puts(".Oc");
	else if (word[0] == '-')
		printf(".Fl %s\n", word + 1);
	else if (isupper((unsigned char)word[0]) || !strcmp(word, "options"))
		printf(".Ar %s\n", word);
	else if (islower((unsigned char)word[0]))
		printf(".Cm %s\n", word);
	else
		puts(word);
}

static void print_synopsis(const struct pln_verb *verb)
{
	const char *usage = verb->usage;
	char word[64];

	printf(".Sh SYNOPSIS\n.Nm pillion %s\n", verb->name);
	while (pln_help_next_word(&usage, word, sizeof(word)))
		print_usage_word(word);
	fputs(".Sh DESCRIPTION\n", stdout);
	print_text(verb->summary);
	putchar('\n');
}

static void print_head(const struct pln_verb_entry *entry)
{
	fputs(".Dt PILLION-", stdout);
	for (const char *c = entry->name; *c; c++)
		putchar(toupper((unsigned char)*c));
	printf(" 1\n.Os\n.Sh NAME\n.Nm pillion-%s\n.Nd ", entry->name);
	print_text(entry->summary);
	putchar('\n');
	pln_help_describe(entry, print_synopsis);
}

/* --------------------------------------------------------------------- options */

/* The variable that says the same as an option of the verbs that record; NULL: none. */
static const struct pln_variable *variable_of(const struct pln_verb *verb,
					      const struct pln_option *o)
{
	if (strcmp(verb->name, "record") != 0 && strcmp(verb->name, "collect") != 0)
		return NULL;
	for (unsigned id = 0; id < PLN_VARIABLE_COUNT; id++)
		if (*pln_variables[id].option && !strcmp(pln_variables[id].option + 2, o->name))
			return &pln_variables[id];
	return NULL;
}

#define SECONDS_TEXT "Seconds, or with a unit (500ms, 30s, 5m, 1.5h, 1d)"

/* What a value may be, where there is a bound that means something. */
static void print_range(const struct pln_option *o)
{
	if (o->type == PLN_OPTION_SECONDS)
		fputs(SECONDS_TEXT, stdout);
	else if (o->type != PLN_OPTION_NUMBER || o->max >= UINT32_MAX)
		return;
	else
		printf("From %" PRIu64 " to %" PRIu64, o->min, o->max);
	fputs(".\n", stdout);
}

static void print_option(const struct pln_verb *verb, const struct pln_option *o)
{
	const struct pln_variable *variable = variable_of(verb, o);

	fputs(".It ", stdout);
	if (o->letter)
		printf("Fl %c , ", o->letter);
	printf("Fl -%s", o->name);
	if (o->alone)
		printf(" Ns Op = Ns Ar %s", o->metavar);
	else if (o->metavar)
		printf(" Ar %s", o->metavar);
	putchar('\n');
	print_text(o->help);
	fputs(".\n", stdout);
	print_range(o);
	if (variable)
		printf("Variable:\n.Ev %s .\n", variable->name);
}

/* Every verb has these, no table does. */
static void print_help_option(void)
{
	fputs(".It Fl h , Fl -help Ns Op = Ns Cm all\n"
	      "Print the options and exit: those that are seldom needed in full with\n"
	      ".Cm =all\n"
	      "only.\n",
	      stdout);
}

static void print_options(const struct pln_verb *verb)
{
	bool listed = false;

	fputs(".Sh OPTIONS\n"
	      "Long options may be shortened while they stay unambiguous.\n",
	      stdout);
	for (size_t i = 0; i < verb->option_count; i++) {
		const struct pln_option *o = &verb->options[i];

		if (o->hidden)
			continue;
		if (o->type == PLN_OPTION_GROUP && listed)
			fputs(".El\n", stdout);
		if (o->type == PLN_OPTION_GROUP)
			printf(".Ss %s\n", o->help);
		if (o->type == PLN_OPTION_GROUP || !listed)
			fputs(".Bl -tag -width Ds\n", stdout);
		listed = true;
		if (o->type != PLN_OPTION_GROUP)
			print_option(verb, o);
	}
	if (!listed)
		fputs(".Bl -tag -width Ds\n", stdout);
	print_help_option();
	fputs(".El\n", stdout);
}

/* -------------------------------------------------------------------- examples */

/* "command   # what for": the comment goes above. */
static void print_example(const char *example)
{
	const char *comment = strstr(example, "  # ");
	size_t length = comment ? (size_t)(comment - example) : strlen(example);

	while (length && example[length - 1] == ' ')
		length--;
	if (comment) {
		print_verbatim(comment + 2, (int)strlen(comment + 2));
		putchar('\n');
	}
	print_verbatim(example, (int)length);
	putchar('\n');
}

static void print_examples(const struct pln_verb *verb)
{
	fputs(".Sh EXAMPLES\n.Bd -literal\n", stdout);
	for (const char *const *e = verb->examples; *e; e++) {
		if (e != verb->examples)
			putchar('\n');
		print_example(*e);
	}
	fputs(".Ed\n", stdout);
}

/* ----------------------------------------------------------------------- lists */

/* What the codes of enum pln_exit mean, and to whom (NULL: to every verb). */
static const struct {
	enum pln_exit code;
	const char *verbs;
	const char *meaning;
} exits[] = {
	{ PLN_EXIT_OK, NULL, "It worked." },
	{ PLN_EXIT_FAILURE, NULL,
	  "It failed, and said why: input, output, a profile that cannot be read." },
	{ PLN_EXIT_USAGE, NULL, "It was called wrongly." },
	{ PLN_EXIT_NO_SAMPLES, " report annotate diff export html ",
	  "The profile holds nothing of what was asked for." },
	{ PLN_EXIT_DIFFERENT, " diff ", "A function grew by more than\n.Fl -fail-on\nallows." },
	{ PLN_EXIT_WRAPPER, " record stat ",
	  "It failed before the command was started, which was then not run; by\n"
	  ".Cm record Fl -strict\nalso when only the recording failed." },
	{ PLN_EXIT_NOT_EXECUTABLE, " record stat ",
	  "The command was found, but cannot be executed." },
	{ PLN_EXIT_NOT_FOUND, " record stat ", "The command was not found." },
};

static bool is_of(const char *verbs, const struct pln_verb_entry *entry)
{
	char name[32];

	if (!verbs || !entry)
		return true;
	snprintf(name, sizeof(name), " %s ", entry->name);
	return strstr(verbs, name);
}

static void print_exits(const struct pln_verb_entry *entry)
{
	fputs(".Bl -tag -width 125\n", stdout);
	for (size_t i = 0; i < sizeof(exits) / sizeof(*exits); i++)
		if (is_of(exits[i].verbs, entry))
			printf(".It %d\n%s\n", exits[i].code, exits[i].meaning);
	fputs(".El\n", stdout);
}

static void print_verbs(void)
{
	fputs(".Bl -tag -width annotate\n", stdout);
	for (const struct pln_verb_entry *v = pln_verbs; v->name; v++) {
		printf(".It Cm %s\n", v->name);
		print_text(v->summary);
		fputs(":\n", stdout);
		print_page_of(v->name);
		fputs(" .\n", stdout);
	}
	fputs(".El\n", stdout);
}

static void print_variables(void)
{
	fputs(".Bl -tag -width Ds\n", stdout);
	for (unsigned id = 0; id < PLN_VARIABLE_COUNT; id++) {
		const struct pln_variable *v = &pln_variables[id];
		char number[24];
		const char *otherwise = pln_variable_default(id, number, sizeof(number));

		if (v->type == PLN_VARIABLE_SECRET)
			continue;
		printf(".It Ev %s Ns = Ns Ar %s\n", v->name, v->metavar);
		print_text(v->help);
		fputs(".\n", stdout);
		if (v->type == PLN_VARIABLE_NUMBER)
			printf("From %" PRIu64 " to %" PRIu64 ".\n", v->min, v->max);
		if (v->type == PLN_VARIABLE_SECONDS)
			fputs(SECONDS_TEXT ".\n", stdout);
		if (*otherwise)
			printf("Default: %s.\n", otherwise);
		if (*v->option)
			printf("Option:\n.Fl %s .\n", v->option + 1);
	}
	fputs(".El\n", stdout);
}

/* ------------------------------------------------------------------------ page */

/* Returns false when the line is text. `entry`: the verb that the page is about, or NULL. */
static bool print_part(const char *line, const struct pln_verb_entry *entry)
{
	if (entry && !strcmp(line, "@HEAD@\n"))
		print_head(entry);
	else if (entry && !strcmp(line, "@OPTIONS@\n"))
		pln_help_describe(entry, print_options);
	else if (entry && !strcmp(line, "@EXAMPLES@\n"))
		pln_help_describe(entry, print_examples);
	else if (!strcmp(line, "@EXIT@\n"))
		print_exits(entry);
	else if (!strcmp(line, "@VERBS@\n"))
		print_verbs();
	else if (!strcmp(line, "@VARIABLES@\n"))
		print_variables();
	else
		return false;
	return true;
}

int pln_cmd_dev_man(int argc, char **argv)
{
	const struct pln_verb_entry *entry = argc > 1 ? pln_verb_named(argv[1]) : NULL;
	char line[1024];

	while (fgets(line, sizeof(line), stdin)) {
		if (print_part(line, entry))
			continue;
		if (line[0] == '@') {
			pln_cli_message("a man page has no part %.*s", (int)strcspn(line, "\n"),
					line);
			return PLN_EXIT_USAGE;
		}
		fputs(line, stdout);
	}
	return ferror(stdin) || fflush(stdout) ? PLN_EXIT_FAILURE : PLN_EXIT_OK;
}
