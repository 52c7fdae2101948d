/* SPDX-License-Identifier: MIT */
/*
 * filter.h - which threads of a profile are looked at.
 *
 * Both filters are comma-separated lists, as typed. A thread is kept when it matches one
 * word of each list that is given: a number is a tid (pid), "main" or "MainThread" the first
 * thread, anything else a part of the thread's name, of the function that it runs, or of that
 * one's file (of the process's executable or command).
 */
#ifndef PILLION_COLLECTOR_FILTER_H
#define PILLION_COLLECTOR_FILTER_H

#include "profile/reader.h"

struct pln_filter {
	const char *threads; /* NULL: all */
	const char *processes; /* NULL: all */
};

bool pln_filter_keeps_process(const struct pln_filter *filter, const struct pln_process *process);
/* `runs`: the function that the thread runs; NULL: not known. Of its file, a word without a slash
 * is looked for in the last part of the path. */
bool pln_filter_keeps_thread(const struct pln_filter *filter, const struct pln_profile *profile,
			     uint32_t thread, const struct pln_function *runs);

#endif
