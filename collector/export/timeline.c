/* SPDX-License-Identifier: MIT */
/*
 * timeline.c - the exact counts of memory over time, as CSV.
 *
 * A row for each moment, process and class of memory, with what had been counted up to then.
 * "below_objects" is the part of malloc and mmap that Python's objects got their memory by. What
 * is not known is empty: how many bytes of objects were freed, what of that below them was,
 * and of the program break all but its size. In a forked child net_bytes may be negative: it
 * frees what its parent had allocated. "process" is the process's number in the profile: a pid
 * may come again.
 */
#include "export/export.h"

#include <inttypes.h>

static const char *const class_names[PILLION_HEAP_COUNT] = {
	[PILLION_HEAP_MALLOC] = "malloc",
	[PILLION_HEAP_MAPPING] = "mmap",
	[PILLION_HEAP_OBJECT] = "objects",
	[PILLION_HEAP_NESTED] = "below_objects",
};

static void write_class(FILE *out, enum pln_heap_class class, const struct pln_heap_counts *c)
{
	fprintf(out, "%s,%" PRIu64 ",%" PRIu64 ",", class_names[class], c->alloc_calls,
		c->alloc_bytes);
	if (class == PILLION_HEAP_NESTED)
		fputs(",,", out);
	else if (class == PILLION_HEAP_OBJECT)
		fprintf(out, "%" PRIu64 ",,", c->free_calls);
	else
		fprintf(out, "%" PRIu64 ",%" PRIu64 ",%" PRId64, c->free_calls, c->free_bytes,
			(int64_t)(c->alloc_bytes - c->free_bytes));
}

static void write_point(const struct pln_profile *p, const struct pln_heap_point *point, FILE *out)
{
	uint64_t start_ns = p->recording.start_ns;
	double seconds = point->time_ns > start_ns ? (double)(point->time_ns - start_ns) / 1e9 : 0;
	uint32_t pid = p->processes[point->process].pid;

	for (unsigned class = 0; class < PILLION_HEAP_COUNT; class ++) {
		if (!point->heap[class].alloc_calls && !point->heap[class].free_calls)
			continue;
		fprintf(out, "%.6f,%" PRIu32 ",", seconds, pid);
		write_class(out, class, &point->heap[class]);
		fprintf(out, ",%" PRIu32 "\n", point->process);
	}
	fprintf(out, "%.6f,%" PRIu32 ",brk,,,,,%" PRIu64 ",%" PRIu32 "\n", seconds, pid,
		point->brk_bytes, point->process);
}

int pln_export_timeline(const struct pln_export *export, FILE *out)
{
	const struct pln_profile *p = export->profile;

	fputs("seconds,pid,class,alloc_calls,alloc_bytes,free_calls,free_bytes,net_bytes,process\n",
	      out);
	for (size_t i = 0; i < p->heap_point_count; i++) {
		const struct pln_heap_point *point = &p->heap_points[i];

		if (pln_filter_keeps_process(export->filter, &p->processes[point->process]))
			write_point(p, point, out);
	}
	return pln_export_flush(out);
}
