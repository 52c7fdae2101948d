/* SPDX-License-Identifier: MIT */
/*
 * noise.h - how far two profiles of the same program differ by chance.
 *
 * Samples come by chance, each with a weight (the time, or the bytes, that it stands for). So the
 * weight W of a function varies with the sum V of its samples' squares, and the whole T with
 * V(T). A share p = W / T then varies with
 *
 *   ((1 - p)^2 V + p^2 (V(T) - V)) / T^2
 *
 * What is asked is whether a difference would be odd if nothing had changed. So p is the share
 * in both profiles together, and V what each profile would then have, or has if that is more:
 * neither must few samples pass for certainty, nor some heavy ones for many. V is taken one mean
 * sample larger, as what was never sampled is not known to be 0. Timers that fire at equal
 * distances do better than chance, so that is an upper bound of what sampling adds. What the
 * program itself does differently from run to run is no part of it: only a second run tells.
 *
 * Many functions are compared at one time, and one of a thousand is extreme by luck. The
 * confidence is therefore that of all comparisons together (Bonferroni): among functions that did
 * not change, in 99 of 100 pairs of profiles none is beyond its noise.
 */
#ifndef PILLION_COLLECTOR_NOISE_H
#define PILLION_COLLECTOR_NOISE_H

#include "report/aggregate.h"

#define PLN_NOISE_CHANCE 0.01

/* One profile's whole. */
struct pln_noise_whole {
	double weight;
	double variance; /* of the weight, from the samples: V(T) */
	double mean_square; /* of one sample */
	double own_variance; /* of what is known of the whole: clocks know it better than samples */
};

/* `threads`: each may have one sample more or less than its time. Of memory, samples are all. */
struct pln_noise_whole pln_noise_whole(const struct pln_amount *all, bool memory, uint32_t threads);

/*
 * The variance of the difference of a part's shares in two wholes or, with `absolute`, of its
 * weights.
 */
double pln_noise_of_change(const struct pln_noise_whole whole[2], const struct pln_amount part[2],
			   bool absolute);

/* How many standard errors a difference may have when so many are compared. */
double pln_noise_limit(uint64_t comparisons);

#endif
