/* SPDX-License-Identifier: MIT */
/*
 * groups.h - things by whose they are: found at once, where each of many asks for its own.
 */
#ifndef PILLION_COLLECTOR_GROUPS_H
#define PILLION_COLLECTOR_GROUPS_H

#include <stddef.h>
#include <stdint.h>

/* Those of group g: items[first[g]] up to items[first[g + 1]], in their own order. */
struct pln_groups {
	uint32_t *items;
	uint32_t *first; /* NULL: nothing is in any group */
	size_t count; /* of groups */
};

/*
 * Puts the things 0 to `count` into `groups` groups; group_of() is any other number for what is in
 * none. Returns 0 or -ENOMEM; pln_groups_free() is due in either case.
 */
int pln_groups_make(struct pln_groups *g, size_t groups, size_t count,
		    uint32_t (*group_of)(size_t thing, const void *arg), const void *arg);
void pln_groups_free(struct pln_groups *g);

/* Sets *items to those of a group. Returns how many there are. */
static inline size_t pln_groups_of(const struct pln_groups *g, uint32_t group,
				   const uint32_t **items)
{
	*items = NULL;
	if (!g->first || group >= g->count)
		return 0;
	*items = g->items + g->first[group];
	return g->first[group + 1] - g->first[group];
}

#endif
