/* SPDX-License-Identifier: MIT */
/*
 * text.c - a Python file with its costs beside it.
 */
#include <stdlib.h>
#include <string.h>

#include "annotate/text_i.h"
#include "report/names.h"

void pln_annotate_percent(struct pln_table *table, uint64_t part, uint64_t whole)
{
	if (part)
		pln_text_percent_cell(table, part, whole);
	else
		pln_text_empty_cells(table, 1);
}

void pln_annotate_mark(bool *shown, size_t count, size_t at, uint64_t context)
{
	size_t first = at > context ? at - (size_t)context : 0;

	for (size_t i = first; i < count && i <= at + context; i++)
		shown[i] = true;
}

enum pln_style pln_annotate_style(uint64_t part, uint64_t whole)
{
	if (!part)
		return PLN_STYLE_DIM;
	return pln_style_of_share(whole ? (double)part / (double)whole : 0);
}

/* ---------------------------------------------------------------------- header */

static void print_source_state(const struct pln_report *r, const struct pln_source *source,
			       int error, const struct pln_screen *screen)
{
	if (error)
		pln_text_field(screen, "source", PLN_STYLE_WARNING, "not shown: %s",
			       strerror(-error));
	else if (source->changed_ns > r->profile->recording.start_real_ns)
		pln_text_field(
			screen, "source", PLN_STYLE_WARNING,
			"changed since it was recorded: costs may be beside the wrong lines");
}

static void print_header(const struct pln_report *r, const struct pln_choice *choice,
			 const struct pln_file_lines *l, const struct pln_screen *screen)
{
	char own[PLN_QUANTITY_SIZE], native[PLN_QUANTITY_SIZE], all[PLN_QUANTITY_SIZE];
	char total[PLN_QUANTITY_SIZE], bytes[PLN_QUANTITY_SIZE], wait[PLN_QUANTITY_SIZE];

	pln_text_title(r, screen);
	if (choice->kind == PLN_CHOICE_PYTHON)
		pln_text_field(screen, "function", PLN_STYLE_PYTHON, "%s",
			       pln_function_name(r->profile, choice->function));
	pln_text_field(screen, "file", PLN_STYLE_PLAIN, "%s", choice->file);
	pln_text_field(screen, "time", PLN_STYLE_PLAIN,
		       "%s of %s %s are in the file or below it: %s in its own code, %s in native "
		       "code that it calls",
		       pln_duration_text(total, l->all.total),
		       pln_duration_text(all, l->whole_time), pln_view_text(l->time_view),
		       pln_duration_text(own, l->all.self),
		       pln_duration_text(native, l->all.native));
	pln_text_field(screen, "columns", PLN_STYLE_DIM, "self, native, total: percent of all %s",
		       pln_view_text(l->time_view));
	if (l->all.wait_ns)
		pln_text_field(screen, "waits", PLN_STYLE_PLAIN, "%s of %s off-CPU time",
			       pln_duration_text(wait, l->all.wait_ns),
			       pln_duration_text(all, l->whole_wait_ns));
	if (l->all.memory.weight)
		pln_text_field(screen, "memory", PLN_STYLE_PLAIN, "%s of %s %s, estimated",
			       pln_bytes_text(bytes, l->all.memory.bytes),
			       pln_bytes_text(all, l->whole_memory), pln_view_text(l->heap_view));
}

/* ----------------------------------------------------------------------- lines */

static const struct pln_column columns[] = {
	{ "self", true, PLN_RIGID, 3 },	       { "native", true, PLN_RIGID, 0 },
	{ "total", true, PLN_RIGID, 0 },       { "wait", true, PLN_RIGID, 1 },
	{ "memory", true, PLN_RIGID, 1 },      { "line", true, PLN_RIGID, 0 },
	{ "source", false, PLN_ELIDE_END, 0 },
};

static double share_of(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : 0;
}

/* As hot as the hottest of its columns, what it only passes on aside. */
static enum pln_style style_of(const struct pln_file_lines *l, const struct pln_line_cost *cost)
{
	double most = share_of(cost->self + cost->native, l->whole_time);
	double wait = share_of(cost->wait_ns, l->whole_wait_ns);
	double memory = share_of(cost->memory.bytes, l->whole_memory);

	most = wait > most ? wait : most;
	return pln_style_of_share(memory > most ? memory : most);
}

static void line_row(struct pln_table *table, const struct pln_file_lines *l, uint32_t number,
		     const struct pln_source *source)
{
	static const struct pln_line_cost nothing;
	const struct pln_line_cost *cost = number < l->count ? &l->lines[number] : &nothing;
	char bytes[PLN_QUANTITY_SIZE], wait[PLN_QUANTITY_SIZE];
	char *text = pln_source_line(source, number);

	pln_annotate_percent(table, cost->self, l->whole_time);
	pln_annotate_percent(table, cost->native, l->whole_time);
	pln_annotate_percent(table, cost->total, l->whole_time);
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s",
		       cost->wait_ns ? pln_duration_text(wait, cost->wait_ns) : "");
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s",
		       cost->memory.weight ? pln_bytes_text(bytes, cost->memory.bytes) : "");
	pln_table_cell(table, PLN_STYLE_DIM, "%u", number);
	pln_table_cell(table, style_of(l, cost), "%s", text ? text : "");
	free(text);
}

static void gap_row(struct pln_table *table)
{
	pln_text_empty_cells(table, 5);
	pln_table_cell(table, PLN_STYLE_DIM, "%s", "...");
	pln_text_empty_cells(table, 1);
}

/* Which lines to show, by number; NULL: out of memory. */
static bool *choose_lines(const struct pln_choice *choice, const struct pln_file_lines *l,
			  const struct pln_source *source, const struct pln_annotate_print *print,
			  uint32_t *count)
{
	uint64_t context = source->count ? print->context : 0;
	uint32_t end = l->last + 1;
	bool *shown;

	*count = source->count >= l->count ? source->count + 1 : l->count;
	shown = calloc(*count + 1, sizeof(*shown));
	if (!shown)
		return NULL;
	/* A whole file goes on behind its last sample; a function's head tells where one is. */
	if (choice->kind == PLN_CHOICE_FILE)
		end = *count;
	else
		shown[l->first] = source->count > 0;
	for (uint32_t n = l->first; n < end; n++) {
		if (n < l->count && pln_line_has_any(&l->lines[n]))
			pln_annotate_mark(shown, *count, n, context);
		else if (print->all && source->count)
			shown[n] = true;
	}
	return shown;
}

void pln_annotate_lines_text(const struct pln_report *report, const struct pln_choice *choice,
			     const struct pln_file_lines *lines, const struct pln_screen *screen,
			     const struct pln_annotate_print *print)
{
	struct pln_table *table = pln_table_new(columns, sizeof(columns) / sizeof(*columns));
	struct pln_source source;
	int err = pln_source_read(&source, choice->file,
				  report->profile->recording.working_directory);
	uint32_t count, before = 0;
	bool *shown = choose_lines(choice, lines, &source, print, &count);

	print_header(report, choice, lines, screen);
	print_source_state(report, &source, err, screen);
	putc('\n', screen->out);
	for (uint32_t n = 1; shown && table && n < count; n++) {
		if (!shown[n])
			continue;
		if (before && before + 1 < n)
			gap_row(table);
		line_row(table, lines, n, &source);
		before = n;
	}
	pln_table_print(table, screen);
	free(shown);
	pln_source_free(&source);
}
