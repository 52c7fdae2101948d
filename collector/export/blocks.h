/* SPDX-License-Identifier: MIT */
/*
 * blocks.h - what sampled allocations stand for, in whole numbers, and summed up.
 *
 * Formats want integers, and estimates are none: a block has those of pln_block_whole(), as in
 * the report.
 */
#ifndef PILLION_COLLECTOR_EXPORT_BLOCKS_H
#define PILLION_COLLECTOR_EXPORT_BLOCKS_H

#include "profile/heap.h"
#include "report/aggregate.h"

/* All blocks that agree in stack, thread and kind. */
struct pln_block_cell {
	uint32_t stack; /* PLN_NONE: none */
	uint32_t thread;
	uint32_t kind; /* enum pln_block_kind */
	struct pln_block_sum allocated; /* in the view TEMPORARY: those alone */
	struct pln_block_sum in_use; /* at the end; in the view PEAK: at the peak */
	uint64_t samples; /* blocks in the view */
};

struct pln_export_blocks {
	const struct pln_profile *profile;
	enum pln_heap_view view;
	bool count; /* blocks, instead of bytes */
	struct pln_block_cell *cells;
	size_t cell_count;
	uint64_t interval; /* the shortest that any block was chosen with */
	uint64_t *weight; /* by block: in the view; 0: not in it */
	uint64_t sum; /* of these */
	uint64_t samples; /* blocks in the view */
	double bytes; /* that they stand for, and the variance of that */
	double variance;
	/* What the cells weigh in the view, as if it were CPU time: for the call tree. */
	struct pln_aggregate aggregate;
};

/*
 * Of the threads that `kept` keeps; it must outlive the result. Returns 0 or -errno;
 * pln_export_blocks_free() is due in either case.
 */
int pln_export_blocks_sum(struct pln_export_blocks *blocks, const struct pln_aggregate *kept,
			  enum pln_heap_view view, bool count);
void pln_export_blocks_free(struct pln_export_blocks *blocks);

#endif
