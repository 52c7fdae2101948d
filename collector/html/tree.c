/* SPDX-License-Identifier: MIT */
/*
 * tree.c - see tree.h.
 */
#include "html/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profile/grow.h"

enum pln_html_place pln_html_wait_place(uint32_t gil, int32_t syscall_nr)
{
	if (gil == PILLION_GIL_WAITS)
		return PLN_HTML_GIL;
	if (syscall_nr < 0 || syscall_nr >= (int32_t)PLN_HTML_SYSCALLS)
		return PLN_HTML_ELSEWHERE;
	return (enum pln_html_place)(PLN_HTML_SYSCALL + (unsigned)syscall_nr);
}

uint32_t pln_html_tree_add(struct pln_html_tree *tree, const struct pln_html_call *call)
{
	bool is_new;
	uint32_t id = pln_intern_add(tree->keys, call, sizeof(*call), &is_new);

	if (id == PLN_NONE || !is_new)
		return id;
	if (!pln_grow(&tree->nodes, &tree->capacity, id, sizeof(*tree->nodes)))
		return PLN_NONE;
	tree->nodes[id] = (struct pln_html_node){
		.parent = call->parent,
		.function = call->function,
		.line = call->line,
		.guessed = call->guessed,
	};
	tree->count = id + 1;
	return id;
}

static struct pln_html_call place_key(const struct pln_html_tree *tree, uint32_t parent,
				      enum pln_html_place place)
{
	return (struct pln_html_call){ .parent = parent, .function = tree->first_place + place };
}

uint32_t pln_html_tree_call(const struct pln_html_tree *tree, uint32_t stack)
{
	struct pln_html_call key = place_key(tree, PLN_NONE, PLN_HTML_NO_STACK);

	return stack < tree->profile->stack_count ? tree->stack_node[stack]
						  : pln_intern_find(tree->keys, &key, sizeof(key));
}

uint32_t pln_html_tree_wait(const struct pln_html_tree *tree, uint32_t stack,
			    enum pln_html_place place)
{
	struct pln_html_call key = place_key(tree, pln_html_tree_call(tree, stack), place);

	return pln_intern_find(tree->keys, &key, sizeof(key));
}

/* ------------------------------------------------------------------ calls */

static void use_stack(struct pln_html_tree *tree, uint32_t stack)
{
	if (stack < tree->profile->stack_count)
		tree->stack_node[stack] = 0;
}

/* Leaves PLN_NONE in stack_node where no sample and no block leads. */
static void mark_used(struct pln_html_tree *tree, const struct pln_aggregate *a)
{
	const struct pln_profile *p = tree->profile;

	memset(tree->stack_node, 0xff, (p->stack_count + 1) * sizeof(uint32_t));
	for (size_t i = 0; i < a->cell_count; i++)
		use_stack(tree, a->cells[i].stack);
	for (size_t i = 0; i < p->block_count; i++) {
		if (p->blocks[i].thread < p->thread_count && a->thread_kept[p->blocks[i].thread])
			use_stack(tree, p->blocks[i].stack);
	}
	for (uint32_t n = (uint32_t)p->stack_count; n-- > 0;) {
		if (tree->stack_node[n] != PLN_NONE && p->stacks[n].parent != PLN_NONE)
			tree->stack_node[p->stacks[n].parent] = 0;
	}
}

/* A parent has a lower id than its children, so one pass in order of ids is enough. */
static int add_calls(struct pln_html_tree *tree)
{
	const struct pln_profile *p = tree->profile;

	for (uint32_t n = 0; n < p->stack_count; n++) {
		uint32_t parent = p->stacks[n].parent, frame = p->stacks[n].frame;
		struct pln_html_call key = {
			.parent = parent == PLN_NONE ? PLN_NONE : tree->stack_node[parent],
			.guessed = p->frames[frame].guessed,
		};

		if (tree->stack_node[n] == PLN_NONE)
			continue;
		for (uint32_t i = p->frame_first_location[frame + 1];
		     i-- > p->frame_first_location[frame];) {
			key.function = p->locations[i].function;
			key.line = p->locations[i].line;
			key.parent = pln_html_tree_add(tree, &key);
			if (key.parent == PLN_NONE)
				return -ENOMEM;
		}
		tree->stack_node[n] = key.parent;
	}
	return 0;
}

/* ---------------------------------------------------------------- weights */

static uint32_t add_stack(struct pln_html_tree *tree, uint32_t stack)
{
	const struct pln_html_call none = place_key(tree, PLN_NONE, PLN_HTML_NO_STACK);

	return stack < tree->profile->stack_count ? tree->stack_node[stack]
						  : pln_html_tree_add(tree, &none);
}

static int add_wait(struct pln_html_tree *tree, uint32_t call, enum pln_html_place place,
		    uint64_t ns)
{
	const struct pln_html_call key = place_key(tree, call, place);
	uint32_t node = ns ? pln_html_tree_add(tree, &key) : call;

	if (node == PLN_NONE)
		return -ENOMEM;
	tree->nodes[node].weight[PLN_HTML_NS] += ns;
	return 0;
}

static int add_cell(struct pln_html_tree *tree, const struct pln_cell *cell)
{
	uint32_t call = add_stack(tree, cell->stack);
	int err;

	if (call == PLN_NONE)
		return -ENOMEM;
	tree->nodes[call].weight[PLN_HTML_NS] += cell->cpu_ns;
	err = add_wait(tree, call, pln_html_wait_place(cell->gil, cell->syscall_nr),
		       cell->offcpu_ns);
	return err ? err : add_wait(tree, call, PLN_HTML_RUNNABLE, cell->runnable_ns);
}

static int add_blocks(struct pln_html_tree *tree, const struct pln_aggregate *a)
{
	const struct pln_profile *p = tree->profile;

	for (size_t i = 0; i < p->block_count; i++) {
		const struct pln_block_row *block = &p->blocks[i];
		uint32_t call;

		if (block->thread >= p->thread_count || !a->thread_kept[block->thread])
			continue;
		call = add_stack(tree, block->stack);
		if (call == PLN_NONE)
			return -ENOMEM;
		tree->nodes[call].weight[PLN_HTML_BYTES] +=
			(uint64_t)fmin(pln_block_weight(block).bytes, 0x1p50);
	}
	return 0;
}

void pln_html_tree_sum_up(struct pln_html_tree *tree)
{
	for (size_t n = tree->count; n-- > 0;) {
		const struct pln_html_node *node = &tree->nodes[n];
		uint64_t *sum =
			node->parent == PLN_NONE ? tree->weight : tree->nodes[node->parent].weight;

		for (unsigned i = 0; i < PLN_HTML_WEIGHTS; i++)
			sum[i] += node->weight[i];
	}
}

int pln_html_tree_build(struct pln_html_tree *tree, const struct pln_report *report)
{
	const struct pln_aggregate *a = &report->aggregate;
	int err;

	*tree = (struct pln_html_tree){
		.profile = report->profile,
		.first_place = (uint32_t)report->profile->function_count,
		.keys = pln_intern_new(),
	};
	tree->stack_node = malloc((report->profile->stack_count + 1) * sizeof(uint32_t));
	if (!tree->keys || !tree->stack_node)
		return -ENOMEM;
	mark_used(tree, a);
	err = add_calls(tree);
	for (size_t i = 0; !err && i < a->cell_count; i++)
		err = add_cell(tree, &a->cells[i]);
	if (!err)
		err = add_blocks(tree, a);
	if (!err)
		pln_html_tree_sum_up(tree);
	return err;
}

void pln_html_tree_free(struct pln_html_tree *tree)
{
	pln_intern_free(tree->keys);
	free(tree->nodes);
	free(tree->stack_node);
	memset(tree, 0, sizeof(*tree));
}
