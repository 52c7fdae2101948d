/* SPDX-License-Identifier: MIT */
/*
 * report_json.c - the report as JSON, schema "pillion-report" version 1.
 *
 * Everything that the text shows, unrounded; every key of a quantity ends in its unit.
 * In views of memory, amounts are bytes: an estimate, with its variance and half of its 95 %
 * confidence interval; blocks, also estimated; samples, of which more make it surer; and kinds.
 * Keys are only ever added within a schema version. Functions are referred to by their
 * place in "functions" nowhere: each row stands for itself.
 */
#include <stdlib.h>
#include <string.h>

#include "report/names.h"
#include "report/labels.h"
#include "report/report.h"

#define SCHEMA_VERSION 1

static void amount(struct pln_json *json, const struct pln_report *r, const char *prefix,
		   const struct pln_amount *a)
{
	const struct {
		const char *suffix;
		uint64_t value;
	} parts[] = {
		{ "ns", a->ns },
		{ "samples", a->samples },
		{ "gil_hold_ns", a->hold_ns },
		{ "gil_wait_ns", a->wait_ns },
	};
	char key[64];

	if (pln_view_is_heap(r->options.view)) {
		pln_json_heap_amount(json, prefix, a);
		return;
	}
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		snprintf(key, sizeof(key), "%s%s%s", prefix, *prefix ? "_" : "", parts[i].suffix);
		pln_json_number(json, key, parts[i].value);
	}
}

static void cost(struct pln_json *json, const struct pln_report *r, const struct pln_cost *c)
{
	amount(json, r, "self", &c->self);
	amount(json, r, "total", &c->total);
}

void pln_json_function(struct pln_json *json, const struct pln_profile *p, uint32_t id)
{
	pln_json_text(json, "function", pln_function_name(p, id));
	pln_json_text(json, "kind", pln_function_kind_name(p, id));
	if (id >= p->function_count)
		return;
	pln_json_text(json, "file", p->functions[id].file);
	pln_json_number(json, "first_line", p->functions[id].first_line);
	pln_json_text(json, "library", p->functions[id].module);
	pln_json_text(json, "library_path", p->functions[id].module_path);
	pln_json_bool(json, "symbol_known", !p->functions[id].unknown);
}

/* -------------------------------------------------------------------- tables */

static void functions(struct pln_json *json, const struct pln_report *r)
{
	size_t count, shown;
	uint32_t *order = pln_report_order_functions(r, &count);

	shown = pln_report_limited(r, count);
	pln_json_array(json, "functions");
	for (size_t i = 0; i < shown; i++) {
		pln_json_object(json, NULL);
		pln_json_function(json, r->profile, order[i]);
		cost(json, r, &r->totals.functions[order[i]]);
		amount(json, r, "native", &r->totals.function_native[order[i]]);
		pln_json_object_end(json);
	}
	pln_json_array_end(json);
	free(order);
}

static void libraries(struct pln_json *json, const struct pln_report *r)
{
	size_t count, shown;
	uint32_t *order = pln_report_order_libraries(r, &count);

	shown = pln_report_limited(r, count);
	pln_json_array(json, "libraries");
	for (size_t i = 0; i < shown; i++) {
		const struct pln_library *library = &r->totals.libraries[order[i]];

		pln_json_object(json, NULL);
		pln_json_text(json, "library", pln_library_name(library));
		pln_json_text(json, "library_path", library->path);
		cost(json, r, &library->cost);
		pln_json_object_end(json);
	}
	pln_json_array_end(json);
	free(order);
}

void pln_json_python_line(struct pln_json *json, const struct pln_report *r, uint32_t line)
{
	const struct pln_line *at;

	if (line == PLN_NONE) {
		pln_json_null(json, "function");
		pln_json_null(json, "file");
		pln_json_null(json, "line");
		return;
	}
	at = &r->totals.lines[line];
	pln_json_text(json, "function", pln_function_name(r->profile, at->function));
	pln_json_text(json, "file", r->profile->functions[at->function].file);
	pln_json_number(json, "line", at->line);
}

static void callers(struct pln_json *json, const struct pln_report *r, uint32_t function)
{
	size_t end, first = pln_totals_callers(&r->totals, function, &end);

	pln_json_array(json, "python_lines");
	for (size_t i = first; i < end; i++) {
		const struct pln_caller *caller = &r->totals.callers[i];

		if (!caller->amount.weight)
			continue;
		pln_json_object(json, NULL);
		pln_json_python_line(json, r, caller->line);
		amount(json, r, "", &caller->amount);
		pln_json_object_end(json);
	}
	pln_json_array_end(json);
}

static void native_hotspots(struct pln_json *json, const struct pln_report *r)
{
	struct pln_report by_self = *r;
	size_t count, shown = 0;
	uint32_t *order;

	by_self.options.sort = PLN_SORT_SELF;
	order = pln_report_order_functions(&by_self, &count);
	pln_json_array(json, "native_hotspots");
	for (size_t i = 0; i < count && (!r->options.limit || shown < r->options.limit); i++) {
		uint32_t id = order[i];

		if (id >= r->profile->function_count || !r->totals.functions[id].self.weight ||
		    r->profile->functions[id].kind != PLN_FUNCTION_NATIVE)
			continue;
		pln_json_object(json, NULL);
		pln_json_function(json, r->profile, id);
		cost(json, r, &r->totals.functions[id]);
		callers(json, r, id);
		pln_json_object_end(json);
		shown++;
	}
	pln_json_array_end(json);
	free(order);
}

static void lines(struct pln_json *json, const struct pln_report *r)
{
	size_t count, shown;
	uint32_t *order = pln_report_order_lines(r, &count);

	shown = pln_report_limited(r, count);
	pln_json_array(json, "lines");
	for (size_t i = 0; i < shown; i++) {
		const struct pln_line *line = &r->totals.lines[order[i]];

		pln_json_object(json, NULL);
		pln_json_text(json, "kind", pln_function_kind_name(r->profile, line->function));
		pln_json_python_line(json, r, order[i]);
		cost(json, r, &line->cost);
		amount(json, r, "native", &line->native);
		pln_json_bool(json, "program", r->totals.function_program[line->function]);
		amount(json, r, "spent", &line->spent);
		pln_json_object_end(json);
	}
	pln_json_array_end(json);
	free(order);
}

static void waits(struct pln_json *json, const struct pln_report *r)
{
	size_t shown = pln_report_limited(r, r->waits.count);
	char name[64];

	pln_json_array(json, "off_cpu");
	for (size_t i = 0; i < shown; i++) {
		const struct pln_wait *wait = &r->waits.waits[i];

		pln_json_object(json, NULL);
		pln_json_text(json, "kind", pln_wait_kind_key(wait->kind));
		pln_json_text(json, "name", pln_wait_name(wait, name, sizeof(name)));
		pln_json_signed(json, "syscall_number", wait->syscall_nr);
		pln_json_text(json, "syscall", pln_syscall_name(wait->syscall_nr));
		pln_json_number(json, "offcpu_ns", wait->offcpu_ns);
		pln_json_number(json, "samples", wait->samples);
		pln_json_array(json, "python_lines");
		for (size_t l = 0; l < wait->line_count; l++) {
			const struct pln_wait_line *line = &r->waits.lines[wait->first_line + l];

			pln_json_object(json, NULL);
			pln_json_python_line(json, r, line->line);
			pln_json_number(json, "offcpu_ns", line->ns);
			pln_json_object_end(json);
		}
		pln_json_array_end(json);
		pln_json_object_end(json);
	}
	pln_json_array_end(json);
}

/* Flat, since nesting as deep as stacks are is more than most parsers take. */
static void tree(struct pln_json *json, const struct pln_report *r)
{
	uint32_t call = r->tree.first_root;
	unsigned depth = 0;

	pln_json_array(json, "tree");
	while (r->tree.count && call != PLN_NONE) {
		const struct pln_call *c = &r->tree.calls[call];

		pln_json_object(json, NULL);
		pln_json_number(json, "id", call);
		if (c->parent == PLN_NONE)
			pln_json_null(json, "parent");
		else
			pln_json_number(json, "parent", c->parent);
		pln_json_number(json, "depth", depth);
		pln_json_function(json, r->profile, c->function);
		amount(json, r, "self", &c->self);
		amount(json, r, "total", &c->total);
		pln_json_object_end(json);
		call = pln_calltree_next(&r->tree, call, &depth);
	}
	pln_json_array_end(json);
}

/* -------------------------------------------------- what info shows as well */

void pln_json_times(struct pln_json *json, const char *key, const struct pln_times *times)
{
	pln_json_object(json, key);
	pln_json_number(json, "samples", times->samples);
	pln_json_number(json, "cpu_ns", times->cpu_ns);
	pln_json_number(json, "offcpu_ns", times->offcpu_ns);
	pln_json_number(json, "runnable_ns", times->runnable_ns);
	pln_json_number(json, "wall_ns", pln_times_wall_ns(times));
	pln_json_number(json, "gil_hold_ns", times->hold_ns);
	pln_json_number(json, "gil_hold_blocked_ns", times->hold_blocked_ns);
	pln_json_number(json, "gil_wait_ns", times->wait_ns);
	pln_json_number(json, "gil_neither_ns", times->neither_ns);
	pln_json_number(json, "gil_unknown_ns", times->gil_unknown_ns);
	pln_json_number(json, "gil_unknown_runnable_ns", times->gil_runnable_ns);
	pln_json_number(json, "clock_cpu_ns", times->clock_cpu_ns);
	pln_json_number(json, "clock_wall_ns", times->clock_wall_ns);
	pln_json_number(json, "unsampled_cpu_ns", times->unsampled_cpu_ns);
	pln_json_number(json, "unsampled_wall_ns", times->unsampled_wall_ns);
	pln_json_object_end(json);
}

void pln_json_recording(struct pln_json *json, const struct pln_report *report)
{
	const struct pln_recording *rec = &report->profile->recording;
	const struct pln_summary *s = &report->summary;

	pln_json_object(json, "recording");
	pln_json_text(json, "command", rec->command);
	pln_json_text(json, "host", rec->host);
	pln_json_text(json, "working_directory", rec->working_directory);
	pln_json_text(json, "pillion_version", rec->pillion_version);
	pln_json_number(json, "start_unix_ns", rec->start_real_ns);
	pln_json_number(json, "duration_ns", s->duration_ns);
	pln_json_number(json, "stopped_ns", s->dormant_ns);
	if (rec->exit_status == -1)
		pln_json_null(json, "exit_status");
	else
		pln_json_signed(json, "exit_status", rec->exit_status);
	pln_json_bool(json, "complete", rec->complete);
	pln_json_bool(json, "symbolized", rec->symbolized);
	pln_json_bool(json, "truncated", rec->truncated);
	pln_json_number(json, "file_bytes", report->profile->file_size);
	pln_json_number(json, "unreadable_bytes", report->profile->bad_bytes);
	pln_json_real(json, "asked_hz", s->asked_hz);
	pln_json_real(json, "reached_hz", s->reached_hz);
	pln_json_real(json, "asked_ticks_hz", s->asked_tick_hz);
	pln_json_real(json, "reached_ticks_hz", s->reached_tick_hz);
	pln_json_object_end(json);
}

static const char *interpreter_status(uint8_t status)
{
	static const char *const names[] = { "found", "checked", "refused" };

	return status < sizeof(names) / sizeof(*names) ? names[status] : "unknown";
}

static void labels(struct pln_json *json, const struct pln_report *r, uint32_t process)
{
	struct pln_label_range range = pln_labels_of(r->profile, process);

	pln_json_object(json, "labels");
	for (const struct pln_label *l = range.from; l < range.to; l++)
		pln_json_text(json, l->key, l->value);
	pln_json_object_end(json);
}

static void process(struct pln_json *json, const struct pln_report *r, uint32_t id)
{
	const struct pln_process *p = &r->profile->processes[id];
	char version[32], engine[256];

	pln_json_object(json, NULL);
	pln_json_number(json, "pid", p->pid);
	pln_json_number(json, "inner_pid", p->inner_pid);
	pln_json_number(json, "ppid", p->ppid);
	pln_json_text(json, "started_by", p->reason == PILLION_REASON_FORK ? "fork" : "start");
	pln_json_text(json, "executable", p->executable);
	pln_json_text(json, "command", p->command);
	labels(json, r, id);
	pln_json_text(json, "python_version",
		      p->python_version
			      ? pln_python_version(p->python_version, version, sizeof(version))
			      : NULL);
	pln_json_bool(json, "free_threaded", p->free_threaded);
	pln_json_text(json, "interpreter_status", interpreter_status(p->interpreter_status));
	pln_json_text(json, "layout", p->layout);
	pln_json_text(json, "layout_detail", p->layout_detail);
	pln_json_text(json, "engine", pln_engine_text(p->engine, engine, sizeof(engine)));
	pln_json_bool(json, "ended", p->end_ns != 0);
	if (p->exit_status == -1)
		pln_json_null(json, "exit_status");
	else
		pln_json_signed(json, "exit_status", p->exit_status);
	pln_json_killed(json, r, id);
	pln_json_times(json, "time", &r->summary.processes[id]);
	pln_json_heap_counts(json, p->heap);
	pln_json_object_end(json);
}

void pln_json_processes(struct pln_json *json, const struct pln_report *report)
{
	pln_json_array(json, "processes");
	for (uint32_t id = 0; id < report->profile->process_count; id++) {
		if (pln_filter_keeps_process(&report->options.filter,
					     &report->profile->processes[id]))
			process(json, report, id);
	}
	pln_json_array_end(json);
}

/* What the thread runs. */
static void entry(struct pln_json *json, const struct pln_report *r, uint32_t thread)
{
	if (r->thread_entries[thread] == PLN_NONE) {
		pln_json_null(json, "entry");
		return;
	}
	pln_json_object(json, "entry");
	pln_json_function(json, r->profile, r->thread_entries[thread]);
	pln_json_object_end(json);
}

void pln_json_threads(struct pln_json *json, const struct pln_report *report)
{
	const struct pln_profile *p = report->profile;
	size_t count;
	uint32_t *order = pln_report_order_threads(report, &count);

	pln_json_array(json, "threads");
	for (size_t i = 0; i < count; i++) {
		const struct pln_thread *thread = &p->threads[order[i]];

		pln_json_object(json, NULL);
		pln_json_text(json, "name", thread->name);
		pln_json_number(json, "tid", thread->tid);
		if (thread->process < p->process_count)
			pln_json_number(json, "pid", p->processes[thread->process].pid);
		else
			pln_json_null(json, "pid");
		pln_json_bool(json, "is_main", thread->is_main);
		pln_json_bool(json, "has_python", thread->has_python);
		pln_json_bool(json, "exited", thread->exited);
		entry(json, report, order[i]);
		pln_json_times(json, "time", &report->summary.threads[order[i]]);
		pln_json_heap_counts(json, thread->heap);
		pln_json_object_end(json);
	}
	pln_json_array_end(json);
	free(order);
}

void pln_json_quality(struct pln_json *json, const struct pln_report *report)
{
	const struct pln_quality *q = &report->aggregate.quality;

	pln_json_object(json, "quality");
	pln_json_number(json, "samples", q->samples);
	pln_json_number(json, "on_cpu_samples", q->on_cpu);
	pln_json_number(json, "blocked_samples", q->blocked);
	pln_json_number(json, "without_stack_samples", q->without_stack);
	pln_json_number(json, "native_truncated_samples", q->native_truncated);
	pln_json_number(json, "python_truncated_samples", q->python_truncated);
	pln_json_number(json, "python_failed_samples", q->python_failed);
	pln_json_number(json, "guessed_samples", q->guessed);
	pln_json_number(json, "mismatched_samples", q->mismatched);
	pln_json_number(json, "finished_by_collector_samples", q->finished);
	pln_json_number(json, "without_native_samples", q->without_native);
	pln_json_number(json, "foreign_stack_samples", q->foreign_stack);
	pln_json_number(json, "unusable_samples", q->unusable);
	pln_json_object(json, "drops");
	for (unsigned d = 0; d < PILLION_DROP_COUNT; d++)
		pln_json_number(json, pln_drop_key(d), report->summary.drops[d]);
	pln_json_object_end(json);
	pln_json_number(json, "lost_records", report->summary.lost_records);
	pln_json_number(json, "lost_samples", report->profile->recording.lost_samples);
	pln_json_object_end(json);
}

void pln_json_costs(struct pln_json *json, const struct pln_report *report)
{
	const struct pln_summary *s = &report->summary;
	const struct pln_recording *rec = &report->profile->recording;

	pln_json_object(json, "cost");
	pln_json_number(json, "process_cpu_ns", s->process_cpu_ns);
	pln_json_number(json, "handler_ns", s->handler_ns);
	pln_json_number(json, "handler_calls", s->handler_calls);
	pln_json_number(json, "sampler_cpu_ns", s->sampler_cpu_ns);
	pln_json_number(json, "collector_cpu_ns", rec->collector_cpu_ns);
	pln_json_number(json, "collector_peak_rss_bytes", rec->collector_peak_rss);
	pln_json_number(json, "largest_table_bytes", s->table_bytes);
	pln_json_number(json, "largest_private_bytes", s->private_bytes);
	pln_json_object_end(json);
}

void pln_json_notes(struct pln_json *json, const struct pln_report *report)
{
	const struct pln_profile *p = report->profile;

	pln_json_array(json, "notes");
	for (size_t i = 0; i < p->note_count; i++) {
		const struct pln_note_row *note = &p->notes[i];

		pln_json_object(json, NULL);
		pln_json_text(json, "level", note->level ? "warning" : "info");
		if (note->process < p->process_count)
			pln_json_number(json, "pid", p->processes[note->process].pid);
		else
			pln_json_null(json, "pid");
		pln_json_text(json, "text", note->text);
		pln_json_object_end(json);
	}
	pln_json_array_end(json);
}

/* ---------------------------------------------------------------- the whole */

static void filter(struct pln_json *json, const struct pln_filter *f)
{
	pln_json_object(json, "filter");
	pln_json_text(json, "thread", f->threads);
	pln_json_text(json, "process", f->processes);
	pln_json_object_end(json);
}

void pln_report_print_json(const struct pln_report *report, FILE *out)
{
	struct pln_json json = { .out = out, .pretty = true };

	pln_json_object(&json, NULL);
	pln_json_text(&json, "schema", "pillion-report");
	pln_json_number(&json, "schema_version", SCHEMA_VERSION);
	pln_json_text(&json, "profile", report->path);
	pln_json_text(&json, "view", pln_report_view_names[report->options.view]);
	pln_json_text(&json, "sort", pln_sort_names[report->options.sort]);
	filter(&json, &report->options.filter);
	pln_json_recording(&json, report);
	pln_json_times(&json, "time", &report->summary.all);
	pln_json_object(&json, "view_total");
	amount(&json, report, "", &report->totals.all);
	pln_json_object_end(&json);
	pln_json_quality(&json, report);
	pln_json_costs(&json, report);
	pln_json_heap(&json, report);
	if (report->options.view == PLN_VIEW_LEAKS)
		pln_json_leaks(&json, report);
	if (report->options.part == PLN_REPORT_TREE)
		tree(&json, report);
	if (report->options.part != PLN_REPORT_TREE)
		lines(&json, report);
	if (report->options.part == PLN_REPORT_ALL) {
		functions(&json, report);
		libraries(&json, report);
		native_hotspots(&json, report);
		waits(&json, report);
	}
	pln_json_processes(&json, report);
	pln_json_threads(&json, report);
	pln_json_notes(&json, report);
	pln_json_object_end(&json);
}
