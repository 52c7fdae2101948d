/* SPDX-License-Identifier: MIT */
/*
 * diff.h - `pillion diff A B`: what grew and what shrank, by function and by line.
 *
 * Functions are the same when name and short file (Python), or name and library without its
 * version (native) are; native code without symbols is one function for each library, as
 * its addresses change with every build. Lines are counted from where their function
 * starts, so that what is edited above them does not matter.
 */
#ifndef PILLION_COLLECTOR_DIFF_H
#define PILLION_COLLECTOR_DIFF_H

#include "diff/noise.h"
#include "report/report.h"

enum { PLN_DIFF_A = 0, PLN_DIFF_B = 1, PLN_DIFF_SIDES = 2 };

/* Shares of the whole (0 to 1); with `absolute` the weights themselves. */
struct pln_change {
	double side[PLN_DIFF_SIDES];
	double noise; /* what the difference may be by chance */
};

struct pln_diff_row {
	/* By side; PLN_NONE: not there. The count of functions: time without a stack. */
	uint32_t function[PLN_DIFF_SIDES];
	uint32_t line[PLN_DIFF_SIDES]; /* 0 in the table of functions, or unknown */
	uint32_t met; /* how many rows were met before it */
	uint32_t depth; /* fewest frames that called it */
	bool python;
	bool program; /* Python code that is no library's */
	bool unnamed; /* all native code of a library that has no symbols */
	struct pln_amount self_amount[PLN_DIFF_SIDES];
	struct pln_amount total_amount[PLN_DIFF_SIDES];
	struct pln_amount own_amount[PLN_DIFF_SIDES];
	struct pln_change self, total;
	/* Of Python: self, and in native code that it called; of the program's, also in libraries.
	 */
	struct pln_change own;
};

struct pln_diff_table {
	struct pln_diff_row *rows; /* beyond noise first, and causes before their callers */
	size_t count;
	uint64_t comparisons; /* those with enough samples to tell anything, self and total */
	double limit; /* standard errors that noise is */
};

struct pln_diff_options {
	bool absolute;
	bool fails; /* a growth of more than `fail_on` is a failure */
	double fail_on; /* share of A's whole, 0.05 for 5 % */
	uint64_t limit; /* rows of a table, 0: all */
};

struct pln_diff {
	const struct pln_report *side[PLN_DIFF_SIDES]; /* built with the same view */
	struct pln_diff_options options;
	struct pln_noise_whole whole[PLN_DIFF_SIDES];
	struct pln_change all; /* absolute */
	struct pln_diff_table functions, lines;
	/* By function of the side, and behind the last one time without a stack: its row of
	 * functions; PLN_NONE: the view has nothing of it. */
	uint32_t *function_row[PLN_DIFF_SIDES];
	size_t grew, shrank; /* functions beyond noise, by self or total */
	/* Functions that grew by more than `fail_on` even without the noise; with `absolute` the
	 * whole may, too. */
	size_t failed;
	bool whole_failed;
};

/* Returns 0 or -errno. pln_diff_free() is due in either case. */
int pln_diff_build(struct pln_diff *diff, const struct pln_report *a, const struct pln_report *b,
		   const struct pln_diff_options *options);
void pln_diff_free(struct pln_diff *diff);

static inline double pln_change_of(const struct pln_change *change)
{
	return change->side[PLN_DIFF_B] - change->side[PLN_DIFF_A];
}

static inline bool pln_change_is_real(const struct pln_change *change)
{
	double d = pln_change_of(change);

	return (d < 0 ? -d : d) > change->noise;
}

/* Whether it grew by more than the diff fails on, whatever the noise. */
bool pln_change_fails(const struct pln_diff *diff, const struct pln_change *change);

/* The side that has the function, B if both. */
static inline unsigned pln_diff_shown_side(const struct pln_diff_row *row)
{
	return row->function[PLN_DIFF_B] != PLN_NONE ? PLN_DIFF_B : PLN_DIFF_A;
}

/* "render", "(libz without symbols)" */
const char *pln_diff_name(const struct pln_diff *diff, const struct pln_diff_row *row, char *buffer,
			  size_t size);

void pln_diff_text(const struct pln_diff *diff, const struct pln_screen *screen);
/* Schema "pillion-diff" version 1. */
void pln_diff_json(const struct pln_diff *diff, FILE *out);
/*
 * "path weight-of-A weight-of-B" for every stack of either, as flamegraph.pl takes it; unless
 * absolute, A is scaled to the sum of B. Returns 0 or -errno.
 */
int pln_diff_folded(const struct pln_diff *diff, FILE *out);

#endif
