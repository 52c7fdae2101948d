/* SPDX-License-Identifier: MIT */
/*
 * modules.h - which file was mapped at an address, at a time.
 */
#ifndef PILLION_COLLECTOR_MODULES_H
#define PILLION_COLLECTOR_MODULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stacks/stacks.h"

struct pln_module {
	uint64_t lo, hi; /* executable range [lo, hi) */
	uint64_t bias;
	uint64_t from_ns; /* first seen; mapped some time before */
	uint64_t gone_ns; /* UINT64_MAX: still mapped */
	uint32_t id; /* in the profile */
	bool is_own; /* the library itself: its frames are taken out of stacks */
	struct pln_unwind_module unwind; /* path is owned */
};

/* live[]: sorted by lo, disjoint. gone[]: in order of their end. */
struct pln_module_list {
	struct pln_module *live;
	size_t live_count, live_capacity;
	struct pln_module *gone;
	size_t gone_count, gone_capacity;
	uint64_t changed_ns; /* time of the newest change: later samples see only live[] */
};

/* Whether it can be added: 0, -EEXIST when it is known already, -EINVAL for nonsense. */
int pln_modules_check(const struct pln_module_list *list, const struct pln_module *m);

/*
 * Adds a checked module and takes over m->unwind.path. What overlapped it is gone from
 * m->from_ns on. Returns 0 or -ENOMEM.
 */
int pln_modules_add(struct pln_module_list *list, const struct pln_module *m);
void pln_modules_remove(struct pln_module_list *list, uint64_t lo, uint64_t hi, uint64_t time_ns);

/* NULL: nothing that we know of was mapped there. Valid until the next change. */
const struct pln_module *pln_modules_find(const struct pln_module_list *list, uint64_t pc,
					  uint64_t time_ns);
void pln_modules_free(struct pln_module_list *list);

#endif
