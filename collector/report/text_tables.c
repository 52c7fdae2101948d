/* SPDX-License-Identifier: MIT */
/*
 * text_tables.c - the sections of the report about code: functions, lines, native hotspots.
 */
#include <stdlib.h>
#include <string.h>

#include "report/names.h"
#include "report/report.h"
#include "report/text_i.h"

enum {
	LINES_PER_FUNCTION = 3,
	LEAST_LINE_SHARE = 20, /* one in so many of the function's time, or the line is not shown */
	LEAST_CALLER_SHARE =
		20, /* the same of all time, for functions with little time of their own */
	LEAST_SPENT_SHARE = 20, /* the same, for what libraries add to a line of the program */
};

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

/* ------------------------------------------------------------------ callers */

/* How modules are imported and threads start is the same in every program. */
static bool is_plumbing(const struct pln_function *f)
{
	static const char *const modules[] = { "libpython",	"python",   "libc.so",
					       "libpthread.so", "ld-linux", "libpillion.so" };
	const char *dot = strrchr(f->name, '.'), *bare = dot ? dot + 1 : f->name;

	if (f->kind == PLN_FUNCTION_PYTHON)
		return !strncmp(f->file, "<frozen importlib", strlen("<frozen importlib")) ||
		       (!strcmp(pln_base_name(f->file), "threading.py") &&
			(!strcmp(bare, "run") ||
			 !strncmp(bare, "_bootstrap", strlen("_bootstrap"))));
	for (size_t i = 0; i < COUNT_OF(modules); i++) {
		if (!strncmp(f->module, modules[i], strlen(modules[i])))
			return true;
	}
	return false;
}

static int by_total(const void *pa, const void *pb, void *totals)
{
	const struct pln_totals *t = totals;
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
	uint64_t ta = t->functions[a].total.weight, tb = t->functions[b].total.weight;

	return ta != tb ? (ta < tb ? 1 : -1) : a < b ? -1 : a > b;
}

/*
 * Sorted by self, what mostly calls others is far down, whatever it leads to. Moves the
 * functions of a kind with much total time to the front, most first; returns how many.
 */
static size_t move_callers(const struct pln_report *r, uint32_t *order, size_t count, uint8_t kind)
{
	const uint64_t least = r->totals.all.weight / LEAST_CALLER_SHARE;
	size_t kept = 0;

	if (r->options.sort != PLN_SORT_SELF)
		return 0;
	for (size_t i = 0; i < count; i++) {
		const struct pln_function *f = &r->profile->functions[order[i]];

		if (order[i] < r->profile->function_count && f->kind == kind &&
		    r->totals.functions[order[i]].total.weight >= least && !is_plumbing(f))
			order[kept++] = order[i];
	}
	qsort_r(order, kept, sizeof(*order), by_total, (void *)(uintptr_t)&r->totals);
	return pln_report_limited(r, kept);
}

/* ---------------------------------------------------------------- functions */

static const struct pln_column function_columns[] = {
	{ "self %", true, PLN_RIGID, 0 },
	{ "total %", true, PLN_RIGID, 0 },
	{ "self", true, PLN_RIGID, 2 },
	{ "kind", false, PLN_RIGID, 3 },
	{ "function", false, PLN_ELIDE_NAME, 0 },
	{ "file:line, library", false, PLN_ELIDE_START, 1 },
};

/* The view GIL tells holding from waiting in the place of the time. */
static const struct pln_column gil_function_columns[] = {
	{ "self %", true, PLN_RIGID, 0 },
	{ "total %", true, PLN_RIGID, 0 },
	{ "holding", true, PLN_RIGID, 0 },
	{ "waiting", true, PLN_RIGID, 0 },
	{ "kind", false, PLN_RIGID, 3 },
	{ "function", false, PLN_ELIDE_NAME, 0 },
	{ "file:line, library", false, PLN_ELIDE_START, 1 },
};

/* Views of memory have four columns in the place of the time: see pln_text_heap_cells(). */
static const struct pln_column heap_function_columns[] = {
	{ "self %", true, PLN_RIGID, 0 },
	{ "total %", true, PLN_RIGID, 0 },
	{ "self", true, PLN_RIGID, 0 },
	{ "+- 95 %", true, PLN_RIGID, 2 },
	{ "blocks", true, PLN_RIGID, 5 },
	{ "kinds", false, PLN_RIGID, 4 },
	{ "", false, PLN_RIGID, 3 },
	{ "function", false, PLN_ELIDE_NAME, 0 },
	{ "file:line, library", false, PLN_ELIDE_START, 1 },
};

static bool is_heap(const struct pln_report *r)
{
	return pln_view_is_heap(r->options.view);
}

static void function_row(const struct pln_report *r, struct pln_table *table, uint32_t id)
{
	const struct pln_cost *cost = &r->totals.functions[id];
	const char *kind = pln_function_kind_name(r->profile, id);
	enum pln_style style = *kind == 'p' ? PLN_STYLE_PYTHON : PLN_STYLE_NATIVE;
	char name[PLACE_SIZE];

	pln_text_percent_cell(table, cost->self.weight, r->totals.all.weight);
	pln_text_percent_cell(table, cost->total.weight, r->totals.all.weight);
	if (r->options.view == PLN_VIEW_GIL) {
		pln_text_duration_cell(table, cost->self.hold_ns);
		pln_text_duration_cell(table, cost->self.wait_ns);
	} else if (is_heap(r)) {
		pln_text_heap_cells(table, &cost->self);
	} else {
		pln_text_duration_cell(table, cost->self.weight);
	}
	pln_table_cell(table, style, "%s", kind);
	pln_table_cell(table, style, "%s",
		       pln_short_function_name(r->profile, id, name, sizeof(name)));
	pln_text_where_cell(table, r->profile, id);
}

static void print_function_table(const struct pln_report *r, const struct pln_screen *screen,
				 const uint32_t *order, size_t count)
{
	bool gil = r->options.view == PLN_VIEW_GIL;
	struct pln_table *table =
		is_heap(r) ? pln_table_new(heap_function_columns, COUNT_OF(heap_function_columns))
		: gil	   ? pln_table_new(gil_function_columns, COUNT_OF(gil_function_columns))
			   : pln_table_new(function_columns, COUNT_OF(function_columns));

	for (size_t i = 0; i < count; i++)
		function_row(r, table, order[i]);
	pln_table_print(table, screen);
}

static void print_functions(const struct pln_report *r, const struct pln_screen *screen)
{
	static const char *const by_time[] = { "self time", "total time", "name" };
	static const char *const by_bytes[] = { "self bytes", "total bytes", "name" };
	const char *const *sorted = is_heap(r) ? by_bytes : by_time;
	char all[PLN_QUANTITY_SIZE];
	size_t count, shown, callers;
	uint32_t *order = pln_report_order_functions(r, &count);

	shown = pln_report_limited(r, count);
	pln_text_heading(screen, "All functions", "by %s; 100 %% is %s of %s",
			 sorted[r->options.sort], pln_text_weight(r, all, &r->totals.all),
			 pln_view_text(r->options.view));
	print_function_table(r, screen, order, shown);
	callers = shown < count ? move_callers(r, order + shown, count - shown, PLN_FUNCTION_NATIVE)
				: 0;
	if (callers) {
		pln_text_heading(screen, "Native callers", "%s",
				 is_heap(r) ? "more functions of libraries, by total bytes"
					    : "more functions of libraries, by total time");
		print_function_table(r, screen, order + shown, callers);
	}
	pln_text_more(screen, count - shown - callers, "function", "functions");
	free(order);
}

/* ---------------------------------------------------------- Python functions */

static const struct pln_column python_columns[] = {
	{ "self %", true, PLN_RIGID, 0 },	    { "native %", true, PLN_RIGID, 0 },
	{ "total %", true, PLN_RIGID, 0 },	    { "function", false, PLN_ELIDE_NAME, 0 },
	{ "file:line", false, PLN_ELIDE_START, 1 },
};

/* Memory is nearly always asked for by native code, so that self and native go together. */
static const struct pln_column heap_python_columns[] = {
	{ "own %", true, PLN_RIGID, 0 },
	{ "total %", true, PLN_RIGID, 0 },
	{ "own", true, PLN_RIGID, 0 },
	{ "+- 95 %", true, PLN_RIGID, 2 },
	{ "blocks", true, PLN_RIGID, 4 },
	{ "kinds", false, PLN_RIGID, 3 },
	{ "function", false, PLN_ELIDE_NAME, 0 },
	{ "file:line", false, PLN_ELIDE_START, 1 },
};

static const struct pln_column heap_caller_columns[] = {
	{ "own %", true, PLN_RIGID, 0 },	  { "total %", true, PLN_RIGID, 0 },
	{ "total", true, PLN_RIGID, 0 },	  { "+- 95 %", true, PLN_RIGID, 2 },
	{ "blocks", true, PLN_RIGID, 4 },	  { "kinds", false, PLN_RIGID, 3 },
	{ "function", false, PLN_ELIDE_NAME, 0 }, { "file:line", false, PLN_ELIDE_START, 1 },
};

static struct pln_amount own_amount(const struct pln_amount *self, const struct pln_amount *native)
{
	struct pln_amount own = *self;

	pln_amount_add(&own, native);
	return own;
}

static void heap_python_cells(const struct pln_report *r, struct pln_table *table, uint32_t id,
			      bool is_caller)
{
	const struct pln_cost *cost = &r->totals.functions[id];
	struct pln_amount own = own_amount(&cost->self, &r->totals.function_native[id]);

	pln_text_percent_cell(table, own.weight, r->totals.all.weight);
	pln_text_percent_cell(table, cost->total.weight, r->totals.all.weight);
	pln_text_heap_cells(table, is_caller ? &cost->total : &own);
}

static void python_row(const struct pln_report *r, struct pln_table *table, uint32_t id,
		       bool is_caller)
{
	const struct pln_cost *cost = &r->totals.functions[id];

	if (is_heap(r)) {
		heap_python_cells(r, table, id, is_caller);
	} else {
		pln_text_percent_cell(table, cost->self.weight, r->totals.all.weight);
		pln_text_percent_cell(table, r->totals.function_native[id].weight,
				      r->totals.all.weight);
		pln_text_percent_cell(table, cost->total.weight, r->totals.all.weight);
	}
	pln_table_cell(table, PLN_STYLE_PYTHON, "%s", pln_function_name(r->profile, id));
	pln_text_where_cell(table, r->profile, id);
}

static void print_callers(const struct pln_report *r, const struct pln_screen *screen,
			  const uint32_t *order, size_t count)
{
	struct pln_table *table;

	if (!count)
		return;
	table = is_heap(r) ? pln_table_new(heap_caller_columns, COUNT_OF(heap_caller_columns))
			   : pln_table_new(python_columns, COUNT_OF(python_columns));
	pln_text_heading(screen, "Python callers",
			 "more functions, by total %s: what leads to the above",
			 is_heap(r) ? "bytes" : "time");
	for (size_t i = 0; i < count; i++)
		python_row(r, table, order[i], true);
	pln_table_print(table, screen);
}

static void print_python_table(const struct pln_report *r, const struct pln_screen *screen,
			       uint32_t *order, size_t count)
{
	struct pln_table *table =
		is_heap(r) ? pln_table_new(heap_python_columns, COUNT_OF(heap_python_columns))
			   : pln_table_new(python_columns, COUNT_OF(python_columns));
	size_t shown = pln_report_limited(r, count), callers;

	pln_text_heading(screen, "Python functions", "%s",
			 is_heap(r)
				 ? "own: by it and by native code that it called"
				 : "self: in Python code; native: in native code that it called");
	for (size_t i = 0; i < shown; i++)
		python_row(r, table, order[i], false);
	pln_table_print(table, screen);
	callers = shown < count ? move_callers(r, order + shown, count - shown, PLN_FUNCTION_PYTHON)
				: 0;
	print_callers(r, screen, order + shown, callers);
	pln_text_more(screen, count - shown - callers, "Python function", "Python functions");
}

static void print_python(const struct pln_report *r, const struct pln_screen *screen)
{
	size_t count;
	uint32_t *order = pln_report_order_python(r, &count);

	if (count)
		print_python_table(r, screen, order, count);
	free(order);
}

/* ---------------------------------------------------------- native hotspots */

static const struct pln_column native_columns[] = {
	{ "self %", true, PLN_RIGID, 0 },
	{ "total %", true, PLN_RIGID, 3 },
	{ "library > function < line", false, PLN_ELIDE_NAME, 0 },
	{ "file:line", false, PLN_ELIDE_START, 2 },
};

static const struct pln_column heap_native_columns[] = {
	{ "self %", true, PLN_RIGID, 0 },
	{ "total %", true, PLN_RIGID, 6 },
	{ "self", true, PLN_RIGID, 0 },
	{ "+- 95 %", true, PLN_RIGID, 2 },
	{ "blocks", true, PLN_RIGID, 4 },
	{ "kinds", false, PLN_RIGID, 3 },
	{ "library > function < line", false, PLN_ELIDE_NAME, 0 },
	{ "file:line", false, PLN_ELIDE_START, 1 },
};

static void caller_rows(const struct pln_report *r, struct pln_table *table, uint32_t function)
{
	uint64_t self = r->totals.functions[function].self.weight;
	char place[PLACE_SIZE];
	size_t end, first = pln_totals_callers(&r->totals, function, &end);

	for (size_t i = first; i < end && i - first < LINES_PER_FUNCTION; i++) {
		const struct pln_caller *caller = &r->totals.callers[i];

		if (!caller->amount.weight || caller->amount.weight < self / LEAST_LINE_SHARE)
			break;
		pln_text_percent_cell(table, caller->amount.weight, r->totals.all.weight);
		pln_text_empty_cells(table, 1);
		if (is_heap(r))
			pln_text_heap_cells(table, &caller->amount);
		pln_table_cell(table, PLN_STYLE_PYTHON, "    < %s",
			       pln_text_python_name(r, caller->line));
		pln_table_cell(table, PLN_STYLE_DIM, "%s",
			       pln_text_python_place(r, caller->line, place, sizeof(place)));
	}
}

static void native_function_rows(const struct pln_report *r, struct pln_table *table, uint32_t id)
{
	const struct pln_cost *cost = &r->totals.functions[id];
	char place[PLACE_SIZE], name[PLACE_SIZE];

	pln_text_percent_cell(table, cost->self.weight, r->totals.all.weight);
	pln_text_percent_cell(table, cost->total.weight, r->totals.all.weight);
	if (is_heap(r))
		pln_text_heap_cells(table, &cost->self);
	pln_table_cell(table, PLN_STYLE_NATIVE, "  %s",
		       pln_short_function_name(r->profile, id, name, sizeof(name)));
	pln_table_cell(table, PLN_STYLE_DIM, "%s",
		       pln_place_text(r->profile, id, r->profile->functions[id].first_line, place,
				      sizeof(place)));
	caller_rows(r, table, id);
}

static void library_row(const struct pln_report *r, struct pln_table *table,
			const struct pln_library *library)
{
	pln_text_percent_cell(table, library->cost.self.weight, r->totals.all.weight);
	pln_text_percent_cell(table, library->cost.total.weight, r->totals.all.weight);
	if (is_heap(r))
		pln_text_heap_cells(table, &library->cost.self);
	pln_table_cell(table, PLN_STYLE_HEADING, "%s", pln_library_name(library));
	pln_table_cell(table, PLN_STYLE_DIM, "%s", "");
}

/* Keeps the native functions with self time, hottest first; returns how many. */
static size_t keep_native(const struct pln_report *r, uint32_t *order, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		uint32_t id = order[i];

		if (id < r->profile->function_count && r->totals.functions[id].self.weight &&
		    r->profile->functions[id].kind == PLN_FUNCTION_NATIVE)
			order[kept++] = id;
	}
	return kept;
}

/* Each library once, its shown functions below it. */
static void native_rows(const struct pln_report *r, struct pln_table *table,
			const uint32_t *functions, size_t shown)
{
	size_t library_count;
	uint32_t *libraries = pln_report_order_libraries(r, &library_count);

	for (size_t l = 0; l < library_count; l++) {
		bool named = false;

		for (size_t i = 0; i < shown; i++) {
			if (r->totals.function_library[functions[i]] != libraries[l])
				continue;
			if (!named)
				library_row(r, table, &r->totals.libraries[libraries[l]]);
			named = true;
			native_function_rows(r, table, functions[i]);
		}
	}
	free(libraries);
}

static void print_native(const struct pln_report *r, const struct pln_screen *screen)
{
	struct pln_report by_self = *r;
	size_t count, shown;
	uint32_t *order;

	by_self.options.sort = PLN_SORT_SELF;
	order = pln_report_order_functions(&by_self, &count);
	count = keep_native(r, order, count);
	shown = pln_report_limited(r, count);
	if (count) {
		struct pln_table *table =
			is_heap(r)
				? pln_table_new(heap_native_columns, COUNT_OF(heap_native_columns))
				: pln_table_new(native_columns, COUNT_OF(native_columns));

		pln_text_heading(screen, is_heap(r) ? "Native code" : "Native hotspots", "%s",
				 "by library and function, with the Python lines that lead there");
		native_rows(r, table, order, shown);
		pln_table_print(table, screen);
		pln_text_more(screen, count - shown, "native function", "native functions");
	}
	free(order);
}

/* -------------------------------------------------------------------- lines */

static const struct pln_column line_columns[] = {
	{ "self %", true, PLN_RIGID, 0 },
	{ "native %", true, PLN_RIGID, 0 },
	{ "total %", true, PLN_RIGID, 0 },
	{ "file:line", false, PLN_ELIDE_START, 0 },
	{ "function", false, PLN_ELIDE_NAME, 3 },
	{ "most %", true, PLN_RIGID, 4 },
	{ "native, mostly", false, PLN_ELIDE_NAME, 1 },
	{ "of library", false, PLN_ELIDE_MIDDLE, 2 },
};

static const struct pln_column native_line_columns[] = {
	{ "self %", true, PLN_RIGID, 0 },
	{ "total %", true, PLN_RIGID, 0 },
	{ "file:line", false, PLN_ELIDE_START, 0 },
	{ "function", false, PLN_ELIDE_NAME, 1 },
};

static const struct pln_column heap_line_columns[] = {
	{ "own %", true, PLN_RIGID, 0 },
	{ "total %", true, PLN_RIGID, 0 },
	{ "own", true, PLN_RIGID, 0 },
	{ "+- 95 %", true, PLN_RIGID, 2 },
	{ "blocks", true, PLN_RIGID, 7 },
	{ "kinds", false, PLN_RIGID, 6 },
	{ "file:line", false, PLN_ELIDE_START, 0 },
	{ "function", false, PLN_ELIDE_NAME, 4 },
	{ "most %", true, PLN_RIGID, 5 },
	{ "native, mostly", false, PLN_ELIDE_NAME, 1 },
	{ "of library", false, PLN_ELIDE_MIDDLE, 3 },
};

static const struct pln_column heap_native_line_columns[] = {
	{ "self %", true, PLN_RIGID, 0 },
	{ "total %", true, PLN_RIGID, 0 },
	{ "self", true, PLN_RIGID, 0 },
	{ "+- 95 %", true, PLN_RIGID, 2 },
	{ "blocks", true, PLN_RIGID, 4 },
	{ "kinds", false, PLN_RIGID, 3 },
	{ "file:line", false, PLN_ELIDE_START, 0 },
	{ "function", false, PLN_ELIDE_NAME, 1 },
};

static struct pln_table *new_line_table(bool heap, bool python)
{
	if (heap)
		return python ? pln_table_new(heap_line_columns, COUNT_OF(heap_line_columns))
			      : pln_table_new(heap_native_line_columns,
					      COUNT_OF(heap_native_line_columns));
	return python ? pln_table_new(line_columns, COUNT_OF(line_columns))
		      : pln_table_new(native_line_columns, COUNT_OF(native_line_columns));
}

/* By line: index of callers[] with the most native time below it, or PLN_NONE. */
static uint32_t *find_most_native(const struct pln_totals *t)
{
	uint32_t *most = malloc((t->line_count + 1) * sizeof(*most));

	if (!most)
		return NULL;
	for (size_t l = 0; l < t->line_count; l++)
		most[l] = PLN_NONE;
	for (uint32_t c = 0; c < t->caller_count; c++) {
		uint32_t line = t->callers[c].line;

		if (line != PLN_NONE && t->callers[c].amount.weight &&
		    (most[line] == PLN_NONE ||
		     t->callers[c].amount.weight > t->callers[most[line]].amount.weight))
			most[line] = c;
	}
	return most;
}

/* "43.0", "deflate", "libz": where most of the line's native time is. */
static void most_native_cells(const struct pln_report *r, struct pln_table *table, uint32_t line,
			      uint32_t most)
{
	const struct pln_profile *p = r->profile;
	const struct pln_caller *caller;
	char name[PLACE_SIZE], library[128], share[PLN_QUANTITY_SIZE];

	if (most == PLN_NONE) {
		pln_text_empty_cells(table, 3);
		return;
	}
	caller = &r->totals.callers[most];
	pln_table_cell(table, PLN_STYLE_DIM, "%s",
		       pln_percent_text(share, caller->amount.weight,
					r->totals.lines[line].native.weight));
	pln_table_cell(table, PLN_STYLE_NATIVE, "%s",
		       pln_short_function_name(p, caller->function, name, sizeof(name)));
	pln_table_cell(
		table, PLN_STYLE_DIM, "%s",
		pln_short_library(p->functions[caller->function].module, library, sizeof(library)));
}

static void line_row(const struct pln_report *r, struct pln_table *table, uint32_t id,
		     enum pln_style style)
{
	const struct pln_line *line = &r->totals.lines[id];
	struct pln_amount own = own_amount(&line->cost.self, &line->native);
	uint64_t all = r->totals.all.weight;
	char place[PLACE_SIZE], name[PLACE_SIZE];

	pln_text_percent_cell(table, is_heap(r) ? own.weight : line->cost.self.weight, all);
	if (style == PLN_STYLE_PYTHON && !is_heap(r))
		pln_text_percent_cell(table, line->native.weight, all);
	pln_text_percent_cell(table, line->cost.total.weight, all);
	if (is_heap(r))
		pln_text_heap_cells(table, &own);
	pln_table_cell(
		table, style, "%s",
		pln_place_text(r->profile, line->function, line->line, place, sizeof(place)));
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s",
		       pln_short_function_name(r->profile, line->function, name, sizeof(name)));
}

/* Keeps the lines of one kind of function; returns how many. */
static size_t keep_lines(const struct pln_report *r, uint32_t *order, size_t count, uint8_t kind)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (r->profile->functions[r->totals.lines[order[i]].function].kind == kind)
			order[kept++] = order[i];
	}
	return kept;
}

static void print_line_table(const struct pln_report *r, const struct pln_screen *screen,
			     const uint32_t *order, size_t count, bool python)
{
	struct pln_table *table = new_line_table(is_heap(r), python);
	uint32_t *most = python ? find_most_native(&r->totals) : NULL;
	size_t shown = pln_report_limited(r, count);

	if (python)
		pln_text_heading(screen, "Python lines", "%s",
				 is_heap(r) ? "own: by the line and by native code that it called"
					    : "native: in native code that the line called");
	else
		pln_text_heading(screen, "Native lines", "%s", "where line tables were found");
	for (size_t i = 0; i < shown; i++) {
		line_row(r, table, order[i], python ? PLN_STYLE_PYTHON : PLN_STYLE_NATIVE);
		if (python)
			most_native_cells(r, table, order[i], most ? most[order[i]] : PLN_NONE);
	}
	pln_table_print(table, screen);
	pln_text_more(screen, count - shown, "line", "lines");
	free(most);
}

static void print_lines(const struct pln_report *r, const struct pln_screen *screen, uint8_t kind)
{
	size_t count;
	uint32_t *order = pln_report_order_lines(r, &count);

	count = keep_lines(r, order, count, kind);
	if (count)
		print_line_table(r, screen, order, count, kind == PLN_FUNCTION_PYTHON);
	free(order);
}

/* ------------------------------------------------------- lines of the program */

static const struct pln_column program_columns[] = {
	{ "spent %", true, PLN_RIGID, 0 },	  { "self %", true, PLN_RIGID, 2 },
	{ "total %", true, PLN_RIGID, 0 },	  { "file:line", false, PLN_ELIDE_START, 0 },
	{ "function", false, PLN_ELIDE_NAME, 1 },
};

static const struct pln_column heap_program_columns[] = {
	{ "spent %", true, PLN_RIGID, 0 },
	{ "total %", true, PLN_RIGID, 0 },
	{ "spent", true, PLN_RIGID, 0 },
	{ "+- 95 %", true, PLN_RIGID, 2 },
	{ "blocks", true, PLN_RIGID, 4 },
	{ "kinds", false, PLN_RIGID, 3 },
	{ "file:line", false, PLN_ELIDE_START, 0 },
	{ "function", false, PLN_ELIDE_NAME, 1 },
};

static void program_row(const struct pln_report *r, struct pln_table *table, uint32_t id)
{
	const struct pln_line *line = &r->totals.lines[id];
	uint64_t all = r->totals.all.weight;
	char place[PLACE_SIZE];

	pln_text_percent_cell(table, line->spent.weight, all);
	if (!is_heap(r))
		pln_text_percent_cell(table, line->cost.self.weight, all);
	pln_text_percent_cell(table, line->cost.total.weight, all);
	if (is_heap(r))
		pln_text_heap_cells(table, &line->spent);
	pln_table_cell(table, PLN_STYLE_PYTHON, "%s",
		       pln_text_python_place(r, id, place, sizeof(place)));
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s", pln_text_python_name(r, id));
}

/* Where a program calls no Python library, the table of lines has all of this already. */
static bool libraries_matter(const struct pln_report *r, const uint32_t *order, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct pln_line *line = &r->totals.lines[order[i]];

		if (line->spent.weight - pln_line_own(line) >=
		    r->totals.all.weight / LEAST_SPENT_SHARE)
			return true;
	}
	return false;
}

/*
 * Of a program that calls frameworks, the lines with time of their own are the frameworks'. Here
 * a line has the time of all that it called, up to the next line of the program.
 */
static void print_program_lines(const struct pln_report *r, const struct pln_screen *screen)
{
	size_t count, shown;
	uint32_t *order = pln_report_order_program_lines(r, &count);
	struct pln_table *table;

	if (!libraries_matter(r, order, count)) {
		free(order);
		return;
	}
	table = is_heap(r) ? pln_table_new(heap_program_columns, COUNT_OF(heap_program_columns))
			   : pln_table_new(program_columns, COUNT_OF(program_columns));
	shown = pln_report_limited(r, count);
	pln_text_heading(screen, "Lines of the program", "%s",
			 "spent: by the line, and in what it calls of libraries");
	for (size_t i = 0; i < shown; i++)
		program_row(r, table, order[i]);
	pln_table_print(table, screen);
	pln_text_more(screen, count - shown, "line of the program", "lines of the program");
	free(order);
}

void pln_text_lines(const struct pln_report *report, const struct pln_screen *screen)
{
	print_program_lines(report, screen);
	print_lines(report, screen, PLN_FUNCTION_PYTHON);
	print_lines(report, screen, PLN_FUNCTION_NATIVE);
}

void pln_text_tables(const struct pln_report *report, const struct pln_screen *screen)
{
	print_program_lines(report, screen);
	print_python(report, screen);
	print_lines(report, screen, PLN_FUNCTION_PYTHON);
	print_functions(report, screen);
	print_native(report, screen);
}
