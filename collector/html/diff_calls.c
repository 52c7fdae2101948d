/* SPDX-License-Identifier: MIT */
/*
 * diff_calls.c - see diff_calls.h. First the calls of both sides, then what is spent in each.
 */
#include "html/diff_calls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct build {
	const struct pln_diff *diff;
	struct pln_html_diff_calls *calls;
	uint32_t *stack_node[PLN_DIFF_SIDES]; /* by stack, and behind the last one: of none */
	struct pln_html_diff_own *own; /* by node of the tree */
};

/* The parts of a side that weigh anything. */
static bool next_part(const struct build *b, unsigned side, size_t *at, struct pln_part *part)
{
	const struct pln_report *r = b->diff->side[side];
	size_t count = pln_part_count(&r->aggregate, r->options.view);

	while (*at < count) {
		*part = pln_part_at(&r->aggregate, r->options.view, (*at)++);
		if (part->amount.weight)
			return true;
	}
	return false;
}

static size_t stack_of(const struct build *b, unsigned side, const struct pln_part *part)
{
	return part->stack == PLN_NONE ? b->diff->side[side]->profile->stack_count : part->stack;
}

/* Leaves PLN_NONE where no weight is. */
static void mark_used(struct build *b, unsigned side)
{
	const struct pln_profile *p = b->diff->side[side]->profile;
	uint32_t *node = b->stack_node[side];
	struct pln_part part;

	memset(node, 0xff, (p->stack_count + 1) * sizeof(*node));
	for (size_t i = 0; next_part(b, side, &i, &part);)
		node[stack_of(b, side, &part)] = 0;
	for (size_t n = p->stack_count; n-- > 0;) {
		if (node[n] != PLN_NONE && p->stacks[n].parent != PLN_NONE)
			node[p->stacks[n].parent] = 0;
	}
}

/* The innermost call of a frame, below `parent`; PLN_NONE: out of memory. */
static uint32_t add_frame(struct build *b, unsigned side, uint32_t frame, uint32_t parent)
{
	const struct pln_profile *p = b->diff->side[side]->profile;
	struct pln_html_call call = { .parent = parent };

	for (uint32_t i = p->frame_first_location[frame + 1];
	     i-- > p->frame_first_location[frame];) {
		call.function = b->diff->function_row[side][p->locations[i].function];
		call.parent = pln_html_tree_add(&b->calls->tree, &call);
		if (call.parent == PLN_NONE)
			break;
	}
	return call.parent;
}

/* A parent has a lower id than its children, so one pass in order of ids is enough. */
static int add_calls(struct build *b, unsigned side)
{
	const struct pln_profile *p = b->diff->side[side]->profile;
	uint32_t *node = b->stack_node[side];

	for (size_t n = 0; n < p->stack_count; n++) {
		uint32_t parent = p->stacks[n].parent;

		if (node[n] == PLN_NONE)
			continue;
		node[n] = add_frame(b, side, p->stacks[n].frame,
				    parent == PLN_NONE ? PLN_NONE : node[parent]);
		if (node[n] == PLN_NONE)
			return -ENOMEM;
	}
	if (node[p->stack_count] != PLN_NONE) {
		const struct pln_html_call none = {
			.parent = PLN_NONE,
			.function = b->diff->function_row[side][p->function_count],
		};

		node[p->stack_count] = pln_html_tree_add(&b->calls->tree, &none);
		return node[p->stack_count] == PLN_NONE ? -ENOMEM : 0;
	}
	return 0;
}

static int find_calls(struct build *b)
{
	int err = 0;

	for (unsigned side = 0; !err && side < PLN_DIFF_SIDES; side++) {
		size_t stacks = b->diff->side[side]->profile->stack_count + 1;

		b->stack_node[side] = malloc(stacks * sizeof(uint32_t));
		if (!b->stack_node[side])
			return -ENOMEM;
		mark_used(b, side);
		err = add_calls(b, side);
	}
	return err;
}

static int weigh_calls(struct build *b)
{
	struct pln_html_tree *tree = &b->calls->tree;
	struct pln_part part;

	b->own = calloc(tree->count + 1, sizeof(*b->own));
	if (!b->own)
		return -ENOMEM;
	for (unsigned side = 0; side < PLN_DIFF_SIDES; side++) {
		for (size_t i = 0; next_part(b, side, &i, &part);) {
			uint32_t node = b->stack_node[side][stack_of(b, side, &part)];

			b->own[node].weight[side] += part.amount.weight;
			b->own[node].variance[side] += part.amount.variance;
			tree->nodes[node].weight[side] += part.amount.weight;
		}
	}
	pln_html_tree_sum_up(tree);
	return 0;
}

static int prune_calls(struct build *b, size_t nodes_max)
{
	struct pln_html_diff_calls *calls = b->calls;
	int err = pln_html_prune(&calls->pruned, &calls->tree, nodes_max);

	calls->own = err ? NULL : calloc(calls->pruned.count + 1, sizeof(*calls->own));
	if (!calls->own)
		return err ? err : -ENOMEM;
	for (size_t n = 0; n < calls->tree.count; n++) {
		struct pln_html_diff_own *own = &calls->own[calls->pruned.page_node[n]];

		for (unsigned side = 0; side < PLN_DIFF_SIDES; side++) {
			own->weight[side] += b->own[n].weight[side];
			own->variance[side] += b->own[n].variance[side];
		}
	}
	return 0;
}

int pln_html_diff_calls_build(struct pln_html_diff_calls *calls, const struct pln_diff *diff,
			      size_t nodes_max)
{
	struct build b = { .diff = diff, .calls = calls };
	int err;

	memset(calls, 0, sizeof(*calls));
	calls->tree.first_place = (uint32_t)diff->functions.count;
	calls->tree.keys = pln_intern_new();
	err = calls->tree.keys ? find_calls(&b) : -ENOMEM;
	if (!err)
		err = weigh_calls(&b);
	if (!err)
		err = prune_calls(&b, nodes_max);
	for (unsigned side = 0; side < PLN_DIFF_SIDES; side++)
		free(b.stack_node[side]);
	free(b.own);
	return err;
}

void pln_html_diff_calls_free(struct pln_html_diff_calls *calls)
{
	pln_html_tree_free(&calls->tree);
	pln_html_pruned_free(&calls->pruned);
	free(calls->own);
	memset(calls, 0, sizeof(*calls));
}
