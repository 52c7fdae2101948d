/* SPDX-License-Identifier: MIT */
/*
 * heap_cells.c - one pass over the sampled blocks, for the views of memory.
 *
 * As with samples, what is alike is added up first: every table is a sum over these cells,
 * and costs what different stacks cost, not what blocks do.
 */
#include "report/aggregate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profile/grow.h"
#include "stacks/intern.h"

/* The first fields of a cell are its identity. */
#define CELL_KEY_SIZE offsetof(struct pln_heap_cell, samples)
#define KEY_PARTS 3
static_assert(offsetof(struct pln_heap_cell, kind) == (KEY_PARTS - 1) * sizeof(uint32_t),
	      "no padding inside the key");

struct pass {
	struct pln_aggregate *aggregate;
	struct pln_intern *keys;
	size_t capacity;
	struct pln_block_rest rest;
};

static enum pln_heap_view heap_view(enum pln_view view)
{
	switch (view) {
	case PLN_VIEW_LIVE:
	case PLN_VIEW_LEAKS:
		return PLN_HEAP_LIVE;
	case PLN_VIEW_PEAK:
		return PLN_HEAP_PEAK;
	case PLN_VIEW_TEMPORARY:
		return PLN_HEAP_TEMPORARY;
	default:
		return PLN_HEAP_ALLOCATED;
	}
}

/* The cell of a key, added when it is new; NULL: out of memory. */
static struct pln_heap_cell *find_cell(struct pass *pass, const uint32_t key[KEY_PARTS])
{
	struct pln_aggregate *a = pass->aggregate;
	bool is_new;
	uint32_t id = pln_intern_add(pass->keys, key, KEY_PARTS * sizeof(*key), &is_new);

	if (id == PLN_NONE)
		return NULL;
	if (!pln_grow(&a->heap_cells, &pass->capacity, id, sizeof(*a->heap_cells)))
		return NULL;
	if (is_new) {
		a->heap_cells[id] =
			(struct pln_heap_cell){ .stack = key[0], .thread = key[1], .kind = key[2] };
		a->heap_cell_count = id + 1;
	}
	return &a->heap_cells[id];
}

static int add_block(struct pass *pass, const struct pln_block_row *block,
		     struct pln_block_sum whole)
{
	bool has_stack = block->stack < pass->aggregate->profile->stack_count;
	const uint32_t key[KEY_PARTS] = { has_stack ? block->stack : PLN_NONE, block->thread,
					  block->kind };
	struct pln_heap_cell *cell = find_cell(pass, key);

	if (!cell)
		return -ENOMEM;
	cell->samples++;
	cell->sum.blocks += whole.blocks;
	cell->sum.bytes += whole.bytes;
	cell->variance += pln_block_weight(block).variance;
	return 0;
}

int pln_aggregate_blocks(struct pln_aggregate *aggregate, enum pln_view view,
			 const struct pln_heap_moments *moments)
{
	const struct pln_profile *p = aggregate->profile;
	struct pass pass = { .aggregate = aggregate, .keys = pln_intern_new() };
	int err = pass.keys ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < p->block_count; i++) {
		const struct pln_block_row *block = &p->blocks[i];
		struct pln_block_sum whole = pln_block_whole(block, &pass.rest);

		if (block->thread < p->thread_count && aggregate->thread_kept[block->thread] &&
		    pln_heap_counts(block, heap_view(view),
				    &moments[p->threads[block->thread].process]))
			err = add_block(&pass, block, whole);
	}
	pln_intern_free(pass.keys);
	return err;
}
