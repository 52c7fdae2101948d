/* SPDX-License-Identifier: MIT */
/*
 * diff_json.c - the differences as JSON, schema "pillion-diff" version 1.
 *
 * "a", "b", "change" and "noise" are shares of the whole from 0 to 1 or, with "absolute",
 * nanoseconds or bytes. "a_weight" and "b_weight" are always the latter. Keys are only ever added
 * within a schema version.
 */
#include "diff/diff.h"
#include "report/names.h"

#define SCHEMA_VERSION 1

static void change(struct pln_json *json, const struct pln_diff *diff, const char *key,
		   const struct pln_change *c, const struct pln_amount *amount)
{
	pln_json_object(json, key);
	pln_json_real(json, "a", c->side[PLN_DIFF_A]);
	pln_json_real(json, "b", c->side[PLN_DIFF_B]);
	pln_json_real(json, "change", pln_change_of(c));
	pln_json_real(json, "noise", c->noise);
	pln_json_bool(json, "beyond_noise", pln_change_is_real(c));
	pln_json_bool(json, "failed", pln_change_fails(diff, c));
	if (amount) {
		pln_json_number(json, "a_weight", amount[PLN_DIFF_A].weight);
		pln_json_number(json, "b_weight", amount[PLN_DIFF_B].weight);
		pln_json_number(json, "a_samples", amount[PLN_DIFF_A].samples);
		pln_json_number(json, "b_samples", amount[PLN_DIFF_B].samples);
	}
	pln_json_object_end(json);
}

static void line_number(struct pln_json *json, const char *key, uint32_t line)
{
	if (line)
		pln_json_number(json, key, line);
	else
		pln_json_null(json, key);
}

static void row(struct pln_json *json, const struct pln_diff *diff, const struct pln_diff_row *r,
		bool lines)
{
	unsigned side = pln_diff_shown_side(r);

	pln_json_object(json, NULL);
	pln_json_function(json, diff->side[side]->profile, r->function[side]);
	pln_json_bool(json, "in_a", r->function[PLN_DIFF_A] != PLN_NONE);
	pln_json_bool(json, "in_b", r->function[PLN_DIFF_B] != PLN_NONE);
	if (lines) {
		line_number(json, "a_line", r->line[PLN_DIFF_A]);
		line_number(json, "b_line", r->line[PLN_DIFF_B]);
	}
	change(json, diff, "self", &r->self, r->self_amount);
	change(json, diff, "total", &r->total, r->total_amount);
	pln_json_object_end(json);
}

static void table(struct pln_json *json, const struct pln_diff *diff, const char *key,
		  const struct pln_diff_table *t)
{
	uint64_t limit = diff->options.limit;

	pln_json_array(json, key);
	for (size_t i = 0; i < t->count && (!limit || i < limit); i++)
		row(json, diff, &t->rows[i], t == &diff->lines);
	pln_json_array_end(json);
}

static void side(struct pln_json *json, const char *key, const struct pln_report *r)
{
	pln_json_object(json, key);
	pln_json_text(json, "profile", r->path);
	pln_json_text(json, "command", r->profile->recording.command);
	pln_json_number(json, "weight", r->totals.all.weight);
	pln_json_number(json, "samples", r->totals.all.samples);
	pln_json_object_end(json);
}

void pln_diff_json(const struct pln_diff *diff, FILE *out)
{
	struct pln_json json = { .out = out, .pretty = true };
	const struct pln_report *b = diff->side[PLN_DIFF_B];

	pln_json_object(&json, NULL);
	pln_json_text(&json, "schema", "pillion-diff");
	pln_json_number(&json, "schema_version", SCHEMA_VERSION);
	pln_json_text(&json, "view", pln_report_view_names[b->options.view]);
	pln_json_text(&json, "unit", pln_view_is_heap(b->options.view) ? "bytes" : "ns");
	pln_json_bool(&json, "absolute", diff->options.absolute);
	side(&json, "a", diff->side[PLN_DIFF_A]);
	side(&json, "b", b);
	change(&json, diff, "whole", &diff->all, NULL);
	pln_json_number(&json, "comparisons", diff->functions.comparisons);
	pln_json_real(&json, "standard_errors", diff->functions.limit);
	pln_json_number(&json, "grew", diff->grew);
	pln_json_number(&json, "shrank", diff->shrank);
	if (diff->options.fails)
		pln_json_real(&json, "fail_on", diff->options.fail_on);
	else
		pln_json_null(&json, "fail_on");
	pln_json_bool(&json, "failed", diff->failed || diff->whole_failed);
	table(&json, diff, "functions", &diff->functions);
	table(&json, diff, "lines", &diff->lines);
	pln_json_object_end(&json);
}
