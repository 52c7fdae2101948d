/* SPDX-License-Identifier: MIT */
/*
 * cells.h - what was spent: by class, thread, moment and call.
 *
 * The recording is cut into moments of equal length, and a sample's time is laid over those that it
 * stands for: the time that ends with it. Where cells are too many for a page, moments
 * are put together two by two. No nanosecond is lost or made by either.
 */
#ifndef PILLION_COLLECTOR_HTML_CELLS_H
#define PILLION_COLLECTOR_HTML_CELLS_H

#include "html/prune.h"
#include "html/threads.h"

/* On a CPU and off it by enum pln_gil; then what has no such state. */
enum pln_html_class {
	PLN_HTML_CPU = 0,
	PLN_HTML_OFFCPU = 4,
	PLN_HTML_CPU_WAIT = 8,
	PLN_HTML_HEAP = 9, /* by enum pln_heap_view */
	PLN_HTML_CLASSES = 13,
};

#define PLN_HTML_MOMENTS_MAX 1000u
#define PLN_HTML_MOMENTS_MIN 100u
#define PLN_HTML_CELLS_MAX 1000000u

struct pln_html_cell {
	uint64_t key; /* see below; ordered by it */
	uint64_t weight; /* ns or bytes */
};

struct pln_html_cells {
	struct pln_html_cell *cells;
	size_t count;
	size_t capacity; /* a power of two: while they are counted, it is a hash table */
	uint64_t start_ns;
	uint64_t moment_ns;
	uint32_t moments;
};

static inline unsigned pln_html_cell_class(const struct pln_html_cell *cell)
{
	return (unsigned)(cell->key >> 60);
}
static inline uint32_t pln_html_cell_thread(const struct pln_html_cell *cell)
{
	return (uint32_t)(cell->key >> 48) & 0xfff;
}
static inline uint32_t pln_html_cell_moment(const struct pln_html_cell *cell)
{
	return (uint32_t)(cell->key >> 32) & 0xffff;
}
static inline uint32_t pln_html_cell_node(const struct pln_html_cell *cell)
{
	return (uint32_t)cell->key;
}

/* What they are made from. */
struct pln_html_parts {
	const struct pln_report *report;
	const struct pln_html_tree *tree;
	const struct pln_html_pruned *pruned;
	const struct pln_html_threads *threads;
};

/*
 * Returns 0 or -errno; -E2BIG: there are too many, even with few moments. With `whatever` there are
 * as many as it takes. pln_html_cells_free() is due in either case.
 */
int pln_html_cells_fill(struct pln_html_cells *cells, const struct pln_html_parts *parts,
			bool whatever);
void pln_html_cells_free(struct pln_html_cells *cells);

/* The moment that a time is in; the first or last one when it is outside. */
uint32_t pln_html_cells_moment(const struct pln_html_cells *cells, uint64_t time_ns);

#endif
