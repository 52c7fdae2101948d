/* SPDX-License-Identifier: MIT */
/*
 * cpuprofile.c - V8's format, which VS Code and Chrome's developer tools open.
 *
 * A tree of calls, and samples that name their innermost call. Readers give a sample the time
 * up to the next one, so a last sample in the root takes none. There is one row of samples in a
 * file: threads come one after the other. Times are microseconds, with the nanoseconds behind
 * the point. Lines of functions count from 0 there, lines of ticks from 1.
 */
#include "export/export.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "export/runs.h"
#include "export/text.h"
#include "report/names.h"
#include "stacks/intern.h"

#define ROOT_ID 1u
#define US_DIGITS 3u /* of nanoseconds behind the point */

/* Samples with a call innermost, at one of its lines. */
struct tick {
	uint32_t call;
	uint32_t line;
	uint64_t samples;
};

struct writer {
	const struct pln_export *export;
	struct pln_calltree tree;
	struct pln_runs runs;
	struct tick *ticks; /* by call, then line */
	size_t tick_count;
	FILE *out;
};

static unsigned id_of(uint32_t call)
{
	return ROOT_ID + 1 + call;
}

/* -------------------------------------------------------------------- ticks */

static uint32_t line_of(const struct pln_profile *p, uint32_t stack)
{
	return p->locations[p->frame_first_location[p->stacks[stack].frame]].line;
}

static int by_call(const void *a, const void *b)
{
	const struct tick *ta = a, *tb = b;

	if (ta->call != tb->call)
		return ta->call < tb->call ? -1 : 1;
	return ta->line < tb->line ? -1 : ta->line > tb->line;
}

/* Makes one of those that agree in call and line. */
static void merge_ticks(struct writer *w)
{
	size_t kept = 0;

	if (!w->tick_count)
		return;
	qsort(w->ticks, w->tick_count, sizeof(*w->ticks), by_call);
	for (size_t i = 1; i < w->tick_count; i++) {
		if (by_call(&w->ticks[kept], &w->ticks[i]))
			w->ticks[++kept] = w->ticks[i];
		else
			w->ticks[kept].samples += w->ticks[i].samples;
	}
	w->tick_count = kept + 1;
}

static int find_ticks(struct writer *w)
{
	const struct pln_aggregate *a = w->export->aggregate;

	w->ticks = malloc((a->cell_count + 1) * sizeof(*w->ticks));
	if (!w->ticks)
		return -ENOMEM;
	for (size_t i = 0; i < a->cell_count; i++) {
		const struct pln_cell *cell = &a->cells[i];
		uint32_t line;

		if (cell->stack == PLN_NONE || !cell->samples ||
		    !pln_cell_weight(cell, w->export->view))
			continue;
		line = line_of(w->export->profile, cell->stack);
		if (line)
			w->ticks[w->tick_count++] = (struct tick){ w->tree.node_call[cell->stack],
								   line, cell->samples };
	}
	merge_ticks(w);
	return 0;
}

/* -------------------------------------------------------------------- nodes */

/*
 * VS Code puts the strings of a file into a script of its page, and escapes nothing: one name
 * with "</script>" in it, and the page is empty.
 */
static void write_text(struct writer *w, const char *text)
{
	putc('"', w->out);
	pln_text_put(w->out, text, PLN_TEXT_SCRIPT);
	putc('"', w->out);
}

/* As "command:..." is, which VS Code runs when it is clicked. */
static bool is_address(const char *name)
{
	size_t scheme = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789+-._");

	return scheme && name[scheme] == ':';
}

/*
 * A file that the editor can open is a URL, unless its name, which VS Code decodes, needs the
 * care of write_text(). A library, and what else has a relative name, is only named.
 */
static void write_url(struct writer *w, const struct pln_function *f)
{
	const char *name = !f ? "" : *f->file ? f->file : f->module_path;

	fputs(",\"url\":", w->out);
	if (f && *f->file == '/' && !strstr(name, "</") && !strstr(name, "<!")) {
		fputs("\"file://", w->out);
		pln_text_put(w->out, name, PLN_TEXT_URL_PATH);
		putc('"', w->out);
	} else {
		fputs(is_address(name) ? "\"./" : "\"", w->out);
		pln_text_put(w->out, name, PLN_TEXT_SCRIPT);
		putc('"', w->out);
	}
}

static void write_frame(struct writer *w, uint32_t function)
{
	const struct pln_profile *p = w->export->profile;
	const struct pln_function *f =
		function < p->function_count ? &p->functions[function] : NULL;
	int64_t first = f ? f->first_line : 0;

	fputs(",\"callFrame\":{\"functionName\":", w->out);
	write_text(w, pln_function_name(p, function));
	fputs(",\"scriptId\":\"0\"", w->out);
	write_url(w, f);
	fprintf(w->out, ",\"lineNumber\":%lld,\"columnNumber\":%d}", (long long)first - 1,
		first ? 0 : -1);
}

static void write_children(struct writer *w, uint32_t first)
{
	fputs(",\"children\":[", w->out);
	for (uint32_t c = first; c != PLN_NONE; c = w->tree.calls[c].next_sibling)
		fprintf(w->out, "%s%u", c == first ? "" : ",", id_of(c));
	putc(']', w->out);
}

/* From tick `at` on, where calls are met in the order of their ids. Returns the next call's. */
static size_t write_ticks(struct writer *w, uint32_t call, size_t at)
{
	if (at == w->tick_count || w->ticks[at].call != call)
		return at;
	fputs(",\"positionTicks\":[", w->out);
	for (size_t first = at; at < w->tick_count && w->ticks[at].call == call; at++)
		fprintf(w->out, "%s{\"line\":%u,\"ticks\":%llu}", at == first ? "" : ",",
			w->ticks[at].line, (unsigned long long)w->ticks[at].samples);
	putc(']', w->out);
	return at;
}

static void write_nodes(struct writer *w)
{
	size_t tick = 0;

	fprintf(w->out,
		"\"nodes\":[{\"id\":%u,\"callFrame\":{\"functionName\":\"(root)\",\"scriptId\":"
		"\"0\",\"url\":\"\",\"lineNumber\":-1,\"columnNumber\":-1},\"hitCount\":0",
		ROOT_ID);
	write_children(w, w->tree.first_root);
	putc('}', w->out);
	for (uint32_t c = 0; c < w->tree.count; c++) {
		const struct pln_call *call = &w->tree.calls[c];

		fprintf(w->out, ",\n{\"id\":%u", id_of(c));
		write_frame(w, call->function);
		fprintf(w->out, ",\"hitCount\":%llu", (unsigned long long)call->self.samples);
		write_children(w, call->first_child);
		tick = write_ticks(w, c, tick);
		putc('}', w->out);
	}
	putc(']', w->out);
}

/* ------------------------------------------------------------------ samples */

static void write_samples(struct writer *w)
{
	const struct pln_runs *runs = &w->runs;

	fputs(",\n\"startTime\":0,\"endTime\":", w->out);
	pln_text_put_scaled(w->out, pln_runs_sum(runs->items, runs->count), US_DIGITS);
	fputs(",\n\"samples\":[", w->out);
	for (size_t i = 0; i < runs->count; i++) {
		pln_text_put_number(w->out, id_of(runs->items[i].call));
		putc(',', w->out);
	}
	fprintf(w->out, "%u],\n\"timeDeltas\":[0", ROOT_ID);
	for (size_t i = 0; i < runs->count; i++) {
		putc(',', w->out);
		pln_text_put_scaled(w->out, runs->items[i].weight, US_DIGITS);
	}
	fputs("]}\n", w->out);
}

static int write_file(struct writer *w)
{
	const struct pln_export *e = w->export;
	int err = pln_calltree_build(&w->tree, e->aggregate, e->view, e->by_line);

	if (!err)
		err = pln_runs_collect(&w->runs, e, &w->tree);
	if (!err)
		err = find_ticks(w);
	if (err)
		return err;
	putc('{', w->out);
	write_nodes(w);
	write_samples(w);
	return 0;
}

int pln_export_cpuprofile(const struct pln_export *export, FILE *out)
{
	struct writer w = { .export = export, .out = out };
	int err = write_file(&w);

	pln_calltree_free(&w.tree);
	pln_runs_free(&w.runs);
	free(w.ticks);
	return err ? err : pln_export_flush(out);
}
