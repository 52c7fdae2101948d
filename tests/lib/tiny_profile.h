/* SPDX-License-Identifier: MIT */
/*
 * tiny_profile.h - a profile small enough to know every sum of it by heart.
 *
 *   pid 100  tid 101 "MainThread", tid 102 "worker-1"
 *   pid 200  tid 201 (no name)
 *
 *   stack         root ... leaf
 *   IN_MAIN       _start > main
 *   IN_FACT       _start > main > fact > fact > fact
 *   IN_DGEMM      _start > main > fact > dgemm, with micro inlined into it
 *   IN_WAIT       _start > main > wait;ing > futex_wait
 *   IN_JIT        an address in no module
 *
 *   sample  thread      stack     cpu  off  run  GIL    system call
 *   0       MainThread  IN_MAIN    10    -    1  holds
 *   1       MainThread  IN_FACT    20    -    -  holds
 *   2       MainThread  IN_DGEMM   30    -    -  none
 *   3       MainThread  IN_WAIT     -   40    -  waits  202 futex
 *   4       MainThread  IN_WAIT     -    5    -  holds  202 futex
 *   5       worker-1    IN_DGEMM    7    -    -  holds          guessed
 *   6       worker-1    none        3    -    -  unknown
 *   7       worker-1    IN_WAIT     -  100    2  none   232 epoll_wait
 *   8       tid 201     IN_FACT    11    -    -  holds          truncated
 *   9       tid 201     IN_JIT      4    -    -  none
 *
 * Times above are in milliseconds.
 */
#ifndef PILLION_TESTS_TINY_PROFILE_H
#define PILLION_TESTS_TINY_PROFILE_H

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profile/reader.h"
#include "profile/writer.h"

#define TINY_MS 1000000u
#define TINY_START_NS 5000000000u

enum tiny_stack {
	TINY_IN_MAIN,
	TINY_IN_FACT,
	TINY_IN_DGEMM,
	TINY_IN_WAIT,
	TINY_IN_JIT,
	TINY_STACKS
};

struct tiny {
	struct pln_writer *w;
	uint32_t process[2];
	uint32_t thread[3];
	uint32_t module[3]; /* python, libnum, libc */
	uint32_t main_frame, fact_frame, wait_frame; /* Python */
	uint32_t start_frame, dgemm_frame, futex_frame, jit_frame; /* native */
	uint32_t stack[TINY_STACKS];
};

static inline void tiny_processes(struct tiny *t)
{
	struct pln_process p = { .pid = 100,
				 .inner_pid = 100,
				 .ppid = 1,
				 .executable = "/usr/bin/python3.11",
				 .command = "python3 app.py",
				 .start_ns = TINY_START_NS,
				 .end_ns = TINY_START_NS + 200 * TINY_MS,
				 .exit_status = 0,
				 .python_version = 0x030b02f0,
				 .interpreter_status = PILLION_INTERPRETER_CHECKED,
				 .layout = "3.11",
				 .layout_detail = "",
				 .engine = PILLION_ENGINE_CPU_TIMER | PILLION_ENGINE_BLOCKED,
				 .ticks = 20,
				 .handler_calls = 6,
				 .handler_ns = TINY_MS,
				 .sampler_cpu_ns = TINY_MS,
				 .process_cpu_ns = 80 * TINY_MS };
	struct pln_thread th = { .tid = 101,
				 .serial = 1,
				 .name = "MainThread",
				 .is_main = true,
				 .has_python = true,
				 .exited = true,
				 .start_ns = TINY_START_NS,
				 .seen_ns = TINY_START_NS + 106 * TINY_MS,
				 .cpu_ns = 60 * TINY_MS };

	p.drops[PILLION_DROP_LANE_FULL] = 2;
	t->process[0] = pln_writer_add_process(t->w, &p);
	th.process = t->process[0];
	t->thread[0] = pln_writer_add_thread(t->w, &th);
	th.tid = 102;
	th.serial = 2;
	th.name = "worker-1";
	th.is_main = false;
	th.seen_ns = TINY_START_NS + 112 * TINY_MS;
	th.cpu_ns = 10 * TINY_MS;
	t->thread[1] = pln_writer_add_thread(t->w, &th);

	p.pid = p.inner_pid = 200;
	p.ppid = 100;
	p.reason = PILLION_REASON_FORK;
	p.command = "python3 child.py";
	p.exit_status = 9; /* SIGKILL */
	p.drops[PILLION_DROP_LANE_FULL] = 0;
	t->process[1] = pln_writer_add_process(t->w, &p);
	th = (struct pln_thread){ .process = t->process[1],
				  .tid = 201,
				  .serial = 1,
				  .name = "",
				  .start_ns = TINY_START_NS,
				  .seen_ns = TINY_START_NS + 20 * TINY_MS,
				  .cpu_ns = 20 * TINY_MS,
				  .unsampled_cpu_ns = 5 * TINY_MS };
	t->thread[2] = pln_writer_add_thread(t->w, &th);
}

static inline void tiny_modules(struct tiny *t)
{
	const char *const paths[] = { "/usr/bin/python3.11", "/opt/libnum.so", "/lib/libc.so.6" };

	for (unsigned i = 0; i < 3; i++) {
		const struct pln_module_info m = { .process = t->process[0],
						   .path = paths[i],
						   .build_id = { 0xab, (uint8_t)i },
						   .build_id_size = 2,
						   .lo = 0x7000001000 + i * 0x100000,
						   .hi = 0x7000041000 + i * 0x100000,
						   .bias = 0x7000000000 + i * 0x100000 };

		t->module[i] = pln_writer_add_module(t->w, &m);
	}
}

static inline uint32_t tiny_python(struct tiny *t, const char *name, const char *file,
				   uint32_t first_line, uint32_t line)
{
	const struct pln_function f = { .name = name,
					.file = file,
					.module = "",
					.module_path = "",
					.first_line = first_line,
					.kind = PLN_FUNCTION_PYTHON };
	const struct pln_frame frame = { .kind = PLN_FRAME_PYTHON,
					 .module = PLN_NONE,
					 .function = pln_writer_add_function(t->w, &f),
					 .line = line };

	return pln_writer_add_frame(t->w, &frame);
}

static inline uint32_t tiny_native(struct tiny *t, unsigned module, uint64_t address, bool is_leaf)
{
	const struct pln_frame frame = { .kind = PLN_FRAME_NATIVE,
					 .is_leaf = is_leaf,
					 .module = module < 3 ? t->module[module] : PLN_NONE,
					 .address = address,
					 .function = PLN_NONE };

	return pln_writer_add_frame(t->w, &frame);
}

static inline struct pln_location tiny_symbol(struct tiny *t, const char *name, const char *module,
					      const char *path, const char *file, uint32_t line)
{
	const struct pln_function f = { .name = name,
					.file = file,
					.module = module,
					.module_path = path,
					.first_line = line ? line - 1 : 0,
					.kind = PLN_FUNCTION_NATIVE };

	return (struct pln_location){ .function = pln_writer_add_function(t->w, &f), .line = line };
}

static inline void tiny_frames(struct tiny *t)
{
	struct pln_location start, dgemm[2], futex, jit;

	t->main_frame = tiny_python(t, "main", "/srv/app/app.py", 1, 3);
	t->fact_frame = tiny_python(t, "fact", "/srv/app/app.py", 10, 12);
	t->wait_frame = tiny_python(t, "wait;ing", "/usr/lib/python3.11/lib.py", 20, 21);
	t->start_frame = tiny_native(t, 0, 0x1010, false);
	t->dgemm_frame = tiny_native(t, 1, 0x1020, true);
	t->futex_frame = tiny_native(t, 2, 0x1030, true);
	t->jit_frame = tiny_native(t, 3, 0x7fff0000, true);
	start = tiny_symbol(t, "_start", "python3.11", "/usr/bin/python3.11", "", 0);
	dgemm[0] = tiny_symbol(t, "micro", "libnum.so", "/opt/libnum.so", "/src/gemm.c", 70);
	dgemm[1] = tiny_symbol(t, "dgemm", "libnum.so", "/opt/libnum.so", "/src/gemm.c", 99);
	futex = tiny_symbol(t, "futex_wait", "libc.so.6", "/lib/libc.so.6", "", 0);
	jit = tiny_symbol(t, "[anon]+0x7fff0000", "", "", "", 0);
	pln_writer_add_locations(t->w, t->start_frame, &start, 1);
	pln_writer_add_locations(t->w, t->dgemm_frame, dgemm, 2);
	pln_writer_add_locations(t->w, t->futex_frame, &futex, 1);
	pln_writer_add_locations(t->w, t->jit_frame, &jit, 1);
}

static inline uint32_t tiny_node(struct tiny *t, uint32_t parent, uint32_t frame)
{
	const struct pln_stack_node node = { .parent = parent, .frame = frame };

	return pln_writer_add_stack(t->w, &node);
}

static inline void tiny_stacks(struct tiny *t)
{
	uint32_t in_start = tiny_node(t, PLN_NONE, t->start_frame);
	uint32_t in_main = tiny_node(t, in_start, t->main_frame);
	uint32_t in_fact = tiny_node(t, in_main, t->fact_frame);
	uint32_t in_wait = tiny_node(t, in_main, t->wait_frame);

	t->stack[TINY_IN_MAIN] = in_main;
	t->stack[TINY_IN_FACT] = tiny_node(t, tiny_node(t, in_fact, t->fact_frame), t->fact_frame);
	t->stack[TINY_IN_DGEMM] = tiny_node(t, in_fact, t->dgemm_frame);
	t->stack[TINY_IN_WAIT] = tiny_node(t, in_wait, t->futex_frame);
	t->stack[TINY_IN_JIT] = tiny_node(t, PLN_NONE, t->jit_frame);
}

static inline void tiny_samples(struct tiny *t)
{
	static const struct {
		unsigned thread;
		int stack; /* -1: none */
		unsigned cpu_ms, offcpu_ms, runnable_ms;
		uint8_t gil;
		int32_t syscall_nr;
		uint32_t flags;
	} rows[] = {
		{ 0, TINY_IN_MAIN, 10, 0, 1, PILLION_GIL_HOLDS, -1, 0 },
		{ 0, TINY_IN_FACT, 20, 0, 0, PILLION_GIL_HOLDS, -1, 0 },
		{ 0, TINY_IN_DGEMM, 30, 0, 0, PILLION_GIL_NONE, -1, 0 },
		{ 0, TINY_IN_WAIT, 0, 40, 0, PILLION_GIL_WAITS, 202, 0 },
		{ 0, TINY_IN_WAIT, 0, 5, 0, PILLION_GIL_HOLDS, 202, 0 },
		{ 1, TINY_IN_DGEMM, 7, 0, 0, PILLION_GIL_HOLDS, -1, PILLION_SAMPLE_GUESSED },
		{ 1, -1, 3, 0, 0, PILLION_GIL_UNKNOWN, -1, PILLION_SAMPLE_NO_STACK },
		{ 1, TINY_IN_WAIT, 0, 100, 2, PILLION_GIL_NONE, 232, 0 },
		{ 2, TINY_IN_FACT, 11, 0, 0, PILLION_GIL_HOLDS, -1,
		  PILLION_SAMPLE_NATIVE_TRUNCATED },
		{ 2, TINY_IN_JIT, 4, 0, 0, PILLION_GIL_NONE, -1, 0 },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct pln_sample_row row = {
			.time_ns = TINY_START_NS + i * TINY_MS,
			.cpu_ns = rows[i].cpu_ms * (uint64_t)TINY_MS,
			.offcpu_ns = rows[i].offcpu_ms * (uint64_t)TINY_MS,
			.runnable_ns = rows[i].runnable_ms * (uint64_t)TINY_MS,
			.thread = t->thread[rows[i].thread],
			.stack = rows[i].stack < 0 ? PLN_NONE : t->stack[rows[i].stack],
			.syscall_nr = rows[i].syscall_nr,
			.flags = rows[i].flags,
			.cause = rows[i].cpu_ms ? PILLION_CAUSE_CPU : PILLION_CAUSE_BLOCKED,
			.gil = rows[i].gil,
		};

		pln_writer_add_sample(t->w, &row);
	}
}

/* Opens a new profile in /tmp, already unlinked; `with_samples` false: an empty one. NULL: failed.
 */
static inline struct pln_profile *tiny_open(bool with_samples)
{
	struct pln_recording recording = { .command = "python3 app.py",
					   .host = "box",
					   .pillion_version = "0.1.0",
					   .working_directory = "/srv/app",
					   .start_real_ns = 1700000000000000000,
					   .start_ns = TINY_START_NS,
					   .end_ns = TINY_START_NS + 200 * TINY_MS,
					   .period_ns = 10 * TINY_MS,
					   .tick_ns = 10 * TINY_MS };
	char path[] = "/tmp/pillion-tiny-XXXXXX";
	struct pln_profile *profile = NULL;
	struct tiny t = { .w = NULL };
	int fd = mkstemp(path);

	if (fd < 0 || pln_writer_open(&t.w, fd, &recording))
		return NULL;
	tiny_processes(&t);
	if (with_samples) {
		const struct pln_note_row note = { .process = t.process[0],
						   .level = 1,
						   .text = "be\x1bware" };

		tiny_modules(&t);
		tiny_frames(&t);
		tiny_stacks(&t);
		tiny_samples(&t);
		pln_writer_add_note(t.w, &note);
	}
	recording.collector_cpu_ns = 2 * TINY_MS;
	recording.collector_peak_rss = 3 << 20;
	pln_writer_close(t.w, &recording);
	close(fd);
	if (pln_profile_open(&profile, path, true))
		profile = NULL;
	unlink(path);
	return profile;
}

/* Id of a function by name. */
static inline uint32_t tiny_function(const struct pln_profile *profile, const char *name)
{
	for (uint32_t f = 0; f < profile->function_count; f++) {
		if (!strcmp(profile->functions[f].name, name))
			return f;
	}
	return PLN_NONE;
}

#endif
