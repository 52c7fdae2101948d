/* SPDX-License-Identifier: MIT */
/*
 * callgraph.c - see callgraph.h.
 *
 * One walk over the call tree, depth first, without recursion. The path from the root is kept
 * as levels; each node knows its innermost level there. The share of a call is counted when it
 * is met, and taken back for the part of the subtree in which its caller is met again.
 */
#include "export/callgraph.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "export/text.h"
#include "stacks/intern.h"

/* One call on the path from the root to where the walk is. */
struct level {
	uint32_t node;
	uint32_t outer; /* level of the same node further out, or PLN_NONE */
	uint32_t call; /* that led here; PLN_NONE at the root */
};

struct builder {
	struct pln_callgraph *graph;
	const struct pln_export *export;
	const struct pln_graph_options *options;
	struct pln_calltree tree;
	uint64_t *total; /* by call of the tree: an array of values */
	uint32_t *function_node;
	uint32_t *innermost; /* by node: its innermost level, or PLN_NONE */
	struct level *path;
	size_t path_capacity;
	size_t depth; /* levels in use */
	struct pln_intern *line_keys, *call_keys;
	size_t line_capacity, call_capacity, node_capacity;
};

/* Room for item `id` of an array of items of `size` bytes; the new item is zero. */
static void *grow(void *items, size_t *capacity, size_t id, size_t size)
{
	size_t wanted = *capacity ? *capacity * 2 : 256;
	char *grown;

	if (id < *capacity)
		return items;
	grown = realloc(items, wanted * size);
	if (!grown)
		return NULL;
	memset(grown + *capacity * size, 0, (wanted - *capacity) * size);
	*capacity = wanted;
	return grown;
}

/* -------------------------------------------------------------------- names */

/* The line, then three texts with their ends. Returns its size, 0: out of memory. */
static size_t make_key(const struct pln_graph_name *name, char **key)
{
	const char *const texts[3] = { name->object, name->file, name->name };
	size_t size = sizeof(name->line);
	FILE *out = open_memstream(key, &size);
	bool failed = !out;

	if (out)
		fwrite(&name->line, sizeof(name->line), 1, out);
	for (unsigned i = 0; i < 3 && !failed; i++) {
		char *text = pln_text_clean(texts[i]);

		failed = !text || fwrite(text, strlen(text) + 1, 1, out) != 1;
		free(text);
	}
	failed |= out && fclose(out);
	return failed ? 0 : size;
}

static int add_node(struct builder *b, uint32_t id)
{
	struct pln_callgraph *g = b->graph;
	const char *key = pln_intern_key(g->names, id);
	struct pln_graph_node *nodes = grow(g->nodes, &b->node_capacity, id, sizeof(*nodes));

	if (!nodes)
		return -ENOMEM;
	g->nodes = nodes;
	g->node_count = id + 1;
	memcpy(&nodes[id].line, key, sizeof(nodes[id].line));
	nodes[id].object = key + sizeof(nodes[id].line);
	nodes[id].file = nodes[id].object + strlen(nodes[id].object) + 1;
	nodes[id].name = nodes[id].file + strlen(nodes[id].file) + 1;
	return 0;
}

static int name_function(struct builder *b, uint32_t function)
{
	struct pln_graph_name name = { .object = "", .file = "", .name = "" };
	char *key = NULL;
	bool is_new = false;
	uint32_t id = PLN_NONE;
	size_t size;

	b->options->name(b->export, function, &name);
	size = make_key(&name, &key);
	if (size)
		id = pln_intern_add(b->graph->names, key, size, &is_new);
	free(key);
	b->function_node[function] = id;
	if (id == PLN_NONE)
		return -ENOMEM;
	return is_new ? add_node(b, id) : 0;
}

/* Nodes for the functions of the tree alone: a view may have few of them. */
static int name_functions(struct builder *b)
{
	int err = 0;

	for (size_t c = 0; c < b->tree.count && !err; c++) {
		if (b->function_node[b->tree.calls[c].function] == PLN_NONE)
			err = name_function(b, b->tree.calls[c].function);
	}
	return err;
}

/* ------------------------------------------------------------------- values */

static void add_cell(struct builder *b, const struct pln_cell *cell, uint64_t *values)
{
	const struct pln_graph_options *o = b->options;
	bool counts = false;

	for (unsigned v = 0; v < o->view_count; v++) {
		uint64_t weight = pln_cell_weight(cell, o->views[v]);

		values[v] += weight;
		counts |= weight != 0;
	}
	values[o->view_count] += counts ? cell->samples : 0;
}

/* What each call of the tree weighs with all below it. Parents have lower ids. */
static int add_values(struct builder *b)
{
	const struct pln_aggregate *a = b->export->aggregate;
	unsigned values = b->graph->values;

	b->total = calloc(b->tree.count + 1, values * sizeof(*b->total));
	if (!b->total)
		return -ENOMEM;
	for (size_t i = 0; i < a->cell_count; i++) {
		uint32_t stack = a->cells[i].stack;
		uint32_t call = stack == PLN_NONE ? b->tree.no_stack : b->tree.node_call[stack];

		if (call != PLN_NONE)
			add_cell(b, &a->cells[i], &b->total[(size_t)call * values]);
	}
	for (size_t c = b->tree.count; c-- > 0;) {
		uint32_t parent = b->tree.calls[c].parent;

		for (unsigned v = 0; v < values && parent != PLN_NONE; v++)
			b->total[(size_t)parent * values + v] += b->total[c * values + v];
	}
	return 0;
}

static const uint64_t *total_of(const struct builder *b, uint32_t call)
{
	return &b->total[(size_t)call * b->graph->values];
}

static void find_self(const struct builder *b, uint32_t call, uint64_t self[PLN_GRAPH_VALUES])
{
	unsigned values = b->graph->values;

	memcpy(self, total_of(b, call), values * sizeof(*self));
	for (uint32_t c = b->tree.calls[call].first_child; c != PLN_NONE;
	     c = b->tree.calls[c].next_sibling)
		for (unsigned v = 0; v < values; v++)
			self[v] -= total_of(b, c)[v];
}

/* --------------------------------------------------------------------- walk */

static struct pln_graph_line *find_line(struct builder *b, uint32_t node, uint32_t line)
{
	struct pln_callgraph *g = b->graph;
	const uint32_t key[2] = { node, line };
	uint32_t id = pln_intern_add(b->line_keys, key, sizeof(key), NULL);
	struct pln_graph_line *lines =
		id == PLN_NONE ? NULL : grow(g->lines, &b->line_capacity, id, sizeof(*lines));

	if (!lines)
		return NULL;
	g->lines = lines;
	g->line_count = pln_intern_count(b->line_keys);
	lines[id].node = node;
	lines[id].line = line;
	return &lines[id];
}

static uint32_t find_call(struct builder *b, uint32_t caller, uint32_t line, uint32_t callee)
{
	struct pln_callgraph *g = b->graph;
	const uint32_t key[3] = { caller, line, callee };
	uint32_t id = pln_intern_add(b->call_keys, key, sizeof(key), NULL);
	struct pln_graph_call *calls =
		id == PLN_NONE ? NULL : grow(g->calls, &b->call_capacity, id, sizeof(*calls));

	if (!calls)
		return PLN_NONE;
	g->calls = calls;
	g->call_count = pln_intern_count(b->call_keys);
	calls[id].caller = caller;
	calls[id].line = line;
	calls[id].callee = callee;
	return id;
}

static void pop_to(struct builder *b, size_t depth)
{
	while (b->depth > depth) {
		const struct level *top = &b->path[--b->depth];

		b->innermost[top->node] = top->outer;
		if (top->call != PLN_NONE)
			b->graph->calls[top->call].on_path--;
	}
}

static int push(struct builder *b, uint32_t tree_call)
{
	const struct pln_call *call = &b->tree.calls[tree_call];
	uint32_t node = b->function_node[call->function], edge = PLN_NONE;
	struct level *path = grow(b->path, &b->path_capacity, b->depth, sizeof(*path));

	if (!path)
		return -ENOMEM;
	b->path = path;
	if (call->parent != PLN_NONE) {
		edge = find_call(b, path[b->depth - 1].node, b->tree.calls[call->parent].line,
				 node);
		if (edge == PLN_NONE)
			return -ENOMEM;
	}
	path[b->depth] = (struct level){ node, b->innermost[node], edge };
	b->innermost[node] = (uint32_t)b->depth++;
	return 0;
}

/* The newest level of the path, with what its call of the tree weighs. */
static int count_level(struct builder *b, uint32_t tree_call)
{
	const struct level *level = &b->path[b->depth - 1];
	const uint64_t *total = total_of(b, tree_call);
	struct pln_callgraph *g = b->graph;
	struct pln_graph_node *node = &g->nodes[level->node];
	struct pln_graph_call *call = level->call == PLN_NONE ? NULL : &g->calls[level->call];
	struct pln_graph_call *taken = NULL;
	struct pln_graph_line *line = find_line(b, level->node, b->tree.calls[tree_call].line);
	uint64_t self[PLN_GRAPH_VALUES];
	bool first_call = call && !call->on_path++;

	if (!line)
		return -ENOMEM;
	if (level->outer != PLN_NONE)
		taken = &g->calls[b->path[level->outer + 1].call];
	find_self(b, tree_call, self);
	for (unsigned v = 0; v < g->values; v++) {
		node->self[v] += self[v];
		line->self[v] += self[v];
		node->total[v] += level->outer == PLN_NONE ? total[v] : 0;
		if (call) {
			call->self[v] += self[v];
			call->share[v] += total[v];
			call->total[v] += first_call ? total[v] : 0;
		}
		if (taken)
			taken->share[v] -= total[v];
	}
	return 0;
}

static int walk(struct builder *b)
{
	unsigned depth = 0;
	int err = 0;

	for (uint32_t c = b->tree.first_root; c != PLN_NONE && !err;
	     c = pln_calltree_next(&b->tree, c, &depth)) {
		pop_to(b, depth);
		err = push(b, c);
		if (!err)
			err = count_level(b, c);
	}
	pop_to(b, 0);
	return err;
}

static int by_node_then_line(const void *a, const void *b)
{
	const struct pln_graph_line *la = a, *lb = b;

	if (la->node != lb->node)
		return la->node < lb->node ? -1 : 1;
	return la->line < lb->line ? -1 : la->line > lb->line;
}

static int build(struct builder *b)
{
	struct pln_callgraph *g = b->graph;
	size_t functions = b->export->profile->function_count + 1;
	/* All other views of time are parts of wall time. */
	enum pln_view widest = b->options->view_count > 1 ? PLN_VIEW_WALL : b->options->views[0];
	int err = pln_calltree_build(&b->tree, b->export->aggregate, widest, b->options->by_line);

	if (err)
		return err;
	g->names = pln_intern_new();
	b->line_keys = pln_intern_new();
	b->call_keys = pln_intern_new();
	b->function_node = malloc(functions * sizeof(uint32_t));
	b->innermost = malloc(functions * sizeof(uint32_t)); /* nodes are not more than these */
	if (!g->names || !b->line_keys || !b->call_keys || !b->function_node || !b->innermost)
		return -ENOMEM;
	memset(b->function_node, 0xff, functions * sizeof(uint32_t));
	memset(b->innermost, 0xff, functions * sizeof(uint32_t));
	err = name_functions(b);
	if (!err)
		err = add_values(b);
	if (!err)
		err = walk(b);
	if (!err && g->line_count)
		qsort(g->lines, g->line_count, sizeof(*g->lines), by_node_then_line);
	return err;
}

int pln_callgraph_build(struct pln_callgraph *graph, const struct pln_export *export,
			const struct pln_graph_options *options)
{
	struct builder b = { .graph = graph, .export = export, .options = options };
	int err;

	memset(graph, 0, sizeof(*graph));
	graph->values = options->view_count + 1;
	err = build(&b);
	pln_calltree_free(&b.tree);
	pln_intern_free(b.line_keys);
	pln_intern_free(b.call_keys);
	free(b.total);
	free(b.function_node);
	free(b.innermost);
	free(b.path);
	return err;
}

void pln_callgraph_free(struct pln_callgraph *graph)
{
	pln_intern_free(graph->names);
	free(graph->nodes);
	free(graph->lines);
	free(graph->calls);
	memset(graph, 0, sizeof(*graph));
}
