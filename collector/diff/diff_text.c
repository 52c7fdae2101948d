/* SPDX-License-Identifier: MIT */
/*
 * diff_text.c - the differences as tables, and what of them is noise.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diff/diff.h"
#include "report/names.h"
#include "report/text_i.h"

enum { FAILED_SHOWN = 5 };

/* ------------------------------------------------------------------------ cells */

static bool is_heap(const struct pln_diff *diff)
{
	return pln_view_is_heap(diff->side[PLN_DIFF_B]->options.view);
}

/* "12.3", of the whole; a duration or bytes when absolute. */
static const char *amount_text(const struct pln_diff *diff, double amount,
			       char buffer[PLN_QUANTITY_SIZE])
{
	uint64_t rounded = amount < 0x1p63 ? (uint64_t)llround(amount) : UINT64_MAX;

	if (!diff->options.absolute)
		snprintf(buffer, PLN_QUANTITY_SIZE, "%.1f", 100 * amount);
	else if (is_heap(diff))
		return pln_bytes_text(buffer, rounded);
	else
		return pln_duration_text(buffer, rounded);
	return buffer;
}

static const char *change_text(const struct pln_diff *diff, const struct pln_change *change,
			       char buffer[PLN_QUANTITY_SIZE])
{
	double d = pln_change_of(change);
	char text[PLN_QUANTITY_SIZE];

	amount_text(diff, fabs(d), text);
	snprintf(buffer, PLN_QUANTITY_SIZE, "%c%.30s", d < 0 ? '-' : '+', text);
	return buffer;
}

static enum pln_style style_of(const struct pln_change *change)
{
	if (!pln_change_is_real(change))
		return PLN_STYLE_DIM;
	return pln_change_of(change) > 0 ? PLN_STYLE_HOT : PLN_STYLE_PYTHON;
}

static void change_cells(const struct pln_diff *diff, struct pln_table *table,
			 const struct pln_change *change)
{
	char text[PLN_QUANTITY_SIZE];

	pln_table_cell(table, style_of(change), "%s", change_text(diff, change, text));
	pln_table_cell(table, PLN_STYLE_DIM, "%s", amount_text(diff, change->noise, text));
}

/* ----------------------------------------------------------------------- header */

static void print_side(const struct pln_diff *diff, unsigned side, const struct pln_screen *screen)
{
	const struct pln_report *r = diff->side[side];
	char weight[PLN_QUANTITY_SIZE], samples[PLN_QUANTITY_SIZE];

	pln_text_field(screen, side == PLN_DIFF_A ? "A" : "B", PLN_STYLE_PLAIN,
		       "%s: %s; %s %s in %s samples", r->path, r->profile->recording.command,
		       pln_text_weight(r, weight, &r->totals.all), pln_view_text(r->options.view),
		       pln_count_text(samples, r->totals.all.samples));
}

static void print_whole(const struct pln_diff *diff, const struct pln_screen *screen)
{
	double a = diff->all.side[PLN_DIFF_A], d = pln_change_of(&diff->all);

	if (a > 0)
		pln_text_field(screen, "whole",
			       style_of(&diff->all) == PLN_STYLE_DIM ? PLN_STYLE_PLAIN
								     : style_of(&diff->all),
			       "%+.1f %%, of which %.1f %% can be sampling", 100 * d / a,
			       100 * diff->all.noise / a);
}

/* How sure a share of a tenth is: what to expect of tables that show nothing. */
static double noise_of_a_tenth(const struct pln_diff *diff)
{
	struct pln_amount tenth[PLN_DIFF_SIDES];

	for (unsigned side = 0; side < PLN_DIFF_SIDES; side++)
		tenth[side] = (struct pln_amount){
			.weight = (uint64_t)(diff->whole[side].weight / 10),
			.variance = diff->whole[side].variance / 10,
		};
	return diff->functions.limit * sqrt(pln_noise_of_change(diff->whole, tenth, false));
}

static void print_noise(const struct pln_diff *diff, const struct pln_screen *screen)
{
	char count[PLN_QUANTITY_SIZE];

	pln_text_field(
		screen, "noise", PLN_STYLE_PLAIN,
		"what sampling alone may do: %.1f standard errors, which one of %s comparisons "
		"exceeds by chance in one of 100 diffs at most. A function with 10 %% is right to "
		"+- %.1f points. What runs of a program differ by themselves, two of the same tell",
		diff->functions.limit, pln_count_text(count, diff->functions.comparisons),
		100 * noise_of_a_tenth(diff));
}

static void print_result(const struct pln_diff *diff, const struct pln_screen *screen)
{
	if (diff->grew || diff->shrank)
		pln_text_field(screen, "result", PLN_STYLE_HEADING,
			       "beyond noise %zu function%s grew and %zu shrank, of %zu",
			       diff->grew, diff->grew == 1 ? "" : "s", diff->shrank,
			       diff->functions.count);
	else
		pln_text_field(screen, "result", PLN_STYLE_HEADING,
			       "nothing is beyond noise, of %zu functions", diff->functions.count);
}

/* ----------------------------------------------------------------------- tables */

static const struct pln_column share_columns[] = {
	{ "A self %", true, PLN_RIGID, 1 },
	{ "B self %", true, PLN_RIGID, 0 },
	{ "change", true, PLN_RIGID, 0 },
	{ "noise", true, PLN_RIGID, 0 },
	{ "total change", true, PLN_RIGID, 0 },
	{ "noise", true, PLN_RIGID, 3 },
	{ "function", false, PLN_ELIDE_NAME, 0 },
	{ "file:line, library", false, PLN_ELIDE_START, 2 },
};

static const struct pln_column absolute_columns[] = {
	{ "A self", true, PLN_RIGID, 1 },
	{ "B self", true, PLN_RIGID, 0 },
	{ "change", true, PLN_RIGID, 0 },
	{ "noise", true, PLN_RIGID, 0 },
	{ "total change", true, PLN_RIGID, 0 },
	{ "noise", true, PLN_RIGID, 3 },
	{ "function", false, PLN_ELIDE_NAME, 0 },
	{ "file:line, library", false, PLN_ELIDE_START, 2 },
};

static struct pln_table *new_table(const struct pln_diff *diff)
{
	return pln_table_new(diff->options.absolute ? absolute_columns : share_columns, 8);
}

static void where_cell(const struct pln_diff *diff, struct pln_table *table,
		       const struct pln_diff_row *row)
{
	unsigned side = pln_diff_shown_side(row);
	const struct pln_profile *p = diff->side[side]->profile;
	char place[PLACE_SIZE];

	if (row->unnamed)
		pln_text_empty_cells(table, 1);
	else if (row->line[side])
		pln_table_cell(table, PLN_STYLE_DIM, "%s",
			       pln_place_text(p, row->function[side], row->line[side], place,
					      sizeof(place)));
	else
		pln_text_where_cell(table, p, row->function[side]);
}

static void add_row(const struct pln_diff *diff, struct pln_table *table,
		    const struct pln_diff_row *row)
{
	bool real = pln_change_is_real(&row->self) || pln_change_is_real(&row->total);
	char text[PLN_QUANTITY_SIZE], name[PLACE_SIZE];

	for (unsigned side = 0; side < PLN_DIFF_SIDES; side++)
		pln_table_cell(table, real ? PLN_STYLE_PLAIN : PLN_STYLE_DIM, "%s",
			       row->function[side] == PLN_NONE
				       ? "-"
				       : amount_text(diff, row->self.side[side], text));
	change_cells(diff, table, &row->self);
	change_cells(diff, table, &row->total);
	pln_table_cell(table, real ? PLN_STYLE_PLAIN : PLN_STYLE_DIM, "%s",
		       pln_diff_name(diff, row, name, sizeof(name)));
	where_cell(diff, table, row);
}

/* A line without a number is a function once more. */
static bool is_shown(const struct pln_diff_row *row, bool lines)
{
	return !lines || row->line[pln_diff_shown_side(row)];
}

static void print_table(const struct pln_diff *diff, const struct pln_diff_table *t,
			const char *title, const struct pln_screen *screen)
{
	bool lines = t == &diff->lines;
	struct pln_table *table = new_table(diff);
	size_t shown = 0, left = 0;

	for (size_t i = 0; i < t->count; i++) {
		if (!is_shown(&t->rows[i], lines))
			continue;
		if (diff->options.limit && shown == diff->options.limit) {
			left++;
			continue;
		}
		add_row(diff, table, &t->rows[i]);
		shown++;
	}
	if (!shown) {
		pln_table_free(table);
		return;
	}
	pln_text_heading(screen, title, "beyond noise first");
	pln_table_print(table, screen);
	pln_text_more(screen, left, lines ? "line" : "function", lines ? "lines" : "functions");
}

static void print_failed(const struct pln_diff *diff, const struct pln_screen *screen)
{
	char name[PLACE_SIZE], change[PLN_QUANTITY_SIZE], noise[PLN_QUANTITY_SIZE];
	size_t shown = 0;

	if (!diff->failed && !diff->whole_failed)
		return;
	pln_text_heading(screen, "Failed", "grew by more than %g %%, noise taken off",
			 100 * diff->options.fail_on);
	if (diff->whole_failed)
		fprintf(screen->out, "  the whole\n");
	for (size_t i = 0; i < diff->functions.count && shown < FAILED_SHOWN; i++) {
		const struct pln_diff_row *row = &diff->functions.rows[i];
		bool self = pln_change_fails(diff, &row->self);
		const struct pln_change *c = self ? &row->self : &row->total;
		char *printable;

		if (!pln_change_fails(diff, c))
			continue;
		printable = pln_printable(pln_diff_name(diff, row, name, sizeof(name)));
		fprintf(screen->out, "  %s: %s %s%s, noise %s\n", printable ? printable : "",
			self ? "self" : "total", change_text(diff, c, change),
			diff->options.absolute ? "" : " points",
			amount_text(diff, c->noise, noise));
		free(printable);
		shown++;
	}
	if (diff->failed > shown)
		fprintf(screen->out, "  and %zu more\n", diff->failed - shown);
}

void pln_diff_text(const struct pln_diff *diff, const struct pln_screen *screen)
{
	print_side(diff, PLN_DIFF_A, screen);
	print_side(diff, PLN_DIFF_B, screen);
	pln_text_field(
		screen, "compared", PLN_STYLE_PLAIN, "%s",
		diff->options.absolute
			? "amounts as they are"
			: "shares of the whole, in percent (--absolute: amounts as they are)");
	print_whole(diff, screen);
	print_noise(diff, screen);
	print_result(diff, screen);
	print_table(diff, &diff->functions, "Functions", screen);
	print_table(diff, &diff->lines, "Lines", screen);
	print_failed(diff, screen);
}
