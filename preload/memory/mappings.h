/* SPDX-License-Identifier: MIT */
/*
 * mappings.h - the program's anonymous memory by mmap, while it is mapped.
 */
#ifndef PILLION_PRELOAD_MAPPINGS_H
#define PILLION_PRELOAD_MAPPINGS_H

#include <stdbool.h>
#include <stdint.h>

/* The mapping at `lo` is a sample: pln_memory_tell_free(id) when the last of it goes. */
bool pln_mapping_follow_sigsafe(uintptr_t lo, uint64_t id);

/* In a forked child: it has the mappings, not the samples. */
void pln_mappings_forget_samples(void);

/* Sampling thread: tells, once, if there were more than can be followed. */
void pln_mappings_tick(void);

#endif
