/* SPDX-License-Identifier: MIT */
/*
 * model.h - what a profile holds, as plain arrays.
 *
 * The ingest side fills it through writer.h; report, export and info get it from
 * reader.h. Ids are indices into the arrays. Times are nanoseconds of
 * CLOCK_MONOTONIC of the machine that recorded, unless a name says otherwise.
 */
#ifndef PILLION_COLLECTOR_MODEL_H
#define PILLION_COLLECTOR_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pillion/wire.h>

#define PLN_NONE UINT32_MAX

/* The recording as a whole. Strings are owned by the profile. */
struct pln_recording {
	const char *command; /* as typed, shell-quoted */
	const char *host;
	const char *pillion_version;
	const char *working_directory;
	uint64_t start_real_ns; /* CLOCK_REALTIME at start */
	uint64_t start_ns;
	uint64_t end_ns; /* last thing seen */
	uint64_t period_ns;
	uint64_t tick_ns;
	bool complete; /* the END chunk is there */
	bool symbolized; /* the file itself names every native frame */
	bool truncated; /* bytes behind the last whole chunk */
	int32_t exit_status; /* of the command, as from wait(2); -1: unknown */
	uint64_t collector_cpu_ns; /* CPU time of the collector itself */
	uint64_t collector_peak_rss; /* bytes */
	uint64_t lost_samples; /* with blocks and frees: given up because disk or memory was full */
};

/* Of one class of memory, of a process or thread, up to a moment: exact. */
struct pln_heap_counts {
	uint64_t alloc_calls, alloc_bytes;
	uint64_t free_calls, free_bytes;
};

/* What is live of malloc and mappings by counts; `inherited`: when it was forked. */
static inline uint64_t pln_heap_live_bytes(const struct pln_heap_counts *counts, uint64_t inherited)
{
	const struct pln_heap_counts *m = &counts[PILLION_HEAP_MALLOC];
	const struct pln_heap_counts *p = &counts[PILLION_HEAP_MAPPING];
	uint64_t in = m->alloc_bytes + p->alloc_bytes + inherited;
	uint64_t out = m->free_bytes + p->free_bytes;

	return in > out ? in - out : 0;
}

struct pln_process {
	uint32_t pid; /* as the collector sees it */
	uint32_t inner_pid; /* in its own PID namespace */
	uint32_t ppid;
	uint32_t reason; /* enum pln_hello_reason */
	const char *executable;
	const char *command; /* shell-quoted arguments */
	uint64_t start_ns; /* of sampling */
	uint64_t end_ns; /* 0: was still running */
	int32_t exit_status; /* wait(2) form, -1 unknown */
	uint32_t python_version; /* PY_VERSION_HEX, 0: none found */
	uint8_t free_threaded;
	uint8_t interpreter_status; /* enum pln_interpreter_status */
	const char *layout; /* which layout table reads it */
	const char *layout_detail;
	uint32_t engine; /* enum pln_engine bits */
	uint64_t period_ns; /* asked for; in burst mode, reached */
	uint64_t tick_ns;
	/* Totals, newest seen. */
	uint64_t drops[PILLION_DROP_COUNT];
	uint64_t ticks;
	uint64_t handler_calls;
	uint64_t handler_ns;
	uint64_t sampler_cpu_ns;
	uint64_t process_cpu_ns;
	uint64_t table_bytes;
	uint64_t private_bytes;
	uint64_t dormant_ns; /* wall time in which nothing was sampled, as it was told to */
	struct pln_heap_counts heap[PILLION_HEAP_COUNT];
	uint64_t heap_inherited_bytes; /* live when it was forked: not in `heap` */
	uint64_t heap_peak_bytes; /* most that was live of malloc and mappings, and when */
	uint64_t heap_peak_ns;
	uint64_t brk_peak_bytes; /* largest size of the area that the program break ends */
	uint64_t finalizing_ns; /* when the interpreter began to go down, 0: it did not */
	uint64_t lost_records; /* lane data that made no sense */
};

struct pln_thread {
	uint32_t process;
	uint32_t tid;
	uint32_t serial;
	const char *name;
	bool is_main;
	bool has_python;
	bool exited;
	uint64_t start_ns;
	uint64_t seen_ns; /* the clocks below are as of then; end when exited */
	uint64_t
		cpu_ns; /* kernel's CPU clock, less what it had before start_ns and while dormant */
	uint64_t dormant_cpu_ns; /* since start_ns, nothing was sampled for so long */
	uint64_t dormant_wall_ns;
	uint64_t unsampled_cpu_ns; /* known, but no sample stands for it */
	uint64_t unsampled_wall_ns;
	struct pln_heap_counts heap[PILLION_HEAP_COUNT];
};

struct pln_module_info {
	uint32_t process;
	const char *path; /* as the target sees it */
	uint8_t build_id[32];
	uint8_t build_id_size;
	uint64_t lo;
	uint64_t hi;
	uint64_t bias;
};

enum pln_frame_kind {
	PLN_FRAME_PYTHON = 0,
	PLN_FRAME_NATIVE = 1,
};

/* A distinct frame, as interned. */
struct pln_frame {
	uint8_t kind; /* enum pln_frame_kind */
	uint8_t guessed; /* native: found by guessing */
	uint8_t is_leaf; /* native: the pc itself, not a return address */
	uint32_t module; /* native: PLN_NONE when in no known module */
	uint64_t address; /* native: file address (pc - bias), or the pc without module */
	uint32_t function; /* python: index of functions[]; native: PLN_NONE */
	uint32_t line; /* python: 0 unknown */
};

/* A stack is a path to the root in this tree. */
struct pln_stack_node {
	uint32_t parent; /* towards the root; PLN_NONE at the root */
	uint32_t frame;
};

enum pln_function_kind {
	PLN_FUNCTION_PYTHON = 0,
	PLN_FUNCTION_NATIVE = 1,
};

struct pln_function {
	const char *name; /* qualified, demangled; for an unknown one "lib.so+0x1234" */
	const char *file; /* source file, "" unknown */
	const char *module; /* native: base name of the library; "" for Python */
	const char *module_path; /* native: its path; "" for Python */
	uint32_t first_line; /* 0 unknown */
	uint8_t kind; /* enum pln_function_kind */
	uint8_t unknown; /* native: no symbol was found */
};

/* One source-level frame: a native pc has as many as calls were inlined there. */
struct pln_location {
	uint32_t function;
	uint32_t line; /* 0 unknown */
};

struct pln_sample_row {
	uint64_t time_ns;
	uint64_t cpu_ns;
	uint64_t offcpu_ns;
	uint64_t runnable_ns;
	uint32_t thread;
	uint32_t stack; /* stack node of the innermost frame; PLN_NONE: no stack */
	int32_t syscall_nr; /* -1: none */
	uint32_t flags; /* enum pln_sample_flag, and PLN_ROW_* */
	uint8_t cause; /* enum pln_cause */
	uint8_t gil; /* enum pln_gil */
	uint64_t alloc_calls, alloc_bytes, free_calls, free_bytes;
};
/* A sampled allocation. It stands for size / chance bytes, where chance = 1 - exp(-size /
 * interval). */
struct pln_block_row {
	uint64_t time_ns;
	uint64_t freed_ns; /* 0: live at the end, or unfollowed */
	uint64_t size; /* bytes that it had room for */
	uint64_t interval; /* mean bytes between samples when it was chosen */
	uint32_t thread;
	uint32_t stack; /* PLN_NONE: none */
	uint8_t kind; /* enum pln_block_kind */
	bool unfollowed; /* whether it was freed is not known */
};

struct pln_heap_point {
	uint64_t time_ns;
	uint32_t process;
	struct pln_heap_counts heap[PILLION_HEAP_COUNT];
	uint64_t brk_bytes;
};

/* What somebody calls a process: service=api, env=prod. */
struct pln_label {
	uint32_t process;
	const char *key;
	const char *value;
};

/* Set by the collector, above the wire's flags. */
#define PLN_ROW_JOIN_MISMATCH (1u << 24) /* native and Python stacks did not agree */
#define PLN_ROW_FINISHED (1u << 25) /* native walk finished by libunwind */

struct pln_note_row {
	uint64_t time_ns;
	uint32_t process; /* PLN_NONE: the collector's */
	uint32_t level;
	const char *text;
};

#endif
