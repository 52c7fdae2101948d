/* SPDX-License-Identifier: MIT */
/*
 * heap_leaks.h - where memory grew, and whether it still did at the end.
 *
 * A site is the innermost Python line of an allocation and the library that asked for it; a
 * native function where no Python runs. Time runs from 0, the start of its process, to 1, when
 * the interpreter began to go down or the recording ended; the youngest tenth is left out, as
 * nothing born there had time to go.
 *
 *   0         0.3                 0.9   1
 *   | before    | judged            |young|
 *
 * Judged are the sampled blocks, each a draw of its own by how sampling works: those born in
 * the judged part that are live at the end *came*, those live at its start that are not at the
 * end *went*. If the site held steadily what it has, either would be as likely: the sign test
 * says how likely at least as many coming ones are by chance. Windows of live bytes (as for
 * Mann-Kendall) would not do: live bytes at one moment and the next are mostly the same blocks,
 * so that chance looks like a trend.
 *
 * A site grows when that chance is small enough that, by all sites that could have passed
 * (Tarone's correction), one in twenty reports of programs without a leak would name any; and
 * when growth did not stop: as many came in the second half of the judged part as in the
 * first, but for a chance of 1 %. Where far more came in the second, and most of those born in
 * the judged part are gone, it is garbage that waits to be collected. A site is flat that
 * does not grow, but did: what it holds is older, by the same chance, than if it always grew.
 *
 * Of a partial process (heap_spans.h) the old blocks that went are not in the profile, while
 * those that came are: a cache whose entries outlive the recording looks like a leak. But all of
 * malloc and mmap cannot have grown by less than the places that grow. Where exact counts did,
 * which of them it is cannot be told, and each that has its growth from there may grow at most.
 * Where sampling was stopped in between, nothing grows or is flat for sure.
 */
#ifndef PILLION_COLLECTOR_HEAP_LEAKS_H
#define PILLION_COLLECTOR_HEAP_LEAKS_H

#include "report/totals.h"

enum { PLN_LEAK_POINTS = 20 };

enum pln_leak_trend {
	PLN_LEAK_GROWS = 0,
	PLN_LEAK_MAY_GROW, /* by its own chance, not by all sites'; or counts do not bear it out */
	PLN_LEAK_FLAT, /* grew, and stopped */
	PLN_LEAK_UNKNOWN, /* too few samples, or stopped in between */
};

/* A sampled block of a site. Times are shares of its process's; `gone` above 1: live at the end. */
struct pln_leak_block {
	double born;
	double gone;
	double bytes;
	double variance;
	double seconds; /* that 1 stands for */
	bool partial, has_gap; /* its process */
};

struct pln_leak {
	uint32_t line; /* index of totals' lines[]; PLN_NONE: no Python */
	uint32_t function; /* innermost; function_count: no stack */
	enum pln_leak_trend trend;
	struct pln_amount live; /* at the end */
	uint64_t old; /* sampled blocks, but for the youngest */
	uint64_t came, went;
	double kept; /* share of the old ones that are live at the end; NaN: none is old */
	double chance; /* of as much growth in a site that holds steady */
	double grown_bytes; /* in the judged part */
	double grown_variance;
	double partial_bytes; /* of that growth, in partial processes */
	double partial_variance;
	uint64_t gaps; /* of the old ones, where sampling was stopped in between */
	double bytes_per_s; /* of that growth */
	double flat_since; /* when it first had what it has towards the end */
	bool early; /* most of what stays was there before the judged part */
	bool stopped; /* more came in the first half of it than in the second */
	bool young; /* the other way round, and most go */
	double live_at[PLN_LEAK_POINTS]; /* bytes in the middle of each part of the time */
};

/* Most suspect first: what grows by the least that it surely grew by, the rest by what it holds. */
struct pln_leaks {
	struct pln_leak *leaks;
	size_t count;
	uint32_t tested; /* sites that could have passed */
	double largest_chance; /* of a site that grows */
	/* In partial processes, from the start to the end of the judged part: */
	double counted_bytes; /* growth by counts; given */
	double claimed_bytes; /* what those sites surely grew by together that grow by samples */
	size_t capped; /* sites that may grow only, as counts did not grow so much */
};

/* Returns 0 or -errno. pln_leaks_free() is due in either case. */
int pln_leaks_find(struct pln_leaks *leaks, const struct pln_aggregate *aggregate,
		   const struct pln_totals *totals, const struct pln_heap_moments *moments);
void pln_leaks_free(struct pln_leaks *leaks);

/* Whether most of what is known of it is of processes whose sampling was stopped in between. */
static inline bool pln_leak_has_gap(const struct pln_leak *leak)
{
	return 2 * leak->gaps > leak->old;
}

/* The parts of it: what the blocks of one site say, then the sites together. */
void pln_leak_judge(struct pln_leak *leak, const struct pln_leak_block *blocks, size_t count);
void pln_leaks_rank(struct pln_leaks *leaks);

extern const char *const pln_leak_trend_names[]; /* in the order of enum pln_leak_trend */

#endif
