/* SPDX-License-Identifier: MIT */
/*
 * blocked.h - the stack of a thread that waits in the kernel, read without a signal.
 */
#ifndef PILLION_PRELOAD_BLOCKED_H
#define PILLION_PRELOAD_BLOCKED_H

#include <stdbool.h>
#include <stdint.h>

#include "sampling/threads.h"

enum pln_blocked_state {
	PLN_BLOCKED_RUNNING = 0, /* on a CPU, or waiting for one */
	PLN_BLOCKED_WAITING = 1, /* in the kernel; the fields below are set */
	PLN_BLOCKED_GONE = 2,
	PLN_BLOCKED_UNKNOWN = 3, /* /proc does not say (not available here) */
};

struct pln_blocked {
	int32_t syscall_nr; /* -1: blocked outside of a system call (page fault) */
	uint64_t args[6];
	uintptr_t sp;
	uintptr_t pc;
};

/* Once, on the sampling thread. False: blocked threads cannot be read here. */
bool pln_blocked_init(void);

/* What `thread` does now, by /proc/self/task/TID/syscall. */
enum pln_blocked_state pln_blocked_probe(struct pln_thread *thread, struct pln_blocked *out);

/*
 * Writes a sample of the waiting thread to the sampler's lane, standing for `offcpu_ns`,
 * unless it woke up meanwhile. `cpu_ns` is its CPU clock before the probe: if it still
 * reads the same afterwards, the thread has not run, and what was read is true. Returns
 * whether the record was written; if not, the next tick tries again.
 */
bool pln_blocked_sample(struct pln_thread *thread, const struct pln_blocked *blocked,
			uint64_t cpu_ns, uint64_t offcpu_ns);

/* Time passed on the stack of the last blocked sample. */
bool pln_blocked_repeat(struct pln_thread *thread, uint64_t offcpu_ns, uint64_t runnable_ns,
			uint8_t cause);

#endif
