/* SPDX-License-Identifier: MIT */
/*
 * What burst mode counted becomes rows: each cell's new time once, on its stack and thread.
 * What a target cannot have counted honestly becomes none.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "fake_target.h"
#include "ingest/burst.h"
#include "ingest/target.h"
#include "profile/reader.h"

#define SECOND_NS 1000000000ull

static struct {
	struct pln_burst header;
	struct pln_burst_node nodes[8];
	struct pln_burst_cell cells[6];
} area;

static struct pln_segment segment;
static struct pln_tables tables;
static struct pln_scratch *scratch;

static struct pln_target *new_target_in(struct pln_tables *in)
{
	struct pln_target_hello hello = { .pidfd = -1, .root_fd = -1 };
	struct pln_segment_view *view = &hello.segment;

	view->shared = &segment;
	view->start_mono_ns = SECOND_NS;
	view->texts = calloc(1, sizeof(*view->texts));
	view->burst = (struct pln_burst_view){ &area.header, area.nodes, area.cells, 8, 6 };
	return pln_target_new(in, scratch, &hello);
}

static struct pln_target *new_target(void)
{
	return new_target_in(&tables);
}

static void set_up(void)
{
	memset(&area, 0, sizeof(area));
	area.nodes[1] = (struct pln_burst_node){ 11, 0, 0 };
	area.nodes[2] = (struct pln_burst_node){ 12, 4, 1 };
	area.nodes[3] = (struct pln_burst_node){ 13, 4, 3 }; /* its own parent */
	area.cells[0].node = 2;
	area.cells[0].thread = 1;
	area.cells[0].cpu_ns = 100;
	area.cells[0].wait_ns = 50;
	area.header.node_count = 4;
	area.header.cell_count = 1;
}

static void take(struct pln_target *t, uint64_t now_ns, bool last)
{
	t->drain_ns = now_ns;
	pln_target_note_burst(t);
	pln_target_take_burst(t, last);
}

static void test_new_time_becomes_a_row_once(void)
{
	struct pln_target *t = new_target();

	set_up();
	take(t, SECOND_NS + 1, false); /* too early */
	CHECK_EQ(t->samples, 0);
	take(t, 2 * SECOND_NS, false);
	CHECK_EQ(t->samples, 1);
	CHECK_EQ(t->thread_count, 1);
	CHECK_EQ(t->threads[0].sampled_cpu_ns, 100);
	CHECK(t->threads[0].row.has_python);
	take(t, 3 * SECOND_NS, false); /* nothing new */
	CHECK_EQ(t->samples, 1);
	area.cells[0].cpu_ns += 7;
	take(t, 3 * SECOND_NS + 1, true);
	CHECK_EQ(t->samples, 2);
	CHECK_EQ(t->threads[0].sampled_cpu_ns, 107);
	CHECK_EQ(t->row.lost_records, 1); /* node 3, once */
	pln_target_free(t);
}

static void test_what_is_counted_after_the_note_comes_next_time(void)
{
	struct pln_target *t = new_target();

	set_up();
	t->drain_ns = 2 * SECOND_NS;
	pln_target_note_burst(t);
	area.cells[1] = area.cells[0];
	area.cells[1].node = 1;
	area.header.cell_count = 2;
	pln_target_take_burst(t, true);
	CHECK_EQ(t->samples, 1);
	take(t, 3 * SECOND_NS, true);
	CHECK_EQ(t->samples, 2);
	pln_target_free(t);
}

static void test_lies_become_no_rows(void)
{
	struct pln_target *t = new_target();

	set_up();
	area.cells[0].cpu_ns = 1ull << 62; /* more than has passed */
	area.cells[1] = (struct pln_burst_cell){ .cpu_ns = 1, .node = 9, .thread = 1 };
	area.cells[2] = (struct pln_burst_cell){ .cpu_ns = 1, .node = 2, .thread = 0 };
	area.cells[3] = (struct pln_burst_cell){ .wait_ns = ~0ull, .node = 2, .thread = 1 };
	area.cells[4] = (struct pln_burst_cell){ .cpu_ns = 1, .node = 1, .thread = 2 };
	area.header.cell_count = area.header.node_count = UINT32_MAX;
	take(t, 2 * SECOND_NS, true);
	CHECK_EQ(t->samples, 1);
	CHECK_EQ(t->thread_count, 1);
	CHECK(t->row.lost_records >= 4);
	/* A sum that goes back is a lie, too. */
	area.cells[4].cpu_ns = 0;
	take(t, 3 * SECOND_NS, true);
	CHECK_EQ(t->samples, 1);
	pln_target_free(t);
}

static void test_time_of_earlier_looks_may_come_late_but_only_once(void)
{
	struct pln_target *t = new_target();

	set_up();
	take(t, 3 * SECOND_NS, false);
	area.cells[0].cpu_ns += 5 * SECOND_NS / 2; /* 1 s has passed since, 3 s in all */
	take(t, 4 * SECOND_NS, false);
	CHECK_EQ(t->samples, 2);
	CHECK_EQ(t->threads[0].sampled_cpu_ns, 100 + 5 * SECOND_NS / 2);
	area.cells[0].cpu_ns += 5 * SECOND_NS / 2;
	take(t, 5 * SECOND_NS, false);
	CHECK_EQ(t->samples, 2);
	pln_target_free(t);
}

static void test_the_end_says_what_was_reached(void)
{
	struct pln_target *t = new_target();

	set_up();
	area.header.asked_hz = 1000000;
	area.header.samples = 900000;
	area.header.covered_ns = SECOND_NS;
	take(t, 2 * SECOND_NS, true);
	t->threads[0].row.cpu_ns = 130;
	pln_target_conclude_burst(t);
	CHECK_EQ(t->threads[0].row.unsampled_cpu_ns, 30);
	pln_target_free(t);
}

/* A row is no sample: so many looks were made, each of so much time. */
static void test_the_period_is_that_of_the_looks(void)
{
	struct pln_target *t = new_target();

	set_up();
	t->row.period_ns = 10000000; /* as timers would have been asked for */
	area.header.samples = 700;
	area.header.full = 50;
	area.header.idle = 250;
	area.header.covered_ns = SECOND_NS;
	take(t, 2 * SECOND_NS, false);
	CHECK_EQ(t->row.period_ns, SECOND_NS / 1000);
	pln_target_free(t);
}

static void count_looks(uint64_t samples, uint64_t covered_ns)
{
	area.header.samples += samples;
	area.header.covered_ns += covered_ns;
}

/* A recording in several files: each has a note, about itself. */
static void test_each_file_has_its_own_rate(void)
{
	struct pln_recording recording = {
		.command = "", .host = "", .pillion_version = "", .working_directory = ""
	};
	struct pln_profile *profile = NULL;
	struct pln_writer *writer;
	struct pln_tables own;
	struct pln_target *t;
	char path[] = "/tmp/pillion-burst-XXXXXX";
	int fd = mkstemp(path);

	CHECK(pln_writer_open(&writer, fd, &recording) == 0);
	CHECK(pln_tables_open(&own, writer) == 0);
	set_up();
	t = new_target_in(&own);
	count_looks(900, SECOND_NS);
	t->drain_ns = 2 * SECOND_NS;
	pln_target_note_burst(t);
	pln_target_publish_all(t);
	count_looks(400, SECOND_NS);
	pln_target_conclude_burst(t);
	pln_target_free(t);
	pln_tables_close(&own);
	CHECK(pln_writer_close(writer, &recording) == 0);
	close(fd);
	CHECK(pln_profile_open(&profile, path, true) == 0);
	unlink(path);
	if (CHECK_EQ(profile->note_count, 2)) {
		CHECK(strstr(profile->notes[0].text, "900 samples, GIL"));
		CHECK(strstr(profile->notes[1].text, "400 looks a second"));
		CHECK(strstr(profile->notes[1].text, "400 samples, GIL"));
	}
	pln_profile_close(profile);
}

/* ----------------------------------------------------- what a segment may hold */

/* A sparse segment with room for so many. Returns what the collector makes of it. */
static int map_with(uint32_t node_max, uint32_t cell_max)
{
	struct pln_segment_view view;
	struct pln_burst *burst;
	struct fake f;
	uint64_t nodes = sizeof(*burst) + (uint64_t)node_max * sizeof(struct pln_burst_node);
	uint64_t mapped;
	char why[128];
	int error;

	CHECK_EQ(fake_create(&f, 1, 8192, false), 0);
	mapped = f.seg->size;
	f.seg->burst_off = (mapped + 63) & ~63ull;
	f.seg->burst_size = nodes + (uint64_t)cell_max * sizeof(struct pln_burst_cell);
	f.seg->size = f.seg->burst_off + f.seg->burst_size;
	CHECK_EQ(ftruncate(f.memfd, (off_t)f.seg->size), 0);
	CHECK_EQ(fcntl(f.memfd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	burst = mmap(NULL, f.seg->size, PROT_READ | PROT_WRITE, MAP_SHARED, f.memfd, 0);
	burst = (void *)((char *)burst + f.seg->burst_off);
	burst->nodes_off = sizeof(*burst);
	burst->cells_off = nodes;
	burst->node_max = node_max;
	burst->cell_max = cell_max;
	error = pln_segment_map(&view, f.memfd, why, sizeof(why));
	if (!error)
		pln_segment_unmap(&view);
	munmap((char *)burst - f.seg->burst_off, f.seg->size);
	f.seg->size = mapped;
	fake_destroy(&f);
	return error;
}

/* The file may be sparse, what we keep of each node and cell is not. */
static void test_a_table_of_absurd_size_is_refused(void)
{
	CHECK_EQ(map_with(1u << 19, 1u << 18), 0); /* the library's */
	CHECK_EQ(map_with(1u << 21, 1u << 20), 0);
	CHECK_EQ(map_with(8, 1500000000u), -EINVAL);
	CHECK_EQ(map_with(1u << 30, 8), -EINVAL);
}

int main(void)
{
	struct pln_recording recording = {
		.command = "", .host = "", .pillion_version = "", .working_directory = ""
	};
	struct pln_writer *writer;
	int fd = memfd_create("profile", 0);

	CHECK(pln_writer_open(&writer, fd, &recording) == 0);
	CHECK(pln_tables_open(&tables, writer) == 0);
	scratch = pln_scratch_new();
	test_new_time_becomes_a_row_once();
	test_what_is_counted_after_the_note_comes_next_time();
	test_lies_become_no_rows();
	test_time_of_earlier_looks_may_come_late_but_only_once();
	test_the_end_says_what_was_reached();
	test_the_period_is_that_of_the_looks();
	test_each_file_has_its_own_rate();
	test_a_table_of_absurd_size_is_refused();
	pln_scratch_free(scratch);
	pln_tables_close(&tables);
	CHECK(pln_writer_close(writer, &recording) == 0);
	close(fd);
	return check_result();
}
