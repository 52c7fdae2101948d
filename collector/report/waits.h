/* SPDX-License-Identifier: MIT */
/*
 * waits.h - where threads are off-CPU, and the Python lines that led there.
 */
#ifndef PILLION_COLLECTOR_WAITS_H
#define PILLION_COLLECTOR_WAITS_H

#include "report/totals.h"

enum pln_wait_kind {
	PLN_WAIT_SYSCALL = 0, /* blocked in a system call */
	PLN_WAIT_GIL = 1, /* blocked until the GIL is free */
	PLN_WAIT_ELSEWHERE = 2, /* blocked in no system call: page faults, or not known */
	/* Not one more way to wait, but a part of the others: */
	PLN_WAIT_HOLDING = 3, /* blocked while holding the GIL */
};

struct pln_wait_line {
	uint32_t wait; /* index of waits[] */
	uint32_t line; /* index of lines[] of the totals; PLN_NONE: no Python frame */
	uint64_t ns;
};

struct pln_wait {
	enum pln_wait_kind kind;
	int32_t syscall_nr;
	uint64_t offcpu_ns;
	uint64_t samples;
	size_t first_line; /* lines of it: lines[first_line .. first_line + line_count) */
	size_t line_count;
};

/* Most time first. Sums of offcpu_ns over all kinds but HOLDING equal all off-CPU time. */
struct pln_waits {
	struct pln_wait *waits;
	size_t count;
	struct pln_wait_line *lines; /* by wait, then most time first */
	size_t line_count;
};

/* Returns 0 or -errno. pln_waits_free() is due in either case. */
int pln_waits_compute(struct pln_waits *waits, const struct pln_aggregate *aggregate,
		      const struct pln_totals *totals);
void pln_waits_free(struct pln_waits *waits);

/* "futex (locks)", "epoll_wait", "waiting for the GIL". */
const char *pln_wait_name(const struct pln_wait *wait, char *buffer, size_t size);
/* The same as a JSON value: "syscall", "gil", "elsewhere", "holding_gil". */
const char *pln_wait_kind_key(enum pln_wait_kind kind);

#endif
