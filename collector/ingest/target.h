/* SPDX-License-Identifier: MIT */
/*
 * target.h - one process that is followed, from its hello to its end.
 *
 * Ids (uint32_t) are those of the profile. Private to ingest/.
 */
#ifndef PILLION_COLLECTOR_TARGET_H
#define PILLION_COLLECTOR_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ingest/loop.h"
#include "ingest/modules.h"
#include "ingest/segment.h"
#include "ingest/tables.h"
#include "profile/model.h"
#include "profile/writer.h"
#include "stacks/stacks.h"

/* How far a target's clock may be ahead of the drain that reads it. */
#define PLN_TARGET_AHEAD_NS 1000000000u

/* A stack as last seen, for samples that say "as before". */
struct pln_last_stack {
	uint64_t hash;
	uint32_t stack; /* PLN_NONE: none, or an empty one */
	uint32_t row_flags; /* PLN_ROW_* that go with it */
	int32_t syscall_nr;
	uint8_t gil;
	bool valid;
};

/* What earlier files have of a thread: the profile may go on in a new one. */
struct pln_thread_before {
	uint64_t until_ns; /* 0: it is in this file only */
	uint64_t cpu_ns;
	uint64_t dormant_cpu_ns;
	uint64_t dormant_wall_ns;
	struct pln_heap_counts heap[PILLION_HEAP_COUNT];
};

struct pln_target_thread {
	uint32_t id;
	bool dirty; /* the writer does not know the row's newest values */
	struct pln_thread row; /* row.name points at name */
	char name[17];
	uint64_t sampled_cpu_ns; /* what rows stand for so far */
	uint64_t clock_base_ns; /* its CPU clock before it was ours */
	uint64_t pending_runnable_ns; /* measured, not yet in a row */
	struct pln_thread_before before;
	uint64_t prepaid_offcpu_ns; /* in rows, though the target has yet to tell of it */
	uint64_t prepaid_runnable_ns;
	struct pln_last_stack last[2]; /* in its own lane, in the sampling thread's */
};

struct pln_target_code {
	uint32_t function; /* id; PLN_NONE: not in this file yet */
	char *name, *file; /* NULL: not described */
	uint32_t first_line;
	uint32_t linetable_size;
	uint8_t linetable_kind;
	bool described; /* false: seen in a stack, and nothing else known */
	uint8_t *linetable;
};

struct pln_root;

/* Scratch for one sample, shared by all targets of a session. */
struct pln_scratch;

/* Sampled blocks that are live, or freed before we met them: see blocks.c. */
struct pln_target_blocks {
	struct pln_target_block *rows;
	size_t count, capacity;
	size_t early; /* of count: frees that wait for their block */
};

struct pln_target {
	struct pln_tables *tables;
	struct pln_writer *writer;
	struct pln_scratch *scratch;
	uint32_t id;
	pid_t pid; /* as we see it; 0: in a namespace that we cannot see into */
	struct pln_watch pidfd; /* fd -1: none */
	struct pln_segment_view segment;
	struct pln_process row;
	bool has_moved; /* it is not in its first file any more */
	struct pln_process before; /* of sums: of earlier files, and from before an exec */
	char *executable, *command;
	char layout[33];
	char layout_detail[65];
	struct pln_root *root; /* NULL: it sees the files that we see, or has all its names */
	bool ended; /* nothing will be drained any more */
	bool wants_exit_status; /* ended, but its parent has not reaped it yet */

	struct pln_intern *serials; /* thread serial -> index of threads[] */
	struct pln_target_thread *threads;
	size_t thread_count, thread_capacity;
	bool told_too_many_threads; /* in this file */
	struct pln_intern *code_keys; /* code key -> index of codes[] */
	struct pln_target_code *codes;
	size_t code_count, code_capacity;
	struct pln_module_list modules;
	struct pln_unwinder *unwinder; /* made when the first snapshot comes */

	/* Frames already resolved; holds for samples newer than the last change of modules. */
	struct pln_intern *resolved_keys;
	uint32_t *resolved; /* frame ids */
	size_t resolved_count, resolved_capacity;

	struct pln_target_blocks blocks;
	uint64_t heap_point_ns; /* of the newest point of the heap's timeline */
	struct pln_heap_point heap_point; /* itself */

	uint64_t eval_lo, eval_hi;
	uint64_t drain_ns; /* when the drain that is going on began */
	uint64_t beat_ns; /* start of the target's last tick that we saw */
	uint64_t told_until_ns; /* modules that were loaded by then, it has told of */
	uint64_t sample_time_ns; /* of the walk that is being finished */
	uint64_t samples;
	struct pln_target_burst *burst; /* NULL: not in burst mode, or nothing noted yet */
};

/* ------------------------------------------------------------- target.c */

struct pln_target_hello {
	struct pln_segment_view segment; /* taken over */
	pid_t pid;
	int pidfd; /* taken over; -1: none */
	int root_fd; /* its root directory, as it gave it to us; taken over; -1: none */
};

/* Adds the process to the profile. NULL: no memory (the hello is released all the same). */
struct pln_target *pln_target_new(struct pln_tables *tables, struct pln_scratch *scratch,
				  struct pln_target_hello *hello);

/* The rows of process and threads, with the newest totals, to the writer. */
void pln_target_publish(struct pln_target *t);

/* The same, of all threads and to the last: its file ends here, and not the process. */
void pln_target_publish_all(struct pln_target *t);

/* Whether the process is gone; asks the kernel when there is no pidfd to tell. */
bool pln_target_is_gone(struct pln_target *t, uint64_t now_ns);

/*
 * Drains what is left, records the end and lets go of the segment. `gone`: it ended now,
 * else it runs on without us.
 */
void pln_target_end(struct pln_target *t, uint64_t now_ns, bool gone);

/* What it is called, to the writer; once for each file. */
void pln_target_add_labels(struct pln_target *t);

/* Asks again for the exit status of an ended process; its pidfd is held for no longer than that. */
void pln_target_collect_status(struct pln_target *t);

void pln_target_free(struct pln_target *t);

/* -------------------------------------------------------------- carry.c */

/*
 * Its file was full or old: from now on it is in that of `to`, with sums that start at 0; a
 * process that was forked here would look the same. What was drained is in the old file. Returns
 * false when memory ran out, before anything was done.
 */
bool pln_target_carry(struct pln_target *t, struct pln_tables *to, uint64_t now_ns);

/* ------------------------------------------------------------- blocks.c */

void pln_target_add_block(struct pln_target *t, uint64_t id, const struct pln_block_row *row);
void pln_target_take_free(struct pln_target *t, const struct pln_wire_free *rec);
void pln_target_free_blocks(struct pln_target *t);
/* Blocks that are live belong to the file that they are in: frees of them are not told to a new
 * one. */
void pln_target_disown_blocks(struct pln_target *t);

/* Exact counts: of one thread; of the process, into its row; a point of them in time. */
/* What earlier files have is more than there is only when the target makes it so. */
static inline uint64_t pln_since(uint64_t value, uint64_t before)
{
	return value > before ? value - before : 0;
}

void pln_target_copy_heap(struct pln_heap_counts *heap, const struct pln_alloc_counters *counters);
/* Of malloc and mappings, by the counts in the row. */
uint64_t pln_target_live_bytes(const struct pln_target *t);
void pln_target_subtract_heap(struct pln_heap_counts *heap, const struct pln_heap_counts *before);
void pln_target_add_heap(struct pln_heap_counts *before, const struct pln_heap_counts *heap);
void pln_target_read_heap(struct pln_target *t, bool gone);
/* Adds a point to the timeline, as of the last drain; to be called at each. */
void pln_target_follow_heap(struct pln_target *t);

/* -------------------------------------------------------------- drain.c */

/*
 * Takes what is committed by now (`now_ns`); the `last` time, nothing waits for what may explain
 * it. Returns how full the fullest lane was, in percent.
 */
unsigned pln_target_drain(struct pln_target *t, uint64_t now_ns, bool last);

/* The row's clocks count from the thread's start: takes off them what earlier files have. */
void pln_target_thread_since(struct pln_target_thread *thread);

/* ------------------------------------------------------------ records.c */

/*
 * `rec` is our copy of a record, with its checked size. What makes no sense is counted
 * in row.lost_records.
 */
void pln_target_take_record(struct pln_target *t, const struct pln_record *rec);

/*
 * The thread of a serial, added when it was not announced yet. NULL: no memory, or too many of
 * them; counted as a lost record.
 */
struct pln_target_thread *pln_target_thread(struct pln_target *t, uint32_t serial);

/* The code object of a key, added as unknown when it was not described. NULL: no memory. */
struct pln_target_code *pln_target_code(struct pln_target *t, uint64_t key);

/* The id of its function in this file. PLN_NONE: no memory. */
uint32_t pln_target_function(struct pln_target *t, struct pln_target_code *code);

/* ------------------------------------------------------------ samples.c */

struct pln_scratch *pln_scratch_new(void);
void pln_scratch_free(struct pln_scratch *s);

/*
 * Whether the sample has addresses of no module that we know, and is so new that the target may
 * still tell of one; for `at_most_ns` after it was taken.
 */
bool pln_target_sample_is_early(const struct pln_target *t, const struct pln_record *rec,
				uint64_t at_most_ns);

/* A record of type SAMPLE; `from_sampler` tells the lane. */
void pln_target_take_sample(struct pln_target *t, const struct pln_record *rec, bool from_sampler);

/*
 * The process ended, or the file: time that a thread was measured to wait, but that no sample
 * stands for yet, goes to the stack on which it was last seen waiting (for a CPU: running). Clocks
 * have been read before.
 */
void pln_target_charge_pending(struct pln_target *t);

/* Id of the frame at `instr` of the code object with `key`. PLN_NONE: no memory. */
uint32_t pln_target_python_frame(struct pln_target *t, uint64_t key, uint32_t instr);

/* The maps changed: forgets what pcs were resolved to. */
void pln_target_forget_resolved(struct pln_target *t);

/* ---------------------------------------------------------- exitstatus.c */

#define PLN_EXIT_NOT_YET (-1)
#define PLN_EXIT_NEVER_TOLD (-2) /* it was somebody else's child, and the kernel is too old */

/* Returns a descriptor of the process that has the number now, or -1 with errno. */
int pln_pidfd_open(pid_t pid);

/* How the process of `pidfd` ended: wait(2) form, or one of PLN_EXIT_*. */
int pln_exit_status(int pidfd);

#endif
