/* SPDX-License-Identifier: MIT */
/*
 * aggregate.h - from samples to cells: the one pass that report, export and info share.
 *
 * A cell sums all samples that agree in stack, thread, system call and GIL state. Every
 * view, table and export is a sum over cells, so they agree to the nanosecond; and memory
 * grows with the number of different stacks, not with the length of the recording.
 *
 * A sample's GIL state goes with its CPU and off-CPU time. Its wait for a CPU was over before
 * the state was read, and is in a cell of its own, whose state is not known: else threads
 * that queue for a CPU would each seem to hold the one GIL meanwhile.
 */
#ifndef PILLION_COLLECTOR_AGGREGATE_H
#define PILLION_COLLECTOR_AGGREGATE_H

#include <math.h>

#include "profile/heap.h"
#include "profile/reader.h"
#include "report/filter.h"

enum pln_view {
	PLN_VIEW_CPU = 0,
	PLN_VIEW_WALL = 1, /* cpu + offcpu + runnable */
	PLN_VIEW_OFFCPU = 2, /* blocked; waiting for a CPU is not in it */
	PLN_VIEW_GIL = 3, /* cpu + offcpu while holding the GIL or waiting for it */
	/* Of memory, by sampled blocks: see profile/heap.h. */
	PLN_VIEW_ALLOCATED = 4,
	PLN_VIEW_LIVE = 5,
	PLN_VIEW_PEAK = 6,
	PLN_VIEW_TEMPORARY = 7,
	PLN_VIEW_LEAKS = 8, /* what is live, by how it came about: heap_leaks.h */
};
/* Those of time, in the order of enum pln_view; ends with NULL. */
extern const char *const pln_view_names[];

static inline bool pln_view_is_heap(enum pln_view view)
{
	return view >= PLN_VIEW_ALLOCATED;
}

/* What something weighs in a view. */
struct pln_amount {
	union {
		uint64_t weight;
		uint64_t ns; /* in views of time */
		uint64_t bytes; /* in views of memory: an estimate */
	};
	uint64_t hold_ns; /* part of it while holding the GIL */
	uint64_t wait_ns; /* part of it while waiting for the GIL */
	uint64_t samples; /* with any weight in the view, other than by a wait for a CPU */
	/* Of memory: */
	double blocks; /* an estimate */
	uint32_t kinds; /* bits 1 << enum pln_block_kind */
	/* Of the weight: of bytes, estimated without bias; of time, the sum of the samples'
	 * squares, as it is when each of them came by chance and alone. */
	double variance;
};

struct pln_cell {
	uint32_t stack; /* innermost node, PLN_NONE: time without a stack */
	uint32_t thread;
	int32_t syscall_nr; /* -1: none */
	uint32_t gil; /* enum pln_gil */
	uint64_t samples; /* 0: the other cell of these samples counts them */
	uint64_t cpu_ns;
	uint64_t offcpu_ns;
	uint64_t runnable_ns;
	/* Sums of squares over samples. */
	double cpu_square;
	double offcpu_square;
	double wall_square;
};

/* Half of the 95 % confidence interval of the bytes. */
static inline double pln_amount_interval(const struct pln_amount *amount)
{
	return 1.96 * sqrt(amount->variance);
}

/* Sampled blocks of one stack, thread and kind that count in the view. */
struct pln_heap_cell {
	uint32_t stack; /* innermost node, PLN_NONE: none */
	uint32_t thread;
	uint32_t kind; /* enum pln_block_kind */
	uint64_t samples;
	struct pln_block_sum sum; /* what they stand for */
	double variance; /* of the bytes */
};

/* What is known of the samples as samples. Each is a number of samples. */
struct pln_quality {
	uint64_t samples;
	uint64_t on_cpu; /* taken by a CPU-clock timer, or forced */
	uint64_t blocked; /* the tick found the thread blocked */
	uint64_t without_stack;
	uint64_t native_truncated;
	uint64_t python_truncated;
	uint64_t python_failed;
	uint64_t guessed;
	uint64_t mismatched;
	uint64_t finished; /* native walk finished by the collector */
	uint64_t without_native;
	uint64_t foreign_stack;
	uint64_t unusable; /* refer to a thread that the profile does not define */
};

struct pln_aggregate {
	struct pln_profile *profile;
	struct pln_cell *cells;
	size_t cell_count;
	struct pln_heap_cell *heap_cells; /* empty in views of time */
	size_t heap_cell_count;
	bool *thread_kept; /* by thread id */
	struct pln_quality quality; /* of the samples of kept threads */
};

/* Returns 0 or -errno. pln_aggregate_free() is due in either case. */
int pln_aggregate_samples(struct pln_aggregate *aggregate, struct pln_profile *profile,
			  const struct pln_filter *filter);
/*
 * Fills heap_cells for a view of memory; `moments` as from pln_heap_find_moments(). To be called
 * once, behind pln_aggregate_samples(). Returns 0 or -errno.
 */
int pln_aggregate_blocks(struct pln_aggregate *aggregate, enum pln_view view,
			 const struct pln_heap_moments *moments);
void pln_aggregate_free(struct pln_aggregate *aggregate);

static inline uint64_t pln_cell_wall_ns(const struct pln_cell *cell)
{
	return cell->cpu_ns + cell->offcpu_ns + cell->runnable_ns;
}

/* What the cell weighs in a view. */
uint64_t pln_cell_weight(const struct pln_cell *cell, enum pln_view view);
/* The sum of its samples' squares there: the variance of the weight. */
double pln_cell_variance(const struct pln_cell *cell, enum pln_view view);

/* What one sample weighs in a view. */
uint64_t pln_sample_weight(const struct pln_sample_row *row, enum pln_view view);

#endif
