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

#ifdef __cplusplus
}
#endif

#endif
