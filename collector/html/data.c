/* SPDX-License-Identifier: MIT */
/*
 * data.c - what the page is told, in five parts (see parts.h):
 *
 *   info    JSON: what `pillion info --json` says
 *   model   JSON: functions, threads, moments, memory, sources, what was left out
 *   nodes   calls in depth-first order, as four columns of varints behind their number:
 *           how much less deep than one below the call before, function, line, guessed
 *   cells   in order of class, thread, moment and node: the number of runs, a run being all
 *           cells of one class and thread (class, thread, cells); then, of all cells, the
 *           columns moment (less that of the cell before in its run), node (signed, less that
 *           of the cell before in its run) and weight, in nanoseconds or bytes
 *   code    JSON: instructions of the hottest native functions, see instructions.c; [] if none
 *
 * Varints are those of profile/codec.h. page/data.js reads it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pillion/pillion.h>

#include "html/cells.h"
#include "html/functions.h"
#include "html/html.h"
#include "html/instructions.h"
#include "html/parts.h"
#include "html/sources.h"
#include "report/names.h"

#define FORMAT 1
/* More can be neither looked at nor told apart. */
#define NODES_MAX 150000u
#define NODES_MIN 20000u
/* So many samples leave room for as many calls as there may be, and time to tell them apart. */
#define FEW_SAMPLES 1500000u
#define SERIES_MAX 100u

struct writer {
	const struct pln_report *report;
	const struct pln_html_options *options;
	struct pln_html_tree tree;
	struct pln_html_pruned pruned;
	struct pln_html_threads threads;
	struct pln_html_cells cells;
	struct pln_html_sources sources;
	struct pln_html_instructions instructions;
	uint32_t *page_function; /* by function and place; PLN_NONE: not in the page */
	uint32_t *functions; /* by id in the page */
	uint32_t function_count;
};

/* -------------------------------------------------------------- functions */

static uint32_t use_function(struct writer *w, uint32_t function)
{
	if (w->page_function[function] == PLN_NONE) {
		w->functions[w->function_count] = function;
		w->page_function[function] = w->function_count++;
	}
	return w->page_function[function];
}

static int choose_functions(struct writer *w)
{
	size_t all = w->report->profile->function_count + PLN_HTML_PLACES;

	w->page_function = malloc(all * sizeof(uint32_t));
	w->functions = malloc(all * sizeof(uint32_t));
	if (!w->page_function || !w->functions)
		return -ENOMEM;
	memset(w->page_function, 0xff, all * sizeof(uint32_t));
	for (size_t n = 0; n < w->pruned.count; n++)
		use_function(w, w->pruned.nodes[n].function);
	return 0;
}

static void put_function(const struct writer *w, struct pln_json *json, uint32_t id)
{
	struct pln_html_function function;

	pln_html_function(&function, w->report->profile, id);
	pln_html_put_function(json, &function);
}

/* ---------------------------------------------------------------- threads */

/* Its place in the list of them that `info` has, which leaves out those that the page is not of. */
static uint32_t process_place(const struct writer *w, uint32_t id)
{
	const struct pln_process *processes = w->report->profile->processes;
	uint32_t place = 0;

	for (uint32_t i = 0; i < id; i++)
		place += pln_filter_keeps_process(&w->report->options.filter, &processes[i]);
	return place;
}

static void put_thread(const struct writer *w, struct pln_json *json, size_t index)
{
	const struct pln_profile *p = w->report->profile;
	uint32_t id = w->threads.threads[index];
	uint32_t entry = id == PLN_NONE ? PLN_NONE : w->report->thread_entries[id];
	char text[64];

	pln_json_object(json, NULL);
	if (id == PLN_NONE) {
		snprintf(text, sizeof(text), "%zu other threads", w->threads.others);
		pln_json_text(json, "name", text);
	} else {
		const struct pln_thread *t = &p->threads[id];

		pln_json_text(json, "name", pln_thread_name(t, text, sizeof(text)));
		pln_json_number(json, "tid", t->tid);
		if (t->process < p->process_count)
			pln_json_number(json, "process", process_place(w, t->process));
		pln_json_bool(json, "main", t->is_main);
	}
	if (entry < p->function_count)
		pln_json_text(json, "entry", p->functions[entry].name);
	pln_json_object_end(json);
}

/* ----------------------------------------------------------------- memory */

/* Exact counts of one process: the most and the last that is live, by moments that have any. */
struct series {
	const uint32_t *last_part; /* by process: see profile/heap.h */
	uint64_t *most;
	uint64_t *last;
	bool *known;
};

static void put_points(struct pln_json *json, const char *key, const struct pln_html_cells *cells,
		       const bool *known, const uint64_t *values)
{
	pln_json_array(json, key);
	for (uint32_t m = 0; m < cells->moments; m++) {
		if (known[m])
			pln_json_number(json, NULL, values ? values[m] : m);
	}
	pln_json_array_end(json);
}

static void find_points(const struct writer *w, struct series *s, uint32_t process)
{
	const struct pln_profile *p = w->report->profile;

	memset(s->known, 0, w->cells.moments * sizeof(*s->known));
	for (size_t i = 0; i < p->heap_point_count; i++) {
		const struct pln_heap_point *point = &p->heap_points[i];
		uint32_t m = pln_html_cells_moment(&w->cells, point->time_ns);
		uint64_t live;

		if (s->last_part[point->process] != process)
			continue;
		live = pln_heap_live_bytes(point->heap,
					   p->processes[point->process].heap_inherited_bytes);
		s->most[m] = s->known[m] && s->most[m] > live ? s->most[m] : live;
		s->last[m] = live;
		s->known[m] = true;
	}
}

/* The last moment in which it was there; of one that has not ended, the one behind the last. */
static uint32_t last_moment(const struct writer *w, const struct pln_process *process)
{
	return process->end_ns ? pln_html_cells_moment(&w->cells, process->end_ns)
			       : w->cells.moments;
}

static void put_series(const struct writer *w, struct pln_json *json, struct series *s)
{
	const struct pln_profile *p = w->report->profile;
	unsigned left = SERIES_MAX;

	pln_json_array(json, "memory");
	for (uint32_t i = 0; i < p->process_count && left; i++) {
		if (!w->report->summary.processes[i].threads || !p->heap_point_count ||
		    s->last_part[i] != i)
			continue;
		left--;
		find_points(w, s, i);
		pln_json_object(json, NULL);
		pln_json_number(json, "pid", p->processes[i].pid);
		pln_json_number(json, "end", last_moment(w, &p->processes[i]));
		put_points(json, "moments", &w->cells, s->known, NULL);
		put_points(json, "most", &w->cells, s->known, s->most);
		put_points(json, "last", &w->cells, s->known, s->last);
		pln_json_object_end(json);
	}
	pln_json_array_end(json);
}

static int put_memory(const struct writer *w, struct pln_json *json)
{
	uint32_t *last_part = pln_heap_last_parts(w->report->profile);
	struct series s = {
		.last_part = last_part,
		.most = calloc(w->cells.moments, sizeof(*s.most)),
		.last = calloc(w->cells.moments, sizeof(*s.last)),
		.known = calloc(w->cells.moments, sizeof(*s.known)),
	};
	bool enough = last_part && s.most && s.last && s.known;

	if (enough)
		put_series(w, json, &s);
	free(last_part);
	free(s.most);
	free(s.last);
	free(s.known);
	return enough ? 0 : -ENOMEM;
}

/* -------------------------------------------------------------- the model */

static void put_sources(const struct writer *w, struct pln_json *json)
{
	pln_json_array(json, "sources");
	for (size_t i = 0; i < w->sources.count; i++) {
		const struct pln_html_source *source = &w->sources.files[i];

		pln_json_object(json, NULL);
		pln_json_text(json, "file", source->file);
		pln_json_text(json, "text", source->text);
		pln_json_bool(json, "changed", source->changed);
		pln_json_object_end(json);
	}
	pln_json_array_end(json);
}

/* One sentence for each thing that the page does not have. */
static void put_left_out(const struct writer *w, struct pln_json *json)
{
	char text[256];

	pln_json_array(json, "left_out");
	if (w->pruned.left_out) {
		snprintf(text, sizeof(text),
			 "%zu calls of %.2g %% or less of all time and memory each are shown as "
			 "(small calls) of their callers.",
			 w->pruned.left_out, w->pruned.share * 100);
		pln_json_text(json, NULL, text);
	}
	if (w->threads.others) {
		snprintf(text, sizeof(text),
			 "The %zu threads with the least time are shown as one.",
			 w->threads.others);
		pln_json_text(json, NULL, text);
	}
	if (w->sources.left_out) {
		snprintf(text, sizeof(text),
			 "%zu source files are left out: too large, or too many.",
			 w->sources.left_out);
		pln_json_text(json, NULL, text);
	}
	if (w->report->summary.process_count > SERIES_MAX)
		pln_json_text(json, NULL,
			      "Memory over time is that of the first 100 processes alone.");
	pln_json_array_end(json);
}

/* One sentence, or none. */
static void put_code_note(const struct writer *w, struct pln_json *json)
{
	char text[256];

	pln_html_instructions_explain(&w->instructions, w->options->no_source, text, sizeof(text));
	pln_json_text(json, "code_note", text);
}

static int put_model(const void *arg, FILE *out)
{
	const struct writer *w = arg;
	struct pln_json json = { .out = out };
	int err;

	pln_json_object(&json, NULL);
	pln_json_number(&json, "format", FORMAT);
	pln_json_text(&json, "made_by", "Pillion " PILLION_VERSION);
	pln_json_text(&json, "title", w->options->title);
	pln_json_text(&json, "thread_filter", w->options->filter.threads);
	pln_json_text(&json, "process_filter", w->options->filter.processes);
	pln_json_bool(&json, "no_source", w->options->no_source);
	pln_json_number(&json, "moment_ns", w->cells.moment_ns);
	pln_json_number(&json, "moments", w->cells.moments);
	pln_json_array(&json, "functions");
	for (uint32_t f = 0; f < w->function_count; f++)
		put_function(w, &json, w->functions[f]);
	pln_json_array_end(&json);
	pln_json_array(&json, "threads");
	for (size_t t = 0; t < w->threads.count; t++)
		put_thread(w, &json, t);
	pln_json_array_end(&json);
	err = put_memory(w, &json);
	put_sources(w, &json);
	put_left_out(w, &json);
	put_code_note(w, &json);
	pln_json_object_end(&json);
	return err;
}

static int put_info(const void *arg, FILE *out)
{
	const struct writer *w = arg;

	pln_info_print_json(w->report, out);
	return 0;
}

static int put_instructions(const void *arg, FILE *out)
{
	const struct writer *w = arg;

	fputs(w->instructions.json ? w->instructions.json : "[]", out);
	return 0;
}

/* --------------------------------------------------------------- the parts */

static int put_nodes(struct pln_buffer *data, const struct writer *w)
{
	const struct pln_html_page_node *nodes = w->pruned.nodes;
	struct pln_buffer part = { 0 };
	int err;

	pln_html_put_depths(&part, &w->pruned);
	for (size_t n = 0; n < w->pruned.count; n++)
		pln_put_varint(&part, w->page_function[nodes[n].function]);
	for (size_t n = 0; n < w->pruned.count; n++)
		pln_put_varint(&part, nodes[n].line);
	for (size_t n = 0; n < w->pruned.count; n++)
		pln_put_varint(&part, nodes[n].guessed);
	err = pln_html_put_part(data, &part);
	pln_buffer_free(&part);
	return err;
}

static bool starts_run(const struct pln_html_cells *cells, size_t i)
{
	return !i || cells->cells[i].key >> 48 != cells->cells[i - 1].key >> 48;
}

static void put_runs(struct pln_buffer *part, const struct pln_html_cells *cells)
{
	size_t runs = 0;

	for (size_t i = 0; i < cells->count; i++)
		runs += starts_run(cells, i);
	pln_put_varint(part, runs);
	for (size_t i = 0, end; i < cells->count; i = end) {
		for (end = i + 1; end < cells->count && !starts_run(cells, end);)
			end++;
		pln_put_varint(part, pln_html_cell_class(&cells->cells[i]));
		pln_put_varint(part, pln_html_cell_thread(&cells->cells[i]));
		pln_put_varint(part, end - i);
	}
}

static int put_cells(struct pln_buffer *data, const struct writer *w)
{
	const struct pln_html_cells *cells = &w->cells;
	const struct pln_html_cell *c = cells->cells;
	struct pln_buffer part = { 0 };
	int err;

	put_runs(&part, cells);
	for (size_t i = 0; i < cells->count; i++)
		pln_put_varint(
			&part,
			pln_html_cell_moment(&c[i]) -
				(starts_run(cells, i) ? 0 : pln_html_cell_moment(&c[i - 1])));
	for (size_t i = 0; i < cells->count; i++)
		pln_put_signed(&part, (int64_t)pln_html_cell_node(&c[i]) -
					      (starts_run(cells, i)
						       ? 0
						       : (int64_t)pln_html_cell_node(&c[i - 1])));
	for (size_t i = 0; i < cells->count; i++)
		pln_put_varint(&part, c[i].weight);
	err = pln_html_put_part(data, &part);
	pln_buffer_free(&part);
	return err;
}

/* ---------------------------------------------------------------- the whole */

/* A guess: the more samples, the more calls are met in each moment. */
static size_t first_nodes_max(const struct writer *w)
{
	uint64_t samples = w->report->profile->sample_count;
	uint64_t fewer =
		samples > FEW_SAMPLES ? (uint64_t)NODES_MAX * FEW_SAMPLES / samples : NODES_MAX;

	return fewer > NODES_MIN ? fewer : NODES_MIN;
}

/* Fewer calls where many of them would leave no room for time. */
static int fill_cells(struct writer *w)
{
	const struct pln_html_parts parts = { w->report, &w->tree, &w->pruned, &w->threads };
	size_t nodes_max = first_nodes_max(w);
	int err;

	for (;; nodes_max /= 2) {
		err = pln_html_prune(&w->pruned, &w->tree, nodes_max);
		if (!err)
			err = pln_html_cells_fill(&w->cells, &parts, nodes_max <= NODES_MIN);
		if (err != -E2BIG)
			return err;
		pln_html_cells_free(&w->cells);
		pln_html_pruned_free(&w->pruned);
	}
}

static int collect(struct writer *w)
{
	int err = pln_html_tree_build(&w->tree, w->report);

	if (!err)
		err = pln_html_threads_choose(&w->threads, w->report);
	if (!err)
		err = fill_cells(w);
	if (!err)
		err = choose_functions(w);
	if (!err && !w->options->no_source)
		err = pln_html_sources_read(&w->sources, &w->tree);
	if (!err && !w->options->no_source)
		err = pln_html_instructions_read(&w->instructions, w->report, w->page_function);
	return err;
}

int pln_html_data(struct pln_buffer *data, const struct pln_report *report,
		  const struct pln_html_options *options)
{
	struct writer w = { .report = report, .options = options };
	int err = collect(&w);

	pln_html_put_magic(data);
	if (!err)
		err = pln_html_put_text(data, put_info, &w);
	if (!err)
		err = pln_html_put_text(data, put_model, &w);
	if (!err)
		err = put_nodes(data, &w);
	if (!err)
		err = put_cells(data, &w);
	if (!err)
		err = pln_html_put_text(data, put_instructions, &w);
	pln_html_tree_free(&w.tree);
	pln_html_pruned_free(&w.pruned);
	pln_html_threads_free(&w.threads);
	pln_html_cells_free(&w.cells);
	pln_html_sources_free(&w.sources);
	pln_html_instructions_free(&w.instructions);
	free(w.page_function);
	free(w.functions);
	return err;
}
