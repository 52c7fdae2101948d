/* SPDX-License-Identifier: MIT */
/*
 * scan.h - which threads there are: /proc/self/task against our slots.
 */
#ifndef PILLION_PRELOAD_SCAN_H
#define PILLION_PRELOAD_SCAN_H

#include <stdbool.h>

#include "sampling/threads.h"

/* Sampling thread, before the first scan. `keep_open`: its descriptors are its own. */
void pln_scan_begin(bool keep_open);
void pln_scan_end(void);

/* Adopts new threads (claims, arms, announces), retires ended ones, frees drained slots. */
void pln_scan_threads(uint64_t now);

/*
 * Any thread: whether the calling one is the last of the process, but for `threads_of_ours`
 * and a first thread that has ended before the process did.
 */
bool pln_scan_is_last_thread(unsigned threads_of_ours);

/* Sampling thread: the last scan found no other thread. The process waits for us to end. */
bool pln_scan_is_alone(void);

/* Calls fn for every adopted thread. */
void pln_scan_each(void (*fn)(struct pln_thread *thread));

/*
 * Dormancy begins and ends: no timer runs; those of all threads do, from where they stopped.
 * In between, the time that passes on a thread's clocks is told, and no sample stands for it.
 */
void pln_scan_rest(void);
void pln_scan_skip(struct pln_thread *thread);
void pln_scan_wake(void);

int pln_scan_open_task_file(uint32_t tid, const char *name);
/* After a look at a thread: closes what may not stay open until the next. */
void pln_scan_done_with_files(struct pln_thread *thread);
bool pln_scan_has_schedstat(void);

/* Whether the thread itself has signal `signo` pending; false also where nobody tells. */
bool pln_scan_has_pending(uint32_t tid, int signo);

/* Where the area that the program break ends begins; 0: not known. */
uintptr_t pln_scan_break_start(void);

#endif
