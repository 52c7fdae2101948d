/* SPDX-License-Identifier: MIT */
/*
 * prune.h - the calls that go into the page, in depth-first order.
 *
 * Where there are more than a page is good for, those that weigh the least, in time and in
 * memory (in a diff: in A and in B), are put together under each call that called them: nothing is
 * lost from any sum.
 */
#ifndef PILLION_COLLECTOR_HTML_PRUNE_H
#define PILLION_COLLECTOR_HTML_PRUNE_H

#include "html/tree.h"

struct pln_html_page_node {
	uint32_t depth; /* 0 at a root; at most one more than that of the node before */
	uint32_t function; /* as in struct pln_html_node */
	uint32_t line;
	bool guessed;
};

struct pln_html_pruned {
	struct pln_html_page_node *nodes;
	size_t count;
	uint32_t *page_node; /* by node of the tree: that of the page that it is part of */
	size_t left_out; /* nodes of the tree that are part of others */
	double share; /* of all of either weight, that each of them has at most */
};

/* Returns 0 or -errno. pln_html_pruned_free() is due in either case. */
int pln_html_prune(struct pln_html_pruned *pruned, const struct pln_html_tree *tree,
		   size_t nodes_max);
void pln_html_pruned_free(struct pln_html_pruned *pruned);

#endif
