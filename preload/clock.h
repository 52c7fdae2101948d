/* SPDX-License-Identifier: MIT */
/*
 * clock.h - the clocks that samples and ticks read.
 *
 * The kernel's, whatever the program's are: libfaketime and the like put a clock_gettime() of
 * their own before libc's, with another time, and locks that a handler would wait for.
 */
#ifndef PILLION_PRELOAD_CLOCK_H
#define PILLION_PRELOAD_CLOCK_H

#include <stdint.h>
#include <time.h>

#include <pillion/kernel_clock.h>

#include "export.h"

#define PLN_SECOND_NS 1000000000ull

/* As clock_gettime(), but -errno on failure. In the vdso, or a system call where that has none. */
typedef int (*pln_clock_read_fn)(clockid_t clock, struct timespec *ts);
extern PLN_OWN pln_clock_read_fn pln_clock_read_sigsafe;

/* Before the first handler; until then each reading is a system call. */
void pln_clock_init(void);

/* No system call, mostly. */
static inline uint64_t pln_now_ns_sigsafe(void)
{
	struct timespec ts;

	(void)pln_clock_read_sigsafe(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * PLN_SECOND_NS + (uint64_t)ts.tv_nsec;
}

/* Raw, because errors (a thread that is gone) must not touch errno. 0 on failure. */
static inline uint64_t pln_clock_ns_sigsafe(clockid_t clock)
{
	return pln_kernel_clock_ns(clock);
}

/* CPU clock of any thread of this process: per-thread, scheduler precision. */
static inline clockid_t pln_thread_clock(uint32_t tid)
{
	return (clockid_t)(~tid << 3) | 6;
}

#endif
