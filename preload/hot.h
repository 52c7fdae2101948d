/* SPDX-License-Identifier: MIT */
/*
 * hot.h - for what runs in every sample.
 *
 * At 100 samples a second a handler finds its code and data in no cache: what costs is
 * not instructions, but how many pages and cache lines they are spread over. So the
 * functions that nearly every sample runs through lie together, and lines that will be
 * needed are asked for early, all at once.
 */
#ifndef PILLION_PRELOAD_HOT_H
#define PILLION_PRELOAD_HOT_H

#define PLN_HOT __attribute__((hot))

#define PLN_CACHE_LINE 64

#endif
