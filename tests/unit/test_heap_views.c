/* SPDX-License-Identifier: MIT */
/*
 * test_heap_views.c - the views of memory of a profile whose blocks are known: which count,
 * what they add up to over functions, lines, libraries and calls, how sure that is, what the
 * exact counts say of it, and in which part of the time leaks are looked for.
 */
#include <math.h>

#include "check.h"
#include "tiny_profile.h"

#include "report/calltree.h"
#include "report/heap_spans.h"
#include "report/heap_summary.h"
#include "report/totals.h"

#define INTERVAL 65536u
#define FIRST_NS 1000000000u
#define PEAK_NS (FIRST_NS + 50 * TINY_MS)
#define END_NS (FIRST_NS + 90 * TINY_MS)

/* In ms after the first; freed 0: never. */
struct known {
	uint32_t born, freed;
	uint32_t size;
	uint8_t kind;
	bool unfollowed;
};

static const struct known known[] = {
	{ 0, 0, 1 << 20, PILLION_BLOCK_MALLOC, false }, /* live throughout */
	{ 10, 60, 2 << 20, PILLION_BLOCK_MAPPING, false }, /* at the peak alone */
	{ 20, 95, 4096, PILLION_BLOCK_MALLOC, false }, /* freed as the interpreter went down */
	{ 30, 30, 100, PILLION_BLOCK_OBJECT, false }, /* at once */
	{ 40, 0, 4 << 20, PILLION_BLOCK_MALLOC, true }, /* nobody knows */
};
#define KNOWN (sizeof(known) / sizeof(*known))

static double bytes_of(const struct known *k)
{
	return k->size / -expm1(-(double)k->size / INTERVAL);
}

struct computed {
	struct pln_profile *profile;
	struct pln_block_row rows[KNOWN];
	struct pln_block_row *own_blocks;
	struct pln_heap_moments *moments;
	struct pln_aggregate aggregate;
	struct pln_totals totals;
};

static const struct pln_filter no_filter;

/* The known blocks stand on as many different stacks of the tiny profile. */
static void put_blocks(struct computed *c)
{
	struct pln_profile *p = c->profile;

	for (size_t i = 0; i < KNOWN; i++)
		c->rows[i] = (struct pln_block_row){
			.time_ns = FIRST_NS + known[i].born * TINY_MS,
			.freed_ns = known[i].freed ? FIRST_NS + known[i].freed * TINY_MS : 0,
			.size = known[i].size,
			.interval = INTERVAL,
			.stack = i == 3 ? PLN_NONE : (uint32_t)(p->stack_count - 1 - i),
			.kind = known[i].kind,
			.unfollowed = known[i].unfollowed,
		};
	c->own_blocks = p->blocks;
	p->blocks = c->rows;
	p->block_count = KNOWN;
	for (uint32_t i = 0; i < p->process_count; i++) {
		p->processes[i].heap_peak_ns = PEAK_NS;
		p->processes[i].finalizing_ns = END_NS;
	}
}

static void compute(struct computed *c, enum pln_view view)
{
	c->profile = tiny_open(true);
	if (!CHECK(c->profile != NULL))
		exit(1);
	put_blocks(c);
	c->moments = pln_heap_find_moments(c->profile);
	CHECK_EQ(pln_aggregate_samples(&c->aggregate, c->profile, &no_filter), 0);
	CHECK_EQ(pln_aggregate_blocks(&c->aggregate, view, c->moments), 0);
	CHECK_EQ(pln_totals_compute(&c->totals, &c->aggregate, view), 0);
}

static void done(struct computed *c)
{
	pln_totals_free(&c->totals);
	pln_aggregate_free(&c->aggregate);
	free(c->moments);
	c->profile->blocks = c->own_blocks;
	c->profile->block_count = 0;
	pln_profile_close(c->profile);
}

/* Blocks of a view, as bits. */
static void check_view(enum pln_view view, unsigned expected)
{
	struct computed c;
	double bytes = 0, sampled = 0, functions = 0, libraries = 0;
	uint32_t kinds = 0;

	compute(&c, view);
	for (size_t i = 0; i < KNOWN; i++) {
		bytes += expected & 1u << i ? bytes_of(&known[i]) : 0;
		sampled += expected >> i & 1;
		kinds |= expected & 1u << i ? 1u << known[i].kind : 0;
	}
	for (size_t f = 0; f <= c.profile->function_count; f++)
		functions += (double)c.totals.functions[f].self.bytes;
	for (size_t l = 0; l < c.totals.library_count; l++)
		libraries += (double)c.totals.libraries[l].cost.self.bytes;
	/* Each cell is rounded. */
	CHECK(fabs((double)c.totals.all.bytes - bytes) <= KNOWN);
	CHECK(functions == (double)c.totals.all.bytes);
	CHECK(libraries == functions);
	CHECK_EQ(c.totals.all.samples, sampled);
	CHECK_EQ(c.totals.all.kinds, kinds);
	done(&c);
}

static void test_views(void)
{
	check_view(PLN_VIEW_ALLOCATED, 0x1f);
	check_view(PLN_VIEW_LIVE, 1 << 0 | 1 << 2);
	check_view(PLN_VIEW_LEAKS, 1 << 0 | 1 << 2);
	check_view(PLN_VIEW_PEAK, 1 << 0 | 1 << 1 | 1 << 2);
	check_view(PLN_VIEW_TEMPORARY, 1 << 3);
}

static void test_tree_holds_the_whole(void)
{
	struct computed c;
	struct pln_calltree tree;
	double self = 0, roots = 0;

	compute(&c, PLN_VIEW_ALLOCATED);
	CHECK_EQ(pln_calltree_build(&tree, &c.aggregate, PLN_VIEW_ALLOCATED, false), 0);
	for (uint32_t call = 0; call < tree.count; call++) {
		self += (double)tree.calls[call].self.bytes;
		if (tree.calls[call].parent == PLN_NONE)
			roots += (double)tree.calls[call].total.bytes;
	}
	CHECK(self == (double)c.totals.all.bytes);
	CHECK(roots == self);
	pln_calltree_free(&tree);
	done(&c);
}

/* A block as large as many intervals is sure; a small one stands for others, and is not. */
static void test_intervals(void)
{
	const struct pln_block_row large = { .size = 64 << 20, .interval = INTERVAL };
	const struct pln_block_row small = { .size = 64, .interval = INTERVAL };
	const struct pln_block_row each = { .size = 64, .interval = 1 };
	struct pln_amount amount = { .bytes = 0 };

	CHECK(pln_block_weight(&large).variance < 1);
	CHECK(fabs(pln_block_weight(&large).bytes - (64 << 20)) < 1);
	/* The interval is its mean and, nearly, its standard error. */
	CHECK(fabs(pln_block_weight(&small).bytes / INTERVAL - 1) < 0.001);
	CHECK(fabs(sqrt(pln_block_weight(&small).variance) / INTERVAL - 1) < 0.001);
	CHECK(pln_block_weight(&each).variance == 0);
	CHECK(pln_block_weight(&each).bytes == 64);
	for (int i = 0; i < 100; i++)
		amount.variance += pln_block_weight(&small).variance;
	CHECK(fabs(pln_amount_interval(&amount) / (19.6 * INTERVAL) - 1) < 0.001);
}

/* Each sum of whole numbers is the sum of the estimates, but for what one number is rounded by. */
static void test_whole_numbers(void)
{
	struct pln_block_rest rest = { 0, 0 };
	double bytes = 0, blocks = 0;
	uint64_t whole_bytes = 0, whole_blocks = 0;

	for (uint64_t size = 1; size <= 4000; size++) {
		const struct pln_block_row block = { .size = size * 997, .interval = INTERVAL };
		struct pln_block_sum whole = pln_block_whole(&block, &rest);

		bytes += pln_block_weight(&block).bytes;
		blocks += pln_block_weight(&block).blocks;
		whole_bytes += whole.bytes;
		whole_blocks += whole.blocks;
		CHECK(fabs(bytes - (double)whole_bytes) < 0.51);
		CHECK(fabs(blocks - (double)whole_blocks) < 0.51);
	}
}

/* Without objects class by class; with them, what they got their memory by is taken off. */
static void test_checks(void)
{
	struct pln_heap_counts *counts;
	struct pln_heap_summary s;
	struct computed c;

	compute(&c, PLN_VIEW_ALLOCATED);
	counts = c.profile->processes[0].heap;
	memset(counts, 0, sizeof(c.profile->processes[0].heap));
	counts[PILLION_HEAP_MALLOC] = (struct pln_heap_counts){ 10, 6 << 20, 3, 1 << 20 };
	counts[PILLION_HEAP_MAPPING] = (struct pln_heap_counts){ 2, 2 << 20, 1, 1 << 20 };
	CHECK_EQ(pln_heap_summarize(&s, &c.aggregate, &no_filter), 0);
	CHECK_EQ(s.check_count, 2);
	CHECK_EQ(s.checks[0].counted_bytes, 6 << 20);
	CHECK_EQ(s.checks[0].samples, 3);
	CHECK_EQ(s.checks[1].counted_bytes, 2 << 20);
	CHECK(fabs(pln_heap_check_share(&s.checks[1])) < 1e-6);
	CHECK_EQ(s.live_bytes, 6 << 20);
	CHECK_EQ(s.unfollowed, 1);
	counts[PILLION_HEAP_OBJECT] = (struct pln_heap_counts){ 1000, 100000, 0, 0 };
	counts[PILLION_HEAP_NESTED] = (struct pln_heap_counts){ 1, 1 << 20, 0, 0 };
	CHECK_EQ(pln_heap_summarize(&s, &c.aggregate, &no_filter), 0);
	CHECK_EQ(s.check_count, 2);
	CHECK_EQ(s.checks[0].counted_bytes, 7 << 20);
	CHECK_EQ(s.checks[0].samples, 4);
	CHECK_EQ(s.checks[1].counted_bytes, 100000);
	CHECK_EQ(s.checks[1].samples, 1);
	CHECK(fabs(pln_heap_check_sigma(&s.checks[1])) < 1);
	memset(counts, 0, sizeof(c.profile->processes[0].heap));
	done(&c);
}

/* Counts go on while sampling is stopped: they say nothing of the samples. */
static void test_no_check_where_sampling_was_stopped(void)
{
	struct pln_heap_summary s;
	struct computed c;

	compute(&c, PLN_VIEW_ALLOCATED);
	c.profile->processes[0].heap[PILLION_HEAP_MALLOC].alloc_bytes = 1 << 30;
	c.profile->processes[1].dormant_ns = TINY_MS;
	CHECK_EQ(pln_heap_summarize(&s, &c.aggregate, &no_filter), 0);
	CHECK_EQ(s.check_count, 0);
	CHECK_EQ(s.dormant_ns, TINY_MS);
	CHECK_EQ(s.samples, KNOWN);
	CHECK_EQ(pln_heap_summarize(&s, &c.aggregate, &(struct pln_filter){ .processes = "100" }),
		 0);
	CHECK_EQ(s.check_count, 2);
	CHECK_EQ(s.dormant_ns, 0);
	done(&c);
}

/* Three files of one process, merged, and between them another that has its number. */
static void test_parts_of_a_process_are_one(void)
{
	static const struct {
		uint64_t start_ms, inherited, allocated, freed, peak, peak_ms;
	} rows[] = {
		{ 200, 700, 100, 50, 900, 210 }, /* the last */
		{ 100, 650, 150, 100, 1000, 120 },
		{ 50, 0, 5000, 4000, 3000, 60 },
		{ 0, 0, 850, 200, 800, 90 }, /* the first */
	};
	struct pln_process processes[4] = { { .pid = 7 } };
	struct pln_profile p = { .processes = processes, .process_count = 4 };
	struct pln_aggregate aggregate = { .profile = &p };
	struct pln_heap_summary s;
	uint32_t *last;

	for (unsigned i = 0; i < 4; i++)
		processes[i] = (struct pln_process){
			.pid = 7,
			.start_ns = rows[i].start_ms * TINY_MS,
			.heap[PILLION_HEAP_MAPPING] = { 1, rows[i].allocated, 1, rows[i].freed },
			.heap_inherited_bytes = rows[i].inherited,
			.heap_peak_bytes = rows[i].peak,
			.heap_peak_ns = rows[i].peak_ms * TINY_MS,
			.brk_peak_bytes = 10 * (i + 1),
		};
	last = pln_heap_last_parts(&p);
	CHECK(last && last[0] == 0 && last[1] == 0 && last[2] == 2 && last[3] == 0);
	free(last);
	CHECK_EQ(pln_heap_summarize(&s, &aggregate, &no_filter), 0);
	CHECK_EQ(s.processes, 2);
	CHECK(s.in_parts);
	CHECK_EQ(s.live_bytes, 750 + 1000);
	CHECK_EQ(s.peaks_bytes, 1000 + 3000);
	CHECK_EQ(s.brk_peak_bytes, 40);
	CHECK_EQ(s.forked_bytes, 0);
	CHECK_EQ(s.counts[PILLION_HEAP_MAPPING].alloc_bytes, 100 + 150 + 5000 + 850);
	/* Of the other; and of this one alone, since its first part began. */
	CHECK_EQ(s.peak_after_ns, 10 * TINY_MS);
	p.process_count = 2;
	CHECK_EQ(pln_heap_summarize(&s, &aggregate, &no_filter), 0);
	CHECK_EQ(s.processes, 1);
	CHECK_EQ(s.peak_after_ns, 20 * TINY_MS);
	processes[0].reason = PILLION_REASON_FORK;
	CHECK_EQ(pln_heap_summarize(&s, &aggregate, &no_filter), 0);
	CHECK_EQ(s.forked_bytes, 700);
}

/* ------------------------------------------------------------------ spans */

static struct pln_heap_span span_of(struct pln_profile *p)
{
	struct pln_heap_moments *moments = pln_heap_find_moments(p);
	struct pln_heap_span *spans = pln_heap_find_spans(p, moments, 0.3, 0.9), first = { 0 };

	if (CHECK(spans != NULL))
		first = spans[0];
	free(spans);
	free(moments);
	return first;
}

static bool is_near(double value, double expected)
{
	return fabs(value - expected) < 1e-6 * fabs(expected) + 1e-6;
}

static void test_spans_of_processes(void)
{
	struct pln_profile *p = tiny_open(true);
	struct pln_process *process;
	struct pln_heap_span span;

	if (!CHECK(p != NULL))
		return;
	process = &p->processes[0];
	span = span_of(p);
	CHECK(is_near(span.start_ns, TINY_START_NS) && is_near(span.length_ns, 200 * TINY_MS));
	CHECK(!span.partial && !span.has_gap && span.grown_bytes == 0);
	/* Its last sample is one of 7 ms. */
	process->dormant_ns = 9 * TINY_MS;
	CHECK(!span_of(p).partial && is_near(span_of(p).length_ns, 200 * TINY_MS));
	process->dormant_ns = 190 * TINY_MS;
	span = span_of(p);
	CHECK(!span.partial && !span.has_gap);
	CHECK(is_near(span.start_ns, TINY_START_NS) && is_near(span.length_ns, 7 * TINY_MS));
	process->dormant_ns = 196 * TINY_MS;
	CHECK(span_of(p).partial && span_of(p).has_gap);
	process->start_ns -= 100 * TINY_MS;
	CHECK(span_of(p).partial && !span_of(p).has_gap);
	CHECK(is_near(span_of(p).start_ns, TINY_START_NS));
	process->start_ns += 100 * TINY_MS;
	process->dormant_ns = 0;
	process->finalizing_ns = TINY_START_NS + 100 * TINY_MS;
	CHECK(is_near(span_of(p).length_ns, 100 * TINY_MS));
	process->finalizing_ns = 1;
	CHECK(span_of(p).length_ns == 0);
	pln_profile_close(p);
}

/* What a forked child has grown by: from 30 to 90 % of its 200 ms, each the mean of some time. */
static void test_growth_by_counts(void)
{
	static const struct {
		unsigned ms, allocated, freed;
	} rows[] = { { 20, 500, 0 }, { 60, 1500, 500 }, { 100, 9000, 0 }, { 150, 9000, 6900 } };
	struct pln_profile *p = tiny_open(true);
	struct pln_heap_point points[4] = { { .process = 0 } }, *own_points;

	if (!CHECK(p != NULL))
		return;
	for (unsigned i = 0; i < 4; i++) {
		points[i].time_ns = TINY_START_NS + rows[i].ms * TINY_MS;
		points[i].heap[PILLION_HEAP_MALLOC].alloc_bytes = rows[i].allocated;
		points[i].heap[PILLION_HEAP_MALLOC].free_bytes = rows[i].freed;
	}
	own_points = p->heap_points;
	p->heap_points = points;
	p->heap_point_count = 4;
	CHECK(span_of(p).grown_bytes == 0);
	p->processes[0].heap_inherited_bytes = 1000;
	CHECK(span_of(p).partial);
	/* 3,100 at last; at 30 %, half of the time 1,500 and half 2,000. */
	CHECK(is_near(span_of(p).grown_bytes, 3100 - 1750));
	p->heap_points = own_points;
	p->heap_point_count = 0;
	pln_profile_close(p);
}

/* Where objects were followed, the peak is where samples say; each process has its own. */
static void test_peak_by_samples(void)
{
	struct computed c;

	compute(&c, PLN_VIEW_ALLOCATED);
	CHECK_EQ(c.moments[0].peak_ns, PEAK_NS);
	CHECK_EQ(c.moments[0].end_ns, END_NS);
	free(c.moments);
	c.profile->processes[0].heap[PILLION_HEAP_OBJECT].alloc_calls = 1;
	c.moments = pln_heap_find_moments(c.profile);
	/* The last known block that was born before the large one went. */
	CHECK_EQ(c.moments[0].peak_ns, FIRST_NS + 30 * TINY_MS);
	c.profile->processes[0].heap[PILLION_HEAP_OBJECT].alloc_calls = 0;
	done(&c);
}

int main(void)
{
	test_views();
	test_tree_holds_the_whole();
	test_intervals();
	test_whole_numbers();
	test_checks();
	test_no_check_where_sampling_was_stopped();
	test_parts_of_a_process_are_one();
	test_spans_of_processes();
	test_growth_by_counts();
	test_peak_by_samples();
	return check_result();
}
