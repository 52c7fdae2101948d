/* SPDX-License-Identifier: MIT */
/*
 * aggregate.c - one pass over the samples.
 */
#include "report/aggregate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profile/grow.h"
#include "report/entries.h"
#include "stacks/intern.h"

const char *const pln_view_names[] = { "cpu", "wall", "offcpu", "gil", NULL };

/* The first fields of a cell are its identity. */
#define CELL_KEY_SIZE offsetof(struct pln_cell, samples)
static_assert(CELL_KEY_SIZE == 16, "no padding inside the key");

struct pass {
	struct pln_aggregate *aggregate;
	struct pln_intern *keys;
	size_t capacity;
};

static uint64_t weigh(uint64_t cpu_ns, uint64_t offcpu_ns, uint64_t runnable_ns, uint32_t gil,
		      enum pln_view view)
{
	switch (view) {
	case PLN_VIEW_CPU:
		return cpu_ns;
	case PLN_VIEW_WALL:
		return cpu_ns + offcpu_ns + runnable_ns;
	case PLN_VIEW_OFFCPU:
		return offcpu_ns;
	case PLN_VIEW_GIL:
		return gil == PILLION_GIL_HOLDS || gil == PILLION_GIL_WAITS ? cpu_ns + offcpu_ns
									    : 0;
	default:
		break;
	}
	return 0;
}

uint64_t pln_cell_weight(const struct pln_cell *cell, enum pln_view view)
{
	return weigh(cell->cpu_ns, cell->offcpu_ns, cell->runnable_ns, cell->gil, view);
}

double pln_cell_variance(const struct pln_cell *cell, enum pln_view view)
{
	switch (view) {
	case PLN_VIEW_CPU:
		return cell->cpu_square;
	case PLN_VIEW_OFFCPU:
		return cell->offcpu_square;
	case PLN_VIEW_WALL:
		return cell->wall_square;
	default:
		return pln_cell_weight(cell, view) ? cell->wall_square : 0;
	}
}

uint64_t pln_sample_weight(const struct pln_sample_row *row, enum pln_view view)
{
	return weigh(row->cpu_ns, row->offcpu_ns, row->runnable_ns, row->gil, view);
}

static void count_quality(struct pln_quality *q, const struct pln_sample_row *row)
{
	uint32_t flags = row->flags;

	q->samples++;
	q->on_cpu += row->cause == PILLION_CAUSE_CPU || row->cause == PILLION_CAUSE_FORCED;
	q->blocked += row->cause == PILLION_CAUSE_BLOCKED;
	q->without_stack += row->stack == PLN_NONE;
	q->native_truncated += !!(flags & PILLION_SAMPLE_NATIVE_TRUNCATED);
	q->python_truncated += !!(flags & PILLION_SAMPLE_PYTHON_TRUNCATED);
	q->python_failed += !!(flags & PILLION_SAMPLE_PYTHON_FAILED);
	q->guessed += !!(flags & PILLION_SAMPLE_GUESSED);
	q->mismatched += !!(flags & PLN_ROW_JOIN_MISMATCH);
	q->finished += !!(flags & PLN_ROW_FINISHED);
	q->without_native += !!(flags & PILLION_SAMPLE_NO_NATIVE);
	q->foreign_stack += !!(flags & PILLION_SAMPLE_FOREIGN_STACK);
}

/* The cell of a key, added when it is new; NULL: out of memory. */
static struct pln_cell *find_cell(struct pass *pass, const struct pln_cell *key)
{
	struct pln_aggregate *a = pass->aggregate;
	bool is_new;
	uint32_t id = pln_intern_add(pass->keys, key, CELL_KEY_SIZE, &is_new);

	if (id == PLN_NONE)
		return NULL;
	if (!pln_grow(&a->cells, &pass->capacity, id, sizeof(*a->cells)))
		return NULL;
	if (is_new) {
		a->cells[id] = *key;
		a->cell_count = id + 1;
	}
	return &a->cells[id];
}

/* The squares of what single samples stand for, whose sum the row is: its own, but in burst mode.
 */
static double squares(const struct pln_profile *p, uint32_t thread, uint64_t ns)
{
	if (pln_thread_is_burst(p, thread))
		return (double)ns * (double)p->processes[p->threads[thread].process].period_ns;
	return (double)ns * (double)ns;
}

/* The wait for a CPU goes to a cell without a GIL state: see aggregate.h. */
static int add_times(struct pass *pass, struct pln_cell *key, const struct pln_sample_row *row)
{
	const struct pln_profile *p = pass->aggregate->profile;
	bool shown = row->cpu_ns || row->offcpu_ns || !row->runnable_ns;
	struct pln_cell *cell;

	if (shown) {
		cell = find_cell(pass, key);
		if (!cell)
			return -ENOMEM;
		cell->samples++;
		cell->cpu_ns += row->cpu_ns;
		cell->offcpu_ns += row->offcpu_ns;
		cell->cpu_square += squares(p, row->thread, row->cpu_ns);
		cell->offcpu_square += squares(p, row->thread, row->offcpu_ns);
		cell->wall_square += squares(p, row->thread, row->cpu_ns + row->offcpu_ns);
	}
	if (row->runnable_ns) {
		key->gil = PILLION_GIL_UNKNOWN;
		cell = find_cell(pass, key);
		if (!cell)
			return -ENOMEM;
		cell->samples += !shown;
		cell->runnable_ns += row->runnable_ns;
		cell->wall_square += squares(p, row->thread, row->runnable_ns);
	}
	return 0;
}

static int add_sample(const struct pln_sample_row *row, void *arg)
{
	struct pass *pass = arg;
	struct pln_aggregate *a = pass->aggregate;
	struct pln_cell key = { .stack = row->stack,
				.thread = row->thread,
				.syscall_nr = row->syscall_nr,
				.gil = row->gil };

	if (row->thread >= a->profile->thread_count) {
		a->quality.unusable++;
		return 0;
	}
	if (!a->thread_kept[row->thread])
		return 0;
	if (row->stack >= a->profile->stack_count)
		key.stack = PLN_NONE;
	count_quality(&a->quality, row);
	return add_times(pass, &key, row);
}

/* Which function a thread runs is known when all of its samples have been seen. */
static int find_entries(struct pln_profile *profile, const struct pln_filter *filter,
			uint32_t **entries)
{
	const struct pln_filter any_thread = { .processes = filter->processes };
	struct pln_aggregate all;
	int err = pln_aggregate_samples(&all, profile, &any_thread);

	*entries = err ? NULL : pln_thread_entries(&all);
	pln_aggregate_free(&all);
	return err ? err : *entries ? 0 : -ENOMEM;
}

static int choose_threads(struct pln_aggregate *a, const struct pln_filter *filter)
{
	struct pln_profile *p = a->profile;
	uint32_t *entries = NULL;
	int err = filter->threads ? find_entries(p, filter, &entries) : 0;

	for (uint32_t t = 0; !err && t < p->thread_count; t++) {
		bool runs = entries && entries[t] != PLN_NONE;

		a->thread_kept[t] = pln_filter_keeps_thread(
			filter, p, t, runs ? &p->functions[entries[t]] : NULL);
	}
	free(entries);
	return err;
}

int pln_aggregate_samples(struct pln_aggregate *aggregate, struct pln_profile *profile,
			  const struct pln_filter *filter)
{
	struct pass pass = { .aggregate = aggregate };
	int err = -ENOMEM;

	memset(aggregate, 0, sizeof(*aggregate));
	aggregate->profile = profile;
	aggregate->thread_kept = calloc(profile->thread_count + 1, sizeof(bool));
	pass.keys = pln_intern_new();
	if (!aggregate->thread_kept || !pass.keys)
		goto out;
	err = choose_threads(aggregate, filter);
	if (!err)
		err = pln_profile_each_sample(profile, add_sample, &pass);
out:
	pln_intern_free(pass.keys);
	return err;
}

void pln_aggregate_free(struct pln_aggregate *aggregate)
{
	free(aggregate->cells);
	free(aggregate->heap_cells);
	free(aggregate->thread_kept);
	memset(aggregate, 0, sizeof(*aggregate));
}
