/* SPDX-License-Identifier: MIT */
/*
 * heap_leaks.c - see heap_leaks.h, where the statistic is written down.
 */
#include "report/heap_leaks.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/heap_spans.h"
#include "stacks/intern.h"

/* The judged part of the time, and its middle. */
#define JUDGED_FROM 0.3
#define JUDGED_MIDDLE 0.6
#define JUDGED_TO 0.9
#define BEFORE_JUDGED (JUDGED_FROM / JUDGED_TO) /* where steady growth has so much of it */

#define FAMILY_CHANCE 0.05 /* of naming any site in a program that does not leak */
#define STOPPED_CHANCE 0.01 /* of calling steady growth stopped, or garbage */
#define PLATEAU 0.95 /* of what it has towards the end */
#define BORNE_OUT 0.9 /* by counts, of growth by samples: else it is not */
#define ONE_SIDED_95 1.645
#define MOST_EXACT 1000 /* trials; of more, by the normal distribution */
#define MOST_TRIALS 64 /* with more, the smallest chance is 0 to any purpose */

const char *const pln_leak_trend_names[] = { "grows", "may_grow", "flat", "unknown" };

/* ------------------------------------------------------------------ one site */

/* Chance of at least `least` hits in so many trials, each of which hits with `chance`. */
static double hits_chance(uint64_t least, uint64_t trials, double chance)
{
	double n = (double)trials, sum = 0;

	if (!least)
		return 1;
	if (trials > MOST_EXACT)
		return 0.5 * erfc(((double)least - 0.5 - n * chance) /
				  sqrt(2 * n * chance * (1 - chance)));
	for (uint64_t k = least; k <= trials; k++)
		sum += exp(lgamma(n + 1) - lgamma((double)k + 1) - lgamma(n - (double)k + 1) +
			   (double)k * log(chance) + (n - (double)k) * log1p(-chance));
	return sum < 1 ? sum : 1;
}

/* What came in each half of the judged part and before, and all that were born there. */
struct judged {
	uint64_t came[2];
	uint64_t stayed;
	uint64_t born;
};

static void grow(struct pln_leak *leak, const struct pln_leak_block *block, double bytes)
{
	leak->grown_bytes += bytes;
	leak->grown_variance += block->variance;
	leak->partial_bytes += block->partial ? bytes : 0;
	leak->partial_variance += block->partial ? block->variance : 0;
	if (block->seconds > 0)
		leak->bytes_per_s += bytes / (block->seconds * (JUDGED_TO - JUDGED_FROM));
}

static void judge_block(struct pln_leak *leak, const struct pln_leak_block *block,
			struct judged *judged, uint64_t *unfreed)
{
	bool is_live = block->gone > 1;

	if (block->born > JUDGED_TO)
		return;
	leak->old++;
	leak->gaps += block->has_gap;
	*unfreed += is_live;
	if (block->born > JUDGED_FROM) {
		judged->born++;
		if (!is_live)
			return;
		judged->came[block->born > JUDGED_MIDDLE]++;
		leak->came++;
		grow(leak, block, block->bytes);
	} else if (is_live) {
		judged->stayed++;
	} else if (block->gone > JUDGED_FROM) {
		leak->went++;
		grow(leak, block, -block->bytes);
	}
}

/* Steps of the time in which live bytes are followed. */
enum { STEPS = 200 };

static size_t step_of(double at)
{
	return at <= 0 ? 0 : at >= 1 ? STEPS : (size_t)(at * STEPS);
}

/* Changes of live bytes by step, then live bytes at its end. */
static void follow(double *live, const struct pln_leak_block *blocks, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		live[step_of(blocks[i].born)] += blocks[i].bytes;
		live[step_of(blocks[i].gone)] -= blocks[i].bytes;
	}
	for (size_t step = 1; step < STEPS; step++)
		live[step] += live[step - 1];
}

/*
 * When it first held what it holds towards the end: a cache does so since it was full, even if
 * each block is replaced now and then.
 */
static double find_flat_since(const double *live)
{
	size_t first = step_of(JUDGED_MIDDLE), end = step_of(JUDGED_TO), step = 0;
	double plateau = 0;

	for (size_t i = first; i < end; i++)
		plateau += live[i] / (double)(end - first);
	while (step < end && live[step] < PLATEAU * plateau)
		step++;
	return (double)step / STEPS;
}

void pln_leak_judge(struct pln_leak *leak, const struct pln_leak_block *blocks, size_t count)
{
	struct judged judged = { .born = 0 };
	double live[STEPS + 1] = { 0 };
	uint64_t unfreed = 0, net;

	for (size_t i = 0; i < count; i++)
		judge_block(leak, &blocks[i], &judged, &unfreed);
	net = leak->came > leak->went ? leak->came - leak->went : 0;
	leak->early =
		hits_chance(judged.stayed, judged.stayed + net, BEFORE_JUDGED) < STOPPED_CHANCE;
	leak->stopped = hits_chance(judged.came[0], leak->came, 0.5) < STOPPED_CHANCE;
	leak->young = hits_chance(judged.came[1], leak->came, 0.5) < STOPPED_CHANCE &&
		      2 * leak->came < judged.born;
	leak->kept = leak->old ? (double)unfreed / (double)leak->old : NAN;
	leak->chance = hits_chance(leak->came, leak->came + leak->went, 0.5);
	follow(live, blocks, count);
	leak->flat_since = find_flat_since(live);
	for (size_t i = 0; i < PLN_LEAK_POINTS; i++)
		leak->live_at[i] = live[(2 * i + 1) * STEPS / (2 * PLN_LEAK_POINTS)];
}

/* ------------------------------------------------------------------- all sites */

/* A site cannot pass that has so few samples that even all of them coming would be likely. */
static double significance(struct pln_leaks *leaks)
{
	for (unsigned least = 1; least < MOST_TRIALS; least++) {
		leaks->tested = 0;
		for (size_t i = 0; i < leaks->count; i++)
			leaks->tested += leaks->leaks[i].came + leaks->leaks[i].went >= least;
		if (leaks->tested * ldexp(1, -(int)least) <= FAMILY_CHANCE)
			break;
	}
	return leaks->tested ? FAMILY_CHANCE / leaks->tested : 0;
}

static enum pln_leak_trend trend_of(const struct pln_leak *leak, double largest_chance)
{
	bool went_on = !leak->stopped && !leak->young && leak->grown_bytes > 0;

	if (pln_leak_has_gap(leak))
		return went_on && leak->chance <= FAMILY_CHANCE ? PLN_LEAK_MAY_GROW
								: PLN_LEAK_UNKNOWN;
	if (went_on && leak->chance <= largest_chance)
		return PLN_LEAK_GROWS;
	if (went_on && !leak->early && leak->chance <= FAMILY_CHANCE)
		return PLN_LEAK_MAY_GROW;
	return leak->stopped || leak->early ? PLN_LEAK_FLAT : PLN_LEAK_UNKNOWN;
}

static double surely(double bytes, double variance)
{
	return bytes - ONE_SIDED_95 * sqrt(variance);
}

static double sure_growth(const struct pln_leak *leak)
{
	return surely(leak->grown_bytes, leak->grown_variance);
}

/* See heap_leaks.h, of partial processes. */
static void hold_against_counts(struct pln_leaks *leaks)
{
	double bytes = 0, variance = 0;

	for (size_t i = 0; i < leaks->count; i++) {
		const struct pln_leak *leak = &leaks->leaks[i];

		bytes += leak->trend == PLN_LEAK_GROWS ? leak->partial_bytes : 0;
		variance += leak->trend == PLN_LEAK_GROWS ? leak->partial_variance : 0;
	}
	leaks->capped = 0;
	leaks->claimed_bytes = surely(bytes, variance);
	if (BORNE_OUT * leaks->claimed_bytes <= leaks->counted_bytes)
		return;
	for (size_t i = 0; i < leaks->count; i++) {
		struct pln_leak *leak = &leaks->leaks[i];

		if (leak->trend != PLN_LEAK_GROWS || 2 * leak->partial_bytes <= leak->grown_bytes)
			continue;
		leak->trend = PLN_LEAK_MAY_GROW;
		leaks->capped++;
	}
}

static int compare_suspects(const void *pa, const void *pb)
{
	const struct pln_leak *a = pa, *b = pb;
	bool grow = a->trend <= PLN_LEAK_MAY_GROW;
	double of_a = grow ? sure_growth(a) : (double)a->live.bytes;
	double of_b = grow ? sure_growth(b) : (double)b->live.bytes;

	/* What stopped and what has too few samples go by what they hold, mixed. */
	if ((a->trend != b->trend) && (grow || b->trend <= PLN_LEAK_MAY_GROW))
		return a->trend < b->trend ? -1 : 1;
	if (of_a != of_b)
		return of_a > of_b ? -1 : 1;
	return a->line != b->line ? (a->line < b->line ? -1 : 1)
				  : (a->function > b->function) - (a->function < b->function);
}

void pln_leaks_rank(struct pln_leaks *leaks)
{
	leaks->largest_chance = significance(leaks);
	for (size_t i = 0; i < leaks->count; i++)
		leaks->leaks[i].trend = trend_of(&leaks->leaks[i], leaks->largest_chance);
	hold_against_counts(leaks);
	if (leaks->count)
		qsort(leaks->leaks, leaks->count, sizeof(*leaks->leaks), compare_suspects);
}

/* ---------------------------------------------------------------- from a profile */

struct finder {
	struct pln_leaks *leaks;
	const struct pln_aggregate *aggregate;
	const struct pln_profile *profile;
	const struct pln_totals *totals;
	const struct pln_heap_moments *moments;
	const struct pln_heap_span *spans; /* by process */
	struct pln_intern *keys;
	size_t capacity;
	uint32_t *block_site; /* by block; PLN_NONE: not of any */
	size_t *site_first; /* by site: in `blocks`; one more behind the last */
	struct pln_leak_block *blocks; /* by site */
};

static uint32_t leaf_function(const struct finder *f, uint32_t stack)
{
	const struct pln_profile *p = f->profile;

	if (stack >= p->stack_count)
		return (uint32_t)p->function_count;
	return p->locations[p->frame_first_location[p->stacks[stack].frame]].function;
}

/* The site of a block, added when it is new; PLN_NONE: out of memory. */
static uint32_t find_site(struct finder *f, const struct pln_block_row *block)
{
	uint32_t function = leaf_function(f, block->stack);
	uint32_t line = block->stack < f->profile->stack_count
				? f->totals->node_python_line[block->stack]
				: PLN_NONE;
	const uint32_t key[2] = { line, line == PLN_NONE ? function
							 : f->totals->function_library[function] };
	bool is_new;
	uint32_t site = pln_intern_add(f->keys, key, sizeof(key), &is_new);

	if (site == PLN_NONE || !is_new)
		return site;
	if (site >= f->capacity) {
		size_t capacity = f->capacity ? 2 * f->capacity : 64;
		struct pln_leak *leaks = realloc(f->leaks->leaks, capacity * sizeof(*leaks));

		if (!leaks)
			return PLN_NONE;
		f->leaks->leaks = leaks;
		f->capacity = capacity;
	}
	f->leaks->leaks[site] = (struct pln_leak){ .line = line, .function = function };
	f->leaks->count = site + 1;
	return site;
}

static const struct pln_heap_span *span_of(const struct finder *f,
					   const struct pln_block_row *block)
{
	return &f->spans[f->profile->threads[block->thread].process];
}

static bool is_judged(const struct finder *f, const struct pln_block_row *block)
{
	const struct pln_heap_span *span = span_of(f, block);

	return !block->unfollowed && f->aggregate->thread_kept[block->thread] &&
	       span->length_ns > 0 && (double)block->time_ns <= span->start_ns + span->length_ns;
}

static int find_sites(struct finder *f)
{
	for (size_t i = 0; i < f->profile->block_count; i++) {
		const struct pln_block_row *block = &f->profile->blocks[i];

		f->block_site[i] = PLN_NONE;
		if (!is_judged(f, block))
			continue;
		f->block_site[i] = find_site(f, block);
		if (f->block_site[i] == PLN_NONE)
			return -ENOMEM;
	}
	return 0;
}

static struct pln_leak_block place_block(const struct finder *f, const struct pln_block_row *block)
{
	const struct pln_heap_weight weight = pln_block_weight(block);
	const struct pln_heap_span *span = span_of(f, block);
	uint32_t process = f->profile->threads[block->thread].process;
	bool is_live = pln_heap_counts(block, PLN_HEAP_LIVE, &f->moments[process]);
	double freed = ((double)block->freed_ns - span->start_ns) / span->length_ns;

	return (struct pln_leak_block){
		.born = ((double)block->time_ns - span->start_ns) / span->length_ns,
		.gone = is_live ? 2 : fmin(freed, 1),
		.bytes = weight.bytes,
		.variance = weight.variance,
		.seconds = span->length_ns / 1e9,
		.partial = span->partial,
		.has_gap = span->has_gap,
	};
}

static void add_live(struct pln_amount *live, const struct pln_block_row *block)
{
	const struct pln_heap_weight weight = pln_block_weight(block);

	live->samples++;
	live->blocks += weight.blocks;
	live->variance += weight.variance;
	live->kinds |= 1u << block->kind;
}

/* Brings the blocks of each site together, by counting. */
static int gather(struct finder *f)
{
	const struct pln_profile *p = f->profile;
	size_t *next;

	f->site_first = calloc(f->leaks->count + 2, sizeof(*f->site_first));
	f->blocks = malloc((p->block_count + 1) * sizeof(*f->blocks));
	if (!f->site_first || !f->blocks)
		return -ENOMEM;
	next = f->site_first + 1;
	for (size_t i = 0; i < p->block_count; i++) {
		if (f->block_site[i] != PLN_NONE)
			next[f->block_site[i] + 1]++;
	}
	for (size_t site = 1; site <= f->leaks->count; site++)
		next[site] += next[site - 1];
	for (size_t i = 0; i < p->block_count; i++) {
		uint32_t site = f->block_site[i];

		if (site == PLN_NONE)
			continue;
		f->blocks[next[site]] = place_block(f, &p->blocks[i]);
		if (f->blocks[next[site]].gone > 1)
			add_live(&f->leaks->leaks[site].live, &p->blocks[i]);
		next[site]++;
	}
	return 0;
}

/* By counts, of the partial processes that any block is judged of. */
static int sum_growth(struct finder *f)
{
	const struct pln_profile *p = f->profile;
	bool *summed = calloc(p->process_count + 1, sizeof(*summed));

	for (size_t i = 0; summed && i < p->block_count; i++) {
		uint32_t process = p->threads[p->blocks[i].thread].process;

		if (f->block_site[i] == PLN_NONE || summed[process])
			continue;
		summed[process] = true;
		f->leaks->counted_bytes += f->spans[process].grown_bytes;
	}
	free(summed);
	return summed ? 0 : -ENOMEM;
}

static double live_bytes(const struct pln_leak_block *blocks, size_t count)
{
	double sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += blocks[i].gone > 1 ? blocks[i].bytes : 0;
	return sum;
}

/* Sites of which nothing is left are no suspects. */
static void judge_sites(struct finder *f)
{
	struct pln_leaks *leaks = f->leaks;
	size_t kept = 0;

	for (size_t site = 0; site < leaks->count; site++) {
		const struct pln_leak_block *blocks = &f->blocks[f->site_first[site]];
		size_t count = f->site_first[site + 1] - f->site_first[site];
		struct pln_leak leak = leaks->leaks[site];

		if (!leak.live.samples)
			continue;
		leak.live.bytes = (uint64_t)fmin(live_bytes(blocks, count), 0x1p62);
		pln_leak_judge(&leak, blocks, count);
		leaks->leaks[kept++] = leak;
	}
	leaks->count = kept;
}

int pln_leaks_find(struct pln_leaks *leaks, const struct pln_aggregate *aggregate,
		   const struct pln_totals *totals, const struct pln_heap_moments *moments)
{
	struct finder f = { .leaks = leaks,
			    .aggregate = aggregate,
			    .profile = aggregate->profile,
			    .totals = totals,
			    .moments = moments };
	struct pln_heap_span *spans =
		pln_heap_find_spans(aggregate->profile, moments, JUDGED_FROM, JUDGED_TO);
	int err = -ENOMEM;

	memset(leaks, 0, sizeof(*leaks));
	f.spans = spans;
	f.keys = pln_intern_new();
	f.block_site = malloc((f.profile->block_count + 1) * sizeof(*f.block_site));
	if (!spans || !f.keys || !f.block_site)
		goto out;
	err = find_sites(&f);
	if (!err)
		err = sum_growth(&f);
	if (!err)
		err = gather(&f);
	if (err)
		goto out;
	judge_sites(&f);
	pln_leaks_rank(leaks);
out:
	pln_intern_free(f.keys);
	free(spans);
	free(f.block_site);
	free(f.site_first);
	free(f.blocks);
	return err;
}

void pln_leaks_free(struct pln_leaks *leaks)
{
	free(leaks->leaks);
	memset(leaks, 0, sizeof(*leaks));
}
