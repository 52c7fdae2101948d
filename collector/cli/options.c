/* SPDX-License-Identifier: MIT */
/*
 * options.c - parse a verb's arguments by its table.
 *
 * Own code rather than getopt_long: its messages are several shapes and its
 * permutation is global state; ours is one line and a hint, and no state.
 */
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <pillion/duration.h>
#include <pillion/env.h>

#include "cli/help.h"

#define GO_ON (-1)

struct parser {
	const struct pln_verb *verb;
	char **argv;
	int argc;
	int next; /* argument to be read */
};

int pln_cli_usage_error(const struct pln_verb *verb, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "pillion %s: ", verb->name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "; see 'pillion %s --help'\n", verb->name);
	return PLN_EXIT_USAGE;
}

static int show_help(const struct pln_verb *verb)
{
	pln_help_print(stdout, verb);
	return pln_cli_end_output();
}

static bool takes_value(const struct pln_option *o)
{
	return o->type == PLN_OPTION_TEXT || o->type == PLN_OPTION_LIST ||
	       o->type == PLN_OPTION_NUMBER || o->type == PLN_OPTION_SECONDS ||
	       o->type == PLN_OPTION_CHOICE;
}

static int bad_number(const struct parser *p, const struct pln_option *o, const char *value)
{
	return pln_cli_usage_error(p->verb,
				   "--%s wants a number from %" PRIu64 " to %" PRIu64 ", not '%s'",
				   o->name, o->min, o->max, value);
}

static int bad_seconds(const struct parser *p, const struct pln_option *o, const char *value)
{
	return pln_cli_usage_error(p->verb,
				   "--%s wants a time from %" PRIu64 " to %" PRIu64
				   " s, such as 30, 500ms, 5m or 1.5h; not '%s'",
				   o->name, o->min, o->max, value);
}

static int bad_choice(const struct parser *p, const struct pln_option *o, const char *value)
{
	char list[256] = "";
	size_t at = 0;

	for (unsigned i = 0; o->choices[i] && at < sizeof(list); i++)
		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s", i ? ", " : "",
				       o->choices[i]);
	return pln_cli_usage_error(p->verb, "--%s wants one of %s; not '%s'", o->name, list, value);
}

static bool is_good(const struct pln_option *o, const char *value)
{
	return !o->is_good || o->is_good(value);
}

static int bad_value(const struct parser *p, const struct pln_option *o, const char *value)
{
	return pln_cli_usage_error(p->verb, "--%s wants %s; not '%s'", o->name, o->wanted, value);
}

/* Decimal digits and nothing else: "100Hz" is a mistake, not 100. */
static bool parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	char *end;

	if (!*text || text[strspn(text, "0123456789")])
		return false;
	errno = 0;
	*out = strtoull(text, &end, 10);
	return !errno && *out >= min && *out <= max;
}

bool pln_cli_parse_seconds(const char *text, uint64_t min, uint64_t max, uint64_t *ns)
{
	return pln_duration_parse(text, ns) && *ns >= min * PILLION_SECOND_NS &&
	       *ns <= max * PILLION_SECOND_NS;
}

static bool parse_choice(const char *text, const char *const *choices, unsigned *out)
{
	unsigned matches = 0;

	for (unsigned i = 0; choices[i]; i++) {
		if (!strcmp(choices[i], text)) {
			*out = i;
			return true;
		}
		if (*text && !strncmp(choices[i], text, strlen(text))) {
			*out = i;
			matches++;
		}
	}
	return matches == 1;
}

/* Without memory, what was given before it is lost: there is nothing better to do. */
static void append(char **list, const char *value)
{
	char *before = *list;

	if (asprintf(list, "%s%s%s", before ? before : "", before ? "," : "", value) < 0)
		*list = NULL;
	free(before);
}

/* The library would ignore all of it. */
static bool is_too_long(const char *list)
{
	return list && strlen(list) >= PILLION_TEXT_MAX;
}

static int set(const struct parser *p, const struct pln_option *o, const char *value)
{
	uint64_t number;
	unsigned choice;

	switch (o->type) {
	case PLN_OPTION_FLAG:
		*(bool *)o->to = true;
		break;
	case PLN_OPTION_NO:
		*(bool *)o->to = false;
		break;
	case PLN_OPTION_TEXT:
		*(const char **)o->to = value;
		break;
	case PLN_OPTION_LIST:
		if (!is_good(o, value))
			return bad_value(p, o, value);
		append(o->to, value);
		if (is_too_long(*(char **)o->to))
			return pln_cli_usage_error(p->verb, "--%s takes no more than %u bytes",
						   o->name, PILLION_TEXT_MAX - 1u);
		break;
	case PLN_OPTION_NUMBER:
		if (!parse_number(value, o->min, o->max, &number))
			return bad_number(p, o, value);
		if (!is_good(o, value))
			return bad_value(p, o, value);
		*(uint64_t *)o->to = number;
		break;
	case PLN_OPTION_SECONDS:
		if (!pln_cli_parse_seconds(value, o->min, o->max, (uint64_t *)o->to))
			return bad_seconds(p, o, value);
		break;
	case PLN_OPTION_CHOICE:
		if (!parse_choice(value, o->choices, &choice))
			return bad_choice(p, o, value);
		*(unsigned *)o->to = choice;
		break;
	case PLN_OPTION_GROUP:
		break;
	}
	return GO_ON;
}

/* The option meant by the first `length` bytes of `name`; NULL: none, or several. */
static const struct pln_option *find_long(const struct pln_verb *verb, const char *name,
					  size_t length, bool *ambiguous)
{
	const struct pln_option *found = NULL;

	*ambiguous = false;
	for (size_t i = 0; i < verb->option_count; i++) {
		const struct pln_option *o = &verb->options[i];

		if (o->type == PLN_OPTION_GROUP || strncmp(o->name, name, length))
			continue;
		if (!o->name[length])
			return o;
		*ambiguous |= found != NULL;
		found = o;
	}
	return *ambiguous ? NULL : found;
}

static const struct pln_option *find_letter(const struct pln_verb *verb, char letter)
{
	for (size_t i = 0; i < verb->option_count; i++)
		if (verb->options[i].type != PLN_OPTION_GROUP && verb->options[i].letter == letter)
			return &verb->options[i];
	return NULL;
}

static int parse_long(struct parser *p, const char *arg)
{
	size_t length = strcspn(arg, "=");
	const char *value = arg[length] ? arg + length + 1 : NULL;
	bool ambiguous;
	const struct pln_option *o = find_long(p->verb, arg, length, &ambiguous);

	if (length == 4 && !strncmp(arg, "help", 4) && (!value || !strcmp(value, "all"))) {
		if (value)
			pln_help_set_all();
		return show_help(p->verb);
	}
	if (ambiguous)
		return pln_cli_usage_error(p->verb, "'--%s' could mean several options", arg);
	if (!o || !length)
		return pln_cli_usage_error(p->verb, "there is no option '--%.*s'", (int)length,
					   arg);
	if (!takes_value(o) && value)
		return pln_cli_usage_error(p->verb, "--%s takes no value", o->name);
	if (takes_value(o) && !value && o->alone) {
		*(uint64_t *)o->to = o->alone;
		return GO_ON;
	}
	if (takes_value(o) && !value) {
		if (p->next >= p->argc)
			return pln_cli_usage_error(p->verb, "--%s wants %s behind it", o->name,
						   o->metavar);
		value = p->argv[p->next++];
	}
	return set(p, o, value);
}

/* -abc, -oFILE, -o FILE */
static int parse_letters(struct parser *p, const char *letters)
{
	int result = GO_ON;

	while (*letters && result == GO_ON) {
		const struct pln_option *o = find_letter(p->verb, *letters);
		const char *value = letters + 1;

		if (!o && *letters == 'h')
			return show_help(p->verb);
		if (!o)
			return pln_cli_usage_error(p->verb, "there is no option '-%c'", *letters);
		if (!takes_value(o)) {
			result = set(p, o, NULL);
			letters++;
			continue;
		}
		if (!*value && p->next >= p->argc)
			return pln_cli_usage_error(p->verb, "-%c wants %s behind it", *letters,
						   o->metavar);
		return set(p, o, *value ? value : p->argv[p->next++]);
	}
	return result;
}

static void keep_rest(struct parser *p, struct pln_operands *operands)
{
	while (p->next < p->argc)
		operands->value[operands->count++] = p->argv[p->next++];
}

int pln_cli_parse(const struct pln_verb *verb, int argc, char **argv, struct pln_operands *operands)
{
	struct parser p = { verb, argv, argc, 1 };
	int result = GO_ON;

	/* Operands move to the front, over arguments that were read already. */
	operands->value = argv + 1;
	operands->count = 0;
	while (p.next < argc && result == GO_ON) {
		char *arg = argv[p.next++];

		if (!strcmp(arg, "--")) {
			keep_rest(&p, operands);
		} else if (!strncmp(arg, "--", 2)) {
			result = parse_long(&p, arg + 2);
		} else if (arg[0] == '-' && arg[1]) {
			result = parse_letters(&p, arg + 1);
		} else {
			operands->value[operands->count++] = arg;
			if (verb->command_follows)
				keep_rest(&p, operands);
		}
	}
	return result;
}
