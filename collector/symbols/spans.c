/* SPDX-License-Identifier: MIT */
/*
 * spans.c - a sweep over the starts and ends of spans in address order.
 *
 * The open spans are few (the depth of inlining), so the winner is found by looking at
 * all of them; a limit keeps input made to have millions open from being quadratic.
 */
#include "symbols/spans.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

/* Deeper than any inlining seen; what starts beyond is not shown. */
#define OPEN_MAX_SPANS 256

struct sweep {
	const struct pln_span *open[OPEN_MAX_SPANS];
	size_t open_count;
	uint32_t last; /* value of the last slice */
	struct pln_array *out;
};

static int compare_low(const void *a, const void *b)
{
	const struct pln_span *x = a, *y = b;

	if (x->low != y->low)
		return x->low < y->low ? -1 : 1;
	if (x->high != y->high)
		return x->high < y->high ? -1 : 1;
	return (x->value > y->value) - (x->value < y->value);
}

static bool wins(const struct pln_span *a, const struct pln_span *b)
{
	if (a->rank != b->rank)
		return a->rank > b->rank;
	if (a->low != b->low)
		return a->low > b->low;
	return a->high < b->high;
}

static uint32_t winner(const struct sweep *sweep)
{
	const struct pln_span *best = NULL;

	for (size_t i = 0; i < sweep->open_count; i++) {
		if (!best || wins(sweep->open[i], best))
			best = sweep->open[i];
	}
	return best ? best->value : PLN_SPAN_NONE;
}

static uint64_t first_end(const struct sweep *sweep)
{
	uint64_t end = UINT64_MAX;

	for (size_t i = 0; i < sweep->open_count; i++) {
		if (sweep->open[i]->high < end)
			end = sweep->open[i]->high;
	}
	return end;
}

static void close_ended(struct sweep *sweep, uint64_t at)
{
	size_t kept = 0;

	for (size_t i = 0; i < sweep->open_count; i++) {
		if (sweep->open[i]->high > at)
			sweep->open[kept++] = sweep->open[i];
	}
	sweep->open_count = kept;
}

static int emit(struct sweep *sweep, uint64_t at)
{
	struct pln_slice slice = { .start = at, .value = winner(sweep) };

	if (slice.value == sweep->last)
		return 0;
	sweep->last = slice.value;
	return pln_array_append(sweep->out, &slice, sizeof(slice));
}

int pln_spans_flatten(struct pln_span *spans, size_t count, struct pln_array *out)
{
	struct sweep sweep = { .last = PLN_SPAN_NONE, .out = out };
	size_t i = 0;
	int rc = 0;

	if (count)
		qsort(spans, count, sizeof(*spans), compare_low);
	while (!rc && (i < count || sweep.open_count)) {
		uint64_t at = first_end(&sweep);

		if (i < count && spans[i].low < at)
			at = spans[i].low;
		close_ended(&sweep, at);
		for (; i < count && spans[i].low == at; i++) {
			if (spans[i].high > at && sweep.open_count < OPEN_MAX_SPANS)
				sweep.open[sweep.open_count++] = &spans[i];
		}
		rc = emit(&sweep, at);
	}
	return rc;
}

uint32_t pln_slices_find(const struct pln_slice *slices, size_t count, uint64_t address)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (slices[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? slices[low - 1].value : PLN_SPAN_NONE;
}
