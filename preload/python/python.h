/* SPDX-License-Identifier: MIT */
/*
 * python.h - the interpreter as data: find it, check it, walk its frames, describe
 * its code objects, read its GIL.
 *
 * runtime.c finds the interpreter and follows it from start to end, section.c finds it
 * without symbols, selfcheck.c lets CPython check what we read, layout_*.c hold structure
 * layouts as data, state.c finds the thread state of a thread, frames.c walks, code.c
 * describes code objects (keyset.c remembers which), gil.c reads the GIL, pending.c has the
 * interpreter call us. No function of CPython is called on a sampled path.
 */
#ifndef PILLION_PRELOAD_PYTHON_H
#define PILLION_PRELOAD_PYTHON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pillion/wire.h>

#include "native/native.h"

/* -------------------------------------------------- finding the interpreter */

/*
 * Context: constructor, or our pthread_condattr_setclock() when the caller may be
 * an interpreter that initializes itself; not a handler. Looks for _PyRuntime in
 * the global scope, then in the module around `hint` (0: none; finds interpreters
 * that were dlopen'ed RTLD_LOCAL or are stripped static ones, by .PyRuntime).
 * Returns true when one is found; its address range is then known. Idempotent.
 */
bool pln_python_find(uintptr_t hint);

/* The program is, or links, an interpreter. */
bool pln_python_is_linked(void);

/*
 * Context: constructor. The program is, or links, a CPython that is older than any whose
 * frames can be read: native only, and the profile says so.
 */
bool pln_python_find_too_old(void);

/* Address of _PyRuntime, 0 when not found. */
uintptr_t pln_python_runtime(void);

/* Address of an exported object of the interpreter, NULL: not exported. Not in a handler. */
void *pln_python_symbol(const char *name);

/*
 * Context: sampling thread, every tick until it has settled, now and then from then on. Moves the
 * state machine: waits for the runtime to be initialized, picks the layout, asks the interpreter to
 * check it (a pending call that compares our reading with CPython's own API), notices finalization.
 * Returns true when `info` was filled in, all but its time_ns, and should be published: FOUND first
 * (frames are read from then on, with checked reads only), then CHECKED (in place where that is
 * safe), or REFUSED at any time. The main thread makes the pending call when it next runs Python:
 * until then it stays at FOUND.
 */
bool pln_python_poll(struct pln_wire_interpreter *info);

/* Async-signal-safe. Python frames may be read now (initialized, not refused, not finalizing). */
bool pln_python_ready_sigsafe(void);

/* This interpreter cannot be read, and is left alone. */
bool pln_python_is_refused(void);

/* Async-signal-safe. The runtime is being finalized. */
bool pln_python_finalizing_sigsafe(void);

/* A call that the interpreter is to make, of static storage; all zero but for `make` at first. */
struct pln_python_call {
	void (*make)(void); /* on its main thread, between two instructions, holding the GIL */
	enum {
		PLN_CALL_NONE, /* set this to ask anew */
		PLN_CALL_ASKED,
		PLN_CALL_NUDGED,
	} state;
};

/*
 * Context: sampling thread, at each tick until the call was made, while the interpreter is ready.
 * It is made when the main thread next runs Python. False: this interpreter cannot be asked.
 */
bool pln_python_ask(struct pln_python_call *call);

/*
 * Context: handler, on the interpreter's main thread only. Makes CPython 3.9 to 3.12 look
 * for a call that it was asked for, if one waits.
 */
void pln_python_nudge_sigsafe(void);

/* -------------------------------------------------------------- walking */

/* One Python frame; wire form but for the marker, which is an absolute address here. */
struct pln_python_frame {
	uint64_t code; /* key; 0 when the frame could not be identified */
	uintptr_t code_addr;
	uint32_t instr;
	uintptr_t marker; /* 0: none */
};

struct pln_python_walk {
	struct pln_python_frame *frames;
	unsigned max;
	unsigned count;
	bool has_tstate;
	bool truncated; /* chain cut: depth, or a frame that was refused */
	bool failed; /* thread state or first frame refused: no frames */
	bool no_markers; /* 3.8/3.9 */
	uint8_t gil; /* enum pln_gil, without the futex check of blocked threads */
};

/*
 * Context: handler. Starts to load what a walk will need, which is mostly what the last one
 * of this thread did: `frames` has up to `max` of its frames, then one without code_addr.
 */
void pln_python_prefetch_sigsafe(const struct pln_python_frame *frames, unsigned max);

/*
 * Context: handler, on the sampled thread. `stack` is its live stack. Memory that
 * is proven live (own stack, own data-stack chunks, frames and code objects that
 * the running chain of frames keeps alive) is read directly, anything else through
 * a checked read.
 */
void pln_python_walk_self_sigsafe(const struct pln_stack *stack, struct pln_python_walk *out);

/*
 * Context: sampling thread, for a blocked thread; everything through checked reads,
 * batched. `tid` identifies the thread for 3.11+, `pthread_self_value` (0: unknown) for
 * 3.8 to 3.10: without it those versions find no thread state. `stack` may be a copy.
 * The caller verifies afterwards that the thread did not run meanwhile. False: whether it
 * has a thread state cannot be told before the next tick.
 */
bool pln_python_walk_blocked(uint32_t tid, uintptr_t pthread_self_value,
			     const struct pln_stack *stack, struct pln_python_walk *out);

/*
 * Context: handler. Whether the code object behind `frame` must be described in the
 * lane before a sample may refer to it. True until pln_python_code_described_sigsafe().
 */
bool pln_python_code_is_new_sigsafe(const struct pln_python_frame *frame);

/*
 * Context: handler, or sampling thread. Writes a struct pln_wire_code record of at most
 * `max` bytes to dst. Returns its size, 0 when it could not be read. Through checked reads.
 */
uint32_t pln_python_describe_sigsafe(const struct pln_python_frame *frame, void *dst, uint32_t max);

/* After the record was committed. Other threads may rely on it from now on. */
void pln_python_code_described_sigsafe(const struct pln_python_frame *frame);

/* Forget what was described (new segment after fork). */
void pln_python_forget_codes(void);

/* ------------------------------------------------------------------ GIL */

/* What pthread_self() returns, without a call into a page of libc that is not in use. */
static inline uintptr_t pln_python_thread_pointer_sigsafe(void)
{
	uintptr_t tp;

	__asm__("mov %%fs:0, %0" : "=r"(tp));
	return tp;
}

/*
 * Async-signal-safe. While the interpreter is finalized, when no frames are read any more:
 * the enum pln_gil of the thread with this pthread_self().
 */
uint8_t pln_python_gil_at_end_sigsafe(uintptr_t pthread_self_value);

/* Sampling thread: a thread blocked in futex on `addr` waits for the GIL. */
bool pln_python_is_gil_futex(uintptr_t addr);

/* Context: sampling thread, every tick: what was seen of threads and GILs may be stale. */
void pln_python_tick(void);

/* In a forked child, before the sampling thread starts again. */
void pln_python_after_fork(void);

#endif
