/* SPDX-License-Identifier: MIT */
/*
 * speedscope.c - one sampled profile a thread, in the order of time.
 *
 * Stacks that show the same frames one after the other are one entry. Weights are
 * nanoseconds, so the sum of a thread's weights is its time in the view; or bytes or blocks,
 * in the order in which they were allocated.
 */
#include "export/export.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pillion/pillion.h>

#include "export/runs.h"
#include "export/text.h"
#include "report/calltree.h"
#include "report/json.h"
#include "report/names.h"
#include "stacks/intern.h"

struct writer {
	const struct pln_export *export;
	struct pln_profile *profile;
	struct pln_calltree tree;
	struct pln_runs runs;
	struct pln_intern *frame_keys;
	uint32_t *call_frame; /* by call: index of shared.frames */
	unsigned tree_depth; /* frames of the deepest stack */
	char *text; /* room for one stack */
	size_t text_capacity;
	FILE *out;
};

/* ------------------------------------------------------------------- frames */

static int find_frames(struct writer *w)
{
	for (size_t c = 0; c < w->tree.count; c++) {
		const uint32_t key[2] = { w->tree.calls[c].function, w->tree.calls[c].line };

		w->call_frame[c] = pln_intern_add(w->frame_keys, key, sizeof(key), NULL);
		if (w->call_frame[c] == PLN_NONE)
			return -ENOMEM;
	}
	return 0;
}

static void write_frame(struct pln_json *json, const struct pln_profile *p, const uint32_t key[2])
{
	pln_json_object(json, NULL);
	pln_json_text(json, "name", pln_function_name(p, key[0]));
	if (key[0] < p->function_count) {
		const struct pln_function *f = &p->functions[key[0]];
		uint32_t at = key[1] ? key[1] : f->first_line;

		if (*f->file || *f->module)
			pln_json_text(json, "file", *f->file ? f->file : f->module_path);
		if (at)
			pln_json_number(json, "line", at);
	}
	pln_json_object_end(json);
}

static void write_frames(struct writer *w, struct pln_json *json)
{
	size_t count = pln_intern_count(w->frame_keys);

	pln_json_object(json, "shared");
	pln_json_array(json, "frames");
	for (uint32_t i = 0; i < count; i++) {
		uint32_t key[2];

		memcpy(key, pln_intern_key(w->frame_keys, i), sizeof(key));
		write_frame(json, w->profile, key);
	}
	pln_json_array_end(json);
	pln_json_object_end(json);
}

/* ----------------------------------------------------------------- profiles */

/* The frames of a call, root first. Most of the file is this: digits are put by hand. */
static int write_stack(struct writer *w, uint32_t call)
{
	enum { DIGITS = 11 };
	char *start, *end;

	if (w->text_capacity < (size_t)DIGITS * (w->tree_depth + 1)) {
		w->text_capacity = (size_t)DIGITS * (w->tree_depth + 1);
		w->text = malloc(w->text_capacity);
		if (!w->text)
			return -ENOMEM;
	}
	start = end = w->text + w->text_capacity;
	for (; call != PLN_NONE; call = w->tree.calls[call].parent) {
		uint32_t frame = w->call_frame[call];

		if (start != end)
			*--start = ',';
		do {
			*--start = (char)('0' + frame % 10);
			frame /= 10;
		} while (frame);
	}
	putc_unlocked('[', w->out);
	fwrite(start, 1, (size_t)(end - start), w->out);
	putc_unlocked(']', w->out);
	return 0;
}

static int write_samples(struct writer *w, const struct pln_run *runs, size_t count)
{
	int err = 0;

	fputs(",\"samples\":[", w->out);
	for (size_t i = 0; i < count && !err; i++) {
		if (i)
			putc_unlocked(',', w->out);
		err = write_stack(w, runs[i].call);
	}
	fputs("],\"weights\":[", w->out);
	for (size_t i = 0; i < count; i++) {
		if (i)
			putc_unlocked(',', w->out);
		pln_text_put_number(w->out, runs[i].weight);
	}
	putc_unlocked(']', w->out);
	return err;
}

static const char *unit_name(const struct pln_export *e)
{
	if (!e->blocks)
		return "nanoseconds";
	return e->blocks->count ? "none" : "bytes";
}

static int write_thread(struct writer *w, struct pln_json *json, const struct pln_run *runs,
			size_t count)
{
	const struct pln_profile *p = w->profile;
	const struct pln_thread *thread = &p->threads[runs->thread];
	char name[32], title[256];
	int err;

	snprintf(title, sizeof(title), "%s (pid %u, tid %u)",
		 pln_thread_name(thread, name, sizeof(name)),
		 thread->process < p->process_count ? p->processes[thread->process].pid : 0,
		 thread->tid);
	pln_json_object(json, NULL);
	pln_json_text(json, "type", "sampled");
	pln_json_text(json, "name", title);
	pln_json_text(json, "unit", unit_name(w->export));
	pln_json_number(json, "startValue", 0);
	pln_json_number(json, "endValue", pln_runs_sum(runs, count));
	err = write_samples(w, runs, count);
	pln_json_object_end(json);
	return err;
}

/* The place of the thread with the most weight: the one to show first. */
static unsigned busiest(const struct writer *w)
{
	uint64_t most = 0;
	unsigned place = 0, best = 0;

	for (size_t i = 0, end; i < w->runs.count; i = end, place++) {
		uint64_t sum;

		end = pln_runs_thread_end(&w->runs, i);
		sum = pln_runs_sum(&w->runs.items[i], end - i);
		if (sum > most) {
			most = sum;
			best = place;
		}
	}
	return best;
}

static int write_file(struct writer *w)
{
	const struct pln_export *e = w->export;
	struct pln_json json = { .out = w->out };
	char title[512];
	int err = 0;

	snprintf(title, sizeof(title), "%s (%s)", e->name, pln_export_view_name(e));
	pln_json_object(&json, NULL);
	pln_json_text(&json, "$schema", "https://www.speedscope.app/file-format-schema.json");
	pln_json_text(&json, "name", title);
	pln_json_text(&json, "exporter", "pillion@" PILLION_VERSION);
	pln_json_number(&json, "activeProfileIndex", busiest(w));
	write_frames(w, &json);
	pln_json_array(&json, "profiles");
	for (size_t i = 0, end; i < w->runs.count && !err; i = end) {
		end = pln_runs_thread_end(&w->runs, i);
		err = write_thread(w, &json, &w->runs.items[i], end - i);
	}
	pln_json_array_end(&json);
	pln_json_object_end(&json);
	return err;
}

static void find_depth(struct writer *w)
{
	unsigned depth = 0;

	for (uint32_t c = w->tree.first_root; c != PLN_NONE;
	     c = pln_calltree_next(&w->tree, c, &depth)) {
		if (depth + 1 > w->tree_depth)
			w->tree_depth = depth + 1;
	}
}

static int prepare(struct writer *w)
{
	const struct pln_export *e = w->export;
	int err = pln_calltree_build(&w->tree, e->aggregate, e->view, e->by_line);

	if (err)
		return err;
	find_depth(w);
	w->frame_keys = pln_intern_new();
	w->call_frame = malloc((w->tree.count + 1) * sizeof(*w->call_frame));
	if (!w->frame_keys || !w->call_frame)
		return -ENOMEM;
	err = find_frames(w);
	return err ? err : pln_runs_collect(&w->runs, e, &w->tree);
}

int pln_export_speedscope(const struct pln_export *export, FILE *out)
{
	struct writer w = { .export = export, .profile = export->profile, .out = out };
	int err = prepare(&w);

	if (!err)
		err = write_file(&w);
	pln_calltree_free(&w.tree);
	pln_intern_free(w.frame_keys);
	free(w.call_frame);
	pln_runs_free(&w.runs);
	free(w.text);
	return err ? err : pln_export_flush(out);
}
