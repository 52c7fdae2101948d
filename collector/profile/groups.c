/* SPDX-License-Identifier: MIT */
/*
 * groups.c - see groups.h. All are counted, then each is put in its place.
 */
#include "profile/groups.h"

#include <errno.h>
#include <stdlib.h>

/* first[g + 1] is how many are in g, then where the next of g goes, then where g ends. */
int pln_groups_make(struct pln_groups *g, size_t groups, size_t count,
		    uint32_t (*group_of)(size_t thing, const void *arg), const void *arg)
{
	uint32_t start = 0;

	g->count = groups;
	g->items = malloc((count + 1) * sizeof(*g->items));
	g->first = calloc(groups + 1, sizeof(*g->first));
	if (!g->items || !g->first) {
		pln_groups_free(g);
		return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++) {
		uint32_t group = group_of(i, arg);

		if (group < groups)
			g->first[group + 1]++;
	}
	for (size_t i = 0; i < groups; i++) {
		uint32_t size = g->first[i + 1];

		g->first[i + 1] = start;
		start += size;
	}
	for (size_t i = 0; i < count; i++) {
		uint32_t group = group_of(i, arg);

		if (group < groups)
			g->items[g->first[group + 1]++] = (uint32_t)i;
	}
	return 0;
}

void pln_groups_free(struct pln_groups *g)
{
	free(g->items);
	free(g->first);
	*g = (struct pln_groups){ 0 };
}
