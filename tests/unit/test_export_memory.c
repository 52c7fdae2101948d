/* SPDX-License-Identifier: MIT */
/*
 * Views of memory, exported from blocks that are known one by one: what counts in which view,
 * in folded paths and speedscope's runs to the letter; the timeline, from known counts; and that
 * rounding has no bias.
 * What other tools make of them, is tests/e2e/test_export_memory.py.
 */
#include "check.h"
#include "tiny_profile.h"

#include <math.h>

#include "export/export.h"

#define AT(ms) (TINY_START_NS + (ms) * (uint64_t)TINY_MS)

enum { IN_NONE = TINY_STACKS };

/* The first process has its peak at 50 ms, the second at 95 ms; nothing says that they ended. */
static const struct {
	unsigned thread;
	unsigned stack;
	uint64_t time_ns, freed_ns;
	uint64_t size;
	uint8_t kind;
	bool unfollowed;
} known[] = {
	{ 0, TINY_IN_FACT, AT(10), 0, 1000, PILLION_BLOCK_MALLOC, false },
	{ 0, TINY_IN_FACT, AT(20), AT(60), 4000, PILLION_BLOCK_MALLOC, false },
	{ 0, TINY_IN_DGEMM, AT(30), AT(30) + 1000, 200, PILLION_BLOCK_MALLOC, false },
	{ 1, IN_NONE, AT(70), 0, 64000, PILLION_BLOCK_MAPPING, false },
	{ 1, TINY_IN_WAIT, AT(80), 0, 500, PILLION_BLOCK_MALLOC, true },
	{ 0, TINY_IN_FACT, AT(85), AT(190), 30, PILLION_BLOCK_OBJECT, false },
	{ 2, TINY_IN_JIT, AT(90), 0, 7000, PILLION_BLOCK_MALLOC, false },
	{ 2, TINY_IN_JIT, AT(95), AT(96), 300, PILLION_BLOCK_MALLOC, false },
};
enum { KNOWN = sizeof(known) / sizeof(*known) };

/* tiny_profile.h's stacks are not handed out: they are found by their innermost frame. */
static uint32_t stack_of(const struct pln_profile *p, unsigned which)
{
	static const char *const leaf[] = { "main", "fact", "micro", "futex_wait",
					    "[anon]+0x7fff0000" };
	uint32_t found = PLN_NONE;

	for (uint32_t n = 0; which != IN_NONE && n < p->stack_count; n++) {
		uint32_t first = p->frame_first_location[p->stacks[n].frame];
		uint32_t function = p->locations[first].function;

		if (!strcmp(p->functions[function].name, leaf[which]))
			found = n; /* the deepest of them is the last */
	}
	return found;
}

static void put_blocks(struct pln_profile *p, const struct pln_block_row *blocks, size_t count)
{
	free(p->blocks);
	p->blocks = malloc(count * sizeof(*blocks));
	memcpy(p->blocks, blocks, count * sizeof(*blocks));
	p->block_count = count;
	p->processes[0].heap_peak_ns = AT(50);
	p->processes[1].heap_peak_ns = AT(95);
}

static struct pln_profile *open_known(void)
{
	struct pln_profile *p = tiny_open(true);
	struct pln_block_row blocks[KNOWN];

	if (!CHECK(p != NULL))
		exit(1);
	for (unsigned i = 0; i < KNOWN; i++)
		blocks[i] = (struct pln_block_row){ .time_ns = known[i].time_ns,
						    .freed_ns = known[i].freed_ns,
						    .size = known[i].size,
						    .interval = 1,
						    .thread = known[i].thread,
						    .stack = stack_of(p, known[i].stack),
						    .kind = known[i].kind,
						    .unfollowed = known[i].unfollowed };
	put_blocks(p, blocks, KNOWN);
	return p;
}

typedef int export_fn(const struct pln_export *export, FILE *out);

static char *exported(export_fn *fn, enum pln_heap_view view, bool count, const char *threads)
{
	const struct pln_filter filter = { .threads = threads };
	struct pln_profile *profile = open_known();
	struct pln_export_blocks blocks;
	struct pln_aggregate kept;
	struct pln_export export = { .profile = profile,
				     .aggregate = &blocks.aggregate,
				     .blocks = &blocks,
				     .name = "tiny" };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	CHECK_EQ(pln_aggregate_samples(&kept, profile, &filter), 0);
	CHECK_EQ(pln_export_blocks_sum(&blocks, &kept, view, count), 0);
	CHECK_EQ(fn(&export, out), 0);
	fclose(out);
	pln_export_blocks_free(&blocks);
	pln_aggregate_free(&kept);
	pln_profile_close(profile);
	return text;
}

#define FACT "_start (python3.11);main (app.py);fact (app.py);fact (app.py);fact (app.py) "
#define DGEMM "_start (python3.11);main (app.py);fact (app.py);dgemm (libnum.so);micro (libnum.so) "
#define WAIT "_start (python3.11);main (app.py);wait:ing (lib.py);futex_wait (libc.so.6) "
#define JIT "[anon]+0x7fff0000 (native) "

static void test_folded(void)
{
	static const struct {
		enum pln_heap_view view;
		bool count;
		const char *threads;
		const char *text;
	} cases[] = {
		{ PLN_HEAP_ALLOCATED, false, NULL,
		  "(no stack) 64000\n" JIT "7300\n" FACT "5030\n" DGEMM "200\n" WAIT "500\n" },
		{ PLN_HEAP_LIVE, false, NULL, "(no stack) 64000\n" JIT "7000\n" FACT "1000\n" },
		{ PLN_HEAP_PEAK, false, NULL, JIT "7300\n" FACT "5000\n" },
		{ PLN_HEAP_TEMPORARY, false, NULL, DGEMM "200\n" },
		{ PLN_HEAP_PEAK, true, NULL, FACT "2\n" JIT "2\n" },
		{ PLN_HEAP_ALLOCATED, false, "worker", "(no stack) 64000\n" WAIT "500\n" },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *text = exported(pln_export_folded, cases[i].view, cases[i].count,
				      cases[i].threads);

		CHECK_STR(text, cases[i].text);
		free(text);
	}
}

static void test_speedscope(void)
{
	char *text = exported(pln_export_speedscope, PLN_HEAP_PEAK, false, NULL);

	CHECK(strstr(text, "\"name\":\"tiny (peak)\""));
	/* 1000 and 4000 bytes behind each other in the same stack: one run. */
	CHECK(strstr(text, "\"name\":\"MainThread (pid 100, tid 101)\",\"unit\":\"bytes\","
			   "\"startValue\":0,\"endValue\":5000,"));
	CHECK(strstr(text, "\"weights\":[5000]"));
	CHECK(strstr(text, "\"weights\":[7300]"));
	free(text);
	text = exported(pln_export_speedscope, PLN_HEAP_ALLOCATED, true, NULL);
	CHECK(strstr(text, "\"unit\":\"none\",\"startValue\":0,\"endValue\":4,"));
	free(text);
}

/* Sampled allocations stand for calls: those of the view, whatever they weigh. */
static void test_callgrind(void)
{
	char *text = exported(pln_export_callgrind, PLN_HEAP_ALLOCATED, false, NULL);

	CHECK(strstr(text, "\ncalls=5 0\n0 5730\n")); /* _start to main */
	CHECK(strstr(text, "\ncalls=4 0\n3 5230\n")); /* main to fact */
	CHECK(strstr(text, "\ncalls=1 0\n12 200\n")); /* fact to dgemm */
	free(text);
	text = exported(pln_export_callgrind, PLN_HEAP_PEAK, false, NULL);
	CHECK(strstr(text, "\ncalls=2 0\n0 5000\n") && !strstr(text, "\n12 200\n"));
	free(text);
}

static void test_cells(void)
{
	const struct pln_filter all = { .threads = NULL };
	struct pln_profile *profile = open_known();
	struct pln_export_blocks blocks;
	struct pln_aggregate kept;
	struct pln_block_cell cell;

	profile->blocks[3].interval = 4096;
	CHECK_EQ(pln_aggregate_samples(&kept, profile, &all), 0);
	CHECK_EQ(pln_export_blocks_sum(&blocks, &kept, PLN_HEAP_LIVE, false), 0);
	CHECK_EQ(blocks.interval, 1);
	CHECK_EQ(blocks.sum, 72000);
	/* By stack, thread and kind: malloc and Python objects in FACT are two. */
	CHECK_EQ(blocks.cell_count, 6);
	cell = blocks.cells[0];
	CHECK_EQ(cell.allocated.blocks, 2);
	CHECK_EQ(cell.allocated.bytes, 5000);
	CHECK_EQ(cell.in_use.blocks, 1);
	CHECK_EQ(cell.in_use.bytes, 1000);
	CHECK_EQ(cell.samples, 1);
	CHECK_EQ(blocks.cells[4].kind, PILLION_BLOCK_OBJECT);
	pln_export_blocks_free(&blocks);
	pln_aggregate_free(&kept);
	pln_profile_close(profile);
}

/* Each block stands for 1.58 of its size, and has one of four stacks. */
static void test_rounding_has_no_bias(void)
{
	enum { BLOCKS = 4000, SIZE = 100 };
	const double weight = -1 / expm1(-1);
	const struct pln_filter all = { .threads = NULL };
	struct pln_block_row rows[BLOCKS];
	struct pln_profile *profile = open_known();
	struct pln_export_blocks blocks;
	struct pln_aggregate kept;
	uint64_t sum = 0;

	for (unsigned i = 0; i < BLOCKS; i++)
		rows[i] = (struct pln_block_row){ .time_ns = AT(1),
						  .size = SIZE,
						  .interval = SIZE,
						  .stack = stack_of(profile, i % 4) };
	put_blocks(profile, rows, BLOCKS);
	CHECK_EQ(pln_aggregate_samples(&kept, profile, &all), 0);
	CHECK_EQ(pln_export_blocks_sum(&blocks, &kept, PLN_HEAP_ALLOCATED, true), 0);
	CHECK_EQ(blocks.cell_count, 4);
	for (size_t i = 0; i < blocks.cell_count; i++) {
		const struct pln_block_sum *got = &blocks.cells[i].allocated;

		CHECK(fabs((double)got->blocks / (BLOCKS / 4 * weight) - 1) < 0.005);
		CHECK(fabs((double)got->bytes / (BLOCKS / 4 * weight * SIZE) - 1) < 0.005);
		sum += got->blocks;
	}
	CHECK(fabs((double)sum - BLOCKS * weight) <= 0.51);
	CHECK_EQ(blocks.sum, sum);
	pln_export_blocks_free(&blocks);
	pln_aggregate_free(&kept);
	pln_profile_close(profile);
}

static void test_timeline(void)
{
	static const struct pln_heap_point points[] = {
		{ .time_ns = AT(50), .process = 0, .heap = { { 3, 300, 1, 100 } } },
		{ .time_ns = AT(100),
		  .process = 1,
		  .heap = { { 3, 300, 5, 500 },
			    { 1, 4096, 0, 0 },
			    { 9, 90, 7, 0 },
			    { 2, 200, 0, 0 } },
		  .brk_bytes = 8192 },
	};
	static const char *const texts[] = {
		"seconds,pid,class,alloc_calls,alloc_bytes,free_calls,free_bytes,net_bytes,"
		"process\n",
		"0.050000,100,malloc,3,300,1,100,200,0\n0.050000,100,brk,,,,,0,0\n",
		"0.100000,200,malloc,3,300,5,500,-200,1\n0.100000,200,mmap,1,4096,0,0,4096,1\n"
		"0.100000,200,objects,9,90,7,,,1\n0.100000,200,below_objects,2,200,,,,1\n"
		"0.100000,200,brk,,,,,8192,1\n",
	};
	struct pln_filter filter = { .processes = NULL };
	struct pln_profile *profile = open_known();
	const struct pln_export export = { .profile = profile, .filter = &filter };

	free(profile->heap_points);
	profile->heap_points = malloc(sizeof(points));
	memcpy(profile->heap_points, points, sizeof(points));
	profile->heap_point_count = 2;
	for (unsigned child_only = 0; child_only < 2; child_only++) {
		char *text = NULL, expected[1024];
		size_t size;
		FILE *out = open_memstream(&text, &size);

		filter.processes = child_only ? "child.py" : NULL;
		snprintf(expected, sizeof(expected), "%s%s%s", texts[0], child_only ? "" : texts[1],
			 texts[2]);
		CHECK_EQ(pln_export_timeline(&export, out), 0);
		fclose(out);
		CHECK_STR(text, expected);
		free(text);
	}
	pln_profile_close(profile);
}

/* Sizes that a damaged profile may have: no more than a wrong sum. */
static void test_impossible_sizes(void)
{
	const struct pln_filter all = { .threads = NULL };
	const struct pln_block_row rows[] = {
		{ .size = UINT64_MAX, .interval = UINT64_MAX, .stack = PLN_NONE, .kind = 15 },
		{ .size = 1, .interval = UINT64_MAX, .stack = PLN_NONE },
		{ .size = 1, .interval = 1, .stack = PLN_NONE, .time_ns = 1 },
	};
	struct pln_profile *profile = open_known();
	struct pln_export_blocks blocks;
	struct pln_aggregate kept;

	put_blocks(profile, rows, 3);
	CHECK_EQ(pln_aggregate_samples(&kept, profile, &all), 0);
	CHECK_EQ(pln_export_blocks_sum(&blocks, &kept, PLN_HEAP_ALLOCATED, false), 0);
	CHECK_EQ(blocks.cell_count, 2);
	CHECK_EQ(blocks.weight[2], 1);
	pln_export_blocks_free(&blocks);
	pln_aggregate_free(&kept);
	pln_profile_close(profile);
}

int main(void)
{
	test_folded();
	test_speedscope();
	test_callgrind();
	test_cells();
	test_timeline();
	test_rounding_has_no_bias();
	test_impossible_sizes();
	return check_result();
}
