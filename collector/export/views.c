/* SPDX-License-Identifier: MIT */
/*
 * views.c - see views.h.
 */
#include "export/views.h"

#include <string.h>

/* Into the next item, which stays when it has anything. */
static int add_time(struct pln_export_views *views, const struct pln_aggregate *kept,
		    enum pln_view view)
{
	struct pln_export_view *item = &views->items[views->count];
	int err = pln_totals_compute(&item->totals, kept, view);

	item->name = pln_report_view_names[view];
	item->unit = "ns";
	if (!err && item->totals.all.ns)
		views->count++;
	else
		pln_totals_free(&item->totals);
	return err;
}

static int add_memory(struct pln_export_views *views, const struct pln_aggregate *kept,
		      enum pln_heap_view view)
{
	struct pln_export_view *item = &views->items[views->count];
	int err = pln_export_blocks_sum(&item->blocks, kept, view, false);

	if (!err)
		err = pln_totals_compute(&item->totals, &item->blocks.aggregate, PLN_VIEW_CPU);
	item->name = pln_report_view_names[PLN_VIEW_ALLOCATED + view];
	item->unit = "bytes";
	if (!err && item->blocks.sum) {
		views->count++;
	} else {
		pln_totals_free(&item->totals);
		pln_export_blocks_free(&item->blocks);
	}
	return err;
}

int pln_export_views_compute(struct pln_export_views *views, const struct pln_aggregate *kept)
{
	int err = 0;

	memset(views, 0, sizeof(*views));
	for (unsigned v = PLN_VIEW_CPU; v <= PLN_VIEW_GIL && !err; v++)
		err = add_time(views, kept, v);
	for (unsigned v = PLN_HEAP_ALLOCATED;
	     v <= PLN_HEAP_TEMPORARY && !err && kept->profile->block_count; v++)
		err = add_memory(views, kept, v);
	return err;
}

void pln_export_views_free(struct pln_export_views *views)
{
	for (unsigned v = 0; v < views->count; v++) {
		pln_totals_free(&views->items[v].totals);
		pln_export_blocks_free(&views->items[v].blocks);
	}
	views->count = 0;
}
