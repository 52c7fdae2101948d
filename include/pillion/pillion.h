/* SPDX-License-Identifier: MIT */
/*
 * pillion.h - version, and what a program may ask of the library.
 */
#ifndef PILLION_H
#define PILLION_H

#ifdef __cplusplus
extern "C" {
#endif

#define PILLION_VERSION "0.1.0"

/*
 * 1 when this process is being sampled now, else 0. Weak, so that a program may
 * call it whether or not the library is loaded:
 *	if (pillion_is_sampling && pillion_is_sampling()) ...
 */
int pillion_is_sampling(void) __attribute__((weak));

/*
 * Sampling of this process, and of children that it forks from now on, begins and ends:
 * to record one part of a program only. Returns once it is so: 0; -ENOENT when the library
 * was not asked to record this process; -ETIMEDOUT after a second without effect (nobody
 * collects any more). Stopped, no timer runs, and the time that passes is told apart in the
 * profile. PILLION_START=off begins stopped. From any thread, not from signal handlers.
 */
int pillion_start(void) __attribute__((weak));
int pillion_stop(void) __attribute__((weak));

#ifdef __cplusplus
}
#endif

#endif
