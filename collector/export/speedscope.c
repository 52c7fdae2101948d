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
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <pillion/pillion.h>

#include "report/calltree.h"
#include "report/json.h"
#include "report/names.h"
#include "stacks/intern.h"

/* A time in one call of the tree, or memory allocated there. */
struct run {
	uint64_t time_ns;
	uint64_t weight;
	uint32_t thread;
	uint32_t call;
};

struct writer {
	const struct pln_export *export;
	struct pln_profile *profile;
	struct pln_calltree tree;
	struct run *runs; /* in file order, later by thread, then time */
	size_t run_count;
	size_t run_capacity;
	struct pln_intern *frame_keys;
	uint32_t *call_frame; /* by call: index of shared.frames */
	unsigned tree_depth; /* frames of the deepest stack */
	char *text; /* room for one stack */
	size_t text_capacity;
	FILE *out;
};

/* --------------------------------------------------------------------- runs */

static uint32_t call_of(const struct writer *w, uint32_t stack)
{
	return stack < w->profile->stack_count ? w->tree.node_call[stack] : w->tree.no_stack;
}

static int add_run(struct writer *w, const struct run *run)
{
	if (w->run_count == w->run_capacity) {
		size_t capacity = w->run_capacity ? w->run_capacity * 2 : 4096;
		struct run *runs = realloc(w->runs, capacity * sizeof(*runs));

		if (!runs)
			return -ENOMEM;
		w->runs = runs;
		w->run_capacity = capacity;
	}
	w->runs[w->run_count++] = *run;
	return 0;
}

static int add_sample(const struct pln_sample_row *row, void *arg)
{
	struct writer *w = arg;
	uint64_t weight_ns = pln_sample_weight(row, w->export->view);

	if (!weight_ns || row->thread >= w->profile->thread_count ||
	    !w->export->aggregate->thread_kept[row->thread])
		return 0;
	return add_run(
		w, &(struct run){ row->time_ns, weight_ns, row->thread, call_of(w, row->stack) });
}

static int add_blocks(struct writer *w)
{
	const struct pln_export_blocks *blocks = w->export->blocks;
	int err = 0;

	for (size_t i = 0; i < w->profile->block_count && !err; i++) {
		const struct pln_block_row *block = &w->profile->blocks[i];

		if (blocks->weight[i])
			err = add_run(w, &(struct run){ block->time_ns, blocks->weight[i],
							block->thread, call_of(w, block->stack) });
	}
	return err;
}

static int by_thread_then_time(const void *a, const void *b)
{
	const struct run *ra = a, *rb = b;

	if (ra->thread != rb->thread)
		return ra->thread < rb->thread ? -1 : 1;
	if (ra->time_ns != rb->time_ns)
		return ra->time_ns < rb->time_ns ? -1 : 1;
	return ra->call < rb->call ? -1 : ra->call > rb->call;
}

/* Blocked threads are sampled through another lane, so a thread's samples come mixed up. */
static void order_runs(struct writer *w)
{
	size_t kept = 0;

	if (!w->run_count)
		return;
	qsort(w->runs, w->run_count, sizeof(*w->runs), by_thread_then_time);
	for (size_t i = 1; i < w->run_count; i++) {
		struct run *last = &w->runs[kept];

		if (w->runs[i].thread == last->thread && w->runs[i].call == last->call)
			last->weight += w->runs[i].weight;
		else
			w->runs[++kept] = w->runs[i];
	}
	w->run_count = kept + 1;
}

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

static int write_samples(struct writer *w, const struct run *runs, size_t count)
{
	int err = 0;

	fputs(",\"samples\":[", w->out);
	for (size_t i = 0; i < count && !err; i++) {
		if (i)
			putc_unlocked(',', w->out);
		err = write_stack(w, runs[i].call);
	}
	fputs("],\"weights\":[", w->out);
	for (size_t i = 0; i < count; i++)
		fprintf(w->out, "%s%" PRIu64, i ? "," : "", runs[i].weight);
	putc_unlocked(']', w->out);
	return err;
}

static const char *unit_name(const struct pln_export *e)
{
	if (!e->blocks)
		return "nanoseconds";
	return e->blocks->count ? "none" : "bytes";
}

static int write_thread(struct writer *w, struct pln_json *json, const struct run *runs,
			size_t count)
{
	const struct pln_profile *p = w->profile;
	const struct pln_thread *thread = &p->threads[runs->thread];
	char name[32], title[256];
	uint64_t sum = 0;
	int err;

	for (size_t i = 0; i < count; i++)
		sum += runs[i].weight;
	snprintf(title, sizeof(title), "%s (pid %u, tid %u)",
		 pln_thread_name(thread, name, sizeof(name)),
		 thread->process < p->process_count ? p->processes[thread->process].pid : 0,
		 thread->tid);
	pln_json_object(json, NULL);
	pln_json_text(json, "type", "sampled");
	pln_json_text(json, "name", title);
	pln_json_text(json, "unit", unit_name(w->export));
	pln_json_number(json, "startValue", 0);
	pln_json_number(json, "endValue", sum);
	err = write_samples(w, runs, count);
	pln_json_object_end(json);
	return err;
}

static size_t thread_end(const struct writer *w, size_t first)
{
	size_t end = first;

	while (end < w->run_count && w->runs[end].thread == w->runs[first].thread)
		end++;
	return end;
}

/* The place of the thread with the most weight: the one to show first. */
static unsigned busiest(const struct writer *w)
{
	uint64_t most = 0;
	unsigned place = 0, best = 0;

	for (size_t i = 0, end; i < w->run_count; i = end, place++) {
		uint64_t sum = 0;

		end = thread_end(w, i);
		for (size_t r = i; r < end; r++)
			sum += w->runs[r].weight;
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
	for (size_t i = 0, end; i < w->run_count && !err; i = end) {
		end = thread_end(w, i);
		err = write_thread(w, &json, &w->runs[i], end - i);
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
	if (!err)
		err = e->blocks ? add_blocks(w)
				: pln_profile_each_sample(w->profile, add_sample, w);
	if (!err)
		order_runs(w);
	return err;
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
	free(w.runs);
	free(w.text);
	if (!err && (fflush(out) || ferror(out)))
		err = -(errno ? errno : EIO);
	return err;
}
