/* SPDX-License-Identifier: MIT */
/*
 * info_text.c - `pillion info`: what a profile holds, how it was taken, what it lacks.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "profile/groups.h"
#include "report/labels.h"
#include "report/names.h"
#include "report/report.h"
#include "report/text_i.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

/* ------------------------------------------------------------------- parts */

static void print_file(const struct pln_report *r, const struct pln_screen *screen)
{
	const struct pln_profile *p = r->profile;
	const struct pln_recording *rec = &p->recording;
	char size[PLN_QUANTITY_SIZE], samples[PLN_QUANTITY_SIZE], bad[PLN_QUANTITY_SIZE];
	double bytes_per_sample =
		p->sample_count ? (double)p->file_size / (double)p->sample_count : 0;

	pln_text_field(screen, "file", PLN_STYLE_PLAIN,
		       "%s, %s samples, %.3g bytes a sample; written by Pillion %s",
		       pln_bytes_text(size, p->file_size), pln_count_text(samples, p->sample_count),
		       bytes_per_sample, rec->pillion_version);
	pln_text_field(screen, "state", rec->complete ? PLN_STYLE_PLAIN : PLN_STYLE_WARNING, "%s%s",
		       rec->complete	? "complete"
		       : rec->truncated ? "cut short"
					: "unfinished: being recorded, or the collector was killed",
		       rec->symbolized ? ", symbols included"
				       : ", without symbols (looked up on this machine)");
	if (p->bad_bytes)
		pln_text_field(screen, "unreadable", PLN_STYLE_WARNING,
			       "%s at the end or in between", pln_bytes_text(bad, p->bad_bytes));
}

static void print_contents(const struct pln_report *r, const struct pln_screen *screen)
{
	const struct pln_profile *p = r->profile;
	const struct {
		size_t count;
		const char *one, *many;
	} parts[] = {
		{ p->process_count, "process", "processes" },
		{ p->thread_count, "thread", "threads" },
		{ p->module_count, "module", "modules" },
		{ p->stack_count, "stack node", "stack nodes" },
		{ p->frame_count, "frame", "frames" },
		{ p->function_count, "function", "functions" },
		{ p->note_count, "note", "notes" },
		{ p->block_count, "sampled block", "sampled blocks" },
		{ p->heap_point_count, "point of the heap's timeline",
		  "points of the heap's timeline" },
	};
	char text[384], number[PLN_QUANTITY_SIZE];
	size_t used = 0;

	for (size_t i = 0; i < COUNT_OF(parts); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %s", i ? ", " : "",
					 pln_count_text(number, parts[i].count),
					 parts[i].count == 1 ? parts[i].one : parts[i].many);
	pln_text_field(screen, "contents", PLN_STYLE_PLAIN, "%s", text);
}

/* One more term of " = 220 ms sampled + 68.4 ms unsampled". */
static void add_term(char *text, size_t size, int64_t ns, const char *what)
{
	size_t used = strlen(text);
	char duration[PLN_QUANTITY_SIZE];

	if (!ns)
		return;
	snprintf(text + used, size - used, "%s%s %s",
		 !used	  ? (ns < 0 ? " = -" : " = ")
		 : ns < 0 ? " - "
			  : " + ",
		 pln_duration_text(duration, ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns), what);
}

/* Both sums, of one process or, with PLN_NONE, of all. */
static void print_accounting(const struct pln_report *r, const struct pln_screen *screen,
			     uint32_t process)
{
	struct pln_accounting a = pln_summary_account(&r->summary, r->profile, process);
	char cpu[256] = "", wall[256] = "", clock[PLN_QUANTITY_SIZE];

	add_term(cpu, sizeof(cpu), (int64_t)a.sampled_cpu_ns, "sampled");
	add_term(cpu, sizeof(cpu), a.unsampled_cpu_ns, "unsampled");
	add_term(cpu, sizeof(cpu), (int64_t)a.sampler_cpu_ns, "in the sampling thread");
	add_term(cpu, sizeof(cpu), (int64_t)a.dormant_cpu_ns, "while it was stopped");
	add_term(cpu, sizeof(cpu), (int64_t)a.outside_cpu_ns, "before sampling began");
	add_term(wall, sizeof(wall), (int64_t)a.sampled_wall_ns, "sampled");
	add_term(wall, sizeof(wall), a.unsampled_wall_ns, "unsampled");
	pln_text_field(screen, "CPU clock", PLN_STYLE_PLAIN, "%s%s",
		       pln_duration_text(clock, a.process_cpu_ns), cpu);
	pln_text_field(screen, "wall clock", PLN_STYLE_PLAIN, "%s%s",
		       pln_duration_text(clock, a.thread_wall_ns), wall);
}

static void print_unsampled(const struct pln_report *r, const struct pln_screen *screen)
{
	print_accounting(r, screen, PLN_NONE);
	pln_text_field(screen, "unsampled", PLN_STYLE_DIM, "%s",
		       "what no sample stands for; a sample stands for a whole period, also for "
		       "that of threads too short to get one (negative: for too much)");
}

static void print_memory(const struct pln_report *r, const struct pln_screen *screen)
{
	const struct pln_summary *s = &r->summary;
	char tables[PLN_QUANTITY_SIZE], other[PLN_QUANTITY_SIZE + 32] = "";
	char bytes[PLN_QUANTITY_SIZE], calls[PLN_QUANTITY_SIZE], mean[PLN_QUANTITY_SIZE];

	if (s->private_bytes)
		snprintf(other, sizeof(other), " and %s of other memory",
			 pln_bytes_text(bytes, s->private_bytes));
	if (s->table_bytes)
		pln_text_field(screen, "in target", PLN_STYLE_PLAIN,
			       "%s of unwind tables%s at most",
			       pln_bytes_text(tables, s->table_bytes), other);
	/* Not every call is timed: short recordings may have no time at all. */
	if (s->handler_ns && s->handler_calls)
		pln_text_field(screen, "handler", PLN_STYLE_PLAIN, "%s calls of %s on average",
			       pln_count_text(calls, s->handler_calls),
			       pln_duration_text(mean, s->handler_ns / s->handler_calls));
}

static bool same_interpreter(const struct pln_process *a, const struct pln_process *b)
{
	return !strcmp(a->executable, b->executable) && a->python_version == b->python_version &&
	       a->free_threaded == b->free_threaded && !strcmp(a->layout, b->layout) &&
	       !strcmp(a->layout_detail, b->layout_detail) && a->engine == b->engine;
}

static void print_interpreter(const struct pln_screen *screen, const struct pln_process *p)
{
	char version[32], engine[256];

	pln_text_field(screen, "executable", PLN_STYLE_PLAIN, "%s", p->executable);
	pln_text_field(screen, "python", PLN_STYLE_PLAIN, "%s%s%s%s%s%s",
		       pln_python_version(p->python_version, version, sizeof(version)),
		       p->free_threaded ? " free-threaded" : "", *p->layout ? ", layout " : "",
		       p->layout, *p->layout_detail ? ": " : "", p->layout_detail);
	pln_text_field(screen, "engine", PLN_STYLE_PLAIN, "%s",
		       pln_engine_text(p->engine, engine, sizeof(engine)));
}

static void print_process(const struct pln_report *r, const struct pln_screen *screen, uint32_t id)
{
	const struct pln_process *p = &r->profile->processes[id];
	char ended[48], lasted[PLN_QUANTITY_SIZE], labels[512];

	pln_text_heading(screen, "Process", "%u", p->pid);
	pln_text_field(screen, "command", PLN_STYLE_PLAIN, "%s",
		       *p->command ? p->command : p->executable);
	if (*pln_labels_text(r->profile, id, labels, sizeof(labels)))
		pln_text_field(screen, "labels", PLN_STYLE_PLAIN, "%s", labels);
	/* Forks are like their parents, and a program's processes mostly like each other. */
	if (!id || !same_interpreter(p, p - 1))
		print_interpreter(screen, p);
	pln_text_field(
		screen, "sampled", PLN_STYLE_PLAIN, "for %s, %s pid %u; %s",
		pln_duration_text(lasted, pln_process_sampled_ns(r->profile, id)),
		p->reason == PILLION_REASON_FORK ? "forked from" : "a child of", p->ppid,
		pln_process_end_text(p, r->profile->recording.complete, ended, sizeof(ended)));
	if (r->profile->process_count > 1)
		print_accounting(r, screen, id);
	pln_text_heap_process(p, screen);
	pln_text_killed_stack(r, screen, id);
}

static const struct pln_column thread_columns[] = {
	{ "thread", false, PLN_ELIDE_MIDDLE, 0 },
	{ "runs", false, PLN_ELIDE_NAME, 2 },
	{ "tid", true, PLN_RIGID, 3 },
	{ "samples", true, PLN_RIGID, 1 },
	{ "CPU sampled", true, PLN_RIGID, 0 },
	{ "of clock", true, PLN_RIGID, 0 },
	{ "wall sampled", true, PLN_RIGID, 4 },
	{ "of clock", true, PLN_RIGID, 5 },
	{ "allocations", true, PLN_RIGID, 8 },
	{ "allocated", true, PLN_RIGID, 6 },
	{ "freed", true, PLN_RIGID, 7 },
};

/* malloc and mappings; nothing where nothing was counted. */
static void heap_cells(struct pln_table *table, const struct pln_heap_counts *heap)
{
	const struct pln_heap_counts *m = &heap[PILLION_HEAP_MALLOC],
				     *p = &heap[PILLION_HEAP_MAPPING];
	char text[PLN_QUANTITY_SIZE];

	if (!m->alloc_calls && !p->alloc_calls) {
		pln_text_empty_cells(table, 3);
		return;
	}
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s",
		       pln_count_text(text, m->alloc_calls + p->alloc_calls));
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s",
		       pln_bytes_text(text, m->alloc_bytes + p->alloc_bytes));
	pln_table_cell(table, PLN_STYLE_DIM, "%s",
		       pln_bytes_text(text, m->free_bytes + p->free_bytes));
}

static void thread_row(const struct pln_report *r, struct pln_table *table, uint32_t id)
{
	const struct pln_thread *thread = &r->profile->threads[id];
	const struct pln_times *t = &r->summary.threads[id];
	bool alive = !thread->exited && !r->profile->processes[thread->process].end_ns;
	char text[PLN_QUANTITY_SIZE], name[32];

	pln_table_cell(table, PLN_STYLE_PLAIN, "%s%s", pln_thread_name(thread, name, sizeof(name)),
		       alive ? " (alive)" : "");
	pln_text_entry_cell(table, PLN_STYLE_DIM, r, id);
	pln_table_cell(table, PLN_STYLE_DIM, "%u", thread->tid);
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s", pln_count_text(text, t->samples));
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s", pln_duration_text(text, t->cpu_ns));
	pln_table_cell(table, PLN_STYLE_DIM, "%s", pln_duration_text(text, t->clock_cpu_ns));
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s", pln_duration_text(text, pln_times_wall_ns(t)));
	pln_table_cell(table, PLN_STYLE_DIM, "%s", pln_duration_text(text, t->clock_wall_ns));
	heap_cells(table, thread->heap);
}

/* In their order, and by their process. */
struct threads {
	const struct pln_report *report;
	uint32_t *order;
	struct pln_groups by_process; /* places in `order` */
};

static uint32_t process_at(size_t place, const void *arg)
{
	const struct threads *threads = arg;

	return threads->report->profile->threads[threads->order[place]].process;
}

/* Short of memory, there are none. */
static void order_threads(struct threads *threads, const struct pln_report *r)
{
	size_t count;

	*threads = (struct threads){ .report = r };
	threads->order = pln_report_order_threads(r, &count);
	(void)pln_groups_make(&threads->by_process, r->profile->process_count, count, process_at,
			      threads);
}

static void free_threads(struct threads *threads)
{
	pln_groups_free(&threads->by_process);
	free(threads->order);
}

/* Threads that no sample met are told of in one line: a program may start one for each task. */
static void print_threads(const struct threads *threads, const struct pln_screen *screen,
			  uint32_t process)
{
	struct pln_table *table = pln_table_new(thread_columns, COUNT_OF(thread_columns));
	const struct pln_report *r = threads->report;
	struct pln_times unmet = { .threads = 0 };
	const uint32_t *place;
	size_t count = pln_groups_of(&threads->by_process, process, &place);

	for (size_t i = 0; i < count; i++) {
		uint32_t id = threads->order[place[i]];
		const struct pln_times *t = &r->summary.threads[id];

		if (t->samples) {
			thread_row(r, table, id);
			continue;
		}
		unmet.threads++;
		unmet.clock_cpu_ns += t->clock_cpu_ns;
		unmet.clock_wall_ns += t->clock_wall_ns;
	}
	pln_table_print(table, screen);
	pln_text_unmet(screen, &unmet);
}

/* ----------------------------------------------------------------- modules */

static const struct pln_column module_columns[] = {
	{ "frames", true, PLN_RIGID, 0 },	 { "named %", true, PLN_RIGID, 0 },
	{ "with line %", true, PLN_RIGID, 0 },	 { "build id", false, PLN_RIGID, 1 },
	{ "module", false, PLN_ELIDE_START, 0 },
};

static void module_row(struct pln_table *table, const struct pln_module_symbols *m)
{
	char text[PLN_QUANTITY_SIZE], id[2 * 6 + 1] = "-";
	unsigned size = m->module->build_id_size;

	for (unsigned i = 0; i < size && i < 6; i++)
		snprintf(id + 2 * i, 3, "%02x", m->module->build_id[i]);
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s", pln_count_text(text, m->frames));
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s", pln_percent_text(text, m->named, m->frames));
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s",
		       pln_percent_text(text, m->with_line, m->frames));
	pln_table_cell(table, PLN_STYLE_DIM, "%s", id);
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s", m->module->path);
}

static void print_modules(const struct pln_report *r, const struct pln_screen *screen)
{
	size_t count, unused = 0;
	struct pln_module_symbols *modules = pln_module_symbols(r->profile, &count);
	struct pln_table *table = pln_table_new(module_columns, COUNT_OF(module_columns));

	pln_text_heading(screen, "Modules", "%s", "frames met in them, and how many have symbols");
	for (size_t m = 0; m < count; m++) {
		if (modules[m].frames)
			module_row(table, &modules[m]);
		unused += !modules[m].frames;
	}
	pln_table_print(table, screen);
	if (unused)
		fprintf(screen->out, "  %zu more that no sample met\n", unused);
	free(modules);
}

void pln_info_print_text(const struct pln_report *built, const struct pln_screen *screen)
{
	struct threads threads;

	pln_text_title(built, screen);
	print_file(built, screen);
	print_contents(built, screen);
	pln_text_recording(built, screen);
	print_unsampled(built, screen);
	print_memory(built, screen);
	pln_text_notes(built, screen);
	order_threads(&threads, built);
	for (uint32_t id = 0; id < built->profile->process_count; id++) {
		print_process(built, screen, id);
		print_threads(&threads, screen, id);
	}
	free_threads(&threads);
	print_modules(built, screen);
}
