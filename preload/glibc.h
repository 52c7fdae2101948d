/* SPDX-License-Identifier: MIT */
/*
 * glibc.h - what only glibc has.
 *
 * A container's environment reaches programs of another libc, too. musl's loader ends a program
 * for which a preloaded library needs a function, or a file, that is not there. So these are weak,
 * and the library does nothing where they are missing.
 */
#ifndef PILLION_PRELOAD_GLIBC_H
#define PILLION_PRELOAD_GLIBC_H

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <stdbool.h>
#include <stddef.h>

#pragma weak gnu_get_libc_version
#pragma weak dladdr1

/* The loader's: strong, it would be a file that is needed. */
__attribute__((weak)) extern void *__tls_get_addr(void *index);

/* What pthread_atfork() calls. */
__attribute__((weak)) extern int __register_atfork(void (*prepare)(void), void (*parent)(void),
						   void (*child)(void), void *dso);

static inline bool pln_libc_is_glibc(void)
{
	return gnu_get_libc_version != NULL;
}

#endif
