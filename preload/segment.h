/* SPDX-License-Identifier: MIT */
/*
 * segment.h - this process's shared segment: where samples go.
 */
#ifndef PILLION_PRELOAD_SEGMENT_H
#define PILLION_PRELOAD_SEGMENT_H

#include <stdbool.h>

#include <pillion/atomic.h>
#include <pillion/lane.h>
#include <pillion/wire.h>

/*
 * NULL: this process is not being sampled. Set before any handler can run, never unmapped.
 * The program's own threads ask pln_segment_is_ours_sigsafe() before they touch it.
 */
extern struct pln_segment *pln_segment;

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

static inline struct pln_slot *pln_segment_slot_sigsafe(uint32_t index)
{
	return (struct pln_slot *)((char *)pln_segment + pln_segment->slots_off) + index;
}

static inline struct pln_lane *pln_segment_lane_sigsafe(uint32_t index)
{
	return (struct pln_lane *)((char *)pln_segment + pln_segment->lanes_off +
				   (uint64_t)index * pln_segment->lane_size);
}

static inline struct pln_lane *pln_segment_control(void)
{
	return (struct pln_lane *)((char *)pln_segment + pln_segment->control_off);
}

static inline struct pln_lane *pln_segment_sampler(void)
{
	return (struct pln_lane *)((char *)pln_segment + pln_segment->sampler_off);
}

/* relaxed: a statistic; nothing is ordered by it. */
static inline void pln_segment_drop_sigsafe(enum pln_drop cause)
{
	pln_add_relaxed(&pln_segment->drops[cause], 1);
}

#endif
