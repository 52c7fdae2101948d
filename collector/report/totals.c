/* SPDX-License-Identifier: MIT */
/*
 * totals.c - cells over the stack tree.
 *
 * Amounts are put on the innermost node of each stack, which gives every self time; then
 * summed towards the root, which gives each node its subtree; then one walk down the tree
 * adds a node's subtree to what is met there for the first time on the path. Each step is
 * linear in the number of nodes, whatever the depth of the stacks.
 */
#include "report/totals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/names.h"
#include "stacks/intern.h"

/* What the passes share, gone when they are done. */
struct work {
	struct pln_totals *totals;
	struct pln_profile *profile;
	struct pln_amount *nodes; /* by stack node: first its own, then its subtree */
	uint32_t *first_child; /* by stack node */
	uint32_t *next_sibling;
	uint32_t *functions_on_path; /* by function: how often on the path walked */
	uint32_t *lines_on_path;
	uint32_t *libraries_on_path;
	uint32_t *program_line; /* by stack node: nearest line of the program, or PLN_NONE */
	struct pln_intern *keys;
};

void pln_amount_add(struct pln_amount *to, const struct pln_amount *what)
{
	to->weight += what->weight;
	to->hold_ns += what->hold_ns;
	to->wait_ns += what->wait_ns;
	to->samples += what->samples;
	to->blocks += what->blocks;
	to->variance += what->variance;
	to->kinds |= what->kinds;
}

struct pln_amount pln_cell_amount(const struct pln_cell *cell, enum pln_view view)
{
	uint64_t ns = pln_cell_weight(cell, view);

	return (struct pln_amount){ .ns = ns,
				    .hold_ns = cell->gil == PILLION_GIL_HOLDS ? ns : 0,
				    .wait_ns = cell->gil == PILLION_GIL_WAITS ? ns : 0,
				    .samples = ns ? cell->samples : 0,
				    .variance = pln_cell_variance(cell, view) };
}

static struct pln_amount heap_amount(const struct pln_heap_cell *cell)
{
	return (struct pln_amount){ .bytes = cell->sum.bytes,
				    .samples = cell->samples,
				    .blocks = (double)cell->sum.blocks,
				    .variance = cell->variance,
				    .kinds = 1u << cell->kind };
}

size_t pln_part_count(const struct pln_aggregate *aggregate, enum pln_view view)
{
	return pln_view_is_heap(view) ? aggregate->heap_cell_count : aggregate->cell_count;
}

struct pln_part pln_part_at(const struct pln_aggregate *aggregate, enum pln_view view, size_t index)
{
	if (pln_view_is_heap(view)) {
		const struct pln_heap_cell *cell = &aggregate->heap_cells[index];

		return (struct pln_part){ cell->stack, heap_amount(cell) };
	}
	return (struct pln_part){ aggregate->cells[index].stack,
				  pln_cell_amount(&aggregate->cells[index], view) };
}

/* ---------------------------------------------------------- libraries, lines */

static int by_module_path(const void *a, const void *b, void *functions)
{
	const struct pln_function *fa = (struct pln_function *)functions + *(const uint32_t *)a;
	const struct pln_function *fb = (struct pln_function *)functions + *(const uint32_t *)b;

	if (fa->kind != fb->kind)
		return fa->kind < fb->kind ? -1 : 1;
	return fa->kind == PLN_FUNCTION_PYTHON ? 0 : strcmp(fa->module_path, fb->module_path);
}

static bool same_library(const struct pln_function *a, const struct pln_function *b)
{
	return a->kind == b->kind &&
	       (a->kind == PLN_FUNCTION_PYTHON || !strcmp(a->module_path, b->module_path));
}

static int name_libraries(struct pln_totals *t)
{
	size_t count = t->profile->function_count;
	uint32_t *order = malloc((count + 1) * sizeof(*order));

	/* Each function may have a library of its own, and time without a stack has one. */
	t->libraries = calloc(count + 1, sizeof(*t->libraries));
	t->function_library = malloc((count + 1) * sizeof(*t->function_library));
	if (!order || !t->libraries || !t->function_library) {
		free(order);
		return -ENOMEM;
	}
	for (uint32_t f = 0; f < count; f++)
		order[f] = f;
	qsort_r(order, count, sizeof(*order), by_module_path, t->profile->functions);
	for (size_t i = 0; i < count; i++) {
		const struct pln_function *f = &t->profile->functions[order[i]];

		if (!i || !same_library(f, &t->profile->functions[order[i - 1]])) {
			bool python = f->kind == PLN_FUNCTION_PYTHON;

			t->libraries[t->library_count++] = (struct pln_library){
				.name = python ? NULL : f->module,
				.path = python ? "" : f->module_path,
			};
		}
		t->function_library[order[i]] = (uint32_t)t->library_count - 1;
	}
	t->libraries[t->library_count] = (struct pln_library){ .name = "(no stack)", .path = "" };
	t->function_library[count] = (uint32_t)t->library_count++;
	free(order);
	return 0;
}

static int name_lines(struct pln_totals *t)
{
	const struct pln_profile *p = t->profile;
	struct pln_intern *keys = pln_intern_new();
	int err = -ENOMEM;

	t->lines = calloc(p->location_count + 1, sizeof(*t->lines));
	t->location_line = malloc((p->location_count + 1) * sizeof(*t->location_line));
	if (!keys || !t->lines || !t->location_line)
		goto out;
	for (size_t i = 0; i < p->location_count; i++) {
		const struct pln_location *location = &p->locations[i];
		bool is_new;
		uint32_t id = pln_intern_add(keys, location, sizeof(*location), &is_new);

		if (id == PLN_NONE)
			goto out;
		t->location_line[i] = id;
		if (is_new) {
			t->lines[id].function = location->function;
			t->lines[id].line = location->line;
		}
	}
	t->line_count = pln_intern_count(keys);
	err = 0;
out:
	pln_intern_free(keys);
	return err;
}

/* A parent has a lower id than its children, so one pass in order of ids is enough. */
static void find_python_lines(struct pln_totals *t)
{
	const struct pln_profile *p = t->profile;

	for (uint32_t n = 0; n < p->stack_count; n++) {
		const struct pln_stack_node *node = &p->stacks[n];

		if (p->frames[node->frame].kind == PLN_FRAME_PYTHON)
			t->node_python_line[n] =
				t->location_line[p->frame_first_location[node->frame]];
		else if (node->parent != PLN_NONE)
			t->node_python_line[n] = t->node_python_line[node->parent];
		else
			t->node_python_line[n] = PLN_NONE;
	}
}

/* The same of lines of the program alone. */
static void find_program_lines(struct work *w)
{
	const struct pln_totals *t = w->totals;
	const struct pln_profile *p = w->profile;

	for (uint32_t f = 0; f < p->function_count; f++)
		t->function_program[f] = p->functions[f].kind == PLN_FUNCTION_PYTHON &&
					 !pln_is_library_file(p->functions[f].file);
	for (uint32_t n = 0; n < p->stack_count; n++) {
		uint32_t parent = p->stacks[n].parent, line = t->node_python_line[n];

		if (line != PLN_NONE && t->function_program[t->lines[line].function])
			w->program_line[n] = line;
		else
			w->program_line[n] =
				parent == PLN_NONE ? PLN_NONE : w->program_line[parent];
	}
}

/* --------------------------------------------------------------------- self */

static struct pln_caller *find_caller(struct work *w, uint32_t function, uint32_t line)
{
	struct pln_totals *t = w->totals;
	const uint32_t key[2] = { function, line };
	bool is_new;
	uint32_t id = pln_intern_add(w->keys, key, sizeof(key), &is_new);

	if (id == PLN_NONE)
		return NULL;
	/* Room doubles whenever the count is a power of two. */
	if (is_new && !(id & (id - 1))) {
		size_t room = id ? 2 * (size_t)id : 1;
		struct pln_caller *callers = realloc(t->callers, room * sizeof(*callers));

		if (!callers)
			return NULL;
		t->callers = callers;
	}
	if (is_new) {
		t->callers[id] = (struct pln_caller){ .function = function, .line = line };
		t->caller_count = id + 1;
	}
	return &t->callers[id];
}

static int add_native_self(struct work *w, uint32_t node, uint32_t function)
{
	struct pln_totals *t = w->totals;
	uint32_t line = t->node_python_line[node];
	struct pln_caller *caller = find_caller(w, function, line);

	if (!caller)
		return -ENOMEM;
	pln_amount_add(&caller->amount, &w->nodes[node]);
	if (line == PLN_NONE)
		return 0;
	pln_amount_add(&t->lines[line].native, &w->nodes[node]);
	pln_amount_add(&t->function_native[t->lines[line].function], &w->nodes[node]);
	return 0;
}

/* Charges the innermost location of each node with what the node itself weighs. */
static int add_self(struct work *w)
{
	struct pln_totals *t = w->totals;
	const struct pln_profile *p = w->profile;

	for (uint32_t n = 0; n < p->stack_count; n++) {
		const struct pln_amount *own = &w->nodes[n];
		uint32_t leaf = p->frame_first_location[p->stacks[n].frame];
		uint32_t function = p->locations[leaf].function;

		if (!own->ns)
			continue;
		pln_amount_add(&t->functions[function].self, own);
		pln_amount_add(&t->lines[t->location_line[leaf]].cost.self, own);
		pln_amount_add(&t->libraries[t->function_library[function]].cost.self, own);
		if (w->program_line[n] != PLN_NONE)
			pln_amount_add(&t->lines[w->program_line[n]].spent, own);
		if (p->functions[function].kind == PLN_FUNCTION_NATIVE &&
		    add_native_self(w, n, function))
			return -ENOMEM;
	}
	return 0;
}

/* -------------------------------------------------------------------- total */

static void sum_subtrees(struct work *w)
{
	const struct pln_profile *p = w->profile;

	for (uint32_t n = (uint32_t)p->stack_count; n-- > 0;) {
		uint32_t parent = p->stacks[n].parent;

		if (parent != PLN_NONE)
			pln_amount_add(&w->nodes[parent], &w->nodes[n]);
	}
}

/* Links nodes that have any weight; returns the first root. */
static uint32_t link_children(struct work *w)
{
	const struct pln_profile *p = w->profile;
	uint32_t first_root = PLN_NONE;

	memset(w->first_child, 0xff, p->stack_count * sizeof(uint32_t));
	for (uint32_t n = (uint32_t)p->stack_count; n-- > 0;) {
		uint32_t parent = p->stacks[n].parent;
		uint32_t *first = parent == PLN_NONE ? &first_root : &w->first_child[parent];

		if (!w->nodes[n].ns)
			continue;
		w->next_sibling[n] = *first;
		*first = n;
	}
	return first_root;
}

static void enter_node(struct work *w, uint32_t n)
{
	struct pln_totals *t = w->totals;
	const struct pln_profile *p = w->profile;
	uint32_t frame = p->stacks[n].frame;
	const struct pln_amount *subtree = &w->nodes[n];

	for (uint32_t i = p->frame_first_location[frame]; i < p->frame_first_location[frame + 1];
	     i++) {
		uint32_t function = p->locations[i].function;
		uint32_t line = t->location_line[i];
		uint32_t library = t->function_library[function];

		if (!w->functions_on_path[function]++)
			pln_amount_add(&t->functions[function].total, subtree);
		if (!w->lines_on_path[line]++)
			pln_amount_add(&t->lines[line].cost.total, subtree);
		if (!w->libraries_on_path[library]++)
			pln_amount_add(&t->libraries[library].cost.total, subtree);
	}
}

static void leave_node(struct work *w, uint32_t n)
{
	struct pln_totals *t = w->totals;
	const struct pln_profile *p = w->profile;
	uint32_t frame = p->stacks[n].frame;

	for (uint32_t i = p->frame_first_location[frame]; i < p->frame_first_location[frame + 1];
	     i++) {
		w->functions_on_path[p->locations[i].function]--;
		w->lines_on_path[t->location_line[i]]--;
		w->libraries_on_path[t->function_library[p->locations[i].function]]--;
	}
}

/* Depth first without recursion: stacks may be thousands of frames deep. */
static void add_totals(struct work *w)
{
	uint32_t n = link_children(w);

	while (n != PLN_NONE) {
		enter_node(w, n);
		if (w->first_child[n] != PLN_NONE) {
			n = w->first_child[n];
			continue;
		}
		leave_node(w, n);
		while (w->next_sibling[n] == PLN_NONE) {
			n = w->profile->stacks[n].parent;
			if (n == PLN_NONE)
				return;
			leave_node(w, n);
		}
		n = w->next_sibling[n];
	}
}

/* ---------------------------------------------------------------- the whole */

static void add_without_stack(struct pln_totals *t, const struct pln_amount *amount)
{
	uint32_t none = (uint32_t)t->profile->function_count;
	struct pln_cost *costs[] = { &t->functions[none],
				     &t->libraries[t->function_library[none]].cost };

	for (size_t i = 0; i < sizeof(costs) / sizeof(*costs); i++) {
		pln_amount_add(&costs[i]->self, amount);
		pln_amount_add(&costs[i]->total, amount);
	}
}

static void place_cells(struct work *w, const struct pln_aggregate *a)
{
	size_t count = pln_part_count(a, w->totals->view);

	for (size_t i = 0; i < count; i++) {
		struct pln_part part = pln_part_at(a, w->totals->view, i);

		pln_amount_add(&w->totals->all, &part.amount);
		if (part.stack == PLN_NONE)
			add_without_stack(w->totals, &part.amount);
		else
			pln_amount_add(&w->nodes[part.stack], &part.amount);
	}
}

static int by_function_then_time(const void *a, const void *b)
{
	const struct pln_caller *ca = a, *cb = b;

	if (ca->function != cb->function)
		return ca->function < cb->function ? -1 : 1;
	if (ca->amount.ns != cb->amount.ns)
		return ca->amount.ns > cb->amount.ns ? -1 : 1;
	return ca->line < cb->line ? -1 : ca->line > cb->line;
}

static int start_work(struct work *w, struct pln_totals *t)
{
	const struct pln_profile *p = t->profile;
	size_t nodes = p->stack_count + 1;

	t->functions = calloc(p->function_count + 1, sizeof(*t->functions));
	t->function_native = calloc(p->function_count + 1, sizeof(*t->function_native));
	t->function_program = calloc(p->function_count + 1, sizeof(*t->function_program));
	t->node_python_line = malloc(nodes * sizeof(uint32_t));
	w->program_line = malloc(nodes * sizeof(uint32_t));
	w->nodes = calloc(nodes, sizeof(*w->nodes));
	w->first_child = malloc(nodes * sizeof(uint32_t));
	w->next_sibling = malloc(nodes * sizeof(uint32_t));
	w->functions_on_path = calloc(p->function_count + 1, sizeof(uint32_t));
	w->lines_on_path = calloc(t->line_count + 1, sizeof(uint32_t));
	w->libraries_on_path = calloc(t->library_count + 1, sizeof(uint32_t));
	w->keys = pln_intern_new();
	if (!t->functions || !t->function_native || !t->function_program || !t->node_python_line ||
	    !w->program_line || !w->nodes || !w->first_child || !w->next_sibling ||
	    !w->functions_on_path || !w->lines_on_path || !w->libraries_on_path || !w->keys)
		return -ENOMEM;
	return 0;
}

static void end_work(struct work *w)
{
	free(w->nodes);
	free(w->first_child);
	free(w->next_sibling);
	free(w->functions_on_path);
	free(w->lines_on_path);
	free(w->libraries_on_path);
	free(w->program_line);
	pln_intern_free(w->keys);
}

int pln_totals_compute(struct pln_totals *totals, const struct pln_aggregate *aggregate,
		       enum pln_view view)
{
	struct work w = { .totals = totals, .profile = aggregate->profile };
	int err;

	memset(totals, 0, sizeof(*totals));
	totals->profile = aggregate->profile;
	totals->view = view;
	err = name_libraries(totals);
	if (!err)
		err = name_lines(totals);
	if (!err)
		err = start_work(&w, totals);
	if (err)
		goto out;
	find_python_lines(totals);
	find_program_lines(&w);
	place_cells(&w, aggregate);
	err = add_self(&w);
	if (err)
		goto out;
	sum_subtrees(&w);
	add_totals(&w);
	if (totals->caller_count)
		qsort(totals->callers, totals->caller_count, sizeof(*totals->callers),
		      by_function_then_time);
out:
	end_work(&w);
	return err;
}

void pln_totals_free(struct pln_totals *totals)
{
	free(totals->functions);
	free(totals->function_native);
	free(totals->function_library);
	free(totals->function_program);
	free(totals->libraries);
	free(totals->lines);
	free(totals->location_line);
	free(totals->node_python_line);
	free(totals->callers);
	memset(totals, 0, sizeof(*totals));
}

size_t pln_totals_callers(const struct pln_totals *totals, uint32_t function, size_t *end)
{
	size_t lo = 0, hi = totals->caller_count;

	while (lo < hi) {
		size_t middle = lo + (hi - lo) / 2;

		if (totals->callers[middle].function < function)
			lo = middle + 1;
		else
			hi = middle;
	}
	*end = lo;
	while (*end < totals->caller_count && totals->callers[*end].function == function)
		++*end;
	return lo;
}
