/* SPDX-License-Identifier: MIT */
/*
 * heap_spans.h - of each process, the time in which leaks can be told, and how far.
 *
 * It runs from the process's start to when the interpreter began to go down or the recording
 * ended; where sampling was stopped for a good part of that, from the first to the last that was
 * sampled.
 *
 * A process is partial when before, or in between, it got memory that is not sampled here: a forked
 * child, one that goes on from another file, one whose sampling began late or was stopped. That
 * such memory goes is not known, so that what comes in its place looks like growth. Exact counts
 * know how much there was.
 */
#ifndef PILLION_COLLECTOR_HEAP_SPANS_H
#define PILLION_COLLECTOR_HEAP_SPANS_H

#include "profile/heap.h"

struct pln_heap_span {
	double start_ns;
	double length_ns; /* 0: nothing can be told */
	bool partial;
	bool has_gap; /* sampling was stopped in between */
	double grown_bytes; /* of a partial one: by counts of malloc and mmap */
};

/*
 * One for each process, to be freed; NULL: no memory, or no process. `grown_bytes` is between the
 * shares `from` and `to` of the time: about each of them, the mean of some time.
 */
struct pln_heap_span *pln_heap_find_spans(struct pln_profile *profile,
					  const struct pln_heap_moments *moments, double from,
					  double to);

#endif
