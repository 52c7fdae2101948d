/* SPDX-License-Identifier: MIT */
/*
 * calltree.h - the stack tree with equal functions merged.
 *
 * In the profile's own tree two calls of one function from different lines, or native
 * frames at different addresses of one function, are different nodes. Here they are one
 * call, and inlined functions are calls of their own. The tree of report --tree, and the
 * paths of the folded export.
 */
#ifndef PILLION_COLLECTOR_CALLTREE_H
#define PILLION_COLLECTOR_CALLTREE_H

#include "report/totals.h"

struct pln_call {
	uint32_t parent; /* lower than its own id; PLN_NONE at a root */
	uint32_t function; /* function_count: time without a stack */
	uint32_t line; /* 0 unless asked for */
	uint32_t first_child; /* most total time first */
	uint32_t next_sibling;
	struct pln_amount self;
	struct pln_amount total;
};

struct pln_calltree {
	struct pln_call *calls;
	size_t count;
	uint32_t first_root;
	uint32_t
		*node_call; /* by stack node: its innermost call; PLN_NONE: no weight leads there */
	uint32_t no_stack; /* the call of time without a stack, or PLN_NONE */
};

/* With `by_line`, calls at different lines stay apart. Returns 0 or -errno;
 * pln_calltree_free() is due in either case. */
int pln_calltree_build(struct pln_calltree *tree, const struct pln_aggregate *aggregate,
		       enum pln_view view, bool by_line);
void pln_calltree_free(struct pln_calltree *tree);

/* The call behind `call` in depth-first order, or PLN_NONE; *depth follows (0 at roots). */
uint32_t pln_calltree_next(const struct pln_calltree *tree, uint32_t call, unsigned *depth);

#endif
