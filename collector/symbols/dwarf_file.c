/* SPDX-License-Identifier: MIT */
/*
 * dwarf_file.c - from an address to its unit, and from the unit to frames.
 *
 * The index is asked for on the first lookup, a unit on its first hit; both stay. A
 * worker is started when one is needed and none is alive, so it can be taken away at
 * any time: by the pool, or by its own death.
 */
#include "symbols/dwarf_file.h"

#include "symbols/demangle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A file that killed this many workers is left alone. */
#define DEATHS_MAX 3

/* A unit as the index knows it. */
struct unit_slot {
	uint64_t offset;
	struct pln_dwarf_unit *unit; /* NULL: not asked for yet, or `failed` */
	const char **names; /* shown name of each function, NULL until first hit */
	const char **files; /* the same for files */
	bool failed;
};

struct pln_dwarf_file {
	struct pln_dwarf_pool *pool;
	struct pln_dwarf_source source;
	struct pln_dwarf_worker *worker; /* NULL: none alive */
	struct pln_array slices; /* struct pln_slice: address to unit */
	struct unit_slot *units;
	size_t unit_count;
	bool indexed;
	unsigned deaths;
	const char *problem;
};

struct pln_dwarf_file *pln_dwarf_file_new(struct pln_dwarf_pool *pool,
					  const struct pln_dwarf_source *source)
{
	struct pln_dwarf_file *file = calloc(1, sizeof(*file));

	if (!file) {
		close(source->fd);
		if (source->alt_fd >= 0)
			close(source->alt_fd);
		return NULL;
	}
	file->pool = pool;
	file->source = *source;
	file->problem = "";
	return file;
}

static void stop_worker(struct pln_dwarf_file *file)
{
	pln_dwarf_worker_stop(file->worker);
	file->worker = NULL;
}

static void leave_pool(struct pln_dwarf_file *file)
{
	for (int i = 0; i < PLN_DWARF_POOL_SIZE; i++) {
		if (file->pool->files[i] == file)
			file->pool->files[i] = NULL;
	}
	stop_worker(file);
}

void pln_dwarf_file_free(struct pln_dwarf_file *file)
{
	if (!file)
		return;
	leave_pool(file);
	for (size_t i = 0; i < file->unit_count; i++) {
		pln_dwarf_unit_free(file->units[i].unit);
		free(file->units[i].names);
		free(file->units[i].files);
	}
	free(file->units);
	pln_array_free(&file->slices);
	close(file->source.fd);
	if (file->source.alt_fd >= 0)
		close(file->source.alt_fd);
	free(file);
}

/* Moves the file to the front; the last one falls out when it was not in there. */
static void enter_pool(struct pln_dwarf_file *file)
{
	struct pln_dwarf_file **files = file->pool->files;
	int i = 0;

	while (i < PLN_DWARF_POOL_SIZE - 1 && files[i] && files[i] != file)
		i++;
	if (files[i] && files[i] != file)
		stop_worker(files[i]);
	memmove(files + 1, files, (size_t)i * sizeof(*files));
	files[0] = file;
}

static const char *problem_text(int error)
{
	switch (error) {
	case -EPIPE:
		return "reading the debug information crashed";
	case -ETIMEDOUT:
		return "reading the debug information took too long";
	case -EPROTO:
		return "the debug information contradicts itself";
	case -ENODATA:
		return "the debug information is damaged or too large";
	default:
		return "no process to read the debug information";
	}
}

static int ask_once(struct pln_dwarf_file *file, uint64_t offset, struct pln_dwarf_unit **unit)
{
	int rc = 0;

	if (file->deaths >= DEATHS_MAX)
		return -EPIPE;
	enter_pool(file);
	if (!file->worker)
		rc = pln_dwarf_worker_start(&file->source, &file->worker);
	if (!rc)
		rc = pln_dwarf_worker_ask(file->worker, offset, unit);
	if (rc && rc != -ENODATA) {
		file->deaths++;
		stop_worker(file);
	}
	return rc;
}

static int ask(struct pln_dwarf_file *file, uint64_t offset, struct pln_dwarf_unit **unit)
{
	int rc = ask_once(file, offset, unit);

	/* It may have been the kernel that killed it: once more. */
	if (rc == -EPIPE)
		rc = ask_once(file, offset, unit);
	if (rc)
		file->problem = problem_text(rc);
	return rc;
}

static int compare_offsets(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

/* Sets up one slot per unit; returns the sorted offsets (to be freed), or NULL. */
static uint64_t *list_units(struct pln_dwarf_file *file, const struct pln_dwarf_range *ranges,
			    size_t count)
{
	uint64_t *offsets = calloc(count + 1, sizeof(*offsets));
	size_t kept = 0;

	if (!offsets)
		return NULL;
	for (size_t i = 0; i < count; i++)
		offsets[i] = ranges[i].unit;
	qsort(offsets, count, sizeof(*offsets), compare_offsets);
	for (size_t i = 0; i < count; i++) {
		if (!kept || offsets[kept - 1] != offsets[i])
			offsets[kept++] = offsets[i];
	}
	file->units = calloc(kept + 1, sizeof(*file->units));
	if (!file->units) {
		free(offsets);
		return NULL;
	}
	file->unit_count = kept;
	for (size_t i = 0; i < kept; i++)
		file->units[i].offset = offsets[i];
	return offsets;
}

static void build_index(struct pln_dwarf_file *file, const struct pln_dwarf_range *ranges,
			size_t count)
{
	uint64_t *offsets = list_units(file, ranges, count);
	struct pln_span *spans = calloc(count + 1, sizeof(*spans));

	for (size_t i = 0; offsets && spans && i < count; i++) {
		uint64_t *place = bsearch(&ranges[i].unit, offsets, file->unit_count,
					  sizeof(*offsets), compare_offsets);

		spans[i] = (struct pln_span){ ranges[i].low, ranges[i].high,
					      (uint32_t)(place - offsets), 0 };
	}
	if (!offsets || !spans || pln_spans_flatten(spans, count, &file->slices))
		file->problem = "not enough memory for the debug information";
	free(spans);
	free(offsets);
}

static void read_index(struct pln_dwarf_file *file)
{
	struct pln_dwarf_unit *index;

	file->indexed = true;
	if (ask(file, PLN_DWARF_INDEX, &index))
		return;
	build_index(file, index->arrays[PLN_DWARF_RANGES].items,
		    index->arrays[PLN_DWARF_RANGES].count);
	pln_dwarf_unit_free(index);
}

static bool read_unit(struct pln_dwarf_file *file, struct unit_slot *slot)
{
	struct pln_dwarf_unit *unit;

	slot->failed = true;
	if (ask(file, slot->offset, &unit))
		return false;
	slot->unit = unit;
	slot->names = calloc(unit->arrays[PLN_DWARF_FUNCTIONS].count + 1, sizeof(char *));
	slot->files = calloc(unit->arrays[PLN_DWARF_FILES].count + 1, sizeof(char *));
	slot->failed = !slot->names || !slot->files;
	return !slot->failed;
}

static struct unit_slot *find_unit(struct pln_dwarf_file *file, uint64_t address)
{
	struct unit_slot *slot;
	uint32_t index;

	if (!file->indexed)
		read_index(file);
	index = pln_slices_find(file->slices.data, file->slices.size / sizeof(struct pln_slice),
				address);
	if (index == PLN_SPAN_NONE)
		return NULL;
	slot = &file->units[index];
	if (slot->failed || (!slot->unit && !read_unit(file, slot)))
		return NULL;
	return slot;
}

static const char *file_name(struct unit_slot *slot, struct pln_arena *arena, uint32_t file)
{
	if (file == PLN_DWARF_NONE)
		return "";
	if (!slot->files[file])
		slot->files[file] = pln_arena_intern(arena, pln_dwarf_unit_file(slot->unit, file));
	return slot->files[file];
}

/* A mangled linkage name says most; else the name with its scopes, as it is in the source. */
static const char *function_name(struct unit_slot *slot, struct pln_arena *arena, uint32_t index,
				 const struct pln_dwarf_function *function)
{
	const char *linkage = pln_dwarf_unit_string(slot->unit, function->linkage_name);
	const char *name = pln_dwarf_unit_string(slot->unit, function->name);

	if (!slot->names[index])
		slot->names[index] = pln_is_mangled(linkage) || !*name
					     ? pln_shown_name(arena, linkage)
					     : pln_arena_intern(arena, name);
	return slot->names[index];
}

static struct pln_dwarf_frame frame_of(struct unit_slot *slot, struct pln_arena *arena,
				       const struct pln_dwarf_node *node)
{
	const struct pln_dwarf_function *function = pln_dwarf_unit_function(slot->unit, node);

	return (struct pln_dwarf_frame){
		.name = function_name(slot, arena, node->function, function),
		.linkage_name = pln_dwarf_unit_string(slot->unit, function->linkage_name),
		.decl_line = function->decl_line,
	};
}

unsigned pln_dwarf_file_frames(struct pln_dwarf_file *file, struct pln_arena *arena,
			       uint64_t address, struct pln_dwarf_frame *out, unsigned max)
{
	struct unit_slot *slot = find_unit(file, address);
	const struct pln_dwarf_node *node;
	const struct pln_dwarf_row *row;
	const char *name = "";
	uint32_t line = 0;
	unsigned count = 0;

	if (!slot || !max)
		return 0;
	row = pln_dwarf_unit_row(slot->unit, address);
	node = pln_dwarf_unit_node(slot->unit, address);
	if (row) {
		name = file_name(slot, arena, row->file);
		line = row->line;
	}
	for (; node; node = pln_dwarf_unit_caller(slot->unit, node)) {
		count += count < max;
		out[count - 1] = frame_of(slot, arena, node);
		out[count - 1].file = name;
		out[count - 1].line = line;
		name = file_name(slot, arena, node->call_file);
		line = node->call_line;
	}
	if (count || !row)
		return count;
	out[0] = (struct pln_dwarf_frame){ "", "", name, line, 0 };
	return 1;
}

const char *pln_dwarf_file_problem(const struct pln_dwarf_file *file)
{
	return file->problem;
}
