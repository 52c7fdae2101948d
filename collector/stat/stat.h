/* SPDX-License-Identifier: MIT */
/*
 * stat.h - `pillion stat`: a run in some twenty figures and its heaviest functions.
 *
 * The figures are computed once, as rows of text for the terminal and for GitHub; JSON has
 * the numbers behind them.
 */
#ifndef PILLION_COLLECTOR_STAT_H
#define PILLION_COLLECTOR_STAT_H

#include "report/report.h"

enum { PLN_STAT_ROWS = 24, PLN_STAT_WARNINGS = 16 };

struct pln_stat_row {
	const char *name;
	char value[PLN_QUANTITY_SIZE];
	char remark[160];
};

struct pln_stat {
	const struct pln_report *report; /* built with the view CPU */
	struct pln_stat_row rows[PLN_STAT_ROWS];
	size_t row_count;
	/* What a reader should know before believing the rest. */
	char warnings[PLN_STAT_WARNINGS][256];
	size_t warning_count;
	uint32_t *functions; /* by self; malloc()ed */
	size_t function_count;
};

void pln_stat_build(struct pln_stat *stat, const struct pln_report *report);
void pln_stat_free(struct pln_stat *stat);

void pln_stat_text(const struct pln_stat *stat, const struct pln_screen *screen);
/* Schema "pillion-stat" version 1. */
void pln_stat_json(const struct pln_stat *stat, FILE *out);
/* Markdown, as a job summary of GitHub Actions wants it. */
void pln_stat_github(const struct pln_stat *stat, FILE *out);
/* A workflow command "::warning ...::" for each warning. */
void pln_stat_github_warnings(const struct pln_stat *stat, FILE *out);

#endif
