/* SPDX-License-Identifier: MIT */
/*
 * diff_calls.h - the calls of two profiles as one tree.
 *
 * Calls are the same when their functions are rows of one table of the diff, and their callers
 * are the same; lines are not told apart, as they move with every edit. What only one
 * profile has is in it, too. Weights are of the diff's view, so that what is
 * spent in all calls of a function is what the diff says of it.
 */
#ifndef PILLION_COLLECTOR_HTML_DIFF_CALLS_H
#define PILLION_COLLECTOR_HTML_DIFF_CALLS_H

#include "diff/diff.h"
#include "html/prune.h"

static_assert((unsigned)PLN_DIFF_SIDES == (unsigned)PLN_HTML_WEIGHTS, "a weight for each side");

/* What is spent in a call itself. */
struct pln_html_diff_own {
	uint64_t weight[PLN_DIFF_SIDES];
	double variance[PLN_DIFF_SIDES]; /* as struct pln_amount has it */
};

struct pln_html_diff_calls {
	struct pln_html_tree tree; /* functions: rows of the diff's */
	struct pln_html_pruned pruned;
	struct pln_html_diff_own *own; /* by call of the page */
};

/* Returns 0 or -errno. pln_html_diff_calls_free() is due in either case. */
int pln_html_diff_calls_build(struct pln_html_diff_calls *calls, const struct pln_diff *diff,
			      size_t nodes_max);
void pln_html_diff_calls_free(struct pln_html_diff_calls *calls);

#endif
