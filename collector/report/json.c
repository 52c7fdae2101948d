/* SPDX-License-Identifier: MIT */
/*
 * json.c - see json.h.
 */
#include "report/json.h"

#include <inttypes.h>
#include <math.h>

#include "report/names.h"

void pln_json_quote(FILE *out, const char *text)
{
	putc('"', out);
	while (*text) {
		uint32_t c;
		unsigned size = pln_utf8_size(text, &c);

		if (!size)
			fputs("\xef\xbf\xbd", out);
		else if (c == '"' || c == '\\')
			fprintf(out, "\\%c", (int)c);
		else if (c < 0x20 || c == 0x7f || c == 0x2028 || c == 0x2029)
			fprintf(out, "\\u%04x", c);
		else
			fwrite(text, 1, size, out);
		text += size ? size : 1;
	}
	putc('"', out);
}

static void new_line(struct pln_json *json)
{
	if (!json->pretty)
		return;
	putc('\n', json->out);
	for (unsigned i = 0; i < json->depth; i++)
		putc('\t', json->out);
}

/* Everything that stands before a value. */
static void begin(struct pln_json *json, const char *key)
{
	if (json->value_before)
		putc(',', json->out);
	if (json->depth)
		new_line(json);
	json->value_before = true;
	if (key) {
		pln_json_quote(json->out, key);
		fputs(json->pretty ? ": " : ":", json->out);
	}
}

static void open_group(struct pln_json *json, const char *key, char bracket)
{
	begin(json, key);
	putc(bracket, json->out);
	json->depth++;
	json->value_before = false;
}

static void close_group(struct pln_json *json, char bracket)
{
	json->depth--;
	if (json->value_before)
		new_line(json);
	putc(bracket, json->out);
	json->value_before = true;
	if (!json->depth)
		putc('\n', json->out);
}

void pln_json_object(struct pln_json *json, const char *key)
{
	open_group(json, key, '{');
}

void pln_json_object_end(struct pln_json *json)
{
	close_group(json, '}');
}

void pln_json_array(struct pln_json *json, const char *key)
{
	open_group(json, key, '[');
}

void pln_json_array_end(struct pln_json *json)
{
	close_group(json, ']');
}

void pln_json_text(struct pln_json *json, const char *key, const char *value)
{
	begin(json, key);
	if (value)
		pln_json_quote(json->out, value);
	else
		fputs("null", json->out);
}

void pln_json_number(struct pln_json *json, const char *key, uint64_t value)
{
	begin(json, key);
	fprintf(json->out, "%" PRIu64, value);
}

void pln_json_signed(struct pln_json *json, const char *key, int64_t value)
{
	begin(json, key);
	fprintf(json->out, "%" PRId64, value);
}

void pln_json_real(struct pln_json *json, const char *key, double value)
{
	if (!isfinite(value)) {
		pln_json_null(json, key);
		return;
	}
	begin(json, key);
	fprintf(json->out, "%.15g", value); /* sums of whole numbers stay whole */
}

void pln_json_bool(struct pln_json *json, const char *key, bool value)
{
	begin(json, key);
	fputs(value ? "true" : "false", json->out);
}

void pln_json_null(struct pln_json *json, const char *key)
{
	begin(json, key);
	fputs("null", json->out);
}
