/* SPDX-License-Identifier: MIT */
/*
 * blocks.c - see blocks.h.
 */
#include "export/blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profile/grow.h"
#include "stacks/intern.h"

static void add(struct pln_block_sum *to, struct pln_block_sum what)
{
	to->blocks += what.blocks;
	to->bytes += what.bytes;
}

struct pass {
	struct pln_export_blocks *blocks;
	struct pln_intern *keys;
	size_t capacity;
};

/* The cell of a block, added when it is new; NULL: out of memory. */
static struct pln_block_cell *find_cell(struct pass *pass, const struct pln_block_row *block)
{
	struct pln_export_blocks *b = pass->blocks;
	const uint32_t key[3] = { block->stack, block->thread, block->kind };
	bool is_new;
	uint32_t id = pln_intern_add(pass->keys, key, sizeof(key), &is_new);

	if (id == PLN_NONE)
		return NULL;
	if (!pln_grow(&b->cells, &pass->capacity, id, sizeof(*b->cells)))
		return NULL;
	if (is_new) {
		b->cells[id] = (struct pln_block_cell){ key[0], key[1], key[2], { 0 }, { 0 }, 0 };
		b->cell_count = id + 1;
	}
	return &b->cells[id];
}

static void count_in_view(struct pln_export_blocks *b, size_t id, struct pln_block_sum weight)
{
	struct pln_heap_weight estimate = pln_block_weight(&b->profile->blocks[id]);

	b->weight[id] = b->count ? weight.blocks : weight.bytes;
	b->sum += b->weight[id];
	b->samples++;
	b->bytes += estimate.bytes;
	b->variance += estimate.variance;
}

static int add_block(struct pass *pass, size_t id, const struct pln_heap_moments *moments,
		     struct pln_block_sum weight)
{
	struct pln_export_blocks *b = pass->blocks;
	const struct pln_block_row *block = &b->profile->blocks[id];
	bool temporary = b->view == PLN_HEAP_TEMPORARY;
	enum pln_heap_view use = b->view == PLN_HEAP_PEAK ? PLN_HEAP_PEAK : PLN_HEAP_LIVE;
	struct pln_block_cell *cell;

	if (temporary && !pln_heap_counts(block, PLN_HEAP_TEMPORARY, moments))
		return 0;
	cell = find_cell(pass, block);
	if (!cell)
		return -ENOMEM;
	add(&cell->allocated, weight);
	if (!temporary && pln_heap_counts(block, use, moments))
		add(&cell->in_use, weight);
	if (pln_heap_counts(block, b->view, moments)) {
		cell->samples++;
		count_in_view(b, id, weight);
	}
	if (!b->interval || block->interval < b->interval)
		b->interval = block->interval;
	return 0;
}

static int add_blocks(struct pass *pass, const bool *thread_kept)
{
	const struct pln_profile *p = pass->blocks->profile;
	struct pln_heap_moments *moments = pln_heap_find_moments(p);
	struct pln_block_rest rest = { 0, 0 };
	int err = moments || !p->process_count ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < p->block_count; i++) {
		const struct pln_block_row *block = &p->blocks[i];
		struct pln_block_sum weight = pln_block_whole(block, &rest);
		uint32_t process = p->threads[block->thread].process;

		if (thread_kept[block->thread] && process < p->process_count)
			err = add_block(pass, i, &moments[process], weight);
	}
	free(moments);
	return err;
}

static uint64_t cell_weight(const struct pln_export_blocks *b, const struct pln_block_cell *cell)
{
	bool in_use = b->view == PLN_HEAP_LIVE || b->view == PLN_HEAP_PEAK;
	const struct pln_block_sum *sum = in_use ? &cell->in_use : &cell->allocated;

	return b->count ? sum->blocks : sum->bytes;
}

static int make_aggregate(struct pln_export_blocks *b, const struct pln_aggregate *kept)
{
	b->aggregate = *kept;
	b->aggregate.cell_count = b->cell_count;
	b->aggregate.cells = calloc(b->cell_count + 1, sizeof(*b->aggregate.cells));
	if (!b->aggregate.cells)
		return -ENOMEM;
	for (size_t i = 0; i < b->cell_count; i++) {
		const struct pln_block_cell *cell = &b->cells[i];

		b->aggregate.cells[i] = (struct pln_cell){
			.stack = cell->stack,
			.thread = cell->thread,
			.syscall_nr = -1,
			.samples = cell->samples,
			.cpu_ns = cell_weight(b, cell),
		};
	}
	return 0;
}

int pln_export_blocks_sum(struct pln_export_blocks *blocks, const struct pln_aggregate *kept,
			  enum pln_heap_view view, bool count)
{
	struct pass pass = { .blocks = blocks, .keys = pln_intern_new() };
	int err = -ENOMEM;

	memset(blocks, 0, sizeof(*blocks));
	blocks->profile = kept->profile;
	blocks->view = view;
	blocks->count = count;
	blocks->weight = calloc(kept->profile->block_count + 1, sizeof(*blocks->weight));
	if (pass.keys && blocks->weight)
		err = add_blocks(&pass, kept->thread_kept);
	if (!err)
		err = make_aggregate(blocks, kept);
	pln_intern_free(pass.keys);
	return err;
}

void pln_export_blocks_free(struct pln_export_blocks *blocks)
{
	free(blocks->cells);
	free(blocks->weight);
	free(blocks->aggregate.cells);
	memset(blocks, 0, sizeof(*blocks));
}
