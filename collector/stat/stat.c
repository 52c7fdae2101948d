/* SPDX-License-Identifier: MIT */
/*
 * stat.c - see stat.h.
 */
#include "stat/stat.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "report/names.h"

#define WAITS_SHOWN 3
/* Less than so much of the kernel's clocks in samples is worth a warning. */
#define LEAST_ACCOUNTED 0.9
/* Shorter runs have too few samples for that. */
#define LEAST_JUDGED_NS 1000000000u

static struct pln_stat_row *add_row(struct pln_stat *s, const char *name, const char *value,
				    const char *format, ...) __attribute__((format(printf, 4, 5)));

static struct pln_stat_row *add_row(struct pln_stat *s, const char *name, const char *value,
				    const char *format, ...)
{
	struct pln_stat_row *row = &s->rows[s->row_count];
	va_list args;

	if (s->row_count == PLN_STAT_ROWS)
		return NULL;
	s->row_count++;
	row->name = name;
	snprintf(row->value, sizeof(row->value), "%s", value);
	va_start(args, format);
	vsnprintf(row->remark, sizeof(row->remark), format, args);
	va_end(args);
	return row;
}

static void warn(struct pln_stat *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void warn(struct pln_stat *s, const char *format, ...)
{
	va_list args;

	if (s->warning_count == PLN_STAT_WARNINGS)
		return;
	va_start(args, format);
	vsnprintf(s->warnings[s->warning_count++], sizeof(s->warnings[0]), format, args);
	va_end(args);
}

/* ------------------------------------------------------------------------ time */

static void add_times(struct pln_stat *s)
{
	const struct pln_summary *sum = &s->report->summary;
	const struct pln_times *t = &sum->all;
	char value[PLN_QUANTITY_SIZE], share[PLN_QUANTITY_SIZE], clock[PLN_QUANTITY_SIZE];
	double duration = (double)sum->duration_ns;
	uint64_t cpu_ns = t->clock_cpu_ns + t->dormant_cpu_ns;

	add_row(s, "wall time", pln_duration_text(value, sum->duration_ns), "%s", "");
	add_row(s, "CPU time", pln_duration_text(value, cpu_ns),
		"%.2f CPUs used; samples stand for %s of it%s",
		duration > 0 ? (double)cpu_ns / duration : 0,
		pln_share_text(share, (double)t->cpu_ns, (double)t->clock_cpu_ns),
		sum->dormant_ns ? " while it was sampled" : "");
	if (sum->dormant_ns)
		add_row(s, "stopped", pln_duration_text(value, sum->dormant_ns),
			"nothing in it was sampled%s",
			sum->process_count > 1 ? "; summed over processes" : "");
	add_row(s, "off-CPU time", pln_duration_text(value, t->offcpu_ns),
		"summed over threads, of %s of their wall time",
		pln_duration_text(clock, t->clock_wall_ns));
	add_row(s, "waiting for a CPU", pln_duration_text(value, t->runnable_ns), "%s",
		"summed over threads");
	add_row(s, "threads", pln_count_text(value, t->threads), "in %u process%s",
		sum->process_count, sum->process_count == 1 ? "" : "es");
}

static void add_gil(struct pln_stat *s)
{
	const struct pln_summary *sum = &s->report->summary;
	const struct pln_times *t = &sum->all;
	char value[PLN_QUANTITY_SIZE], share[PLN_QUANTITY_SIZE], least[PLN_QUANTITY_SIZE];

	if (!t->hold_ns && !t->wait_ns)
		return;
	pln_share_text(value, sum->most_held, 1);
	if (sum->process_count > 1)
		add_row(s, "GIL held", value, "of its time by one process, %s by another",
			pln_share_text(least, sum->least_held, 1));
	else
		add_row(s, "GIL held", value, "of the time; %s while blocked",
			pln_duration_text(share, t->hold_blocked_ns));
	add_row(s, "waiting for the GIL", pln_duration_text(value, t->wait_ns),
		"%s of all threads' time",
		pln_share_text(share, (double)t->wait_ns, (double)pln_times_wall_ns(t)));
}

/* The kinds of wait with the most time; holding the GIL meanwhile is a part of others. */
static void add_waits(struct pln_stat *s)
{
	const struct pln_waits *w = &s->report->waits;
	size_t shown = 0;

	for (size_t i = 0; i < w->count && shown < WAITS_SHOWN; i++) {
		const struct pln_wait *wait = &w->waits[i];
		char value[PLN_QUANTITY_SIZE], name[64];

		if (wait->kind == PLN_WAIT_HOLDING || !wait->offcpu_ns)
			continue;
		add_row(s, "blocked", pln_duration_text(value, wait->offcpu_ns), "%s",
			pln_wait_name(wait, name, sizeof(name)));
		shown++;
	}
}

/* ---------------------------------------------------------------------- memory */

static void add_heap_class(struct pln_stat *s, const char *name, unsigned class)
{
	const struct pln_heap_counts *c = &s->report->heap.counts[class];
	char value[PLN_QUANTITY_SIZE], calls[PLN_QUANTITY_SIZE], frees[PLN_QUANTITY_SIZE];

	if (c->alloc_calls)
		add_row(s, name, pln_bytes_text(value, c->alloc_bytes), "in %s call%s; %s free%s",
			pln_count_text(calls, c->alloc_calls), c->alloc_calls == 1 ? "" : "s",
			pln_count_text(frees, c->free_calls), c->free_calls == 1 ? "" : "s");
}

static void add_memory(struct pln_stat *s)
{
	const struct pln_heap_summary *h = &s->report->heap;
	char value[PLN_QUANTITY_SIZE], after[PLN_QUANTITY_SIZE], sum[80] = "";

	if (!pln_heap_is_counted(h))
		return;
	add_row(s, "peak of memory", pln_bytes_text(value, h->peak_bytes), "after %s%s",
		pln_duration_text(after, h->peak_after_ns),
		s->report->summary.process_count > 1 ? ", of the largest process" : "");
	if (h->processes > 1)
		snprintf(sum, sizeof(sum), "sum of %u processes%s", h->processes,
			 h->forked_bytes ? ", with what each was forked with" : "");
	add_row(s, "live at the end", pln_bytes_text(value, h->live_bytes), "%s", sum);
	add_heap_class(s, "malloc", PILLION_HEAP_MALLOC);
	add_heap_class(s, "mmap", PILLION_HEAP_MAPPING);
	add_heap_class(s, "Python objects", PILLION_HEAP_OBJECT);
}

/* ------------------------------------------------------------------- recording */

static void add_recording(struct pln_stat *s)
{
	const struct pln_report *r = s->report;
	const struct pln_summary *sum = &r->summary;
	uint64_t lost = sum->drop_count + r->profile->recording.lost_samples + sum->lost_records;
	double cpu = (double)sum->process_cpu_ns;
	char value[PLN_QUANTITY_SIZE], part[PLN_QUANTITY_SIZE], whole[PLN_QUANTITY_SIZE];

	pln_count_text(value, r->aggregate.quality.samples);
	if (sum->asked_hz > 0)
		add_row(s, "samples", value, "%.5g per CPU second of %.5g asked", sum->reached_hz,
			sum->asked_hz);
	else
		add_row(s, "samples", value, "%s", "");
	add_row(s, "dropped", pln_count_text(value, lost), "%s", "");
	if (cpu > 0)
		add_row(s, "overhead",
			pln_share_text(value, (double)(sum->handler_ns + sum->sampler_cpu_ns), cpu),
			"of the program's %s of CPU time; the collector took %s",
			pln_duration_text(whole, sum->process_cpu_ns),
			pln_duration_text(part, r->profile->recording.collector_cpu_ns));
}

static void find_warnings(struct pln_stat *s)
{
	const struct pln_report *r = s->report;
	const struct pln_profile *p = r->profile;
	const struct pln_times *t = &r->summary.all;
	char share[PLN_QUANTITY_SIZE], count[PLN_QUANTITY_SIZE], status[48];

	if (p->recording.exit_status > 0)
		warn(s, "the command ended with %s",
		     pln_exit_text(p->recording.exit_status, status, sizeof(status)));
	if (!p->recording.complete || p->recording.truncated || p->bad_bytes)
		warn(s, "the recording did not end in order: what was written until then is here");
	for (unsigned d = 0; d < PILLION_DROP_COUNT; d++) {
		if (r->summary.drops[d])
			warn(s, "%s dropped: %s", pln_count_text(count, r->summary.drops[d]),
			     pln_drop_text(d));
	}
	if (t->clock_cpu_ns >= LEAST_JUDGED_NS &&
	    (double)t->cpu_ns < LEAST_ACCOUNTED * (double)t->clock_cpu_ns)
		warn(s, "samples stand for %s of the CPU time only",
		     pln_share_text(share, (double)t->cpu_ns, (double)t->clock_cpu_ns));
	for (size_t i = 0; i < p->note_count; i++) {
		if (p->notes[i].level)
			warn(s, "%s", p->notes[i].text);
	}
}

void pln_stat_build(struct pln_stat *stat, const struct pln_report *report)
{
	memset(stat, 0, sizeof(*stat));
	stat->report = report;
	add_times(stat);
	add_gil(stat);
	add_waits(stat);
	add_memory(stat);
	add_recording(stat);
	find_warnings(stat);
	stat->functions = pln_report_order_functions(report, &stat->function_count);
	stat->function_count = pln_report_limited(report, stat->function_count);
	/* What is only passed through is no place to look at. */
	while (stat->function_count &&
	       !report->totals.functions[stat->functions[stat->function_count - 1]].self.weight)
		stat->function_count--;
}

void pln_stat_free(struct pln_stat *stat)
{
	free(stat->functions);
	stat->functions = NULL;
}
