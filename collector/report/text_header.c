/* SPDX-License-Identifier: MIT */
/*
 * text_header.c - what was recorded, how well, and at what cost: one field a line.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report/labels.h"
#include "report/names.h"
#include "report/text_i.h"

#define FIELD_NAME_WIDTH 11

const char *pln_view_text(enum pln_view view)
{
	static const char *const texts[] = {
		[PLN_VIEW_CPU] = "CPU time",
		[PLN_VIEW_WALL] = "wall time",
		[PLN_VIEW_OFFCPU] = "off-CPU time",
		[PLN_VIEW_GIL] = "time holding the GIL or waiting for it",
		[PLN_VIEW_ALLOCATED] = "allocated memory",
		[PLN_VIEW_LIVE] = "memory live at the end",
		[PLN_VIEW_PEAK] = "memory live at the peak",
		[PLN_VIEW_TEMPORARY] = "memory freed within 1 ms",
		[PLN_VIEW_LEAKS] = "memory live at the end",
	};

	return texts[view];
}

/* ------------------------------------------------------------------- fields */

/* "12", "+0.6", "(1,024": it has its unit behind it. "python3" is none. */
static bool is_number(const char *word, size_t size)
{
	return size && isdigit((unsigned char)word[size - 1]) &&
	       strspn(word, "+-(.,0123456789") >= size;
}

size_t pln_text_line_bytes(const char *text, unsigned width)
{
	size_t last_blank = 0, at = 0, word = 0;
	unsigned columns = 0;

	while (text[at]) {
		uint32_t c;
		unsigned size = pln_utf8_size(text + at, &c);

		if (columns == width)
			return last_blank ? last_blank : at;
		if (text[at] == ' ') {
			if (at && text[at + 1] != '%' && !is_number(text + word, at - word))
				last_blank = at;
			word = at + 1;
		}
		at += size ? size : 1;
		columns++;
	}
	return at;
}

void pln_text_wrapped(const struct pln_screen *screen, const char *text, enum pln_style style,
		      unsigned indent)
{
	unsigned width = screen->width > indent + 20 ? screen->width - indent : 20;

	for (;;) {
		size_t size = pln_text_line_bytes(text, width);

		fprintf(screen->out, "%s%.*s%s\n", pln_style_on(screen, style), (int)size, text,
			pln_style_off(screen, style));
		text += size;
		text += *text == ' ';
		if (!*text)
			return;
		fprintf(screen->out, "%*s", (int)indent, "");
	}
}

/* Made printable; to be freed. NULL: out of memory. */
static char *printable_text(const char *format, va_list args)
{
	char *text = NULL, *printable;

	if (vasprintf(&text, format, args) < 0)
		return NULL;
	printable = pln_printable(text);
	free(text);
	return printable;
}

void pln_text_field(const struct pln_screen *screen, const char *name, enum pln_style style,
		    const char *format, ...)
{
	char *text;
	va_list args;

	va_start(args, format);
	text = printable_text(format, args);
	va_end(args);
	fprintf(screen->out, "  %s%-*s%s", pln_style_on(screen, PLN_STYLE_DIM), FIELD_NAME_WIDTH,
		name, pln_style_off(screen, PLN_STYLE_DIM));
	pln_text_wrapped(screen, text ? text : "", style, FIELD_NAME_WIDTH + 2);
	free(text);
}

void pln_text_heading(const struct pln_screen *screen, const char *title, const char *format, ...)
{
	char *text;
	const char *remark;
	va_list args;

	va_start(args, format);
	text = printable_text(format, args);
	va_end(args);
	remark = text ? text : "";
	fprintf(screen->out, "\n%s%s%s", pln_style_on(screen, PLN_STYLE_HEADING), title,
		pln_style_off(screen, PLN_STYLE_HEADING));
	/* Below the title when there is no room beside it. */
	fputs(strlen(title) + 2 + strlen(remark) <= screen->width ? "  " : "\n  ", screen->out);
	pln_text_wrapped(screen, remark, PLN_STYLE_DIM, 2);
	free(text);
}

/* -------------------------------------------------------------- list of parts */

/* "a, b, c" in a bounded buffer. */
struct parts {
	char text[512];
	size_t size;
};

static void add_text(struct parts *parts, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
#define add_part(parts, ...)                                                                       \
	(add_text((parts), "%s", (parts)->size ? ", " : ""), add_text((parts), __VA_ARGS__))

static void add_text(struct parts *parts, const char *format, ...)
{
	size_t room = sizeof(parts->text) - parts->size;
	va_list args;
	int size;

	va_start(args, format);
	size = vsnprintf(parts->text + parts->size, room, format, args);
	va_end(args);
	if (size > 0)
		parts->size += (size_t)size < room ? (size_t)size : room - 1;
}

static void add_share(struct parts *parts, uint64_t part, uint64_t whole, const char *what)
{
	char share[PLN_QUANTITY_SIZE];

	if (part)
		add_part(parts, "%s %s", pln_share_text(share, (double)part, (double)whole), what);
}

/* ------------------------------------------------------------------- header */

static void print_interpreter(const struct pln_report *r, const struct pln_screen *screen)
{
	static const char *const status[] = {
		[PILLION_INTERPRETER_FOUND] = "not checked against the interpreter",
		[PILLION_INTERPRETER_CHECKED] = "checked against the interpreter",
		[PILLION_INTERPRETER_REFUSED] = "refused, native frames only",
	};
	const struct pln_profile *p = r->profile;
	const struct pln_process *shown = NULL;
	char version[32], others[48] = "";

	for (size_t i = 0; i < p->process_count; i++) {
		if (!shown && r->summary.processes[i].threads)
			shown = &p->processes[i];
	}
	if (!shown)
		return;
	if (r->summary.process_count > 1)
		snprintf(others, sizeof(others), "; %u more process%s below",
			 r->summary.process_count - 1, r->summary.process_count == 2 ? "" : "es");
	if (!shown->python_version) {
		pln_text_field(screen, "python", PLN_STYLE_WARNING, "none found in pid %u%s",
			       shown->pid, others);
		return;
	}
	pln_text_field(screen, "python",
		       shown->interpreter_status == PILLION_INTERPRETER_REFUSED ? PLN_STYLE_WARNING
										: PLN_STYLE_PLAIN,
		       "%s%s, pid %u; layout %s%s%s%s%s%s",
		       pln_python_version(shown->python_version, version, sizeof(version)),
		       shown->free_threaded ? " free-threaded" : "", shown->pid, shown->layout,
		       *shown->layout ? " " : "",
		       shown->interpreter_status <= PILLION_INTERPRETER_REFUSED
			       ? status[shown->interpreter_status]
			       : "unknown",
		       *shown->layout_detail ? ": " : "", shown->layout_detail, others);
}

/* How the command ended, as far as the profile knows. */
static const char *command_end_text(const struct pln_profile *p, char *buffer, size_t size)
{
	const struct pln_recording *rec = &p->recording;

	if (rec->exit_status != -1)
		return pln_exit_text(rec->exit_status, buffer, size);
	if (!rec->complete)
		return "no end yet";
	if (p->process_count && !p->processes[0].end_ns)
		return "the command ran on";
	return "how the command ended is not known";
}

static void print_recorded(const struct pln_report *r, const struct pln_screen *screen)
{
	const struct pln_recording *rec = &r->profile->recording;
	char duration[PLN_QUANTITY_SIZE], when[64] = "", exit_text[48];
	time_t start = (time_t)(rec->start_real_ns / 1000000000);
	struct tm tm;

	if (localtime_r(&start, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	pln_text_field(screen, "recorded", PLN_STYLE_PLAIN, "%s, for %s, on %s; %s", when,
		       pln_duration_text(duration, r->summary.duration_ns),
		       *rec->host ? rec->host : "an unnamed host",
		       command_end_text(r->profile, exit_text, sizeof(exit_text)));
}

static void print_samples(const struct pln_report *r, const struct pln_screen *screen)
{
	const struct pln_quality *q = &r->aggregate.quality;
	char count[PLN_QUANTITY_SIZE];
	struct parts flaws = { .size = 0 };

	add_share(&flaws, q->native_truncated, q->samples, "with native frames cut off");
	add_share(&flaws, q->python_truncated, q->samples, "with Python frames cut off");
	add_share(&flaws, q->python_failed, q->samples, "with unreadable Python frames");
	add_share(&flaws, q->guessed, q->samples, "with guessed frames");
	add_share(&flaws, q->mismatched, q->samples, "joined with a mismatch");
	add_share(&flaws, q->without_native, q->samples, "without native frames");
	add_share(&flaws, q->without_stack, q->samples, "without a stack");
	pln_text_field(screen, "samples", PLN_STYLE_PLAIN, "%s of %u thread%s in %u process%s%s%s",
		       pln_count_text(count, q->samples), r->summary.all.threads,
		       r->summary.all.threads == 1 ? "" : "s", r->summary.process_count,
		       r->summary.process_count == 1 ? "" : "es", flaws.size ? "; " : "",
		       flaws.text);
}

static void print_rates(const struct pln_report *r, const struct pln_screen *screen)
{
	const struct pln_summary *s = &r->summary;
	struct parts parts = { .size = 0 };

	if (!s->all.samples)
		return;
	if (s->asked_hz > 0)
		add_part(&parts, "%.5g samples per CPU second of %.5g asked", s->reached_hz,
			 s->asked_hz);
	if (s->reached_tick_hz > 0)
		add_text(&parts, "%s%.5g ticks per second of %.5g asked", parts.size ? "; " : "",
			 s->reached_tick_hz, s->asked_tick_hz);
	if (parts.size)
		pln_text_field(screen, "rate", PLN_STYLE_PLAIN, "%s", parts.text);
}

static void print_drops(const struct pln_report *r, const struct pln_screen *screen)
{
	const struct pln_summary *s = &r->summary;
	char count[PLN_QUANTITY_SIZE];
	struct parts causes = { .size = 0 };

	for (unsigned d = 0; d < PILLION_DROP_COUNT; d++) {
		if (s->drops[d])
			add_part(&causes, "%s: %s", pln_count_text(count, s->drops[d]),
				 pln_drop_text(d));
	}
	if (s->lost_records)
		add_part(&causes, "%s: records that made no sense",
			 pln_count_text(count, s->lost_records));
	if (r->profile->recording.lost_samples)
		add_part(&causes, "%s: could not be written (disk or memory full)",
			 pln_count_text(count, r->profile->recording.lost_samples));
	if (causes.size)
		pln_text_field(screen, "dropped", PLN_STYLE_WARM, "%s", causes.text);
}

static void print_stopped(const struct pln_report *r, const struct pln_screen *screen)
{
	const struct pln_profile *p = r->profile;
	bool ran_on = p->recording.complete && p->process_count && !p->processes[0].end_ns;
	char duration[PLN_QUANTITY_SIZE];

	if (r->summary.dormant_ns)
		pln_text_field(
			screen, "stopped", PLN_STYLE_PLAIN,
			"for %s%s, by the program, pillion ctl or for want of a collector%s: "
			"nothing in it was sampled",
			pln_duration_text(duration, r->summary.dormant_ns),
			r->summary.process_count > 1 ? " (summed over processes)" : "",
			ran_on ? ", or by the end of the recording" : "");
}

static void print_times(const struct pln_report *r, const struct pln_screen *screen)
{
	const struct pln_times *t = &r->summary.all;
	char cpu[PLN_QUANTITY_SIZE], off[PLN_QUANTITY_SIZE], run[PLN_QUANTITY_SIZE];
	char cpu_share[PLN_QUANTITY_SIZE], wall_share[PLN_QUANTITY_SIZE];
	char clock_cpu[PLN_QUANTITY_SIZE], clock_wall[PLN_QUANTITY_SIZE];

	if (!t->samples && !t->clock_wall_ns)
		return;
	pln_text_field(screen, "time", PLN_STYLE_PLAIN,
		       "%s on a CPU, %s off it, %s waiting for one (summed over threads)",
		       pln_duration_text(cpu, t->cpu_ns), pln_duration_text(off, t->offcpu_ns),
		       pln_duration_text(run, t->runnable_ns));
	pln_text_field(
		screen, "accounted", PLN_STYLE_PLAIN,
		"CPU %s of the %s on the kernel's thread clocks, wall %s of %s",
		pln_share_text(cpu_share, (double)t->cpu_ns, (double)t->clock_cpu_ns),
		pln_duration_text(clock_cpu, t->clock_cpu_ns),
		pln_share_text(wall_share, (double)pln_times_wall_ns(t), (double)t->clock_wall_ns),
		pln_duration_text(clock_wall, t->clock_wall_ns));
}

static void print_cost(const struct pln_report *r, const struct pln_screen *screen)
{
	const struct pln_summary *s = &r->summary;
	const struct pln_recording *rec = &r->profile->recording;
	char share[PLN_QUANTITY_SIZE], text[PLN_QUANTITY_SIZE];
	double cpu = (double)s->process_cpu_ns;
	struct parts parts = { .size = 0 };

	if (s->process_cpu_ns) {
		pln_share_text(share, (double)(s->handler_ns + s->sampler_cpu_ns), cpu);
		add_part(&parts, "%s of the program's %s of CPU time", share,
			 pln_duration_text(text, s->process_cpu_ns));
		pln_share_text(share, (double)s->handler_ns, cpu);
		pln_share_text(text, (double)s->sampler_cpu_ns, cpu);
		/* Not every call is timed: in a short recording there may be no time at all. */
		if (s->handler_ns)
			add_text(&parts, " (handler %s, sampling thread %s)", share, text);
	}
	if (rec->collector_cpu_ns)
		add_part(&parts, "collector %s of CPU and %s at most",
			 pln_duration_text(share, rec->collector_cpu_ns),
			 pln_bytes_text(text, rec->collector_peak_rss));
	if (parts.size)
		pln_text_field(screen, "cost", PLN_STYLE_PLAIN, "%s", parts.text);
}

/* The libraries with the most self time, in one line: where to look first. */
static void print_spent(const struct pln_report *r, const struct pln_screen *screen)
{
	size_t count, shown;
	uint32_t *order = pln_report_order_libraries(r, &count);
	uint64_t rest = r->totals.all.weight;
	char share[PLN_QUANTITY_SIZE], name[128];
	struct parts parts = { .size = 0 };

	shown = count > 6 ? 6 : count;
	for (size_t i = 0; i < shown; i++) {
		const struct pln_library *library = &r->totals.libraries[order[i]];

		if (!library->cost.self.weight)
			break;
		add_part(&parts, "%s %s %%", pln_library_text(library, name, sizeof(name)),
			 pln_percent_text(share, library->cost.self.weight, r->totals.all.weight));
		rest -= library->cost.self.weight;
	}
	if (rest)
		add_part(&parts, "others %s %%",
			 pln_percent_text(share, rest, r->totals.all.weight));
	if (parts.size)
		pln_text_field(screen, pln_view_is_heap(r->options.view) ? "from" : "spent in",
			       PLN_STYLE_HEADING, "%s", parts.text);
	free(order);
}

static void print_state(const struct pln_report *r, const struct pln_screen *screen)
{
	const struct pln_profile *p = r->profile;
	char bytes[PLN_QUANTITY_SIZE];

	if (p->recording.truncated || p->bad_bytes)
		pln_text_field(screen, "cut", PLN_STYLE_WARNING,
			       "the last %s of the file cannot be read; everything before is here",
			       pln_bytes_text(bytes, p->bad_bytes));
	else if (!p->recording.complete)
		pln_text_field(
			screen, "unfinished", PLN_STYLE_WARNING,
			"still being recorded, or the collector was killed; everything up to "
			"then is here");
}

void pln_text_notes(const struct pln_report *report, const struct pln_screen *screen)
{
	const struct pln_profile *p = report->profile;

	for (size_t i = 0; i < p->note_count; i++) {
		const struct pln_note_row *note = &p->notes[i];
		enum pln_style style = note->level ? PLN_STYLE_WARNING : PLN_STYLE_PLAIN;
		const char *name = note->level ? "warning" : "note";

		if (note->process < p->process_count)
			pln_text_field(screen, name, style, "pid %u: %s",
				       p->processes[note->process].pid, note->text);
		else
			pln_text_field(screen, name, style, "%s", note->text);
	}
}

static void print_filter(const struct pln_report *r, const struct pln_screen *screen)
{
	const struct pln_filter *f = &r->options.filter;

	if (f->threads)
		pln_text_field(screen, "only", PLN_STYLE_WARM, "threads matching %s", f->threads);
	if (f->processes)
		pln_text_field(screen, "only", PLN_STYLE_WARM, "processes matching %s",
			       f->processes);
}

void pln_text_title(const struct pln_report *report, const struct pln_screen *screen)
{
	char *path = report->path ? pln_printable(report->path) : NULL, labels[512];

	if (path)
		fprintf(screen->out, "%s%s%s\n", pln_style_on(screen, PLN_STYLE_HEADING), path,
			pln_style_off(screen, PLN_STYLE_HEADING));
	free(path);
	pln_text_field(screen, "command", PLN_STYLE_PLAIN, "%s",
		       report->profile->recording.command);
	if (*pln_labels_text(report->profile, PLN_NONE, labels, sizeof(labels)))
		pln_text_field(screen, "labels", PLN_STYLE_PLAIN, "%s", labels);
}

void pln_text_recording(const struct pln_report *report, const struct pln_screen *screen)
{
	print_recorded(report, screen);
	print_rates(report, screen);
	print_samples(report, screen);
	print_drops(report, screen);
	print_stopped(report, screen);
	print_times(report, screen);
	print_cost(report, screen);
	pln_text_heap_counts(report, screen);
}

void pln_text_header(const struct pln_report *report, const struct pln_screen *screen)
{
	pln_text_title(report, screen);
	print_interpreter(report, screen);
	pln_text_recording(report, screen);
	print_state(report, screen);
	pln_text_killed(report, screen);
	pln_text_notes(report, screen);
	print_filter(report, screen);
	print_spent(report, screen);
	pln_text_heap_explained(report, screen);
	pln_text_heap_next(report, screen);
}
