/* SPDX-License-Identifier: MIT */
/*
 * runs.c - see runs.h.
 */
#include "export/runs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profile/grow.h"

struct collector {
	struct pln_runs *runs;
	const struct pln_export *export;
	const struct pln_calltree *tree;
};

static uint32_t call_of(const struct collector *c, uint32_t stack)
{
	return stack < c->export->profile->stack_count ? c->tree->node_call[stack]
						       : c->tree->no_stack;
}

static int add_run(struct pln_runs *runs, const struct pln_run *run)
{
	if (!pln_grow(&runs->items, &runs->capacity, runs->count, sizeof(*runs->items)))
		return -ENOMEM;
	runs->items[runs->count++] = *run;
	return 0;
}

static int add_sample(const struct pln_sample_row *row, void *arg)
{
	struct collector *c = arg;
	uint64_t weight_ns = pln_sample_weight(row, c->export->view);

	if (!weight_ns || row->thread >= c->export->profile->thread_count ||
	    !c->export->aggregate->thread_kept[row->thread])
		return 0;
	return add_run(c->runs, &(struct pln_run){ row->time_ns, weight_ns, row->thread,
						   call_of(c, row->stack) });
}

static int add_blocks(const struct collector *c)
{
	const struct pln_export_blocks *blocks = c->export->blocks;
	const struct pln_profile *p = c->export->profile;
	int err = 0;

	for (size_t i = 0; i < p->block_count && !err; i++) {
		const struct pln_block_row *block = &p->blocks[i];

		if (blocks->weight[i])
			err = add_run(c->runs,
				      &(struct pln_run){ block->time_ns, blocks->weight[i],
							 block->thread, call_of(c, block->stack) });
	}
	return err;
}

static int by_thread_then_time(const void *a, const void *b)
{
	const struct pln_run *ra = a, *rb = b;

	if (ra->thread != rb->thread)
		return ra->thread < rb->thread ? -1 : 1;
	if (ra->time_ns != rb->time_ns)
		return ra->time_ns < rb->time_ns ? -1 : 1;
	return ra->call < rb->call ? -1 : ra->call > rb->call;
}

/* Blocked threads are sampled through another lane, so a thread's samples come mixed up. */
static void put_in_order(struct pln_runs *runs)
{
	struct pln_run *items = runs->items;
	size_t kept = 0;

	if (!runs->count)
		return;
	qsort(items, runs->count, sizeof(*items), by_thread_then_time);
	for (size_t i = 1; i < runs->count; i++) {
		struct pln_run *last = &items[kept];

		if (items[i].thread == last->thread && items[i].call == last->call)
			last->weight += items[i].weight;
		else
			items[++kept] = items[i];
	}
	runs->count = kept + 1;
}

int pln_runs_collect(struct pln_runs *runs, const struct pln_export *export,
		     const struct pln_calltree *tree)
{
	struct collector c = { .runs = runs, .export = export, .tree = tree };
	int err;

	memset(runs, 0, sizeof(*runs));
	err = export->blocks ? add_blocks(&c)
			     : pln_profile_each_sample(export->profile, add_sample, &c);
	if (!err)
		put_in_order(runs);
	return err;
}

void pln_runs_free(struct pln_runs *runs)
{
	free(runs->items);
	memset(runs, 0, sizeof(*runs));
}

size_t pln_runs_thread_end(const struct pln_runs *runs, size_t first)
{
	size_t end = first;

	while (end < runs->count && runs->items[end].thread == runs->items[first].thread)
		end++;
	return end;
}

uint64_t pln_runs_sum(const struct pln_run *runs, size_t count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += runs[i].weight;
	return sum;
}
