/* SPDX-License-Identifier: MIT */
/*
 * points.h - points along the bytes that a thread allocates, by chance.
 */
#ifndef PILLION_PRELOAD_POINTS_H
#define PILLION_PRELOAD_POINTS_H

#include <stdint.h>

/*
 * Bytes to the next point, 1 or more, from an exponential distribution of mean `interval`:
 * a block of `size` bytes covers one with chance 1 - exp(-size / interval), wherever it
 * begins. `random`: the state of a stream, seeded with anything but 0.
 */
uint64_t pln_points_distance(uint64_t *random, uint64_t interval);

#endif
