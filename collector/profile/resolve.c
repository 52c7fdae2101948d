/* SPDX-License-Identifier: MIT */
/*
 * resolve.c - after the last chunk: every frame gets its locations, and a function that
 * was defined more than once gets one id.
 *
 * Python frames say their function and line themselves. Native frames have what the
 * file says, else what the symbolizer finds here, else a name made of module and
 * address: a reader of a profile never meets a frame without a location.
 */
#include <stdlib.h>
#include <string.h>

#include "profile/reader_i.h"
#include "profile/symbolize.h"

/* ------------------------------------------------------- what the file left out */

static bool is_missing(uint32_t frame, void *arg)
{
	const struct pln_reader *r = arg;

	return frame >= r->found_count || !r->found[frame].count;
}

static const char *own_text(struct pln_reader *r, const char *text)
{
	const char *own = pln_reader_text(r, text, strlen(text));

	return own ? own : "";
}

static uint32_t add_function(const struct pln_function *function, void *arg)
{
	struct pln_reader *r = arg;
	struct pln_profile *p = &r->profile;
	struct pln_function *f;

	if (!pln_reader_grow(&p->functions, p->function_count, sizeof(*p->functions)))
		return PLN_NONE;
	f = &p->functions[p->function_count];
	*f = *function;
	f->name = own_text(r, function->name);
	f->file = own_text(r, function->file);
	f->module = own_text(r, function->module);
	f->module_path = own_text(r, function->module_path);
	return (uint32_t)p->function_count++;
}

static void add_found(uint32_t frame, const struct pln_location *locations, unsigned count,
		      void *arg)
{
	struct pln_reader *r = arg;
	size_t first = r->found_location_count;

	for (unsigned i = 0; i < count; i++)
		if (!pln_reader_add_location(r, &locations[i]))
			return;
	r->found[frame] = (struct pln_found){ first, count };
}

static bool all_found(struct pln_reader *r)
{
	for (uint32_t i = 0; i < r->profile.frame_count; i++)
		if (r->profile.frames[i].kind == PLN_FRAME_NATIVE && is_missing(i, r))
			return false;
	return true;
}

/* r->found has a slot for every frame from here on. */
static bool grow_found(struct pln_reader *r)
{
	size_t count = r->profile.frame_count;
	struct pln_found *found = calloc(count + 1, sizeof(*found));

	if (!found)
		return false;
	if (r->found_count)
		memcpy(found, r->found, r->found_count * sizeof(*found));
	free(r->found);
	r->found = found;
	r->found_count = count;
	return true;
}

static bool find_missing(struct pln_reader *r, bool no_symbolize)
{
	const struct pln_symbolize_job job = {
		.modules = r->profile.modules,
		.module_count = r->profile.module_count,
		.frames = r->profile.frames,
		.frame_count = r->profile.frame_count,
		.wanted = is_missing,
		.names_only = no_symbolize,
		.add_function = add_function,
		.found = add_found,
		.arg = r,
	};

	r->profile.recording.symbolized = all_found(r);
	if (r->profile.recording.symbolized)
		return grow_found(r);
	return grow_found(r) && !pln_symbolize(&job) && all_found(r);
}

/* ------------------------------------------------------------- duplicate functions */

/* Texts are interned: equal pointers, equal texts. */
struct function_key {
	const char *name;
	const char *file;
	const char *module_path;
	uint64_t kind_and_line;
};

/*
 * Two Python functions of one name and file are two functions when they start on
 * different lines (lambdas). A native one has the line that its debug information
 * knew at that place, which may be none.
 */
static struct function_key key_of(const struct pln_function *f)
{
	uint64_t line = f->kind == PLN_FUNCTION_PYTHON ? f->first_line : 0;

	return (struct function_key){ f->name, f->file, f->module_path,
				      (uint64_t)f->kind << 32 | line };
}

/* Moves each distinct function to the front; new_id[] tells where each one went. */
static bool move_distinct(struct pln_profile *p, struct pln_intern *distinct, uint32_t *new_id)
{
	for (size_t i = 0; i < p->function_count; i++) {
		struct function_key key = key_of(&p->functions[i]);
		bool is_new;

		new_id[i] = pln_intern_add(distinct, &key, sizeof(key), &is_new);
		if (new_id[i] == PLN_NONE)
			return false;
		if (is_new)
			p->functions[new_id[i]] = p->functions[i];
		else if (!p->functions[new_id[i]].first_line)
			p->functions[new_id[i]].first_line = p->functions[i].first_line;
	}
	p->function_count = pln_intern_count(distinct);
	return true;
}

static bool merge_functions(struct pln_reader *r)
{
	struct pln_profile *p = &r->profile;
	struct pln_intern *distinct = pln_intern_new();
	uint32_t *new_id = calloc(p->function_count + 1, sizeof(*new_id));
	bool ok = distinct && new_id && move_distinct(p, distinct, new_id);

	for (size_t i = 0; ok && i < p->frame_count; i++)
		if (p->frames[i].kind == PLN_FRAME_PYTHON)
			p->frames[i].function = new_id[p->frames[i].function];
	for (size_t i = 0; ok && i < r->found_location_count; i++)
		r->found_locations[i].function = new_id[r->found_locations[i].function];
	pln_intern_free(distinct);
	free(new_id);
	return ok;
}

/* ------------------------------------------------------------------- locations */

static size_t location_count(const struct pln_reader *r)
{
	size_t count = 0;

	for (size_t i = 0; i < r->profile.frame_count; i++)
		count += r->profile.frames[i].kind == PLN_FRAME_PYTHON ? 1 : r->found[i].count;
	return count;
}

/*
 * GCC splits functions into the check that they begin with and the rest, and may inline the
 * rest into the check again. Debug information then tells that the function called itself, at
 * the line where it is declared; real recursion is at a line of its body.
 */
static bool is_split(const struct pln_profile *p, const struct pln_location *rest,
		     const struct pln_location *check)
{
	uint32_t declared = p->functions[check->function].first_line;

	return rest->function == check->function && declared && check->line == declared &&
	       rest->line > declared;
}

/* The locations of a native frame at p->locations[at], without such checks; returns their end. */
static size_t copy_locations(struct pln_profile *p, size_t at, const struct pln_location *found,
			     size_t count)
{
	size_t first = at;

	for (size_t i = 0; i < count; i++) {
		if (at == first || !is_split(p, &p->locations[at - 1], &found[i]))
			p->locations[at++] = found[i];
	}
	return at;
}

static void fill_locations(struct pln_reader *r)
{
	struct pln_profile *p = &r->profile;
	size_t at = 0;

	for (size_t i = 0; i < p->frame_count; i++) {
		const struct pln_frame *f = &p->frames[i];

		p->frame_first_location[i] = (uint32_t)at;
		if (f->kind == PLN_FRAME_PYTHON) {
			p->locations[at++] = (struct pln_location){ f->function, f->line };
			continue;
		}
		at = copy_locations(p, at, &r->found_locations[r->found[i].first],
				    r->found[i].count);
	}
	p->frame_first_location[p->frame_count] = (uint32_t)at;
	p->location_count = at;
}

static bool build_locations(struct pln_reader *r)
{
	struct pln_profile *p = &r->profile;
	size_t count = location_count(r);

	if (count > UINT32_MAX)
		return false;
	p->frame_first_location = calloc(p->frame_count + 1, sizeof(*p->frame_first_location));
	p->locations = calloc(count + 1, sizeof(*p->locations));
	if (!p->frame_first_location || !p->locations)
		return false;
	fill_locations(r);
	free(r->found_locations);
	free(r->found);
	r->found_locations = NULL;
	r->found = NULL;
	return true;
}

bool pln_reader_resolve(struct pln_reader *r, bool no_symbolize)
{
	return find_missing(r, no_symbolize) && merge_functions(r) && build_locations(r);
}
