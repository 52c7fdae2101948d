/* SPDX-License-Identifier: MIT */
/*
 * options.h - what the environment asks for, parsed once in the constructor.
 */
#ifndef PILLION_PRELOAD_OPTIONS_H
#define PILLION_PRELOAD_OPTIONS_H

#include <stdbool.h>

#include <pillion/env.h>

#include "export.h"

/* One member per row of PILLION_ENV_TABLE; text is "" when unset. */
struct pln_options {
#define PLN_MEMBER_FLAG(id) bool id;
#define PLN_MEMBER_NUMBER(id) long id;
#define PLN_MEMBER_SECONDS(id) bool id; /* how long is the collector's business */
#define PLN_MEMBER_CHOICE(id) unsigned id;
#define PLN_MEMBER_TEXT(id) char id[PILLION_TEXT_MAX];
#define PLN_MEMBER_LIST(id) char id[PILLION_TEXT_MAX];
#define PLN_MEMBER_SECRET(id) char id[PILLION_TEXT_MAX];
#define PLN_MEMBER(id, name, type, ...) PLN_MEMBER_##type(id)
	PILLION_ENV_TABLE(PLN_MEMBER)
#undef PLN_MEMBER
};

extern PLN_OWN struct pln_options pln_options;

/*
 * Reads `envp`; where PILLION_DISABLE says so, nothing else of it. A bad value leaves the
 * default, and a complaint. Labels that name no service get one from OTEL_SERVICE_NAME or
 * DD_SERVICE.
 */
void pln_options_parse(char **envp);

/* One line about bad values, "" when there are none. */
const char *pln_options_complaint(void);

#endif
