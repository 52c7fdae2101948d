/* SPDX-License-Identifier: MIT */
/*
 * What the page is told of a profile that is known by heart: each nanosecond and byte once, by
 * class, call, thread and moment; small calls put together without a loss; and a page of which
 * the profile is no part but as base64.
 * What a browser makes of it, is tests/e2e/test_html.py.
 */
#include "check.h"
#include "tiny_profile.h"

#include <errno.h>
#include <zlib.h>

#include "html/cells.h"
#include "html/html.h"
#include "html/sources.h"

#define MS(n) ((n) * (uint64_t)TINY_MS)
#define LENGTH MS(300)

struct made {
	struct pln_profile *profile;
	struct pln_report report;
	struct pln_html_tree tree;
	struct pln_html_pruned pruned;
	struct pln_html_threads threads;
	struct pln_html_cells cells;
};

/* The recording begins 200 ms early, so that no sample's time is cut off. */
static struct pln_profile *open_early(void)
{
	struct pln_profile *p = tiny_open(true);

	if (!CHECK(p != NULL))
		exit(1);
	p->recording.start_ns -= MS(200);
	p->recording.end_ns = p->recording.start_ns + LENGTH;
	return p;
}

static void make(struct made *m, struct pln_profile *profile, size_t nodes_max)
{
	const struct pln_report_options what = { .view = PLN_VIEW_CPU };
	const struct pln_html_parts parts = { &m->report, &m->tree, &m->pruned, &m->threads };

	m->profile = profile;
	CHECK_EQ(pln_report_build(&m->report, profile, "tiny.pillion", &what), 0);
	CHECK_EQ(pln_html_tree_build(&m->tree, &m->report), 0);
	CHECK_EQ(pln_html_prune(&m->pruned, &m->tree, nodes_max), 0);
	CHECK_EQ(pln_html_threads_choose(&m->threads, &m->report), 0);
	CHECK_EQ(pln_html_cells_fill(&m->cells, &parts, false), 0);
}

static void unmake(struct made *m)
{
	pln_html_cells_free(&m->cells);
	pln_html_threads_free(&m->threads);
	pln_html_pruned_free(&m->pruned);
	pln_html_tree_free(&m->tree);
	pln_report_free(&m->report);
	pln_profile_close(m->profile);
}

static uint64_t sum_of_class(const struct made *m, unsigned class)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < m->cells.count; i++) {
		if (pln_html_cell_class(&m->cells.cells[i]) == class)
			sum += m->cells.cells[i].weight;
	}
	return sum;
}

static void check_sums(const struct made *m)
{
	CHECK_EQ(sum_of_class(m, PLN_HTML_CPU + PILLION_GIL_HOLDS), MS(10 + 20 + 7 + 11));
	CHECK_EQ(sum_of_class(m, PLN_HTML_CPU + PILLION_GIL_NONE), MS(30 + 4));
	CHECK_EQ(sum_of_class(m, PLN_HTML_CPU + PILLION_GIL_UNKNOWN), MS(3));
	CHECK_EQ(sum_of_class(m, PLN_HTML_CPU + PILLION_GIL_WAITS), 0);
	CHECK_EQ(sum_of_class(m, PLN_HTML_OFFCPU + PILLION_GIL_WAITS), MS(40));
	CHECK_EQ(sum_of_class(m, PLN_HTML_OFFCPU + PILLION_GIL_HOLDS), MS(5));
	CHECK_EQ(sum_of_class(m, PLN_HTML_OFFCPU + PILLION_GIL_NONE), MS(100));
	CHECK_EQ(sum_of_class(m, PLN_HTML_CPU_WAIT), MS(1 + 2));
}

static void check_order(const struct made *m)
{
	for (size_t i = 0; i < m->cells.count; i++) {
		const struct pln_html_cell *cell = &m->cells.cells[i];

		CHECK(!i || cell[-1].key < cell->key);
		CHECK(cell->weight > 0);
		CHECK(pln_html_cell_node(cell) < m->pruned.count);
		CHECK(pln_html_cell_moment(cell) < m->cells.moments);
		CHECK(pln_html_cell_thread(cell) < m->threads.count);
	}
	for (size_t n = 0; n < m->pruned.count; n++)
		CHECK(m->pruned.nodes[n].depth <= (n ? m->pruned.nodes[n - 1].depth + 1 : 0));
}

/* What is spent in a place, wherever it hangs. */
static uint64_t sum_of_place(const struct made *m, uint32_t place)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < m->cells.count; i++) {
		uint32_t node = pln_html_cell_node(&m->cells.cells[i]);

		if (m->pruned.nodes[node].function == m->profile->function_count + place)
			sum += m->cells.cells[i].weight;
	}
	return sum;
}

static void test_every_nanosecond_is_there(void)
{
	struct made m;

	make(&m, open_early(), SIZE_MAX);
	check_sums(&m);
	check_order(&m);
	CHECK_EQ(m.pruned.left_out, 0);
	CHECK_EQ(sum_of_place(&m, PLN_HTML_GIL), MS(40));
	CHECK_EQ(sum_of_place(&m, PLN_HTML_SYSCALL + 202), MS(5));
	CHECK_EQ(sum_of_place(&m, PLN_HTML_SYSCALL + 232), MS(100));
	CHECK_EQ(sum_of_place(&m, PLN_HTML_RUNNABLE), MS(3));
	CHECK_EQ(sum_of_place(&m, PLN_HTML_NO_STACK), MS(3));
	CHECK_EQ(m.threads.count, 3);
	CHECK_EQ(m.threads.threads[0], 1); /* 112 ms, before 106 and 15 */
	unmake(&m);
}

/* Calls of one function at one line are one, wherever a stack names them. */
static void test_calls(void)
{
	struct made m;
	size_t inlined = 0;

	make(&m, open_early(), SIZE_MAX);
	for (size_t n = 0; n < m.pruned.count; n++) {
		uint32_t id = m.pruned.nodes[n].function;
		const char *name =
			id < m.profile->function_count ? m.profile->functions[id].name : "";

		if (!strcmp(name, "micro")) {
			inlined++;
			CHECK_EQ(m.pruned.nodes[n].line, 70);
			CHECK_EQ(m.pruned.nodes[n - 1].line, 99); /* dgemm, which it is part of */
		}
	}
	CHECK_EQ(inlined, 1);
	unmake(&m);
}

/* 100 ms of waiting, and 2 for a CPU, that end 7 ms behind the recording's 200th. */
static void test_time_is_laid_over_moments(void)
{
	struct made m;
	uint64_t in_moment[16] = { 0 };
	uint32_t last = 0;

	make(&m, open_early(), SIZE_MAX);
	CHECK_EQ(m.cells.moment_ns, MS(20)); /* two ticks */
	CHECK_EQ(m.cells.moments, 15);
	for (size_t i = 0; i < m.cells.count; i++) {
		const struct pln_html_cell *cell = &m.cells.cells[i];

		if (pln_html_cell_class(cell) == PLN_HTML_OFFCPU + PILLION_GIL_NONE)
			in_moment[pln_html_cell_moment(cell)] += cell->weight;
	}
	/* From 105 to 207 ms, evenly: 15 ms in the first, 7 in the last. */
	CHECK_EQ(in_moment[5], MS(15) * 100 / 102);
	CHECK_EQ(in_moment[4], 0);
	CHECK(in_moment[7] / 1000 == MS(20) * 100 / 102 / 1000);
	CHECK(in_moment[10] / 1000 == MS(7) * 100 / 102 / 1000);
	CHECK_EQ(in_moment[11], 0);
	last = pln_html_cells_moment(&m.cells, UINT64_MAX);
	CHECK_EQ(last, 14);
	CHECK_EQ(pln_html_cells_moment(&m.cells, 0), 0);
	unmake(&m);
}

/* What burst mode counted in a second has the time of its end: each row is laid over all of it. */
static void test_a_row_of_burst_mode_is_of_a_whole_second(void)
{
	struct pln_profile *profile = open_early();
	uint64_t first = UINT64_MAX;
	struct made m;

	profile->processes[0].engine = profile->processes[1].engine = PILLION_ENGINE_BURST;
	make(&m, profile, SIZE_MAX);
	for (size_t i = 0; i < m.cells.count; i++) {
		const struct pln_html_cell *cell = &m.cells.cells[i];

		if (pln_html_cell_class(cell) == PLN_HTML_OFFCPU + PILLION_GIL_NONE &&
		    pln_html_cell_moment(cell) < first)
			first = pln_html_cell_moment(cell);
	}
	CHECK_EQ(first, 0);
	unmake(&m);
}

/* Time before the recording began is in its first moment: tiny_profile.h's samples as they are. */
static void test_a_late_start_loses_nothing(void)
{
	struct made m;

	make(&m, tiny_open(true), SIZE_MAX);
	check_sums(&m);
	check_order(&m);
	unmake(&m);
}

/* A stranger's file may say that it lasts as long as 64 bits can count, or ticks as seldom. */
static void test_any_times_make_moments(void)
{
	static const struct {
		uint64_t start_ns, end_ns, tick_ns;
		uint32_t moments; /* 0: any number that there may be */
	} strange[] = {
		{ TINY_START_NS, UINT64_MAX, MS(10), 0 },
		{ 0, UINT64_MAX, MS(10), 0 },
		{ 0, UINT64_MAX, UINT64_MAX, 0 },
		{ TINY_START_NS - MS(200), TINY_START_NS + MS(100), UINT64_MAX / 2, 1 },
		{ TINY_START_NS - MS(200), TINY_START_NS + MS(100), UINT64_MAX / 2 + 1, 1 },
		{ UINT64_MAX - 1, UINT64_MAX, 0, 1 },
	};

	for (size_t i = 0; i < sizeof(strange) / sizeof(*strange); i++) {
		struct pln_profile *p = tiny_open(true);
		struct made m;

		p->recording.start_ns = strange[i].start_ns;
		p->recording.end_ns = strange[i].end_ns;
		p->recording.tick_ns = strange[i].tick_ns;
		make(&m, p, SIZE_MAX);
		CHECK(m.cells.moments >= 1 && m.cells.moments <= PLN_HTML_MOMENTS_MAX);
		CHECK(!strange[i].moments || m.cells.moments == strange[i].moments);
		CHECK_EQ(pln_html_cells_moment(&m.cells, UINT64_MAX), m.cells.moments - 1);
		check_sums(&m);
		check_order(&m);
		unmake(&m);
	}
}

static void test_small_calls_are_put_together(void)
{
	for (size_t nodes = 0; nodes < 12; nodes++) {
		struct made m;

		make(&m, open_early(), nodes);
		check_sums(&m);
		check_order(&m);
		CHECK(m.pruned.left_out > 0);
		CHECK(m.pruned.share >= 0);
		CHECK(m.pruned.count <= 2 * nodes + 1);
		CHECK(sum_of_place(&m, PLN_HTML_SMALL) > 0);
		unmake(&m);
	}
}

/* ------------------------------------------------------------------ memory */

static void put_blocks(struct pln_profile *p, size_t count)
{
	free(p->blocks);
	p->blocks = calloc(count, sizeof(*p->blocks));
	p->block_count = count;
	for (size_t i = 0; i < count; i++)
		p->blocks[i] = (struct pln_block_row){
			.time_ns = p->recording.start_ns + i * (LENGTH / count),
			.freed_ns = i % 3 ? p->recording.start_ns + (i + 1) * (LENGTH / count) : 0,
			.size = 16 + i * 37 % 5000,
			.interval = 4096,
			.thread = (uint32_t)(i % 3),
			.stack = i % 7 ? (uint32_t)(i % p->stack_count) : PLN_NONE,
			.kind = i % 2,
		};
	p->processes[0].heap_peak_ns = p->recording.start_ns + LENGTH / 2;
	p->processes[1].heap_peak_ns = p->recording.start_ns + LENGTH / 3;
}

static uint64_t reported_bytes(struct pln_profile *p, enum pln_view view)
{
	const struct pln_report_options what = { .view = view };
	struct pln_report report;
	uint64_t bytes;

	CHECK_EQ(pln_report_build(&report, p, "tiny.pillion", &what), 0);
	bytes = report.totals.all.bytes;
	pln_report_free(&report);
	return bytes;
}

/* Estimates are rounded as the report rounds them, though they are spread over moments here. */
static void test_bytes_are_the_reports(void)
{
	struct pln_profile *p = open_early();
	struct made m;

	put_blocks(p, 500);
	make(&m, p, SIZE_MAX);
	check_sums(&m);
	check_order(&m);
	for (unsigned view = 0; view < 4; view++) {
		uint64_t bytes = reported_bytes(p, PLN_VIEW_ALLOCATED + view);

		CHECK_EQ(sum_of_class(&m, PLN_HTML_HEAP + view), bytes);
		CHECK(bytes > 0);
	}
	unmake(&m);
}

static bool is_told(const struct pln_buffer *data, const char *text)
{
	return memmem(data->data, data->size, text, strlen(text)) != NULL;
}

/* The page has to know until when a process was there: what it had is nobody's afterwards. */
static void test_memory_over_time_ends_with_its_process(void)
{
	const struct pln_report_options what = { .view = PLN_VIEW_CPU };
	const struct pln_html_options options = { .no_source = true };
	struct pln_profile *p = open_early();
	struct pln_buffer data = { 0 };
	struct pln_report report;

	p->heap_points = calloc(2, sizeof(*p->heap_points));
	p->heap_point_count = 2;
	for (uint32_t i = 0; i < 2; i++) {
		p->heap_points[i].time_ns = p->recording.start_ns + MS(30);
		p->heap_points[i].process = i;
		p->heap_points[i].heap[PILLION_HEAP_MALLOC].alloc_bytes = 1000 * (i + 1);
	}
	p->processes[0].end_ns = p->recording.start_ns + MS(100);
	p->processes[1].end_ns = 0;
	CHECK_EQ(pln_report_build(&report, p, "tiny.pillion", &what), 0);
	CHECK_EQ(pln_html_data(&data, &report, &options), 0);
	/* Moments of 20 ms. */
	CHECK(is_told(&data, "{\"pid\":100,\"end\":5,\"moments\":[1],\"most\":[1000],"
			     "\"last\":[1000]}"));
	CHECK(is_told(&data, "{\"pid\":200,\"end\":15,\"moments\":[1],\"most\":[2000],"
			     "\"last\":[2000]}"));
	pln_buffer_free(&data);
	pln_report_free(&report);
	pln_profile_close(p);
}

/* ----------------------------------------------------------------- sources */

static void test_sources(void)
{
	struct pln_html_sources sources;
	char path[] = "/tmp/pillion-html-XXXXXX.py";
	int fd = mkstemps(path, 3);
	struct made m;

	CHECK(fd >= 0 && write(fd, "one\ntwo\n", 8) == 8);
	close(fd);
	make(&m, open_early(), SIZE_MAX);
	for (size_t f = 0; f < m.profile->function_count; f++) {
		if (!strcmp(m.profile->functions[f].name, "fact"))
			m.profile->functions[f].file = path;
		if (!strcmp(m.profile->functions[f].name, "main"))
			m.profile->functions[f].file = "/etc/passwd";
	}
	CHECK_EQ(pln_html_sources_read(&sources, &m.tree), 0);
	CHECK_EQ(sources.count, 1);
	CHECK_STR(sources.files[0].file, path);
	CHECK_STR(sources.files[0].text, "one\ntwo\n");
	CHECK(sources.files[0].changed);
	pln_html_sources_free(&sources);
	unmake(&m);
	unlink(path);
}

/* -------------------------------------------------------------------- page */

static size_t decode(unsigned char *to, const char *from, const char *end)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t bits = 0;
	unsigned have = 0;
	size_t used = 0;

	for (; from < end; from++) {
		const char *digit = strchr(digits, *from);

		if (*from == '\n' || *from == '=')
			continue;
		if (!CHECK(digit != NULL))
			return 0;
		bits = bits << 6 | (uint32_t)(digit - digits);
		have += 6;
		if (have >= 8) {
			have -= 8;
			to[used++] = (unsigned char)(bits >> have);
		}
	}
	return used;
}

static void check_data(const char *start, const char *end, const struct pln_buffer *expected)
{
	unsigned char *packed = malloc((size_t)(end - start) + 1);
	unsigned char *data = malloc(expected->size + 1);
	z_stream z = { .next_in = packed, .next_out = data };

	z.avail_in = (unsigned)decode(packed, start, end);
	z.avail_out = (unsigned)expected->size + 1;
	CHECK_EQ(inflateInit2(&z, MAX_WBITS + 16), Z_OK);
	CHECK_EQ(inflate(&z, Z_FINISH), Z_STREAM_END);
	CHECK_EQ(z.total_out, expected->size);
	CHECK(!memcmp(data, expected->data, expected->size));
	inflateEnd(&z);
	free(packed);
	free(data);
}

static void check_parts(const struct pln_buffer *data)
{
	unsigned parts = 0;
	size_t at = 4;

	CHECK(!memcmp(data->data, "PLNH", 4));
	for (; at + 4 <= data->size; parts++) {
		const uint8_t *s = data->data + at;

		at += 4 + (s[0] | (size_t)s[1] << 8 | (size_t)s[2] << 16 | (size_t)s[3] << 24);
	}
	CHECK_EQ(parts, 5);
	CHECK_EQ(at, data->size);
}

static void test_page(void)
{
	static const char opening[] = "<script type=\"application/octet-stream\" id=\"profile\">";
	const struct pln_report_options what = { .view = PLN_VIEW_CPU };
	const struct pln_html_options options = { .title = "<b>&" };
	struct pln_profile *p = open_early();
	struct pln_buffer data = { 0 };
	struct pln_report report;
	char *text = NULL, *start, *end;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	CHECK_EQ(pln_report_build(&report, p, "tiny.pillion", &what), 0);
	CHECK_EQ(pln_html_data(&data, &report, &options), 0);
	check_parts(&data);
	CHECK_EQ(pln_html_write(&report, &options, out), 0);
	fclose(out);
	CHECK(!strncmp(text, "<!doctype html>", 15));
	CHECK(strstr(text, "default-src 'none'; script-src 'sha256-") != NULL);
	CHECK(!strstr(text, "<b>"));
	start = strstr(text, opening);
	end = start ? strstr(start, "</script>") : NULL;
	if (CHECK(start && end))
		check_data(start + sizeof(opening) - 1, end, &data);
	free(text);
	pln_buffer_free(&data);
	pln_report_free(&report);
	pln_profile_close(p);
}

/* A disk that is full is told. */
static void test_write_errors(void)
{
	const struct pln_report_options what = { .view = PLN_VIEW_CPU };
	const struct pln_html_options options = { .no_source = true };
	struct pln_profile *p = open_early();
	struct pln_report report;
	FILE *full = fopen("/dev/full", "w");

	setvbuf(full, NULL, _IONBF, 0);
	CHECK_EQ(pln_report_build(&report, p, "tiny.pillion", &what), 0);
	CHECK_EQ(-pln_html_write(&report, &options, full), ENOSPC);
	fclose(full);
	pln_report_free(&report);
	pln_profile_close(p);
}

int main(void)
{
	test_every_nanosecond_is_there();
	test_calls();
	test_time_is_laid_over_moments();
	test_a_row_of_burst_mode_is_of_a_whole_second();
	test_a_late_start_loses_nothing();
	test_any_times_make_moments();
	test_small_calls_are_put_together();
	test_bytes_are_the_reports();
	test_memory_over_time_ends_with_its_process();
	test_sources();
	test_page();
	test_write_errors();
	return check_result();
}
