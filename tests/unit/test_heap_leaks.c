/* SPDX-License-Identifier: MIT */
/*
 * test_heap_leaks.c - what grows is told from what does not, by simulated sampled profiles.
 *
 * Programs are simulated as processes of blocks, each a sample by chance as in a recording. What
 * is promised is a rate of errors, so that each program runs with many seeds: a leak is named,
 * first; a cache is called flat, and since when; and programs without a leak have one named in
 * one report of twenty at most. Where only a part of a process is known, no more is said than its
 * exact counts bear out.
 */
#include <math.h>
#include <stdlib.h>

#include "check.h"
#include "report/heap_leaks.h"

#define INTERVAL 524288.0
#define SEEDS 200
#define MAX_BLOCKS 200000

static uint64_t random_state;

/* splitmix64, to (0, 1) */
static double uniform(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return ((double)((z ^ z >> 31) >> 11) + 0.5) * 0x1p-53;
}

static double exponential(double mean)
{
	return -mean * log(uniform());
}

/* The sampled blocks of a site that is being made. */
static struct pln_leak_block made[MAX_BLOCKS];
static size_t made_count;
static bool made_partial, made_has_gap; /* the process that they are of */

static void allocate(double size, double born, double gone)
{
	double chance = -expm1(-size / INTERVAL);

	if (uniform() >= chance || made_count == MAX_BLOCKS)
		return;
	made[made_count++] = (struct pln_leak_block){
		.born = born,
		.gone = gone > 1 ? 2 : gone,
		.bytes = size / chance,
		.variance = size * size * (1 - chance) / (chance * chance),
		.seconds = 10,
		.partial = made_partial,
		.has_gap = made_has_gap,
	};
}

/* `count` blocks from one moment to another, evenly, that stay. */
static void stay(unsigned count, double size, double from, double to)
{
	for (unsigned i = 0; i < count; i++)
		allocate(size, from + (to - from) * (i + 0.5) / count, 2);
}

/* As many that live for some time, and go: what is live is steady. */
static void churn(unsigned count, double size, double mean_life)
{
	for (unsigned i = 0; i < count; i++) {
		double born = (i + 0.5) / count;

		allocate(size, born, born + exponential(mean_life));
	}
}

/* Garbage in cycles: it stays until all of it is collected. */
static void sawtooth(unsigned count, double size, double period, double phase)
{
	for (unsigned i = 0; i < count; i++) {
		double born = (i + 0.5) / count;

		allocate(size, born, (floor((born + phase) / period) + 1) * period - phase);
	}
}

/* A cache that fills until `full`; then each block is replaced now and then. */
static void cache(unsigned places, double size, double full, double mean_life)
{
	for (unsigned i = 0; i < places; i++) {
		double born = full * (i + 0.5) / places;

		while (born < 1) {
			double gone = born + exponential(mean_life);

			allocate(size, born, gone);
			born = gone;
		}
	}
}

/* ----------------------------------------------------------------- a program */

#define MAX_SITES 64

struct program {
	struct pln_leak sites[MAX_SITES];
	struct pln_leaks leaks;
};

/* What was made is the program's next site, which `id` tells again. */
static void add_site(struct program *program, uint32_t id)
{
	struct pln_leak *leak = &program->sites[program->leaks.count];

	*leak = (struct pln_leak){ .line = id };
	for (size_t i = 0; i < made_count; i++) {
		leak->live.samples += made[i].gone > 1;
		leak->live.bytes += made[i].gone > 1 ? (uint64_t)made[i].bytes : 0;
	}
	if (leak->live.samples) {
		pln_leak_judge(leak, made, made_count);
		program->leaks.count++;
	}
	made_count = 0;
}

static void start(struct program *program, uint64_t seed)
{
	*program = (struct program){ .leaks.count = 0 };
	program->leaks.leaks = program->sites;
	random_state = seed * 0x5851f42d4c957f2du;
	made_count = 0;
	made_partial = made_has_gap = false;
}

/* Sites of a program as they mostly are: none leaks. */
static void add_innocent(struct program *program)
{
	for (uint32_t id = 100; id < 110; id++) { /* imports */
		stay(200, 20000, 0, 0.05);
		add_site(program, id);
	}
	for (uint32_t id = 110; id < 130; id++) {
		churn(4000, 60000, id % 2 ? 0.0001 : 0.02);
		add_site(program, id);
	}
	for (uint32_t id = 130; id < 135; id++) {
		cache(300, 50000, 0.1 * uniform(), 0.3);
		add_site(program, id);
	}
	for (uint32_t id = 135; id < 140; id++) {
		sawtooth(20000, 5000, 0.02 + 0.2 * uniform(), uniform());
		add_site(program, id);
	}
}

static const struct pln_leak *find(const struct program *program, uint32_t id)
{
	for (size_t i = 0; i < program->leaks.count; i++) {
		if (program->sites[i].line == id)
			return &program->sites[i];
	}
	return NULL;
}

/* -------------------------------------------------------------------- tests */

/* 100 bytes, 100,000 times: 20 samples at the default interval, beside a cache of more. */
static void test_small_leak_is_first(void)
{
	static struct program program;
	unsigned first = 0, grows = 0, cache_flat = 0;
	double since = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		const struct pln_leak *cached;

		start(&program, seed);
		add_innocent(&program);
		stay(100000, 104, 0.05, 1);
		add_site(&program, 1);
		stay(2000, 10000, 0.02, 0.12);
		add_site(&program, 2);
		pln_leaks_rank(&program.leaks);
		first += program.sites[0].line == 1;
		grows += program.sites[0].line == 1 && program.sites[0].trend == PLN_LEAK_GROWS;
		cached = find(&program, 2);
		cache_flat += cached && cached->trend == PLN_LEAK_FLAT;
		since += cached ? cached->flat_since / SEEDS : 0;
	}
	printf("leak of 10 MB: first %u, named as growing %u; cache flat %u of %u, since %.3f\n",
	       first, grows, cache_flat, SEEDS, since);
	CHECK(first >= SEEDS * 95 / 100);
	CHECK(grows >= SEEDS * 85 / 100);
	CHECK(cache_flat >= SEEDS * 99 / 100);
	CHECK(since > 0.10 && since < 0.13);
}

static void test_large_leak_is_always_named(void)
{
	static struct program program;
	unsigned first = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		start(&program, seed);
		add_innocent(&program);
		stay(100000, 1040, 0.05, 1);
		churn(10000, 10000, 0.001); /* at the same line */
		add_site(&program, 1);
		pln_leaks_rank(&program.leaks);
		first += program.sites[0].line == 1 && program.sites[0].trend == PLN_LEAK_GROWS;
		/* 104 MB in 9.5 seconds. */
		CHECK(fabs(program.sites[0].bytes_per_s - 104e6 / 9.5) < 4 * 104e6 / 9.5 / 10);
	}
	printf("leak of 100 MB: first %u of %u\n", first, SEEDS);
	CHECK(first >= SEEDS * 98 / 100);
}

static void test_program_without_leak_has_none(void)
{
	static struct program program;
	unsigned named = 0, reports = 0;

	for (uint64_t seed = 1; seed <= 2 * SEEDS; seed++) {
		start(&program, seed);
		add_innocent(&program);
		pln_leaks_rank(&program.leaks);
		named += program.sites[0].trend == PLN_LEAK_GROWS;
		reports++;
	}
	printf("no leak: %u named in %u reports\n", named, reports);
	/* One in twenty, and three standard errors of that. */
	CHECK(named <= reports / 20 + 3 * sqrt(reports * 0.05 * 0.95));
}

/* The test's own rate of errors, where it is asked most: steady sites with many samples. */
static void test_chance_is_a_chance(void)
{
	unsigned below = 0, sites = 0;

	for (uint64_t seed = 1; seed <= 5 * SEEDS; seed++) {
		struct pln_leak leak = { .line = 0 };

		random_state = seed;
		made_count = 0;
		churn(20000, 20000, 0.1);
		pln_leak_judge(&leak, made, made_count);
		below += leak.chance <= 0.05;
		sites++;
	}
	printf("steady: %u of %u below 0.05\n", below, sites);
	CHECK(below <= sites / 20 + 3 * sqrt(sites * 0.05 * 0.95));
}

/* What filled late is flat all the same; the later, the less can be said of it. */
static void test_late_caches(void)
{
	static const struct {
		double full;
		unsigned least; /* called flat, of 100 */
	} caches[] = { { 0.25, 99 }, { 0.5, 99 }, { 0.6, 99 } };
	static struct program program;

	for (size_t c = 0; c < sizeof(caches) / sizeof(*caches); c++) {
		unsigned flat = 0, near = 0;

		for (uint64_t seed = 1; seed <= 100; seed++) {
			start(&program, seed);
			stay(2000, 20000, 0.02, caches[c].full);
			add_site(&program, 1);
			pln_leaks_rank(&program.leaks);
			flat += program.sites[0].trend == PLN_LEAK_FLAT;
			near += fabs(program.sites[0].flat_since - caches[c].full) < 0.05;
		}
		printf("cache full at %.2f: flat %u, at the right time %u\n", caches[c].full, flat,
		       near);
		CHECK(flat >= caches[c].least);
		CHECK(near >= 90);
	}
}

/* A leak where much is held since the start, and one that began late. */
static void test_leaks_beside_other_things(void)
{
	static struct program program;
	unsigned on_top = 0, late = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		start(&program, seed);
		stay(1000, 200000, 0, 0.02);
		stay(10000, 4000, 0.02, 1);
		add_site(&program, 1);
		stay(20000, 4000, 0.5, 1);
		add_site(&program, 2);
		pln_leaks_rank(&program.leaks);
		on_top += find(&program, 1)->trend == PLN_LEAK_GROWS;
		late += find(&program, 2)->trend == PLN_LEAK_GROWS;
	}
	printf("leak on top of much: %u, late leak: %u of %u\n", on_top, late, SEEDS);
	CHECK(on_top >= SEEDS * 95 / 100);
	CHECK(late >= SEEDS * 95 / 100);
}

/*
 * A file in the middle of a recording, or a forked child: what comes is in it, and not that what
 * was there before goes. A cache whose entries live for longer looks like a leak of as much.
 */
static unsigned count_trend_of_a_part(double counted_bytes, enum pln_leak_trend trend)
{
	static struct program program;
	unsigned found = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		start(&program, seed);
		made_partial = true;
		stay(1000, 100000, 0, 1);
		add_site(&program, 1);
		churn(4000, 60000, 0.02);
		add_site(&program, 2);
		program.leaks.counted_bytes = counted_bytes;
		pln_leaks_rank(&program.leaks);
		found += program.sites[0].line == 1 && program.sites[0].trend == trend &&
			 program.leaks.capped == (trend == PLN_LEAK_MAY_GROW);
	}
	return found;
}

static void test_a_part_grows_by_no_more_than_was_counted(void)
{
	/* 60 MB came in the judged part of the time. */
	unsigned leak = count_trend_of_a_part(60e6, PLN_LEAK_GROWS);
	unsigned cache = count_trend_of_a_part(0, PLN_LEAK_MAY_GROW);
	unsigned half = count_trend_of_a_part(30e6, PLN_LEAK_MAY_GROW);
	unsigned shrunk = count_trend_of_a_part(-50e6, PLN_LEAK_MAY_GROW);

	printf("of a part: leak %u, cache %u, half of it a leak %u, beside what went %u of %u\n",
	       leak, cache, half, shrunk, SEEDS);
	CHECK(leak >= SEEDS * 95 / 100);
	/* Else the other place seems to grow as well, or this one to stop. */
	CHECK(cache >= SEEDS * 90 / 100);
	CHECK(half >= SEEDS * 90 / 100);
	CHECK(shrunk >= SEEDS * 90 / 100);
}

/* What grows in a process that is known whole does so whatever is counted in another. */
static void test_whole_processes_are_not_held_against_counts(void)
{
	static struct program program;
	unsigned grows = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		start(&program, seed);
		stay(1000, 100000, 0, 1);
		made_partial = true;
		stay(100, 100000, 0, 1);
		add_site(&program, 1);
		pln_leaks_rank(&program.leaks);
		grows += program.sites[0].trend == PLN_LEAK_GROWS && !program.leaks.capped;
	}
	printf("mostly of a whole process: %u of %u\n", grows, SEEDS);
	CHECK(grows >= SEEDS * 95 / 100);
}

/* Sampling was stopped in between: that nothing came then says nothing. */
static void test_gaps_leave_it_open(void)
{
	static struct program program;
	unsigned open = 0, may = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		start(&program, seed);
		made_has_gap = true;
		stay(2000, 20000, 0, 0.15);
		add_site(&program, 1);
		stay(2000, 20000, 0, 1);
		add_site(&program, 2);
		pln_leaks_rank(&program.leaks);
		open += find(&program, 1)->trend == PLN_LEAK_UNKNOWN;
		may += find(&program, 2)->trend == PLN_LEAK_MAY_GROW;
	}
	printf("with a gap: open %u, may grow %u of %u\n", open, may, SEEDS);
	CHECK_EQ(open, SEEDS);
	CHECK(may >= SEEDS * 95 / 100);
}

static void test_few_samples_say_nothing(void)
{
	static struct program program;

	start(&program, 1);
	made[made_count++] = (struct pln_leak_block){ .born = 0.5, .gone = 2, .bytes = 1 << 20 };
	add_site(&program, 1);
	pln_leaks_rank(&program.leaks);
	CHECK_EQ(program.leaks.count, 1);
	CHECK_EQ(program.sites[0].trend, PLN_LEAK_UNKNOWN);
	CHECK_EQ(program.leaks.tested, 0);
	program.leaks.count = 0;
	pln_leaks_rank(&program.leaks);
	CHECK_EQ(program.leaks.tested, 0);
}

static double kept_of(size_t unfreed, size_t freed, double born)
{
	struct pln_leak leak = { .line = 1 };

	for (size_t i = 0; i < unfreed + freed; i++)
		made[i] = (struct pln_leak_block){ .born = born,
						   .gone = i < unfreed ? 2 : 0.8,
						   .bytes = 1 };
	pln_leak_judge(&leak, made, unfreed + freed);
	return leak.kept;
}

static void test_kept_is_the_share_that_was_kept(void)
{
	CHECK(kept_of(0, 3, 0.5) == 0);
	CHECK(kept_of(1, 3, 0.5) == 0.25);
	CHECK(kept_of(2, 0, 0.1) == 1);
	CHECK(isnan(kept_of(2, 0, 0.95))); /* too young to tell */
}

int main(void)
{
	test_small_leak_is_first();
	test_large_leak_is_always_named();
	test_program_without_leak_has_none();
	test_chance_is_a_chance();
	test_late_caches();
	test_leaks_beside_other_things();
	test_a_part_grows_by_no_more_than_was_counted();
	test_whole_processes_are_not_held_against_counts();
	test_gaps_leave_it_open();
	test_few_samples_say_nothing();
	test_kept_is_the_share_that_was_kept();
	return check_result();
}
