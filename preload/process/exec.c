/* SPDX-License-Identifier: MIT */
/*
 * exec.c - no signal of ours reaches the next program.
 *
 * Context: the program's own calls, often in a forked child. Timers and handlers end with
 * the old image, but a signal that is pending for the calling thread survives, and meets
 * the default action, which is to end the new program. So the sampling thread, which sends
 * the forced ones, is held; the thread's timer is deleted; and what is pending by then is
 * handled on the way, or taken back where the thread blocks it.
 *
 * libc's own functions call each other inside, so that all of them are interposed.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <unistd.h>

#include <pillion/syscall.h>

#include "export.h"
#include "next.h"
#include "process/process.h"
#include "sampling/sampler.h"
#include "sampling/threads.h"
#include "sampling/timer.h"
#include "segment.h"

/* What to come back to, guarded by the hold. */
static uint32_t state_before;

/* The collector is left with a process that runs on, and a segment that does not. */
static void announce(void)
{
	state_before = pln_load_relaxed(&pln_segment->state);
	pln_store_relaxed(&pln_segment->state, PILLION_TARGET_EXECED);
}

static bool go_quiet(void)
{
	int saved = errno;
	struct pln_thread *thread;
	bool held;

	/* In a vfork child the memory is the parent's, and so are its timers. */
	if (!pln_segment_is_ours_sigsafe())
		return false;
	held = pln_process_hold();
	if (held)
		announce();
	thread = pln_threads_own_sigsafe();
	if (thread)
		pln_timer_delete(thread);
	pln_timer_take_back();
	errno = saved;
	return held;
}

/* Only after a failure: there is nobody to come back to otherwise. */
static int resume(bool held, int result)
{
	int saved = errno;
	struct pln_thread *thread;

	if (pln_segment_is_ours_sigsafe()) {
		if (held)
			pln_store_relaxed(&pln_segment->state, state_before);
		thread = pln_threads_own_sigsafe();
		if (thread)
			(void)pln_timer_arm(thread);
		if (held)
			pln_sampler_let_go();
	}
	errno = saved;
	return result;
}

PLN_EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	bool held = go_quiet();

	return resume(held, PLN_NEXT(execve)(path, argv, envp));
}

PLN_EXPORT int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

PLN_EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
	bool held = go_quiet();

	return resume(held, PLN_NEXT(execvpe)(file, argv, envp));
}

PLN_EXPORT int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}

PLN_EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
	bool held = go_quiet();

	return resume(held, PLN_NEXT(fexecve)(fd, argv, envp));
}

/* A system call, as glibc before 2.34 has no function of this name. */
PLN_EXPORT int execveat(int directory, const char *path, char *const argv[], char *const envp[],
			int flags)
{
	bool held = go_quiet();
	long error =
		pln_syscall6(SYS_execveat, directory, (long)path, (long)argv, (long)envp, flags, 0);

	errno = (int)-error;
	return resume(held, -1);
}

/* --------------------------------------------------- arguments one by one */

static unsigned count_arguments(const char *first, va_list list)
{
	unsigned count = first ? 1 : 0;
	va_list copy;

	va_copy(copy, list);
	while (first && va_arg(copy, char *))
		count++;
	va_end(copy);
	return count;
}

/* Fills argv, which has room for them all and the terminating NULL. */
static void take_arguments(char **argv, const char *first, va_list *list)
{
	*argv = (char *)first;
	while (*argv++)
		*argv = va_arg(*list, char *);
}

/* As an array on the stack: a child of fork() in a threaded program may not allocate. */
#define ARGUMENTS(argv, first, list)                                                               \
	char **argv;                                                                               \
	va_list list;                                                                              \
	va_start(list, first);                                                                     \
	argv = __builtin_alloca((count_arguments(first, list) + 1) * sizeof(*argv));               \
	take_arguments(argv, first, &list)

PLN_EXPORT int execl(const char *path, const char *first, ...)
{
	ARGUMENTS(argv, first, list);
	va_end(list);
	return execve(path, argv, environ);
}

PLN_EXPORT int execlp(const char *file, const char *first, ...)
{
	ARGUMENTS(argv, first, list);
	va_end(list);
	return execvpe(file, argv, environ);
}

PLN_EXPORT int execle(const char *path, const char *first, ...)
{
	char *const *envp;

	ARGUMENTS(argv, first, list);
	envp = va_arg(list, char *const *);
	va_end(list);
	return execve(path, argv, envp);
}
