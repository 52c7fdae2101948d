/* SPDX-License-Identifier: MIT */
/*
 * segment.h - this process's shared segment: where samples go.
 */
#ifndef PILLION_PRELOAD_SEGMENT_H
#define PILLION_PRELOAD_SEGMENT_H

#include <stdbool.h>

#include <pillion/atomic.h>
#include <pillion/env.h>
#include <pillion/lane.h>
#include <pillion/wire.h>

#include "export.h"

/*
 * NULL: this process is not being sampled. Set before any handler can run, never unmapped.
 * The program's own threads ask pln_segment_is_ours_sigsafe() before they touch it.
 */
extern PLN_OWN struct pln_segment *pln_segment;

/*
 * Where things are in the segment and how large, as this process has laid it out. The copy
 * of this in the segment is for the collector, which can write there: a broken one shall
 * not make us write elsewhere, or divide by zero.
 */
struct pln_segment_own {
	uint64_t head_size; /* all before the lanes */
	struct pln_slot *slots;
	struct pln_lane *control;
	struct pln_lane *sampler;
	uint32_t lane_count;
	uint32_t lane_size; /* header and data of one thread's lane */
	uint32_t lane_data_size;
	uint32_t control_data_size;
	uint32_t sampler_data_size;
	uint64_t period_ns;
	uint64_t tick_ns;
	uint64_t clk_tck_ns; /* the kernel's own tick, 0: unknown */
};
extern PLN_OWN struct pln_segment_own pln_segment_own;

/* Groups of lanes, mapped in order as threads come; the others are NULL. */
#define PLN_LANES_AT_ONCE 16u
#define PLN_LANE_GROUPS (PILLION_THREADS_MAX / PLN_LANES_AT_ONCE)
extern PLN_OWN _Atomic(char *) pln_segment_lanes[PLN_LANE_GROUPS];

/*
 * Whether samples of this process go to the segment. Not so before it is published, nor in
 * a child that no fork handler ran in (_Fork, a raw clone): there it is not even mapped.
 */
bool pln_segment_is_ours_sigsafe(void);

/* A collector has it: all threads of this process may use it from now on. */
void pln_segment_publish(void);

/* Creates and maps the segment of this process. Returns its memfd (the caller closes it) or -errno.
 */
int pln_segment_create(enum pln_hello_reason reason);

/* Nobody wants it: unmaps it. It was not published. */
void pln_segment_discard(void);

/* In a forked child: the parent's segment is not mapped here (MADV_DONTFORK). */
void pln_segment_forget(void);

/*
 * Maps lane `index`, and all before it; before the first use of a lane. False: the kernel has no
 * mapping left to give, or no memory.
 */
bool pln_segment_open_lane(uint32_t index);

static inline struct pln_slot *pln_segment_slot_sigsafe(uint32_t index)
{
	return pln_segment_own.slots + index;
}

static inline struct pln_lane *pln_segment_lane_sigsafe(uint32_t index)
{
	char *group = pln_load_relaxed(&pln_segment_lanes[index / PLN_LANES_AT_ONCE]);

	return (struct pln_lane *)(group + (uint64_t)(index % PLN_LANES_AT_ONCE) *
						   pln_segment_own.lane_size);
}

static inline struct pln_lane *pln_segment_control(void)
{
	return pln_segment_own.control;
}

static inline struct pln_lane *pln_segment_sampler(void)
{
	return pln_segment_own.sampler;
}

/* relaxed: a statistic; nothing is ordered by it. */
static inline void pln_segment_drop_sigsafe(enum pln_drop cause)
{
	pln_add_relaxed(&pln_segment->drops[cause], 1);
}

#endif
