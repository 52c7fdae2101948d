/* SPDX-License-Identifier: MIT */
/*
 * table.c - counts stacks in the shared segment (layout: wire.h, struct pln_burst).
 *
 *   links as read --XXH3--> seen[] ------------------------------------> cell
 *                             | new, or not looked at in this slice
 *                             v
 *               code objects --> nodes, root first --> cells_at[] -----> cell
 *
 * What is shared is only written; what is looked up lies in private memory, where the
 * collector cannot reach: indices that are followed are always our own.
 */
#include "burst_i.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <pillion/atomic.h>

#include "pages.h"
#include "python/python_i.h"

/* A stack as it was read, and where it is counted. */
struct seen_stack {
	uint64_t hash; /* 0: none */
	uint32_t cell;
	uint32_t slice; /* its code objects were looked at then */
	uint32_t changes; /* of code objects, up to then */
	uint32_t reserved;
};

/* What a slice has for a cell. */
struct pending {
	uint64_t cpu_ns;
	uint64_t wait_ns;
	uint64_t count;
};

#define PAGE 4096u
#define TOUCHED 65536

static struct {
	uint32_t node_max, cell_max; /* powers of two */
	uint32_t node_count, cell_count;
	uint32_t seen_count;
	struct pln_burst *shared;
	struct pln_burst_node *nodes;
	struct pln_burst_cell *cells;
	struct seen_stack *seen; /* 2 * cell_max */
	uint32_t *nodes_at; /* 2 * node_max: by content; 0: none */
	uint32_t *cells_at; /* 2 * cell_max: by node and thread, plus 1; 0: none */
	struct pending *pending; /* cell_max */
	uint32_t *touched; /* TOUCHED: cells with something pending */
	uint32_t touched_count;
	void *memory;
	size_t memory_size;
} table;

void pln_burst_table_place(struct pln_burst *shared)
{
	table.shared = shared;
	table.nodes = (struct pln_burst_node *)((char *)shared + shared->nodes_off);
	table.cells = (struct pln_burst_cell *)((char *)shared + shared->cells_off);
	table.node_max = shared->node_max;
	table.cell_max = shared->cell_max;
}

/* Whole pages: seen[] is emptied by giving them back. */
static size_t size_of_seen(void)
{
	return (2ul * table.cell_max * sizeof(*table.seen) + PAGE - 1) & ~(size_t)(PAGE - 1);
}

/* Empty, and costs memory only as it fills. */
bool pln_burst_table_reset(void)
{
	size_t seen = size_of_seen();
	size_t nodes_at = 2ul * table.node_max * sizeof(*table.nodes_at);
	size_t cells_at = 2ul * table.cell_max * sizeof(*table.cells_at);
	size_t pending = table.cell_max * sizeof(*table.pending);
	char *at;

	if (table.memory)
		pln_pages_unmap(table.memory, table.memory_size);
	table.memory_size = seen + pending + nodes_at + cells_at + TOUCHED * sizeof(*table.touched);
	table.memory = pln_pages_map(table.memory_size, MAP_NORESERVE);
	if (table.memory == MAP_FAILED) {
		table.memory = NULL;
		return false;
	}
	at = table.memory;
	table.seen = (struct seen_stack *)at;
	table.pending = (struct pending *)(at += seen);
	table.nodes_at = (uint32_t *)(at += pending);
	table.cells_at = (uint32_t *)(at += nodes_at);
	table.touched = (uint32_t *)(at + cells_at);
	table.touched_count = 0;
	table.node_count = 1; /* the empty stack */
	table.cell_count = table.seen_count = 0;
	return true;
}

/* ---------------------------------------------------------- nodes and cells */

/* 0: no room. */
static uint32_t node_of(uint32_t parent, uint64_t code, uint32_t instr)
{
	struct pln_burst_node node = { code, instr, parent };
	uint32_t mask = 2 * table.node_max - 1;
	uint32_t i = (uint32_t)XXH3_64bits(&node, sizeof(node)) & mask;

	for (; table.nodes_at[i]; i = (i + 1) & mask)
		if (!memcmp(&table.nodes[table.nodes_at[i]], &node, sizeof(node)))
			return table.nodes_at[i];
	if (table.node_count == table.node_max)
		return 0;
	table.nodes[table.node_count] = node;
	table.nodes_at[i] = table.node_count++;
	/* release: the node before its number; pairs with the collector's load */
	pln_store_release(&table.shared->node_count, table.node_count);
	return table.nodes_at[i];
}

static uint32_t add_cell(uint32_t node, const struct pln_burst_stack *stack)
{
	struct pln_burst_cell *cell = &table.cells[table.cell_count];

	cell->node = node;
	cell->thread = stack->thread;
	cell->flags = stack->truncated ? PILLION_SAMPLE_PYTHON_TRUNCATED : 0;
	table.cell_count++;
	/* release: the cell before its number; pairs with the collector's load */
	pln_store_release(&table.shared->cell_count, table.cell_count);
	return table.cell_count;
}

/* Number of the cell plus 1, 0: no room. */
static uint32_t cell_of(uint32_t node, const struct pln_burst_stack *stack)
{
	uint64_t key = (uint64_t)stack->thread << 32 | node;
	uint32_t mask = 2 * table.cell_max - 1;
	uint32_t i = (uint32_t)XXH3_64bits(&key, sizeof(key)) & mask;

	for (; table.cells_at[i]; i = (i + 1) & mask) {
		const struct pln_burst_cell *cell = &table.cells[table.cells_at[i] - 1];

		if (cell->node == node && cell->thread == stack->thread)
			return table.cells_at[i];
	}
	if (table.cell_count == table.cell_max)
		return 0;
	return table.cells_at[i] = add_cell(node, stack);
}

/* ---------------------------------------------------------- resolving */

/* Root first. */
static enum pln_burst_counted resolve(const struct pln_burst_stack *stack, uint32_t *cell)
{
	const struct pln_layout *layout = pln_load_relaxed(&pln_python.layout);
	uint32_t node = 0, instr;

	for (unsigned i = stack->count; i-- > 0;) {
		const struct pln_burst_step *step = &stack->steps[i];
		const struct pln_burst_code *code;
		enum pln_frame_verdict verdict;
		enum pln_burst_counted described;

		if (step->code & PLN_BURST_SHIM)
			continue;
		code = pln_burst_code(layout, step->code & ~(uintptr_t)PLN_BURST_TAGS);
		if (!code)
			return PLN_BURST_IMPLAUSIBLE;
		verdict = pln_burst_code_instr(layout, code, step, &instr);
		if (verdict == PLN_FRAME_REFUSE)
			return PLN_BURST_IMPLAUSIBLE;
		if (verdict == PLN_FRAME_SKIP)
			continue;
		described = pln_burst_code_describe(code);
		if (described != PLN_BURST_COUNTED)
			return described;
		node = node_of(node, code->key, instr);
		if (!node)
			return PLN_BURST_FULL;
	}
	*cell = cell_of(node, stack);
	return *cell ? PLN_BURST_COUNTED : PLN_BURST_FULL;
}

/* Whether all code objects are what they were when the stack was resolved. */
static bool still_holds(const struct pln_burst_stack *stack, const struct seen_stack *seen)
{
	const struct pln_layout *layout = pln_load_relaxed(&pln_python.layout);

	for (unsigned i = 0; i < stack->count; i++)
		if (!(stack->steps[i].code & PLN_BURST_SHIM) &&
		    !pln_burst_code(layout, stack->steps[i].code & ~(uintptr_t)PLN_BURST_TAGS))
			return false;
	return seen->changes == pln_burst_codes_changes();
}

static enum pln_burst_counted resolve_seen(const struct pln_burst_stack *stack,
					   struct seen_stack *seen)
{
	enum pln_burst_counted counted = PLN_BURST_COUNTED;

	if (!seen->cell || !still_holds(stack, seen))
		counted = resolve(stack, &seen->cell);
	if (counted != PLN_BURST_COUNTED) {
		seen->cell = 0;
		return counted;
	}
	seen->slice = pln_burst_codes_slice();
	seen->changes = pln_burst_codes_changes();
	return counted;
}

/* Zeros again, without a page; not where all memory is locked. */
static void forget_seen(void)
{
	if (madvise(table.seen, size_of_seen(), MADV_DONTNEED))
		memset(table.seen, 0, size_of_seen());
	table.seen_count = 0;
}

static struct seen_stack *find_seen(uint64_t hash)
{
	uint32_t mask = 2 * table.cell_max - 1, i = (uint32_t)hash & mask;

	for (; table.seen[i].hash; i = (i + 1) & mask)
		if (table.seen[i].hash == hash)
			return &table.seen[i];
	/* Stacks of code objects that are gone are never met again. */
	if (table.seen_count == table.cell_max + table.cell_max / 2) {
		forget_seen();
		i = (uint32_t)hash & mask;
	}
	table.seen_count++;
	table.seen[i].hash = hash;
	return &table.seen[i];
}

enum pln_burst_counted pln_burst_table_find(const struct pln_burst_stack *stack, uint32_t *cell)
{
	uint64_t seed = (uint64_t)stack->thread << 1 | stack->truncated;
	uint64_t hash =
		XXH3_64bits_withSeed(stack->steps, stack->count * sizeof(*stack->steps), seed) | 1;
	struct seen_stack *seen = find_seen(hash);
	enum pln_burst_counted counted = PLN_BURST_COUNTED;

	if (!seen->cell || seen->slice != pln_burst_codes_slice())
		counted = resolve_seen(stack, seen);
	*cell = seen->cell - 1;
	return counted;
}

/* relaxed: we are the only writer, and sums need no company */
static void add(_Atomic uint64_t *sum, uint64_t value)
{
	pln_store_relaxed(sum, pln_load_relaxed(sum) + value);
}

static void add_pending(uint32_t cell, const struct pending *more)
{
	struct pending *pending = &table.pending[cell];

	if (!pending->count && !pending->cpu_ns && !pending->wait_ns)
		table.touched[table.touched_count++] = cell;
	pending->count += more->count;
	pending->cpu_ns += more->cpu_ns;
	pending->wait_ns += more->wait_ns;
	if (table.touched_count == TOUCHED)
		pln_burst_table_end_slice();
}

void pln_burst_table_add(uint32_t cell, uint64_t cpu_ns, uint64_t wait_ns)
{
	add_pending(cell, &(struct pending){ .cpu_ns = cpu_ns, .wait_ns = wait_ns, .count = 1 });
}

void pln_burst_table_give(uint32_t cell, uint64_t cpu_ns)
{
	if (cpu_ns)
		add_pending(cell, &(struct pending){ .cpu_ns = cpu_ns });
}

void pln_burst_table_drop(uint64_t ns)
{
	add(&table.shared->held_ns, ns);
	add(&table.shared->dropped_ns, ns);
}

/* Nodes lie where the collector could write: whatever they say, it leads towards the root. */
static bool has_stale_code(uint32_t cell)
{
	uint32_t node = table.cells[cell].node;

	while (node && node < table.node_count) {
		uint32_t parent = table.nodes[node].parent;

		if (pln_burst_code_is_stale(table.nodes[node].code))
			return true;
		node = parent < node ? parent : 0;
	}
	return false;
}

static void count(uint32_t cell, const struct pending *pending, bool stale)
{
	add(&table.shared->held_ns, pending->cpu_ns + pending->wait_ns);
	if (stale) {
		add(&table.shared->samples, 0 - pending->count);
		add(&table.shared->torn, pending->count);
		add(&table.shared->dropped_ns, pending->cpu_ns + pending->wait_ns);
		return;
	}
	add(&table.cells[cell].count, pending->count);
	add(&table.cells[cell].cpu_ns, pending->cpu_ns);
	add(&table.cells[cell].wait_ns, pending->wait_ns);
}

static void count_owed(void)
{
	uint64_t owed_ns = pln_burst_owed_ns();

	add(&table.shared->held_ns, owed_ns - pln_load_relaxed(&table.shared->owed_ns));
	pln_store_relaxed(&table.shared->owed_ns, owed_ns);
}

/* What was held until now is in a cell, dropped or owed: it adds up whenever we are killed. */
void pln_burst_table_end_slice(void)
{
	const struct pln_layout *layout = pln_load_relaxed(&pln_python.layout);
	bool any_stale = layout && pln_burst_codes_end_slice(layout);

	for (uint32_t i = 0; i < table.touched_count; i++) {
		uint32_t cell = table.touched[i];

		count(cell, &table.pending[cell], any_stale && has_stale_code(cell));
		table.pending[cell] = (struct pending){ 0 };
	}
	table.touched_count = 0;
	count_owed();
	pln_burst_codes_forget_stale();
}
