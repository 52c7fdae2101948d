/* SPDX-License-Identifier: MIT */
/*
 * checked_read.c - process_vm_readv on ourselves, or /proc/thread-self/mem, as raw system calls.
 *
 * Context: any, async-signal-safe. errno is preserved because the libc wrapper is
 * not used.
 *
 * We name ourselves by the calling thread, never by the process: that is its first thread,
 * which has no memory any more when it has ended before the others.
 */
#include "checked_read.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <pillion/syscall.h>

#define MAX_PARTS 64
#define MEMORY_FD_MIN 512 /* out of the way of programs that count on low numbers */

static bool works;

/*
 * The memory of process `memory_pid`, -1: process_vm_readv does it. Whoever forks without
 * telling us still has the file, but it is not its own memory: nothing is read then.
 */
static int memory_fd = -1;
static long memory_pid;
static struct stat memory_file;

static bool is_memory(int fd)
{
	struct stat st;

	return !pln_syscall3(SYS_fstat, fd, (long)&st, 0) && st.st_dev == memory_file.st_dev &&
	       st.st_ino == memory_file.st_ino;
}

static int open_own_memory(void)
{
	long fd = pln_syscall4(SYS_openat, AT_FDCWD, (long)"/proc/thread-self/mem",
			       O_RDONLY | O_CLOEXEC, 0);
	long high;

	if (fd < 0)
		return -1;
	high = pln_syscall3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, MEMORY_FD_MIN);
	if (high < 0)
		return (int)fd;
	pln_syscall3(SYS_close, fd, 0, 0);
	return (int)high;
}

static bool probe(void)
{
	static const char known[128] = "pillion";
	char copy[sizeof(known)];

	return pln_checked_read_some_sigsafe((uintptr_t)known, copy, sizeof(copy)) == sizeof(copy);
}

bool pln_checked_read_init(void)
{
	works = probe();
	if (works)
		return true;
	memory_pid = pln_getpid_sigsafe();
	memory_fd = open_own_memory();
	(void)pln_syscall3(SYS_fstat, memory_fd, (long)&memory_file, 0);
	works = memory_fd >= 0 && probe();
	return works;
}

void pln_checked_read_reopen(void)
{
	int fd = memory_fd < 0 ? -1 : open_own_memory();

	if (fd < 0 || fd == memory_fd)
		return;
	/* One number in all tables. */
	pln_syscall3(SYS_dup3, fd, memory_fd, O_CLOEXEC);
	pln_syscall3(SYS_close, fd, 0, 0);
}

void pln_checked_read_after_fork(void)
{
	if (memory_fd < 0)
		return;
	/* A program that has closed all that it did not know may have the number in use by now. */
	if (is_memory(memory_fd))
		pln_syscall3(SYS_close, memory_fd, 0, 0);
	memory_fd = -1;
	(void)pln_checked_read_init();
}

bool pln_checked_read_works_sigsafe(void)
{
	return works;
}

static size_t read_memory_sigsafe(uintptr_t addr, void *dst, size_t size)
{
	long n;

	if (pln_getpid_sigsafe() != memory_pid)
		return 0;
	n = pln_syscall4(SYS_pread64, memory_fd, (long)dst, (long)size, (long)addr);
	return n < 0 ? 0 : (size_t)n;
}

size_t pln_checked_read_some_sigsafe(uintptr_t addr, void *dst, size_t size)
{
	struct iovec local = { dst, size };
	struct iovec remote = { (void *)addr, size };
	long n;

	if (memory_fd >= 0)
		return read_memory_sigsafe(addr, dst, size);
	n = pln_syscall6(SYS_process_vm_readv, pln_gettid_sigsafe(), (long)&local, 1, (long)&remote,
			 1, 0);
	return n < 0 ? 0 : (size_t)n;
}

bool pln_checked_read_sigsafe(uintptr_t addr, void *dst, size_t size)
{
	return pln_checked_read_some_sigsafe(addr, dst, size) == size;
}

static unsigned read_one_by_one_sigsafe(const struct pln_read_part *parts, unsigned count)
{
	unsigned whole = 0;

	while (whole < count &&
	       pln_checked_read_sigsafe(parts[whole].addr, parts[whole].dst, parts[whole].size))
		whole++;
	return whole;
}

unsigned pln_checked_read_parts_sigsafe(const struct pln_read_part *parts, unsigned count)
{
	struct iovec local[MAX_PARTS], remote[MAX_PARTS];
	unsigned whole = 0;
	long n;

	if (count > MAX_PARTS)
		count = MAX_PARTS;
	if (memory_fd >= 0)
		return read_one_by_one_sigsafe(parts, count);
	for (unsigned i = 0; i < count; i++) {
		local[i] = (struct iovec){ parts[i].dst, parts[i].size };
		remote[i] = (struct iovec){ (void *)parts[i].addr, parts[i].size };
	}
	n = pln_syscall6(SYS_process_vm_readv, pln_gettid_sigsafe(), (long)local, (long)count,
			 (long)remote, (long)count, 0);
	/* The kernel stops at the first part that it cannot read; parts are never split within. */
	while (whole < count && n >= (long)parts[whole].size)
		n -= (long)parts[whole++].size;
	return whole;
}
