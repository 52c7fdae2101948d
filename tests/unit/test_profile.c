/* SPDX-License-Identifier: MIT */
/*
 * A profile comes back as it was written; cut at any byte it gives every whole chunk;
 * with bytes changed anywhere it gives fewer samples, never other ones; and a disk that
 * is full for a while costs what was counted and nothing else.
 */
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

static char path[64]; /* of a file in memory: thousands are written here */

static uint64_t random_state = 4711;

static uint64_t next_random(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return random_state >> 24;
}

/* ------------------------------------------------------------ a small recording */

static const struct pln_recording recording = { .command = "python3 'a b.py'",
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

static int open_output(void)
{
	return open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
}

static struct pln_writer *start_writer(int fd)
{
	struct pln_writer *w = NULL;

	CHECK_EQ(pln_writer_open(&w, fd, &recording), 0);
	return w;
}

static struct pln_process some_process(void)
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

static struct pln_thread some_thread(uint32_t process, const char *name)
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

static struct pln_sample_row some_row(uint64_t i)
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
static void add_definitions(struct pln_writer *w)
{
	struct pln_process process = some_process();
	struct pln_thread thread = some_thread(0, "MainThread");
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

static void add_symbols(struct pln_writer *w)
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
static void write_profile(unsigned flushes, unsigned rows)
{
	int fd = open_output();
	struct pln_writer *w = start_writer(fd);
	uint64_t row = 0;

	add_definitions(w);
	for (unsigned i = 0; i < flushes; i++) {
		for (unsigned k = 0; k < rows; k++) {
			struct pln_sample_row sample = some_row(row++);

			pln_writer_add_sample(w, &sample);
		}
		CHECK_EQ(pln_writer_flush(w), 0);
	}
	add_symbols(w);
	CHECK_EQ(pln_writer_close(w, &recording), 0);
	close(fd);
}

/* ------------------------------------------------------------------- reading */

struct tally {
	uint64_t seen;
	uint64_t invented;
	uint64_t cpu_ns;
};

/* Every row of these profiles can be made again from its time. */
static int tally_row(const struct pln_sample_row *row, void *arg)
{
	struct tally *tally = arg;
	struct pln_sample_row want = some_row((row->time_ns - 2000) / 10000);

	tally->seen++;
	tally->cpu_ns += row->cpu_ns;
	tally->invented += row->time_ns != want.time_ns || row->cpu_ns != want.cpu_ns ||
			   row->offcpu_ns != want.offcpu_ns || row->stack != want.stack ||
			   row->syscall_nr != want.syscall_nr || row->flags != want.flags ||
			   row->cause != want.cause || row->gil != want.gil ||
			   row->alloc_bytes != want.alloc_bytes;
	return 0;
}

static struct pln_profile *open_profile(void)
{
	struct pln_profile *p = NULL;

	CHECK_EQ(pln_profile_open(&p, path, true), PLN_OPEN_OK);
	return p;
}

/* Opens what is there; returns its samples after looking at each, or the error. */
static int64_t samples_in_file(void)
{
	struct tally tally = { 0 };
	struct pln_profile *p;
	int err = pln_profile_open(&p, path, true);

	if (err)
		return err;
	pln_profile_each_sample(p, tally_row, &tally);
	CHECK_EQ(tally.invented, 0);
	CHECK_EQ(tally.seen, p->sample_count);
	for (size_t i = 0; i < p->frame_count; i++)
		CHECK(p->frame_first_location[i] < p->frame_first_location[i + 1]);
	for (size_t i = 0; i < p->location_count; i++)
		CHECK(p->locations[i].function < p->function_count);
	pln_profile_close(p);
	return (int64_t)tally.seen;
}

static uint8_t *read_file(size_t *size)
{
	struct stat st;
	int fd = open(path, O_RDONLY);
	uint8_t *bytes;

	CHECK(!fstat(fd, &st));
	*size = (size_t)st.st_size;
	bytes = malloc(*size);
	CHECK(bytes && read(fd, bytes, *size) == (ssize_t)*size);
	close(fd);
	return bytes;
}

static void write_file(const uint8_t *bytes, size_t size)
{
	int fd = open_output();

	CHECK(write(fd, bytes, size) == (ssize_t)size);
	close(fd);
}

/* Offsets of the chunks of a whole file, and its size behind the last. */
static unsigned find_chunks(const uint8_t *bytes, size_t size, size_t *offset, unsigned max)
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

/* ----------------------------------------------------------------- round trip */

static void check_recording(const struct pln_profile *p)
{
	CHECK_STR(p->recording.command, recording.command);
	CHECK_STR(p->recording.host, recording.host);
	CHECK_STR(p->recording.pillion_version, "0.1.0");
	CHECK_STR(p->recording.working_directory, "/srv");
	CHECK_EQ(p->recording.start_real_ns, recording.start_real_ns);
	CHECK_EQ(p->recording.start_ns, 1000);
	CHECK_EQ(p->recording.period_ns, 10000000);
	CHECK_EQ(p->recording.tick_ns, 9000000);
	CHECK_EQ(p->recording.exit_status, 0x100);
	CHECK_EQ(p->recording.collector_cpu_ns, 77);
	CHECK_EQ(p->recording.collector_peak_rss, 88);
	CHECK(p->recording.complete && p->recording.symbolized && !p->recording.truncated);
	CHECK_EQ(p->recording.end_ns, some_row(299).time_ns);
}

static void check_process(const struct pln_process *p)
{
	struct pln_process want = some_process();

	CHECK(p->pid == 10 && p->inner_pid == 1 && p->ppid == 9);
	CHECK_EQ(p->reason, want.reason);
	CHECK_STR(p->executable, want.executable);
	CHECK_STR(p->command, want.command);
	CHECK(p->start_ns == 1100 && p->end_ns == 0 && p->exit_status == -1);
	CHECK_EQ(p->python_version, want.python_version);
	CHECK(p->free_threaded == 1 && p->interpreter_status == PILLION_INTERPRETER_REFUSED);
	CHECK_STR(p->layout, want.layout);
	CHECK_STR(p->layout_detail, want.layout_detail);
	CHECK_EQ(p->engine, want.engine);
	CHECK(p->period_ns == 10000000 && p->tick_ns == 9000000);
	CHECK(!memcmp(p->drops, want.drops, sizeof(want.drops)));
}

static void check_thread(const struct pln_thread *t)
{
	CHECK(t->process == 0 && t->tid == 11 && t->serial == 3);
	CHECK_STR(t->name, "MainThread");
	CHECK(t->is_main && !t->has_python && !t->exited);
	CHECK(t->start_ns == 1200 && t->seen_ns == 5000 && t->cpu_ns == 300);
	CHECK(t->unsampled_cpu_ns == 4 && t->unsampled_wall_ns == 5);
}

static void check_definitions(const struct pln_profile *p)
{
	const struct pln_location *l = p->locations;
	const uint32_t *first = p->frame_first_location;

	CHECK(p->module_count == 1 && p->frame_count == 4 && p->stack_count == 3);
	CHECK_STR(p->modules[0].path, "/nowhere/libx.so.1");
	CHECK(p->modules[0].build_id_size == 20 && p->modules[0].build_id[2] == 3);
	CHECK(p->modules[0].lo == 0x7f0000001000 && p->modules[0].hi == 0x7f0000009000);
	CHECK_EQ(p->modules[0].bias, 0x7f0000000000);
	/* "run" was defined twice at line 3: one function; the one at line 9 is another. */
	CHECK_EQ(p->function_count, 4);
	CHECK_EQ(p->frames[0].function, p->frames[1].function);
	CHECK(p->frames[0].function != p->frames[2].function);
	CHECK_STR(p->functions[p->frames[2].function].name, "run");
	CHECK_EQ(p->functions[p->frames[2].function].first_line, 9);
	CHECK_STR(p->functions[0].module, "");
	CHECK(p->frames[3].kind == PLN_FRAME_NATIVE && p->frames[3].address == 0x1234);
	CHECK(p->frames[3].guessed && p->frames[3].is_leaf && p->frames[3].module == 0);
	CHECK(p->stacks[0].parent == PLN_NONE && p->stacks[1].parent == 0);
	CHECK(p->stacks[2].parent == 1 && p->stacks[2].frame == 3);
	CHECK(first[1] == 1 && first[3] == 3 && first[4] == 5 && p->location_count == 5);
	CHECK(l[0].function == p->frames[0].function && l[0].line == 5);
	CHECK_STR(p->functions[l[3].function].name, "x_inline");
	CHECK_STR(p->functions[l[4].function].name, "x_run(int)");
	CHECK_STR(p->functions[l[4].function].module, "libx.so.1");
	CHECK(l[3].line == 40 && l[4].line == 22);
}

static void everything_comes_back(void)
{
	struct tally tally = { 0 };
	struct pln_profile *p;

	write_profile(3, 100);
	p = open_profile();
	check_recording(p);
	CHECK(p->process_count == 1 && p->thread_count == 1);
	check_process(&p->processes[0]);
	check_thread(&p->threads[0]);
	check_definitions(p);
	CHECK_EQ(p->sample_count, 300);
	CHECK(!p->bad_bytes && p->file_size > 500);
	pln_profile_each_sample(p, tally_row, &tally);
	CHECK(tally.seen == 300 && !tally.invented);
	pln_profile_close(p);
}

static void newest_values_hold(void)
{
	int fd = open_output();
	struct pln_writer *w = start_writer(fd);
	struct pln_process process = some_process();
	struct pln_thread thread = some_thread(0, "python3");
	struct pln_note_row note = { 55, PLN_NONE, 1, "the signal handler was replaced" };
	struct pln_profile *p;
	uint64_t bytes;

	add_definitions(w);
	CHECK_EQ(pln_writer_flush(w), 0);
	process.end_ns = 9000;
	process.exit_status = 9;
	process.drops[PILLION_DROP_RECURSION] = 5;
	process.handler_ns = 123456;
	pln_writer_update_process(w, 0, &process);
	thread.exited = true;
	thread.cpu_ns = 999;
	pln_writer_update_thread(w, 0, &thread);
	pln_writer_add_note(w, &note);
	CHECK_EQ(pln_writer_flush(w), 0);
	/* What did not change costs nothing, however often it is told. */
	bytes = pln_writer_bytes(w);
	for (int i = 0; i < 100; i++) {
		pln_writer_update_process(w, 0, &process);
		pln_writer_update_thread(w, 0, &thread);
		CHECK_EQ(pln_writer_flush(w), 0);
	}
	CHECK_EQ(pln_writer_bytes(w), bytes);
	p = open_profile();
	CHECK(p->processes[0].end_ns == 9000 && p->processes[0].exit_status == 9);
	CHECK_EQ(p->processes[0].drops[PILLION_DROP_RECURSION], 5);
	CHECK_EQ(p->processes[0].handler_ns, 123456);
	CHECK_STR(p->processes[0].layout, "debug-offsets 3.13");
	CHECK(p->threads[0].exited && p->threads[0].cpu_ns == 999);
	CHECK_STR(p->threads[0].name, "python3");
	CHECK(p->note_count == 1 && p->notes[0].process == PLN_NONE && p->notes[0].level == 1);
	CHECK_STR(p->notes[0].text, "the signal handler was replaced");
	/* Still being written: no END, and the end is the newest time known. */
	CHECK(!p->recording.complete && p->recording.exit_status == -1);
	CHECK_EQ(p->recording.end_ns, 9000);
	pln_profile_close(p);
	CHECK_EQ(pln_writer_close(w, &recording), 0);
	close(fd);
}

static void unsymbolized_frames_are_named(void)
{
	int fd = open_output();
	struct pln_writer *w = start_writer(fd);
	struct pln_module_info vdso = { .path = "[vdso]", .lo = 0x1000, .hi = 0x2000 };
	struct pln_frame frame = {
		.kind = PLN_FRAME_NATIVE, .function = PLN_NONE, .module = PLN_NONE, .address = 0x55
	};
	const struct pln_function *f;
	struct pln_profile *p;

	add_definitions(w);
	CHECK_EQ(pln_writer_add_module(w, &vdso), 1);
	CHECK_EQ(pln_writer_add_frame(w, &frame), 4);
	frame.address = 0x66;
	CHECK_EQ(pln_writer_add_frame(w, &frame), 5);
	frame.module = 1;
	CHECK_EQ(pln_writer_add_frame(w, &frame), 6);
	CHECK_EQ(pln_writer_close(w, &recording), 0);
	close(fd);
	p = open_profile();
	CHECK(!p->recording.symbolized && p->recording.complete);
	f = &p->functions[p->locations[p->frame_first_location[3]].function];
	CHECK_STR(f->name, "libx.so.1+0x1234");
	CHECK_STR(f->module_path, "/nowhere/libx.so.1");
	CHECK(f->unknown && f->kind == PLN_FUNCTION_NATIVE);
	f = &p->functions[p->locations[p->frame_first_location[4]].function];
	CHECK_STR(f->name, "[unknown]");
	CHECK_STR(f->module, "");
	CHECK(f == &p->functions[p->locations[p->frame_first_location[5]].function]);
	f = &p->functions[p->locations[p->frame_first_location[6]].function];
	CHECK_STR(f->name, "[vdso]");
	pln_profile_close(p);
}

/* Two functions that follow each other without a gap, to be looked for in our own file. */
__asm__(".pushsection .text\n"
	"	.type pln_test_first, @function\n"
	"pln_test_first:\n"
	"	nop\n"
	"	.size pln_test_first, . - pln_test_first\n"
	"	.type pln_test_second, @function\n"
	"pln_test_second:\n"
	"	nop\n"
	"	ret\n"
	"	.size pln_test_second, . - pln_test_second\n"
	".popsection\n");
extern const char pln_test_second[], __executable_start[];

static const char *name_of_frame(const struct pln_profile *p, uint32_t frame)
{
	return p->functions[p->locations[p->frame_first_location[frame]].function].name;
}

static void missing_symbols_are_looked_up_here(void)
{
	int fd = open_output();
	struct pln_writer *w = start_writer(fd);
	struct pln_process process = some_process();
	char self[4096] = "";
	struct pln_module_info module = { .path = self, .lo = 1, .hi = UINT64_MAX };
	struct pln_frame frame = { .kind = PLN_FRAME_NATIVE, .function = PLN_NONE, .is_leaf = 1 };
	struct pln_profile *p;

	CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	frame.address = (uint64_t)(pln_test_second - __executable_start);
	pln_writer_add_process(w, &process);
	CHECK_EQ(pln_writer_add_module(w, &module), 0);
	CHECK_EQ(pln_writer_add_frame(w, &frame), 0);
	/* A return address there: the call was the last instruction of the function before. */
	frame.is_leaf = 0;
	CHECK_EQ(pln_writer_add_frame(w, &frame), 1);
	frame.address++;
	CHECK_EQ(pln_writer_add_frame(w, &frame), 2);
	/* Another file than the one that ran. */
	module.build_id_size = 20;
	CHECK_EQ(pln_writer_add_module(w, &module), 1);
	frame.module = 1;
	CHECK_EQ(pln_writer_add_frame(w, &frame), 3);
	CHECK_EQ(pln_writer_close(w, &recording), 0);
	close(fd);
	CHECK_EQ(pln_profile_open(&p, path, false), PLN_OPEN_OK);
	CHECK_STR(name_of_frame(p, 0), "pln_test_second");
	CHECK_STR(name_of_frame(p, 1), "pln_test_first");
	CHECK_STR(name_of_frame(p, 2), "pln_test_second");
	CHECK(!strncmp(name_of_frame(p, 3), strrchr(self, '/') + 1,
		       strlen(strrchr(self, '/') + 1)));
	CHECK(!p->functions[p->locations[0].function].unknown && !p->recording.symbolized);
	pln_profile_close(p);
}

static void texts_are_valid_utf8(void)
{
	int fd = open_output();
	struct pln_writer *w = start_writer(fd);
	struct pln_note_row note = {
		1, PLN_NONE, 0, "caf\xc3\xa9 \xff\xc3 \xed\xa0\x80 \xf0\x9f\x90\x8d \xe2\x82"
	};
	struct pln_profile *p;

	pln_writer_add_note(w, &note);
	CHECK_EQ(pln_writer_close(w, &recording), 0);
	close(fd);
	p = open_profile();
	CHECK_STR(p->notes[0].text,
		  "café \xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd 🐍 "
		  "\xef\xbf\xbd\xef\xbf\xbd");
	pln_profile_close(p);
}

/* ------------------------------------------------------------- cut and damaged */

#define ROWS_A_CHUNK 40

/* At every byte of its last chunks: opens, and has the samples of each whole chunk. */
static void cut_files_give_every_whole_chunk(void)
{
	size_t size, offset[64], samples_end = 0;
	unsigned chunks;
	uint8_t *bytes;

	write_profile(4, ROWS_A_CHUNK);
	bytes = read_file(&size);
	chunks = find_chunks(bytes, size, offset, 64);
	CHECK(chunks > 8 && offset[chunks] == size);
	for (size_t cut = offset[chunks - 7]; cut < size; cut++) {
		int64_t want = 4 * ROWS_A_CHUNK;

		for (unsigned i = 0; i < chunks; i++) {
			struct pln_chunk_header h;

			memcpy(&h, bytes + offset[i], sizeof(h));
			if (h.type != PILLION_CHUNK_SAMPLES)
				continue;
			samples_end = offset[i + 1];
			want -= samples_end > cut ? ROWS_A_CHUNK : 0;
		}
		write_file(bytes, cut);
		CHECK_EQ(samples_in_file(), want);
	}
	CHECK(samples_end > offset[chunks - 7]);
	free(bytes);
}

static void cut_starts_are_told_apart(void)
{
	size_t size, offset[64];
	uint8_t *bytes;

	write_profile(1, 5);
	bytes = read_file(&size);
	find_chunks(bytes, size, offset, 64);
	for (size_t cut = 0; cut < offset[1]; cut++) {
		write_file(bytes, cut);
		CHECK_EQ(samples_in_file(), PLN_OPEN_EMPTY);
	}
	write_file(bytes, offset[1]);
	CHECK_EQ(samples_in_file(), 0);
	write_file((const uint8_t *)"#!/bin/sh\n", 10);
	CHECK_EQ(samples_in_file(), PLN_OPEN_FOREIGN);
	write_file((const uint8_t *)"P", 1);
	CHECK_EQ(samples_in_file(), PLN_OPEN_EMPTY);
	free(bytes);
}

static void files_that_cannot_be_read(void)
{
	struct pln_profile *p = NULL;

	CHECK_EQ(pln_profile_open(&p, "/nowhere/x.pillion", true), PLN_OPEN_IO);
	CHECK_EQ(errno, ENOENT);
	CHECK_EQ(pln_profile_open(&p, "/", true), PLN_OPEN_IO);
	CHECK_EQ(errno, EISDIR);
	CHECK_EQ(pln_profile_open(&p, "/dev/null", true), PLN_OPEN_EMPTY);
	CHECK(!p);
}

static void flipped_bytes_invent_nothing(void)
{
	size_t size;
	uint8_t *bytes;

	write_profile(4, ROWS_A_CHUNK);
	bytes = read_file(&size);
	for (int round = 0; round < 3000; round++) {
		uint8_t *copy = malloc(size);

		memcpy(copy, bytes, size);
		for (uint64_t flips = 1 + next_random() % 4; flips; flips--)
			copy[next_random() % size] ^= (uint8_t)(1u << next_random() % 8);
		write_file(copy, size);
		CHECK(samples_in_file() <= 4 * ROWS_A_CHUNK);
		free(copy);
	}
	free(bytes);
}

/* Rebuilds the file, with `edit` let loose on the payload of chunk `victim`. */
static void rebuild(const uint8_t *bytes, size_t size, unsigned victim,
		    void (*edit)(uint16_t *type, uint8_t *payload, size_t size))
{
	struct pln_unpacker u = { .fd = open(path, O_RDONLY) };
	struct pln_packer packer = { 0 };
	struct pln_buffer out = { 0 };
	size_t offset[64];
	unsigned chunks = find_chunks(bytes, size, offset, 64);

	for (unsigned i = 0; i < chunks; i++) {
		uint16_t type;

		CHECK_EQ(pln_unpacker_read(&u, offset[i], size), PLN_CHUNK_WHOLE);
		type = u.header.type;
		if (i == victim)
			edit(&type, (uint8_t *)(uintptr_t)u.payload, u.payload_size);
		CHECK_EQ(pln_packer_pack(&packer, (enum pln_chunk_type)type, u.payload,
					 u.payload_size),
			 0);
		pln_put_bytes(&out, packer.out.data, packer.out.size);
	}
	close(u.fd);
	write_file(out.data, out.size);
	pln_buffer_free(&out);
	pln_packer_free(&packer);
	pln_unpacker_free(&u);
}

static void scramble(uint16_t *type, uint8_t *payload, size_t size)
{
	(void)type;
	for (uint64_t flips = 1 + next_random() % 3; size && flips; flips--)
		payload[next_random() % size] = (uint8_t)next_random();
}

static int check_row_ids(const struct pln_sample_row *row, void *arg)
{
	const struct pln_profile *p = arg;

	CHECK(row->thread < p->thread_count);
	CHECK(row->stack == PLN_NONE || row->stack < p->stack_count);
	CHECK(row->cause <= PILLION_CAUSE_EXIT && row->gil <= PILLION_GIL_WAITS);
	return 0;
}

/*
 * A payload that lies, in a chunk whose checksum is right: any result but a crash, a
 * read out of bounds, or a frame, function or stack that does not exist.
 */
static void lying_payloads_are_survived(void)
{
	size_t size;
	uint8_t *bytes;

	write_profile(2, ROWS_A_CHUNK);
	bytes = read_file(&size);
	for (int round = 0; round < 3000; round++) {
		struct pln_profile *p;

		write_file(bytes, size);
		rebuild(bytes, size, (unsigned)(next_random() % 16), scramble);
		if (pln_profile_open(&p, path, true))
			continue;
		pln_profile_each_sample(p, check_row_ids, p);
		for (size_t i = 0; i < p->stack_count; i++)
			CHECK((p->stacks[i].parent == PLN_NONE || p->stacks[i].parent < i) &&
			      p->stacks[i].frame < p->frame_count);
		for (size_t i = 0; i < p->location_count; i++)
			CHECK(p->locations[i].function < p->function_count);
		pln_profile_close(p);
	}
	free(bytes);
}

static void make_unknown(uint16_t *type, uint8_t *payload, size_t size)
{
	(void)payload;
	(void)size;
	*type = 999;
}

static void make_newer_major(uint16_t *type, uint8_t *payload, size_t size)
{
	(void)type;
	(void)size;
	payload[0]++;
}

/* The chunk of the given type and number among its like. */
static unsigned chunk_of_type(const uint8_t *bytes, size_t size, uint16_t type, unsigned number)
{
	size_t offset[64];
	unsigned chunks = find_chunks(bytes, size, offset, 64);

	for (unsigned i = 0; i < chunks; i++) {
		struct pln_chunk_header h;

		memcpy(&h, bytes + offset[i], sizeof(h));
		if (h.type == type && !number--)
			return i;
	}
	CHECK(!"there is such a chunk");
	return 0;
}

static void versions_and_unknown_chunks(void)
{
	size_t size;
	uint8_t *bytes;

	write_profile(3, ROWS_A_CHUNK);
	bytes = read_file(&size);
	rebuild(bytes, size, chunk_of_type(bytes, size, PILLION_CHUNK_SAMPLES, 1), make_unknown);
	CHECK_EQ(samples_in_file(), 2 * ROWS_A_CHUNK);
	write_file(bytes, size);
	rebuild(bytes, size, 0, make_newer_major);
	CHECK_EQ(samples_in_file(), PLN_OPEN_NEWER);
	/* Without its frames, stacks that need them cannot be taken, nor what follows. */
	write_file(bytes, size);
	rebuild(bytes, size, chunk_of_type(bytes, size, PILLION_CHUNK_FRAMES, 0), make_unknown);
	CHECK(samples_in_file() >= 0);
	free(bytes);
}

static void damaged_samples_cost_their_chunk_only(void)
{
	size_t size, offset[64];
	struct pln_profile *p;
	uint8_t *bytes;

	write_profile(3, ROWS_A_CHUNK);
	bytes = read_file(&size);
	find_chunks(bytes, size, offset, 64);
	bytes[offset[chunk_of_type(bytes, size, PILLION_CHUNK_SAMPLES, 1)] + 40] ^= 1;
	write_file(bytes, size);
	CHECK_EQ(samples_in_file(), 2 * ROWS_A_CHUNK);
	p = open_profile();
	CHECK(p->bad_bytes > 24 && p->bad_bytes < size / 2 && p->recording.complete);
	pln_profile_close(p);
	free(bytes);
}

/* Stacks 0-2, then 3, then 4, each in a chunk of its own, and samples that need each. */
static void write_stacks_apart(void)
{
	int fd = open_output();
	struct pln_writer *w = start_writer(fd);

	add_definitions(w);
	for (uint32_t i = 3; i < 6; i++) {
		struct pln_sample_row sample = some_row(i);

		sample.stack = i - 1;
		pln_writer_add_sample(w, &sample);
		CHECK_EQ(pln_writer_flush(w), 0);
		if (i < 5)
			pln_writer_add_stack(w, &(struct pln_stack_node){ 0, 0 });
	}
	CHECK_EQ(pln_writer_close(w, &recording), 0);
	close(fd);
}

/* Behind damaged definitions, ids would mean something else: nothing more is taken. */
static void gaps_end_the_file(void)
{
	size_t size, offset[64];
	struct pln_profile *p;
	uint8_t *bytes;

	write_stacks_apart();
	p = open_profile();
	CHECK(p->stack_count == 5 && p->sample_count == 3);
	pln_profile_close(p);
	bytes = read_file(&size);
	find_chunks(bytes, size, offset, 64);
	bytes[offset[chunk_of_type(bytes, size, PILLION_CHUNK_STACKS, 1)] + 24] ^= 1;
	write_file(bytes, size);
	p = open_profile();
	CHECK_EQ(p->stack_count, 3);
	CHECK_EQ(p->sample_count, 1);
	CHECK(p->recording.truncated && p->bad_bytes);
	pln_profile_close(p);
	free(bytes);
}

/* ------------------------------------------------------------------ full disk */

static void limit_file_size(rlim_t bytes)
{
	struct rlimit limit = { bytes, RLIM_INFINITY };

	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The disk fills up in the middle of a chunk, at each of many places, and has room again. */
static void short_writes_are_taken_back(void)
{
	for (rlim_t limit = 0; limit < 4000; limit += 97) {
		int fd = open_output();
		struct pln_writer *w = start_writer(fd);
		uint64_t row = 0;
		int64_t before;

		add_definitions(w);
		limit_file_size(pln_writer_bytes(w) + limit);
		for (unsigned i = 0; i < 5; i++) {
			for (unsigned k = 0; k < ROWS_A_CHUNK; k++) {
				struct pln_sample_row sample = some_row(row++);

				pln_writer_add_sample(w, &sample);
			}
			pln_writer_flush(w);
			/* Readable at every moment, no torn chunk in it. */
			before = samples_in_file();
			CHECK(before >= 0 && before <= (int64_t)row);
			CHECK_EQ(lseek(fd, 0, SEEK_END), pln_writer_bytes(w));
		}
		limit_file_size(RLIM_INFINITY);
		add_symbols(w);
		CHECK_EQ(pln_writer_lost_samples(w), 0);
		CHECK_EQ(pln_writer_close(w, &recording), 0);
		CHECK_EQ(samples_in_file(), 5 * ROWS_A_CHUNK);
		close(fd);
	}
}

static void what_a_full_disk_costs_is_counted(void)
{
	int fd = open_output();
	struct pln_writer *w = start_writer(fd);
	const uint64_t rows = 400000;
	struct pln_profile *p;
	uint64_t lost;

	add_definitions(w);
	limit_file_size(pln_writer_bytes(w));
	for (uint64_t i = 0; i < rows; i++) {
		struct pln_sample_row sample = some_row(i);

		pln_writer_add_sample(w, &sample);
	}
	CHECK(pln_writer_flush(w) < 0);
	lost = pln_writer_lost_samples(w);
	CHECK(lost > 0 && lost < rows / 2);
	limit_file_size(RLIM_INFINITY);
	CHECK_EQ(pln_writer_close(w, &recording), 0);
	close(fd);
	CHECK_EQ(samples_in_file(), rows - lost);
	p = open_profile();
	CHECK_EQ(p->recording.lost_samples, lost);
	pln_profile_close(p);
}

/* More definitions than are kept: samples that need them are given up, the file stays right. */
static void definitions_are_bounded_too(void)
{
	int fd = open_output();
	struct pln_writer *w = start_writer(fd);
	static char name[2000];
	struct pln_thread thread = some_thread(0, name);
	struct pln_profile *p;
	uint32_t stack = 0;

	add_definitions(w);
	limit_file_size(pln_writer_bytes(w));
	memset(name, 'n', sizeof(name) - 1);
	for (uint32_t i = 0; i < 40000; i++) {
		struct pln_function function = { .name = name, .file = "f.py" };
		struct pln_frame frame = { .module = PLN_NONE };
		struct pln_sample_row sample = some_row(i);

		snprintf(name, 20, "%019u", i);
		name[19] = 'n';
		frame.function = pln_writer_add_function(w, &function);
		stack = pln_writer_add_stack(
			w, &(struct pln_stack_node){ 0, pln_writer_add_frame(w, &frame) });
		sample.stack = stack;
		/* Threads and processes are always kept; a name that cannot be is "". */
		thread.name = name;
		pln_writer_add_thread(w, &thread);
		if (i % 100 == 0)
			pln_writer_add_sample(w, &sample);
	}
	/* Ids go on; their samples do not. */
	CHECK_EQ(stack, 40002);
	CHECK(pln_writer_lost_samples(w) > 100 && pln_writer_lost_samples(w) < 300);
	limit_file_size(RLIM_INFINITY);
	CHECK_EQ(pln_writer_flush(w), 0);
	for (uint64_t i = 0; i < 10; i++) {
		struct pln_sample_row sample = some_row(i);

		pln_writer_add_sample(w, &sample);
	}
	CHECK_EQ(pln_writer_close(w, &recording), 0);
	close(fd);
	p = open_profile();
	CHECK(p->sample_count > 110 && !p->bad_bytes && p->recording.complete);
	CHECK(p->stack_count > 20000 && p->stack_count < 40000);
	CHECK_EQ(p->thread_count, 40001);
	CHECK(strlen(p->threads[1].name) == sizeof(name) - 1);
	CHECK_STR(p->threads[40000].name, "");
	CHECK_EQ(p->sample_count + p->recording.lost_samples, 400 + 10);
	pln_profile_close(p);
}

int main(void)
{
	int fd = memfd_create("profile", 0);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	signal(SIGXFSZ, SIG_IGN);
	everything_comes_back();
	newest_values_hold();
	unsymbolized_frames_are_named();
	missing_symbols_are_looked_up_here();
	texts_are_valid_utf8();
	cut_files_give_every_whole_chunk();
	cut_starts_are_told_apart();
	files_that_cannot_be_read();
	flipped_bytes_invent_nothing();
	lying_payloads_are_survived();
	versions_and_unknown_chunks();
	damaged_samples_cost_their_chunk_only();
	gaps_end_the_file();
	short_writes_are_taken_back();
	what_a_full_disk_costs_is_counted();
	definitions_are_bounded_too();
	close(fd);
	return check_result();
}
