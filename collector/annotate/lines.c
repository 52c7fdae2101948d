/* SPDX-License-Identifier: MIT */
/*
 * lines.c - what each line of a Python file costs.
 *
 * The same line may belong to several functions (a lambda, a comprehension), so costs of
 * functions cannot be added up to costs of lines: every stack is walked, and a line that
 * is on it counts once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "annotate/annotate.h"
#include "report/names.h"

/* A line beyond this is one that a damaged profile invented. */
#define LINE_MAX_NUMBER 1000000u

struct walk {
	struct pln_file_lines *file;
	const struct pln_profile *profile;
	uint32_t *location_line; /* by location: line of the file, or PLN_NONE: elsewhere */
	uint64_t *seen_at; /* by line: the newest stack that it was on */
	uint64_t stamp;
};

/* What a stack tells of the file. */
struct met {
	uint32_t self; /* line of the innermost frame, or PLN_NONE */
	uint32_t nearest; /* of the innermost Python frame, when it is in the file */
	bool any;
};

static int find_lines(struct walk *w, const char *file)
{
	const struct pln_profile *p = w->profile;
	uint32_t last = 0;

	w->location_line = malloc((p->location_count + 1) * sizeof(*w->location_line));
	if (!w->location_line)
		return -ENOMEM;
	for (size_t i = 0; i < p->location_count; i++) {
		const struct pln_function *f = &p->functions[p->locations[i].function];
		uint32_t line = p->locations[i].line;

		w->location_line[i] = PLN_NONE;
		if (f->kind != PLN_FUNCTION_PYTHON || strcmp(f->file, file))
			continue;
		w->location_line[i] = line <= LINE_MAX_NUMBER ? line : 0;
		last = w->location_line[i] > last ? w->location_line[i] : last;
	}
	w->file->count = last + 1;
	w->file->lines = calloc(w->file->count, sizeof(*w->file->lines));
	w->seen_at = calloc(w->file->count, sizeof(*w->seen_at));
	return w->file->lines && w->seen_at ? 0 : -ENOMEM;
}

/* With `count_total`, adds to each line of the file that is on the stack, once. */
static struct met walk_stack(struct walk *w, uint32_t stack, uint64_t weight, uint64_t samples,
			     bool count_total)
{
	const struct pln_profile *p = w->profile;
	struct met met = { PLN_NONE, PLN_NONE, false };
	bool innermost = true, python_met = false;

	w->stamp++;
	for (uint32_t n = stack; n != PLN_NONE; n = p->stacks[n].parent) {
		uint32_t frame = p->stacks[n].frame;

		for (uint32_t i = p->frame_first_location[frame];
		     i < p->frame_first_location[frame + 1]; i++) {
			uint32_t line = w->location_line[i];
			bool python =
				p->functions[p->locations[i].function].kind == PLN_FUNCTION_PYTHON;

			if (innermost)
				met.self = line;
			if (python && !python_met)
				met.nearest = line;
			innermost = false;
			python_met |= python;
			if (line == PLN_NONE || w->seen_at[line] == w->stamp)
				continue;
			w->seen_at[line] = w->stamp;
			met.any = true;
			if (count_total) {
				w->file->lines[line].total += weight;
				w->file->lines[line].samples += samples;
			}
		}
	}
	return met;
}

static void add_time(struct walk *w, const struct pln_part *part)
{
	struct pln_file_lines *f = w->file;
	uint64_t weight = part->amount.weight;
	struct met met;

	f->whole_time += weight;
	if (part->stack == PLN_NONE || !weight)
		return;
	met = walk_stack(w, part->stack, weight, part->amount.samples, true);
	if (met.self != PLN_NONE) {
		f->lines[met.self].self += weight;
		f->all.self += weight;
	} else if (met.nearest != PLN_NONE) {
		f->lines[met.nearest].native += weight;
		f->all.native += weight;
	}
	if (met.any) {
		f->all.total += weight;
		f->all.samples += part->amount.samples;
	}
}

static void add_wait(struct walk *w, const struct pln_part *part)
{
	struct met met;

	w->file->whole_wait_ns += part->amount.ns;
	if (part->stack == PLN_NONE || !part->amount.ns)
		return;
	met = walk_stack(w, part->stack, 0, 0, false);
	if (met.nearest == PLN_NONE)
		return;
	w->file->lines[met.nearest].wait_ns += part->amount.ns;
	w->file->all.wait_ns += part->amount.ns;
}

static void add_memory(struct walk *w, const struct pln_part *part)
{
	struct met met;

	w->file->whole_memory += part->amount.bytes;
	if (part->stack == PLN_NONE)
		return;
	met = walk_stack(w, part->stack, 0, 0, false);
	if (met.nearest == PLN_NONE)
		return;
	pln_amount_add(&w->file->lines[met.nearest].memory, &part->amount);
	pln_amount_add(&w->file->all.memory, &part->amount);
}

static void each_part(struct walk *w, const struct pln_aggregate *a, enum pln_view view,
		      void (*add)(struct walk *, const struct pln_part *))
{
	size_t count = pln_part_count(a, view);

	for (size_t i = 0; i < count; i++) {
		struct pln_part part = pln_part_at(a, view, i);

		add(w, &part);
	}
}

/* "f" is the function or one inside it: "f.<locals>.g". */
static bool is_within(const struct pln_function *f, const struct pln_function *outer)
{
	size_t size = strlen(outer->name);

	if (f == outer)
		return true;
	return f->kind == PLN_FUNCTION_PYTHON && !strcmp(f->file, outer->file) &&
	       !strncmp(f->name, outer->name, size) && !strncmp(f->name + size, ".<locals>", 9);
}

/* From the function's first line to the last that any sample has. */
static void find_range(struct pln_file_lines *lines, const struct pln_profile *p,
		       const struct pln_choice *choice)
{
	const struct pln_function *f = &p->functions[choice->function];

	lines->first = f->first_line && f->first_line < lines->count ? f->first_line : 1;
	lines->last = lines->first;
	for (size_t i = 0; i < p->location_count; i++) {
		uint32_t line = p->locations[i].line;

		if (line > lines->last && line < lines->count &&
		    is_within(&p->functions[p->locations[i].function], f))
			lines->last = line;
	}
}

int pln_file_lines_build(struct pln_file_lines *lines, const struct pln_report *report,
			 const struct pln_choice *choice, enum pln_view heap_view)
{
	struct walk w = { .file = lines, .profile = report->profile };
	const struct pln_aggregate *a = &report->aggregate;
	int err;

	memset(lines, 0, sizeof(*lines));
	lines->time_view = report->options.view;
	lines->heap_view = heap_view;
	err = find_lines(&w, choice->file);
	if (!err) {
		each_part(&w, a, lines->time_view, add_time);
		each_part(&w, a, PLN_VIEW_OFFCPU, add_wait);
		each_part(&w, a, heap_view, add_memory);
		lines->first = 1;
		lines->last = lines->count - 1;
		if (choice->kind == PLN_CHOICE_PYTHON)
			find_range(lines, report->profile, choice);
	}
	free(w.location_line);
	free(w.seen_at);
	return err;
}

bool pln_file_lines_have_any(const struct pln_file_lines *lines)
{
	/* Of a whole file, also what is at no known line. */
	for (uint32_t n = lines->first > 1 ? lines->first : 0; n <= lines->last; n++)
		if (n < lines->count && pln_line_has_any(&lines->lines[n]))
			return true;
	return false;
}

void pln_file_lines_free(struct pln_file_lines *lines)
{
	free(lines->lines);
	memset(lines, 0, sizeof(*lines));
}
