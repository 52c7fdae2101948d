/* SPDX-License-Identifier: MIT */
/*
 * objects.h - requests to CPython's own allocators, where the user asks for them.
 */
#ifndef PILLION_PRELOAD_OBJECTS_H
#define PILLION_PRELOAD_OBJECTS_H

/* Sampling thread, at each tick, also while nothing is sampled: has the interpreter follow us. */
void pln_objects_tick(void);

/* In a forked child, which has inherited what was installed. */
void pln_objects_after_fork(void);

#endif
