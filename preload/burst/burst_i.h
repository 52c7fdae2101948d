/* SPDX-License-Identifier: MIT */
/*
 * burst_i.h - what the files of this folder share. Everything here is the sampling thread's.
 */
#ifndef PILLION_PRELOAD_BURST_I_H
#define PILLION_PRELOAD_BURST_I_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pillion/wire.h>

#include "python/instruction.h"
#include "python/layout.h"

/* Links of a chain that are kept: frames, and the shims between them. */
#define PLN_BURST_STEPS 1280

/* In the low bits of pln_burst_step.code; objects are aligned to 8. */
#define PLN_BURST_GENERATOR 1u
#define PLN_BURST_SHIM 2u
#define PLN_BURST_ENTRY 4u /* outermost of its C eval call (3.11) */
#define PLN_BURST_TAGS 7u

/* One link of a chain as it was read: enough to tell two stacks apart, and to read it again. */
struct pln_burst_step {
	uintptr_t code; /* address of the code object, and the bits above */
	uint64_t instr; /* pointer (3.11+) or index */
};

struct pln_burst_stack {
	struct pln_burst_step steps[PLN_BURST_STEPS]; /* innermost first */
	uintptr_t address[PLN_BURST_STEPS + 1]; /* of each, and of what comes behind the last */
	unsigned count;
	unsigned frames; /* without shims, as it was read from the innermost on */
	struct pln_burst_step innermost; /* that is no shim, at first; no code: none was read */
	struct pln_burst_step running; /* of a whole stack: the one that it shows */
	bool truncated;
	bool is_chain; /* ends where chains end, or is truncated */
	uint32_t thread; /* serial; 0: not known */
	uint32_t tid;
	uint64_t read_ns; /* when nothing more was read of it */
};

enum pln_burst_outcome {
	PLN_BURST_IDLE, /* nobody holds the GIL */
	PLN_BURST_WHOLE,
	PLN_BURST_TORN,
	PLN_BURST_STRANGER, /* it is held by a thread of which nothing is known */
};

/* What became of a stack that was read. */
enum pln_burst_counted {
	PLN_BURST_COUNTED,
	PLN_BURST_FULL, /* no room for its stack */
	PLN_BURST_IMPLAUSIBLE, /* code objects and instructions do not go together: torn */
};

/* ---------------------------------------------------------------- walk.c */

struct pln_burst_window;

/* Once: the interpreter's own data; empty: it was not found. */
void pln_burst_walk_stand_on(const struct pln_burst_window *data);

/* After each tick, before the first look: what the walk stands on. False: cannot be read (yet). */
bool pln_burst_walk_prepare(void);

/*
 * One look, into *stack, which is to be the same one each time: what it holds of earlier looks is
 * made use of, unless is_chain is unset. `politely`: the program is let alone after pages were
 * copied.
 */
enum pln_burst_outcome pln_burst_walk(struct pln_burst_stack *stack, bool politely);

/*
 * What so many looks, at so many links in all, take at most if nobody writes meanwhile.
 * UINT64_MAX: not known.
 */
uint64_t pln_burst_walk_clean_ns(uint64_t looks, uint64_t links);

/* -------------------------------------------------------------- chunks.c */

/* Known to be mapped, until after pln_burst_chunks_leave(). */
struct pln_burst_window {
	uintptr_t lo;
	uintptr_t hi;
};

void pln_burst_chunks_begin(void);
void pln_burst_chunks_reset(void);

/* Around each look: what is in between must follow every pointer anew. */
void pln_burst_chunks_enter(void);
void pln_burst_chunks_leave(void);

/* The chunk that starts at `address`. False: not known. */
bool pln_burst_chunk_find(uintptr_t address, struct pln_burst_window *window);

/*
 * Makes a chunk known, if there is one at `address`. Even so it may be on its way out: only
 * a pointer to it that is read after this call vouches for it.
 */
void pln_burst_chunk_learn(uintptr_t address);

/* -------------------------------------------------------------- mirror.c */

/* Reads all pages anew that were used lately. False: there are none. */
bool pln_burst_mirror_refresh(void);
bool pln_burst_mirror_is_used(void);

/* A copy of `size` <= 512 bytes at `address`, valid until the next call; NULL: not readable. */
const unsigned char *pln_burst_mirror_peek(uintptr_t address, size_t size);

void pln_burst_mirror_reset(void);

/* --------------------------------------------------------------- codes.c */

struct pln_burst_code {
	uintptr_t address; /* 0: nothing here */
	uint64_t key; /* 0: no code object is there */
	uintptr_t start; /* of the bytecode (3.11+) */
	uint32_t size; /* of the bytecode, in bytes */
	int32_t first; /* offset of the first instruction that is shown */
	uint32_t slice; /* when it was last met */
};

/*
 * Ends a slice: looks again at all that were met in it, and returns how many are stale: no
 * longer what they were. They are known until pln_burst_codes_forget_stale().
 */
unsigned pln_burst_codes_end_slice(const struct pln_layout *layout);
bool pln_burst_code_is_stale(uint64_t key);
void pln_burst_codes_forget_stale(void);

uint32_t pln_burst_codes_slice(void);

/* Grows whenever an address turns out to be another code object than before. */
uint32_t pln_burst_codes_changes(void);

/* As it was in this slice. NULL: there is no code object. */
const struct pln_burst_code *pln_burst_code(const struct pln_layout *layout, uintptr_t address);

/* Whether the frame is to be shown, and the offset of its instruction. */
enum pln_frame_verdict pln_burst_code_instr(const struct pln_layout *layout,
					    const struct pln_burst_code *code,
					    const struct pln_burst_step *step, uint32_t *instr);

/* Tells the collector about a code object, once. */
enum pln_burst_counted pln_burst_code_describe(const struct pln_burst_code *code);

void pln_burst_codes_reset(void);

/* --------------------------------------------------------------- table.c */

void pln_burst_table_place(struct pln_burst *shared);
bool pln_burst_table_reset(void);

/* The number of the stack's cell. */
enum pln_burst_counted pln_burst_table_find(const struct pln_burst_stack *stack, uint32_t *cell);

/* One sample, and the time that it stands for: kept back until the end of the slice. */
void pln_burst_table_add(uint32_t cell, uint64_t cpu_ns, uint64_t wait_ns);

/* The same, without a sample. */
void pln_burst_table_give(uint32_t cell, uint64_t cpu_ns);

/* Time of a look that is in no stack, nor owed to any. */
void pln_burst_table_drop(uint64_t ns);

/* Ends a slice: counts what was kept back in it, if its code objects are what they were. */
void pln_burst_table_end_slice(void);

/* ---------------------------------------------------------------- owed.c */

/* What looks at this are owed. 0: no room. Valid until pln_burst_owed_settle(). */
uint32_t pln_burst_owed_find(uint32_t thread, const struct pln_burst_step *innermost);

void pln_burst_owed_add(uint32_t debt, uint64_t cpu_ns, uint64_t wait_ns);

/* All of it, for a whole stack. */
void pln_burst_owed_take(uint32_t debt, uint64_t *cpu_ns, uint64_t *wait_ns);

/*
 * What thread `thread` ran between looks that were `far` apart. 0: nothing to share, or no room.
 * The whole stack of a cell that ran itself for `ran_ns` takes its share. Valid as above.
 */
uint32_t pln_burst_owed_find_shared(uint32_t thread, bool far);
void pln_burst_owed_add_shared(uint32_t debt, uint64_t cpu_ns);
uint64_t pln_burst_owed_take_share(uint32_t debt, uint32_t cell, uint64_t ran_ns);

/* The sum of what is not taken. */
uint64_t pln_burst_owed_ns(void);

/*
 * Between two slices: what was not taken for long goes to the code object, and what was to be
 * shared to the cell that took some last.
 */
void pln_burst_owed_settle(uint64_t now_ns);

/* When sampling stops: what is still to be shared is not for what runs when it begins again. */
void pln_burst_owed_stop_sharing(void);

void pln_burst_owed_reset(void);

/* -------------------------------------------------------------- window.c */

#define PLN_BURST_NO_CELL UINT32_MAX

/*
 * A look at thread `tid` at `now_ns`, which stands for the last `ns`: to whom they are owed,
 * and the stack that was seen whole and takes what is owed to its own kind.
 */
struct pln_burst_seen {
	uint32_t tid;
	uint32_t debt; /* 0: owed to nobody, it is dropped */
	uint32_t cell; /* or PLN_BURST_NO_CELL */
	uint32_t taken; /* debt */
	uint32_t shared; /* debt */
	bool far; /* too long a time to be said to have been spent at what is seen */
	uint64_t ns;
	uint64_t now_ns;
};

void pln_burst_window_add(const struct pln_burst_seen *seen);

/* Counts what is kept back; the thread goes on. */
void pln_burst_window_flush(void);

/* The same, and it no longer holds the GIL. */
void pln_burst_window_close(void);

void pln_burst_window_reset(void);

#endif
