/* SPDX-License-Identifier: MIT */
/*
 * completion.c - the verbs and their options as tables in the words of bash, zsh and fish.
 *
 * What is done with them is in completion/pillion.*; a line @TABLE@ there is where they go.
 * Everything comes from the tables that options are parsed by: an option's words are its
 * choices, whether a value names a file its metavar says, and what operands are the usage.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/help.h"
#include "cli/verbs.h"

#define OPERANDS_MAX 4u
#define HELP_OF_HELP "the options; =all: those that are seldom needed, too"
#define HELP_OF_VERSION "version, and what it works with"
#define HELP_OF_VERB "the options of a verb"

/* ------------------------------------------------------------- what is asked for */

enum operand_kind {
	OPERAND_PROFILE,
	OPERAND_FILE,
	OPERAND_PROCESS,
	OPERAND_WORDS,
	OPERAND_COMMAND,
};

struct operand {
	enum operand_kind kind;
	char words[64]; /* of WORDS: "start stop rotate" */
	bool repeated; /* any number of it */
	bool behind_dashes; /* there is none without "--" (stat's command) */
};

/* Returns false for what is no operand of its own: "ARGUMENT..." belongs to the command. */
static bool operand_of(const char *word, struct operand *operand)
{
	*operand = (struct operand){ .kind = OPERAND_PROFILE, .repeated = strstr(word, "...") };
	if (!strncmp(word, "ARGUMENT", 8))
		return false;
	if (!strcmp(word, "COMMAND"))
		operand->kind = OPERAND_COMMAND;
	else if (!strcmp(word, "PID"))
		operand->kind = OPERAND_PROCESS;
	else if (!strcmp(word, "FUNCTION|FILE"))
		operand->kind = OPERAND_FILE;
	else if (islower((unsigned char)word[0]))
		operand->kind = OPERAND_WORDS;
	snprintf(operand->words, sizeof(operand->words), "%s", word);
	for (char *c = operand->words; *c; c++)
		*c = *c == '|' ? ' ' : *c;
	return true;
}

/* The operands that a verb's usage names, in order. Returns their number. */
static unsigned operands_of(const struct pln_verb *verb, struct operand *operands)
{
	const char *usage = verb->usage;
	bool is_value = false, dashes = false;
	unsigned count = 0;
	char word[64];

	while (count < OPERANDS_MAX && pln_help_next_word(&usage, word, sizeof(word))) {
		bool brackets = !strcmp(word, "[") || !strcmp(word, "]");

		if (!strcmp(word, "--")) {
			dashes = true;
		} else if (brackets || !strcmp(word, "|")) {
			/* "[--]": they may be there or not. */
			dashes = dashes && !brackets;
		} else if (word[0] == '-') {
			is_value = true;
		} else if (is_value) {
			is_value = false;
		} else if (strcmp(word, "options") != 0 && operand_of(word, &operands[count])) {
			operands[count++].behind_dashes = dashes;
		}
	}
	return count;
}

static bool is_offered(const struct pln_option *o)
{
	return !o->hidden && o->type != PLN_OPTION_GROUP;
}

/* Whether what follows the option, as a word of its own, is its value. */
static bool wants_word(const struct pln_option *o)
{
	return o->metavar && !o->alone;
}

static bool wants_file(const struct pln_option *o)
{
	static const char *const names[] = { "FILE", "DIR", "OUT", "PATH", "ADDRESS" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (o->metavar && strstr(o->metavar, names[i]))
			return true;
	return false;
}

static void print_choices(const struct pln_option *o)
{
	for (unsigned i = 0; o->choices[i]; i++)
		printf("%s%s", i ? " " : "", o->choices[i]);
}

static void print_verb_names(void)
{
	for (const struct pln_verb_entry *v = pln_verbs; v->name; v++)
		printf("%s ", v->name);
	fputs("help", stdout);
}

/* With what `special` names behind a backslash, to stand in single quotes; those end and begin. */
static void print_quoted(const char *text, const char *special, const char *quote)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs(quote, stdout);
		else if (strchr(special, *text))
			printf("\\%c", *text);
		else
			putchar(*text);
	}
}

/* ------------------------------------------------------------------------- bash */

static void print_bash_operand(const struct operand *o)
{
	static const char *const words[] = {
		[OPERAND_PROFILE] = "<profile>",
		[OPERAND_FILE] = "<file>",
		[OPERAND_PROCESS] = "<process>",
		[OPERAND_COMMAND] = "<command>",
	};
	char list[sizeof(o->words)];

	if (o->kind != OPERAND_WORDS) {
		printf("%s%s%s", o->behind_dashes ? "--" : "", words[o->kind],
		       o->repeated ? "*" : "");
		return;
	}
	snprintf(list, sizeof(list), "%s", o->words);
	for (char *c = list; *c; c++)
		*c = *c == ' ' ? '|' : *c;
	fputs(list, stdout);
}

static void print_bash_options(const struct pln_verb *verb)
{
	struct operand operands[OPERANDS_MAX];
	unsigned count = operands_of(verb, operands);

	printf("    %s)\n        options='", verb->name);
	for (size_t i = 0; i < verb->option_count; i++) {
		const struct pln_option *o = &verb->options[i];

		if (!is_offered(o))
			continue;
		if (o->letter)
			printf("-%c ", o->letter);
		printf("--%s ", o->name);
	}
	fputs("-h --help'\n        operands='", stdout);
	for (unsigned i = 0; i < count; i++) {
		fputs(i ? " " : "", stdout);
		print_bash_operand(&operands[i]);
	}
	fputs("'\n        ;;\n", stdout);
}

static void print_bash_values(const struct pln_verb *verb)
{
	for (size_t i = 0; i < verb->option_count; i++) {
		const struct pln_option *o = &verb->options[i];

		if (!is_offered(o) || !wants_word(o))
			continue;
		fputs("    ", stdout);
		if (o->letter)
			printf("'%s -%c' | ", verb->name, o->letter);
		printf("'%s --%s') value='", verb->name, o->name);
		if (o->choices)
			print_choices(o);
		else if (wants_file(o))
			fputs("<file>", stdout);
		fputs("' ;;\n", stdout);
	}
}

static void print_bash(void)
{
	fputs("_pillion_verbs='", stdout);
	print_verb_names();
	fputs("'\n\n# VERB: sets options and operands.\n"
	      "_pillion_describe()\n{\n    case $1 in\n",
	      stdout);
	for (const struct pln_verb_entry *v = pln_verbs; v->name; v++)
		pln_help_describe(v, print_bash_options);
	fputs("    help) options='' operands=$_pillion_verbs operands=${operands// /|} ;;\n"
	      "    esac\n}\n\n"
	      "# VERB OPTION: sets value to what follows it; fails when nothing does.\n"
	      "_pillion_value()\n{\n    value=''\n    case \"$1 $2\" in\n",
	      stdout);
	for (const struct pln_verb_entry *v = pln_verbs; v->name; v++)
		pln_help_describe(v, print_bash_values);
	fputs("    *) return 1 ;;\n    esac\n}\n", stdout);
}

/* -------------------------------------------------------------------------- zsh */

#define ZSH_QUOTE "'\\''"

/* "'(-o --output)'{-o+,--output=}'[what it does]:FILE:_files'" */
static void print_zsh_option(const struct pln_option *o)
{
	const char *glued = wants_word(o) ? "+" : "";
	const char *equals = wants_word(o) ? "=" : o->alone ? "=-" : "";
	const char *again = o->type != PLN_OPTION_LIST ? "" : o->letter ? "\\*" : "*";

	fputs(" \\\n        ", stdout);
	if (o->letter && !*again)
		printf("'(-%c --%s)'", o->letter, o->name);
	if (o->letter)
		printf("%s{-%c%s,--%s%s}'[", again, o->letter, glued, o->name, equals);
	else
		printf("'%s--%s%s[", again, o->name, equals);
	print_quoted(o->help, "[]\\", ZSH_QUOTE);
	putchar(']');
	if (o->metavar) {
		fputs(o->alone ? "::" : ":", stdout);
		print_quoted(o->metavar, ":\\", ZSH_QUOTE);
		putchar(':');
	}
	if (o->choices) {
		putchar('(');
		print_choices(o);
		putchar(')');
	} else if (o->metavar) {
		fputs(wants_file(o) ? "_files" : " ", stdout);
	}
	putchar('\'');
}

static void print_zsh_operand(const struct operand *o)
{
	static const char *const actions[] = {
		[OPERAND_PROFILE] = "profile:_pillion_profiles",
		[OPERAND_FILE] = "function or file:_files",
		[OPERAND_PROCESS] = "process:_pids",
	};
	const char *again = o->repeated ? "*" : "";

	if (o->behind_dashes)
		return;
	fputs(" \\\n        ", stdout);
	if (o->kind == OPERAND_COMMAND)
		fputs("'(-):command:_command_names -e' '*::argument:_normal'", stdout);
	else if (o->kind == OPERAND_WORDS)
		printf("'%s:what:(%s)'", again, o->words);
	else
		printf("'%s:%s'", again, actions[o->kind]);
}

static void print_zsh_verb(const struct pln_verb *verb)
{
	struct operand operands[OPERANDS_MAX];
	unsigned count = operands_of(verb, operands);

	printf("\n_pillion_verb_%s()\n{\n", verb->name);
	for (unsigned i = 0; i < count; i++)
		if (operands[i].behind_dashes)
			fputs("    _pillion_behind_dashes && return\n", stdout);
	fputs("    _arguments -s -S", stdout);
	for (size_t i = 0; i < verb->option_count; i++)
		if (is_offered(&verb->options[i]))
			print_zsh_option(&verb->options[i]);
	fputs(" \\\n        '(- : *)'{-h,--help=-}'[" HELP_OF_HELP "]::form:(all)'", stdout);
	for (unsigned i = 0; i < count; i++)
		print_zsh_operand(&operands[i]);
	fputs("\n}\n", stdout);
}

static void print_zsh(void)
{
	fputs("typeset -ga _pillion_verbs=(\n", stdout);
	for (const struct pln_verb_entry *v = pln_verbs; v->name; v++) {
		printf("    '%s:", v->name);
		print_quoted(v->summary, ":\\", ZSH_QUOTE);
		fputs("'\n", stdout);
	}
	fputs("    'help:" HELP_OF_VERB "'\n)\n", stdout);
	for (const struct pln_verb_entry *v = pln_verbs; v->name; v++)
		pln_help_describe(v, print_zsh_verb);
}

/* ------------------------------------------------------------------------- fish */

#define FISH_QUOTE "\\'"

static void print_fish_option(const struct pln_verb *verb, const struct pln_option *o)
{
	printf("complete -c pillion -n '__pillion_at_option %s'", verb->name);
	if (o->letter)
		printf(" -s %c", o->letter);
	printf(" -l %s", o->name);
	if (wants_word(o))
		fputs(wants_file(o) ? " -r -F" : " -x", stdout);
	if (o->choices) {
		fputs(" -a '", stdout);
		print_choices(o);
		putchar('\'');
	}
	fputs(" -d '", stdout);
	print_quoted(o->help, "\\", FISH_QUOTE);
	fputs("'\n", stdout);
}

static void print_fish_operand(const struct pln_verb *verb, const struct operand *o, unsigned place)
{
	static const char *const actions[] = {
		[OPERAND_PROFILE] = "-k -a '(__fish_complete_suffix .pillion)'",
		[OPERAND_FILE] = "-F",
		[OPERAND_PROCESS] = "-a '(__fish_complete_pids)'",
		[OPERAND_COMMAND] = "-a '(__pillion_command)'",
	};

	printf("complete -c pillion -n '__pillion_at %s ",
	       o->kind == OPERAND_COMMAND ? "command" : verb->name);
	if (o->kind == OPERAND_COMMAND || o->repeated)
		fputs("any' ", stdout);
	else
		printf("%u' ", place);
	if (o->kind == OPERAND_WORDS)
		printf("-a '%s'\n", o->words);
	else
		puts(actions[o->kind]);
}

static void print_fish_verb(const struct pln_verb *verb)
{
	struct operand operands[OPERANDS_MAX];
	unsigned count = operands_of(verb, operands);

	for (size_t i = 0; i < verb->option_count; i++)
		if (is_offered(&verb->options[i]))
			print_fish_option(verb, &verb->options[i]);
	printf("complete -c pillion -n '__pillion_at_option %s' -s h -l help -d '" HELP_OF_HELP
	       "'\n",
	       verb->name);
	for (unsigned i = 0; i < count; i++)
		print_fish_operand(verb, &operands[i], i + 1);
}

static void print_fish_values(const struct pln_verb *verb)
{
	for (size_t i = 0; i < verb->option_count; i++) {
		const struct pln_option *o = &verb->options[i];

		if (!is_offered(o) || !wants_word(o))
			continue;
		if (o->letter)
			printf(" '%s -%c'", verb->name, o->letter);
		printf(" '%s --%s'", verb->name, o->name);
	}
}

/* Verbs whose operand is a command: the first that is met, or what is behind "--". */
static void print_fish_commands(const struct pln_verb *verb)
{
	struct operand operands[OPERANDS_MAX];
	unsigned count = operands_of(verb, operands);

	for (unsigned i = 0; i < count; i++)
		if (operands[i].kind == OPERAND_COMMAND)
			printf(" '%s %s'", verb->name,
			       operands[i].behind_dashes ? "behind dashes" : "first");
}

static void print_fish(void)
{
	fputs("set -g __pillion_verbs ", stdout);
	print_verb_names();
	fputs("\nset -g __pillion_values", stdout);
	for (const struct pln_verb_entry *v = pln_verbs; v->name; v++)
		pln_help_describe(v, print_fish_values);
	fputs("\nset -g __pillion_commands", stdout);
	for (const struct pln_verb_entry *v = pln_verbs; v->name; v++)
		pln_help_describe(v, print_fish_commands);
	fputs("\n\n", stdout);
	for (const struct pln_verb_entry *v = pln_verbs; v->name; v++) {
		printf("complete -c pillion -n __pillion_needs_verb -a %s -d '", v->name);
		print_quoted(v->summary, "\\", FISH_QUOTE);
		fputs("'\n", stdout);
	}
	fputs("complete -c pillion -n __pillion_needs_verb -a help -d '" HELP_OF_VERB "'\n"
	      "complete -c pillion -n __pillion_needs_verb -s h -l help -d 'the verbs'\n"
	      "complete -c pillion -n __pillion_needs_verb -s V -l version -d '" HELP_OF_VERSION
	      "'\n"
	      "complete -c pillion -n '__pillion_at help 1' -a \"$__pillion_verbs\"\n",
	      stdout);
	for (const struct pln_verb_entry *v = pln_verbs; v->name; v++)
		pln_help_describe(v, print_fish_verb);
}

/* ------------------------------------------------------------------------- file */

int pln_cmd_dev_completion(int argc, char **argv)
{
	static const struct {
		const char *shell;
		void (*print)(void);
	} tables[] = { { "bash", print_bash }, { "zsh", print_zsh }, { "fish", print_fish } };
	void (*print)(void) = NULL;
	char line[1024];

	for (size_t i = 0; argc > 1 && i < sizeof(tables) / sizeof(*tables); i++)
		if (!strcmp(argv[1], tables[i].shell))
			print = tables[i].print;
	if (!print) {
		pln_cli_message("which shell? bash, zsh or fish");
		return PLN_EXIT_USAGE;
	}
	while (fgets(line, sizeof(line), stdin)) {
		if (!strcmp(line, "@TABLE@\n"))
			print();
		else
			fputs(line, stdout);
	}
	return ferror(stdin) || fflush(stdout) ? PLN_EXIT_FAILURE : PLN_EXIT_OK;
}
