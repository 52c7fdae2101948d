/* SPDX-License-Identifier: MIT */
/*
 * points.c - see points.h.
 *
 * libc has no logarithm, and one library more is more than we may load: u = m * 2^-e, and
 * ln m = 2 artanh((m - 1) / (m + 1)), whose series is good to 10^-9 here.
 */
#include "points.h"

#define LN_2 0.69314718055994531

/* xorshift64* */
static uint64_t next_bits(uint64_t *random)
{
	uint64_t x = *random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*random = x;
	return x * 0x2545f4914f6cdd1dull;
}

/* -ln(u / 2^53) for u in [1, 2^53) */
static double minus_ln(uint64_t u)
{
	unsigned zeros = (unsigned)__builtin_clzll(u);
	double m = (double)(u << zeros >> 11) * 0x1p-52; /* [1, 2) */
	double t = (m - 1) / (m + 1), s = t * t, sum = 1. / 17;

	for (int divisor = 15; divisor > 0; divisor -= 2)
		sum = sum * s + 1. / divisor;
	return (double)(zeros - 10) * LN_2 - 2 * t * sum;
}

uint64_t pln_points_distance(uint64_t *random, uint64_t interval)
{
	return 1 + (uint64_t)(minus_ln(next_bits(random) >> 11 | 1) * (double)interval);
}
