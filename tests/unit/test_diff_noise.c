/* SPDX-License-Identifier: MIT */
/*
 * test_diff_noise.c - how often luck passes for a change, and whether a change is seen.
 *
 * Pairs of profiles of one program are drawn at random, samples of differing weight among
 * functions of differing shares. As often as noise.h promises, and not more, any of the
 * functions may be beyond its noise.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "diff/noise.h"

enum { FUNCTIONS = 60, PAIRS = 1000 };

static uint64_t random_state = 4711;

static double next_random(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (double)(random_state >> 11) / 0x1p53;
}

static void add(struct pln_amount *to, uint64_t weight)
{
	to->weight += weight;
	to->samples++;
	to->variance += (double)weight * (double)weight;
}

/* Shares fall as 1, 1/2, 1/3...; function 0 has `factor` times its own. */
static unsigned draw_function(double factor)
{
	double sum = factor - 1, at;
	unsigned f;

	for (unsigned i = 1; i <= FUNCTIONS; i++)
		sum += 1. / i;
	at = next_random() * sum - factor;
	for (f = 0; f + 1 < FUNCTIONS && at >= 0; f++)
		at -= 1. / (f + 2);
	return f;
}

struct side {
	struct pln_amount all, functions[FUNCTIONS];
};

/* Most samples stand for one period, some for several. */
static void draw(struct side *side, unsigned samples, double factor)
{
	memset(side, 0, sizeof(*side));
	for (unsigned i = 0; i < samples; i++) {
		uint64_t weight = next_random() < 0.1 ? 40000000 : 10000000;

		add(&side->functions[draw_function(factor)], weight);
		add(&side->all, weight);
	}
	for (unsigned f = 0; f < FUNCTIONS; f++)
		CHECK(side->functions[f].weight <= side->all.weight);
}

static double change_in_noise(const struct side *a, const struct side *b, unsigned f, double limit,
			      bool absolute)
{
	const struct pln_noise_whole wholes[] = {
		pln_noise_whole(&a->all, false, 4),
		pln_noise_whole(&b->all, false, 4),
	};
	const struct pln_amount parts[] = { a->functions[f], b->functions[f] };
	double from = (double)parts[0].weight, to = (double)parts[1].weight;

	if (!absolute) {
		from /= wholes[0].weight;
		to /= wholes[1].weight;
	}
	return (to - from) / (limit * sqrt(pln_noise_of_change(wholes, parts, absolute)));
}

static void test_limits(void)
{
	/* Quantiles of the normal distribution. */
	CHECK(fabs(pln_noise_limit(1) - 2.5758) < 1e-3);
	CHECK(fabs(pln_noise_limit(100) - 3.8906) < 1e-3);
	CHECK(fabs(pln_noise_limit(10000) - 4.8916) < 1e-3);
	CHECK(pln_noise_limit(0) == pln_noise_limit(1));
}

/* In one of 100 pairs; three standard deviations more are 1.9 of 100. */
static void test_luck(unsigned samples_a, unsigned samples_b)
{
	const double limit = pln_noise_limit(FUNCTIONS);
	unsigned alarms = 0;

	for (unsigned i = 0; i < PAIRS; i++) {
		static struct side a, b;
		bool any = false;

		draw(&a, samples_a, 1);
		draw(&b, samples_b, 1);
		for (unsigned f = 0; f < FUNCTIONS; f++)
			any |= fabs(change_in_noise(&a, &b, f, limit, false)) > 1;
		alarms += any;
	}
	printf("%u and %u samples: %u of %u by luck\n", samples_a, samples_b, alarms, PAIRS);
	CHECK(alarms <= PAIRS * 19 / 1000);
}

/* From a share of 21 % to one of 35 %. */
static void test_change(void)
{
	const double limit = pln_noise_limit(FUNCTIONS);
	unsigned seen = 0, wrong = 0;

	for (unsigned i = 0; i < 100; i++) {
		static struct side a, b;

		draw(&a, 1000, 1);
		draw(&b, 1000, 2);
		seen += change_in_noise(&a, &b, 0, limit, false) > 1;
		wrong += change_in_noise(&a, &b, 0, limit, false) < 0;
	}
	CHECK(seen >= 90);
	CHECK_EQ(wrong, 0);
}

/* What took twice as long altogether did so in each function, though no share changed. */
static void test_absolute(void)
{
	static struct side a, b;

	draw(&a, 2000, 1);
	draw(&b, 4000, 1);
	CHECK(change_in_noise(&a, &b, 0, pln_noise_limit(FUNCTIONS), true) > 1);
	CHECK(fabs(change_in_noise(&a, &b, 0, pln_noise_limit(FUNCTIONS), false)) < 1);
}

/* What was never sampled has no time known to be 0; and without samples there is no noise. */
static void test_few(void)
{
	static struct side a, b;
	const struct pln_amount none = { .weight = 0 };
	const struct pln_noise_whole nothing[] = {
		pln_noise_whole(&none, true, 0),
		pln_noise_whole(&none, true, 0),
	};
	const struct pln_amount parts[] = { none, none };

	draw(&a, 20, 1);
	b = a;
	add(&b.functions[FUNCTIONS - 1], 10000000);
	add(&b.all, 10000000);
	CHECK(fabs(change_in_noise(&a, &b, FUNCTIONS - 1, pln_noise_limit(1), false)) < 1);
	CHECK(pln_noise_of_change(nothing, parts, false) == 0);
	CHECK(pln_noise_of_change(nothing, parts, true) == 0);
}

/*
 * What is below all samples of one side and all but one of the other: main(), and what calls it.
 * The one sample more is as likely luck here as in a function that has none but it.
 */
static void test_nearly_all(void)
{
	static struct side a, b;

	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	for (unsigned i = 0; i < 150; i++) {
		add(&a.functions[0], 11000000); /* periods were longer there: it was kept waiting */
		add(&a.all, 11000000);
		add(&b.functions[i > 0 ? 0 : 1], 10000000);
		add(&b.all, 10000000);
	}
	for (unsigned f = 0; f < 2; f++)
		CHECK(fabs(change_in_noise(&a, &b, f, pln_noise_limit(1), false)) < 1);
}

int main(void)
{
	test_limits();
	test_luck(300, 300);
	test_luck(200, 2000);
	test_luck(2000, 200);
	test_luck(3000, 3000);
	test_change();
	test_absolute();
	test_few();
	test_nearly_all();
	return check_result();
}
