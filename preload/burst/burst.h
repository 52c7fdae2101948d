/* SPDX-License-Identifier: MIT */
/*
 * burst.h - burst mode: Python stacks alone, read by the sampling thread in the same address
 * space, without signals, up to millions of times a second.
 *
 *   burst.c   when to look, and what each look stands for
 *   walk.c    one look at the thread that holds the GIL
 *   chunks.c  memory of the data stack that can be read in place, and munmap()
 *   mirror.c  copies of pages that cannot
 *   codes.c   from addresses to code objects
 *   window.c  what of a thread's time it ran
 *   table.c   where stacks are counted (layout: wire.h)
 *   owed.c    the time of looks that did not hold
 *
 * A look takes a few hundred nanoseconds while the thread runs on. No read can fault:
 * memory is read in place only where it is known to stay (the interpreter's own data, the
 * main thread's stack, chunks of the data stack until their munmap() has passed through us),
 * all else is copied by the kernel. What was read is read again: a stack that has changed
 * meanwhile is torn, counted as that, and thrown away; its time is not.
 *
 * Only the holder of the GIL is looked at. A look has the time since the one before.
 */
#ifndef PILLION_PRELOAD_BURST_H
#define PILLION_PRELOAD_BURST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Asked for in this process, and possible here. */
bool pln_burst_is_on(void);

/* Bytes that the segment needs for it, 0: not asked for. Small: address space is limited. */
uint64_t pln_burst_size(bool small);

/* `memory`: pln_burst_size() bytes of the segment, all zero, writable. Before it is published. */
void pln_burst_place(void *memory, bool small);

/* In a forked child: nothing is known any more. */
void pln_burst_after_fork(void);

/* Sampling thread, when it begins: as fine a sleep as the kernel has. */
void pln_burst_begin(void);

/*
 * Sampling thread, in a tick: finds the interpreter's data, once it is ready. The loader is asked,
 * whose lock a forked child would find taken for good; who forks waits for the end of a tick.
 */
void pln_burst_tick(void);

/*
 * Sampling thread, between two ticks: looks until `until_ns`, or until *bell is no longer
 * `rung`. False: there was nothing to look at; the caller sleeps instead.
 */
bool pln_burst_until(uint64_t until_ns, _Atomic uint32_t *bell, uint32_t rung);

/*
 * Any thread: [address, address + size) is about to be unmapped. True: it was a chunk that
 * may be just looked at; the sampling thread unmaps it.
 */
bool pln_burst_chunk_retire(uintptr_t address, size_t size);

#endif
