/* SPDX-License-Identifier: MIT */
/*
 * next.h - the function that one of ours stands before.
 */
#ifndef PILLION_PRELOAD_NEXT_H
#define PILLION_PRELOAD_NEXT_H

#include <dlfcn.h>

#include <pillion/atomic.h>

/*
 * The next definition of the function `name`; NULL if no library that is loaded has one. Found
 * when it is first called, which others' constructors do before ours has run.
 */
#define PLN_NEXT(name)                                                                             \
	({                                                                                         \
		static _Atomic(void *) found;                                                      \
		if (!pln_load_relaxed(&found))                                                     \
			pln_store_relaxed(&found, dlsym(RTLD_NEXT, #name));                        \
		(__typeof__(&name))pln_load_relaxed(&found);                                       \
	})

#endif
