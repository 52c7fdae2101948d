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
#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include <pillion/atomic.h>

#include "export.h"
#include "log.h"
#include "process/process.h"
#include "sampling/sampler.h"
#include "segment.h"
#include "syscall.h"

static FILE *(*real_fopen)(const char *, const char *);
static FILE *(*real_fopen64)(const char *, const char *);
static int (*real_fclose)(FILE *);
static int (*real_unshare)(int);
static int (*real_setns)(int, int);

/* The open /proc/self/stat for which we stepped aside, if any. */
static _Atomic(FILE *) watched;

static void resolve(void *function, const char *name)
{
	*(void **)function = dlsym(RTLD_NEXT, name);
}

void pln_hide_init(void)
{
	resolve(&real_fopen, "fopen");
	resolve(&real_fopen64, "fopen64");
	resolve(&real_fclose, "fclose");
	resolve(&real_unshare, "unshare");
	resolve(&real_setns, "setns");
}

static bool sampling_here(void)
{
	return pln_segment_is_ours_sigsafe() && pln_sampler_runs();
}

static FILE *open_file(FILE *(*open_real)(const char *, const char *), const char *path,
		       const char *mode)
{
	FILE *file;

	if (strcmp(path, "/proc/self/stat") || !sampling_here())
		return open_real(path, mode);
	pln_sampler_stop();
	file = open_real(path, mode);
	if (!file) {
		(void)pln_sampler_start();
		return NULL;
	}
	/* relaxed: the same thread closes it, or synchronizes the FILE itself with who does */
	pln_store_relaxed(&watched, file);
	return file;
}

PLN_EXPORT FILE *fopen(const char *path, const char *mode)
{
	if (!real_fopen)
		resolve(&real_fopen, "fopen");
	return open_file(real_fopen, path, mode);
}

PLN_EXPORT FILE *fopen64(const char *path, const char *mode)
{
	if (!real_fopen64)
		resolve(&real_fopen64, "fopen64");
	return open_file(real_fopen64, path, mode);
}

PLN_EXPORT int fclose(FILE *file)
{
	FILE *stat = pln_load_relaxed(&watched);
	bool ours = stat && stat == file;
	int result, saved;

	if (!real_fclose)
		resolve(&real_fclose, "fclose");
	if (ours)
		pln_store_relaxed(&watched, NULL);
	result = real_fclose(file);
	if (ours) {
		saved = errno;
		(void)pln_sampler_start();
		errno = saved;
	}
	return result;
}

/* The kernel's answer must be that to a process without us. */
static int step_aside_for(int (*call)(void *), void *arg)
{
	bool aside = sampling_here();
	int result, saved;

	if (aside)
		pln_sampler_stop();
	result = call(arg);
	saved = errno;
	/* After CLONE_NEWPID no thread can be made any more: this process goes on unsampled. */
	if (aside && pln_sampler_start() < 0)
		pln_log(PLN_LOG_INFO, "sampling ended: no thread after unshare or setns", "");
	errno = saved;
	return result;
}

struct namespace_call {
	int first;
	int second;
};

static int call_unshare(void *arg)
{
	return real_unshare(((struct namespace_call *)arg)->first);
}

static int call_setns(void *arg)
{
	struct namespace_call *call = arg;

	return real_setns(call->first, call->second);
}

PLN_EXPORT int unshare(int flags)
{
	struct namespace_call call = { flags, 0 };

	if (!real_unshare)
		resolve(&real_unshare, "unshare");
	return step_aside_for(call_unshare, &call);
}

PLN_EXPORT int setns(int fd, int type)
{
	struct namespace_call call = { fd, type };

	if (!real_setns)
		resolve(&real_setns, "setns");
	return step_aside_for(call_setns, &call);
}
