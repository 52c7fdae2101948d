/* SPDX-License-Identifier: MIT */
/*
 * heap.h - what sampled allocations stand for, and which of them count in which view.
 */
#ifndef PILLION_COLLECTOR_HEAP_H
#define PILLION_COLLECTOR_HEAP_H

#include <stdbool.h>
#include <stdint.h>

#include "profile/model.h"
#include "profile/reader.h"

/* Freed sooner than this after they were allocated: temporary. */
#define PLN_HEAP_TEMPORARY_NS 1000000u

enum pln_heap_view {
	PLN_HEAP_ALLOCATED, /* all that were allocated */
	PLN_HEAP_LIVE, /* live at the end: when the interpreter began to go down, or at the last */
	PLN_HEAP_PEAK, /* live when most was live */
	PLN_HEAP_TEMPORARY, /* freed within PLN_HEAP_TEMPORARY_NS */
};

/*
 * An unbiased estimate of what one sampled block stands for. The variance is that of `bytes`,
 * estimated without bias: those of blocks that are added up add up, too.
 */
struct pln_heap_weight {
	double blocks;
	double bytes;
	double variance;
};

struct pln_heap_weight pln_block_weight(const struct pln_block_row *block);

struct pln_block_sum {
	uint64_t blocks;
	uint64_t bytes;
};

/* What rounding has left over so far. */
struct pln_block_rest {
	double blocks;
	double bytes;
};

/*
 * The same in whole numbers, in which all reports and formats sum. What is lost by rounding one
 * block is given to the next, so rounding has no bias: a block that stands for 1.4 of them does not
 * count as one each time. To be asked of all blocks of a profile in their order, with a rest of
 * zero before the first: then a block has the same numbers in every view, whichever threads are
 * kept, and all sums agree to the byte.
 */
struct pln_block_sum pln_block_whole(const struct pln_block_row *block,
				     struct pln_block_rest *rest);

/* By process: the moments that views are of. */
struct pln_heap_moments {
	uint64_t peak_ns; /* 0: nothing was allocated */
	uint64_t end_ns;
};

/*
 * One for each process of the profile, to be freed; NULL: no memory, or no process. Where Python's
 * objects were followed, the peak is that of what samples show to be live, else that of the
 * exact counters.
 */
struct pln_heap_moments *pln_heap_find_moments(const struct pln_profile *profile);

/*
 * A process that was recorded in files that follow each other, which were merged again, is there in
 * parts. By process: the last part of the same one, itself where it is not in parts. To be freed;
 * NULL: no memory. A part whose next one is not there is taken for a process of its own.
 */
uint32_t *pln_heap_last_parts(const struct pln_profile *profile);

/* Whether a block counts in a view; what was not followed is in none but ALLOCATED. */
bool pln_heap_counts(const struct pln_block_row *block, enum pln_heap_view view,
		     const struct pln_heap_moments *moments);

#endif
