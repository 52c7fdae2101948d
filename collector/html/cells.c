/* SPDX-License-Identifier: MIT */
/*
 * cells.c - see cells.h. One pass over the samples, one over the sampled blocks.
 */
#include "html/cells.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EMPTY UINT64_MAX
#define TICK_MAX_NS 1000000000u
#define BURST_NS 1000000000u
static_assert(PLN_HTML_THREADS_MAX < 0xfff, "a thread has twelve bits");
static_assert(PLN_HTML_MOMENTS_MAX < 0x10000, "a moment has sixteen bits");
static_assert(PLN_HTML_CLASSES <= 16, "a class has four bits");

struct pass {
	struct pln_html_cells *cells;
	const struct pln_html_parts *parts;
	bool whatever;
};

static uint64_t make_key(unsigned class, uint32_t thread, uint32_t moment, uint32_t node)
{
	return (uint64_t) class << 60 | (uint64_t)thread << 48 | (uint64_t)moment << 32 | node;
}

uint32_t pln_html_cells_moment(const struct pln_html_cells *cells, uint64_t time_ns)
{
	uint64_t moment =
		time_ns > cells->start_ns ? (time_ns - cells->start_ns) / cells->moment_ns : 0;

	return moment < cells->moments ? (uint32_t)moment : cells->moments - 1;
}

/* ------------------------------------------------------------------ table */

static void put(struct pln_html_cells *c, uint64_t key, uint64_t weight)
{
	uint64_t hash = key * 0x9e3779b97f4a7c15u;
	size_t at = (size_t)(hash >> 20) & (c->capacity - 1);

	while (c->cells[at].key != EMPTY && c->cells[at].key != key)
		at = (at + 1) & (c->capacity - 1);
	c->count += c->cells[at].key == EMPTY;
	if (c->cells[at].key == EMPTY)
		c->cells[at] = (struct pln_html_cell){ .key = key };
	c->cells[at].weight += weight;
}

/* Into a table of `capacity`, with 1 << shift moments put together. */
static int rebuild(struct pln_html_cells *c, size_t capacity, unsigned shift)
{
	struct pln_html_cells old = *c;

	c->cells = malloc(capacity * sizeof(*c->cells));
	if (!c->cells) {
		c->cells = old.cells;
		return -ENOMEM;
	}
	memset(c->cells, 0xff, capacity * sizeof(*c->cells));
	c->capacity = capacity;
	c->count = 0;
	c->moment_ns <<= shift;
	c->moments = (c->moments + (1u << shift) - 1) >> shift;
	for (size_t i = 0; i < old.capacity; i++) {
		const struct pln_html_cell *cell = &old.cells[i];

		if (cell->key != EMPTY)
			put(c,
			    make_key(pln_html_cell_class(cell), pln_html_cell_thread(cell),
				     pln_html_cell_moment(cell) >> shift, pln_html_cell_node(cell)),
			    cell->weight);
	}
	free(old.cells);
	return 0;
}

/* Before one sample is laid over all moments at most, in three classes. */
static int make_room(struct pass *pass)
{
	struct pln_html_cells *c = pass->cells;
	uint32_t least = PLN_HTML_MOMENTS_MIN / (pass->whatever ? 2 : 1);
	int err = 0;

	while (!err && c->count > PLN_HTML_CELLS_MAX && c->moments > least)
		err = rebuild(c, c->capacity, 1);
	if (!err && c->count > PLN_HTML_CELLS_MAX && !pass->whatever)
		return -E2BIG;
	if (!err && c->count + 3u * PLN_HTML_MOMENTS_MAX > c->capacity / 4 * 3)
		err = rebuild(c, c->capacity * 2, 0);
	return err;
}

/* ---------------------------------------------------------------- samples */

struct stretch {
	uint64_t from_ns;
	uint64_t to_ns;
	uint32_t thread; /* of the page */
};

/* Evenly; what rounding leaves over in one moment is in the next. */
static void lay(struct pln_html_cells *c, const struct stretch *over, unsigned class, uint32_t node,
		uint64_t weight)
{
	uint32_t moment = pln_html_cells_moment(c, over->from_ns);
	uint32_t last = pln_html_cells_moment(c, over->to_ns - 1);
	uint64_t length = over->to_ns - over->from_ns, laid = 0;

	for (; moment < last; moment++) {
		uint64_t end = c->start_ns + (moment + 1) * c->moment_ns;
		uint64_t until = end > over->from_ns ? end - over->from_ns : 0;
		uint64_t sum = (uint64_t)((unsigned __int128)weight * until / length);

		if (sum > laid)
			put(c, make_key(class, over->thread, moment, node), sum - laid);
		laid = sum;
	}
	if (weight > laid)
		put(c, make_key(class, over->thread, last, node), weight - laid);
}

static uint32_t page_node(const struct pass *pass, uint32_t node)
{
	return node == PLN_NONE ? PLN_NONE : pass->parts->pruned->page_node[node];
}

static void lay_wait(struct pass *pass, const struct stretch *over, unsigned class, uint64_t ns,
		     uint32_t stack, enum pln_html_place place)
{
	uint32_t node;

	if (!ns)
		return;
	node = page_node(pass, pln_html_tree_wait(pass->parts->tree, stack, place));
	if (node != PLN_NONE)
		lay(pass->cells, over, class, node, ns);
}

static int add_sample(const struct pln_sample_row *row, void *arg)
{
	struct pass *pass = arg;
	const struct pln_html_parts *parts = pass->parts;
	uint64_t length = row->cpu_ns + row->offcpu_ns + row->runnable_ns;
	const struct pln_profile *profile = parts->report->profile;
	unsigned gil = row->gil <= PILLION_GIL_WAITS ? row->gil : PILLION_GIL_UNKNOWN;
	struct stretch over = { .to_ns = row->time_ns };
	uint32_t call;
	int err;

	if (!length || row->thread >= profile->thread_count ||
	    !parts->report->aggregate.thread_kept[row->thread])
		return 0;
	err = make_room(pass);
	if (err)
		return err;
	/* All of a second's rows have the time of its end. */
	if (length < BURST_NS && pln_thread_is_burst(profile, row->thread))
		length = BURST_NS;
	/* Where the recording's start cuts it off, it is denser. */
	if (over.to_ns <= pass->cells->start_ns)
		over.to_ns = pass->cells->start_ns + 1;
	over.from_ns = length < over.to_ns - pass->cells->start_ns ? over.to_ns - length
								   : pass->cells->start_ns;
	over.thread = parts->threads->page_thread[row->thread];
	call = page_node(pass, pln_html_tree_call(parts->tree, row->stack));
	if (row->cpu_ns && call != PLN_NONE)
		lay(pass->cells, &over, PLN_HTML_CPU + gil, call, row->cpu_ns);
	lay_wait(pass, &over, PLN_HTML_OFFCPU + gil, row->offcpu_ns, row->stack,
		 pln_html_wait_place(row->gil, row->syscall_nr));
	lay_wait(pass, &over, PLN_HTML_CPU_WAIT, row->runnable_ns, row->stack, PLN_HTML_RUNNABLE);
	return 0;
}

/* ----------------------------------------------------------------- memory */

static int add_block(struct pass *pass, const struct pln_block_row *block,
		     const struct pln_heap_moments *moments, uint64_t bytes)
{
	struct pln_html_cells *c = pass->cells;
	uint32_t node = page_node(pass, pln_html_tree_call(pass->parts->tree, block->stack));
	int err = make_room(pass);

	for (unsigned view = 0; !err && node != PLN_NONE && view < 4; view++) {
		uint64_t key = make_key(PLN_HTML_HEAP + view,
					pass->parts->threads->page_thread[block->thread],
					pln_html_cells_moment(c, block->time_ns), node);

		if (bytes && pln_heap_counts(block, view, moments))
			put(c, key, bytes);
	}
	return err;
}

static int add_blocks(struct pass *pass)
{
	const struct pln_report *r = pass->parts->report;
	const struct pln_profile *p = r->profile;
	struct pln_heap_moments *moments = pln_heap_find_moments(p);
	struct pln_block_rest rest = { 0, 0 };
	int err = moments || !p->process_count ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < p->block_count; i++) {
		uint64_t bytes = pln_block_whole(&p->blocks[i], &rest).bytes;
		uint32_t thread = p->blocks[i].thread;

		if (thread < p->thread_count && r->aggregate.thread_kept[thread] &&
		    p->threads[thread].process < p->process_count)
			err = add_block(pass, &p->blocks[i], &moments[p->threads[thread].process],
					bytes);
	}
	free(moments);
	return err;
}

/* ---------------------------------------------------------------- the whole */

static int by_key(const void *a, const void *b)
{
	uint64_t ka = ((const struct pln_html_cell *)a)->key;
	uint64_t kb = ((const struct pln_html_cell *)b)->key;

	return (ka > kb) - (ka < kb);
}

/* From a hash table to a list. */
static void order(struct pln_html_cells *c)
{
	size_t count = 0;

	for (size_t i = 0; i < c->capacity; i++) {
		if (c->cells[i].key != EMPTY)
			c->cells[count++] = c->cells[i];
	}
	qsort(c->cells, count, sizeof(*c->cells), by_key);
}

/*
 * No moment is shorter than two ticks: in less, how much of it a thread ran is not known. A
 * stranger's file may say anything of ticks and of the end: there is one moment at least.
 */
static void cut_time(struct pln_html_cells *c, const struct pln_recording *rec)
{
	uint64_t length = rec->end_ns > rec->start_ns ? rec->end_ns - rec->start_ns : 1;
	uint64_t tick_ns = rec->tick_ns ? rec->tick_ns : 1000000;
	uint64_t shortest = 2 * (tick_ns < TICK_MAX_NS ? tick_ns : TICK_MAX_NS);

	c->start_ns = rec->start_ns;
	c->moment_ns = (length - 1) / PLN_HTML_MOMENTS_MAX + 1;
	if (c->moment_ns < shortest)
		c->moment_ns = shortest;
	c->moments = (uint32_t)((length - 1) / c->moment_ns + 1);
}

int pln_html_cells_fill(struct pln_html_cells *cells, const struct pln_html_parts *parts,
			bool whatever)
{
	struct pass pass = { .cells = cells, .parts = parts, .whatever = whatever };
	int err;

	memset(cells, 0, sizeof(*cells));
	cut_time(cells, &parts->report->profile->recording);
	err = rebuild(cells, 1u << 16, 0);
	if (!err)
		err = pln_profile_each_sample(parts->report->profile, add_sample, &pass);
	if (!err)
		err = add_blocks(&pass);
	if (!err)
		order(cells);
	return err;
}

void pln_html_cells_free(struct pln_html_cells *cells)
{
	free(cells->cells);
	memset(cells, 0, sizeof(*cells));
}
