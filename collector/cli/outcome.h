/* SPDX-License-Identifier: MIT */
/*
 * outcome.h - the lines that a recording ends with, on stderr.
 */
#ifndef PILLION_COLLECTOR_OUTCOME_H
#define PILLION_COLLECTOR_OUTCOME_H

#include "ingest/session.h"

/* What was recorded into `path`, what is wrong with it, and the next command. */
void pln_outcome_print(const struct pln_session_summary *summary, const char *path,
		       uint64_t wall_ns, bool quiet);

/* Progress of reading symbols, when stderr is a terminal and it takes long. */
void pln_outcome_progress(size_t done, size_t total);
void pln_outcome_progress_end(void);

#endif
