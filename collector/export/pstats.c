/* SPDX-License-Identifier: MIT */
/*
 * pstats.c - what cProfile writes: one marshalled dictionary, for pstats and all that read it.
 *
 *   {(file, line, name): (calls, calls, self, total, {caller: (calls, calls, self, total)})}
 *
 * Times are seconds, as doubles: exact to the nanosecond up to 104 days. There are no calls to
 * count in a sampled profile: what stands for them is the number of samples with the function on
 * the stack. Only those codes of marshal are used that all versions of CPython read. Functions
 * whose source file is not known are ('~', 0, '<name (library)>'), as built-in ones are to
 * cProfile.
 */
#include "export/export.h"

#include <stdlib.h>
#include <string.h>

#include "export/callgraph.h"
#include "report/names.h"

#define NS_PER_S 1e9

/* Codes of marshal. Numbers are little endian. */
enum { DICT = '{', END = '0', TUPLE = '(', TEXT = 'u', INT32 = 'i', INT64 = 'I', REAL = 'g' };

/* In the order of the values of the graph. */
enum { TIME, SAMPLES };

static void put_bytes(FILE *out, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		putc_unlocked((int)(value >> 8 * i & 0xff), out);
}

static void put_tuple(FILE *out, uint32_t items)
{
	putc_unlocked(TUPLE, out);
	put_bytes(out, items, 4);
}

static void put_text(FILE *out, const char *text)
{
	size_t size = strlen(text);

	putc_unlocked(TEXT, out);
	put_bytes(out, size, 4);
	fwrite(text, 1, size, out);
}

static void put_number(FILE *out, uint64_t value)
{
	bool is_small = value <= INT32_MAX;

	putc_unlocked(is_small ? INT32 : INT64, out);
	put_bytes(out, value, is_small ? 4 : 8);
}

static void put_seconds(FILE *out, uint64_t ns)
{
	double seconds = (double)ns / NS_PER_S;
	uint64_t bits;

	memcpy(&bits, &seconds, sizeof(bits));
	putc_unlocked(REAL, out);
	put_bytes(out, bits, 8);
}

static void put_key(FILE *out, const struct pln_graph_node *node)
{
	put_tuple(out, 3);
	put_text(out, node->file);
	put_number(out, node->line);
	put_text(out, node->name);
}

/* The four numbers that functions and callers have; the caller has begun the tuple. */
static void put_costs(FILE *out, const uint64_t *self, const uint64_t *total)
{
	put_number(out, total[SAMPLES]);
	put_number(out, total[SAMPLES]);
	put_seconds(out, self[TIME]);
	put_seconds(out, total[TIME]);
}

static void name_function(const struct pln_export *e, uint32_t function,
			  struct pln_graph_name *name)
{
	const struct pln_function *f =
		function < e->profile->function_count ? &e->profile->functions[function] : NULL;
	const char *text = pln_function_name(e->profile, function);

	if (f && *f->file) {
		name->file = f->file;
		name->line = f->first_line;
		name->name = text;
		return;
	}
	name->file = "~";
	name->name = name->buffer;
	if (f && *f->module)
		snprintf(name->buffer, sizeof(name->buffer), "<%.900s (%.100s)>", text, f->module);
	else
		snprintf(name->buffer, sizeof(name->buffer), "<%.1000s>", text);
}

static int by_callee(const void *a, const void *b)
{
	const struct pln_graph_call *ca = a, *cb = b;

	if (ca->callee != cb->callee)
		return ca->callee < cb->callee ? -1 : 1;
	return ca->caller < cb->caller ? -1 : ca->caller > cb->caller;
}

static void write_graph(const struct pln_callgraph *g, FILE *out)
{
	size_t c = 0;

	putc_unlocked(DICT, out);
	for (uint32_t n = 0; n < g->node_count; n++) {
		put_key(out, &g->nodes[n]);
		put_tuple(out, 5);
		put_costs(out, g->nodes[n].self, g->nodes[n].total);
		putc_unlocked(DICT, out);
		for (; c < g->call_count && g->calls[c].callee == n; c++) {
			put_key(out, &g->nodes[g->calls[c].caller]);
			put_tuple(out, 4);
			put_costs(out, g->calls[c].self, g->calls[c].total);
		}
		putc_unlocked(END, out);
	}
	putc_unlocked(END, out);
}

int pln_export_pstats(const struct pln_export *export, FILE *out)
{
	const struct pln_graph_options options = {
		.views = { export->view },
		.view_count = 1,
		.name = name_function,
	};
	struct pln_callgraph graph;
	int err = pln_callgraph_build(&graph, export, &options);

	if (!err) {
		if (graph.call_count)
			qsort(graph.calls, graph.call_count, sizeof(*graph.calls), by_callee);
		write_graph(&graph, out);
	}
	pln_callgraph_free(&graph);
	return err ? err : pln_export_flush(out);
}
