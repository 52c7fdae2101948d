/* SPDX-License-Identifier: MIT */
/*
 * tree.h - the calls of a profile as the page shows them.
 *
 * Like report/calltree.h with lines kept apart, and for all views at once: a call that has
 * time in one view and memory in another is one node. What a thread waits for hangs below the
 * call that waits, as a node of its own, so that waits can be seen among calls and left out again.
 */
#ifndef PILLION_COLLECTOR_HTML_TREE_H
#define PILLION_COLLECTOR_HTML_TREE_H

#include "report/report.h"
#include "stacks/intern.h"

/* Functions that are none: their ids lie behind those of the profile. */
enum pln_html_place {
	PLN_HTML_NO_STACK,
	PLN_HTML_SMALL, /* calls that weigh too little to be told apart */
	PLN_HTML_RUNNABLE, /* waits for a CPU */
	PLN_HTML_GIL, /* waits for the GIL */
	PLN_HTML_ELSEWHERE, /* blocked in no system call */
	PLN_HTML_SYSCALL, /* blocked in system call 0, those behind it in the others */
};
#define PLN_HTML_SYSCALLS 1024u
#define PLN_HTML_PLACES (PLN_HTML_SYSCALL + PLN_HTML_SYSCALLS)

/* What a call has, to tell large from small; in the tree of a diff: what it has in A and in B. */
enum {
	PLN_HTML_NS = 0, /* wall time */
	PLN_HTML_BYTES = 1, /* allocated, roughly */
	PLN_HTML_WEIGHTS = 2,
};

/* What tells a call from others. */
struct pln_html_call {
	uint32_t parent; /* PLN_NONE: it is a root */
	uint32_t function;
	uint32_t line;
	uint32_t guessed;
};

struct pln_html_node {
	uint32_t parent; /* lower than its own id; PLN_NONE at a root */
	uint32_t function; /* below first_place, or first_place + enum pln_html_place */
	uint32_t line; /* 0: unknown */
	bool guessed;
	/* Of all kept threads; with all below it once the tree is built. */
	uint64_t weight[PLN_HTML_WEIGHTS];
};

struct pln_html_tree {
	const struct pln_profile *profile; /* NULL: the tree of a diff */
	uint32_t first_place; /* how many functions there are */
	struct pln_intern *keys;
	struct pln_html_node *nodes;
	size_t count;
	size_t capacity;
	uint32_t *stack_node; /* by stack: its innermost call; PLN_NONE: nothing is there */
	uint64_t weight[PLN_HTML_WEIGHTS]; /* sums over all */
};

/* Returns 0 or -errno. pln_html_tree_free() is due in either case. */
int pln_html_tree_build(struct pln_html_tree *tree, const struct pln_report *report);
void pln_html_tree_free(struct pln_html_tree *tree);

/* For whoever builds another one: the node of a call, added when it is new; PLN_NONE: out of
 * memory. */
uint32_t pln_html_tree_add(struct pln_html_tree *tree, const struct pln_html_call *call);
/* Adds each node's weight to its callers', and to the sums over all. */
void pln_html_tree_sum_up(struct pln_html_tree *tree);

/* Where time is that a thread spends off a CPU. */
enum pln_html_place pln_html_wait_place(uint32_t gil, int32_t syscall_nr);

/* The node of a stack (PLN_NONE: of none); PLN_NONE when the tree has none. */
uint32_t pln_html_tree_call(const struct pln_html_tree *tree, uint32_t stack);
/* The node of a wait below it. */
uint32_t pln_html_tree_wait(const struct pln_html_tree *tree, uint32_t stack,
			    enum pln_html_place place);

#endif
