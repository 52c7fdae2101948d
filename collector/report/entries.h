/* SPDX-License-Identifier: MIT */
/*
 * entries.h - the function that a thread runs.
 *
 * The kernel knows a thread by the name of its process until somebody renames it, which
 * CPython does since 3.14: what tells threads apart is where their stacks begin.
 */
#ifndef PILLION_COLLECTOR_ENTRIES_H
#define PILLION_COLLECTOR_ENTRIES_H

#include "report/aggregate.h"

/*
 * By thread: the outermost Python function below those that start every thread, process or
 * module; of a pool's thread the task, unless only the pool itself was met; for a thread without
 * Python the outermost native one; PLN_NONE when no sample shows any. Where stacks begin
 * differently, the function with the most wall time. malloc()ed; NULL: out of memory.
 */
uint32_t *pln_thread_entries(const struct pln_aggregate *aggregate);

#endif
