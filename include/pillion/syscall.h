/* SPDX-License-Identifier: MIT */
/*
 * syscall.h - raw system calls: no errno, no cancellation point, no lazy binding.
 *
 * Returns what the kernel returns: -errno on failure.
 */
#ifndef PILLION_SYSCALL_H
#define PILLION_SYSCALL_H

#include <sys/syscall.h>

#if !defined(__x86_64__)
#error "Pillion reads stacks of x86-64 Linux only"
#endif

static inline long pln_syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static inline long pln_syscall4(long nr, long a, long b, long c, long d)
{
	return pln_syscall6(nr, a, b, c, d, 0, 0);
}

static inline long pln_syscall3(long nr, long a, long b, long c)
{
	return pln_syscall6(nr, a, b, c, 0, 0, 0);
}

static inline long pln_getpid_sigsafe(void)
{
	return pln_syscall3(SYS_getpid, 0, 0, 0);
}

static inline long pln_gettid_sigsafe(void)
{
	return pln_syscall3(SYS_gettid, 0, 0, 0);
}

#endif
