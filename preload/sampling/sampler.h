/* SPDX-License-Identifier: MIT */
/*
 * sampler.h - the sampling thread: start, stop, step aside.
 */
#ifndef PILLION_PRELOAD_SAMPLER_H
#define PILLION_PRELOAD_SAMPLER_H

#include <stdbool.h>

/* Starts the thread in this process; the segment exists. Returns 0, or -errno: no timer runs. */
int pln_sampler_start(void);

/*
 * Around code that must not see a second thread: ends the thread, and returns once the kernel
 * does not count it any more. Timers stay armed. False, and nothing to come back from: it does
 * not run, or could not be had in time. One thread of the program at a time; the others wait.
 */
bool pln_sampler_step_aside(void);
/* Returns 0 or -errno, as pln_sampler_start(). */
int pln_sampler_come_back(void);

/*
 * Any thread, in normal context: where it could not come back for want of threads, there may be one
 * to be had by now. Whether it is back.
 */
bool pln_sampler_try_again(void);

/*
 * Any thread: sampling begins or ends, now and in children. Returns 0 once it is so, or
 * -ETIMEDOUT: the sampling thread is not there, or the collector does not want it.
 */
int pln_sampler_switch(bool on);

/* Around fork: no tick is in progress between these two. False: could not be had in time. */
bool pln_sampler_hold(void);
void pln_sampler_let_go(void);

/* In a forked child: the thread is gone, its lock is free. */
void pln_sampler_after_fork(void);

#endif
