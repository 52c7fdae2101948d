/* SPDX-License-Identifier: MIT */
/*
 * wire.h - the shared-memory contract between the library and the collector.
 *
 * Everything that both processes agree on lives here and nowhere else. The two
 * sides may come from different builds, so: fixed-width fields, no pointers,
 * every offset asserted, reserved space zeroed by the writer and ignored by the
 * reader. Any layout change bumps PILLION_WIRE_VERSION; a reader refuses a
 * version that it does not know with one clear line.
 *
 * One segment (a memfd) per target process, of fixed size, sparse:
 *
 *   0            struct pln_segment        (4096 bytes)
 *   slots_off    struct pln_slot[lane_count]
 *   control_off  lane: modules, threads, notes   (written by the sampling thread)
 *   sampler_off  lane: samples of blocked threads (written by the sampling thread)
 *   lanes_off    lane[lane_count]: samples and code objects of one thread each
 *                (lane i belongs to slot i; written by that thread's handler)
 *
 *   burst_off    struct pln_burst, then nodes and cells (in burst mode only)
 *
 *   lane: struct pln_lane (128 bytes), then the ring, whose size is a power of two.
 *         Records are contiguous and 8-byte aligned; PILLION_RECORD_PAD fills
 *         what is left before the wrap.
 *
 *         tail                  head
 *          v                     v
 *   [ free | record | record ... | free        ]
 *
 * A record exists once `head` has moved over it (release). A kill between two
 * instructions loses at most the record being written.
 */
#ifndef PILLION_WIRE_H
#define PILLION_WIRE_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define PILLION_WIRE_VERSION 3
#define PILLION_SEGMENT_MAGIC 0x4c4c4950u /* "PILL" */
#define PILLION_HELLO_MAGIC 0x4c454850u /* "PHEL" */
#define PILLION_TOKEN_SIZE 16
#define PILLION_LABELS_SIZE 1280
/* A target that ticks tells of a module at the latest in the first tick that begins so long after
 * it was loaded. */
#define PILLION_MODULES_WITHIN_NS 5000000u

/* Why a sample, or a part of one, was not recorded. Counted in the segment. */
enum pln_drop {
	PILLION_DROP_LANE_FULL = 0, /* the collector did not keep up */
	PILLION_DROP_RECURSION = 1, /* the handler was already running on this thread */
	PILLION_DROP_SMALL_STACK = 2, /* no room left on the stack for the handler */
	PILLION_DROP_NO_LANE = 3, /* more threads than lanes */
	PILLION_DROP_NO_TIMER = 4, /* timer_create failed (RLIMIT_SIGPENDING) */
	PILLION_DROP_SIGNAL_TAKEN = 5, /* the program replaced our signal handler */
	PILLION_DROP_SIGNAL_BLOCKED = 6, /* the thread blocks our signal: CPU time unsampled */
	PILLION_DROP_BLOCKED_RACE = 7, /* a blocked thread woke up while it was read */
	PILLION_DROP_STALE_SIGNAL = 8, /* a signal for a thread that is no longer ours */
	PILLION_DROP_CODE_UNREADABLE = 9, /* a code object could not be described */
	PILLION_DROP_ALLOC_NESTED =
		10, /* an allocation's turn came inside of another's, or without a lane */
	PILLION_DROP_LIVE_FULL =
		11, /* a sampled block's free cannot be followed: too many are live */
	PILLION_DROP_FREE_LOST = 12, /* a sampled block's free was not told: it looks live */
	PILLION_DROP_CHILD = 13, /* a forked child: a tick did not end in time before it */
	PILLION_DROP_COUNT = 14,
};

/* What a walk could not do. Sample flags, or-ed together. */
enum pln_sample_flag {
	PILLION_SAMPLE_SAME_STACK =
		1 << 0, /* frames omitted: stack_hash as before in this lane+thread */
	PILLION_SAMPLE_SNAPSHOT = 1
				  << 1, /* native walk to be finished from registers + stack copy */
	PILLION_SAMPLE_NATIVE_TRUNCATED = 1 << 2, /* did not reach the root */
	PILLION_SAMPLE_PYTHON_TRUNCATED = 1 << 3, /* Python chain cut (depth, unreadable frame) */
	PILLION_SAMPLE_GUESSED = 1 << 4, /* at least one native frame is guessed */
	PILLION_SAMPLE_PYTHON_FAILED = 1 << 5, /* has a thread state, but the walk was refused */
	PILLION_SAMPLE_FOREIGN_STACK = 1 << 6, /* sp outside of the thread's own stack */
	PILLION_SAMPLE_NO_NATIVE = 1 << 7, /* native frames not asked for or not available */
	PILLION_SAMPLE_NO_MARKERS = 1 << 8, /* CPython 3.8/3.9: one Python frame per C eval frame */
	PILLION_SAMPLE_NO_STACK = 1
				  << 9, /* time without a stack (thread too short, or unreadable) */
};

enum pln_cause {
	PILLION_CAUSE_CPU = 0, /* CPU-clock timer */
	PILLION_CAUSE_BLOCKED = 1, /* the tick found the thread blocked */
	PILLION_CAUSE_FORCED = 2, /* tgkill from the sampling thread (rates above HZ) */
	PILLION_CAUSE_EXIT = 3, /* what was still pending when the thread ended */
	PILLION_CAUSE_ALLOC = 4, /* a block was allocated here; no time passed */
};

enum pln_gil {
	PILLION_GIL_UNKNOWN = 0,
	PILLION_GIL_NONE = 1, /* neither holds it nor waits for it */
	PILLION_GIL_HOLDS = 2,
	PILLION_GIL_WAITS = 3,
};

enum pln_record_type {
	PILLION_RECORD_PAD = 1,
	PILLION_RECORD_SAMPLE = 2,
	PILLION_RECORD_CODE = 3,
	PILLION_RECORD_MODULE = 4,
	PILLION_RECORD_THREAD = 5,
	PILLION_RECORD_THREAD_EXIT = 6,
	PILLION_RECORD_THREAD_NAME = 7,
	PILLION_RECORD_INTERPRETER = 8,
	PILLION_RECORD_NOTE = 9,
	PILLION_RECORD_MODULE_GONE = 10,
	PILLION_RECORD_FREE = 11,
};

/* How line numbers are packed in a code object. */
enum pln_linetable {
	PILLION_LINETABLE_LNOTAB = 1, /* 3.8, 3.9: co_lnotab */
	PILLION_LINETABLE_310 = 2, /* 3.10: co_linetable, (start delta, line delta) */
	PILLION_LINETABLE_LOCATIONS = 3, /* 3.11+: location table */
};

/* ------------------------------------------------------------------ lanes */

/* All zero is an empty one. */
struct pln_lane {
	/* Producer's line. */
	_Alignas(64) _Atomic uint64_t head; /* bytes ever committed */
	uint8_t reserved0[56];

	/* Consumer's line. */
	_Alignas(64) _Atomic uint64_t tail; /* bytes ever consumed */
	uint8_t reserved1[56];
};
static_assert(offsetof(struct pln_lane, head) == 0, "wire layout");
static_assert(offsetof(struct pln_lane, tail) == 64, "wire layout");
static_assert(sizeof(struct pln_lane) == 128, "wire layout");

/*
 * What memory is asked of. Bytes: room that a block has (malloc_usable_size), whole pages,
 * bytes asked for.
 */
enum pln_heap_class {
	PILLION_HEAP_MALLOC = 0, /* malloc and its family */
	PILLION_HEAP_MAPPING = 1, /* anonymous memory that can be used: mmap, mremap */
	PILLION_HEAP_OBJECT =
		2, /* CPython's object and memory domains; free_bytes is not known: 0 */
	PILLION_HEAP_NESTED = 3, /* of the first two: what the third got its memory by; not what
				    it gave back: free_calls and free_bytes are 0 */
	PILLION_HEAP_COUNT = 4,
};

/* Exact counts. What is live is the difference. */
struct pln_alloc_counters {
	_Atomic uint64_t alloc_calls;
	_Atomic uint64_t alloc_bytes;
	_Atomic uint64_t free_calls;
	_Atomic uint64_t free_bytes;
};
static_assert(sizeof(struct pln_alloc_counters) == 32, "wire layout");

/* First bytes of every record. */
struct pln_record {
	uint32_t size; /* whole record, a multiple of 8 */
	uint16_t type; /* enum pln_record_type */
	uint16_t reserved;
};
static_assert(sizeof(struct pln_record) == 8, "wire layout");

/*
 * PILLION_RECORD_SAMPLE, in a thread's lane or in the sampler's lane. Behind it,
 * in this order, each part starting 8-byte aligned:
 *   uint64_t native_pc[native_count]          innermost first; return addresses
 *                                             (as found, not minus one) but for frame 0
 *   uint32_t native_cfa[native_count]         CFA of each frame minus `sp`;
 *                                             PILLION_CFA_GUESSED or-ed in when guessed
 *   struct pln_wire_frame python[python_count] innermost first
 *   struct pln_snapshot, uint8_t stack[stack_size]   when PILLION_SAMPLE_SNAPSHOT
 */
struct pln_sample {
	struct pln_record rec;
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	uint64_t cpu_ns; /* CPU time that this sample stands for */
	uint64_t offcpu_ns; /* time blocked that it stands for */
	uint64_t runnable_ns; /* time waiting for a CPU that it stands for */
	uint64_t stack_hash; /* of the frames; equal hash in one lane+thread = same stack */
	uint64_t sp; /* stack pointer of frame 0; base of the offsets below */
	uint32_t thread; /* serial of the thread */
	int32_t syscall_nr; /* -1: not in a system call */
	uint32_t flags; /* enum pln_sample_flag */
	uint8_t cause; /* enum pln_cause */
	uint8_t gil; /* enum pln_gil */
	uint16_t native_count;
	uint16_t python_count;
	uint8_t reserved[6];
	union {
		struct pln_alloc_deltas {
			uint64_t alloc_calls;
			uint64_t alloc_bytes;
			uint64_t free_calls;
			uint64_t free_bytes;
		} deltas; /* of this thread since its last sample */
		struct pln_wire_block {
			uint64_t id; /* unique in the process, never 0 */
			uint64_t size; /* bytes that it has room for */
			uint64_t interval; /* mean bytes between samples when it was chosen */
			uint32_t kind; /* enum pln_block_kind */
			uint32_t unfollowed; /* 1: its free will not be told */
		} block; /* PILLION_CAUSE_ALLOC */
	};
};
static_assert(offsetof(struct pln_sample, time_ns) == 8, "wire layout");
static_assert(offsetof(struct pln_sample, stack_hash) == 40, "wire layout");
static_assert(offsetof(struct pln_sample, sp) == 48, "wire layout");
static_assert(offsetof(struct pln_sample, thread) == 56, "wire layout");
static_assert(offsetof(struct pln_sample, flags) == 64, "wire layout");
static_assert(offsetof(struct pln_sample, cause) == 68, "wire layout");
static_assert(offsetof(struct pln_sample, native_count) == 70, "wire layout");
static_assert(offsetof(struct pln_sample, deltas) == 80, "wire layout");
static_assert(sizeof(struct pln_sample) == 112, "wire layout");

#define PILLION_CFA_GUESSED 0x80000000u

enum pln_block_kind {
	PILLION_BLOCK_MALLOC = 0, /* malloc and its family */
	PILLION_BLOCK_MAPPING = 1, /* mmap */
	PILLION_BLOCK_OBJECT = 2, /* CPython's object domain */
	PILLION_BLOCK_MEMORY = 3, /* CPython's memory domain */
	PILLION_BLOCK_KINDS = 4,
};

/* PILLION_RECORD_FREE: a sampled block is freed. In the lane of any thread, or the sampler's. */
struct pln_wire_free {
	struct pln_record rec;
	uint64_t time_ns;
	uint64_t id;
};
static_assert(sizeof(struct pln_wire_free) == 24, "wire layout");

/*
 * One Python frame. A frame that is the outermost one of its C eval call carries
 * the place of the marker that this call keeps on the C stack; the native frame
 * whose [SP, CFA) contains the marker is that eval call, and the Python frames up
 * to here go in its place.
 */
struct pln_wire_frame {
	uint64_t code; /* key of a struct pln_wire_code */
	uint32_t instr; /* byte offset of the instruction in the code, PILLION_NO_INSTR */
	uint32_t marker; /* address of the marker minus `sp`, or PILLION_NO_MARKER */
};
static_assert(sizeof(struct pln_wire_frame) == 16, "wire layout");
#define PILLION_NO_MARKER 0xffffffffu
#define PILLION_NO_INSTR 0xffffffffu

/* Where the native walk stopped, and the stack from there: for libunwind. */
struct pln_snapshot {
	uint64_t regs[17]; /* DWARF numbering: rax rdx rcx rbx rsi rdi rbp rsp r8-r15 rip */
	uint32_t regs_valid; /* bit i: regs[i] is known */
	uint32_t from_frame; /* regs belong to native frame number from_frame */
	uint64_t stack_addr; /* address of the first copied byte */
	uint32_t stack_size; /* bytes copied, right behind this struct */
	uint32_t reserved;
};
static_assert(sizeof(struct pln_snapshot) == 160, "wire layout");

/*
 * PILLION_RECORD_CODE: a code object, described once (or again: same key, same
 * content) before the first sample that refers to it. Behind it, unaligned and
 * without terminators: qualname, filename (both UTF-8), linetable.
 */
struct pln_wire_code {
	struct pln_record rec;
	uint64_t key; /* hash of address and identifying fields; never 0 */
	uint32_t first_line;
	uint32_t linetable_size;
	uint16_t qualname_size;
	uint16_t filename_size;
	uint8_t linetable_kind; /* enum pln_linetable */
	uint8_t truncated; /* 1: a name or the table was cut */
	uint8_t reserved[2];
};
static_assert(offsetof(struct pln_wire_code, linetable_kind) == 28, "wire layout");
static_assert(sizeof(struct pln_wire_code) == 32, "wire layout");

/*
 * PILLION_RECORD_MODULE: one executable mapping of a loaded file. Behind it: the
 * path (not terminated), as the target sees it; "[vdso]" for the vdso.
 * file address of a pc (what its ELF symbols and DWARF use) = pc - bias.
 */
struct pln_wire_module {
	struct pln_record rec;
	uint64_t lo; /* executable range [lo, hi) */
	uint64_t hi;
	uint64_t bias; /* load address: pc - bias = ELF virtual address */
	uint64_t time_ns; /* when it was first seen */
	uint64_t eh_frame_hdr; /* address, 0: none (for finishing snapshots) */
	uint8_t build_id[32];
	uint8_t build_id_size; /* 0: none */
	uint8_t reserved[3];
	uint32_t path_size;
};
static_assert(offsetof(struct pln_wire_module, build_id) == 48, "wire layout");
static_assert(sizeof(struct pln_wire_module) == 88, "wire layout");

/* PILLION_RECORD_MODULE_GONE: unmapped; samples up to time_ns may still hit it. */
struct pln_wire_module_gone {
	struct pln_record rec;
	uint64_t lo;
	uint64_t hi;
	uint64_t time_ns;
};
static_assert(sizeof(struct pln_wire_module_gone) == 32, "wire layout");

/* PILLION_RECORD_THREAD, _EXIT and _NAME. Numbers are totals at time_ns. */
struct pln_wire_thread {
	struct pln_record rec;
	uint64_t time_ns;
	uint64_t start_ns; /* when the thread started, or was first seen */
	uint64_t cpu_ns; /* its CPU clock */
	uint64_t cpu_base_ns; /* its CPU clock when it was first seen (not ours to account) */
	uint64_t unsampled_cpu_ns; /* on exit: CPU time that no sample stands for */
	uint64_t unsampled_wall_ns; /* on exit: off-CPU time that no sample stands for */
	uint64_t dormant_cpu_ns; /* of cpu_ns and of the time since start_ns: nothing was sampled */
	uint64_t dormant_wall_ns;
	struct pln_alloc_counters heap[PILLION_HEAP_COUNT]; /* its own */
	uint32_t thread; /* serial */
	uint32_t tid;
	uint8_t is_main;
	uint8_t has_python; /* a Python thread state was seen on it */
	uint8_t reserved[6];
	char name[16]; /* comm, zero-padded */
};
static_assert(offsetof(struct pln_wire_thread, thread) == 200, "wire layout");
static_assert(sizeof(struct pln_wire_thread) == 232, "wire layout");

/* PILLION_RECORD_INTERPRETER: what was found, and how it is read. */
struct pln_wire_interpreter {
	struct pln_record rec;
	uint64_t time_ns;
	uint32_t version_hex; /* PY_VERSION_HEX */
	uint8_t free_threaded;
	uint8_t status; /* enum pln_interpreter_status */
	uint8_t reserved[2];
	uint64_t eval_lo; /* 3.8/3.9: address range of the C eval function */
	uint64_t eval_hi;
	char layout[32]; /* which table: "3.11", "debug-offsets 3.14", ... */
	char detail[64]; /* why not, when the status says refused */
};
static_assert(offsetof(struct pln_wire_interpreter, eval_lo) == 24, "wire layout");
static_assert(sizeof(struct pln_wire_interpreter) == 136, "wire layout");

enum pln_interpreter_status {
	PILLION_INTERPRETER_FOUND = 0, /* layout known, self-check still to come */
	PILLION_INTERPRETER_CHECKED = 1, /* self-check passed */
	PILLION_INTERPRETER_REFUSED = 2, /* native only; `detail` says why */
};

/* PILLION_RECORD_NOTE: one line for the user. Behind it: text (not terminated). */
struct pln_wire_note {
	struct pln_record rec;
	uint64_t time_ns;
	uint32_t text_size;
	uint32_t level; /* 0 info, 1 warning */
};
static_assert(sizeof(struct pln_wire_note) == 24, "wire layout");

/* ------------------------------------------------------------------ slots */

enum pln_slot_state {
	PILLION_SLOT_FREE = 0,
	PILLION_SLOT_CLAIMED = 1, /* being set up */
	PILLION_SLOT_LIVE = 2,
	PILLION_SLOT_EXITED = 3, /* the thread is gone; waits for the sampling thread */
	PILLION_SLOT_DRAINING = 4, /* lane not yet empty */
};

/*
 * One thread's place. The sampling thread writes the clocks each tick, so that
 * the collector knows the truth to account against even after a SIGKILL.
 */
struct pln_slot {
	_Atomic uint32_t state; /* enum pln_slot_state */
	_Atomic uint32_t serial; /* of the thread, unique in the process, never 0 */
	_Atomic uint32_t tid;
	uint32_t reserved0;
	_Atomic uint64_t start_ns;
	_Atomic uint64_t seen_ns; /* time of the clocks below */
	_Atomic uint64_t cpu_ns; /* CPU clock at seen_ns */
	_Atomic uint64_t cpu_base_ns; /* CPU clock at start_ns */
	_Atomic uint64_t pending_offcpu_ns; /* measured, not yet charged to a stack */
	_Atomic uint64_t pending_runnable_ns; /* same, taken by the next CPU sample */

	/* The handler's line. */
	_Alignas(64) _Atomic uint64_t samples; /* samples committed */
	_Atomic uint64_t sampled_cpu_ns; /* sum of their cpu_ns */
	uint8_t reserved1[48];

	/* Written by the thread itself. */
	_Alignas(64) struct pln_alloc_counters heap[PILLION_HEAP_COUNT];

	/* The sampling thread's: what of the clocks above passed while nothing was sampled. */
	_Alignas(64) _Atomic uint64_t dormant_cpu_ns;
	_Atomic uint64_t dormant_wall_ns;
	uint8_t reserved3[48];
};
static_assert(offsetof(struct pln_slot, start_ns) == 16, "wire layout");
static_assert(offsetof(struct pln_slot, samples) == 64, "wire layout");
static_assert(offsetof(struct pln_slot, heap) == 128, "wire layout");
static_assert(offsetof(struct pln_slot, dormant_cpu_ns) == 256, "wire layout");
static_assert(sizeof(struct pln_slot) == 320, "wire layout");

/* ---------------------------------------------------------------- segment */

enum pln_engine {
	PILLION_ENGINE_CPU_TIMER = 1 << 0, /* per-thread CPU-clock timers */
	PILLION_ENGINE_FORCED = 1 << 1, /* tgkill to running threads */
	PILLION_ENGINE_BLOCKED = 1 << 2, /* blocked threads read through /proc */
	PILLION_ENGINE_SCHEDSTAT = 1 << 3, /* run-queue wait is measured */
	PILLION_ENGINE_NATIVE = 1 << 4, /* own unwind tables */
	PILLION_ENGINE_CHECKED_READ = 1 << 5, /* memory can be read without a fault */
	PILLION_ENGINE_BURST = 1 << 6, /* Python stacks of the GIL's holder, counted in place */
};

enum pln_target_state {
	PILLION_TARGET_STARTING = 0,
	PILLION_TARGET_SAMPLING = 1,
	PILLION_TARGET_DORMANT = 2, /* stopped on request, or the collector went silent */
	PILLION_TARGET_FINALIZING = 3, /* the interpreter is going down */
	PILLION_TARGET_EXECED = 4, /* about to become another program */
};

struct pln_segment {
	_Atomic uint32_t magic; /* PILLION_SEGMENT_MAGIC, stored last with release */
	uint16_t version; /* PILLION_WIRE_VERSION */
	uint16_t header_size; /* sizeof this struct, as the writer knew it */
	uint32_t pid; /* in the target's own PID namespace */
	uint32_t ppid;
	uint64_t size; /* of the whole segment */
	uint64_t start_mono_ns; /* CLOCK_MONOTONIC and CLOCK_REALTIME, read together */
	uint64_t start_real_ns;
	uint32_t lane_count;
	uint32_t lane_size; /* header and data of one thread's lane */
	uint64_t slots_off;
	uint64_t control_off;
	uint64_t control_size; /* header and data */
	uint64_t sampler_off;
	uint64_t sampler_size;
	uint64_t lanes_off;
	uint64_t period_ns; /* CPU time between two samples of a thread */
	uint64_t tick_ns; /* mean time between two ticks */
	uint32_t reason; /* enum pln_hello_reason */
	uint32_t clk_tck_ns; /* resolution of CPU-clock timers, 0: unknown */
	uint64_t burst_off; /* 0: no burst mode */
	uint64_t burst_size; /* struct pln_burst, nodes and cells */
	uint8_t reserved0[56];

	/* Written by the sampling thread. */
	_Alignas(64) _Atomic uint64_t heartbeat_ns; /* start of the last tick */
	_Atomic uint32_t state; /* enum pln_target_state */
	_Atomic uint32_t engine; /* enum pln_engine bits */
	_Atomic uint64_t ticks; /* while it was not dormant */
	_Atomic uint64_t sampler_cpu_ns; /* CPU clock of the sampling thread */
	_Atomic uint64_t process_cpu_ns; /* CPU clock of the process */
	_Atomic uint64_t table_bytes; /* memory held by unwind tables */
	_Atomic uint64_t private_bytes; /* other memory held by the library */
	_Atomic uint64_t dormant_ns; /* wall time in which nothing was sampled */

	/* Written by handlers, relaxed adds. */
	_Alignas(64) _Atomic uint64_t handler_calls;
	_Atomic uint64_t handler_ns; /* estimate: one handler call in 16 is timed */
	uint8_t reserved2[48];
	_Atomic uint64_t drops[16]; /* by enum pln_drop */

	/* Written by the collector. */
	_Alignas(64) _Atomic uint64_t collector_ns; /* heartbeat, CLOCK_MONOTONIC */
	_Atomic uint32_t command; /* enum pln_command */
	/*
	 * A wish from outside, that the target obeys once, as it would pillion_start() or
	 * pillion_stop(): 2 * n + 1 to start, 2 * n to stop, n the number of the wish; 0: none yet.
	 */
	_Atomic uint32_t wish;
	uint8_t reserved3[48];

	char executable[256]; /* /proc/self/exe, zero-padded */
	char arguments[1024]; /* /proc/self/cmdline, zero-separated, cut */

	/* Of threads that have no slot (any more), and of all at the last tick. */
	_Alignas(64) struct pln_alloc_counters heap_rest[PILLION_HEAP_COUNT];
	struct pln_alloc_counters heap_total[PILLION_HEAP_COUNT];
	_Atomic uint64_t peak_bytes; /* most that was live of malloc and mappings, and when */
	_Atomic uint64_t peak_ns;
	uint64_t inherited_bytes; /* live when the process was forked: not in the counts */
	_Atomic uint64_t finalizing_ns; /* when the interpreter began to go down, 0: not yet */
	_Atomic uint64_t brk_bytes; /* size of the area that the program break ends */
	_Atomic uint64_t brk_peak_bytes;
	char labels[PILLION_LABELS_SIZE]; /* "key=value,key=value", terminated */
	uint8_t reserved4[464];
};
static_assert(offsetof(struct pln_segment, size) == 16, "wire layout");
static_assert(offsetof(struct pln_segment, lane_count) == 40, "wire layout");
static_assert(offsetof(struct pln_segment, slots_off) == 48, "wire layout");
static_assert(offsetof(struct pln_segment, lanes_off) == 88, "wire layout");
static_assert(offsetof(struct pln_segment, period_ns) == 96, "wire layout");
static_assert(offsetof(struct pln_segment, burst_off) == 120, "wire layout");
static_assert(offsetof(struct pln_segment, heartbeat_ns) == 192, "wire layout");
static_assert(offsetof(struct pln_segment, handler_calls) == 256, "wire layout");
static_assert(offsetof(struct pln_segment, drops) == 320, "wire layout");
static_assert(offsetof(struct pln_segment, collector_ns) == 448, "wire layout");
static_assert(offsetof(struct pln_segment, wish) == 460, "wire layout");
static_assert(offsetof(struct pln_segment, executable) == 512, "wire layout");
static_assert(sizeof(struct pln_segment) <= 4096, "header fits a page");

enum pln_command {
	PILLION_COMMAND_RUN = 0,
	PILLION_COMMAND_STOP = 1, /* disarm, go quiet */
};

/* ------------------------------------------------------------------ burst */

/*
 * Burst mode counts stacks where they are found instead of streaming them. Written by the
 * sampling thread alone; the collector only reads. Stacks are paths in a tree of nodes; a
 * cell counts the time that one thread spent on one stack:
 *
 *   0          struct pln_burst                   (4096 bytes)
 *   nodes_off  struct pln_burst_node[node_max]    node 0 is the empty stack
 *   cells_off  struct pln_burst_cell[cell_max]
 *
 * Nodes and cells below the counts are whole and, but for the sums of a cell, never change.
 *
 *   covered_ns = held_ns + idle_ns + lost_ns,  held_ns = sum of cells + dropped_ns + owed_ns
 *
 * held_ns is behind by what was held since the last slice ended, some 10 ms.
 */
struct pln_burst {
	uint64_t asked_hz;
	uint64_t nodes_off; /* both from the start of this struct */
	uint64_t cells_off;
	uint32_t node_max;
	uint32_t cell_max;
	uint8_t reserved0[32];

	_Alignas(64) _Atomic uint64_t samples; /* stacks counted */
	_Atomic uint64_t torn; /* read while they changed: thrown away */
	_Atomic uint64_t idle; /* nobody held the GIL */
	_Atomic uint64_t full; /* stacks that there was no room for */
	_Atomic uint64_t covered_ns; /* time that the looks stand for */
	_Atomic uint64_t held_ns;
	_Atomic uint64_t idle_ns;
	_Atomic uint64_t lost_ns; /* between two looks that were too far apart */
	_Atomic uint64_t dropped_ns; /* of looks at stacks that are in no cell */
	_Atomic uint64_t far_ns; /* of covered_ns: between looks that were far apart */
	_Atomic uint32_t node_count; /* release: nodes below are whole */
	_Atomic uint32_t cell_count; /* release, and after the nodes that they name */
	_Atomic uint64_t owed_ns; /* of looks, taken by no whole stack since */
	uint8_t reserved1[3936];
};
static_assert(offsetof(struct pln_burst, samples) == 64, "wire layout");
static_assert(offsetof(struct pln_burst, node_count) == 144, "wire layout");
static_assert(offsetof(struct pln_burst, owed_ns) == 152, "wire layout");
static_assert(sizeof(struct pln_burst) == 4096, "wire layout");

struct pln_burst_node {
	uint64_t code; /* key of a struct pln_wire_code */
	uint32_t instr; /* as in struct pln_wire_frame */
	uint32_t parent; /* towards the root, a smaller number; 0: this is the root */
};
static_assert(sizeof(struct pln_burst_node) == 16, "wire layout");

struct pln_burst_cell {
	_Atomic uint64_t cpu_ns; /* time on this stack so far: on a CPU, */
	_Atomic uint64_t wait_ns; /* and held up, with the GIL */
	_Atomic uint64_t count; /* samples so far */
	uint32_t node; /* innermost frame */
	uint32_t thread; /* serial */
	uint32_t flags; /* PILLION_SAMPLE_PYTHON_TRUNCATED */
	uint32_t reserved;
};
static_assert(sizeof(struct pln_burst_cell) == 40, "wire layout");

/* ------------------------------------------------------------------ hello */

enum pln_hello_reason {
	PILLION_REASON_START = 0,
	PILLION_REASON_FORK = 1,
};

/*
 * One SOCK_SEQPACKET message with the memfd as SCM_RIGHTS, and behind it, where it could be
 * opened, the process's root directory (O_PATH): a collector in another container finds the
 * process's files by it. Identity comes from SO_PEERCRED; the pid here is only a label. A process
 * that could not make a segment says so: an error, and no memfd.
 */
struct pln_hello {
	uint32_t magic; /* PILLION_HELLO_MAGIC */
	uint16_t version; /* PILLION_WIRE_VERSION */
	uint16_t size;
	uint8_t token[PILLION_TOKEN_SIZE]; /* from PILLION_TOKEN */
	uint32_t pid;
	uint32_t ppid;
	uint32_t reason; /* enum pln_hello_reason */
	int32_t error; /* 0, or the errno for which there is no memfd */
	char build[24]; /* PILLION_VERSION of the library */
};
static_assert(sizeof(struct pln_hello) == 64, "wire layout");

struct pln_welcome {
	uint32_t magic; /* PILLION_HELLO_MAGIC */
	uint16_t version;
	uint16_t size;
	int32_t status; /* 0, or -errno: refused */
	char message[500]; /* why and what to do, terminated */
};
static_assert(sizeof(struct pln_welcome) == 512, "wire layout");

#endif
