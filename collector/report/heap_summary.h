/* SPDX-License-Identifier: MIT */
/*
 * heap_summary.h - memory in figures: what was counted, and whether the samples agree with it.
 *
 * Counts are exact. What the sampled blocks add up to is an estimate of the same bytes, so the
 * two check each other.
 */
#ifndef PILLION_COLLECTOR_HEAP_SUMMARY_H
#define PILLION_COLLECTOR_HEAP_SUMMARY_H

#include "report/aggregate.h"

/* One class, or two that cannot be told apart: its count, and the sum of its samples. */
struct pln_heap_check {
	const char *name;
	uint64_t counted_bytes;
	double sampled_bytes;
	double variance;
	uint64_t interval; /* largest that samples were chosen with */
	uint64_t samples;
};
enum { PLN_HEAP_CHECKS = 2 };

struct pln_heap_summary {
	/* Of kept processes; of kept threads when threads are chosen. */
	struct pln_heap_counts counts[PILLION_HEAP_COUNT];
	struct pln_heap_check checks[PLN_HEAP_CHECKS];
	unsigned check_count;
	uint64_t samples;
	uint64_t unfollowed; /* samples whose free is not known */
	uint64_t dormant_ns; /* of kept processes: counted, not sampled; any: nothing is checked */

	/* Of kept processes whole, malloc and mappings. */
	bool by_thread; /* threads are chosen: what follows is not theirs alone */
	uint32_t processes; /* one that is here in parts is one: see pln_heap_last_parts() */
	bool in_parts; /* any is */
	uint64_t live_bytes; /* sum of each at its end, before the interpreter went down */
	uint64_t forked_bytes; /* what they were forked with: their parents have the samples */
	uint64_t peak_bytes; /* largest of any process */
	uint64_t peak_after_ns; /* since that process's start */
	uint64_t peaks_bytes; /* sum of the processes', each at its own time */
	uint64_t brk_peak_bytes; /* largest of any process */
	uint64_t points; /* of the timeline */
};

/* Returns 0 or -errno. */
int pln_heap_summarize(struct pln_heap_summary *summary, const struct pln_aggregate *aggregate,
		       const struct pln_filter *filter);

static inline bool pln_heap_is_counted(const struct pln_heap_summary *summary)
{
	return summary->counts[PILLION_HEAP_MALLOC].alloc_calls ||
	       summary->counts[PILLION_HEAP_MAPPING].alloc_calls ||
	       summary->counts[PILLION_HEAP_OBJECT].alloc_calls;
}

/* Difference of samples and count: as a share of the count, and in standard errors (0: no error
 * is known). */
double pln_heap_check_share(const struct pln_heap_check *check);
double pln_heap_check_sigma(const struct pln_heap_check *check);

#endif
