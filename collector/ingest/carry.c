/* SPDX-License-Identifier: MIT */
/*
 * carry.c - a process that is followed goes on in another file.
 *
 * A profile is whole by itself, so that nothing in it may refer to the one before: process,
 * threads and modules are told once more, functions and frames as they are met, and stacks
 * that samples still call "as before" are put together anew. Sums (clocks, counts, drops)
 * are those since the start of the file. Memory is treated as at a fork: what was live then
 * is the earlier file's, and known here as a sum.
 */
#include <stdlib.h>
#include <string.h>

#include "ingest/burst.h"
#include "ingest/target.h"
#include "profile/grow.h"

struct carry {
	struct pln_target *t;
	const struct pln_tables *from;
	uint32_t *modules; /* by id there: id here, PLN_NONE: not told yet */
	uint32_t *codes; /* by function id there: index of t->codes[], PLN_NONE: none */
	struct pln_intern *serials; /* as t->serials */
	uint32_t *path; /* frames of one stack, innermost first */
	size_t path_capacity;
};

static uint32_t *new_map(size_t count)
{
	uint32_t *map = malloc((count + 1) * sizeof(*map));

	if (map)
		memset(map, 0xff, (count + 1) * sizeof(*map)); /* PLN_NONE */
	return map;
}

/* ------------------------------------------------------------------- stacks */

static uint32_t carry_module(struct carry *c, uint32_t id)
{
	struct pln_module_info row;

	if (id == PLN_NONE || c->modules[id] != PLN_NONE)
		return id == PLN_NONE ? PLN_NONE : c->modules[id];
	row = c->from->module_rows[id];
	row.process = c->t->id;
	c->modules[id] = pln_tables_module(c->t->tables, &row);
	return c->modules[id];
}

static uint32_t carry_frame(struct carry *c, uint32_t id)
{
	struct pln_frame frame = c->from->frame_rows[id];
	uint32_t code;

	if (frame.kind == PLN_FRAME_NATIVE) {
		frame.module = carry_module(c, frame.module);
	} else {
		code = c->codes[frame.function];
		frame.function = code == PLN_NONE ? c->t->tables->unknown_function
						  : pln_target_function(c->t, &c->t->codes[code]);
	}
	return pln_tables_frame(c->t->tables, &frame);
}

static uint32_t carry_stack(struct carry *c, uint32_t id)
{
	struct pln_stack_node node;
	uint32_t stack = PLN_NONE;
	size_t count = 0;

	for (; id != PLN_NONE; id = node.parent) {
		memcpy(&node, pln_intern_key(c->from->stacks, id), sizeof(node));
		if (!pln_grow(&c->path, &c->path_capacity, count, sizeof(*c->path)))
			return PLN_NONE;
		c->path[count++] = node.frame;
	}
	while (count--) {
		uint32_t frame = carry_frame(c, c->path[count]);

		if (frame == PLN_NONE)
			return PLN_NONE;
		stack = pln_tables_stack(c->t->tables, stack, frame);
	}
	return stack;
}

/* ------------------------------------------------------------------ process */

static void carry_process(struct pln_target *t, uint64_t now_ns)
{
	struct pln_process *row = &t->row, *before = &t->before;
	uint64_t live_bytes = pln_target_live_bytes(t);

	for (unsigned i = 0; i < PILLION_DROP_COUNT; i++)
		before->drops[i] += row->drops[i];
	before->ticks += row->ticks;
	before->handler_calls += row->handler_calls;
	before->handler_ns += row->handler_ns;
	before->sampler_cpu_ns += row->sampler_cpu_ns;
	before->process_cpu_ns += row->process_cpu_ns;
	before->dormant_ns += row->dormant_ns;
	pln_target_add_heap(before->heap, row->heap);
	memset(row->heap, 0, sizeof(row->heap));
	row->heap_inherited_bytes = row->heap_peak_bytes = live_bytes;
	row->heap_peak_ns = now_ns;
	row->lost_records = 0;
	row->start_ns = now_ns;
	t->has_moved = true;
	t->samples = 0;
	t->heap_point_ns = 0;
	memset(&t->heap_point, 0, sizeof(t->heap_point));
	t->writer = t->tables->writer;
	t->id = pln_writer_add_process(t->writer, row);
	pln_target_add_labels(t);
}

/* ------------------------------------------------------------------ threads */

/* Where its time in the file before ends: each moment of a thread is in one file. */
static uint64_t told_until(const struct pln_thread *row, uint64_t now_ns)
{
	if (row->seen_ns && row->seen_ns >= row->start_ns)
		return row->seen_ns;
	/* There it has none. */
	return row->start_ns && row->start_ns < now_ns ? row->start_ns : now_ns;
}

static void carry_thread(struct carry *c, struct pln_target_thread *thread, uint64_t now_ns)
{
	struct pln_thread *row = &thread->row;

	thread->before.until_ns = told_until(row, now_ns);
	thread->before.cpu_ns += row->cpu_ns;
	thread->before.dormant_cpu_ns += row->dormant_cpu_ns;
	thread->before.dormant_wall_ns += row->dormant_wall_ns;
	pln_target_add_heap(thread->before.heap, row->heap);
	row->process = c->t->id;
	row->start_ns = row->seen_ns = thread->before.until_ns;
	row->cpu_ns = row->dormant_cpu_ns = row->dormant_wall_ns = 0;
	row->unsampled_cpu_ns = row->unsampled_wall_ns = 0;
	memset(row->heap, 0, sizeof(row->heap));
	row->name = thread->name;
	thread->sampled_cpu_ns = thread->pending_runnable_ns = 0;
	thread->id = pln_writer_add_thread(c->t->writer, row);
	for (unsigned i = 0; i < 2; i++)
		if (thread->last[i].valid)
			thread->last[i].stack = carry_stack(c, thread->last[i].stack);
}

/* Those that have ended stay behind. */
static void carry_threads(struct carry *c, uint64_t now_ns)
{
	struct pln_target *t = c->t;
	size_t kept = 0;

	for (size_t i = 0; i < t->thread_count; i++) {
		uint32_t serial = t->threads[i].row.serial;

		if (t->threads[i].row.exited ||
		    pln_intern_add(c->serials, &serial, sizeof(serial), NULL) != kept)
			continue;
		t->threads[kept] = t->threads[i];
		carry_thread(c, &t->threads[kept++], now_ns);
	}
	t->thread_count = kept;
	pln_intern_free(t->serials);
	t->serials = c->serials;
	c->serials = NULL;
}

/* --------------------------------------------------------- modules and codes */

static void carry_modules(struct carry *c)
{
	struct pln_module_list *list = &c->t->modules;

	for (size_t i = 0; i < list->live_count; i++)
		list->live[i].id = carry_module(c, list->live[i].id);
	/* No sample is under way that could have met these. */
	while (list->gone_count)
		free((char *)list->gone[--list->gone_count].unwind.path);
}

/* They get their functions back when they are met. */
static void carry_codes(struct carry *c)
{
	struct pln_target *t = c->t;

	for (uint32_t i = 0; i < t->code_count; i++) {
		struct pln_target_code *code = &t->codes[i];

		if (code->described && code->function != PLN_NONE)
			c->codes[code->function] = i;
		code->function = code->described ? PLN_NONE : t->tables->unknown_function;
	}
}

static void carry_all(struct carry *c, uint64_t now_ns)
{
	pln_target_forget_resolved(c->t);
	pln_target_forget_burst_stacks(c->t);
	pln_target_disown_blocks(c->t);
	carry_process(c->t, now_ns);
	carry_codes(c);
	carry_modules(c);
	carry_threads(c, now_ns);
}

bool pln_target_carry(struct pln_target *t, struct pln_tables *to, uint64_t now_ns)
{
	struct carry c = { .t = t, .from = t->tables };
	bool done;

	c.modules = new_map(c.from->module_count);
	c.codes = new_map(pln_intern_count(c.from->functions));
	c.serials = pln_intern_new();
	done = c.modules && c.codes && c.serials;
	if (done) {
		t->tables = to;
		carry_all(&c, now_ns);
	}
	pln_intern_free(c.serials);
	free(c.modules);
	free(c.codes);
	free(c.path);
	return done;
}
