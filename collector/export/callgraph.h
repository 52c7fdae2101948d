/* SPDX-License-Identifier: MIT */
/*
 * callgraph.h - who calls whom, for formats that have no stacks.
 *
 *   node   functions that the format cannot tell apart: of one name in one file and object
 *   line   what a line of a node costs itself
 *   call   from a line of one node to another node
 *
 * Each has an array of values, one for each view asked for; the last one is samples. A node's
 *
 *   self    is what it costs itself, as in the report
 *   total   is that of all stacks that it is on, once each, as in the report
 *
 * and of a call
 *
 *   self    is what the callee costs itself there
 *   total   is that of all stacks that it is on, once each
 *   share   is that of the stacks on which it is the innermost call by its caller: so the
 *           self of a node and the shares of its calls add up to its total, recursion or not
 */
#ifndef PILLION_COLLECTOR_EXPORT_CALLGRAPH_H
#define PILLION_COLLECTOR_EXPORT_CALLGRAPH_H

#include "export/export.h"

#define PLN_GRAPH_VALUES 5u

struct pln_intern;

/* How a format knows a function. The texts need not outlive the call. */
struct pln_graph_name {
	const char *object; /* library */
	const char *file;
	const char *name;
	uint32_t line;
	char buffer[1024]; /* for texts that are put together */
};
/* `function` may be the one behind the last: time without a stack. */
typedef void pln_graph_name_fn(const struct pln_export *export, uint32_t function,
			       struct pln_graph_name *name);

struct pln_graph_node {
	const char *object, *file, *name; /* in UTF-8 */
	uint32_t line;
	uint64_t self[PLN_GRAPH_VALUES];
	uint64_t total[PLN_GRAPH_VALUES];
};

struct pln_graph_line {
	uint32_t node;
	uint32_t line; /* 0: unknown */
	uint64_t self[PLN_GRAPH_VALUES];
};

struct pln_graph_call {
	uint32_t caller;
	uint32_t line; /* of the caller; 0: unknown, or not asked for */
	uint32_t callee;
	uint32_t on_path; /* while the graph is built */
	uint64_t self[PLN_GRAPH_VALUES];
	uint64_t total[PLN_GRAPH_VALUES];
	uint64_t share[PLN_GRAPH_VALUES];
};

struct pln_graph_options {
	enum pln_view views[PLN_GRAPH_VALUES - 1];
	unsigned view_count;
	bool by_line;
	pln_graph_name_fn *name;
};

struct pln_callgraph {
	unsigned values; /* in use; the last one is samples */
	struct pln_graph_node *nodes;
	size_t node_count;
	struct pln_graph_line *lines; /* by node, then line */
	size_t line_count;
	struct pln_graph_call *calls; /* in no order */
	size_t call_count;
	struct pln_intern *names; /* owns the texts */
};

/* Returns 0 or -errno; pln_callgraph_free() is due in either case. */
int pln_callgraph_build(struct pln_callgraph *graph, const struct pln_export *export,
			const struct pln_graph_options *options);
void pln_callgraph_free(struct pln_callgraph *graph);

#endif
