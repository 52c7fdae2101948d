/* SPDX-License-Identifier: MIT */
/*
 * memory.h - malloc and free of this process: counted exactly, sampled by bytes.
 *
 * real.c is the allocator behind us, hooks.c the functions that the program calls, counters.c
 * where each thread counts, sampled.c what happens when it is an allocation's turn, mappings.c
 * follows mmap, objects.c what CPython asks of itself.
 */
#ifndef PILLION_PRELOAD_MEMORY_H
#define PILLION_PRELOAD_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include <pillion/wire.h>

/* Where sizes are read is known from now on. */
void pln_memory_real_is_known(void);

/*
 * Constructor, or once it is known that the process is not sampled: whether it counts at all. Not
 * so: calls are passed through.
 */
void pln_memory_init(bool wanted);

/* The calling thread has a slot from now on; it ends, and counts only what its last words do. */
void pln_memory_thread_begins(struct pln_slot *slot);
void pln_memory_thread_ends(void);

/* Sampling thread: the slot's thread is gone. Its counts are the process's. */
void pln_memory_slot_is_left(struct pln_slot *slot);

/* Sampling thread, at each tick: follows what is live, for its peak. */
void pln_memory_tick(uint64_t now_ns);

/* The same while nothing is sampled: the counts go on. */
void pln_memory_tick_dormant(void);

/* Any thread, with the sampling thread held: the program exits. Opens no file. */
void pln_memory_tick_last(void);

/* The forking thread. A child that is not followed does not count. */
void pln_memory_before_fork(void);
void pln_memory_after_fork_in_parent(void);
void pln_memory_after_fork_in_child(bool followed);

/* What was live when this process was forked; 0 in one that was not. */
uint64_t pln_memory_inherited_bytes(void);

/* Once, when sampling starts. Returns 0 or -errno: then there are counts alone. */
int pln_memory_sampling_init(void);

#endif
