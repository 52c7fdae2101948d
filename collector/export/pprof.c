/* SPDX-License-Identifier: MIT */
/*
 * pprof.c - profile.proto: one sample a cell, with all four views of time; or of memory.
 *
 * The types of memory have the names that readers know from other heap profiles. Values are
 * estimates of all that was allocated already: the period says how sparse the samples were, and
 * nothing is to be scaled by it.
 *
 * Only what kept samples refer to is written, under dense ids that start at 1. Mappings
 * are in file addresses (what addr2line and objdump take), so a library that several
 * processes load is one mapping. Addresses of calls are those of the return address minus
 * one. The message is made piece by piece and compressed as it comes; the string table is
 * last, as the order of fields is free.
 */
#include "export/export.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <pillion/pillion.h>

#include "export/gzip.h"
#include "export/protobuf.h"
#include "export/text.h"
#include "report/labels.h"
#include "report/names.h"
#include "stacks/intern.h"

/* Field numbers of profile.proto. */
enum { PROFILE_SAMPLE_TYPE = 1, PROFILE_SAMPLE = 2, PROFILE_MAPPING = 3, PROFILE_LOCATION = 4 };
enum { PROFILE_FUNCTION = 5, PROFILE_STRING_TABLE = 6, PROFILE_TIME = 9, PROFILE_DURATION = 10 };
enum { PROFILE_PERIOD_TYPE = 11, PROFILE_PERIOD = 12, PROFILE_COMMENT = 13 };
enum { PROFILE_DEFAULT_SAMPLE_TYPE = 14 };
enum { VALUE_TYPE = 1, VALUE_UNIT = 2 };
enum { SAMPLE_LOCATION = 1, SAMPLE_VALUE = 2, SAMPLE_LABEL = 3 };
enum { LABEL_KEY = 1, LABEL_STR = 2, LABEL_NUM = 3 };
enum { MAPPING_ID = 1, MAPPING_START = 2, MAPPING_LIMIT = 3, MAPPING_OFFSET = 4 };
enum { MAPPING_FILE = 5, MAPPING_BUILD_ID = 6, MAPPING_HAS_FUNCTIONS = 7 };
enum { MAPPING_HAS_FILENAMES = 8, MAPPING_HAS_LINES = 9, MAPPING_HAS_INLINED = 10 };
enum { LOCATION_ID = 1, LOCATION_MAPPING = 2, LOCATION_ADDRESS = 3, LOCATION_LINE = 4 };
enum { LINE_FUNCTION = 1, LINE_LINE = 2 };
enum { FUNCTION_ID = 1, FUNCTION_NAME = 2, FUNCTION_SYSTEM_NAME = 3, FUNCTION_FILE = 4 };
enum { FUNCTION_START_LINE = 5 };

enum { WRITE_AT = 256 << 10 };

/* A kind of value that every sample has. */
struct value_type {
	const char *name;
	const char *unit;
};

static const struct value_type time_types[] = {
	{ "samples", "count" },	     { "cpu", "nanoseconds" }, { "wall", "nanoseconds" },
	{ "offcpu", "nanoseconds" }, { "gil", "nanoseconds" },
};

/* What is temporary is in use at no time that a view is of: it has the first two alone. */
static const struct value_type memory_types[] = {
	{ "alloc_objects", "count" },
	{ "alloc_space", "bytes" },
	{ "inuse_objects", "count" },
	{ "inuse_space", "bytes" },
};
#define VALUES_MAX 5u
static_assert(sizeof(time_types) / sizeof(*time_types) == VALUES_MAX, "all of them are there");

struct writer {
	const struct pln_export *export;
	const struct pln_profile *profile;
	struct pln_gzip *gzip;
	struct pln_message top; /* of the message Profile, not yet written */
	struct pln_message part, inner; /* scratch */
	struct pln_intern *strings; /* keys are texts with their terminator */
	struct pln_intern *mappings; /* by path and build id */
	uint32_t *mapping_module; /* by mapping id, from 0: the first module of it */
	uint64_t *module_mapping; /* by module: mapping id from 1 */
	uint64_t *frame_location; /* by frame: location id from 1, 0: not met */
	uint32_t *location_frame; /* by location id, from 0 */
	uint64_t *function_id; /* by function, the one behind the last included; 0: not met */
	uint64_t location_count;
	uint64_t function_count;
	uint64_t no_stack_location; /* 0: not met */
	uint64_t *path; /* location ids of one stack, room for the deepest */
	int err;
};

/* ------------------------------------------------------------------ strings */

/* proto3 strings are UTF-8. */
static uint64_t string_id(struct writer *w, const char *text)
{
	char *copy = pln_text_clean(text);
	uint32_t id = copy ? pln_intern_add(w->strings, copy, strlen(copy) + 1, NULL) : PLN_NONE;

	free(copy);
	if (id == PLN_NONE)
		w->err = -ENOMEM;
	return id == PLN_NONE ? 0 : id;
}

/* -------------------------------------------------------------------- pieces */

static void drain(struct writer *w, size_t least)
{
	if (w->top.failed)
		w->err = -ENOMEM;
	if (w->err || w->top.size < least)
		return;
	w->err = pln_gzip_write(w->gzip, w->top.bytes, w->top.size);
	w->top.size = 0;
}

static void finish_part(struct writer *w, unsigned field)
{
	pln_message_part(&w->top, field, &w->part);
	drain(w, WRITE_AT);
}

static void value_type(struct writer *w, unsigned field, const char *type, const char *unit)
{
	pln_message_uint(&w->part, VALUE_TYPE, string_id(w, type));
	pln_message_uint(&w->part, VALUE_UNIT, string_id(w, unit));
	finish_part(w, field);
}

static unsigned value_count(const struct writer *w)
{
	const struct pln_export_blocks *blocks = w->export->blocks;

	if (!blocks)
		return VALUES_MAX;
	return blocks->view == PLN_HEAP_TEMPORARY ? 2
						  : sizeof(memory_types) / sizeof(*memory_types);
}

static uint64_t function_of(struct writer *w, uint32_t function)
{
	if (!w->function_id[function])
		w->function_id[function] = ++w->function_count;
	return w->function_id[function];
}

static uint64_t location_of(struct writer *w, uint32_t frame)
{
	if (!w->frame_location[frame]) {
		w->location_frame[w->location_count] = frame;
		w->frame_location[frame] = ++w->location_count;
	}
	return w->frame_location[frame];
}

/* ------------------------------------------------------------------- samples */

/* Location ids of a stack, leaf first; returns how many. */
static size_t find_path(struct writer *w, uint32_t stack)
{
	size_t count = 0;

	if (stack == PLN_NONE) {
		if (!w->no_stack_location) {
			w->location_frame[w->location_count] = PLN_NONE;
			w->no_stack_location = ++w->location_count;
		}
		w->path[count++] = w->no_stack_location;
	}
	for (uint32_t n = stack; n != PLN_NONE; n = w->profile->stacks[n].parent)
		w->path[count++] = location_of(w, w->profile->stacks[n].frame);
	return count;
}

static void text_label(struct writer *w, const char *key, const char *value)
{
	pln_message_uint(&w->inner, LABEL_KEY, string_id(w, key));
	pln_message_uint(&w->inner, LABEL_STR, string_id(w, value));
	pln_message_part(&w->part, SAMPLE_LABEL, &w->inner);
}

static void number_label(struct writer *w, const char *key, uint64_t value)
{
	pln_message_uint(&w->inner, LABEL_KEY, string_id(w, key));
	pln_message_uint(&w->inner, LABEL_NUM, value);
	pln_message_part(&w->part, SAMPLE_LABEL, &w->inner);
}

/* What all samples have. Those with more labels add them before finish_part(). */
static void sample(struct writer *w, uint32_t stack, uint32_t thread_id,
		   const uint64_t values[VALUES_MAX])
{
	const struct pln_profile *p = w->profile;
	const struct pln_thread *thread = &p->threads[thread_id];
	size_t count = find_path(w, stack);
	struct pln_label_range labels = pln_labels_of(p, thread->process);
	char name[32];

	pln_message_packed(&w->part, SAMPLE_LOCATION, w->path, count);
	pln_message_packed(&w->part, SAMPLE_VALUE, values, value_count(w));
	number_label(w, "thread id", thread->tid);
	text_label(w, "thread_name", pln_thread_name(thread, name, sizeof(name)));
	if (thread->process < p->process_count)
		number_label(w, "pid", p->processes[thread->process].pid);
	for (const struct pln_label *l = labels.from; l < labels.to; l++)
		text_label(w, l->key, l->value);
}

static void time_sample(struct writer *w, const struct pln_cell *cell)
{
	static const char *const gil[] = { [PILLION_GIL_NONE] = "none",
					   [PILLION_GIL_HOLDS] = "held",
					   [PILLION_GIL_WAITS] = "waiting" };
	const uint64_t values[VALUES_MAX] = { cell->samples, cell->cpu_ns, pln_cell_wall_ns(cell),
					      cell->offcpu_ns,
					      pln_cell_weight(cell, PLN_VIEW_GIL) };
	const char *syscall_name = pln_syscall_name(cell->syscall_nr);

	sample(w, cell->stack, cell->thread, values);
	if (cell->gil > PILLION_GIL_UNKNOWN && cell->gil <= PILLION_GIL_WAITS)
		text_label(w, "gil", gil[cell->gil]);
	if (syscall_name)
		text_label(w, "syscall", syscall_name);
	finish_part(w, PROFILE_SAMPLE);
}

static void memory_sample(struct writer *w, const struct pln_block_cell *cell)
{
	const uint64_t values[VALUES_MAX] = { cell->allocated.blocks, cell->allocated.bytes,
					      cell->in_use.blocks, cell->in_use.bytes };

	sample(w, cell->stack, cell->thread, values);
	text_label(w, "allocator", pln_block_kind_name(cell->kind));
	finish_part(w, PROFILE_SAMPLE);
}

static void samples(struct writer *w)
{
	const struct pln_aggregate *a = w->export->aggregate;
	const struct pln_export_blocks *blocks = w->export->blocks;

	for (size_t i = 0; blocks && i < blocks->cell_count && !w->err; i++)
		memory_sample(w, &blocks->cells[i]);
	for (size_t i = 0; !blocks && i < a->cell_count && !w->err; i++)
		time_sample(w, &a->cells[i]);
}

/* ----------------------------------------------- mappings, locations, functions */

static uint64_t find_mapping(struct writer *w, uint32_t module)
{
	const struct pln_module_info *m = &w->profile->modules[module];
	size_t path_size = strlen(m->path) + 1;
	char key[4096 + sizeof(m->build_id)];
	bool is_new;
	uint32_t id;

	if (w->module_mapping[module])
		return w->module_mapping[module];
	if (path_size > 4096)
		path_size = 4096;
	memcpy(key, m->path, path_size);
	memcpy(key + path_size, m->build_id, m->build_id_size);
	id = pln_intern_add(w->mappings, key, path_size + m->build_id_size, &is_new);
	if (id == PLN_NONE) {
		w->err = -ENOMEM;
		return 0;
	}
	if (is_new)
		w->mapping_module[id] = module;
	w->module_mapping[module] = (uint64_t)id + 1;
	return w->module_mapping[module];
}

/* The program itself comes first: viewers name the profile after mapping 1. */
static void find_main_mapping(struct writer *w)
{
	const struct pln_profile *p = w->profile;

	for (uint32_t m = 0; m < p->module_count && p->process_count; m++) {
		if (!strcmp(p->modules[m].path, p->processes[0].executable)) {
			find_mapping(w, m);
			return;
		}
	}
}

static void line(struct writer *w, const struct pln_location *location)
{
	pln_message_uint(&w->inner, LINE_FUNCTION, function_of(w, location->function));
	pln_message_uint(&w->inner, LINE_LINE, location->line);
	pln_message_part(&w->part, LOCATION_LINE, &w->inner);
}

static void frame_location(struct writer *w, uint32_t frame_id)
{
	const struct pln_profile *p = w->profile;
	const struct pln_frame *frame = &p->frames[frame_id];

	if (frame->kind == PLN_FRAME_NATIVE) {
		if (frame->module < p->module_count)
			pln_message_uint(&w->part, LOCATION_MAPPING,
					 find_mapping(w, frame->module));
		pln_message_uint(&w->part, LOCATION_ADDRESS,
				 frame->address - (frame->is_leaf ? 0 : 1));
	}
	for (uint32_t i = p->frame_first_location[frame_id];
	     i < p->frame_first_location[frame_id + 1]; i++)
		line(w, &p->locations[i]);
}

static void locations(struct writer *w)
{
	const struct pln_location nowhere = { .function = (uint32_t)w->profile->function_count };

	for (uint64_t i = 0; i < w->location_count && !w->err; i++) {
		pln_message_uint(&w->part, LOCATION_ID, i + 1);
		if (w->location_frame[i] == PLN_NONE)
			line(w, &nowhere);
		else
			frame_location(w, w->location_frame[i]);
		finish_part(w, PROFILE_LOCATION);
	}
}

static void build_id(struct writer *w, const struct pln_module_info *module)
{
	char text[2 * sizeof(module->build_id) + 1] = "";

	for (unsigned i = 0; i < module->build_id_size && i < sizeof(module->build_id); i++)
		snprintf(text + 2 * i, 3, "%02x", module->build_id[i]);
	pln_message_uint(&w->part, MAPPING_BUILD_ID, string_id(w, text));
}

static void mappings(struct writer *w)
{
	size_t count = pln_intern_count(w->mappings);

	for (uint32_t i = 0; i < count && !w->err; i++) {
		const struct pln_module_info *m = &w->profile->modules[w->mapping_module[i]];

		pln_message_uint(&w->part, MAPPING_ID, (uint64_t)i + 1);
		pln_message_uint(&w->part, MAPPING_START, m->lo - m->bias);
		pln_message_uint(&w->part, MAPPING_LIMIT, m->hi - m->bias);
		pln_message_uint(&w->part, MAPPING_OFFSET, m->lo - m->bias);
		pln_message_uint(&w->part, MAPPING_FILE, string_id(w, m->path));
		build_id(w, m);
		pln_message_uint(&w->part, MAPPING_HAS_FUNCTIONS, 1);
		pln_message_uint(&w->part, MAPPING_HAS_FILENAMES, 1);
		pln_message_uint(&w->part, MAPPING_HAS_LINES, 1);
		pln_message_uint(&w->part, MAPPING_HAS_INLINED, 1);
		finish_part(w, PROFILE_MAPPING);
	}
}

static void functions(struct writer *w)
{
	const struct pln_profile *p = w->profile;

	for (uint32_t f = 0; f <= p->function_count && !w->err; f++) {
		uint64_t name;

		if (!w->function_id[f])
			continue;
		name = string_id(w, pln_function_name(p, f));
		pln_message_uint(&w->part, FUNCTION_ID, w->function_id[f]);
		pln_message_uint(&w->part, FUNCTION_NAME, name);
		pln_message_uint(&w->part, FUNCTION_SYSTEM_NAME, name);
		if (f < p->function_count) {
			pln_message_uint(&w->part, FUNCTION_FILE,
					 string_id(w, p->functions[f].file));
			pln_message_uint(&w->part, FUNCTION_START_LINE, p->functions[f].first_line);
		}
		finish_part(w, PROFILE_FUNCTION);
	}
}

/* ---------------------------------------------------------------- the whole */

/* Viewers show this type first. */
static const char *first_type(const struct pln_export *e)
{
	bool in_use;

	if (!e->blocks)
		return pln_view_names[e->view];
	in_use = e->blocks->view == PLN_HEAP_LIVE || e->blocks->view == PLN_HEAP_PEAK;
	return memory_types[2 * in_use + !e->blocks->count].name;
}

/* How sure it is, which no field is there for. */
static void comment_on_estimate(struct writer *w, const struct pln_export_blocks *blocks)
{
	char text[160];

	snprintf(text, sizeof(text),
		 "%s: %" PRIu64 " sampled allocations stand for %.0f bytes, +- %.0f (95 %%)",
		 pln_export_view_name(w->export), blocks->samples, blocks->bytes,
		 1.96 * sqrt(blocks->variance));
	pln_message_uint(&w->top, PROFILE_COMMENT, string_id(w, text));
}

static void head(struct writer *w)
{
	const struct pln_recording *rec = &w->profile->recording;
	const struct pln_export_blocks *blocks = w->export->blocks;
	const struct value_type *types = blocks ? memory_types : time_types;

	string_id(w, "");
	for (unsigned i = 0; i < value_count(w); i++)
		value_type(w, PROFILE_SAMPLE_TYPE, types[i].name, types[i].unit);
	if (blocks)
		value_type(w, PROFILE_PERIOD_TYPE, "space", "bytes");
	else
		value_type(w, PROFILE_PERIOD_TYPE, "cpu", "nanoseconds");
	pln_message_uint(&w->top, PROFILE_PERIOD,
			 blocks ? blocks->interval : pln_profile_period_ns(w->profile));
	pln_message_uint(&w->top, PROFILE_TIME, rec->start_real_ns);
	pln_message_uint(&w->top, PROFILE_DURATION,
			 rec->end_ns > rec->start_ns ? rec->end_ns - rec->start_ns : 0);
	pln_message_uint(&w->top, PROFILE_DEFAULT_SAMPLE_TYPE, string_id(w, first_type(w->export)));
	pln_message_uint(&w->top, PROFILE_COMMENT, string_id(w, rec->command));
	pln_message_uint(&w->top, PROFILE_COMMENT, string_id(w, "pillion " PILLION_VERSION));
	if (blocks)
		comment_on_estimate(w, blocks);
}

static void string_table(struct writer *w)
{
	size_t count = pln_intern_count(w->strings);

	for (uint32_t i = 0; i < count && !w->err; i++) {
		const char *text = pln_intern_key(w->strings, i);

		pln_message_bytes(&w->top, PROFILE_STRING_TABLE, text, strlen(text));
		drain(w, WRITE_AT);
	}
	drain(w, 0);
}

/* Frames of the deepest stack; 0: out of memory. A parent has a lower id than its children. */
static size_t deepest_stack(const struct pln_profile *p)
{
	uint32_t *depth = malloc((p->stack_count + 1) * sizeof(*depth));
	size_t deepest = 1;

	if (!depth)
		return 0;
	for (uint32_t n = 0; n < p->stack_count; n++) {
		uint32_t parent = p->stacks[n].parent;

		depth[n] = parent == PLN_NONE ? 1 : depth[parent] + 1;
		deepest = depth[n] > deepest ? depth[n] : deepest;
	}
	free(depth);
	return deepest;
}

static int start(struct writer *w, FILE *out)
{
	const struct pln_profile *p = w->profile;
	size_t deepest = deepest_stack(p);

	if (!deepest)
		return -ENOMEM;
	w->gzip = pln_gzip_open(out);
	w->strings = pln_intern_new();
	w->mappings = pln_intern_new();
	w->mapping_module = malloc((p->module_count + 1) * sizeof(*w->mapping_module));
	w->module_mapping = calloc(p->module_count + 1, sizeof(*w->module_mapping));
	w->frame_location = calloc(p->frame_count + 1, sizeof(*w->frame_location));
	w->location_frame = malloc((p->frame_count + 1) * sizeof(*w->location_frame));
	w->function_id = calloc(p->function_count + 1, sizeof(*w->function_id));
	w->path = calloc(deepest, sizeof(*w->path));
	if (!w->gzip || !w->strings || !w->mappings || !w->mapping_module || !w->module_mapping ||
	    !w->frame_location || !w->location_frame || !w->function_id || !w->path)
		return -ENOMEM;
	return 0;
}

static int finish(struct writer *w)
{
	int err = w->gzip ? pln_gzip_close(w->gzip, !w->err) : 0;

	pln_intern_free(w->strings);
	pln_intern_free(w->mappings);
	free(w->mapping_module);
	free(w->module_mapping);
	free(w->frame_location);
	free(w->location_frame);
	free(w->function_id);
	free(w->path);
	pln_message_free(&w->top);
	pln_message_free(&w->part);
	pln_message_free(&w->inner);
	return w->err ? w->err : err;
}

int pln_export_pprof(const struct pln_export *export, FILE *out)
{
	struct writer w = { .export = export, .profile = export->profile };

	w.err = start(&w, out);
	if (!w.err) {
		head(&w);
		samples(&w);
		find_main_mapping(&w);
		locations(&w);
		mappings(&w);
		functions(&w);
		string_table(&w);
	}
	return finish(&w);
}
