/* SPDX-License-Identifier: MIT */
/*
 * tick.h - what the sampling thread does a hundred times a second.
 */
#ifndef PILLION_PRELOAD_TICK_H
#define PILLION_PRELOAD_TICK_H

#include <stdbool.h>
#include <stdint.h>

/* Sampling thread: once before the first tick (again after it stepped aside). */
void pln_tick_begin(void);

/* One round over threads, modules and interpreter. */
void pln_tick(void);

/* Any thread: how many there were, whether or not anything was sampled. */
uint64_t pln_tick_rounds(void);

/* Any thread: what the program wishes, which the next tick does; and whether nothing is sampled. */
void pln_tick_allow(bool on);
bool pln_tick_is_allowed(void);
bool pln_tick_is_dormant(void);

/* Any thread, with the sampling thread held: the program exits, so bring all clocks up to date. */
void pln_tick_last(void);

/* Any thread, as if the sampling thread were held, when none can be made (a negative errno): nobody
 * would notice what goes wrong. */
void pln_tick_without_thread(int error);
/* It is dormant for that, and for nothing else. */
bool pln_tick_is_unattended(void);

/* The sampling thread is about to end: nothing it keeps open may stay open. */
void pln_tick_end(void);

#endif
