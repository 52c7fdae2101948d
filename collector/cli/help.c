/* SPDX-License-Identifier: MIT */
/*
 * help.c - see help.h. A screen is 80 columns and 24 lines: texts are wrapped here,
 * and a test counts.
 */
#include "cli/help.h"

#include <string.h>

#define COLUMNS 80
#define HELP_COLUMN 26
#define OTHERS_MAX 512

static bool all;
static pln_help_printer printer; /* NULL: the help goes to the screen */

void pln_help_set_all(void)
{
	all = true;
}

bool pln_help_is_short(void)
{
	return !all;
}

bool pln_help_is_described(void)
{
	return printer;
}

void pln_help_describe(const struct pln_verb_entry *entry, pln_help_printer print)
{
	char name[32], help[] = "--help";
	char *argv[] = { name, help, NULL };

	snprintf(name, sizeof(name), "%s", entry->name);
	printer = print;
	entry->run(2, argv);
	printer = NULL;
}

bool pln_help_next_word(const char **usage, char *word, size_t size)
{
	const char *at = *usage + strspn(*usage, " ");
	size_t length = *at == '[' || *at == ']' ? 1 : strcspn(at, " []");

	snprintf(word, size, "%.*s", (int)length, at);
	*usage = at + length;
	return length;
}

/* Words of `text`, from column `at` on, in lines that begin at HELP_COLUMN. */
static void print_wrapped(FILE *out, const char *text, int at)
{
	bool first = true;

	while (*text) {
		int length = (int)strcspn(text, " ");

		if (!first && at + 1 + length > COLUMNS) {
			fprintf(out, "\n%*s", HELP_COLUMN, "");
			at = HELP_COLUMN;
		} else if (!first) {
			fputc(' ', out);
			at++;
		}
		fprintf(out, "%.*s", length, text);
		at += length;
		text += length + strspn(text + length, " ");
		first = false;
	}
	fputc('\n', out);
}

void pln_help_print_others(FILE *out, const char *names)
{
	char text[OTHERS_MAX + 32];

	if (!*names)
		return;
	snprintf(text, sizeof(text), "%s (--help=all)", names + 1);
	pln_help_print_item(out, "  And", text);
}

void pln_help_print_item(FILE *out, const char *left, const char *text)
{
	int at = fprintf(out, "%s", left);

	if (at >= HELP_COLUMN) {
		fputc('\n', out);
		at = 0;
	}
	fprintf(out, "%*s", HELP_COLUMN - at, "");
	print_wrapped(out, text, HELP_COLUMN);
}

static void print_option(FILE *out, const struct pln_option *o)
{
	char letter[8] = "    ", left[128];
	const char *metavar = o->metavar ? o->metavar : "";

	if (o->letter)
		snprintf(letter, sizeof(letter), "-%c, ", o->letter);
	if (o->alone)
		snprintf(left, sizeof(left), "  %s--%s[=%s]", letter, o->name, metavar);
	else
		snprintf(left, sizeof(left), "  %s--%s%s%s", letter, o->name, *metavar ? " " : "",
			 metavar);
	pln_help_print_item(out, left, o->help);
}

static bool is_left_out(const struct pln_option *o)
{
	return o->hidden || (o->rare && pln_help_is_short());
}

static void print_others(FILE *out, const struct pln_verb *verb)
{
	char names[OTHERS_MAX] = "";
	size_t size = 0;

	for (size_t i = 0; i < verb->option_count && size < sizeof(names); i++)
		if (verb->options[i].rare)
			size += (size_t)snprintf(names + size, sizeof(names) - size, " --%s",
						 verb->options[i].name);
	pln_help_print_others(out, names);
}

static void print_screen(FILE *out, const struct pln_verb *verb)
{
	fprintf(out, "usage: pillion %s %s\n%s\n", verb->name, verb->usage, verb->summary);
	for (size_t i = 0; i < verb->option_count; i++) {
		const struct pln_option *o = &verb->options[i];

		if (is_left_out(o))
			continue;
		if (o->type == PLN_OPTION_GROUP)
			fprintf(out, "%s:\n", o->help);
		else
			print_option(out, o);
	}
	if (pln_help_is_short())
		print_others(out, verb);
	if (verb->examples && verb->examples[0])
		fputs("Examples:\n", out);
	for (const char *const *e = verb->examples; e && *e; e++)
		fprintf(out, "  %s\n", *e);
}

void pln_help_print(FILE *out, const struct pln_verb *verb)
{
	if (printer)
		printer(verb);
	else
		print_screen(out, verb);
}
