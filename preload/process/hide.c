/* SPDX-License-Identifier: MIT */
/*
 * hide.c - the sampling thread steps aside where a second thread would be seen.
 *
 * Context: the program's own calls, normal context.
 *
 * CPython 3.12 and later read the number of threads from /proc/self/stat after os.fork()
 * and warn in a "multi-threaded" process; the kernel refuses unshare() and setns() of
 * some namespaces to one. Around exactly these the sampling thread ends, and starts again.
 * CPU-clock timers stay armed, so no CPU time goes unsampled meanwhile.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "export.h"
#include "log.h"
#include "next.h"
#include "process/process.h"
#include "sampling/sampler.h"
#include "segment.h"

static bool step_aside(void)
{
	if (!pln_segment_is_ours_sigsafe() || !pln_process_hold())
		return false;
	pln_sampler_let_go();
	return pln_sampler_step_aside();
}

static void come_back(void)
{
	int saved = errno;

	/* After CLONE_NEWPID no thread can be made any more: this process goes on unsampled. */
	if (pln_sampler_come_back() < 0)
		pln_log(PLN_LOG_INFO, "sampling ended: no thread after unshare or setns", "");
	errno = saved;
}

/* Reads all of a short file into the stream's buffer, as if it had been read when opened. */
static void fill_buffer(FILE *file)
{
	int first = getc(file);

	if (first != EOF)
		(void)ungetc(first, file);
}

static FILE *open_file(FILE *(*open_real)(const char *, const char *), const char *path,
		       const char *mode)
{
	FILE *file;

	/* glibc takes NULL for a path, and says EFAULT. */
	if (!path || strcmp(path, "/proc/self/stat") || *mode != 'r' || !step_aside())
		return open_real(path, mode);
	file = open_real(path, mode);
	if (file)
		fill_buffer(file);
	come_back();
	return file;
}

PLN_EXPORT FILE *fopen(const char *path, const char *mode)
{
	return open_file(PLN_NEXT(fopen), path, mode);
}

PLN_EXPORT FILE *fopen64(const char *path, const char *mode)
{
	__typeof__(&fopen64) next = PLN_NEXT(fopen64);

	/* Newer musl has it for its loader alone. */
	return open_file(next ? next : PLN_NEXT(fopen), path, mode);
}

/* The kernel's answer must be that to a process without us. */
PLN_EXPORT int unshare(int flags)
{
	bool aside = step_aside();
	int result;

	result = PLN_NEXT(unshare)(flags);
	if (aside)
		come_back();
	return result;
}

PLN_EXPORT int setns(int fd, int type)
{
	bool aside = step_aside();
	int result;

	result = PLN_NEXT(setns)(fd, type);
	if (aside)
		come_back();
	return result;
}
