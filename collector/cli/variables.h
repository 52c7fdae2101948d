/* SPDX-License-Identifier: MIT */
/*
 * variables.h - the rows of PILLION_ENV_TABLE, to be walked.
 */
#ifndef PILLION_COLLECTOR_VARIABLES_H
#define PILLION_COLLECTOR_VARIABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <pillion/env.h>

#include "cli/cli.h"

enum pln_variable_type {
	PLN_VARIABLE_FLAG,
	PLN_VARIABLE_NUMBER,
	PLN_VARIABLE_SECONDS,
	PLN_VARIABLE_CHOICE,
	PLN_VARIABLE_TEXT,
	PLN_VARIABLE_LIST,
	PLN_VARIABLE_SECRET,
};

/* Index into pln_variables[]. */
enum pln_variable_id {
#define PLN_VARIABLE_ID(id, ...) PLN_VARIABLE_##id,
	PILLION_ENV_TABLE(PLN_VARIABLE_ID)
#undef PLN_VARIABLE_ID
		PLN_VARIABLE_COUNT
};

struct pln_variable {
	const char *name; /* "PILLION_FREQ" */
	enum pln_variable_type type;
	uint64_t otherwise; /* when it is not set */
	uint64_t min, max;
	const char *option; /* "--freq", "" none */
	char letter;
	const char *metavar;
	const char *help;
};

extern const struct pln_variable pln_variables[PLN_VARIABLE_COUNT];

/* What an option of `record` made of a variable; unset until the option is met. */
struct pln_variable_value {
	const char *text; /* TEXT; NULL: unset */
	char *list; /* LIST; NULL: unset */
	uint64_t number; /* NUMBER; SECONDS, in nanoseconds; UINT64_MAX: unset */
	unsigned choice; /* CHOICE; UINT_MAX: unset */
	bool flag; /* FLAG that is on by default; true: unset */
	bool on; /* FLAG that is off by default; false: unset */
};

/* Seldom needed: left out of short helps. */
bool pln_variable_is_rare(enum pln_variable_id id);

/* All unset. */
void pln_variable_values_init(struct pln_variable_value *values);

/*
 * The option of `record` for a variable, storing to *value. Returns false when it has
 * none. `help` (of `help_size` bytes) is for a text that the table does not have.
 */
bool pln_variable_option(enum pln_variable_id id, struct pln_variable_value *value, char *help,
			 size_t help_size, struct pln_option *option);

/* Sets the variable in our environment when its option was given. Returns 0 or -errno. */
int pln_variable_export(enum pln_variable_id id, const struct pln_variable_value *value);

/* What it is when it is not set, as a user would write it; "" of a TEXT. In `buffer`, or constant.
 */
const char *pln_variable_default(enum pln_variable_id id, char *buffer, size_t size);

/* What the environment says: the number (of SECONDS: nanoseconds) or the FLAG, or its default
 * when unset or malformed. */
uint64_t pln_variable_number(enum pln_variable_id id);
bool pln_variable_flag(enum pln_variable_id id);

#endif
