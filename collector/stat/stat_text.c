/* SPDX-License-Identifier: MIT */
/*
 * stat_text.c - the figures for a terminal.
 */
#include "report/names.h"
#include "report/text_i.h"
#include "stat/stat.h"

#define LEAST_REMARK 24 /* columns */

static const struct pln_column row_columns[] = {
	{ "", false, PLN_RIGID, 0 },
	{ "", true, PLN_RIGID, 0 },
	{ "", false, PLN_ELIDE_END, 0 },
};

static const struct pln_column function_columns[] = {
	{ "self %", true, PLN_RIGID, 0 },
	{ "total %", true, PLN_RIGID, 0 },
	{ "self", true, PLN_RIGID, 2 },
	{ "function", false, PLN_ELIDE_NAME, 0 },
	{ "file:line, library", false, PLN_ELIDE_START, 1 },
};

/* Columns that names and values leave. */
static unsigned remark_width(const struct pln_stat *stat, const struct pln_screen *screen)
{
	unsigned name = 0, value = 0, used;

	for (size_t i = 0; i < stat->row_count; i++) {
		unsigned n = pln_text_width(stat->rows[i].name);
		unsigned v = pln_text_width(stat->rows[i].value);

		name = n > name ? n : name;
		value = v > value ? v : value;
	}
	used = 2 + name + 2 + value + 2;
	return screen->width > used + LEAST_REMARK ? screen->width - used : LEAST_REMARK;
}

/* A remark goes on in further rows where it is too long for one. */
static void print_rows(const struct pln_stat *stat, const struct pln_screen *screen)
{
	struct pln_table *table = pln_table_new(row_columns, 3);
	unsigned width = remark_width(stat, screen);

	for (size_t i = 0; i < stat->row_count; i++) {
		const char *rest = stat->rows[i].remark;
		size_t size = pln_text_line_bytes(rest, width);

		pln_table_cell(table, PLN_STYLE_PLAIN, "%s", stat->rows[i].name);
		pln_table_cell(table, PLN_STYLE_HEADING, "%s", stat->rows[i].value);
		pln_table_cell(table, PLN_STYLE_DIM, "%.*s", (int)size, rest);
		for (rest += size; *rest; rest += size) {
			rest += *rest == ' ';
			size = pln_text_line_bytes(rest, width);
			pln_text_empty_cells(table, 2);
			pln_table_cell(table, PLN_STYLE_DIM, "%.*s", (int)size, rest);
		}
	}
	pln_table_print(table, screen);
}

static void print_functions(const struct pln_stat *stat, const struct pln_screen *screen)
{
	const struct pln_report *r = stat->report;
	struct pln_table *table;
	char name[PLACE_SIZE];

	if (!stat->function_count)
		return;
	pln_text_heading(screen, "Functions", "by their own CPU time");
	table = pln_table_new(function_columns, 5);
	for (size_t i = 0; i < stat->function_count; i++) {
		uint32_t id = stat->functions[i];
		const struct pln_cost *cost = &r->totals.functions[id];

		pln_text_percent_cell(table, cost->self.weight, r->totals.all.weight);
		pln_text_percent_cell(table, cost->total.weight, r->totals.all.weight);
		pln_text_duration_cell(table, cost->self.weight);
		pln_table_cell(table, PLN_STYLE_PLAIN, "%s",
			       pln_short_function_name(r->profile, id, name, sizeof(name)));
		pln_text_where_cell(table, r->profile, id);
	}
	pln_table_print(table, screen);
}

void pln_stat_text(const struct pln_stat *stat, const struct pln_screen *screen)
{
	pln_text_title(stat->report, screen);
	print_rows(stat, screen);
	for (size_t i = 0; i < stat->warning_count; i++)
		pln_text_field(screen, "warning", PLN_STYLE_WARNING, "%s", stat->warnings[i]);
	print_functions(stat, screen);
}
