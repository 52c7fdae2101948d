/* SPDX-License-Identifier: MIT */
/*
 * firefox_markers.c - what a thread was in, and from when to when; see firefox_i.h.
 *
 * A sample tells of the time since the one before. Neighbours that say the same are one marker;
 * a gap that no sample stands for ends it.
 */
#include "export/firefox_i.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "export/text.h"
#include "profile/grow.h"
#include "report/names.h"

enum { HAS_GIL, WAITS_FOR_GIL, WAITS, COLLECTS };

static const struct {
	const char *schema;
	const char *name;
	enum pln_firefox_category category;
	bool has_text; /* the system call */
} types[] = {
	[HAS_GIL] = { "GIL", "Has the GIL", PLN_FIREFOX_GIL, false },
	[WAITS_FOR_GIL] = { "GIL wait", "Waits for the GIL", PLN_FIREFOX_GIL, false },
	[WAITS] = { "Wait", "Blocked", PLN_FIREFOX_WAIT, true },
	[COLLECTS] = { "GC", "Garbage collection", PLN_FIREFOX_GC, false },
};
#define TYPES (sizeof(types) / sizeof(*types))

bool pln_firefox_is_gc(const struct pln_function *f)
{
	return f->kind == PLN_FUNCTION_NATIVE &&
	       (!strncmp(f->name, "gc_collect", 10) || !strncmp(f->name, "PyGC_Collect", 12) ||
		!strncmp(f->name, "_PyGC_Collect", 13));
}

/* ------------------------------------------------------------------- schema */

static void write_field(struct pln_firefox *w)
{
	pln_json_object(&w->json, NULL);
	pln_json_text(&w->json, "key", "call");
	pln_json_text(&w->json, "label", "System call");
	pln_json_text(&w->json, "format", "unique-string");
	pln_json_object_end(&w->json);
}

void pln_firefox_write_schemas(struct pln_firefox *w)
{
	pln_json_array(&w->json, "markerSchema");
	for (unsigned t = 0; t < TYPES; t++) {
		pln_json_object(&w->json, NULL);
		pln_json_text(&w->json, "name", types[t].schema);
		pln_json_array(&w->json, "display");
		pln_json_text(&w->json, NULL, "marker-chart");
		pln_json_text(&w->json, NULL, "marker-table");
		pln_json_array_end(&w->json);
		if (types[t].has_text) {
			pln_json_text(&w->json, "chartLabel", "{marker.data.call}");
			pln_json_text(&w->json, "tableLabel", "{marker.data.call}");
		}
		pln_json_array(&w->json, "fields");
		if (types[t].has_text)
			write_field(w);
		pln_json_array_end(&w->json);
		pln_json_object_end(&w->json);
	}
	pln_json_array_end(&w->json);
}

/* ------------------------------------------------------------------ markers */

static void add_marker(struct pln_firefox *w, const struct pln_firefox_marker *marker)
{
	if (pln_grow(&w->markers, &w->marker_capacity, w->marker_count, sizeof(*w->markers)))
		w->markers[w->marker_count++] = *marker;
	else
		w->failed = true;
}

static bool frame_collects(const struct pln_profile *p, uint32_t frame)
{
	for (uint32_t i = p->frame_first_location[frame]; i < p->frame_first_location[frame + 1];
	     i++)
		if (pln_firefox_is_gc(&p->functions[p->locations[i].function]))
			return true;
	return false;
}

int pln_firefox_find_collections(struct pln_firefox *w)
{
	const struct pln_profile *p = w->profile;

	w->node_collects = calloc(p->stack_count + 1, sizeof(bool));
	if (!w->node_collects)
		return -ENOMEM;
	for (uint32_t n = 0; n < p->stack_count; n++) {
		uint32_t parent = p->stacks[n].parent;

		w->node_collects[n] = (parent != PLN_NONE && w->node_collects[parent]) ||
				      frame_collects(p, p->stacks[n].frame);
	}
	return 0;
}

/* What one track of markers shows for a sample; false: nothing. */
typedef bool find_marker(struct pln_firefox *w, const struct pln_firefox_sample *s,
			 struct pln_firefox_marker *marker);

static bool find_gil(struct pln_firefox *w, const struct pln_firefox_sample *s,
		     struct pln_firefox_marker *marker)
{
	(void)w;
	marker->type = s->gil == PILLION_GIL_WAITS ? WAITS_FOR_GIL : HAS_GIL;
	return s->gil == PILLION_GIL_WAITS || s->gil == PILLION_GIL_HOLDS;
}

static bool find_wait(struct pln_firefox *w, const struct pln_firefox_sample *s,
		      struct pln_firefox_marker *marker)
{
	char number[32];
	const char *name = s->syscall_nr < 0 ? "unknown" : pln_syscall_name(s->syscall_nr);

	if (!s->offcpu_ns)
		return false;
	if (!name) {
		snprintf(number, sizeof(number), "system call %d", s->syscall_nr);
		name = number;
	}
	marker->type = WAITS;
	marker->text = pln_firefox_string(w, name);
	marker->start_ns = s->time_ns > s->offcpu_ns ? s->time_ns - s->offcpu_ns : 0;
	return true;
}

static bool find_collection(struct pln_firefox *w, const struct pln_firefox_sample *s,
			    struct pln_firefox_marker *marker)
{
	marker->type = COLLECTS;
	return s->stack != PLN_NONE && w->node_collects[s->stack];
}

/*
 * By a sample that says the same. A long wait may be told in two that are both taken at its end:
 * what they stand for together is how long it was.
 */
static void extend(struct pln_firefox_marker *open, const struct pln_firefox_marker *next,
		   uint64_t from_ns)
{
	uint64_t twice_ns = next->start_ns < open->end_ns ? open->end_ns - next->start_ns : 0;

	open->start_ns -= twice_ns < open->start_ns - from_ns ? twice_ns : open->start_ns - from_ns;
	open->end_ns = next->end_ns;
}

static void find_track(struct pln_firefox *w, find_marker *find)
{
	struct pln_firefox_marker open = { .end_ns = 0 };
	uint64_t from_ns = 0; /* the end of the marker before */
	bool is_open = false;

	for (size_t i = 0; i < w->row_count; i++) {
		const struct pln_firefox_sample *s = &w->row[i];
		uint64_t took_ns = s->cpu_ns + s->offcpu_ns;
		struct pln_firefox_marker next = {
			.start_ns = s->time_ns > took_ns ? s->time_ns - took_ns : 0,
			.end_ns = s->time_ns,
		};
		bool any = find(w, s, &next);

		if (any && is_open && next.type == open.type && next.text == open.text &&
		    next.start_ns <= open.end_ns + w->profile->recording.tick_ns) {
			extend(&open, &next, from_ns);
			continue;
		}
		if (is_open) {
			add_marker(w, &open);
			from_ns = open.end_ns;
		}
		/* Clocks are read one after the other: what overlaps is of the earlier one. */
		if (any && next.start_ns < from_ns)
			next.start_ns = from_ns < next.end_ns ? from_ns : next.end_ns;
		is_open = any;
		open = next;
	}
	if (is_open)
		add_marker(w, &open);
}

/* ------------------------------------------------------------------ columns */

static void put_category(struct pln_firefox *w, size_t index)
{
	pln_text_put_number(w->out, types[w->markers[index].type].category);
}

static void put_data(struct pln_firefox *w, size_t index)
{
	const struct pln_firefox_marker *m = &w->markers[index];

	fprintf(w->out, "{\"type\":\"%s\"", types[m->type].schema);
	if (types[m->type].has_text)
		fprintf(w->out, ",\"call\":%u", m->text);
	putc('}', w->out);
}

static void put_name(struct pln_firefox *w, size_t index)
{
	pln_text_put_number(w->out, pln_firefox_string(w, types[w->markers[index].type].name));
}

static void put_start(struct pln_firefox *w, size_t index)
{
	pln_firefox_put_time(w, w->markers[index].start_ns);
}

static void put_end(struct pln_firefox *w, size_t index)
{
	pln_firefox_put_time(w, w->markers[index].end_ns);
}

static void put_interval(struct pln_firefox *w, size_t index)
{
	(void)index;
	putc('1', w->out);
}

void pln_firefox_write_markers(struct pln_firefox *w)
{
	w->marker_count = 0;
	find_track(w, find_gil);
	find_track(w, find_wait);
	find_track(w, find_collection);
	pln_json_object(&w->json, "markers");
	pln_json_number(&w->json, "length", w->marker_count);
	pln_firefox_column(w, "category", w->marker_count, put_category);
	pln_firefox_column(w, "data", w->marker_count, put_data);
	pln_firefox_column(w, "name", w->marker_count, put_name);
	pln_firefox_column(w, "startTime", w->marker_count, put_start);
	pln_firefox_column(w, "endTime", w->marker_count, put_end);
	pln_firefox_column(w, "phase", w->marker_count, put_interval);
	pln_json_object_end(&w->json);
}
