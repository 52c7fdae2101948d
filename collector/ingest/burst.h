/* SPDX-License-Identifier: MIT */
/*
 * burst.h - what burst mode has counted (wire.h, struct pln_burst), to rows of the profile.
 */
#ifndef PILLION_COLLECTOR_BURST_H
#define PILLION_COLLECTOR_BURST_H

#include <stdbool.h>

struct pln_target;

/* Before code objects are taken from the lanes: what is counted by now refers to those. */
void pln_target_note_burst(struct pln_target *t);

/* After that: what was noted, to rows; unless `last`, not more often than each second. */
void pln_target_take_burst(struct pln_target *t, bool last);

/* The process ended, or the file: what its clocks say and no sample does, and one line on the rate.
 */
void pln_target_conclude_burst(struct pln_target *t);

void pln_target_free_burst(struct pln_target *t);

/* Stacks have other ids from now on. */
void pln_target_forget_burst_stacks(struct pln_target *t);

#endif
