/* SPDX-License-Identifier: MIT */
/*
 * module_set_i.h - the modules as walks see them: an immutable array, replaced whole.
 *
 * The sampling thread publishes a new array by one pointer store; walks bracket their
 * use with enter and leave. What a walk may still hold is given back to the kernel
 * only after no walk was inside; module_set.c tells why that is enough.
 */
#ifndef PILLION_PRELOAD_NATIVE_MODULE_SET_I_H
#define PILLION_PRELOAD_NATIVE_MODULE_SET_I_H

#include <stdbool.h>
#include <stdint.h>

#include <pillion/atomic.h>

#include "native/table_i.h"

/* One executable range. */
struct pln_module_view {
	uintptr_t lo;
	uintptr_t hi;
	const struct pln_table *table; /* NULL: not built (yet) */
	struct pln_row_list list; /* the table's, here to spare a cache miss */
	bool hopeless; /* building the table failed */
	_Atomic bool wanted; /* set by walks; a lost store is made up for by the next walk */
};

struct pln_module_set {
	struct pln_block block;
	uint32_t count;
	uint32_t epoch; /* changes whenever ranges did: rows cached before may be stale */
	struct pln_module_view views[]; /* by rising lo, no overlap */
};

/* ------------------------------------------------------------- walks */

/* Starts to load what entering will need. */
void pln_module_set_prefetch_sigsafe(uintptr_t key);
/* Between these two, the set and its tables stay mapped. `key` spreads walks over counters. */
struct pln_module_set *pln_module_set_enter_sigsafe(uintptr_t key);
void pln_module_set_leave_sigsafe(uintptr_t key);

/* The range around pc, NULL: none. */
struct pln_module_view *pln_module_set_find_sigsafe(struct pln_module_set *set, uintptr_t pc);

/* Context: any. A walk met a pc in no module: there may be a new one. */
void pln_module_set_missed_sigsafe(void);
/*
 * Whether the loader has a module at pc, which then is newer than the last refresh. False
 * also where the C library cannot tell without a lock.
 */
bool pln_module_set_is_loaded_sigsafe(uintptr_t pc);
/* A walk lacked a table, which is now marked in the view. */
void pln_module_set_want_sigsafe(struct pln_module_view *view);

/* ------------------------------------------------- sampling thread only */

/* Once. */
void pln_module_set_init(void);
/* A set with room for `count` views, zeroed but for count; NULL when memory is short. */
struct pln_module_set *pln_module_set_new(uint32_t count);
struct pln_module_set *pln_module_set_current(void);
/* Takes the place of the current one, which is dropped. */
void pln_module_set_publish(struct pln_module_set *set);
/* Unmaps `block` once no walk can hold it. Call after publishing a set without it. */
void pln_module_set_drop(struct pln_block *block);
void pln_module_set_reclaim(void);
/* Bytes that wait for being unmapped. */
size_t pln_module_set_dropped_bytes(void);
/* Whether a walk missed or wanted something since the last call. */
bool pln_module_set_take_hint(void);
bool pln_module_set_has_hint(void);
/* In a forked child: walks of the parent's other threads are gone. */
void pln_module_set_after_fork(void);

#endif
