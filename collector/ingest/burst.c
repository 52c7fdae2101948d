/* SPDX-License-Identifier: MIT */
/*
 * burst.c - from cells to rows.
 *
 * The table lies in the shared memory, and only grows: what is new in a cell since the last
 * look becomes one row, with the time that its samples stand for. Nodes are turned into
 * stacks of the profile once, as they are met.
 *
 * The target wrote all of it. Sizes are those that were checked when the segment was mapped;
 * a node whose parent does not stand before it, and a cell that counts more time than has
 * passed, are lost records.
 */
#include "ingest/burst.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pillion/atomic.h>

#include "ingest/target.h"
#include "profile/grow.h"

#define SECOND_NS 1000000000ull

/* What rows have of a cell. */
struct taken_cell {
	uint64_t cpu_ns;
	uint64_t wait_ns;
};

/* The library's sums: since the start, or since an earlier file ended. */
struct looks {
	uint64_t samples, torn, idle, full;
	uint64_t covered_ns, held_ns, far_ns, stackless_ns;
};

struct pln_target_burst {
	uint64_t taken_ns;
	uint64_t left_ns; /* of the time until then, what no row has */
	uint32_t node_count, cell_count; /* as noted */
	uint32_t *stacks; /* by node */
	uint32_t resolved; /* nodes below have a stack */
	struct taken_cell *cells;
	size_t stack_capacity, cell_capacity;
	struct looks told; /* by the notes of earlier files */
};

static struct pln_target_burst *burst_of(struct pln_target *t)
{
	if (!t->segment.burst.shared || t->burst)
		return t->burst;
	t->burst = calloc(1, sizeof(*t->burst));
	if (!t->burst)
		return NULL;
	t->burst->taken_ns = t->segment.start_mono_ns;
	t->burst->left_ns = PLN_TARGET_AHEAD_NS;
	return t->burst;
}

static uint32_t at_most(uint32_t value, uint32_t limit)
{
	return value < limit ? value : limit;
}

void pln_target_note_burst(struct pln_target *t)
{
	const struct pln_burst_view *view = &t->segment.burst;
	struct pln_target_burst *b = burst_of(t);

	if (!b)
		return;
	/* acquire: pairs with the stores in the library's table; cells first, they name nodes */
	b->cell_count = at_most(pln_load_acquire(&view->shared->cell_count), view->cell_max);
	b->node_count = at_most(pln_load_acquire(&view->shared->node_count), view->node_max);
}

/* ------------------------------------------------------------------- nodes */

static uint32_t stack_of_node(struct pln_target *t, const struct pln_burst_node *node,
			      uint32_t index)
{
	struct pln_target_burst *b = t->burst;
	uint32_t parent = PLN_NONE, frame;

	if (node->parent >= index) {
		t->row.lost_records++;
		return PLN_NONE;
	}
	if (node->parent)
		parent = b->stacks[node->parent];
	frame = pln_target_python_frame(t, node->code, node->instr);
	return frame == PLN_NONE ? parent : pln_tables_stack(t->tables, parent, frame);
}

/* Grows `array` to `count` items of `size` bytes at least; new ones, of few as of enough, are zero.
 */
static bool reserve(void **array, size_t *capacity, size_t count, size_t size)
{
	size_t had = *capacity;
	bool has_memory = true;

	while (has_memory && *capacity < count)
		has_memory = pln_grow(array, capacity, *capacity, size);
	if (*capacity > had)
		memset((char *)*array + had * size, 0, (*capacity - had) * size);
	return has_memory;
}

static void resolve_nodes(struct pln_target *t)
{
	struct pln_target_burst *b = t->burst;

	if (!reserve((void **)&b->stacks, &b->stack_capacity, b->node_count, sizeof(*b->stacks)))
		b->node_count = b->resolved;
	for (; b->resolved < b->node_count; b->resolved++) {
		/* Our copy: the target could change it while we look. */
		struct pln_burst_node node = t->segment.burst.nodes[b->resolved];

		b->stacks[b->resolved] =
			b->resolved ? stack_of_node(t, &node, b->resolved) : PLN_NONE;
	}
}

/* ------------------------------------------------------------------- cells */

static void add_row(struct pln_target *t, const struct pln_burst_cell *cell,
		    const struct taken_cell *fresh)
{
	struct pln_target_thread *thread = pln_target_thread(t, cell->thread);
	struct pln_sample_row row = {
		.time_ns = t->drain_ns,
		.cpu_ns = fresh->cpu_ns,
		.runnable_ns = fresh->wait_ns,
		.stack = t->burst->stacks[cell->node],
		.syscall_nr = -1,
		.flags = (cell->flags & PILLION_SAMPLE_PYTHON_TRUNCATED) | PILLION_SAMPLE_NO_NATIVE,
		.cause = PILLION_CAUSE_CPU,
		.gil = PILLION_GIL_HOLDS,
	};

	if (!thread)
		return;
	row.thread = thread->id;
	if (row.stack == PLN_NONE)
		row.flags |= PILLION_SAMPLE_NO_STACK;
	pln_writer_add_sample(t->writer, &row);
	thread->sampled_cpu_ns += fresh->cpu_ns;
	thread->dirty |= !thread->row.has_python;
	thread->row.has_python = true;
	t->samples++;
}

/* `cell` is our copy. Takes from what the sampling thread can have covered at most. */
static void take_cell(struct pln_target *t, const struct pln_burst_cell *cell,
		      struct taken_cell *taken)
{
	uint64_t *left_ns = &t->burst->left_ns;
	struct taken_cell fresh = { pln_load_relaxed(&cell->cpu_ns) - taken->cpu_ns,
				    pln_load_relaxed(&cell->wait_ns) - taken->wait_ns };

	if (!fresh.cpu_ns && !fresh.wait_ns)
		return;
	taken->cpu_ns += fresh.cpu_ns;
	taken->wait_ns += fresh.wait_ns;
	if (fresh.cpu_ns > *left_ns || fresh.wait_ns > *left_ns - fresh.cpu_ns || !cell->thread ||
	    cell->node >= t->burst->resolved) {
		t->row.lost_records++;
		return;
	}
	*left_ns -= fresh.cpu_ns + fresh.wait_ns;
	add_row(t, cell, &fresh);
}

static void take_cells(struct pln_target *t)
{
	struct pln_target_burst *b = t->burst;

	if (!reserve((void **)&b->cells, &b->cell_capacity, b->cell_count, sizeof(*b->cells)))
		return;
	/* A stack may have time of looks long before, which none like it took until now. */
	b->left_ns += t->drain_ns - b->taken_ns;
	b->taken_ns = t->drain_ns;
	for (uint32_t i = 0; i < b->cell_count; i++) {
		struct pln_burst_cell cell = t->segment.burst.cells[i];

		take_cell(t, &cell, &b->cells[i]);
	}
}

static struct looks read_looks(const struct pln_burst *s)
{
	/* relaxed: statistics, each for itself */
	return (struct looks){
		.samples = pln_load_relaxed(&s->samples),
		.torn = pln_load_relaxed(&s->torn),
		.idle = pln_load_relaxed(&s->idle),
		.full = pln_load_relaxed(&s->full),
		.covered_ns = pln_load_relaxed(&s->covered_ns),
		.held_ns = pln_load_relaxed(&s->held_ns),
		.far_ns = pln_load_relaxed(&s->far_ns),
		.stackless_ns = pln_load_relaxed(&s->owed_ns) + pln_load_relaxed(&s->dropped_ns),
	};
}

/* Rows are sums of many samples: what one of those stood for, on average, goes with the process. */
static void find_period(struct pln_target *t)
{
	struct looks all = read_looks(t->segment.burst.shared);
	uint64_t count = all.samples + all.full + all.idle;

	if (count)
		t->row.period_ns = all.covered_ns / count;
}

void pln_target_take_burst(struct pln_target *t, bool last)
{
	struct pln_target_burst *b = t->burst;

	if (!b || t->drain_ns < b->taken_ns || (!last && t->drain_ns - b->taken_ns < SECOND_NS))
		return;
	resolve_nodes(t);
	take_cells(t);
	find_period(t);
}

/* ----------------------------------------------------------------- the end */

static uint64_t per_second(uint64_t count, uint64_t ns)
{
	return ns ? (uint64_t)((double)count * 1e9 / (double)ns + 0.5) : 0;
}

static double percent(uint64_t part, uint64_t all)
{
	return all ? 100.0 * (double)part / (double)all : 0;
}

static struct looks looks_since(const struct looks *all, const struct looks *before)
{
	return (struct looks){
		.samples = pln_since(all->samples, before->samples),
		.torn = pln_since(all->torn, before->torn),
		.idle = pln_since(all->idle, before->idle),
		.full = pln_since(all->full, before->full),
		.covered_ns = pln_since(all->covered_ns, before->covered_ns),
		.held_ns = pln_since(all->held_ns, before->held_ns),
		.far_ns = pln_since(all->far_ns, before->far_ns),
		.stackless_ns = pln_since(all->stackless_ns, before->stackless_ns),
	};
}

static void note_rate(struct pln_target *t)
{
	const struct pln_burst *s = t->segment.burst.shared;
	struct pln_note_row note = { t->drain_ns, t->id, 0, NULL };
	struct looks all = read_looks(s), here = looks_since(&all, &t->burst->told);
	uint64_t looks = here.samples + here.full + here.idle;
	char text[400];

	snprintf(text, sizeof(text),
		 "burst: Python frames only, of the thread that holds the GIL; %" PRIu64
		 " looks a second of %" PRIu64 " asked for, in %.3f s; %" PRIu64
		 " samples, GIL held %.2f %% of the time; %" PRIu64
		 " torn stacks (%.3f %%) thrown away, %" PRIu64
		 " without room; %.2f %% of the time between looks far apart; %.2f %% in no stack:"
		 " never seen whole, gone since, or without room",
		 per_second(looks, here.covered_ns), s->asked_hz, (double)here.covered_ns / 1e9,
		 here.samples, percent(here.held_ns, here.covered_ns), here.torn,
		 percent(here.torn, looks + here.torn), here.full,
		 percent(here.far_ns, here.covered_ns),
		 percent(here.stackless_ns, here.covered_ns));
	t->burst->told = all;
	note.text = text;
	pln_writer_add_note(t->writer, &note);
}

void pln_target_conclude_burst(struct pln_target *t)
{
	if (!t->burst)
		return;
	note_rate(t);
	for (size_t i = 0; i < t->thread_count; i++) {
		struct pln_target_thread *thread = &t->threads[i];
		uint64_t cpu_ns = thread->row.cpu_ns;

		thread->row.unsampled_wall_ns = 0;
		thread->row.unsampled_cpu_ns =
			cpu_ns > thread->sampled_cpu_ns ? cpu_ns - thread->sampled_cpu_ns : 0;
	}
}

void pln_target_forget_burst_stacks(struct pln_target *t)
{
	if (t->burst)
		t->burst->resolved = 0;
}

void pln_target_free_burst(struct pln_target *t)
{
	if (!t->burst)
		return;
	free(t->burst->stacks);
	free(t->burst->cells);
	free(t->burst);
	t->burst = NULL;
}
