/* SPDX-License-Identifier: MIT */
/*
 * callgrind.c - what valgrind's tool of that name writes, for KCachegrind and callgrind_annotate.
 *
 * One event for each view of time, that of the export first, in nanoseconds; or one of
 * memory. Costs are by line. A call costs the stacks on which it is the innermost one by its
 * caller, so that a function's own cost and that of its calls are its total, in recursion as
 * well; how often it was called is not known, and the number of samples stands for it. Names
 * are written out where they are first met, and are numbers from then on.
 */
#include "export/export.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pillion/pillion.h>

#include "export/callgraph.h"
#include "export/text.h"
#include "report/names.h"
#include "stacks/intern.h"

#define UNKNOWN "???"

static const struct {
	const char *event;
	const char *title;
} events[] = {
	[PLN_VIEW_CPU] = { "cpu", "CPU time (ns)" },
	[PLN_VIEW_WALL] = { "wall", "wall time (ns)" },
	[PLN_VIEW_OFFCPU] = { "offcpu", "blocked (ns)" },
	[PLN_VIEW_GIL] = { "gil", "with the GIL, or waiting for it (ns)" },
};
#define TIMES (sizeof(events) / sizeof(*events))

struct writer {
	const struct pln_export *export;
	struct pln_callgraph graph;
	struct pln_intern *objects, *files;
	bool *named; /* by node */
	FILE *out;
};

static void name_function(const struct pln_export *e, uint32_t function,
			  struct pln_graph_name *name)
{
	const struct pln_function *f =
		function < e->profile->function_count ? &e->profile->functions[function] : NULL;

	name->object = name->file = UNKNOWN;
	name->name = pln_function_name(e->profile, function);
	if (!f)
		return;
	name->object = f->kind == PLN_FUNCTION_PYTHON ? "Python"
		       : *f->module_path	      ? f->module_path
						      : UNKNOWN;
	if (*f->file)
		name->file = f->file;
}

/* ------------------------------------------------------------------- pieces */

static void put_name(struct writer *w, const char *field, uint32_t id, const char *name)
{
	fprintf(w->out, "%s=(%u)", field, id + 1);
	if (name) {
		putc(' ', w->out);
		pln_text_put(w->out, name, PLN_TEXT_LINE);
	}
	putc('\n', w->out);
}

static int put_text(struct writer *w, const char *field, struct pln_intern *known, const char *text)
{
	bool is_new;
	uint32_t id = pln_intern_add(known, text, strlen(text) + 1, &is_new);

	if (id == PLN_NONE)
		return -ENOMEM;
	put_name(w, field, id, is_new ? text : NULL);
	return 0;
}

/* Object, file and function; the fields' names differ between callers and callees. */
static int put_function(struct writer *w, uint32_t node, const char *const fields[3])
{
	const struct pln_graph_node *n = &w->graph.nodes[node];
	int err = put_text(w, fields[0], w->objects, n->object);

	if (!err)
		err = put_text(w, fields[1], w->files, n->file);
	put_name(w, fields[2], node, w->named[node] ? NULL : n->name);
	w->named[node] = true;
	return err;
}

static void put_costs(struct writer *w, uint32_t line, const uint64_t *values)
{
	pln_text_put_number(w->out, line);
	for (unsigned v = 0; v + 1 < w->graph.values; v++) {
		putc(' ', w->out);
		pln_text_put_number(w->out, values[v]);
	}
	putc('\n', w->out);
}

/* Whether it has any cost; the samples do not count. */
static bool has_any(const struct writer *w, const uint64_t *values)
{
	for (unsigned v = 0; v + 1 < w->graph.values; v++)
		if (values[v])
			return true;
	return false;
}

static int write_call(struct writer *w, const struct pln_graph_call *call)
{
	static const char *const fields[3] = { "cob", "cfi", "cfn" };
	uint64_t samples = call->share[w->graph.values - 1];
	int err = put_function(w, call->callee, fields);

	/* Readers take a call that was made no time for no call. */
	fputs("calls=", w->out);
	pln_text_put_number(w->out, samples ? samples : 1);
	fprintf(w->out, " %u\n", w->graph.nodes[call->callee].line);
	put_costs(w, call->line, call->share);
	return err;
}

/* --------------------------------------------------------------------- file */

static void write_head(struct writer *w, const struct pln_graph_options *options)
{
	const struct pln_export *e = w->export;
	uint64_t sum[PLN_GRAPH_VALUES] = { 0 };

	for (size_t n = 0; n < w->graph.node_count; n++)
		for (unsigned v = 0; v < w->graph.values; v++)
			sum[v] += w->graph.nodes[n].self[v];
	fputs("# callgrind format\nversion: 1\ncreator: pillion-" PILLION_VERSION "\ncmd: ",
	      w->out);
	pln_text_put(w->out, e->profile->recording.command, PLN_TEXT_LINE);
	fputs("\npositions: line\n", w->out);
	if (e->blocks) {
		const char *unit = e->blocks->count ? "blocks" : "bytes";

		fprintf(w->out, "event: %s : %s %s\nevents: %s\n", unit, unit,
			pln_export_view_name(e), unit);
	} else {
		for (unsigned v = 0; v < TIMES; v++)
			fprintf(w->out, "event: %s : %s\n", events[v].event, events[v].title);
		fputs("events:", w->out);
		for (unsigned v = 0; v < options->view_count; v++)
			fprintf(w->out, " %s", events[options->views[v]].event);
		putc('\n', w->out);
	}
	fputs("summary:", w->out);
	for (unsigned v = 0; v + 1 < w->graph.values; v++) {
		putc(' ', w->out);
		pln_text_put_number(w->out, sum[v]);
	}
	putc('\n', w->out);
}

static int by_caller(const void *a, const void *b)
{
	const struct pln_graph_call *ca = a, *cb = b;

	if (ca->caller != cb->caller)
		return ca->caller < cb->caller ? -1 : 1;
	if (ca->line != cb->line)
		return ca->line < cb->line ? -1 : 1;
	return ca->callee < cb->callee ? -1 : ca->callee > cb->callee;
}

static int write_functions(struct writer *w)
{
	static const char *const fields[3] = { "ob", "fl", "fn" };
	const struct pln_callgraph *g = &w->graph;
	size_t line = 0, call = 0;
	int err = 0;

	for (uint32_t n = 0; n < g->node_count && !err; n++) {
		putc('\n', w->out);
		err = put_function(w, n, fields);
		for (; line < g->line_count && g->lines[line].node == n; line++)
			if (has_any(w, g->lines[line].self))
				put_costs(w, g->lines[line].line, g->lines[line].self);
		for (; call < g->call_count && g->calls[call].caller == n && !err; call++)
			if (has_any(w, g->calls[call].share))
				err = write_call(w, &g->calls[call]);
	}
	return err;
}

static int write_file(struct writer *w, const struct pln_graph_options *options)
{
	int err = pln_callgraph_build(&w->graph, w->export, options);

	if (err)
		return err;
	w->objects = pln_intern_new();
	w->files = pln_intern_new();
	w->named = calloc(w->graph.node_count + 1, sizeof(*w->named));
	if (!w->objects || !w->files || !w->named)
		return -ENOMEM;
	if (w->graph.call_count)
		qsort(w->graph.calls, w->graph.call_count, sizeof(*w->graph.calls), by_caller);
	write_head(w, options);
	return write_functions(w);
}

int pln_export_callgrind(const struct pln_export *export, FILE *out)
{
	struct pln_graph_options options = {
		.views = { export->view },
		.view_count = 1,
		.by_line = true,
		.name = name_function,
	};
	struct writer w = { .export = export, .out = out };
	int err;

	for (unsigned v = 0; v < TIMES && !export->blocks; v++)
		if (v != export->view)
			options.views[options.view_count++] = v;
	err = write_file(&w, &options);
	pln_callgraph_free(&w.graph);
	pln_intern_free(w.objects);
	pln_intern_free(w.files);
	free(w.named);
	return err ? err : pln_export_flush(out);
}
