/* SPDX-License-Identifier: MIT */
/*
 * diff_data.c - what the page of a diff is told, in five parts (see parts.h):
 *
 *   model   JSON: the sides, functions, the rows of both tables, what was left out
 *   a, b    JSON: what `pillion info --json` says of either
 *   calls   in depth-first order: their number, and how much less deep than one below the
 *           call before each is; then their functions, which are rows of the table
 *   own     of all calls, what is spent in them: weight in A, in B (nanoseconds or bytes), and
 *           the standard errors of these two, rounded
 *
 * Rows are those of `pillion diff --json`, in its order and with its digits.
 */
#include <errno.h>
#include <math.h>

#include <pillion/pillion.h>

#include "html/diff_calls.h"
#include "html/functions.h"
#include "html/html.h"
#include "html/parts.h"

#define FORMAT 1
#define NODES_MAX 150000u
#define LINES_MAX 20000u

struct writer {
	const struct pln_diff *diff;
	const char *title;
	struct pln_html_diff_calls calls;
	unsigned side; /* the one whose info is written */
};

/* ------------------------------------------------------------------- functions */

/* The one of B, where both have it. */
static void put_function(const struct pln_diff *diff, struct pln_json *json,
			 const struct pln_diff_row *row)
{
	unsigned side = pln_diff_shown_side(row);
	const struct pln_profile *p = diff->side[side]->profile;
	struct pln_html_function f;
	char name[512];

	pln_html_function(&f, p, row->function[side]);
	if (row->unnamed) {
		f.name = f.short_name = pln_diff_name(diff, row, name, sizeof(name));
		f.file = f.short_file = "";
		f.line = 0;
	}
	pln_html_put_function(json, &f);
}

/* One for each row, and the one that small calls are of. */
static void put_functions(const struct pln_diff *diff, struct pln_json *json)
{
	struct pln_html_function small;

	pln_json_array(json, "functions");
	for (size_t i = 0; i < diff->functions.count; i++)
		put_function(diff, json, &diff->functions.rows[i]);
	pln_html_place_function(&small, PLN_HTML_SMALL);
	pln_html_put_function(json, &small);
	pln_json_array_end(json);
}

/* ------------------------------------------------------------------------ rows */

/* Weight and samples in A, in B; change, noise, whether it is beyond that. */
static void put_change(struct pln_json *json, const struct pln_change *change,
		       const struct pln_amount *amount)
{
	pln_json_array(json, NULL);
	for (unsigned side = 0; side < PLN_DIFF_SIDES; side++) {
		pln_json_number(json, NULL, amount[side].weight);
		pln_json_number(json, NULL, amount[side].samples);
	}
	pln_json_real(json, NULL, pln_change_of(change));
	pln_json_real(json, NULL, change->noise);
	pln_json_number(json, NULL, pln_change_is_real(change));
	pln_json_array_end(json);
}

/* Function, line in A, line in B (0: none, or unknown), which sides have it, self, total. */
static void put_row(const struct pln_diff *diff, struct pln_json *json,
		    const struct pln_diff_row *row)
{
	unsigned side = pln_diff_shown_side(row);

	pln_json_array(json, NULL);
	pln_json_number(json, NULL, diff->function_row[side][row->function[side]]);
	pln_json_number(json, NULL, row->line[PLN_DIFF_A]);
	pln_json_number(json, NULL, row->line[PLN_DIFF_B]);
	pln_json_number(json, NULL,
			(row->function[PLN_DIFF_A] != PLN_NONE) +
				2u * (row->function[PLN_DIFF_B] != PLN_NONE));
	put_change(json, &row->self, row->self_amount);
	put_change(json, &row->total, row->total_amount);
	pln_json_array_end(json);
}

static void put_rows(const struct pln_diff *diff, struct pln_json *json, const char *key,
		     const struct pln_diff_table *table, size_t count)
{
	pln_json_array(json, key);
	for (size_t i = 0; i < count; i++)
		put_row(diff, json, &table->rows[i]);
	pln_json_array_end(json);
}

static size_t line_count(const struct pln_diff *diff)
{
	return diff->lines.count < LINES_MAX ? diff->lines.count : LINES_MAX;
}

/* ----------------------------------------------------------------------- model */

/* What noise is made of: see diff/noise.h. */
static void put_side(const struct pln_diff *diff, struct pln_json *json, unsigned side)
{
	const struct pln_report *r = diff->side[side];
	const struct pln_noise_whole *whole = &diff->whole[side];

	pln_json_object(json, NULL);
	pln_json_text(json, "path", r->path);
	pln_json_text(json, "command", r->profile->recording.command);
	pln_json_number(json, "weight", r->totals.all.weight);
	pln_json_number(json, "samples", r->totals.all.samples);
	pln_json_real(json, "variance", whole->variance);
	pln_json_real(json, "mean_square", whole->mean_square);
	pln_json_real(json, "own_variance", whole->own_variance);
	pln_json_object_end(json);
}

/* One sentence for each thing that the page does not have. */
static void put_left_out(const struct writer *w, struct pln_json *json)
{
	const struct pln_html_pruned *pruned = &w->calls.pruned;
	char text[256];

	pln_json_array(json, "left_out");
	if (pruned->left_out) {
		snprintf(text, sizeof(text),
			 "%zu calls of %.2g %% or less of A and of B each are shown as (small "
			 "calls) of their callers.",
			 pruned->left_out, pruned->share * 100);
		pln_json_text(json, NULL, text);
	}
	if (w->diff->lines.count > LINES_MAX) {
		snprintf(text, sizeof(text),
			 "%zu lines are left out, which come last in the order of the table.",
			 w->diff->lines.count - LINES_MAX);
		pln_json_text(json, NULL, text);
	}
	pln_json_array_end(json);
}

static void put_whole(const struct pln_diff *diff, struct pln_json *json)
{
	pln_json_real(json, "standard_errors", diff->functions.limit);
	pln_json_number(json, "comparisons", diff->functions.comparisons);
	pln_json_number(json, "grew", diff->grew);
	pln_json_number(json, "shrank", diff->shrank);
	pln_json_real(json, "whole_change", pln_change_of(&diff->all));
	pln_json_real(json, "whole_noise", diff->all.noise);
	pln_json_bool(json, "whole_beyond_noise", pln_change_is_real(&diff->all));
}

static int put_model(const void *arg, FILE *out)
{
	const struct writer *w = arg;
	const struct pln_diff *diff = w->diff;
	const struct pln_report_options *options = &diff->side[PLN_DIFF_B]->options;
	struct pln_json json = { .out = out };

	pln_json_object(&json, NULL);
	pln_json_number(&json, "format", FORMAT);
	pln_json_text(&json, "made_by", "Pillion " PILLION_VERSION);
	pln_json_text(&json, "title", w->title);
	pln_json_text(&json, "thread_filter", options->filter.threads);
	pln_json_text(&json, "process_filter", options->filter.processes);
	pln_json_text(&json, "view", pln_report_view_names[options->view]);
	pln_json_text(&json, "view_text", pln_view_text(options->view));
	pln_json_bool(&json, "memory", pln_view_is_heap(options->view));
	pln_json_bool(&json, "absolute", diff->options.absolute);
	pln_json_array(&json, "sides");
	put_side(diff, &json, PLN_DIFF_A);
	put_side(diff, &json, PLN_DIFF_B);
	pln_json_array_end(&json);
	put_whole(diff, &json);
	put_functions(diff, &json);
	put_rows(diff, &json, "function_rows", &diff->functions, diff->functions.count);
	put_rows(diff, &json, "line_rows", &diff->lines, line_count(diff));
	put_left_out(w, &json);
	pln_json_object_end(&json);
	return 0;
}

static int put_info(const void *arg, FILE *out)
{
	const struct writer *w = arg;

	pln_info_print_json(w->diff->side[w->side], out);
	return 0;
}

/* ----------------------------------------------------------------------- calls */

/* The function behind the rows is that of small calls. */
static uint32_t function_of(const struct writer *w, size_t call)
{
	uint32_t function = w->calls.pruned.nodes[call].function;
	uint32_t rows = w->calls.tree.first_place;

	return function < rows ? function : rows;
}

static int put_calls(struct pln_buffer *data, const struct writer *w)
{
	struct pln_buffer part = { 0 };
	int err;

	pln_html_put_depths(&part, &w->calls.pruned);
	for (size_t n = 0; n < w->calls.pruned.count; n++)
		pln_put_varint(&part, function_of(w, n));
	err = pln_html_put_part(data, &part);
	pln_buffer_free(&part);
	return err;
}

static int put_own(struct pln_buffer *data, const struct writer *w)
{
	const struct pln_html_diff_own *own = w->calls.own;
	struct pln_buffer part = { 0 };
	int err;

	for (unsigned side = 0; side < PLN_DIFF_SIDES; side++) {
		for (size_t n = 0; n < w->calls.pruned.count; n++)
			pln_put_varint(&part, own[n].weight[side]);
	}
	for (unsigned side = 0; side < PLN_DIFF_SIDES; side++) {
		for (size_t n = 0; n < w->calls.pruned.count; n++)
			pln_put_varint(&part,
				       (uint64_t)fmin(sqrt(own[n].variance[side]) + 0.5, 0x1p53));
	}
	err = pln_html_put_part(data, &part);
	pln_buffer_free(&part);
	return err;
}

int pln_html_diff_data(struct pln_buffer *data, const struct pln_diff *diff, const char *title)
{
	struct writer w = { .diff = diff, .title = title };
	int err = pln_html_diff_calls_build(&w.calls, diff, NODES_MAX);

	pln_html_put_magic(data);
	if (!err)
		err = pln_html_put_text(data, put_model, &w);
	for (w.side = 0; !err && w.side < PLN_DIFF_SIDES; w.side++)
		err = pln_html_put_text(data, put_info, &w);
	if (!err)
		err = put_calls(data, &w);
	if (!err)
		err = put_own(data, &w);
	pln_html_diff_calls_free(&w.calls);
	return err;
}
