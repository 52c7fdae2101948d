/* SPDX-License-Identifier: MIT */
/*
 * blocks.c - sampled allocations of one process, and their frees.
 *
 * Both come through lanes of different threads, in any order: a free may be met before its
 * block. What is not matched yet waits in a table by id, open addressing, which shrinks
 * in use as blocks are freed: it holds what is live, and little else. A block that could not be
 * told to the file waits there as well, so that its free is not taken for an early one.
 */
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <pillion/atomic.h>

#include "ingest/target.h"

#define LIVE_MIN 256u
/* Between two points of the heap's timeline, at least: one a drain, but when those are hurried. */
#define RESTING_POINT_NS 1000000000ull
#define POINT_NS 40000000ull
#define MAX_BYTES (1ull << 56)
#define MAX_EARLY                                                                                  \
	65536u /* frees whose block is in a lane that is yet to be read: a few, and soon */

/* A block that waits for its free (time 0), or a free that waits for its block. */
struct pln_target_block {
	uint64_t id; /* 0: empty */
	uint64_t freed_ns;
	uint32_t block; /* PLN_NONE: an earlier file has it, or none */
};

static size_t place(const struct pln_target_blocks *b, uint64_t id)
{
	size_t at = XXH3_64bits_withSeed(&id, sizeof(id), pln_intern_seed()) & (b->capacity - 1);

	while (b->rows[at].id && b->rows[at].id != id)
		at = (at + 1) & (b->capacity - 1);
	return at;
}

static bool grow(struct pln_target_blocks *b)
{
	struct pln_target_blocks larger = { .capacity = b->capacity ? b->capacity * 2 : LIVE_MIN };

	if (b->count * 2 < b->capacity)
		return true;
	larger.rows = calloc(larger.capacity, sizeof(*larger.rows));
	if (!larger.rows)
		return false;
	for (size_t i = 0; i < b->capacity; i++)
		if (b->rows[i].id)
			larger.rows[place(&larger, b->rows[i].id)] = b->rows[i];
	larger.count = b->count;
	larger.early = b->early;
	free(b->rows);
	*b = larger;
	return true;
}

/* Empties a row, and moves those up that it stood in the way of. */
static void take_out(struct pln_target_blocks *b, size_t at)
{
	b->rows[at].id = 0;
	b->count--;
	for (size_t next = (at + 1) & (b->capacity - 1); b->rows[next].id;
	     next = (next + 1) & (b->capacity - 1)) {
		struct pln_target_block row = b->rows[next];

		b->rows[next].id = 0;
		b->rows[place(b, row.id)] = row;
	}
}

/* Of one that the writer does not have, nothing is to be told. */
static void tell_free(struct pln_target *t, uint32_t block, uint64_t freed_ns)
{
	if (block != PLN_NONE)
		pln_writer_add_free(t->writer, block, freed_ns);
}

void pln_target_add_block(struct pln_target *t, uint64_t id, const struct pln_block_row *row)
{
	struct pln_target_blocks *b = &t->blocks;
	uint32_t block = pln_writer_add_block(t->writer, row);
	size_t at;

	if (row->unfollowed || !grow(b))
		return;
	at = place(b, id);
	if (b->rows[at].id && b->rows[at].freed_ns) { /* its free was met first */
		tell_free(t, block, b->rows[at].freed_ns);
		take_out(b, at);
		b->early--;
		return;
	}
	b->count += !b->rows[at].id;
	b->rows[at] = (struct pln_target_block){ .id = id, .block = block };
}

static void keep_early(struct pln_target *t, size_t at, const struct pln_wire_free *rec)
{
	if (t->blocks.early >= MAX_EARLY) {
		t->row.lost_records++;
		return;
	}
	t->blocks.rows[at] = (struct pln_target_block){ rec->id, rec->time_ns, PLN_NONE };
	t->blocks.count++;
	t->blocks.early++;
}

void pln_target_take_free(struct pln_target *t, const struct pln_wire_free *rec)
{
	struct pln_target_blocks *b = &t->blocks;
	size_t at;

	if (rec->rec.size < sizeof(*rec) || !rec->id || !rec->time_ns ||
	    rec->time_ns > t->drain_ns + PLN_TARGET_AHEAD_NS || !grow(b)) {
		t->row.lost_records++;
		return;
	}
	at = place(b, rec->id);
	if (!b->rows[at].id) {
		keep_early(t, at, rec);
	} else if (!b->rows[at].freed_ns) {
		tell_free(t, b->rows[at].block, rec->time_ns);
		take_out(b, at);
	}
}

void pln_target_disown_blocks(struct pln_target *t)
{
	for (size_t i = 0; i < t->blocks.capacity; i++)
		t->blocks.rows[i].block = PLN_NONE;
}

void pln_target_free_blocks(struct pln_target *t)
{
	free(t->blocks.rows);
	t->blocks = (struct pln_target_blocks){ 0 };
}

/* ----------------------------------------------------------------- counters */

static void add(struct pln_heap_counts *sum, const struct pln_alloc_counters *one)
{
	for (unsigned i = 0; i < PILLION_HEAP_COUNT; i++) {
		/* relaxed: statistics, each for itself */
		sum[i].alloc_calls += pln_load_relaxed(&one[i].alloc_calls);
		sum[i].alloc_bytes += pln_load_relaxed(&one[i].alloc_bytes);
		sum[i].free_calls += pln_load_relaxed(&one[i].free_calls);
		sum[i].free_bytes += pln_load_relaxed(&one[i].free_bytes);
	}
}

void pln_target_copy_heap(struct pln_heap_counts *heap, const struct pln_alloc_counters *counters)
{
	memset(heap, 0, PILLION_HEAP_COUNT * sizeof(*heap));
	add(heap, counters);
}

void pln_target_subtract_heap(struct pln_heap_counts *heap, const struct pln_heap_counts *before)
{
	for (unsigned i = 0; i < PILLION_HEAP_COUNT; i++) {
		heap[i].alloc_calls = pln_since(heap[i].alloc_calls, before[i].alloc_calls);
		heap[i].alloc_bytes = pln_since(heap[i].alloc_bytes, before[i].alloc_bytes);
		heap[i].free_calls = pln_since(heap[i].free_calls, before[i].free_calls);
		heap[i].free_bytes = pln_since(heap[i].free_bytes, before[i].free_bytes);
	}
}

void pln_target_add_heap(struct pln_heap_counts *before, const struct pln_heap_counts *heap)
{
	for (unsigned i = 0; i < PILLION_HEAP_COUNT; i++) {
		before[i].alloc_calls += heap[i].alloc_calls;
		before[i].alloc_bytes += heap[i].alloc_bytes;
		before[i].free_calls += heap[i].free_calls;
		before[i].free_bytes += heap[i].free_bytes;
	}
}

uint64_t pln_target_live_bytes(const struct pln_target *t)
{
	return pln_heap_live_bytes(t->row.heap, t->row.heap_inherited_bytes);
}

/* The target knows the peak of its life; where that is an earlier file's, what we have seen is
 * ours. */
static void read_peak(struct pln_target *t, const struct pln_segment *seg)
{
	uint64_t at_ns = pln_load_relaxed(&seg->peak_ns), live = pln_target_live_bytes(t);

	if (!t->has_moved || at_ns >= t->row.start_ns) {
		t->row.heap_peak_bytes = pln_load_relaxed(&seg->peak_bytes);
		t->row.heap_peak_ns = at_ns;
	} else if (live > t->row.heap_peak_bytes) {
		t->row.heap_peak_bytes = live;
		t->row.heap_peak_ns = t->drain_ns;
	}
	/* It looks when it counts: a child that never did has at least what it was born with. */
	if (t->row.heap_peak_bytes < t->row.heap_inherited_bytes) {
		t->row.heap_peak_bytes = t->row.heap_inherited_bytes;
		t->row.heap_peak_ns = t->row.start_ns;
	}
}

/* While it lives, the target's own sum: slots are emptied, and change hands, as we look. */
void pln_target_read_heap(struct pln_target *t, bool gone)
{
	struct pln_segment *seg = t->segment.shared;
	struct pln_heap_counts heap[PILLION_HEAP_COUNT] = { 0 };

	t->row.finalizing_ns = pln_load_relaxed(&seg->finalizing_ns);
	if (gone) {
		add(heap, seg->heap_rest);
		for (uint32_t i = 0; i < t->segment.lane_count; i++)
			add(heap, t->segment.slots[i].heap);
	} else {
		add(heap, seg->heap_total);
	}
	pln_target_subtract_heap(heap, t->before.heap);
	if (heap[PILLION_HEAP_MALLOC].alloc_calls < t->row.heap[PILLION_HEAP_MALLOC].alloc_calls)
		return;
	memcpy(t->row.heap, heap, sizeof(t->row.heap));
	t->row.brk_peak_bytes = pln_load_relaxed(&seg->brk_peak_bytes);
	if (!t->has_moved)
		t->row.heap_inherited_bytes =
			t->segment.inherited_bytes < MAX_BYTES ? t->segment.inherited_bytes : 0;
	read_peak(t, seg);
}

/* Of a process that rests, a point a second is enough. */
static bool is_news(const struct pln_target *t, const struct pln_heap_point *point)
{
	return t->drain_ns - t->heap_point_ns >= RESTING_POINT_NS ||
	       point->brk_bytes != t->heap_point.brk_bytes ||
	       memcmp(point->heap, t->heap_point.heap, sizeof(point->heap)) != 0;
}

void pln_target_follow_heap(struct pln_target *t)
{
	struct pln_heap_point point = { .time_ns = t->drain_ns,
					.process = t->id,
					.brk_bytes =
						pln_load_relaxed(&t->segment.shared->brk_bytes) };

	if (t->ended || t->drain_ns - t->heap_point_ns < POINT_NS)
		return;
	pln_target_read_heap(t, false);
	memcpy(point.heap, t->row.heap, sizeof(point.heap));
	if (!point.heap[PILLION_HEAP_MALLOC].alloc_calls || !is_news(t, &point))
		return;
	t->heap_point = point;
	t->heap_point_ns = t->drain_ns;
	pln_writer_add_heap_point(t->writer, &point);
}
