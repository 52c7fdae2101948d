/* SPDX-License-Identifier: MIT */
/*
 * text_threads.c - the sections of the report about who runs and who waits: processes,
 * threads, the GIL, system calls.
 */
#include <stdlib.h>

#include "report/names.h"
#include "report/report.h"
#include "report/text_i.h"
#include "report/thread_groups.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))
#define MOST_COMPARED 100 /* processes, to find where their commands differ */

/* ---------------------------------------------------- processes and threads */

static const struct pln_column process_columns[] = {
	{ "pid", true, PLN_RIGID, 0 },	      { "program", false, PLN_ELIDE_MIDDLE, 0 },
	{ "runs", false, PLN_ELIDE_NAME, 1 }, { "python", false, PLN_RIGID, 4 },
	{ "CPU", true, PLN_RIGID, 0 },	      { "off-CPU", true, PLN_RIGID, 0 },
	{ "threads", true, PLN_RIGID, 5 },    { "samples", true, PLN_RIGID, 3 },
	{ "ended", false, PLN_RIGID, 2 },
};

static const char *command_of(const struct pln_process *process)
{
	return *process->command ? process->command : process->executable;
}

/* The thread that tells what the process runs: its main one. */
static uint32_t main_thread(const struct pln_report *r, uint32_t process)
{
	uint32_t found = PLN_NONE;

	for (uint32_t t = 0; t < r->profile->thread_count; t++) {
		if (r->profile->threads[t].process == process && r->aggregate.thread_kept[t] &&
		    (found == PLN_NONE || r->profile->threads[t].is_main))
			found = t;
	}
	return found;
}

/* `first`: the process that the header is about. Its interpreter is told once. */
static void process_row(const struct pln_report *r, struct pln_table *table, uint32_t id,
			uint32_t first, size_t same)
{
	const struct pln_process *process = &r->profile->processes[id];
	uint32_t first_version = r->profile->processes[first].python_version;
	const struct pln_times *times = &r->summary.processes[id];
	char version[32], ended[48], count[PLN_QUANTITY_SIZE], command[PLACE_SIZE];

	pln_table_cell(table, PLN_STYLE_PLAIN, "%u", process->pid);
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s",
		       pln_short_command(command_of(process), same, command, sizeof(command)));
	pln_text_entry_cell(table, PLN_STYLE_PLAIN, r, main_thread(r, id));
	pln_table_cell(
		table, PLN_STYLE_DIM, "%s",
		process->python_version == first_version
			? ""
			: pln_python_version(process->python_version, version, sizeof(version)));
	pln_text_duration_cell(table, times->cpu_ns);
	pln_text_duration_cell(table, times->offcpu_ns);
	pln_table_cell(table, PLN_STYLE_PLAIN, "%u", times->threads);
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s", pln_count_text(count, times->samples));
	pln_table_cell(table, PLN_STYLE_DIM, "%s",
		       pln_process_end_text(process, r->profile->recording.complete, ended,
					    sizeof(ended)));
}

/* How much of its start the command shares with the others that are shown, but for equal ones. */
static size_t shared_start(const struct pln_report *r, uint32_t id, const uint32_t *shown,
			   size_t count)
{
	const char *own = command_of(&r->profile->processes[id]);
	size_t most = 0;

	for (size_t i = 0; i < count && i < MOST_COMPARED; i++) {
		const char *other = command_of(&r->profile->processes[shown[i]]);
		size_t same = 0;

		while (own[same] && own[same] == other[same])
			same++;
		if ((own[same] || other[same]) && same > most)
			most = same;
	}
	return most;
}

static void print_processes(const struct pln_report *r, const struct pln_screen *screen)
{
	size_t shown = 0, limit = pln_report_limited(r, r->summary.process_count);
	uint32_t *ids = malloc((limit + 1) * sizeof(*ids));
	struct pln_table *table;

	if (r->summary.process_count < 2 || !ids) {
		free(ids);
		return;
	}
	table = pln_table_new(process_columns, COUNT_OF(process_columns));
	pln_text_heading(screen, "Processes", "%s", "in the order in which they were met");
	for (uint32_t id = 0; id < r->profile->process_count && shown < limit; id++) {
		if (r->summary.processes[id].threads)
			ids[shown++] = id;
	}
	for (size_t i = 0; i < shown; i++)
		process_row(r, table, ids[i], ids[0], shared_start(r, ids[i], ids, shown));
	pln_table_print(table, screen);
	pln_text_more(screen, r->summary.process_count - shown, "process", "processes");
	free(ids);
}

static const struct pln_column thread_columns[] = {
	{ "thread", false, PLN_ELIDE_MIDDLE, 0 },
	{ "runs", false, PLN_ELIDE_NAME, 1 },
	{ "threads", true, PLN_RIGID, 1 }, /* empty unless some share a row */
	{ "tid", true, PLN_RIGID, 3 },
	{ "pid", true, PLN_RIGID, 5 },
	{ "CPU", true, PLN_RIGID, 0 },
	{ "off-CPU", true, PLN_RIGID, 0 },
	{ "wait CPU", true, PLN_RIGID, 4 },
	{ "hold GIL", true, PLN_RIGID, 2 },
	{ "wait GIL", true, PLN_RIGID, 2 },
	{ "samples", true, PLN_RIGID, 6 },
};

/* Which thread, or how many. */
static void thread_id_cells(const struct pln_report *r, struct pln_table *table,
			    const struct pln_thread_group *group)
{
	const struct pln_thread *thread = &r->profile->threads[group->thread];
	uint32_t process = thread->process;

	if (group->count > 1) {
		pln_table_cell(table, PLN_STYLE_PLAIN, "%u", group->count);
		pln_text_empty_cells(table, 1);
	} else {
		pln_text_empty_cells(table, 1);
		pln_table_cell(table, PLN_STYLE_DIM, "%u", thread->tid);
	}
	if (r->summary.process_count > 1 && process < r->profile->process_count)
		pln_table_cell(table, PLN_STYLE_DIM, "%u", r->profile->processes[process].pid);
	else
		pln_text_empty_cells(table, 1);
}

static void thread_row(const struct pln_report *r, struct pln_table *table,
		       const struct pln_thread_group *group)
{
	const struct pln_thread *thread = &r->profile->threads[group->thread];
	const struct pln_times *times = &group->times;
	bool nameless = group->count > 1 && !(thread->name && *thread->name);
	char name[32], count[PLN_QUANTITY_SIZE];

	pln_table_cell(table, thread->has_python ? PLN_STYLE_PYTHON : PLN_STYLE_NATIVE, "%s%s",
		       nameless ? "(no name)" : pln_thread_name(thread, name, sizeof(name)),
		       thread->is_main ? " (main)" : "");
	pln_text_entry_cell(table, PLN_STYLE_PLAIN, r, group->thread);
	thread_id_cells(r, table, group);
	pln_text_duration_cell(table, times->cpu_ns);
	pln_text_duration_cell(table, times->offcpu_ns);
	pln_text_duration_cell(table, times->runnable_ns);
	pln_text_duration_cell(table, times->hold_ns);
	pln_text_duration_cell(table, times->wait_ns);
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s", pln_count_text(count, times->samples));
}

static void print_threads(const struct pln_report *r, const struct pln_screen *screen)
{
	struct pln_times unmet;
	size_t count, shown, left = 0;
	struct pln_thread_group *groups = pln_thread_groups(r, &count, &unmet);
	struct pln_table *table = pln_table_new(thread_columns, COUNT_OF(thread_columns));

	shown = pln_report_limited(r, count);
	pln_text_heading(screen, "Threads", "by %s; \"wait CPU\" is runnable, not running",
			 r->options.view == PLN_VIEW_GIL ? "time with or for the GIL"
							 : pln_view_text(r->options.view));
	for (size_t i = 0; i < shown; i++)
		thread_row(r, table, &groups[i]);
	for (size_t i = shown; i < count; i++)
		left += groups[i].count;
	pln_table_print(table, screen);
	pln_text_more(screen, left, "thread", "threads");
	pln_text_unmet(screen, &unmet);
	free(groups);
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
	{ "state", false, PLN_RIGID, 0 },	  { "time", true, PLN_RIGID, 0 },
	{ "% of all", true, PLN_RIGID, 1 },	  { "most %", true, PLN_RIGID, 2 },
	{ "at line", false, PLN_ELIDE_START, 2 }, { "in", false, PLN_ELIDE_NAME, 3 },
};

/* The line with the most of a kind of wait: its share, place and function. */
static void top_line_cells(const struct pln_report *r, struct pln_table *table,
			   const struct pln_wait *wait)
{
	char place[PLACE_SIZE], share[PLN_QUANTITY_SIZE];
	const struct pln_wait_line *line;

	if (!wait || !wait->line_count) {
		pln_text_empty_cells(table, 3);
		return;
	}
	line = &r->waits.lines[wait->first_line];
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s",
		       pln_percent_text(share, line->ns, wait->offcpu_ns));
	pln_table_cell(table, PLN_STYLE_PYTHON, "%s",
		       line->line == PLN_NONE
			       ? pln_text_python_name(r, line->line)
			       : pln_text_python_place(r, line->line, place, sizeof(place)));
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s",
		       line->line == PLN_NONE ? "" : pln_text_python_name(r, line->line));
}

static void gil_row(const struct pln_report *r, struct pln_table *table, const char *what,
		    uint64_t ns, const struct pln_wait *wait)
{
	pln_table_cell(table, PLN_STYLE_PLAIN, "%s", what);
	pln_text_duration_cell(table, ns);
	pln_text_percent_cell(table, ns, pln_times_wall_ns(&r->summary.all));
	top_line_cells(r, table, wait);
}

/* Every process has a GIL of its own, which nobody can hold for longer than the process lives. */
static void print_gil_heading(const struct pln_report *r, const struct pln_screen *screen)
{
	const struct pln_times *t = &r->summary.all;
	bool doubtful = t->gil_unknown_ns > pln_times_wall_ns(t) / 100 && r->summary.most_held < 1;
	const char *at_least = doubtful ? "at least " : "";
	char least[PLN_QUANTITY_SIZE], most[PLN_QUANTITY_SIZE];

	pln_share_text(least, r->summary.least_held, 1);
	pln_share_text(most, r->summary.most_held, 1);
	if (r->summary.process_count == 1)
		pln_text_heading(screen, "GIL", "held %s%s of the time", at_least, most);
	else
		pln_text_heading(screen, "GIL", "one a process, held %s%s to %s of its time",
				 at_least, least, most);
}

static void print_gil(const struct pln_report *r, const struct pln_screen *screen)
{
	const struct pln_times *t = &r->summary.all;
	struct pln_table *table;

	if (!t->hold_ns && !t->wait_ns)
		return;
	table = pln_table_new(gil_columns, COUNT_OF(gil_columns));
	print_gil_heading(r, screen);
	gil_row(r, table, "held, running", t->hold_ns - t->hold_blocked_ns, NULL);
	gil_row(r, table, "held, blocked", t->hold_blocked_ns, find_wait(r, PLN_WAIT_HOLDING));
	gil_row(r, table, "waited for", t->wait_ns, find_wait(r, PLN_WAIT_GIL));
	gil_row(r, table, "neither", t->neither_ns, NULL);
	gil_row(r, table, "not known, waiting for a CPU", t->gil_runnable_ns, NULL);
	if (t->gil_unknown_ns > t->gil_runnable_ns)
		gil_row(r, table, "not known", t->gil_unknown_ns - t->gil_runnable_ns, NULL);
	pln_table_print(table, screen);
}

static const struct pln_column wait_columns[] = {
	{ "off %", true, PLN_RIGID, 0 },	  { "time", true, PLN_RIGID, 0 },
	{ "blocked in", false, PLN_RIGID, 0 },	  { "most %", true, PLN_RIGID, 1 },
	{ "at line", false, PLN_ELIDE_START, 1 }, { "in", false, PLN_ELIDE_NAME, 2 },
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
		pln_text_percent_cell(table, wait->offcpu_ns, r->summary.all.offcpu_ns);
		pln_text_duration_cell(table, wait->offcpu_ns);
		pln_table_cell(table, wait->kind == PLN_WAIT_GIL ? PLN_STYLE_WARM : PLN_STYLE_PLAIN,
			       "%s", pln_wait_name(wait, name, sizeof(name)));
		top_line_cells(r, table, wait);
		shown++;
	}
	pln_table_print(table, screen);
	pln_text_more(screen, count - shown, "system call", "system calls");
}

void pln_text_threads(const struct pln_report *report, const struct pln_screen *screen)
{
	print_processes(report, screen);
	print_threads(report, screen);
	print_gil(report, screen);
	print_waits(report, screen);
}
