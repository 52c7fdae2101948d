/* SPDX-License-Identifier: MIT */
/*
 * killed.h - of processes that a signal ended: what they were last seen running.
 *
 * That is the last sample of any thread that was on a CPU, or allocated. Nobody handles
 * SIGSEGV and its like for it, so what was run in the very moment is not known: the
 * sample is older by up to a period of CPU time, and may be of another thread than the
 * one that went wrong. The report says by how much.
 */
#ifndef PILLION_COLLECTOR_KILLED_H
#define PILLION_COLLECTOR_KILLED_H

#include "profile/reader.h"
#include "report/json.h"
#include "report/table.h"

struct pln_last_run {
	uint64_t time_ns; /* 0: no thread of the process was met on a CPU */
	uint32_t thread;
	uint32_t stack; /* PLN_NONE: the sample has none */
};

/* By process id; *runs is NULL when a signal ended none. Returns 0 or -ENOMEM. */
int pln_killed_find(struct pln_last_run **runs, struct pln_profile *profile);

struct pln_report;

/* One field for each killed process, in the report's header. */
void pln_text_killed(const struct pln_report *report, const struct pln_screen *screen);
/* Of one process, the whole stack, one frame a line; nothing when no signal ended it. */
void pln_text_killed_stack(const struct pln_report *report, const struct pln_screen *screen,
			   uint32_t process);
/* "last_run": null, or before_end_ns, thread, tid and the stack, innermost first. */
void pln_json_killed(struct pln_json *json, const struct pln_report *report, uint32_t process);

#endif
