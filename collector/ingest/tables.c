/* SPDX-License-Identifier: MIT */
/*
 * tables.c - see tables.h.
 *
 * Keys are structs without padding, compared as bytes; functions, which are strings,
 * are keyed by a 128-bit hash of them, seeded: no target can give its functions the key of
 * another's.
 */
#include "ingest/tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "profile/grow.h"

struct frame_key {
	uint64_t address;
	uint32_t module;
	uint32_t function;
	uint32_t line;
	uint8_t kind;
	uint8_t guessed;
	uint8_t is_leaf;
	uint8_t zero;
};
static_assert(sizeof(struct frame_key) == 24, "no padding in keys");

struct function_key {
	uint64_t text_low, text_high;
	uint32_t first_line;
	uint32_t kind;
};
static_assert(sizeof(struct function_key) == 24, "no padding in keys");

/* A library that is loaded again, at the same place, is the one that it was. */
struct module_key {
	uint64_t lo, hi, bias;
	uint64_t path_low, path_high;
	uint8_t build_id[32];
	uint32_t build_id_size;
	uint32_t process;
};
static_assert(sizeof(struct module_key) == 80, "no padding in keys");

int pln_tables_open(struct pln_tables *t, struct pln_writer *writer)
{
	static const struct pln_function unknown = {
		.name = "<unknown>",
		.file = "",
		.module = "",
		.module_path = "",
		.kind = PLN_FUNCTION_PYTHON,
		.unknown = 1,
	};

	memset(t, 0, sizeof(*t));
	t->writer = writer;
	t->functions = pln_intern_new();
	t->modules = pln_intern_new();
	t->frames = pln_intern_new();
	t->stacks = pln_intern_new();
	t->problems = pln_intern_new();
	if (!t->functions || !t->modules || !t->frames || !t->stacks || !t->problems) {
		pln_tables_close(t);
		return -ENOMEM;
	}
	t->unknown_function = pln_tables_function(t, &unknown);
	return 0;
}

void pln_tables_close(struct pln_tables *t)
{
	pln_intern_free(t->functions);
	pln_intern_free(t->modules);
	pln_intern_free(t->frames);
	pln_intern_free(t->stacks);
	pln_intern_free(t->problems);
	for (size_t i = 0; i < t->module_count; i++)
		free((char *)t->module_rows[i].path);
	free(t->module_rows);
	free(t->frame_rows);
	memset(t, 0, sizeof(*t));
}

static struct function_key key_of_function(const struct pln_function *f)
{
	struct function_key key = { .first_line = f->first_line, .kind = f->kind };
	const char *const parts[] = { f->name, f->file, f->module_path };
	XXH3_state_t state;
	XXH128_hash_t hash;

	XXH3_128bits_reset_withSeed(&state, pln_intern_seed());
	/* With the terminators: "ab" + "c" must differ from "a" + "bc". */
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		XXH3_128bits_update(&state, parts[i], strlen(parts[i]) + 1);
	hash = XXH3_128bits_digest(&state);
	key.text_low = hash.low64;
	key.text_high = hash.high64;
	return key;
}

uint32_t pln_tables_function(struct pln_tables *t, const struct pln_function *function)
{
	struct function_key key = key_of_function(function);
	bool is_new = false;
	uint32_t id = pln_intern_add(t->functions, &key, sizeof(key), &is_new);

	if (is_new)
		pln_writer_add_function(t->writer, function);
	return id;
}

uint32_t pln_tables_frame(struct pln_tables *t, const struct pln_frame *frame)
{
	struct frame_key key = {
		.address = frame->address,
		.module = frame->module,
		.function = frame->function,
		.line = frame->line,
		.kind = frame->kind,
		.guessed = frame->guessed,
		.is_leaf = frame->is_leaf,
	};
	bool is_new = false;
	uint32_t id;

	/* Room first: an id without a row could not be taken back. */
	if (!pln_grow(&t->frame_rows, &t->frame_capacity, t->frame_count, sizeof(*t->frame_rows)))
		return PLN_NONE;
	id = pln_intern_add(t->frames, &key, sizeof(key), &is_new);
	if (is_new) {
		t->frame_rows[t->frame_count++] = *frame;
		pln_writer_add_frame(t->writer, frame);
	}
	return id;
}

uint32_t pln_tables_stack(struct pln_tables *t, uint32_t parent, uint32_t frame)
{
	struct pln_stack_node node = { .parent = parent, .frame = frame };
	bool is_new = false;
	uint32_t id = pln_intern_add(t->stacks, &node, sizeof(node), &is_new);

	if (is_new)
		pln_writer_add_stack(t->writer, &node);
	return id;
}

static struct module_key key_of_module(const struct pln_module_info *m)
{
	XXH128_hash_t path = XXH3_128bits_withSeed(m->path, strlen(m->path), pln_intern_seed());
	struct module_key key = { .lo = m->lo,
				  .hi = m->hi,
				  .bias = m->bias,
				  .path_low = path.low64,
				  .path_high = path.high64,
				  .build_id_size = m->build_id_size,
				  .process = m->process };

	memcpy(key.build_id, m->build_id, sizeof(key.build_id));
	return key;
}

static uint32_t add_module(struct pln_tables *t, const struct module_key *key,
			   const struct pln_module_info *module)
{
	struct pln_module_info row = *module;

	/* Room first: an id without a row could not be taken back. */
	if (!pln_grow(&t->module_rows, &t->module_capacity, t->module_count,
		      sizeof(*t->module_rows)))
		return PLN_NONE;
	row.path = strdup(module->path);
	if (!row.path)
		return PLN_NONE;
	if (pln_intern_add(t->modules, key, sizeof(*key), NULL) == PLN_NONE) {
		free((char *)row.path);
		return PLN_NONE;
	}
	t->module_rows[t->module_count++] = row;
	return pln_writer_add_module(t->writer, &row);
}

uint32_t pln_tables_module(struct pln_tables *t, const struct pln_module_info *module)
{
	struct module_key key = key_of_module(module);
	uint32_t id = pln_intern_find(t->modules, &key, sizeof(key));

	return id == PLN_NONE ? add_module(t, &key, module) : id;
}
