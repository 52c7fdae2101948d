/* SPDX-License-Identifier: MIT */
/*
 * no_threads.c - as under a limit of processes that is reached for a while: pthread_create() fails,
 * as often as it is told to.
 *
 * Preloaded behind Pillion.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>

static int denied;

void deny_threads(int times)
{
	denied = times;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (denied && denied--)
		return EAGAIN;
	*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	return real(thread, attr, fn, arg);
}
