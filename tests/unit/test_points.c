/* SPDX-License-Identifier: MIT */
/*
 * test_points.c - weights of sampled allocations are right on average, at any site and in any mix.
 *
 * Each case is a pattern of allocations at several sites, run with many seeds as malloc would run
 * it. For each site, the estimate's mean over the seeds must lie within 4 standard errors of
 * the truth, by the variance that the design has: sum of size^2 (1 - p) / p.
 */
#include <math.h>
#include <stdlib.h>

#include "check.h"
#include "memory/points.h"

#define INTERVAL (512u << 10)
#define SITES 8

struct site {
	uint64_t size;
	unsigned each_round; /* blocks in a row, in each round */
};

struct pattern {
	const char *name;
	struct site sites[SITES];
	unsigned rounds;
};

static double chance(uint64_t size, double interval)
{
	return -expm1(-(double)size / interval);
}

static void run_once(const struct pattern *pattern, uint64_t seed, double interval,
		     double *estimate)
{
	uint64_t bytes = 0, look_at, random = seed * 0x9e3779b97f4a7c15ull | 1;

	look_at = pln_points_distance(&random, (uint64_t)interval);
	for (unsigned round = 0; round < pattern->rounds; round++) {
		for (unsigned s = 0; s < SITES; s++) {
			uint64_t size = pattern->sites[s].size;

			for (unsigned i = 0; i < pattern->sites[s].each_round; i++) {
				bytes += size;
				if (bytes < look_at)
					continue;
				estimate[s] += (double)size / chance(size, interval);
				look_at = bytes + pln_points_distance(&random, (uint64_t)interval);
			}
		}
	}
}

static void check_pattern(const struct pattern *pattern, unsigned seeds)
{
	double sum[SITES] = { 0 };

	for (unsigned seed = 1; seed <= seeds; seed++)
		run_once(pattern, seed, INTERVAL, sum);
	for (unsigned s = 0; s < SITES; s++) {
		const struct site *site = &pattern->sites[s];
		double count = (double)site->each_round * pattern->rounds,
		       size = (double)site->size;
		double p = chance(site->size, INTERVAL);
		double error = sum[s] / seeds - count * size;
		double sigma = sqrt(count * size * size * (1 - p) / p / seeds);

		if (!count)
			continue;
		if (!CHECK(fabs(error) <= 4 * sigma + 1e-9 * count * size))
			fprintf(stderr, "\t%s, %.0f bytes: off by %.3f %%, %.2f sigma\n",
				pattern->name, size, 100 * error / (count * size), error / sigma);
	}
}

static void test_mixes(void)
{
	static const struct pattern patterns[] = {
		{ "small", { { 16, 1000 } }, 100 },
		{ "all sizes",
		  { { 16, 64 },
		    { 256, 16 },
		    { 4096, 8 },
		    { 65536, 4 },
		    { 1 << 20, 1 },
		    { 64 << 20, 1 } },
		  30 },
		{ "9 to 1 in step", { { 104858, 9 }, { 104859, 1 } }, 200 },
		{ "alternating", { { 1024, 1 }, { 614400, 1 } }, 400 },
		{ "one huge among many small", { { 24, 10000 }, { 48 << 20, 1 } }, 5 },
		{ "an interval's multiple", { { INTERVAL, 1 }, { INTERVAL / 2, 2 } }, 300 },
	};

	for (unsigned i = 0; i < sizeof(patterns) / sizeof(*patterns); i++)
		check_pattern(&patterns[i], 400);
}

/* Bytes of blocks of one size by the weights of a million samples of them, to what they were. */
static double estimated_share(uint64_t size, uint64_t interval)
{
	uint64_t random = size + interval, blocks = 0;
	double bytes, weight = (double)size / chance(size, (double)interval);
	unsigned samples = 1000000;

	for (unsigned i = 0; i < samples; i++) {
		uint64_t distance = pln_points_distance(&random, interval);

		blocks += (distance + size - 1) / size;
	}
	bytes = (double)blocks * (double)size;
	return weight * samples / bytes;
}

/* 0.5 % is what is promised; one standard deviation is 0.1 % here at most. */
static void test_bias(void)
{
	static const uint64_t intervals[] = { 1024, 65536, INTERVAL, 16 << 20 };

	for (unsigned i = 0; i < sizeof(intervals) / sizeof(*intervals); i++) {
		for (uint64_t size = 16; size <= 64 << 20; size *= 4) {
			double error = estimated_share(size, intervals[i]) - 1;

			if (!CHECK(fabs(error) <= 0.0045))
				fprintf(stderr, "\t%.0f bytes, one in %.0f: off by %.3f %%\n",
					(double)size, (double)intervals[i], 100 * error);
		}
	}
}

/* The distances themselves: mean, variance and the share above the mean. */
static void test_distribution(void)
{
	uint64_t random = 12345;
	unsigned count = 1000000, above = 0;
	double sum = 0, squares = 0;

	for (unsigned i = 0; i < count; i++) {
		double d = (double)pln_points_distance(&random, INTERVAL) / INTERVAL;

		sum += d;
		squares += d * d;
		above += d > 1;
	}
	CHECK(fabs(sum / count - 1) < 0.004);
	CHECK(fabs(squares / count - 2) < 0.02);
	CHECK(fabs((double)above / count - exp(-1)) < 0.002);
}

/* By the chances of single blocks, over eight orders of magnitude of size. */
static void test_chances(void)
{
	for (uint64_t size = 16; size <= (4ull << 30); size *= 4) {
		uint64_t random = size + 1;
		unsigned hits = 0, tries = 200000;
		double p = chance(size, INTERVAL);

		for (unsigned i = 0; i < tries; i++)
			hits += pln_points_distance(&random, INTERVAL) <= size;
		CHECK(fabs(hits - p * tries) <= 4.5 * sqrt(tries * p * (1 - p)) + 1);
	}
}

int main(void)
{
	test_distribution();
	test_chances();
	test_bias();
	test_mixes();
	return check_result();
}
