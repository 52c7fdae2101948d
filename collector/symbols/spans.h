/* SPDX-License-Identifier: MIT */
/*
 * spans.h - nested and overlapping address ranges made flat.
 *
 * Functions contain inlined functions, symbols overlap each other. Flattening cuts
 * them into disjoint slices, each with the one span that wins there, so that a lookup
 * is one binary search.
 *
 *   spans    [----------A-----------)
 *               [---B---)   [-C-)
 *   slices   [A )[  B   )[A )[C )[A )[none ...
 */
#ifndef PILLION_COLLECTOR_SYMBOLS_SPANS_H
#define PILLION_COLLECTOR_SYMBOLS_SPANS_H

#include "symbols/array.h"

#include <stddef.h>
#include <stdint.h>

#define PLN_SPAN_NONE UINT32_MAX

/* [low, high) with a value. The highest rank wins; then the highest low; then the lowest high. */
struct pln_span {
	uint64_t low;
	uint64_t high;
	uint32_t value;
	uint32_t rank;
};

/* From `start` up to the next slice's start. */
struct pln_slice {
	uint64_t start;
	uint32_t value; /* PLN_SPAN_NONE: nothing here */
	uint32_t reserved;
};

/* Sorts `spans` and appends slices to `out`. Empty spans are skipped. Returns 0 or -ENOMEM. */
int pln_spans_flatten(struct pln_span *spans, size_t count, struct pln_array *out);

/* The value at `address`, or PLN_SPAN_NONE. */
uint32_t pln_slices_find(const struct pln_slice *slices, size_t count, uint64_t address);

#endif
