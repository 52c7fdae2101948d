/* SPDX-License-Identifier: MIT */
/*
 * samples.c - see samples.h.
 *
 * One column per field: equal things stand side by side, and a field that no row has
 * costs one byte a chunk. Rows are grouped by thread, because a thread's time advances
 * evenly and its stack often stays the same.
 *
 *   samples = base_time:varint rows:varint columns:varint column{columns}
 *   column  = part            in the order of enum pln_sample_column; a reader skips
 *                             columns behind those that it knows
 *   THREAD  = (thread:varint rows:varint)*
 *   SHAPE   = byte{rows}      SHAPE_* bits: which columns hold something for the row
 *   KIND    = byte{rows}      cause | gil << 4
 *   FLAGS   = varint{rows}    flags; PLN_ROW_* shifted down to follow the wire's
 *   TIME    = signed{rows}    minus the thread's row before; its first: minus base_time
 *   STACK   = varint*         node + 1, 0: none; absent: that of the thread's row before
 *   SYSCALL = signed*         absent: -1
 *   others  = varint*         absent: 0
 */
#include "profile/samples.h"

#include <stdlib.h>
#include <string.h>

enum shape {
	SHAPE_STACK = 1 << 0,
	SHAPE_CPU = 1 << 1,
	SHAPE_OFFCPU = 1 << 2,
	SHAPE_RUNNABLE = 1 << 3,
	SHAPE_SYSCALL = 1 << 4,
	SHAPE_MEMORY = 1 << 5, /* the four columns of allocation */
};

/* The wire's flags have 10 bits; the collector's start at 24. In between is nothing. */
#define ROW_FLAGS_FROM 24
#define ROW_FLAGS_TO 12
#define WIRE_FLAGS_MASK ((1u << ROW_FLAGS_TO) - 1)

static uint64_t pack_flags(uint32_t flags)
{
	return (flags & WIRE_FLAGS_MASK) | (flags >> ROW_FLAGS_FROM) << ROW_FLAGS_TO;
}

static uint32_t unpack_flags(uint64_t packed)
{
	return (uint32_t)((packed & WIRE_FLAGS_MASK) | (packed >> ROW_FLAGS_TO & 0xff)
							       << ROW_FLAGS_FROM);
}

/* ----------------------------------------------------------------- encoding */

static uint8_t shape_of(const struct pln_sample_row *row, const struct pln_sample_row *before)
{
	uint8_t shape = 0;

	if (!before || before->stack != row->stack)
		shape |= SHAPE_STACK;
	if (row->cpu_ns)
		shape |= SHAPE_CPU;
	if (row->offcpu_ns)
		shape |= SHAPE_OFFCPU;
	if (row->runnable_ns)
		shape |= SHAPE_RUNNABLE;
	if (row->syscall_nr != -1)
		shape |= SHAPE_SYSCALL;
	if (row->alloc_calls | row->alloc_bytes | row->free_calls | row->free_bytes)
		shape |= SHAPE_MEMORY;
	return shape;
}

static void put_memory(struct pln_buffer *column, const struct pln_sample_row *row)
{
	pln_put_varint(&column[PLN_COLUMN_ALLOC_CALLS], row->alloc_calls);
	pln_put_varint(&column[PLN_COLUMN_ALLOC_BYTES], row->alloc_bytes);
	pln_put_varint(&column[PLN_COLUMN_FREE_CALLS], row->free_calls);
	pln_put_varint(&column[PLN_COLUMN_FREE_BYTES], row->free_bytes);
}

/* `before`: the row before of the same thread, or NULL. */
static void put_row(struct pln_buffer *column, const struct pln_sample_row *row,
		    const struct pln_sample_row *before, uint64_t base_time)
{
	uint8_t shape = shape_of(row, before);

	pln_put_byte(&column[PLN_COLUMN_SHAPE], shape);
	pln_put_byte(&column[PLN_COLUMN_KIND], (uint8_t)((row->cause & 15) | row->gil << 4));
	pln_put_varint(&column[PLN_COLUMN_FLAGS], pack_flags(row->flags));
	pln_put_signed(&column[PLN_COLUMN_TIME],
		       (int64_t)(row->time_ns - (before ? before->time_ns : base_time)));
	if (shape & SHAPE_STACK)
		pln_put_varint(&column[PLN_COLUMN_STACK], (uint32_t)(row->stack + 1));
	if (shape & SHAPE_CPU)
		pln_put_varint(&column[PLN_COLUMN_CPU], row->cpu_ns);
	if (shape & SHAPE_OFFCPU)
		pln_put_varint(&column[PLN_COLUMN_OFFCPU], row->offcpu_ns);
	if (shape & SHAPE_RUNNABLE)
		pln_put_varint(&column[PLN_COLUMN_RUNNABLE], row->runnable_ns);
	if (shape & SHAPE_SYSCALL)
		pln_put_signed(&column[PLN_COLUMN_SYSCALL], row->syscall_nr);
	if (shape & SHAPE_MEMORY)
		put_memory(column, row);
}

/* thread << 32 | index: sorts by thread and keeps the order within one. */
static int compare_order(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a;
	uint64_t right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

static const uint64_t *order_rows(struct pln_buffer *order, const struct pln_sample_row *rows,
				  size_t count)
{
	uint64_t *keys;

	pln_buffer_clear(order);
	keys = (uint64_t *)(void *)pln_buffer_reserve(order, count * sizeof(*keys));
	if (!keys)
		return NULL;
	for (size_t i = 0; i < count; i++)
		keys[i] = (uint64_t)rows[i].thread << 32 | i;
	qsort(keys, count, sizeof(*keys), compare_order);
	return keys;
}

static void put_rows(struct pln_buffer *column, const struct pln_sample_row *rows,
		     const uint64_t *order, size_t count)
{
	size_t group_start = 0;

	for (size_t i = 0; i < count; i++) {
		const struct pln_sample_row *row = &rows[(uint32_t)order[i]];
		const struct pln_sample_row *before = NULL;

		if (i > group_start)
			before = &rows[(uint32_t)order[i - 1]];
		put_row(column, row, before, rows[0].time_ns);
		if (i + 1 < count && order[i + 1] >> 32 == row->thread)
			continue;
		pln_put_varint(&column[PLN_COLUMN_THREAD], row->thread);
		pln_put_varint(&column[PLN_COLUMN_THREAD], i + 1 - group_start);
		group_start = i + 1;
	}
}

bool pln_samples_encode(struct pln_sample_encoder *e, struct pln_buffer *out,
			const struct pln_sample_row *rows, size_t count)
{
	const uint64_t *order = order_rows(&e->order, rows, count);
	bool ok = !!order;

	if (!ok)
		return false;
	for (int i = 0; i < PLN_COLUMN_COUNT; i++)
		pln_buffer_clear(&e->column[i]);
	put_rows(e->column, rows, order, count);
	pln_put_varint(out, count ? rows[0].time_ns : 0);
	pln_put_varint(out, count);
	pln_put_varint(out, PLN_COLUMN_COUNT);
	for (int i = 0; i < PLN_COLUMN_COUNT; i++) {
		pln_put_varint(out, e->column[i].size);
		pln_put_bytes(out, e->column[i].data, e->column[i].size);
		ok = ok && !e->column[i].failed;
	}
	return ok && !out->failed;
}

void pln_sample_encoder_free(struct pln_sample_encoder *e)
{
	for (int i = 0; i < PLN_COLUMN_COUNT; i++)
		pln_buffer_free(&e->column[i]);
	pln_buffer_free(&e->order);
}

/* ----------------------------------------------------------------- decoding */

uint64_t pln_samples_begin(struct pln_sample_decoder *d, const void *payload, size_t size)
{
	struct pln_decoder in = pln_decoder_of(payload, size);

	*d = (struct pln_sample_decoder){ 0 };
	d->base_time = pln_get_varint(&in);
	d->rows_left = pln_get_varint(&in);
	if (pln_get_varint(&in) < PLN_COLUMN_COUNT)
		in.failed = true;
	for (int i = 0; i < PLN_COLUMN_COUNT; i++)
		d->column[i] = pln_get_part(&in);
	d->failed = in.failed || pln_decoder_left(&d->column[PLN_COLUMN_SHAPE]) != d->rows_left;
	if (d->failed)
		d->rows_left = 0;
	return d->rows_left;
}

static void get_memory(struct pln_decoder *column, struct pln_sample_row *row)
{
	row->alloc_calls = pln_get_varint(&column[PLN_COLUMN_ALLOC_CALLS]);
	row->alloc_bytes = pln_get_varint(&column[PLN_COLUMN_ALLOC_BYTES]);
	row->free_calls = pln_get_varint(&column[PLN_COLUMN_FREE_CALLS]);
	row->free_bytes = pln_get_varint(&column[PLN_COLUMN_FREE_BYTES]);
}

/* Starts from the thread's row before: time and stack build on it. */
static void get_row(struct pln_decoder *column, struct pln_sample_row *row)
{
	uint8_t shape = pln_get_byte(&column[PLN_COLUMN_SHAPE]);
	uint8_t kind = pln_get_byte(&column[PLN_COLUMN_KIND]);

	row->cause = kind & 15;
	row->gil = kind >> 4;
	row->flags = unpack_flags(pln_get_varint(&column[PLN_COLUMN_FLAGS]));
	row->time_ns += (uint64_t)pln_get_signed(&column[PLN_COLUMN_TIME]);
	if (shape & SHAPE_STACK)
		row->stack = pln_get_u32(&column[PLN_COLUMN_STACK]) - 1;
	row->cpu_ns = shape & SHAPE_CPU ? pln_get_varint(&column[PLN_COLUMN_CPU]) : 0;
	row->offcpu_ns = shape & SHAPE_OFFCPU ? pln_get_varint(&column[PLN_COLUMN_OFFCPU]) : 0;
	row->runnable_ns =
		shape & SHAPE_RUNNABLE ? pln_get_varint(&column[PLN_COLUMN_RUNNABLE]) : 0;
	row->syscall_nr = -1;
	if (shape & SHAPE_SYSCALL)
		row->syscall_nr = (int32_t)pln_get_signed(&column[PLN_COLUMN_SYSCALL]);
	row->alloc_calls = row->alloc_bytes = row->free_calls = row->free_bytes = 0;
	if (shape & SHAPE_MEMORY)
		get_memory(column, row);
}

static bool any_failed(const struct pln_decoder *column)
{
	bool failed = false;

	for (int i = 0; i < PLN_COLUMN_COUNT; i++)
		failed |= column[i].failed;
	return failed;
}

const struct pln_sample_row *pln_samples_next(struct pln_sample_decoder *d)
{
	if (!d->rows_left || d->failed)
		return NULL;
	if (!d->thread_rows_left) {
		d->row.thread = pln_get_u32(&d->column[PLN_COLUMN_THREAD]);
		d->thread_rows_left = pln_get_u32(&d->column[PLN_COLUMN_THREAD]);
		d->row.time_ns = d->base_time;
		d->row.stack = PLN_NONE;
	}
	get_row(d->column, &d->row);
	d->failed = any_failed(d->column) || !d->thread_rows_left;
	if (d->failed)
		return NULL;
	d->rows_left--;
	d->thread_rows_left--;
	return &d->row;
}
