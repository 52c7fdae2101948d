/* SPDX-License-Identifier: MIT */
/*
 * small_profile.h - a profile with one of everything, and rows that can be told from
 * invented ones; for the tests of writer and reader.
 *
 * It lives in a file in memory at small_path, which main() opens with small_start().
 */
#ifndef PILLION_TESTS_SMALL_PROFILE_H
#define PILLION_TESTS_SMALL_PROFILE_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "profile/chunk.h"
#include "profile/reader.h"
#include "profile/writer.h"

static char small_path[64]; /* of a file in memory: thousands are written here */

static uint64_t small_random_state = 4711;

static inline uint64_t small_random(void)
{
	small_random_state = small_random_state * 6364136223846793005u + 1442695040888963407u;
	return small_random_state >> 24;
}

/* ------------------------------------------------------------ a small recording */

static const struct pln_recording small_recording = { .command = "python3 'a b.py'",
						      .host = "höst",
						      .pillion_version = "0.1.0",
						      .working_directory = "/srv",
						      .start_real_ns = 1700000000000000000,
						      .start_ns = 1000,
						      .end_ns = 0,
						      .period_ns = 10000000,
						      .tick_ns = 9000000,
						      .exit_status = 0x100,
						      .collector_cpu_ns = 77,
						      .collector_peak_rss = 88 };

static inline int small_open_output(void)
{
	return open(small_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
}

static inline struct pln_writer *small_start_writer(int fd)
{
	struct pln_writer *w = NULL;

	CHECK_EQ(pln_writer_open(&w, fd, &small_recording), 0);
	return w;
}

static inline struct pln_process small_process(void)
{
	struct pln_process p = { .pid = 10,
				 .inner_pid = 1,
				 .ppid = 9,
				 .reason = PILLION_REASON_FORK,
				 .executable = "/usr/bin/python3",
				 .command = "python3 'a b.py'",
				 .start_ns = 1100,
				 .exit_status = -1,
				 .python_version = 0x030d00f0,
				 .free_threaded = 1,
				 .interpreter_status = PILLION_INTERPRETER_REFUSED,
				 .layout = "debug-offsets 3.13",
				 .layout_detail = "frames do not match",
				 .engine = PILLION_ENGINE_CPU_TIMER,
				 .period_ns = 10000000,
				 .tick_ns = 9000000 };

	for (int i = 0; i < PILLION_DROP_COUNT; i++)
		p.drops[i] = (uint64_t)i * 1000;
	return p;
}

static inline struct pln_thread small_thread(uint32_t process, const char *name)
{
	return (struct pln_thread){ .process = process,
				    .tid = 11,
				    .serial = 3,
				    .name = name,
				    .is_main = true,
				    .start_ns = 1200,
				    .seen_ns = 5000,
				    .cpu_ns = 300,
				    .unsampled_cpu_ns = 4,
				    .unsampled_wall_ns = 5 };
}

static inline struct pln_sample_row small_row(uint64_t i)
{
	return (struct pln_sample_row){ .time_ns = 2000 + i * 10000 + i % 7,
					.cpu_ns = i % 3 ? 10000 + i % 11 : 0,
					.offcpu_ns = i % 3 ? 0 : 9999,
					.thread = 0,
					.stack = i % 5 ? (uint32_t)(i % 3) : PLN_NONE,
					.syscall_nr = i % 3 ? -1 : 202,
					.flags = i % 13 ? 0 : PLN_ROW_FINISHED,
					.cause = i % 3 ? PILLION_CAUSE_CPU : PILLION_CAUSE_BLOCKED,
					.gil = (uint8_t)(i % 4),
					.alloc_bytes = i % 17 };
}

/* One process and thread, a module, two Python frames and a native one, three stacks. */
static inline void small_add_definitions(struct pln_writer *w)
{
	struct pln_process process = small_process();
	struct pln_thread thread = small_thread(0, "MainThread");
	struct pln_module_info module = { .process = 0,
					  .path = "/nowhere/libx.so.1",
					  .build_id = { 1, 2, 3 },
					  .build_id_size = 20,
					  .lo = 0x7f0000001000,
					  .hi = 0x7f0000009000,
					  .bias = 0x7f0000000000 };
	struct pln_function run = { .name = "run", .file = "/srv/a b.py", .first_line = 3 };
	struct pln_function again = run;
	struct pln_function lambda = { .name = "run", .file = "/srv/a b.py", .first_line = 9 };
	struct pln_frame frame = { .kind = PLN_FRAME_PYTHON, .module = PLN_NONE, .line = 5 };

	CHECK_EQ(pln_writer_add_process(w, &process), 0);
	CHECK_EQ(pln_writer_add_thread(w, &thread), 0);
	CHECK_EQ(pln_writer_add_module(w, &module), 0);
	CHECK_EQ(pln_writer_add_function(w, &run), 0);
	CHECK_EQ(pln_writer_add_function(w, &again), 1);
	CHECK_EQ(pln_writer_add_function(w, &lambda), 2);
	for (uint32_t i = 0; i < 3; i++) {
		frame.function = i;
		CHECK_EQ(pln_writer_add_frame(w, &frame), i);
	}
	frame = (struct pln_frame){ .kind = PLN_FRAME_NATIVE,
				    .guessed = 1,
				    .is_leaf = 1,
				    .module = 0,
				    .address = 0x1234,
				    .function = PLN_NONE };
	CHECK_EQ(pln_writer_add_frame(w, &frame), 3);
	CHECK_EQ(pln_writer_add_stack(w, &(struct pln_stack_node){ PLN_NONE, 0 }), 0);
	CHECK_EQ(pln_writer_add_stack(w, &(struct pln_stack_node){ 0, 2 }), 1);
	CHECK_EQ(pln_writer_add_stack(w, &(struct pln_stack_node){ 1, 3 }), 2);
}

static inline void small_add_symbols(struct pln_writer *w)
{
	struct pln_function outer = { .name = "x_run(int)",
				      .file = "x.cc",
				      .module = "libx.so.1",
				      .module_path = "/nowhere/libx.so.1",
				      .first_line = 20,
				      .kind = PLN_FUNCTION_NATIVE };
	struct pln_function inner = outer;
	struct pln_location chain[2];

	inner.name = "x_inline";
	chain[0] = (struct pln_location){ pln_writer_add_function(w, &inner), 40 };
	chain[1] = (struct pln_location){ pln_writer_add_function(w, &outer), 22 };
	pln_writer_add_locations(w, 3, chain, 2);
}

/* `flushes` chunks of `rows` samples each. */
static inline void small_write(unsigned flushes, unsigned rows)
{
	int fd = small_open_output();
	struct pln_writer *w = small_start_writer(fd);
	uint64_t row = 0;

	small_add_definitions(w);
	for (unsigned i = 0; i < flushes; i++) {
		for (unsigned k = 0; k < rows; k++) {
			struct pln_sample_row sample = small_row(row++);

			pln_writer_add_sample(w, &sample);
		}
		CHECK_EQ(pln_writer_flush(w), 0);
	}
	small_add_symbols(w);
	CHECK_EQ(pln_writer_close(w, &small_recording), 0);
	close(fd);
}

/* ------------------------------------------------------------------- reading */

struct tally {
	uint64_t seen;
	uint64_t invented;
	uint64_t cpu_ns;
};

/* Every row of these profiles can be made again from its time. */
static inline int small_tally_row(const struct pln_sample_row *row, void *arg)
{
	struct tally *tally = arg;
	struct pln_sample_row want = small_row((row->time_ns - 2000) / 10000);

	tally->seen++;
	tally->cpu_ns += row->cpu_ns;
	tally->invented += row->time_ns != want.time_ns || row->cpu_ns != want.cpu_ns ||
			   row->offcpu_ns != want.offcpu_ns || row->stack != want.stack ||
			   row->syscall_nr != want.syscall_nr || row->flags != want.flags ||
			   row->cause != want.cause || row->gil != want.gil ||
			   row->alloc_bytes != want.alloc_bytes;
	return 0;
}

static inline struct pln_profile *small_open(void)
{
	struct pln_profile *p = NULL;

	CHECK_EQ(pln_profile_open(&p, small_path, true), PLN_OPEN_OK);
	return p;
}

/* Opens what is there; returns its samples after looking at each, or the error. */
static inline int64_t small_samples(void)
{
	struct tally tally = { 0 };
	struct pln_profile *p;
	int err = pln_profile_open(&p, small_path, true);

	if (err)
		return err;
	pln_profile_each_sample(p, small_tally_row, &tally);
	CHECK_EQ(tally.invented, 0);
	CHECK_EQ(tally.seen, p->sample_count);
	for (size_t i = 0; i < p->frame_count; i++)
		CHECK(p->frame_first_location[i] < p->frame_first_location[i + 1]);
	for (size_t i = 0; i < p->location_count; i++)
		CHECK(p->locations[i].function < p->function_count);
	pln_profile_close(p);
	return (int64_t)tally.seen;
}

static inline uint8_t *small_read_file(size_t *size)
{
	struct stat st;
	int fd = open(small_path, O_RDONLY);
	uint8_t *bytes;

	CHECK(!fstat(fd, &st));
	*size = (size_t)st.st_size;
	bytes = malloc(*size);
	CHECK(bytes && read(fd, bytes, *size) == (ssize_t)*size);
	close(fd);
	return bytes;
}

static inline void small_write_file(const uint8_t *bytes, size_t size)
{
	int fd = small_open_output();

	CHECK(write(fd, bytes, size) == (ssize_t)size);
	close(fd);
}

/* Offsets of the chunks of a whole file, and its size behind the last. */
static inline unsigned small_find_chunks(const uint8_t *bytes, size_t size, size_t *offset,
					 unsigned max)
{
	unsigned count = 0;
	size_t at = 0;

	while (at < size && count < max - 1) {
		struct pln_chunk_header h;

		memcpy(&h, bytes + at, sizeof(h));
		CHECK_EQ(h.magic, PILLION_FILE_MAGIC);
		offset[count++] = at;
		at += sizeof(h) + h.stored_size;
	}
	offset[count] = at;
	return count;
}

/* Makes the file in memory; returns its descriptor. A full disk is to be an error, no signal. */
static inline int small_start(void)
{
	int fd = memfd_create("profile", 0);

	snprintf(small_path, sizeof(small_path), "/proc/self/fd/%d", fd);
	signal(SIGXFSZ, SIG_IGN);
	return fd;
}

#endif
