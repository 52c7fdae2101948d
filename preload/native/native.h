/* SPDX-License-Identifier: MIT */
/*
 * native.h - native stacks by own compact unwind tables.
 *
 * modules.c keeps the list of loaded modules, table.c and cfi.c turn a module's
 * .eh_frame into 8-byte rows, walk.c walks, guess.c crosses code without tables.
 * The refresh side runs on the sampling thread only; the walk side is async-
 * signal-safe, takes no lock, and never touches memory outside of the stack that
 * it was given and our own tables (and, in guess.c, the text of mapped modules
 * through a checked read or a copy).
 */
#ifndef PILLION_PRELOAD_NATIVE_H
#define PILLION_PRELOAD_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A stack to walk: the word at address a of [lo, hi) is read from bytes + (a - lo).
 * The live stack of the sampled thread has bytes == (void *)lo, and lo at best 128 below
 * sp: the red zone, which a signal leaves alone and some epilogues' rules name. A copy of
 * a blocked thread's stack has bytes pointing at the copy. All of the range must be
 * mapped: hi is the end of the stack itself, not of a mapping that it may share with a
 * neighbour.
 */
struct pln_stack {
	uintptr_t lo;
	uintptr_t hi;
	const unsigned char *bytes;
};

/* Registers that a walk starts from. `known` has PLN_REG_* bits. */
struct pln_regs {
	uintptr_t pc;
	uintptr_t sp;
	uintptr_t bp;
	uintptr_t bx;
	uintptr_t r10; /* CFA register of realigned prologues */
	uintptr_t r11; /* CFA register of prologues that probe the pages of a large frame */
	unsigned known;
};
#define PLN_REG_BP 1u
#define PLN_REG_BX 2u
#define PLN_REG_R10 4u
#define PLN_REG_R11 8u

enum pln_walk_end {
	PLN_WALK_ROOT = 0, /* the outermost frame (return address undefined or 0) */
	PLN_WALK_DEPTH = 1, /* out of room */
	PLN_WALK_NO_TABLE = 2, /* a pc in a module whose table is not built yet: now wanted */
	PLN_WALK_NO_ROW = 3, /* a rule that the tables cannot express */
	PLN_WALK_BAD_STACK = 4, /* CFA outside of the stack, or not moving outwards */
	PLN_WALK_UNKNOWN_PC = 5, /* a pc in no known module, and no frame pointer helped */
};

/*
 * Result of a walk: frame i has pc[i] (frame 0 and the frame behind a signal
 * frame: the instruction itself; all others: the return address) and cfa[i], the
 * stack pointer of its caller. So frame i lies in [cfa[i-1], cfa[i]), frame 0 in
 * [regs->sp, cfa[0]). The last frame's cfa may be 0 when it was not computed.
 * The caller owns the arrays.
 */
struct pln_native_walk {
	uint64_t *pc;
	uint64_t *cfa;
	uint8_t *guessed; /* 1: frame i was found by guessing */
	unsigned max;
	unsigned count;
	enum pln_walk_end end;
	bool any_guessed;
	struct pln_regs stop_regs; /* where the walk stopped: registers of the last frame */
};

/* Context: handler or sampling thread. Fills `out`; never fails otherwise than by out->end. */
void pln_native_walk_sigsafe(const struct pln_stack *stack, const struct pln_regs *regs,
			     struct pln_native_walk *out);

/* Starts to load what a walk of the stack that ends at `top`, from `pc`, will need. */
void pln_native_prefetch_sigsafe(uintptr_t top, uintptr_t pc);

/* ------------------------------------------------- sampling thread only */

struct pln_module {
	uintptr_t lo; /* executable range [lo, hi) */
	uintptr_t hi;
	uintptr_t bias;
	uintptr_t eh_frame_hdr; /* 0: none */
	size_t eh_frame_hdr_size;
	uint8_t build_id[32];
	unsigned build_id_size;
	char path[512]; /* "[vdso]" for the vdso; /proc/self/exe resolved for the program */
};

struct pln_module_events {
	void (*added)(const struct pln_module *module, void *arg);
	void (*gone)(const struct pln_module *module, void *arg);
	void *arg;
	bool no_tables; /* only tell: no table is wanted, or not yet */
};

/* Once, before anything else. Returns 0 or -errno. */
int pln_native_init(void);

/*
 * Looks for modules that came or went (cheap when none did: compares the loader's
 * counters), tells `events`, and builds the tables of modules that walks asked
 * for; those of the interpreter and of libc are built at once.
 * Returns the number of modules that came or went, or -errno.
 */
int pln_native_refresh(const struct pln_module_events *events);

/*
 * Whether a walk met a pc in no module, or a module without a table, since the last
 * refresh: it pays to refresh before the next tick.
 */
bool pln_native_refresh_is_due(void);

/* Builds the table of the module around pc now. */
void pln_native_want(uintptr_t pc);

/* Bytes of memory held by tables. */
size_t pln_native_table_bytes(void);

/*
 * In a forked child, before the sampling thread starts again: what the parent built
 * stays valid. The next refresh announces every module again, for the new segment. The
 * parent must not fork while its sampling thread is in a function of this section: it
 * may hold the loader's lock.
 */
void pln_native_after_fork(void);

#endif
