/* SPDX-License-Identifier: MIT */
/*
 * text_tables.c - the sections of the report: functions, native hotspots, lines,
 * processes, threads, GIL, off-CPU.
 */
#include <stdlib.h>
#include <string.h>

#include "report/names.h"
#include "report/report.h"

enum {
	PLACE_SIZE = 512,
	LINES_PER_FUNCTION = 3,
	LEAST_LINE_SHARE = 20, /* one in so many of the function's time, or the line is not shown */
};

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

const char *pln_library_name(const struct pln_library *library)
{
	return !library->name ? "Python code" : *library->name ? library->name : "(no library)";
}

const char *pln_library_text(const struct pln_library *library, char *buffer, size_t size)
{
	return pln_short_library(pln_library_name(library), buffer, size);
}

const char *pln_place_text(const struct pln_profile *profile, uint32_t function, uint32_t line,
			   char *buffer, size_t size)
{
	const struct pln_function *f = &profile->functions[function];
	const char *file = pln_short_file(f->file, profile->recording.working_directory);

	if (f->kind == PLN_FUNCTION_NATIVE)
		file = pln_base_name(f->file);
	if (line)
		snprintf(buffer, size, "%s:%u", file, line);
	else
		snprintf(buffer, size, "%s", file);
	return buffer;
}

const char *pln_where_text(const struct pln_profile *profile, uint32_t function, char *buffer,
			   size_t size)
{
	const struct pln_function *f;
	char place[PLACE_SIZE], library[128];

	if (function >= profile->function_count)
		return "";
	f = &profile->functions[function];
	pln_place_text(profile, function, f->first_line, place, sizeof(place));
	if (f->kind == PLN_FUNCTION_PYTHON)
		snprintf(buffer, size, "%s", place);
	else
		snprintf(buffer, size, "%s%s%s",
			 *f->module ? pln_short_library(f->module, library, sizeof(library))
				    : "(no library)",
			 *place ? " " : "", place);
	return buffer;
}

/* A Python line as "app.py:12", or what stands for none. */
static const char *python_place(const struct pln_report *r, uint32_t line, char *buffer,
				size_t size)
{
	const struct pln_line *at = &r->totals.lines[line];

	if (line == PLN_NONE)
		return "";
	return pln_place_text(r->profile, at->function, at->line, buffer, size);
}

static const char *python_name(const struct pln_report *r, uint32_t line)
{
	if (line == PLN_NONE)
		return "(no Python code)";
	return pln_function_name(r->profile, r->totals.lines[line].function);
}

static void percent_cell(struct pln_table *table, uint64_t part, uint64_t whole)
{
	char text[PLN_QUANTITY_SIZE];
	double share = whole ? (double)part / (double)whole : 0;

	pln_table_cell(table, pln_style_of_share(share), "%s", pln_percent_text(text, part, whole));
}

static void duration_cell(struct pln_table *table, uint64_t ns)
{
	char text[PLN_QUANTITY_SIZE];

	pln_table_cell(table, ns ? PLN_STYLE_PLAIN : PLN_STYLE_DIM, "%s",
		       ns ? pln_duration_text(text, ns) : "-");
}

static void empty_cells(struct pln_table *table, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		pln_table_cell(table, PLN_STYLE_PLAIN, "%s", "");
}

static void print_more(const struct pln_screen *screen, size_t left, const char *what)
{
	if (left)
		fprintf(screen->out, "  %s%zu more %s (--limit 0 shows all)%s\n",
			pln_style_on(screen, PLN_STYLE_DIM), left, what,
			pln_style_off(screen, PLN_STYLE_DIM));
}

/* ---------------------------------------------------------------- functions */

static const struct pln_column function_columns[] = {
	{ "self %", true, false, 0 },	{ "total %", true, false, 0 },
	{ "self", true, false, 2 },	{ "kind", false, false, 3 },
	{ "function", false, true, 0 }, { "file:line, or library", false, true, 1 },
};

/* The view GIL tells holding from waiting in the place of the time. */
static const struct pln_column gil_function_columns[] = {
	{ "self %", true, false, 0 },
	{ "total %", true, false, 0 },
	{ "holding", true, false, 0 },
	{ "waiting", true, false, 0 },
	{ "kind", false, false, 3 },
	{ "function", false, true, 0 },
	{ "file:line, or library", false, true, 1 },
};

static void function_row(const struct pln_report *r, struct pln_table *table, uint32_t id)
{
	const struct pln_cost *cost = &r->totals.functions[id];
	const char *kind = pln_function_kind_name(r->profile, id);
	enum pln_style style = *kind == 'p' ? PLN_STYLE_PYTHON : PLN_STYLE_NATIVE;
	char where[PLACE_SIZE];

	percent_cell(table, cost->self.ns, r->totals.all.ns);
	percent_cell(table, cost->total.ns, r->totals.all.ns);
	if (r->options.view == PLN_VIEW_GIL) {
		duration_cell(table, cost->self.hold_ns);
		duration_cell(table, cost->self.wait_ns);
	} else {
		duration_cell(table, cost->self.ns);
	}
	pln_table_cell(table, style, "%s", kind);
	pln_table_cell(table, style, "%s", pln_function_name(r->profile, id));
	pln_table_cell(table, PLN_STYLE_DIM, "%s",
		       pln_where_text(r->profile, id, where, sizeof(where)));
}

static void print_functions(const struct pln_report *r, const struct pln_screen *screen)
{
	static const char *const sorted[] = { "self time", "total time", "name" };
	bool gil = r->options.view == PLN_VIEW_GIL;
	struct pln_table *table =
		gil ? pln_table_new(gil_function_columns, COUNT_OF(gil_function_columns))
		    : pln_table_new(function_columns, COUNT_OF(function_columns));
	char all[PLN_QUANTITY_SIZE];
	size_t count, shown;
	uint32_t *order = pln_report_order_functions(r, &count);

	shown = pln_report_limited(r, count);
	pln_text_heading(screen, "All functions", "by %s; 100 %% is %s of %s",
			 sorted[r->options.sort], pln_duration_text(all, r->totals.all.ns),
			 pln_view_text(r->options.view));
	for (size_t i = 0; i < shown; i++)
		function_row(r, table, order[i]);
	pln_table_print(table, screen);
	print_more(screen, count - shown, "functions");
	free(order);
}

/* ---------------------------------------------------------- Python functions */

static const struct pln_column python_columns[] = {
	{ "self %", true, false, 0 },	 { "native %", true, false, 0 },
	{ "total %", true, false, 0 },	 { "function", false, true, 0 },
	{ "file:line", false, true, 1 },
};

static void print_python(const struct pln_report *r, const struct pln_screen *screen)
{
	struct pln_table *table = pln_table_new(python_columns, COUNT_OF(python_columns));
	size_t count, shown;
	uint32_t *order = pln_report_order_python(r, &count);
	char where[PLACE_SIZE];

	shown = pln_report_limited(r, count);
	pln_text_heading(screen, "Python functions", "%s",
			 "self: in Python code; native: in native code that it called");
	for (size_t i = 0; i < shown; i++) {
		const struct pln_cost *cost = &r->totals.functions[order[i]];

		percent_cell(table, cost->self.ns, r->totals.all.ns);
		percent_cell(table, r->totals.function_native[order[i]].ns, r->totals.all.ns);
		percent_cell(table, cost->total.ns, r->totals.all.ns);
		pln_table_cell(table, PLN_STYLE_PYTHON, "%s",
			       pln_function_name(r->profile, order[i]));
		pln_table_cell(table, PLN_STYLE_DIM, "%s",
			       pln_where_text(r->profile, order[i], where, sizeof(where)));
	}
	pln_table_print(table, screen);
	print_more(screen, count - shown, "Python functions");
	free(order);
}

/* ---------------------------------------------------------- native hotspots */

static const struct pln_column native_columns[] = {
	{ "self %", true, false, 0 },
	{ "total %", true, false, 3 },
	{ "library > function < line", false, true, 0 },
	{ "file:line, or source", false, true, 2 },
};

static void caller_rows(const struct pln_report *r, struct pln_table *table, uint32_t function)
{
	uint64_t self = r->totals.functions[function].self.ns;
	char place[PLACE_SIZE], share[PLN_QUANTITY_SIZE];
	size_t end, first = pln_totals_callers(&r->totals, function, &end);

	for (size_t i = first; i < end && i - first < LINES_PER_FUNCTION; i++) {
		const struct pln_caller *caller = &r->totals.callers[i];

		if (!caller->amount.ns || caller->amount.ns < self / LEAST_LINE_SHARE)
			break;
		empty_cells(table, 2);
		pln_table_cell(table, PLN_STYLE_PYTHON, "    %5s %% < %s",
			       pln_percent_text(share, caller->amount.ns, self),
			       python_name(r, caller->line));
		pln_table_cell(table, PLN_STYLE_DIM, "%s",
			       python_place(r, caller->line, place, sizeof(place)));
	}
}

static void native_function_rows(const struct pln_report *r, struct pln_table *table, uint32_t id)
{
	const struct pln_function *f = &r->profile->functions[id];
	const struct pln_cost *cost = &r->totals.functions[id];
	char place[PLACE_SIZE];

	percent_cell(table, cost->self.ns, r->totals.all.ns);
	percent_cell(table, cost->total.ns, r->totals.all.ns);
	pln_table_cell(table, PLN_STYLE_NATIVE, "  %s", f->name);
	pln_table_cell(table, PLN_STYLE_DIM, "%s",
		       pln_place_text(r->profile, id, f->first_line, place, sizeof(place)));
	caller_rows(r, table, id);
}

static void library_row(const struct pln_report *r, struct pln_table *table,
			const struct pln_library *library)
{
	percent_cell(table, library->cost.self.ns, r->totals.all.ns);
	percent_cell(table, library->cost.total.ns, r->totals.all.ns);
	pln_table_cell(table, PLN_STYLE_HEADING, "%s", pln_library_name(library));
	pln_table_cell(table, PLN_STYLE_DIM, "%s", "");
}

/* Keeps the native functions with self time, hottest first; returns how many. */
static size_t keep_native(const struct pln_report *r, uint32_t *order, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		uint32_t id = order[i];

		if (id < r->profile->function_count && r->totals.functions[id].self.ns &&
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
		struct pln_table *table = pln_table_new(native_columns, COUNT_OF(native_columns));

		pln_text_heading(
			screen, "Native hotspots", "%s",
			"libraries, their functions, and the Python lines that lead to them");
		native_rows(r, table, order, shown);
		pln_table_print(table, screen);
		print_more(screen, count - shown, "native functions");
	}
	free(order);
}

/* -------------------------------------------------------------------- lines */

static const struct pln_column line_columns[] = {
	{ "self %", true, false, 0 },	{ "native %", true, false, 0 },
	{ "total %", true, false, 0 },	{ "file:line", false, true, 0 },
	{ "function", false, true, 1 },
};

static const struct pln_column native_line_columns[] = {
	{ "self %", true, false, 0 },
	{ "total %", true, false, 0 },
	{ "file:line", false, true, 0 },
	{ "function", false, true, 1 },
};

static void line_row(const struct pln_report *r, struct pln_table *table, uint32_t id,
		     enum pln_style style)
{
	const struct pln_line *line = &r->totals.lines[id];
	uint64_t all = r->totals.all.ns;
	char place[PLACE_SIZE];

	percent_cell(table, line->cost.self.ns, all);
	if (style == PLN_STYLE_PYTHON)
		percent_cell(table, line->native.ns, all);
	percent_cell(table, line->cost.total.ns, all);
	pln_table_cell(
		table, style, "%s",
		pln_place_text(r->profile, line->function, line->line, place, sizeof(place)));
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s", pln_function_name(r->profile, line->function));
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

static void print_lines(const struct pln_report *r, const struct pln_screen *screen, uint8_t kind)
{
	bool python = kind == PLN_FUNCTION_PYTHON;
	struct pln_table *table =
		python ? pln_table_new(line_columns, COUNT_OF(line_columns))
		       : pln_table_new(native_line_columns, COUNT_OF(native_line_columns));
	size_t count, shown;
	uint32_t *order = pln_report_order_lines(r, &count);

	count = keep_lines(r, order, count, kind);
	shown = pln_report_limited(r, count);
	if (python)
		pln_text_heading(screen, "Python lines", "%s",
				 "native: in native code that the line called");
	else
		pln_text_heading(screen, "Native lines", "%s", "where line tables were found");
	for (size_t i = 0; i < shown; i++)
		line_row(r, table, order[i], python ? PLN_STYLE_PYTHON : PLN_STYLE_NATIVE);
	pln_table_print(table, screen);
	print_more(screen, count - shown, "lines");
	free(order);
}

void pln_text_lines(const struct pln_report *report, const struct pln_screen *screen)
{
	print_lines(report, screen, PLN_FUNCTION_PYTHON);
	print_lines(report, screen, PLN_FUNCTION_NATIVE);
}

/* ---------------------------------------------------- processes and threads */

static const struct pln_column process_columns[] = {
	{ "pid", true, false, 0 },     { "program", false, true, 0 }, { "python", false, false, 2 },
	{ "CPU", true, false, 0 },     { "off-CPU", true, false, 0 }, { "threads", true, false, 3 },
	{ "samples", true, false, 2 }, { "ended", false, false, 1 },
};

static void process_row(const struct pln_report *r, struct pln_table *table, uint32_t id)
{
	const struct pln_process *process = &r->profile->processes[id];
	const struct pln_times *times = &r->summary.processes[id];
	char version[32], ended[48], count[PLN_QUANTITY_SIZE];

	pln_table_cell(table, PLN_STYLE_PLAIN, "%u", process->pid);
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s",
		       *process->command ? process->command : process->executable);
	pln_table_cell(table, PLN_STYLE_DIM, "%s",
		       pln_python_version(process->python_version, version, sizeof(version)));
	duration_cell(table, times->cpu_ns);
	duration_cell(table, times->offcpu_ns);
	pln_table_cell(table, PLN_STYLE_PLAIN, "%u", times->threads);
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s", pln_count_text(count, times->samples));
	pln_table_cell(table, PLN_STYLE_DIM, "%s",
		       !process->end_ns
			       ? "still running"
			       : pln_exit_text(process->exit_status, ended, sizeof(ended)));
}

static void print_processes(const struct pln_report *r, const struct pln_screen *screen)
{
	struct pln_table *table;
	size_t shown = 0, limit = pln_report_limited(r, r->summary.process_count);

	if (r->summary.process_count < 2)
		return;
	table = pln_table_new(process_columns, COUNT_OF(process_columns));
	pln_text_heading(screen, "Processes", "%s", "in the order in which they were met");
	for (uint32_t id = 0; id < r->profile->process_count && shown < limit; id++) {
		if (!r->summary.processes[id].threads)
			continue;
		process_row(r, table, id);
		shown++;
	}
	pln_table_print(table, screen);
	print_more(screen, r->summary.process_count - shown, "processes");
}

const char *pln_entry_text(const struct pln_report *report, uint32_t thread, char *buffer,
			   size_t size)
{
	uint32_t entry = report->thread_entries[thread];
	char where[PLACE_SIZE];

	if (entry == PLN_NONE)
		return "";
	snprintf(buffer, size, "%s  %s", pln_function_name(report->profile, entry),
		 pln_where_text(report->profile, entry, where, sizeof(where)));
	return buffer;
}

enum { THREAD_COLUMN_PID = 3 };
static const struct pln_column thread_columns[] = {
	{ "thread", false, true, 0 },	{ "runs", false, true, 1 },
	{ "tid", true, false, 3 },	{ "pid", true, false, 5 },
	{ "CPU", true, false, 0 },	{ "off-CPU", true, false, 0 },
	{ "wait CPU", true, false, 4 }, { "hold GIL", true, false, 2 },
	{ "wait GIL", true, false, 2 }, { "samples", true, false, 6 },
};

static void thread_row(const struct pln_report *r, struct pln_table *table, uint32_t id)
{
	const struct pln_thread *thread = &r->profile->threads[id];
	const struct pln_times *times = &r->summary.threads[id];
	uint32_t process = thread->process;
	char name[32], count[PLN_QUANTITY_SIZE], entry[PLACE_SIZE];

	pln_table_cell(table, thread->has_python ? PLN_STYLE_PYTHON : PLN_STYLE_NATIVE, "%s%s",
		       pln_thread_name(thread, name, sizeof(name)),
		       thread->is_main ? " (main)" : "");
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s", pln_entry_text(r, id, entry, sizeof(entry)));
	pln_table_cell(table, PLN_STYLE_DIM, "%u", thread->tid);
	if (r->summary.process_count > 1 && process < r->profile->process_count)
		pln_table_cell(table, PLN_STYLE_DIM, "%u", r->profile->processes[process].pid);
	else
		empty_cells(table, 1);
	duration_cell(table, times->cpu_ns);
	duration_cell(table, times->offcpu_ns);
	duration_cell(table, times->runnable_ns);
	duration_cell(table, times->hold_ns);
	duration_cell(table, times->wait_ns);
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s", pln_count_text(count, times->samples));
}

static void print_threads(const struct pln_report *r, const struct pln_screen *screen)
{
	struct pln_column columns[COUNT_OF(thread_columns)];
	struct pln_table *table;
	size_t count, shown;
	uint32_t *order = pln_report_order_threads(r, &count);

	memcpy(columns, thread_columns, sizeof(columns));
	/* A column with no text in it is not there. */
	if (r->summary.process_count == 1)
		columns[THREAD_COLUMN_PID].title = "";
	table = pln_table_new(columns, COUNT_OF(columns));
	shown = pln_report_limited(r, count);
	pln_text_heading(screen, "Threads", "%s",
			 "by CPU time; \"wait CPU\" is runnable, not running");
	for (size_t i = 0; i < shown; i++)
		thread_row(r, table, order[i]);
	pln_table_print(table, screen);
	print_more(screen, count - shown, "threads");
	free(order);
}

/* -------------------------------------------------------------- GIL, off-CPU */

static const struct pln_wait *find_wait(const struct pln_report *r, enum pln_wait_kind kind)
{
	for (size_t i = 0; i < r->waits.count; i++) {
		if (r->waits.waits[i].kind == kind)
			return &r->waits.waits[i];
	}
	return NULL;
}

static const struct pln_column gil_columns[] = {
	{ "state", false, false, 0 },
	{ "time", true, false, 0 },
	{ "% of all", true, false, 1 },
	{ "most of it at", false, true, 2 },
};

/* "62.0 % at app.py:12 fit" of a kind of wait, or nothing. */
static void top_line_cell(const struct pln_report *r, struct pln_table *table,
			  const struct pln_wait *wait)
{
	char place[PLACE_SIZE], share[PLN_QUANTITY_SIZE];
	const struct pln_wait_line *line;

	if (!wait || !wait->line_count) {
		pln_table_cell(table, PLN_STYLE_PLAIN, "%s", "");
		return;
	}
	line = &r->waits.lines[wait->first_line];
	python_place(r, line->line, place, sizeof(place));
	pln_table_cell(table, PLN_STYLE_PLAIN, "%5s %%  %s%s%s",
		       pln_percent_text(share, line->ns, wait->offcpu_ns),
		       line->line == PLN_NONE ? "" : place, line->line == PLN_NONE ? "" : "  ",
		       python_name(r, line->line));
}

static void gil_row(const struct pln_report *r, struct pln_table *table, const char *what,
		    uint64_t ns, const struct pln_wait *wait)
{
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s", what);
	duration_cell(table, ns);
	percent_cell(table, ns, pln_times_wall_ns(&r->summary.all));
	top_line_cell(r, table, wait);
}

static void print_gil(const struct pln_report *r, const struct pln_screen *screen)
{
	const struct pln_times *t = &r->summary.all;
	struct pln_table *table;
	char share[PLN_QUANTITY_SIZE];

	if (!t->hold_ns && !t->wait_ns)
		return;
	table = pln_table_new(gil_columns, COUNT_OF(gil_columns));
	if (r->summary.process_count == 1)
		pln_text_heading(
			screen, "GIL", "held %s of the recording",
			pln_share_text(share, (double)t->hold_ns, (double)r->summary.duration_ns));
	else
		pln_text_heading(screen, "GIL", "%s", "one a process; time summed over threads");
	gil_row(r, table, "held, running", t->hold_ns - t->hold_blocked_ns - t->hold_runnable_ns,
		NULL);
	gil_row(r, table, "held, waiting for a CPU", t->hold_runnable_ns, NULL);
	gil_row(r, table, "held, blocked", t->hold_blocked_ns, find_wait(r, PLN_WAIT_HOLDING));
	gil_row(r, table, "waited for", t->wait_ns, find_wait(r, PLN_WAIT_GIL));
	gil_row(r, table, "neither", t->neither_ns, NULL);
	if (t->gil_unknown_ns)
		gil_row(r, table, "not known", t->gil_unknown_ns, NULL);
	pln_table_print(table, screen);
}

static const struct pln_column wait_columns[] = {
	{ "off %", true, false, 0 },
	{ "time", true, false, 0 },
	{ "blocked in", false, true, 0 },
	{ "most of it at", false, true, 1 },
};

static void print_waits(const struct pln_report *r, const struct pln_screen *screen)
{
	struct pln_table *table;
	size_t shown = 0, count = 0;
	char name[64], all[PLN_QUANTITY_SIZE];

	for (size_t i = 0; i < r->waits.count; i++)
		count += r->waits.waits[i].kind != PLN_WAIT_HOLDING;
	if (!count)
		return;
	table = pln_table_new(wait_columns, COUNT_OF(wait_columns));
	pln_text_heading(screen, "Off-CPU", "by system call; 100 %% is %s",
			 pln_duration_text(all, r->summary.all.offcpu_ns));
	for (size_t i = 0; i < r->waits.count && shown < pln_report_limited(r, count); i++) {
		const struct pln_wait *wait = &r->waits.waits[i];

		if (wait->kind == PLN_WAIT_HOLDING)
			continue;
		percent_cell(table, wait->offcpu_ns, r->summary.all.offcpu_ns);
		duration_cell(table, wait->offcpu_ns);
		pln_table_cell(table, wait->kind == PLN_WAIT_GIL ? PLN_STYLE_WARM : PLN_STYLE_PLAIN,
			       "%s", pln_wait_name(wait, name, sizeof(name)));
		top_line_cell(r, table, wait);
		shown++;
	}
	pln_table_print(table, screen);
	print_more(screen, count - shown, "system calls");
}

void pln_text_tables(const struct pln_report *report, const struct pln_screen *screen)
{
	print_python(report, screen);
	print_functions(report, screen);
	print_native(report, screen);
	print_lines(report, screen, PLN_FUNCTION_PYTHON);
	print_processes(report, screen);
	print_threads(report, screen);
	print_gil(report, screen);
	print_waits(report, screen);
}
