/* SPDX-License-Identifier: MIT */
/*
 * lines.c - what each source line costs, in every view: for editors, scripts and checks in CI.
 *
 * The document is described by lines.schema.json, which is installed with Pillion. Its version
 * changes when a reader of the one before would be wrong; fields may be added without. Lines
 * whose file is not known stand under their library. Sums of `self` over all lines, and the
 * time without a stack, equal the view's total.
 */
#include "export/export.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pillion/pillion.h>

#include "export/views.h"
#include "report/names.h"

#define LINES_VERSION 1u

struct writer {
	const struct pln_export *export;
	const struct pln_profile *profile;
	struct pln_export_views views;
	uint32_t *order; /* ids of lines, by file */
	size_t count;
	struct pln_json json;
};

/* All views have the same lines, with amounts of their own. */
static const struct pln_line *line_in(const struct writer *w, unsigned view, uint32_t id)
{
	return &w->views.items[view].totals.lines[id];
}

static const struct pln_function *function_of(const struct writer *w, uint32_t id)
{
	return &w->profile->functions[line_in(w, 0, id)->function];
}

static bool has_any(const struct writer *w, uint32_t id)
{
	for (unsigned v = 0; v < w->views.count; v++)
		if (line_in(w, v, id)->cost.total.weight)
			return true;
	return false;
}

/* Less than 0, 0 or more: which comes first, and 0 where both stand under one heading. */
static int compare_files(const struct pln_function *a, const struct pln_function *b)
{
	int order = strcmp(a->file, b->file);

	if (!order && a->kind != b->kind)
		order = a->kind < b->kind ? -1 : 1;
	return order ? order : strcmp(a->module_path, b->module_path);
}

static int by_file(const void *a, const void *b, void *writer)
{
	const struct writer *w = writer;
	uint32_t ia = *(const uint32_t *)a, ib = *(const uint32_t *)b;
	int order = compare_files(function_of(w, ia), function_of(w, ib));
	uint32_t la = line_in(w, 0, ia)->line, lb = line_in(w, 0, ib)->line;

	if (!order)
		order = la < lb ? -1 : la > lb;
	return order ? order : ia < ib ? -1 : ia > ib;
}

static int order_lines(struct writer *w)
{
	size_t count = w->views.count ? w->views.items[0].totals.line_count : 0;

	w->order = malloc((count + 1) * sizeof(*w->order));
	if (!w->order)
		return -ENOMEM;
	for (uint32_t id = 0; id < count; id++)
		if (has_any(w, id))
			w->order[w->count++] = id;
	if (w->count)
		qsort_r(w->order, w->count, sizeof(*w->order), by_file, w);
	return 0;
}

/* ----------------------------------------------------------------- document */

static void number_or_null(struct pln_json *json, const char *key, uint64_t number)
{
	if (number)
		pln_json_number(json, key, number);
	else
		pln_json_null(json, key);
}

static const char *text_or_null(const char *text)
{
	return *text ? text : NULL;
}

static void write_recording(struct writer *w)
{
	const struct pln_recording *r = &w->profile->recording;

	pln_json_object(&w->json, "recording");
	pln_json_text(&w->json, "command", r->command);
	pln_json_text(&w->json, "working_directory", r->working_directory);
	pln_json_number(&w->json, "start_unix_ns", r->start_real_ns);
	pln_json_number(&w->json, "duration_ns",
			r->end_ns > r->start_ns ? r->end_ns - r->start_ns : 0);
	pln_json_object_end(&w->json);
}

static void write_views(struct writer *w)
{
	pln_json_array(&w->json, "views");
	for (unsigned v = 0; v < w->views.count; v++) {
		const struct pln_export_view *view = &w->views.items[v];
		const struct pln_totals *t = &view->totals;

		pln_json_object(&w->json, NULL);
		pln_json_text(&w->json, "name", view->name);
		pln_json_text(&w->json, "unit", view->unit);
		pln_json_number(&w->json, "total", t->all.weight);
		pln_json_number(&w->json, "no_stack",
				t->functions[w->profile->function_count].self.weight);
		pln_json_object_end(&w->json);
	}
	pln_json_array_end(&w->json);
}

static void write_line(struct writer *w, uint32_t id)
{
	const struct pln_line *line = line_in(w, 0, id);

	pln_json_object(&w->json, NULL);
	number_or_null(&w->json, "line", line->line);
	pln_json_text(&w->json, "function", pln_function_name(w->profile, line->function));
	number_or_null(&w->json, "first_line", w->profile->functions[line->function].first_line);
	for (unsigned v = 0; v < w->views.count; v++) {
		const struct pln_line *in_view = line_in(w, v, id);

		if (!in_view->cost.total.weight)
			continue;
		pln_json_object(&w->json, w->views.items[v].name);
		pln_json_number(&w->json, "self", in_view->cost.self.weight);
		pln_json_number(&w->json, "native", in_view->native.weight);
		pln_json_number(&w->json, "total", in_view->cost.total.weight);
		pln_json_object_end(&w->json);
	}
	pln_json_object_end(&w->json);
}

static void begin_file(struct writer *w, const struct pln_function *f)
{
	pln_json_object(&w->json, NULL);
	pln_json_text(&w->json, "path", text_or_null(f->file));
	pln_json_text(&w->json, "kind", f->kind == PLN_FUNCTION_PYTHON ? "python" : "native");
	pln_json_text(&w->json, "library", text_or_null(f->module_path));
	pln_json_array(&w->json, "lines");
}

static void end_file(struct writer *w)
{
	pln_json_array_end(&w->json);
	pln_json_object_end(&w->json);
}

static void write_files(struct writer *w)
{
	const struct pln_function *last = NULL;

	pln_json_array(&w->json, "files");
	for (size_t i = 0; i < w->count; i++) {
		const struct pln_function *f = function_of(w, w->order[i]);

		if (!last || compare_files(last, f)) {
			if (last)
				end_file(w);
			begin_file(w, f);
		}
		write_line(w, w->order[i]);
		last = f;
	}
	if (last)
		end_file(w);
	pln_json_array_end(&w->json);
}

int pln_export_lines(const struct pln_export *export, FILE *out)
{
	struct writer w = { .export = export, .profile = export->profile, .json = { .out = out } };
	int err = pln_export_views_compute(&w.views, export->aggregate);

	if (!err)
		err = order_lines(&w);
	if (!err) {
		pln_json_object(&w.json, NULL);
		pln_json_text(&w.json, "format", "pillion-lines");
		pln_json_number(&w.json, "version", LINES_VERSION);
		pln_json_text(&w.json, "exporter", "pillion " PILLION_VERSION);
		write_recording(&w);
		write_views(&w);
		write_files(&w);
		pln_json_object_end(&w.json);
	}
	free(w.order);
	pln_export_views_free(&w.views);
	return err ? err : pln_export_flush(out);
}
