/* SPDX-License-Identifier: MIT */
/*
 * json.h - writes JSON as a stream: the caller says what comes, commas and quoting are
 * done here.
 *
 * In an object each value has a key, in an array it is NULL. Strings that are not UTF-8
 * get U+FFFD for what is malformed. Errors stay in the stream: ask ferror() at the end.
 */
#ifndef PILLION_COLLECTOR_JSON_H
#define PILLION_COLLECTOR_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct pln_json {
	FILE *out;
	unsigned depth;
	bool pretty; /* one value a line, indented by tabs */
	bool value_before; /* something stands in this object or array already */
};

void pln_json_object(struct pln_json *json, const char *key);
void pln_json_object_end(struct pln_json *json);
void pln_json_array(struct pln_json *json, const char *key);
void pln_json_array_end(struct pln_json *json);
void pln_json_text(struct pln_json *json, const char *key, const char *value); /* NULL: null */
void pln_json_number(struct pln_json *json, const char *key, uint64_t value);
void pln_json_signed(struct pln_json *json, const char *key, int64_t value);
void pln_json_real(struct pln_json *json, const char *key, double value);
void pln_json_bool(struct pln_json *json, const char *key, bool value);
void pln_json_null(struct pln_json *json, const char *key);

/* A quoted string, alone. */
void pln_json_quote(FILE *out, const char *text);

#endif
