/* SPDX-License-Identifier: MIT */
/*
 * kernel_clock.h - the clocks of which records are.
 *
 * Targets read the kernel's, and so do we, also under a library that puts others in their place
 * (libfaketime).
 */
#ifndef PILLION_KERNEL_CLOCK_H
#define PILLION_KERNEL_CLOCK_H

#include <stdint.h>
#include <time.h>

#include <pillion/syscall.h>

/* A system call: async-signal-safe, and errno stays. 0 on failure. */
static inline uint64_t pln_kernel_clock_ns(int clock)
{
	struct timespec now = { 0 };

	(void)pln_syscall3(SYS_clock_gettime, clock, (long)&now, 0);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
