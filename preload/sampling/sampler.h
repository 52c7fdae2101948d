/* SPDX-License-Identifier: MIT */
/*
 * sampler.h - the sampling thread: start, stop, step aside.
 */
#ifndef PILLION_PRELOAD_SAMPLER_H
#define PILLION_PRELOAD_SAMPLER_H

#include <stdbool.h>

/*
 * Starts the thread in this process; the segment exists. `main_stack_hi`: end of the calling
 * (main) thread's stack. Returns 0 or -errno.
 */
int pln_sampler_start(void);

/*
 * Ends the thread, and returns once the kernel does not count it any more, so that code
 * that must not see a second thread can run. Timers stay armed. pln_sampler_start() brings
 * it back. No-op when it does not run.
 */
void pln_sampler_stop(void);
bool pln_sampler_runs(void);

/* Around fork: no tick is in progress between these two. False: could not be had in time. */
bool pln_sampler_hold(void);
void pln_sampler_let_go(void);

/* In a forked child: the thread is gone, its lock is free. */
void pln_sampler_after_fork(void);

#endif
