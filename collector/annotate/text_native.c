/* SPDX-License-Identifier: MIT */
/*
 * text_native.c - a native function: its hottest source lines, then its code with source
 * lines between the instructions.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "annotate/text_i.h"
#include "report/names.h"

#define HOT_LINES 10u
/* A place with less than one in so many of the function's weight is named only. */
#define LEAST_PLACE_SHARE 50u

struct printer {
	const struct pln_report *report;
	const struct pln_native_code *code;
	const struct pln_screen *screen;
	const struct pln_annotate_print *print;
	struct pln_source *sources; /* by source file */
	size_t sources_read;
	uint64_t whole; /* weight of everything in the view */
};

/* "brent.c:45" */
static const char *place_text(const struct printer *p, const struct pln_instruction *i,
			      char *buffer, size_t size)
{
	const char *file = pln_base_name(p->code->sources[i->source]);

	if (i->line)
		snprintf(buffer, size, "%s:%u", *file ? file : "?", i->line);
	else
		snprintf(buffer, size, "%s", file);
	return buffer;
}

/* ---------------------------------------------------------------------- header */

static void print_weights(const struct printer *p)
{
	const struct pln_report *r = p->report;
	const struct pln_cost *cost = &r->totals.functions[p->code->function];
	char self[PLN_QUANTITY_SIZE], total[PLN_QUANTITY_SIZE], all[PLN_QUANTITY_SIZE];
	char samples[PLN_QUANTITY_SIZE];

	pln_text_field(p->screen, pln_view_is_heap(r->options.view) ? "memory" : "time",
		       PLN_STYLE_PLAIN, "%s itself, %s with what it calls, of %s %s; %s samples",
		       pln_text_weight(r, self, &cost->self),
		       pln_text_weight(r, total, &cost->total),
		       pln_text_weight(r, all, &r->totals.all), pln_view_text(r->options.view),
		       pln_count_text(samples, cost->total.samples));
}

static void print_header(const struct printer *p)
{
	const struct pln_report *r = p->report;
	const struct pln_function *f = &r->profile->functions[p->code->function];
	char where[PLACE_SIZE];

	pln_text_title(r, p->screen);
	pln_text_field(p->screen, "function", PLN_STYLE_NATIVE, "%s", f->name);
	pln_text_field(p->screen, "from", PLN_STYLE_PLAIN, "%s",
		       pln_where_text(r->profile, p->code->function, true, where, sizeof(where)));
	print_weights(p);
	pln_text_field(p->screen, "columns", PLN_STYLE_DIM,
		       "self: interrupted there, which is one instruction or a few behind the slow "
		       "one; below: in what is called there");
}

static bool is_shown_place(const struct printer *p, const struct pln_code_place *place)
{
	return p->print->all || place->total.weight * LEAST_PLACE_SHARE >=
					p->report->totals.functions[p->code->function].total.weight;
}

/* ---------------------------------------------------------------- source lines */

struct hot_line {
	uint32_t source, line;
	struct pln_amount self, below;
};

static int by_source_line(const void *pa, const void *pb)
{
	const struct hot_line *a = pa, *b = pb;

	if (a->source != b->source)
		return a->source < b->source ? -1 : 1;
	return a->line < b->line ? -1 : a->line > b->line;
}

static int hottest_first(const void *pa, const void *pb)
{
	const struct hot_line *a = pa, *b = pb;
	uint64_t wa = a->self.weight + a->below.weight, wb = b->self.weight + b->below.weight;

	return wa != wb ? (wa < wb ? 1 : -1) : by_source_line(pa, pb);
}

/* One for each line of any place, malloc()ed; what is below counts at each call of the line. */
static struct hot_line *sum_lines(const struct pln_native_code *code, size_t *count)
{
	size_t all = 0, kept = 0;
	struct hot_line *lines;

	for (size_t i = 0; i < code->place_count; i++)
		all += code->places[i].count;
	lines = calloc(all + 1, sizeof(*lines));
	*count = 0;
	if (!lines)
		return NULL;
	for (size_t i = 0; i < code->place_count; i++) {
		for (size_t n = 0; n < code->places[i].count; n++) {
			const struct pln_instruction *in = &code->places[i].instructions[n];

			if (in->line && (in->self.weight || in->below.weight))
				lines[kept++] = (struct hot_line){ in->source, in->line, in->self,
								   in->below };
		}
	}
	qsort(lines, kept, sizeof(*lines), by_source_line);
	for (size_t i = 0; i < kept; i++) {
		if (*count && !by_source_line(&lines[*count - 1], &lines[i])) {
			pln_amount_add(&lines[*count - 1].self, &lines[i].self);
			pln_amount_add(&lines[*count - 1].below, &lines[i].below);
		} else {
			lines[(*count)++] = lines[i];
		}
	}
	qsort(lines, *count, sizeof(*lines), hottest_first);
	return lines;
}

static const struct pln_column line_columns[] = {
	{ "self %", true, PLN_RIGID, 0 },
	{ "below %", true, PLN_RIGID, 0 },
	{ "file:line", false, PLN_ELIDE_START, 0 },
	{ "source", false, PLN_ELIDE_END, 0 },
};

static void print_lines(const struct printer *p)
{
	size_t count, shown;
	struct hot_line *lines = sum_lines(p->code, &count);
	struct pln_table *table;

	shown = p->print->all || count < HOT_LINES ? count : HOT_LINES;
	table = lines && count ? pln_table_new(line_columns, 4) : NULL;
	if (table)
		pln_text_heading(p->screen, "Source lines", "%zu with samples", count);
	for (size_t i = 0; table && i < shown; i++) {
		const struct pln_instruction at = { .source = lines[i].source,
						    .line = lines[i].line };
		char *text = pln_source_line(&p->sources[at.source], at.line);
		char place[PLACE_SIZE];

		pln_annotate_percent(table, lines[i].self.weight, p->whole);
		pln_annotate_percent(table, lines[i].below.weight, p->whole);
		pln_table_cell(table, PLN_STYLE_DIM, "%s",
			       place_text(p, &at, place, sizeof(place)));
		pln_table_cell(table, pln_annotate_style(lines[i].self.weight, p->whole), "%s",
			       text ? text + strspn(text, " ") : "");
		free(text);
	}
	pln_table_print(table, p->screen);
	free(lines);
}

/* ---------------------------------------------------------------- instructions */

static const struct pln_column code_columns[] = {
	{ "self %", true, PLN_RIGID, 0 },
	{ "below %", true, PLN_RIGID, 0 },
	{ "address", true, PLN_RIGID, 0 },
	{ "code", false, PLN_ELIDE_END, 0 },
};

static void source_row(const struct printer *p, struct pln_table *table,
		       const struct pln_instruction *i)
{
	char *text = pln_source_line(&p->sources[i->source], i->line);
	char place[PLACE_SIZE];

	pln_text_empty_cells(table, 3);
	pln_table_cell(table, PLN_STYLE_NATIVE, "%s%s%s", place_text(p, i, place, sizeof(place)),
		       text && *text ? "  " : "", text ? text + strspn(text, " ") : "");
	free(text);
}

static void instruction_row(const struct printer *p, struct pln_table *table,
			    const struct pln_instruction *i)
{
	const char *name = i->target ? i->target : "";

	pln_annotate_percent(table, i->self.weight, p->whole);
	pln_annotate_percent(table, i->below.weight, p->whole);
	pln_table_cell(table, PLN_STYLE_DIM, "%" PRIx64, i->address);
	pln_table_cell(table, pln_annotate_style(i->self.weight + i->below.weight, p->whole),
		       "%s%s%s%s", i->text ? "    " : "", i->text ? i->text : "",
		       *name ? "  # " : "", name);
}

static void gap_row(struct pln_table *table, size_t left_out)
{
	pln_text_empty_cells(table, 3);
	pln_table_cell(table, PLN_STYLE_DIM, "    ... %zu instruction%s without samples", left_out,
		       left_out == 1 ? "" : "s");
}

static void fill_code(const struct printer *p, struct pln_table *table,
		      const struct pln_code_place *place, const bool *shown)
{
	const struct pln_instruction *before = NULL;
	size_t left_out = 0;

	for (size_t i = 0; i < place->count; i++) {
		const struct pln_instruction *in = &place->instructions[i];

		if (!shown[i]) {
			left_out++;
			continue;
		}
		if (left_out)
			gap_row(table, left_out);
		if (in->line && (!before || left_out || before->source != in->source ||
				 before->line != in->line))
			source_row(p, table, in);
		instruction_row(p, table, in);
		before = in;
		left_out = 0;
	}
	if (left_out)
		gap_row(table, left_out);
}

static void print_place(const struct printer *p, const struct pln_code_place *place)
{
	struct pln_table *table = pln_table_new(code_columns, 4);
	bool *shown = calloc(place->count + 1, sizeof(*shown));
	char *name = pln_printable(place->name);
	char total[PLN_QUANTITY_SIZE], range[64] = "";

	if (place->end > place->start)
		snprintf(range, sizeof(range), " 0x%" PRIx64 " to 0x%" PRIx64, place->start,
			 place->end);
	pln_text_heading(p->screen, name ? name : "", "%s%s%s; %s %%",
			 place->inlined ? "it is inlined there; " : "",
			 place->module ? pln_base_name(place->module->path) : "in no library",
			 range, pln_percent_text(total, place->total.weight, p->whole));
	if (place->problem)
		fprintf(p->screen->out, "  no disassembly: %s\n", place->problem);
	for (size_t i = 0; shown && i < place->count; i++) {
		const struct pln_instruction *in = &place->instructions[i];

		if (p->print->all)
			shown[i] = true;
		else if (in->self.weight || in->below.weight)
			pln_annotate_mark(shown, place->count, i,
					  place->problem ? 0 : p->print->context);
	}
	if (shown && table)
		fill_code(p, table, place, shown);
	pln_table_print(table, p->screen);
	free(shown);
	free(name);
}

static void print_places(const struct printer *p)
{
	size_t left_out = 0;

	for (size_t i = 0; i < p->code->place_count; i++) {
		if (is_shown_place(p, &p->code->places[i]))
			print_place(p, &p->code->places[i]);
		else
			left_out++;
	}
	if (left_out)
		fprintf(p->screen->out,
			"  %s%zu more place%s with few samples (--all shows %s)%s\n",
			pln_style_on(p->screen, PLN_STYLE_DIM), left_out, left_out == 1 ? "" : "s",
			left_out == 1 ? "it" : "them", pln_style_off(p->screen, PLN_STYLE_DIM));
}

/* Files that cannot be read have no lines: their names and numbers are shown all the same. */
static void read_sources(struct printer *p)
{
	for (size_t i = 1; i < p->code->source_count; i++) {
		if (!pln_source_read(&p->sources[i], p->code->sources[i], NULL))
			p->sources_read++;
	}
}

static const char *first_missing(const struct printer *p)
{
	size_t i = 1;

	while (i + 1 < p->code->source_count && p->sources[i].text)
		i++;
	return p->code->sources[i];
}

static void print_source_state(const struct printer *p)
{
	size_t count = p->code->source_count - 1, missing = count - p->sources_read;

	if (missing == 1)
		pln_text_field(p->screen, "source", PLN_STYLE_PLAIN, "%s cannot be read here",
			       first_missing(p));
	else if (missing)
		pln_text_field(p->screen, "source", PLN_STYLE_PLAIN,
			       "%zu of %zu files cannot be read here, such as %s", missing, count,
			       first_missing(p));
}

void pln_annotate_native_text(const struct pln_report *report, const struct pln_native_code *code,
			      const struct pln_screen *screen,
			      const struct pln_annotate_print *print)
{
	struct printer p = {
		.report = report,
		.code = code,
		.screen = screen,
		.print = print,
		.sources = calloc(code->source_count, sizeof(*p.sources)),
		.whole = report->totals.all.weight,
	};

	if (!p.sources)
		return;
	read_sources(&p);
	print_header(&p);
	print_source_state(&p);
	print_lines(&p);
	print_places(&p);
	for (size_t i = 0; i < code->source_count; i++)
		pln_source_free(&p.sources[i]);
	free(p.sources);
}
