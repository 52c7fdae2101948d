/* SPDX-License-Identifier: MIT */
/*
 * firefox_tables.c - stacks, frames, functions, libraries and strings; see firefox_i.h.
 *
 * A native frame with calls inlined is as many entries, at one address, from the outermost to
 * the innermost. Addresses are those of the file, less one for calls that return there.
 */
#include "export/firefox_i.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "export/text.h"
#include "report/names.h"

uint32_t pln_firefox_string(struct pln_firefox *w, const char *text)
{
	uint32_t id = pln_intern_add(w->strings, text, strlen(text) + 1, NULL);

	w->failed |= id == PLN_NONE;
	return id;
}

/* -------------------------------------------------------------------- build */

static int name_modules(struct pln_firefox *w)
{
	const struct pln_profile *p = w->profile;

	for (uint32_t m = 0; m < p->module_count; m++) {
		const char *path = p->modules[m].path;
		bool is_new;
		uint32_t id = pln_intern_add(w->module_paths, path, strlen(path) + 1, &is_new);

		if (id == PLN_NONE)
			return -ENOMEM;
		if (is_new) {
			w->path_module[id] = m;
			w->path_lib[id] = PLN_NONE;
		}
	}
	return 0;
}

/* The library that native code is in; PLN_NONE: none that is known. */
static uint32_t lib_of(struct pln_firefox *w, uint32_t function)
{
	const struct pln_profile *p = w->profile;
	const char *path = function < p->function_count ? p->functions[function].module_path : "";
	uint32_t id = pln_intern_find(w->module_paths, path, strlen(path) + 1);

	if (!*path || id == PLN_NONE)
		return PLN_NONE;
	if (w->path_lib[id] == PLN_NONE) {
		w->lib_path[w->lib_count] = id;
		w->path_lib[id] = (uint32_t)w->lib_count++;
	}
	return w->path_lib[id];
}

static void add_function(struct pln_firefox *w, uint32_t function)
{
	const struct pln_profile *p = w->profile;
	const char *file = function < p->function_count ? p->functions[function].file : "";

	if (w->function_index[function] != PLN_NONE)
		return;
	w->function_index[function] = (uint32_t)w->function_count;
	w->functions[w->function_count++] = function;
	pln_firefox_string(w, pln_function_name(p, function));
	if (*file) {
		pln_firefox_string(w, file);
		w->failed |= pln_intern_add(w->sources, file, strlen(file) + 1, NULL) == PLN_NONE;
	}
	lib_of(w, function);
}

static void add_frame_entry(struct pln_firefox *w, struct pln_location at, uint32_t origin,
			    uint32_t depth)
{
	add_function(w, at.function);
	w->frames[w->frame_count] = at;
	w->frame_origin[w->frame_count] = origin;
	w->frame_depth[w->frame_count++] = depth;
}

static void add_frame(struct pln_firefox *w, uint32_t frame)
{
	const struct pln_profile *p = w->profile;
	uint32_t first = p->frame_first_location[frame], depth = 0;

	if (w->frame_index[frame] != PLN_NONE)
		return;
	w->frame_index[frame] = (uint32_t)w->frame_count;
	for (uint32_t i = p->frame_first_location[frame + 1]; i-- > first;)
		add_frame_entry(w, p->locations[i], frame, depth++);
}

static uint32_t add_stack_entry(struct pln_firefox *w, uint32_t prefix, uint32_t frame)
{
	w->stack_frame[w->stack_count] = frame;
	w->stack_prefix[w->stack_count] = prefix;
	return (uint32_t)w->stack_count++;
}

static void add_node(struct pln_firefox *w, uint32_t node)
{
	const struct pln_stack_node *n = &w->profile->stacks[node];
	const uint32_t *first = &w->profile->frame_first_location[n->frame];
	uint32_t stack = n->parent == PLN_NONE ? PLN_NONE : w->node_stack[n->parent];

	add_frame(w, n->frame);
	for (uint32_t i = 0; i < first[1] - first[0]; i++)
		stack = add_stack_entry(w, stack, w->frame_index[n->frame] + i);
	w->node_stack[node] = stack;
}

/* Marks what is outside of what is used, and counts the entries that all of it needs. */
static size_t mark_parents(struct pln_firefox *w)
{
	const struct pln_profile *p = w->profile;
	size_t entries = 1; /* "(no stack)" */

	for (uint32_t n = (uint32_t)p->stack_count; n-- > 0;) {
		const struct pln_stack_node *node = &p->stacks[n];
		const uint32_t *first = &p->frame_first_location[node->frame];

		if (!w->node_used[n])
			continue;
		entries += first[1] - first[0];
		if (node->parent != PLN_NONE)
			w->node_used[node->parent] = true;
	}
	return entries;
}

static int allocate(struct pln_firefox *w, size_t stacks)
{
	const struct pln_profile *p = w->profile;

	w->sources = pln_intern_new();
	w->module_paths = pln_intern_new();
	w->path_module = malloc((p->module_count + 1) * sizeof(uint32_t));
	w->path_lib = malloc((p->module_count + 1) * sizeof(uint32_t));
	w->lib_path = malloc((p->module_count + 1) * sizeof(uint32_t));
	w->node_stack = malloc((p->stack_count + 1) * sizeof(uint32_t));
	w->frame_index = malloc((p->frame_count + 1) * sizeof(uint32_t));
	w->function_index = malloc((p->function_count + 1) * sizeof(uint32_t));
	w->functions = malloc((p->function_count + 1) * sizeof(uint32_t));
	w->frames = malloc((p->location_count + 1) * sizeof(*w->frames));
	w->frame_origin = malloc((p->location_count + 1) * sizeof(uint32_t));
	w->frame_depth = malloc((p->location_count + 1) * sizeof(uint32_t));
	w->stack_frame = malloc(stacks * sizeof(uint32_t));
	w->stack_prefix = malloc(stacks * sizeof(uint32_t));
	if (!w->sources || !w->module_paths || !w->path_module || !w->path_lib || !w->lib_path ||
	    !w->node_stack || !w->frame_index || !w->function_index || !w->functions ||
	    !w->frames || !w->frame_origin || !w->frame_depth || !w->stack_frame ||
	    !w->stack_prefix)
		return -ENOMEM;
	memset(w->frame_index, 0xff, (p->frame_count + 1) * sizeof(uint32_t));
	memset(w->function_index, 0xff, (p->function_count + 1) * sizeof(uint32_t));
	return 0;
}

int pln_firefox_build_tables(struct pln_firefox *w)
{
	const struct pln_profile *p = w->profile;
	const struct pln_location nowhere = { .function = (uint32_t)p->function_count };
	int err = allocate(w, mark_parents(w));

	if (!err)
		err = name_modules(w);
	if (err)
		return err;
	add_frame_entry(w, nowhere, PLN_NONE, 0);
	w->no_stack = add_stack_entry(w, PLN_NONE, 0);
	for (uint32_t n = 0; n < p->stack_count; n++)
		if (w->node_used[n])
			add_node(w, n);
	return w->failed ? -ENOMEM : 0;
}

void pln_firefox_free_tables(struct pln_firefox *w)
{
	pln_intern_free(w->sources);
	pln_intern_free(w->module_paths);
	free(w->path_module);
	free(w->path_lib);
	free(w->lib_path);
	free(w->node_stack);
	free(w->frame_index);
	free(w->function_index);
	free(w->functions);
	free(w->frames);
	free(w->frame_origin);
	free(w->frame_depth);
	free(w->stack_frame);
	free(w->stack_prefix);
}

/* ---------------------------------------------------------------- libraries */

static const struct pln_module_info *module_of(const struct pln_firefox *w, size_t lib)
{
	return &w->profile->modules[w->path_module[w->lib_path[lib]]];
}

/*
 * The build id as Breakpad writes it, which symbol servers know: a GUID, whose first three
 * numbers are little endian, and an age of 0.
 */
static const char *breakpad_id(const struct pln_module_info *m, char buffer[36])
{
	static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
	char *at = buffer;

	for (unsigned i = 0; i < 16; i++)
		at += sprintf(at, "%02X", order[i] < m->build_id_size ? m->build_id[order[i]] : 0);
	strcpy(at, "0");
	return buffer;
}

static const char *hex(const struct pln_module_info *m, char buffer[72])
{
	for (unsigned i = 0; i < m->build_id_size; i++)
		sprintf(buffer + 2 * i, "%02x", m->build_id[i]);
	return m->build_id_size ? buffer : NULL;
}

void pln_firefox_write_libs(struct pln_firefox *w)
{
	char breakpad[36], code[72];

	pln_json_array(&w->json, "libs");
	for (size_t l = 0; l < w->lib_count; l++) {
		const struct pln_module_info *m = module_of(w, l);

		pln_json_object(&w->json, NULL);
		pln_json_text(&w->json, "arch", "x86_64");
		pln_json_text(&w->json, "name", pln_base_name(m->path));
		pln_json_text(&w->json, "path", m->path);
		pln_json_text(&w->json, "debugName", pln_base_name(m->path));
		pln_json_text(&w->json, "debugPath", m->path);
		pln_json_text(&w->json, "breakpadId", breakpad_id(m, breakpad));
		pln_json_text(&w->json, "codeId", hex(m, code));
		pln_json_object_end(&w->json);
	}
	pln_json_array_end(&w->json);
}

/* ------------------------------------------------------------------ columns */

static void put_minus_one(struct pln_firefox *w, size_t index)
{
	(void)index;
	fputs("-1", w->out);
}

static void put_one(struct pln_firefox *w, size_t index)
{
	(void)index;
	putc('1', w->out);
}

static void put_string_id(struct pln_firefox *w, const char *text)
{
	pln_text_put_number(w->out, pln_firefox_string(w, text));
}

static const struct pln_function *function_at(const struct pln_firefox *w, size_t index)
{
	uint32_t function = w->functions[index];

	return function < w->profile->function_count ? &w->profile->functions[function] : NULL;
}

static void put_function_name(struct pln_firefox *w, size_t index)
{
	put_string_id(w, pln_function_name(w->profile, w->functions[index]));
}

static void put_resource(struct pln_firefox *w, size_t index)
{
	uint32_t lib = lib_of(w, w->functions[index]);

	if (lib == PLN_NONE)
		put_minus_one(w, index);
	else
		pln_text_put_number(w->out, lib);
}

static void put_source(struct pln_firefox *w, size_t index)
{
	const struct pln_function *f = function_at(w, index);

	if (f && *f->file)
		pln_text_put_number(w->out,
				    pln_intern_find(w->sources, f->file, strlen(f->file) + 1));
	else
		pln_firefox_put_null(w, index);
}

static void put_first_line(struct pln_firefox *w, size_t index)
{
	const struct pln_function *f = function_at(w, index);

	if (f && f->first_line)
		pln_text_put_number(w->out, f->first_line);
	else
		pln_firefox_put_null(w, index);
}

static void put_address(struct pln_firefox *w, size_t index)
{
	uint32_t origin = w->frame_origin[index];
	const struct pln_frame *f = origin == PLN_NONE ? NULL : &w->profile->frames[origin];

	if (!f || f->kind != PLN_FRAME_NATIVE || f->module == PLN_NONE)
		put_minus_one(w, index);
	else
		pln_text_put_number(w->out, f->address - (f->is_leaf || !f->address ? 0 : 1));
}

static bool is_interpreter(const struct pln_function *f)
{
	const char *name = strncmp(f->module, "lib", 3) ? f->module : f->module + 3;

	return !strncmp(name, "python", 6) && (isdigit((unsigned char)name[6]) || !name[6]);
}

static enum pln_firefox_category category_of(const struct pln_function *f)
{
	if (!f)
		return PLN_FIREFOX_OTHER;
	if (f->kind == PLN_FUNCTION_PYTHON)
		return PLN_FIREFOX_PYTHON;
	if (pln_firefox_is_gc(f))
		return PLN_FIREFOX_GC;
	return is_interpreter(f) ? PLN_FIREFOX_INTERPRETER : PLN_FIREFOX_NATIVE;
}

static void put_category(struct pln_firefox *w, size_t index)
{
	const struct pln_profile *p = w->profile;
	uint32_t function = w->frames[index].function;

	pln_text_put_number(
		w->out, category_of(function < p->function_count ? &p->functions[function] : NULL));
}

static void put_function(struct pln_firefox *w, size_t index)
{
	pln_text_put_number(w->out, w->function_index[w->frames[index].function]);
}

static void put_inline_depth(struct pln_firefox *w, size_t index)
{
	pln_text_put_number(w->out, w->frame_depth[index]);
}

static void put_line(struct pln_firefox *w, size_t index)
{
	if (w->frames[index].line)
		pln_text_put_number(w->out, w->frames[index].line);
	else
		pln_firefox_put_null(w, index);
}

static void put_stack_frame(struct pln_firefox *w, size_t index)
{
	pln_text_put_number(w->out, w->stack_frame[index]);
}

static void put_prefix(struct pln_firefox *w, size_t index)
{
	if (w->stack_prefix[index] == PLN_NONE)
		pln_firefox_put_null(w, index);
	else
		pln_text_put_number(w->out, w->stack_prefix[index]);
}

static void put_lib(struct pln_firefox *w, size_t index)
{
	pln_text_put_number(w->out, index);
}

static void put_lib_name(struct pln_firefox *w, size_t index)
{
	put_string_id(w, pln_base_name(module_of(w, index)->path));
}

static void put_source_name(struct pln_firefox *w, size_t index)
{
	put_string_id(w, pln_intern_key(w->sources, (uint32_t)index));
}

static void put_string(struct pln_firefox *w, size_t index)
{
	pln_json_quote(w->out, pln_intern_key(w->strings, (uint32_t)index));
}

/* ------------------------------------------------------------------- tables */

struct column {
	const char *key;
	pln_firefox_put *put;
};

static void write_table(struct pln_firefox *w, const char *key, size_t length,
			const struct column *columns)
{
	pln_json_object(&w->json, key);
	pln_json_number(&w->json, "length", length);
	for (; columns->key; columns++)
		pln_firefox_column(w, columns->key, length, columns->put);
	pln_json_object_end(&w->json);
}

static const struct column stack_columns[] = {
	{ "frame", put_stack_frame },
	{ "prefix", put_prefix },
	{ NULL, NULL },
};

static const struct column frame_columns[] = {
	{ "address", put_address },
	{ "inlineDepth", put_inline_depth },
	{ "category", put_category },
	{ "subcategory", pln_firefox_put_zero },
	{ "func", put_function },
	{ "nativeSymbol", pln_firefox_put_null },
	{ "innerWindowID", pln_firefox_put_zero },
	{ "line", put_line },
	{ "column", pln_firefox_put_null },
	{ NULL, NULL },
};

static const struct column function_columns[] = {
	{ "name", put_function_name },
	{ "isJS", pln_firefox_put_false },
	{ "relevantForJS", pln_firefox_put_false },
	{ "resource", put_resource },
	{ "source", put_source },
	{ "lineNumber", put_first_line },
	{ "columnNumber", pln_firefox_put_null },
	{ NULL, NULL },
};

static const struct column resource_columns[] = {
	{ "lib", put_lib },  { "name", put_lib_name }, { "host", pln_firefox_put_null },
	{ "type", put_one }, /* a library */
	{ NULL, NULL },
};

static const struct column symbol_columns[] = {
	{ "libIndex", NULL },	  { "address", NULL }, { "name", NULL },
	{ "functionSize", NULL }, { NULL, NULL },
};

static const struct column source_columns[] = {
	{ "id", pln_firefox_put_null },
	{ "filename", put_source_name },
	{ "startLine", put_one },
	{ "startColumn", put_one },
	{ "sourceMapURL", pln_firefox_put_null },
	{ NULL, NULL },
};

/* Strings come last: those of the other tables are added while these are written. */
void pln_firefox_write_tables(struct pln_firefox *w)
{
	pln_json_object(&w->json, "shared");
	write_table(w, "stackTable", w->stack_count, stack_columns);
	write_table(w, "frameTable", w->frame_count, frame_columns);
	write_table(w, "funcTable", w->function_count, function_columns);
	write_table(w, "resourceTable", w->lib_count, resource_columns);
	write_table(w, "nativeSymbols", 0, symbol_columns);
	write_table(w, "sources", pln_intern_count(w->sources), source_columns);
	pln_firefox_column(w, "stringArray", pln_intern_count(w->strings), put_string);
	pln_json_object_end(&w->json);
}
