/* SPDX-License-Identifier: MIT */
/*
 * calltree.c - merges the stack tree by function.
 */
#include "report/calltree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profile/grow.h"
#include "stacks/intern.h"

struct builder {
	struct pln_calltree *tree;
	const struct pln_profile *profile;
	struct pln_intern *keys;
	size_t capacity;
	bool by_line;
};

/* The call of a location below `parent`, added when it is new; PLN_NONE: out of memory. */
static uint32_t find_call(struct builder *b, uint32_t parent, struct pln_location at)
{
	const uint32_t key[3] = { parent, at.function, b->by_line ? at.line : 0 };
	struct pln_calltree *tree = b->tree;
	bool is_new;
	uint32_t id = pln_intern_add(b->keys, key, sizeof(key), &is_new);

	if (id == PLN_NONE || !is_new)
		return id;
	if (!pln_grow(&tree->calls, &b->capacity, id, sizeof(*tree->calls)))
		return PLN_NONE;
	tree->calls[id] = (struct pln_call){ .parent = parent, .function = key[1], .line = key[2] };
	tree->count = id + 1;
	return id;
}

/* Marks the nodes that lead to any weight: node_call is PLN_NONE for all others. */
static void mark_used(struct builder *b, const struct pln_aggregate *a, enum pln_view view)
{
	const struct pln_profile *p = b->profile;

	memset(b->tree->node_call, 0xff, (p->stack_count + 1) * sizeof(uint32_t));
	for (size_t i = 0; i < pln_part_count(a, view); i++) {
		struct pln_part part = pln_part_at(a, view, i);

		if (part.stack != PLN_NONE && part.amount.weight)
			b->tree->node_call[part.stack] = 0;
	}
	for (uint32_t n = (uint32_t)p->stack_count; n-- > 0;) {
		if (b->tree->node_call[n] != PLN_NONE && p->stacks[n].parent != PLN_NONE)
			b->tree->node_call[p->stacks[n].parent] = 0;
	}
}

static int add_calls(struct builder *b)
{
	const struct pln_profile *p = b->profile;

	for (uint32_t n = 0; n < p->stack_count; n++) {
		const struct pln_stack_node *node = &p->stacks[n];
		uint32_t call =
			node->parent == PLN_NONE ? PLN_NONE : b->tree->node_call[node->parent];
		uint32_t first = p->frame_first_location[node->frame];

		if (b->tree->node_call[n] == PLN_NONE)
			continue;
		for (uint32_t i = p->frame_first_location[node->frame + 1]; i-- > first;) {
			call = find_call(b, call, p->locations[i]);
			if (call == PLN_NONE)
				return -ENOMEM;
		}
		b->tree->node_call[n] = call;
	}
	return 0;
}

static int add_amounts(struct builder *b, const struct pln_aggregate *a, enum pln_view view)
{
	const struct pln_location nowhere = { .function = (uint32_t)b->profile->function_count };
	struct pln_call *calls;

	for (size_t i = 0; i < pln_part_count(a, view); i++) {
		struct pln_part part = pln_part_at(a, view, i);
		uint32_t call;

		if (!part.amount.weight)
			continue;
		if (part.stack == PLN_NONE)
			call = b->tree->no_stack = find_call(b, PLN_NONE, nowhere);
		else
			call = b->tree->node_call[part.stack];
		if (call == PLN_NONE)
			return -ENOMEM;
		pln_amount_add(&b->tree->calls[call].self, &part.amount);
	}
	calls = b->tree->calls;
	for (uint32_t c = (uint32_t)b->tree->count; c-- > 0;) {
		pln_amount_add(&calls[c].total, &calls[c].self);
		if (calls[c].parent != PLN_NONE)
			pln_amount_add(&calls[calls[c].parent].total, &calls[c].total);
	}
	return 0;
}

static int by_total(const void *a, const void *b, void *calls)
{
	uint32_t ia = *(const uint32_t *)a, ib = *(const uint32_t *)b;
	const struct pln_call *ca = (struct pln_call *)calls + ia;
	const struct pln_call *cb = (struct pln_call *)calls + ib;

	if (ca->total.ns != cb->total.ns)
		return ca->total.ns < cb->total.ns ? -1 : 1;
	return ia > ib ? -1 : ia < ib;
}

/* Pushing the calls in ascending order leaves each list in descending order. */
static int link_children(struct pln_calltree *tree)
{
	uint32_t *order = malloc((tree->count + 1) * sizeof(*order));

	if (!order)
		return -ENOMEM;
	tree->first_root = PLN_NONE;
	for (uint32_t c = 0; c < tree->count; c++) {
		order[c] = c;
		tree->calls[c].first_child = PLN_NONE;
	}
	qsort_r(order, tree->count, sizeof(*order), by_total, tree->calls);
	for (size_t i = 0; i < tree->count; i++) {
		struct pln_call *call = &tree->calls[order[i]];
		uint32_t *first = call->parent == PLN_NONE ? &tree->first_root
							   : &tree->calls[call->parent].first_child;

		call->next_sibling = *first;
		*first = order[i];
	}
	free(order);
	return 0;
}

int pln_calltree_build(struct pln_calltree *tree, const struct pln_aggregate *aggregate,
		       enum pln_view view, bool by_line)
{
	const struct pln_profile *p = aggregate->profile;
	struct builder b = { .tree = tree, .profile = p, .by_line = by_line };
	int err = -ENOMEM;

	memset(tree, 0, sizeof(*tree));
	tree->first_root = tree->no_stack = PLN_NONE;
	b.keys = pln_intern_new();
	tree->node_call = malloc((p->stack_count + 1) * sizeof(uint32_t));
	if (!b.keys || !tree->node_call)
		goto out;
	mark_used(&b, aggregate, view);
	err = add_calls(&b);
	if (!err)
		err = add_amounts(&b, aggregate, view);
	if (!err)
		err = link_children(tree);
out:
	pln_intern_free(b.keys);
	return err;
}

void pln_calltree_free(struct pln_calltree *tree)
{
	free(tree->calls);
	free(tree->node_call);
	memset(tree, 0, sizeof(*tree));
}

uint32_t pln_calltree_next(const struct pln_calltree *tree, uint32_t call, unsigned *depth)
{
	const struct pln_call *calls = tree->calls;

	if (calls[call].first_child != PLN_NONE) {
		++*depth;
		return calls[call].first_child;
	}
	while (calls[call].next_sibling == PLN_NONE) {
		call = calls[call].parent;
		if (call == PLN_NONE)
			return PLN_NONE;
		--*depth;
	}
	return calls[call].next_sibling;
}
