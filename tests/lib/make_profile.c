/* SPDX-License-Identifier: MIT */
/*
 * make_profile.c - writes a synthetic profile of a given size through writer.h.
 *
 *   pillion_make_profile [-n samples] [-m stacks] [-t threads] [-p processes]
 *                        [-s seed] [-b blocks] [-a] [-u] FILE
 *
 * -b adds sampled allocations, with exact counters that agree with them: nine in ten freed
 * soon, one stack that leaks. -a fills the allocation counters of samples, -u leaves the symbols
 * out. The same arguments give
 * the same file. It is shaped like a real recording: mixed stacks of a Python program
 * on libpython and a numeric library; a third of the threads mostly wait; each thread
 * prefers few stacks; times carry the noise of a clock.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profile/writer.h"

#define PERIOD_NS 10000000u
#define FLUSH_EVERY_NS 1000000000u
#define STACK_DEPTH 24u
#define PYTHON_FUNCTIONS 400u
#define NATIVE_FUNCTIONS 600u
#define FUTEX_NR 202
#define START_NS 1000000000000u
#define BLOCK_INTERVAL 524288u

struct options {
	uint64_t samples;
	uint32_t stacks;
	uint32_t threads;
	uint32_t processes;
	uint64_t seed;
	uint64_t blocks;
	bool allocations;
	bool no_symbols;
	const char *path;
};

struct maker {
	struct options opt;
	struct pln_writer *writer;
	uint64_t random;
	uint32_t first_module; /* three for each process: python, libpython, libnumeric */
	uint32_t python_frame[PYTHON_FUNCTIONS];
	uint32_t native_frame[NATIVE_FUNCTIONS];
	uint32_t *stacks;
	uint64_t *clock; /* by thread: CPU time so far */
	struct pln_heap_counts *heap; /* by thread: malloc */
	uint64_t now;
	uint64_t last_flush;
};

/* splitmix64 */
static uint64_t next_random(struct maker *m)
{
	uint64_t z = m->random += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static uint32_t below(struct maker *m, uint32_t limit)
{
	return (uint32_t)(next_random(m) % limit);
}

/* Small numbers are likelier: the product of three even ones, scaled. */
static uint32_t skewed_below(struct maker *m, uint32_t limit)
{
	uint64_t product = limit;

	for (int i = 0; i < 3; i++)
		product = product * (below(m, 1024) + 1) / 1024;
	return product < limit ? (uint32_t)product : limit - 1;
}

static uint64_t noisy(struct maker *m, uint64_t value, uint32_t noise)
{
	return value - noise / 2 + below(m, noise);
}

/* --------------------------------------------------------------- definitions */

static struct pln_process process_of(uint32_t i)
{
	return (struct pln_process){
		.pid = 4000 + i,
		.inner_pid = 4000 + i,
		.ppid = i ? 4000 : 1,
		.reason = i ? PILLION_REASON_FORK : PILLION_REASON_START,
		.executable = "/usr/bin/python3.11",
		.command = "python3 app.py --workers 4",
		.start_ns = START_NS,
		.exit_status = -1,
		.python_version = 0x030b02f0,
		.interpreter_status = PILLION_INTERPRETER_CHECKED,
		.layout = "3.11",
		.engine = PILLION_ENGINE_CPU_TIMER | PILLION_ENGINE_BLOCKED | PILLION_ENGINE_NATIVE,
		.period_ns = PERIOD_NS,
		.tick_ns = PERIOD_NS,
	};
}

static void add_processes(struct maker *m)
{
	for (uint32_t i = 0; i < m->opt.processes; i++) {
		struct pln_process process = process_of(i);

		pln_writer_add_process(m->writer, &process);
	}
}

static struct pln_thread thread_of(const struct maker *m, uint32_t i)
{
	static char name[32];

	snprintf(name, sizeof(name), i < m->opt.processes ? "MainThread" : "worker-%u", i);
	return (struct pln_thread){
		.process = i % m->opt.processes,
		.tid = 5000 + i,
		.serial = i + 1,
		.name = name,
		.is_main = i < m->opt.processes,
		.has_python = true,
		.start_ns = START_NS,
		.seen_ns = m->now,
		.cpu_ns = m->clock[i],
		.heap[PILLION_HEAP_MALLOC] = m->heap[i],
	};
}

static void add_threads(struct maker *m)
{
	for (uint32_t i = 0; i < m->opt.threads; i++) {
		struct pln_thread thread = thread_of(m, i);

		pln_writer_add_thread(m->writer, &thread);
	}
}

static void add_modules(struct maker *m)
{
	static const char *const paths[] = { "/usr/bin/python3.11",
					     "/usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0",
					     "/opt/app/lib/libnumeric.so.3" };

	for (uint32_t i = 0; i < m->opt.processes * 3; i++) {
		uint64_t lo = 0x7f0000000000u + i * 0x10000000u;
		struct pln_module_info module = { .process = i / 3,
						  .path = paths[i % 3],
						  .build_id = { 0xbe, 0xef, (uint8_t)(i % 3) },
						  .build_id_size = 20,
						  .lo = lo,
						  .hi = lo + 0x800000,
						  .bias = lo - 0x1000 };
		uint32_t id = pln_writer_add_module(m->writer, &module);

		if (!i)
			m->first_module = id;
	}
}

static void add_python_frames(struct maker *m)
{
	for (uint32_t i = 0; i < PYTHON_FUNCTIONS; i++) {
		char name[64], file[64];
		struct pln_function function = { .name = name,
						 .file = file,
						 .module = "",
						 .module_path = "",
						 .first_line = 10 + i * 7 };
		struct pln_frame frame = { .kind = PLN_FRAME_PYTHON,
					   .module = PLN_NONE,
					   .line = 12 + i * 7 };

		snprintf(name, sizeof(name), i % 5 ? "Service%u.handle_%u" : "module_%u.run_%u",
			 i / 20, i);
		snprintf(file, sizeof(file), "/opt/app/src/service_%u.py", i / 20);
		frame.function = pln_writer_add_function(m->writer, &function);
		m->python_frame[i] = pln_writer_add_frame(m->writer, &frame);
	}
}

static void add_native_frames(struct maker *m)
{
	for (uint32_t i = 0; i < NATIVE_FUNCTIONS; i++) {
		struct pln_frame frame = { .kind = PLN_FRAME_NATIVE,
					   .is_leaf = i % 3 == 0,
					   .guessed = i % 50 == 49,
					   .module = m->first_module + i % 3,
					   .address = 0x1000 + i * 0x340,
					   .function = PLN_NONE };

		m->native_frame[i] = pln_writer_add_frame(m->writer, &frame);
	}
}

/* Python in the outer half, native in the inner one, as in a call into a library. */
static uint32_t frame_at(struct maker *m, uint32_t depth)
{
	if (depth == 0)
		return m->native_frame[1];
	if (depth < STACK_DEPTH / 2)
		return m->python_frame[skewed_below(m, PYTHON_FUNCTIONS)];
	return m->native_frame[skewed_below(m, NATIVE_FUNCTIONS)];
}

/* Stack i shares its outer frames with an earlier one, as the stacks of a program do. */
static bool add_stacks(struct maker *m)
{
	uint32_t(*path)[STACK_DEPTH] = calloc(m->opt.stacks, sizeof(*path));

	m->stacks = calloc(m->opt.stacks, sizeof(*m->stacks));
	for (uint32_t i = 0; path && m->stacks && i < m->opt.stacks; i++) {
		uint32_t length = 6 + below(m, STACK_DEPTH - 6);
		uint32_t shared = i ? below(m, length) : 0;
		const uint32_t *other = path[i ? below(m, i) : 0];

		for (uint32_t d = 0; d < length; d++) {
			struct pln_stack_node node = { d ? path[i][d - 1] : PLN_NONE, 0 };

			if (d < shared && other[d]) {
				path[i][d] = other[d];
				continue;
			}
			shared = 0;
			node.frame = frame_at(m, d);
			path[i][d] = pln_writer_add_stack(m->writer, &node);
		}
		m->stacks[i] = path[i][length - 1];
	}
	free(path);
	return path && m->stacks;
}

static void add_symbols(struct maker *m)
{
	static const char *const base[] = { "python3.11", "libpython3.11.so.1.0",
					    "libnumeric.so.3" };
	static const char *const path[] = { "/usr/bin/python3.11",
					    "/usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0",
					    "/opt/app/lib/libnumeric.so.3" };

	for (uint32_t i = 0; i < NATIVE_FUNCTIONS; i++) {
		char name[64];
		struct pln_function function = { .name = name,
						 .file = "",
						 .module = base[i % 3],
						 .module_path = path[i % 3],
						 .kind = PLN_FUNCTION_NATIVE,
						 .unknown = i % 40 == 39 };
		struct pln_location location[2] = { { 0, 0 }, { 0, 0 } };
		unsigned count = 1;

		snprintf(name, sizeof(name), function.unknown ? "%s+0x%x" : "%s_call_%u",
			 function.unknown ? base[i % 3] : "native", i);
		location[0].function = pln_writer_add_function(m->writer, &function);
		location[0].line = i % 4 ? 100 + i : 0;
		/* Every tenth was inlined into its neighbour. */
		if (i % 10 == 9) {
			location[1] = (struct pln_location){ location[0].function - 1, 77 };
			count = 2;
		}
		pln_writer_add_locations(m->writer, m->native_frame[i], location, count);
	}
}

/* -------------------------------------------------------------------- samples */

static struct pln_sample_row next_row(struct maker *m, uint32_t thread)
{
	bool waits = thread % 3 == 2 && below(m, 10) != 0;
	uint32_t favourite = (thread * 37 + skewed_below(m, m->opt.stacks)) % m->opt.stacks;
	struct pln_sample_row row = { .time_ns = noisy(m, m->now, PERIOD_NS / 10),
				      .thread = thread,
				      .stack =
					      m->stacks[waits ? thread % m->opt.stacks : favourite],
				      .syscall_nr = -1,
				      .gil = PILLION_GIL_HOLDS };

	if (waits) {
		row.cause = PILLION_CAUSE_BLOCKED;
		row.offcpu_ns = noisy(m, PERIOD_NS, 200000);
		row.syscall_nr = FUTEX_NR;
		row.gil = below(m, 4) ? PILLION_GIL_NONE : PILLION_GIL_WAITS;
		return row;
	}
	row.cause = PILLION_CAUSE_CPU;
	row.cpu_ns = noisy(m, PERIOD_NS, 50000);
	if (below(m, 10) == 0)
		row.runnable_ns = below(m, 4000000);
	if (m->opt.allocations) {
		row.alloc_calls = below(m, 20000);
		row.alloc_bytes = row.alloc_calls * (40 + below(m, 100));
		row.free_calls = below(m, 20000);
		row.free_bytes = row.free_calls * (40 + below(m, 100));
	}
	return row;
}

static void flush(struct maker *m)
{
	for (uint32_t i = 0; i < m->opt.threads; i++) {
		struct pln_thread thread = thread_of(m, i);

		pln_writer_update_thread(m->writer, i, &thread);
	}
	pln_writer_flush(m->writer);
	m->last_flush = m->now;
}

static void add_samples(struct maker *m)
{
	for (uint64_t i = 0; i < m->opt.samples; i++) {
		uint32_t thread = (uint32_t)(i % m->opt.threads);
		struct pln_sample_row row;

		if (!thread)
			m->now += PERIOD_NS;
		row = next_row(m, thread);
		m->clock[thread] += row.cpu_ns;
		pln_writer_add_sample(m->writer, &row);
		if (m->now - m->last_flush >= FLUSH_EVERY_NS)
			flush(m);
	}
	flush(m);
}

/* --------------------------------------------------------------------- memory */

/* What a sampled block of this size stands for, rounded to whole blocks. */
static uint64_t blocks_for(uint64_t size)
{
	return size < BLOCK_INTERVAL ? BLOCK_INTERVAL / size : 1;
}

static void count_block(struct pln_heap_counts *heap, uint64_t size, bool freed)
{
	uint64_t blocks = blocks_for(size);

	heap->alloc_calls += blocks;
	heap->alloc_bytes += blocks * size;
	heap->free_calls += freed ? blocks : 0;
	heap->free_bytes += freed ? blocks * size : 0;
}

/* Evenly over the time of the samples. One in ten is of stack 0, and stays. */
static void add_block(struct maker *m, uint64_t i)
{
	uint32_t thread = below(m, m->opt.threads);
	bool leaks = below(m, 10) == 0;
	uint64_t past = (m->now - START_NS) * i / m->opt.blocks;
	struct pln_block_row row = {
		.time_ns = START_NS + past,
		.size = (uint64_t)16 << below(m, 16),
		.interval = BLOCK_INTERVAL,
		.thread = thread,
		.stack = m->stacks[leaks ? 0 : skewed_below(m, m->opt.stacks)],
		.kind = PILLION_BLOCK_MALLOC,
	};
	uint32_t id = pln_writer_add_block(m->writer, &row);
	uint64_t freed_ns = row.time_ns + below(m, 20000000);

	if (!leaks && freed_ns < m->now)
		pln_writer_add_free(m->writer, id, freed_ns);
	count_block(&m->heap[thread], row.size, !leaks && freed_ns < m->now);
}

static void count_processes(struct maker *m)
{
	for (uint32_t i = 0; i < m->opt.processes; i++) {
		struct pln_process process = process_of(i);
		struct pln_heap_counts *sum = &process.heap[PILLION_HEAP_MALLOC];
		struct pln_heap_point point = { .time_ns = m->now, .process = i };

		for (uint32_t t = i; t < m->opt.threads; t += m->opt.processes) {
			sum->alloc_calls += m->heap[t].alloc_calls;
			sum->alloc_bytes += m->heap[t].alloc_bytes;
			sum->free_calls += m->heap[t].free_calls;
			sum->free_bytes += m->heap[t].free_bytes;
		}
		process.heap_peak_ns = m->now;
		process.heap_peak_bytes = sum->alloc_bytes - sum->free_bytes;
		memcpy(point.heap, process.heap, sizeof(point.heap));
		pln_writer_add_heap_point(m->writer, &point);
		pln_writer_update_process(m->writer, i, &process);
	}
}

static void add_blocks(struct maker *m)
{
	for (uint64_t i = 0; i < m->opt.blocks; i++)
		add_block(m, i);
	if (m->opt.blocks) {
		count_processes(m);
		flush(m);
	}
}

static int make(struct maker *m, int fd)
{
	struct pln_recording recording = { .command = "python3 app.py --workers 4",
					   .host = "synthetic",
					   .pillion_version = "0.1.0",
					   .working_directory = "/opt/app",
					   .start_real_ns = 1700000000000000000u,
					   .start_ns = START_NS,
					   .period_ns = PERIOD_NS,
					   .tick_ns = PERIOD_NS,
					   .collector_cpu_ns = 5000000,
					   .collector_peak_rss = 12 << 20 };
	struct pln_note_row note = { START_NS, 0, 1, "this recording is synthetic" };
	int err = pln_writer_open(&m->writer, fd, &recording);

	if (err)
		return err;
	add_processes(m);
	add_threads(m);
	add_modules(m);
	add_python_frames(m);
	add_native_frames(m);
	if (!add_stacks(m))
		return -1;
	pln_writer_add_note(m->writer, &note);
	add_samples(m);
	add_blocks(m);
	if (!m->opt.no_symbols)
		add_symbols(m);
	recording.end_ns = m->now;
	return pln_writer_close(m->writer, &recording);
}

static bool parse(struct options *opt, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "n:m:t:p:s:b:au")) != -1) {
		uint64_t value = optarg ? strtoull(optarg, NULL, 10) : 0;

		switch (c) {
		case 'n':
			opt->samples = value;
			break;
		case 'm':
			opt->stacks = (uint32_t)value;
			break;
		case 't':
			opt->threads = (uint32_t)value;
			break;
		case 'p':
			opt->processes = (uint32_t)value;
			break;
		case 's':
			opt->seed = value;
			break;
		case 'b':
			opt->blocks = value;
			break;
		case 'a':
			opt->allocations = true;
			break;
		case 'u':
			opt->no_symbols = true;
			break;
		default:
			return false;
		}
	}
	opt->path = argv[optind];
	return opt->path && opt->stacks && opt->threads && opt->processes;
}

int main(int argc, char **argv)
{
	struct maker m = { .opt = { .samples = 100000,
				    .stacks = 2000,
				    .threads = 20,
				    .processes = 1,
				    .seed = 1 },
			   .now = START_NS };
	int fd, err;

	if (!parse(&m.opt, argc, argv)) {
		fprintf(stderr,
			"usage: %s [-n samples] [-m stacks] [-t threads] [-p processes] "
			"[-s seed] [-b blocks] [-a] [-u] FILE\n",
			argv[0]);
		return 2;
	}
	m.random = m.opt.seed;
	m.clock = calloc(m.opt.threads, sizeof(*m.clock));
	m.heap = calloc(m.opt.threads, sizeof(*m.heap));
	fd = open(m.opt.path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || !m.clock || !m.heap) {
		perror(m.opt.path);
		return 1;
	}
	err = make(&m, fd);
	if (err)
		fprintf(stderr, "%s: %s\n", m.opt.path, strerror(-err));
	free(m.clock);
	free(m.heap);
	free(m.stacks);
	close(fd);
	return err ? 1 : 0;
}
