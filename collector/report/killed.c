/* SPDX-License-Identifier: MIT */
/*
 * killed.c - see killed.h.
 */
#include "report/killed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "report/names.h"
#include "report/report.h"
#include "report/text_i.h"

enum {
	FRAMES_SHOWN = 6, /* of a stack in the header */
	PROCESSES_SHOWN = 5,
};

static bool was_killed(const struct pln_process *p)
{
	return p->end_ns && p->exit_status != -1 && WIFSIGNALED(p->exit_status);
}

/* ------------------------------------------------------------------- finding */

struct search {
	const struct pln_profile *profile;
	struct pln_last_run *runs;
};

static void meet(const struct search *s, uint64_t time_ns, uint32_t thread, uint32_t stack)
{
	uint32_t process = s->profile->threads[thread].process;
	struct pln_last_run *run = &s->runs[process];

	if (was_killed(&s->profile->processes[process]) && time_ns >= run->time_ns)
		*run = (struct pln_last_run){ time_ns, thread, stack };
}

static int meet_sample(const struct pln_sample_row *row, void *arg)
{
	const struct search *s = arg;

	/* What burst mode counted in a second has one time, that of its end. */
	if ((row->cause == PILLION_CAUSE_CPU || row->cause == PILLION_CAUSE_FORCED) &&
	    !pln_thread_is_burst(s->profile, row->thread))
		meet(s, row->time_ns, row->thread, row->stack);
	return 0;
}

int pln_killed_find(struct pln_last_run **runs, struct pln_profile *profile)
{
	struct search s = { .profile = profile };
	bool any = false;

	*runs = NULL;
	for (size_t i = 0; i < profile->process_count; i++)
		any |= was_killed(&profile->processes[i]);
	if (!any)
		return 0;
	s.runs = calloc(profile->process_count, sizeof(*s.runs));
	if (!s.runs)
		return -ENOMEM;
	pln_profile_each_sample(profile, meet_sample, &s);
	for (size_t i = 0; i < profile->block_count; i++)
		meet(&s, profile->blocks[i].time_ns, profile->blocks[i].thread,
		     profile->blocks[i].stack);
	*runs = s.runs;
	return 0;
}

static uint64_t before_end_ns(const struct pln_process *p, const struct pln_last_run *run)
{
	return p->end_ns > run->time_ns ? p->end_ns - run->time_ns : 0;
}

/* Calls `take` for each source-level frame, innermost first. */
static void each_frame(const struct pln_profile *p, uint32_t stack,
		       void (*take)(const struct pln_location *location, void *arg), void *arg)
{
	while (stack != PLN_NONE) {
		uint32_t frame = p->stacks[stack].frame;

		for (uint32_t i = p->frame_first_location[frame];
		     i < p->frame_first_location[frame + 1]; i++)
			take(&p->locations[i], arg);
		stack = p->stacks[stack].parent;
	}
}

/* ---------------------------------------------------------------------- text */

static const char *frame_text(const struct pln_profile *p, const struct pln_location *l,
			      char *buffer, size_t size)
{
	const struct pln_function *f = &p->functions[l->function];
	char name[PLACE_SIZE], where[PLACE_SIZE], place[PLACE_SIZE] = "";
	bool native = f->kind == PLN_FUNCTION_NATIVE;

	if (!native || (*f->file && l->line))
		pln_place_text(p, l->function, l->line, place, sizeof(place));
	if (native)
		pln_where_text(p, l->function, false, where, sizeof(where));
	snprintf(buffer, size, "%s (%s%s%s)",
		 pln_short_function_name(p, l->function, name, sizeof(name)), native ? where : "",
		 native && *place ? " " : "", place);
	return buffer;
}

/* Frames as one line of text: the innermost one, and Python's. */
struct line {
	const struct pln_profile *profile;
	FILE *out;
	unsigned count;
};

static void add_to_line(const struct pln_location *location, void *arg)
{
	struct line *line = arg;
	const struct pln_function *f = &line->profile->functions[location->function];
	char text[3 * PLACE_SIZE];

	if ((line->count && f->kind == PLN_FUNCTION_NATIVE) || line->count++ >= FRAMES_SHOWN)
		return;
	fprintf(line->out, "%s%s",
		line->count == 1   ? " "
		: line->count == 2 ? ", for "
				   : " < ",
		frame_text(line->profile, location, text, sizeof(text)));
}

static void write_run(FILE *out, const struct pln_report *r, uint32_t process)
{
	const struct pln_profile *p = r->profile;
	const struct pln_last_run *run = &r->last_runs[process];
	struct line line = { .profile = p, .out = out };
	char age[PLN_QUANTITY_SIZE], name[32];

	if (!run->time_ns) {
		fprintf(out, "%s",
			p->processes[process].engine & PILLION_ENGINE_BURST
				? "burst mode does not tell what it ran at last"
				: "no thread of it was met on a CPU");
		return;
	}
	fprintf(out, "%s before, thread %s ran",
		pln_duration_text(age, before_end_ns(&p->processes[process], run)),
		pln_thread_name(&p->threads[run->thread], name, sizeof(name)));
	each_frame(p, run->stack, add_to_line, &line);
	if (!line.count)
		fprintf(out, ", without a stack");
	if (line.count > FRAMES_SHOWN)
		fprintf(out, " < %u more", line.count - FRAMES_SHOWN);
}

static void print_killed(const struct pln_report *r, const struct pln_screen *screen,
			 uint32_t process)
{
	const struct pln_process *p = &r->profile->processes[process];
	char *text = NULL, ended[48];
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return;
	write_run(out, r, process);
	if (!fclose(out))
		pln_text_field(screen, "ended", PLN_STYLE_WARNING, "pid %u, %s: %s", p->pid,
			       pln_exit_text(p->exit_status, ended, sizeof(ended)), text);
	free(text);
}

void pln_text_killed(const struct pln_report *report, const struct pln_screen *screen)
{
	const struct pln_profile *p = report->profile;
	size_t shown = 0, more = 0;

	for (uint32_t id = 0; report->last_runs && id < p->process_count; id++) {
		if (!was_killed(&p->processes[id]) ||
		    !pln_filter_keeps_process(&report->options.filter, &p->processes[id]))
			continue;
		if (shown < PROCESSES_SHOWN) {
			print_killed(report, screen, id);
			shown++;
		} else {
			more++;
		}
	}
	if (more)
		pln_text_field(screen, "ended", PLN_STYLE_WARNING,
			       "%zu more were killed; see pillion info", more);
}

struct lines {
	const struct pln_profile *profile;
	const struct pln_screen *screen;
	unsigned count;
};

static void print_frame(const struct pln_location *location, void *arg)
{
	struct lines *lines = arg;
	char text[3 * PLACE_SIZE];

	pln_text_field(lines->screen, lines->count++ ? "" : "its stack", PLN_STYLE_PLAIN, "%s",
		       frame_text(lines->profile, location, text, sizeof(text)));
}

void pln_text_killed_stack(const struct pln_report *report, const struct pln_screen *screen,
			   uint32_t process)
{
	const struct pln_profile *p = report->profile;
	struct lines lines = { .profile = p, .screen = screen };
	const struct pln_last_run *run;
	char age[PLN_QUANTITY_SIZE], name[32];

	if (!report->last_runs || !was_killed(&p->processes[process]))
		return;
	run = &report->last_runs[process];
	if (!run->time_ns)
		return;
	pln_text_field(screen, "last met", PLN_STYLE_WARNING,
		       "on a CPU %s before it was killed: thread %s",
		       pln_duration_text(age, before_end_ns(&p->processes[process], run)),
		       pln_thread_name(&p->threads[run->thread], name, sizeof(name)));
	each_frame(p, run->stack, print_frame, &lines);
}

/* ---------------------------------------------------------------------- JSON */

struct json_frames {
	const struct pln_profile *profile;
	struct pln_json *json;
};

static void put_frame(const struct pln_location *location, void *arg)
{
	struct json_frames *frames = arg;

	pln_json_object(frames->json, NULL);
	pln_json_function(frames->json, frames->profile, location->function);
	pln_json_number(frames->json, "line", location->line);
	pln_json_object_end(frames->json);
}

void pln_json_killed(struct pln_json *json, const struct pln_report *report, uint32_t process)
{
	const struct pln_profile *p = report->profile;
	struct json_frames frames = { .profile = p, .json = json };
	const struct pln_last_run *run;

	if (!report->last_runs || !report->last_runs[process].time_ns) {
		pln_json_null(json, "last_run");
		return;
	}
	run = &report->last_runs[process];
	pln_json_object(json, "last_run");
	pln_json_number(json, "before_end_ns", before_end_ns(&p->processes[process], run));
	pln_json_text(json, "thread", p->threads[run->thread].name);
	pln_json_number(json, "tid", p->threads[run->thread].tid);
	pln_json_array(json, "stack");
	each_frame(p, run->stack, put_frame, &frames);
	pln_json_array_end(json);
	pln_json_object_end(json);
}
