/* SPDX-License-Identifier: MIT */
/*
 * noise.c - see noise.h.
 */
#include "diff/noise.h"

#include <math.h>

#define SQRT_2 1.4142135623730951

struct pln_noise_whole pln_noise_whole(const struct pln_amount *all, bool memory, uint32_t threads)
{
	struct pln_noise_whole whole = { .weight = (double)all->weight, .variance = all->variance };

	whole.mean_square = all->samples ? all->variance / (double)all->samples : 0;
	whole.own_variance = memory ? all->variance : whole.mean_square * threads;
	return whole;
}

/*
 * Of a share p of one whole, when the part's own samples have a sum of squares V. One sample more
 * for the part and for the rest: that a side has none of either does not say that it has no time.
 */
static double share_variance(const struct pln_noise_whole *whole, double share, double own)
{
	double variance = own + whole->mean_square;
	double rest = fmax(whole->variance - own, 0) + whole->mean_square;

	return ((1 - share) * (1 - share) * variance + share * share * rest) /
	       (whole->weight * whole->weight);
}

double pln_noise_of_change(const struct pln_noise_whole whole[2], const struct pln_amount part[2],
			   bool absolute)
{
	double weight = (double)part[0].weight + (double)part[1].weight;
	double square = weight > 0 ? (part[0].variance + part[1].variance) / weight : 0;
	double sum = 0;

	if (whole[0].weight <= 0 || whole[1].weight <= 0)
		return 0;
	for (unsigned i = 0; i < 2; i++) {
		const struct pln_noise_whole *w = &whole[i];
		double share = weight / (whole[0].weight + whole[1].weight), own, variance;

		/* If nothing had changed: the same weight in both, or the same share. */
		if (absolute)
			share = fmin(1, weight / 2 / w->weight);
		own = fmax(part[i].variance, square * share * w->weight);
		variance = share_variance(w, share, own);
		if (absolute)
			variance =
				variance * w->weight * w->weight + share * share * w->own_variance;
		sum += variance;
	}
	return sum;
}

/* Two-sided: erfc(z / sqrt 2) is the chance to be z standard errors away or more. */
double pln_noise_limit(uint64_t comparisons)
{
	double chance = PLN_NOISE_CHANCE / (double)(comparisons ? comparisons : 1);
	double low = 0, high = 40;

	for (int i = 0; i < 100; i++) {
		double middle = (low + high) / 2;

		if (erfc(middle / SQRT_2) > chance)
			low = middle;
		else
			high = middle;
	}
	return high;
}
