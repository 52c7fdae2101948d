/* SPDX-License-Identifier: MIT */
/*
 * checked_read.c - process_vm_readv on ourselves, as a raw system call.
 *
 * Context: any, async-signal-safe. errno is preserved because the libc wrapper is
 * not used.
 */
#include "checked_read.h"

#include <sys/syscall.h>
#include <sys/uio.h>

#include "syscall.h"

#define MAX_PARTS 64

static bool works;

bool pln_checked_read_init(void)
{
	static const char probe[128] = "pillion";
	char copy[sizeof(probe)];

	works = pln_checked_read_some_sigsafe((uintptr_t)probe, copy, sizeof(copy)) == sizeof(copy);
	return works;
}

bool pln_checked_read_works_sigsafe(void)
{
	return works;
}

size_t pln_checked_read_some_sigsafe(uintptr_t addr, void *dst, size_t size)
{
	struct iovec local = { dst, size };
	struct iovec remote = { (void *)addr, size };
	long n = pln_syscall6(SYS_process_vm_readv, pln_getpid_sigsafe(), (long)&local, 1,
			      (long)&remote, 1, 0);

	return n < 0 ? 0 : (size_t)n;
}

bool pln_checked_read_sigsafe(uintptr_t addr, void *dst, size_t size)
{
	return pln_checked_read_some_sigsafe(addr, dst, size) == size;
}

unsigned pln_checked_read_parts_sigsafe(const struct pln_read_part *parts, unsigned count)
{
	struct iovec local[MAX_PARTS], remote[MAX_PARTS];
	unsigned whole = 0;
	long n;

	if (count > MAX_PARTS)
		count = MAX_PARTS;
	for (unsigned i = 0; i < count; i++) {
		local[i] = (struct iovec){ parts[i].dst, parts[i].size };
		remote[i] = (struct iovec){ (void *)parts[i].addr, parts[i].size };
	}
	n = pln_syscall6(SYS_process_vm_readv, pln_getpid_sigsafe(), (long)local, (long)count,
			 (long)remote, (long)count, 0);
	/* The kernel stops at the first part that it cannot read; parts are never split within. */
	while (whole < count && n >= (long)parts[whole].size)
		n -= (long)parts[whole++].size;
	return whole;
}
