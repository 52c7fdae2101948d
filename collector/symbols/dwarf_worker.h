/* SPDX-License-Identifier: MIT */
/*
 * dwarf_worker.h - a process that parses one file's DWARF and may die of it.
 *
 * Debug files come from other people's machines and libdwarf was written to trust
 * them. So the parsing is done in a forked child that holds nothing but the file and a
 * socket, with limits on memory; a crash or a hang costs one unit's names and lines,
 * not the profile.
 */
#ifndef PILLION_COLLECTOR_SYMBOLS_DWARF_WORKER_H
#define PILLION_COLLECTOR_SYMBOLS_DWARF_WORKER_H

#include "symbols/dwarf_data.h"

#include <stdint.h>

struct pln_dwarf_worker;

struct pln_dwarf_source {
	int fd; /* stays the caller's */
	int alt_fd; /* dwz's common file; -1: none */
	uint64_t code_low;
	uint64_t code_high;
};

/* In place of a unit's offset: where all units' code is. */
#define PLN_DWARF_INDEX UINT64_MAX

int pln_dwarf_worker_start(const struct pln_dwarf_source *source, struct pln_dwarf_worker **worker);
void pln_dwarf_worker_stop(struct pln_dwarf_worker *worker);

/*
 * The unit whose DIE is at `offset`, or the index. After an error other than -ENODATA
 * (the file says nothing usable there) the worker is dead and can only be stopped:
 * -EPIPE it crashed, -ETIMEDOUT it did not answer, -EPROTO its answer makes no sense.
 */
int pln_dwarf_worker_ask(struct pln_dwarf_worker *worker, uint64_t offset,
			 struct pln_dwarf_unit **unit);

#endif
