/* SPDX-License-Identifier: MIT */
/*
 * variables.c - see variables.h.
 */
#include "cli/variables.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <pillion/values.h>

#define CHOICES_MAX 4u
#define CHOICE_BYTES 64u

const struct pln_variable pln_variables[PLN_VARIABLE_COUNT] = {
#define PLN_VARIABLE_ROW(id, name, type, otherwise, min, max, option, letter, metavar, help)       \
	{ name, PLN_VARIABLE_##type, otherwise, min, max, option, letter, metavar, help },
	PILLION_ENV_TABLE(PLN_VARIABLE_ROW)
#undef PLN_VARIABLE_ROW
};

bool pln_variable_is_rare(enum pln_variable_id id)
{
	switch (id) {
	case PLN_VARIABLE_subprocesses:
	case PLN_VARIABLE_include:
	case PLN_VARIABLE_exclude:
	case PLN_VARIABLE_labels:
	case PLN_VARIABLE_rotate:
	case PLN_VARIABLE_keep:
	case PLN_VARIABLE_alloc_interval:
	case PLN_VARIABLE_max_depth:
	case PLN_VARIABLE_max_threads:
	case PLN_VARIABLE_signal:
	case PLN_VARIABLE_collector:
	case PLN_VARIABLE_socket:
	case PLN_VARIABLE_pager:
		return true;
	default:
		return false;
	}
}

/* The words of a CHOICE or a FLAG in the order of their values, to an end with NULL. */
static const char *const *choices_of(enum pln_variable_id id)
{
	static char words[PLN_VARIABLE_COUNT][CHOICE_BYTES];
	static const char *choices[PLN_VARIABLE_COUNT][CHOICES_MAX + 1];
	char *rest = words[id];

	snprintf(rest, CHOICE_BYTES, "%s", pln_variables[id].metavar);
	for (unsigned i = 0; i < CHOICES_MAX && rest; i++)
		choices[id][i] = strsep(&rest, "|");
	return choices[id];
}

void pln_variable_values_init(struct pln_variable_value *values)
{
	for (unsigned i = 0; i < PLN_VARIABLE_COUNT; i++)
		values[i] = (struct pln_variable_value){ NULL,	   NULL, UINT64_MAX,
							 UINT_MAX, true, false };
}

/* Behind the words of the table: what holds without the option, or without its value. */
static void tell_default(enum pln_variable_id id, const struct pln_option *option, char *help,
			 size_t help_size)
{
	char number[24];

	if (option->alone)
		snprintf(number, sizeof(number), "%" PRIu64, option->alone);
	snprintf(help, help_size, "%s (default %s)", pln_variables[id].help,
		 option->alone ? number : pln_variable_default(id, number, sizeof(number)));
}

static bool is_signal(const char *value)
{
	return pln_value_is_signal(strtoull(value, NULL, 10));
}

/* What the table does not say of values. */
static void add_check(enum pln_variable_id id, struct pln_option *option)
{
	if (id == PLN_VARIABLE_signal) {
		option->is_good = is_signal;
		option->wanted = "a signal that can be caught and is nobody's own, such as 27 "
				 "(SIGPROF)";
	} else if (id == PLN_VARIABLE_labels) {
		option->is_good = pln_value_is_labels;
		option->wanted = "KEY=VALUE, such as service=api";
	}
}

bool pln_variable_option(enum pln_variable_id id, struct pln_variable_value *value, char *help,
			 size_t help_size, struct pln_option *option)
{
	const struct pln_variable *v = &pln_variables[id];

	if (!*v->option)
		return false;
	*option = (struct pln_option){
		.name = v->option + 2,
		.letter = v->letter,
		.metavar = v->metavar,
		.help = v->help,
		.rare = pln_variable_is_rare(id),
		.min = v->min,
		.max = v->max,
	};
	add_check(id, option);
	switch (v->type) {
	case PLN_VARIABLE_FLAG:
		option->metavar = NULL;
		if (!v->otherwise) {
			option->type = PLN_OPTION_FLAG;
			option->to = &value->on;
			return true;
		}
		/* The variable says what it turns on, the option what it leaves out. */
		snprintf(help, help_size, "do not %s", v->help);
		option->type = PLN_OPTION_NO;
		option->help = help;
		option->to = &value->flag;
		return true;
	case PLN_VARIABLE_NUMBER:
		option->type = PLN_OPTION_NUMBER;
		option->alone = id == PLN_VARIABLE_burst ? PILLION_BURST_HZ : 0;
		option->to = &value->number;
		tell_default(id, option, help, help_size);
		option->help = help;
		return true;
	case PLN_VARIABLE_SECONDS:
		option->type = PLN_OPTION_SECONDS;
		option->to = &value->number;
		return true;
	case PLN_VARIABLE_CHOICE:
		option->type = PLN_OPTION_CHOICE;
		option->choices = choices_of(id);
		option->to = &value->choice;
		tell_default(id, option, help, help_size);
		option->help = help;
		return true;
	case PLN_VARIABLE_TEXT:
		option->type = PLN_OPTION_TEXT;
		option->to = &value->text;
		return true;
	case PLN_VARIABLE_LIST:
		option->type = PLN_OPTION_LIST;
		option->to = &value->list;
		return true;
	case PLN_VARIABLE_SECRET:
		break;
	}
	return false;
}

int pln_variable_export(enum pln_variable_id id, const struct pln_variable_value *value)
{
	char number[48];
	const char *text = value->list ? value->list : value->text;

	if (value->number != UINT64_MAX && pln_variables[id].type == PLN_VARIABLE_SECONDS) {
		snprintf(number, sizeof(number), "%" PRIu64 ".%09" PRIu64,
			 value->number / 1000000000, value->number % 1000000000);
		text = number;
	} else if (value->number != UINT64_MAX) {
		snprintf(number, sizeof(number), "%" PRIu64, value->number);
		text = number;
	} else if (value->choice != UINT_MAX) {
		text = choices_of(id)[value->choice];
	} else if (!value->flag) {
		text = "0";
	} else if (value->on) {
		text = "1";
	}
	if (!text)
		return 0;
	return setenv(pln_variables[id].name, text, 1) ? -errno : 0;
}

const char *pln_variable_default(enum pln_variable_id id, char *buffer, size_t size)
{
	const struct pln_variable *v = &pln_variables[id];

	if (v->type == PLN_VARIABLE_TEXT || v->type == PLN_VARIABLE_LIST ||
	    v->type == PLN_VARIABLE_SECRET)
		return "";
	if (v->type == PLN_VARIABLE_CHOICE || v->type == PLN_VARIABLE_FLAG)
		return choices_of(id)[v->otherwise];
	snprintf(buffer, size, "%" PRIu64, v->otherwise);
	return buffer;
}

uint64_t pln_variable_number(enum pln_variable_id id)
{
	const struct pln_variable *v = &pln_variables[id];
	const char *text = getenv(v->name);
	uint64_t number;

	if (v->type == PLN_VARIABLE_SECONDS)
		return text && pln_cli_parse_seconds(text, v->min, v->max, &number)
			       ? number
			       : v->otherwise * 1000000000;
	if (!text || !*text || text[strspn(text, "0123456789")])
		return v->otherwise;
	errno = 0;
	number = strtoull(text, NULL, 10);
	return errno || number < v->min || number > v->max ? v->otherwise : number;
}

bool pln_variable_flag(enum pln_variable_id id)
{
	const struct pln_variable *v = &pln_variables[id];
	const char *text = getenv(v->name);
	bool on = v->otherwise;

	if (text)
		(void)pln_value_flag(text, &on);
	return on;
}
