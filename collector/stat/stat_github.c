/* SPDX-License-Identifier: MIT */
/*
 * stat_github.c - the figures as Markdown, and warnings as workflow commands.
 *
 * Names come from the program: characters that Markdown or HTML take for markup are written as
 * character references, which GitHub shows and never interprets.
 */
#include <stdlib.h>
#include <string.h>

#include "report/names.h"
#include "stat/stat.h"

static void put_text(FILE *out, const char *text)
{
	char *printable = pln_printable(text);

	for (const char *c = printable ? printable : ""; *c; c++) {
		if (strchr("&<>|*_`[]~\\#!", *c))
			fprintf(out, "&#%d;", *c);
		else
			putc(*c, out);
	}
	free(printable);
}

static void put_code(FILE *out, const char *text)
{
	fputs("<code>", out);
	put_text(out, text);
	fputs("</code>", out);
}

static void put_rows(const struct pln_stat *stat, FILE *out)
{
	fputs("| | | |\n|---|---:|---|\n", out);
	for (size_t i = 0; i < stat->row_count; i++) {
		fprintf(out, "| %s | %s | ", stat->rows[i].name, stat->rows[i].value);
		put_text(out, stat->rows[i].remark);
		fputs(" |\n", out);
	}
}

static void put_functions(const struct pln_stat *stat, FILE *out)
{
	const struct pln_report *r = stat->report;

	if (!stat->function_count)
		return;
	fputs("\n| self | total | time | function | where |\n|---:|---:|---:|---|---|\n", out);
	for (size_t i = 0; i < stat->function_count; i++) {
		uint32_t id = stat->functions[i];
		const struct pln_cost *cost = &r->totals.functions[id];
		char self[PLN_QUANTITY_SIZE], total[PLN_QUANTITY_SIZE], time[PLN_QUANTITY_SIZE];
		char name[512], where[512];

		fprintf(out, "| %s %% | %s %% | %s | ",
			pln_percent_text(self, cost->self.weight, r->totals.all.weight),
			pln_percent_text(total, cost->total.weight, r->totals.all.weight),
			pln_duration_text(time, cost->self.ns));
		put_code(out, pln_short_function_name(r->profile, id, name, sizeof(name)));
		fputs(" | ", out);
		put_text(out, pln_where_text(r->profile, id, false, where, sizeof(where)));
		fputs(" |\n", out);
	}
}

void pln_stat_github(const struct pln_stat *stat, FILE *out)
{
	fputs("### Pillion: ", out);
	put_code(out, stat->report->profile->recording.command);
	fputs("\n\n", out);
	put_rows(stat, out);
	put_functions(stat, out);
	for (size_t i = 0; i < stat->warning_count; i++) {
		fputs("\n> [!WARNING]\n> ", out);
		put_text(out, stat->warnings[i]);
		putc('\n', out);
	}
	putc('\n', out);
}

/* A line break would end the command, and what follows could be another one. */
void pln_stat_github_warnings(const struct pln_stat *stat, FILE *out)
{
	for (size_t i = 0; i < stat->warning_count; i++) {
		fputs("::warning title=Pillion::", out);
		for (const char *c = stat->warnings[i]; *c; c++) {
			if (*c == '%' || *c == '\r' || *c == '\n')
				fprintf(out, "%%%02X", (unsigned)*c);
			else
				putc(*c, out);
		}
		putc('\n', out);
	}
}
