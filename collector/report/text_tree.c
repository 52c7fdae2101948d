/* SPDX-License-Identifier: MIT */
/*
 * text_tree.c - the call tree.
 *
 * A call with one shown callee does not indent it, so that deep stacks stay on the
 * screen: only branches move to the right.
 *
 *   100.0   0.1  main                app.py
 *    99.0   0.0  run                 app.py
 *    60.0   2.0  +- fit              model.py
 *    58.0  58.0  |  dgemm            libopenblas.so.0
 *    39.0  39.0  `- load             data.py
 *
 * Where branches would leave no room for names, the outer ones become one sign.
 */
#include <stdlib.h>
#include <string.h>

#include "report/names.h"
#include "report/report.h"
#include "report/text_i.h"

enum {
	MAX_BRANCHES = 256,
	SHORTEST_FOLD = 5, /* a shorter chain is shown whole */
	WIDE = 100, /* columns that have room for intervals */
	LEAST_NAME = 16, /* columns */
	BRANCH = 3,
};

#define HOW_TO_UNFOLD " (--limit 0 shows all)"

/* What is printed before a call: one entry for each branch above it. */
struct branches {
	bool more_behind[MAX_BRANCHES]; /* that branch has siblings still to come */
	unsigned depth;
};

struct walk {
	const struct pln_report *report;
	const struct pln_screen *screen;
	uint64_t least; /* calls of less weight are not shown */
	struct branches branches;
};

void pln_report_print_text(const struct pln_report *report, const struct pln_screen *screen)
{
	bool heap = pln_view_is_heap(report->options.view);

	pln_text_header(report, screen);
	if (!pln_report_has_any(report))
		return;
	if (report->options.view == PLN_VIEW_LEAKS) {
		pln_text_leaks(report, screen);
		return;
	}
	switch (report->options.part) {
	case PLN_REPORT_ALL:
		pln_text_tables(report, screen);
		if (heap)
			pln_text_heap_tables(report, screen);
		else
			pln_text_threads(report, screen);
		break;
	case PLN_REPORT_TREE:
		pln_text_tree(report, screen);
		break;
	case PLN_REPORT_LINES:
		pln_text_lines(report, screen);
		break;
	}
}

/* How many branches are drawn: names have two columns of five at least. */
static unsigned branches_shown(const struct walk *w, unsigned columns)
{
	unsigned room = w->screen->width / 5 * 3;
	unsigned most = room > columns ? (room - columns) / BRANCH : 0;

	if (most < 2)
		most = 2;
	return w->branches.depth > most ? most - 1 : w->branches.depth;
}

static void print_branches(const struct walk *w, bool first_of_branch, unsigned *columns)
{
	unsigned shown = branches_shown(w, *columns);
	bool utf8 = w->screen->utf8;

	if (shown < w->branches.depth) {
		fputs(utf8 ? "⋯  " : ".. ", w->screen->out);
		*columns += BRANCH;
	}
	for (unsigned i = w->branches.depth - shown; i < w->branches.depth; i++) {
		bool more = w->branches.more_behind[i];
		bool own = first_of_branch && i + 1 == w->branches.depth;

		if (own && utf8)
			fputs(more ? "├─ " : "└─ ", w->screen->out);
		else if (own)
			fputs(more ? "+- " : "`- ", w->screen->out);
		else
			fputs(!more ? "   " : utf8 ? "│  " : "|  ", w->screen->out);
		*columns += BRANCH;
	}
}

/* A native function's source goes when there is no room for it and the library. */
static const char *where_in(const struct pln_profile *p, uint32_t function, unsigned room,
			    const char *name, char *buffer, size_t size)
{
	const char *where = pln_where_text(p, function, true, buffer, size);

	if (!name || pln_text_width(name) + 2 + pln_text_width(where) <= room)
		return where;
	return pln_where_text(p, function, false, buffer, size);
}

/* Name and, behind it, place or library: the place goes when there is no room. */
static void print_call_name(const struct walk *w, uint32_t function, unsigned room)
{
	const struct pln_profile *p = w->report->profile;
	bool python =
		function < p->function_count && p->functions[function].kind == PLN_FUNCTION_PYTHON;
	enum pln_style style = python ? PLN_STYLE_PYTHON : PLN_STYLE_NATIVE;
	char where_text[PLACE_SIZE];
	char short_name[PLACE_SIZE];
	char *name =
		pln_printable(pln_short_function_name(p, function, short_name, sizeof(short_name)));
	char *where =
		pln_printable(where_in(p, function, room, name, where_text, sizeof(where_text)));
	unsigned used;

	if (name && where) {
		fputs(pln_style_on(w->screen, style), w->screen->out);
		used = pln_print_name(w->screen, name, room);
		fputs(pln_style_off(w->screen, style), w->screen->out);
		/* A library's name is short: a piece of it tells nothing. */
		if (*where && room > used + 10 &&
		    (python || used + 2 + pln_text_width(where) <= room)) {
			fprintf(w->screen->out, "  %s", pln_style_on(w->screen, PLN_STYLE_DIM));
			pln_print_end(w->screen, where, room - used - 2);
			fputs(pln_style_off(w->screen, PLN_STYLE_DIM), w->screen->out);
		}
	}
	putc('\n', w->screen->out);
	free(name);
	free(where);
}

/* Bytes and, with room, how sure they are; returns the columns used, as in the heading. */
static unsigned print_call_bytes(const struct walk *w, const struct pln_call *call)
{
	char bytes[PLN_QUANTITY_SIZE], interval[PLN_QUANTITY_SIZE];
	int columns = fprintf(w->screen->out, "%9s  ", pln_bytes_text(bytes, call->total.bytes));

	if (w->screen->width >= WIDE)
		columns +=
			fprintf(w->screen->out, "%9s  ", pln_interval_text(interval, &call->total));
	return (unsigned)columns;
}

static void print_call(const struct walk *w, const struct pln_call *call, bool first_of_branch)
{
	uint64_t all = w->report->totals.all.weight;
	enum pln_style style = pln_style_of_share((double)call->self.weight / (double)all);
	char total[PLN_QUANTITY_SIZE], self[PLN_QUANTITY_SIZE];
	unsigned columns = 18, width = w->screen->width;

	fprintf(w->screen->out, "  %6s  %s%6s%s  ",
		pln_percent_text(total, call->total.weight, all), pln_style_on(w->screen, style),
		pln_percent_text(self, call->self.weight, all), pln_style_off(w->screen, style));
	if (pln_view_is_heap(w->report->options.view))
		columns += print_call_bytes(w, call);
	print_branches(w, first_of_branch, &columns);
	print_call_name(w, call->function,
			width > columns + LEAST_NAME ? width - columns : LEAST_NAME);
}

/* Calls are in order of total time, so the ones to show come first. */
static bool is_shown(const struct walk *w, uint32_t call)
{
	return call != PLN_NONE && w->report->tree.calls[call].total.weight >= w->least;
}

static void print_siblings(struct walk *w, uint32_t first);

/* A call and, on the same level, the calls below it as long as there is one each. */
static void print_chain(struct walk *w, uint32_t id, bool is_branch)
{
	const struct pln_call *calls = w->report->tree.calls;
	uint32_t child = calls[id].first_child;

	print_call(w, &calls[id], is_branch);
	while (is_shown(w, child) && !is_shown(w, calls[child].next_sibling)) {
		print_call(w, &calls[child], false);
		child = calls[child].first_child;
	}
	if (is_shown(w, child))
		print_siblings(w, child);
}

/* Recursion is as deep as branches are: each level has at least two calls of 0.5 % each, so
 * there are at most 199 of them. */
static void print_siblings(struct walk *w, uint32_t first)
{
	const struct pln_call *calls = w->report->tree.calls;

	if (w->branches.depth == MAX_BRANCHES)
		return;
	w->branches.depth++;
	for (uint32_t c = first; is_shown(w, c); c = calls[c].next_sibling) {
		w->branches.more_behind[w->branches.depth - 1] = is_shown(w, calls[c].next_sibling);
		print_chain(w, c, true);
	}
	w->branches.depth--;
}

/*
 * How many native calls the chain starts with before its first Python call, when that is
 * all that they lead to: the interpreter's start, the same in every program.
 */
static uint32_t count_start(const struct walk *w, uint32_t root, uint32_t *python)
{
	const struct pln_report *r = w->report;
	const struct pln_call *calls = r->tree.calls;
	uint32_t count = 0, at = root;

	for (; is_shown(w, at); at = calls[at].first_child, count++) {
		uint32_t function = calls[at].function;

		*python = at;
		if (function >= r->profile->function_count || is_shown(w, calls[at].next_sibling))
			return 0;
		if (r->profile->functions[function].kind == PLN_FUNCTION_PYTHON)
			return count;
	}
	return 0;
}

/* In the place of the calls that Python is started by; how to see them, where there is room. */
static void print_folded(const struct walk *w, uint32_t python, uint32_t count)
{
	const struct pln_report *r = w->report;
	bool heap = pln_view_is_heap(r->options.view);
	unsigned width = w->screen->width, indent = !heap ? 8 : width >= WIDE ? 30 : 19;
	char total[PLN_QUANTITY_SIZE], text[128];
	int size = snprintf(text, sizeof(text), "%u native calls, to start Python", count);

	if (10 + indent + (unsigned)size + strlen(HOW_TO_UNFOLD) <= width)
		strcpy(text + size, HOW_TO_UNFOLD);
	fprintf(w->screen->out, "  %6s  %*s%s%s%s\n",
		pln_percent_text(total, r->tree.calls[python].total.weight, r->totals.all.weight),
		(int)indent, "", pln_style_on(w->screen, PLN_STYLE_DIM), text,
		pln_style_off(w->screen, PLN_STYLE_DIM));
}

static void print_root(struct walk *w, uint32_t root)
{
	const struct pln_call *calls = w->report->tree.calls;
	uint32_t python = root, count = 0;

	if (w->report->options.limit)
		count = count_start(w, root, &python);
	if (count < SHORTEST_FOLD) {
		print_chain(w, root, false);
		return;
	}
	print_call(w, &calls[root], false);
	print_folded(w, python, count - 1);
	print_chain(w, python, false);
}

void pln_text_tree(const struct pln_report *report, const struct pln_screen *screen)
{
	struct walk w = { .report = report,
			  .screen = screen,
			  .least = report->totals.all.weight / 200 };
	bool heap = pln_view_is_heap(report->options.view);
	char all[PLN_QUANTITY_SIZE];

	pln_text_heading(screen, "Call tree", "100 %% is %s of %s; calls below 0.5 %% are left out",
			 pln_text_weight(report, all, &report->totals.all),
			 pln_view_text(report->options.view));
	fprintf(screen->out, "  %s%6s  %6s  %s%s%s%s\n", pln_style_on(screen, PLN_STYLE_DIM),
		"total %", "self %", heap ? "    total  " : "",
		heap && screen->width >= WIDE ? "  +- 95 %  " : "", "call",
		pln_style_off(screen, PLN_STYLE_DIM));
	if (!w.least)
		w.least = 1;
	for (uint32_t c = report->tree.first_root; is_shown(&w, c);
	     c = report->tree.calls[c].next_sibling)
		print_root(&w, c);
}
