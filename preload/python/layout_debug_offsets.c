/* SPDX-License-Identifier: MIT */
/*
 * layout_debug_offsets.c - CPython 3.13 and later say where their fields are.
 *
 * _PyRuntime begins with a table of offsets for debuggers and profilers, made by the
 * compiler that built the interpreter: right for this very build, also where a patch
 * release moved fields (3.14.5 did). Each minor has its own table; what it leaves out
 * is added below, from the internal headers of 3.13.18, 3.14.10 and 3.15.2, relative
 * to fields that the table has wherever that is possible.
 *
 * The table is not trusted: every offset must be aligned and lie inside of its
 * structure, and every structure must fit our copies.
 */
#include "layout.h"

#include <stdio.h>

#include <pillion/wire.h>

#include "checked_read.h"

#define COOKIE "xdebugpy"

struct header {
	char cookie[8];
	uint64_t version; /* PY_VERSION_HEX */
	uint64_t free_threaded;
};

struct runtime_offsets {
	uint64_t size, finalizing, interpreters_head;
};

struct interp_offsets_3_13 {
	uint64_t size, id, next, threads_head, gc, imports_modules, sysdict, builtins, ceval_gil,
		gil_runtime_state, gil_runtime_state_enabled, gil_runtime_state_locked,
		gil_runtime_state_holder;
};

struct interp_offsets_3_14 {
	uint64_t size, id, next, threads_head, threads_main, gc, imports_modules, sysdict, builtins,
		ceval_gil, gil_runtime_state, gil_runtime_state_enabled, gil_runtime_state_locked,
		gil_runtime_state_holder, code_object_generation, tlbc_generation;
};

struct thread_offsets_3_13 {
	uint64_t size, prev, next, interp, current_frame, thread_id, native_thread_id,
		datastack_chunk, status;
};

struct thread_offsets_3_15 {
	uint64_t size, prev, next, interp, current_frame, base_frame, last_profiled_frame,
		last_profiled_frame_seq, thread_id, native_thread_id, datastack_chunk, status,
		holds_gil, gil_requested, current_exception, exc_state;
};

struct frame_offsets_3_13 {
	uint64_t size, previous, executable, instr_ptr, localsplus, owner;
};

struct frame_offsets_3_14 {
	uint64_t size, previous, executable, instr_ptr, localsplus, owner, stackpointer, tlbc_index;
};

struct code_offsets_3_13 {
	uint64_t size, filename, name, qualname, linetable, firstlineno, argcount, localsplusnames,
		localspluskinds, co_code_adaptive;
};

struct code_offsets_3_14 {
	uint64_t size, filename, name, qualname, linetable, firstlineno, argcount, localsplusnames,
		localspluskinds, co_code_adaptive, co_tlbc;
};

struct object_offsets {
	uint64_t size, ob_type;
};

struct bytes_offsets {
	uint64_t size, ob_size, ob_sval;
};

struct str_offsets_3_13 {
	uint64_t size, state, length, asciiobject_size;
};

struct str_offsets_3_15 {
	uint64_t size, state, length, asciiobject_size, compactunicodeobject_size;
};

/* type, tuple, list, dict, float, long: 4 + 3 + 3 + 3 + 2 + 3 words that we do not need. */
struct table_3_13 {
	struct header header;
	struct runtime_offsets runtime;
	struct interp_offsets_3_13 interp;
	struct thread_offsets_3_13 thread;
	struct frame_offsets_3_13 frame;
	struct code_offsets_3_13 code;
	struct object_offsets object;
	uint64_t others[18];
	struct bytes_offsets bytes;
	struct str_offsets_3_13 str;
	uint64_t gc[2];
};
static_assert(sizeof(struct table_3_13) == 584, "layout of 3.13");

/* As before, and set: 4 words. */
struct table_3_14 {
	struct header header;
	struct runtime_offsets runtime;
	struct interp_offsets_3_14 interp;
	struct thread_offsets_3_13 thread;
	struct frame_offsets_3_14 frame;
	struct code_offsets_3_14 code;
	struct object_offsets object;
	uint64_t others[22];
	struct bytes_offsets bytes;
	struct str_offsets_3_13 str;
	uint64_t rest[14];
};
static_assert(sizeof(struct table_3_14) == 760, "layout of 3.14");

/* As before, the type with 2 more words, and the heap type: 2. */
struct table_3_15 {
	struct header header;
	struct runtime_offsets runtime;
	struct interp_offsets_3_14 interp;
	struct thread_offsets_3_15 thread;
	uint64_t exception[1];
	struct frame_offsets_3_14 frame;
	struct code_offsets_3_14 code;
	struct object_offsets object;
	uint64_t others[26];
	struct bytes_offsets bytes;
	struct str_offsets_3_15 str;
	uint64_t rest[17];
};
static_assert(sizeof(struct table_3_15) == 888, "layout of 3.15");

union table {
	struct header header;
	struct table_3_13 v3_13;
	struct table_3_14 v3_14;
	struct table_3_15 v3_15;
};

uint32_t pln_layout_debug_version(uintptr_t runtime)
{
	struct header header;

	if (!pln_checked_read_sigsafe(runtime, &header, sizeof(header)) ||
	    memcmp(header.cookie, COOKIE, sizeof(header.cookie)) != 0)
		return 0;
	return (uint32_t)header.version;
}

/* Where one offset of the layout comes from: the table's word at `from`, plus `add`. */
struct rule {
	uint16_t to;
	uint16_t from;
	int16_t add;
};

#define RULE(T, to, from, add)                                                                     \
	{                                                                                          \
		offsetof(struct pln_layout, to), offsetof(struct T, from), (add)                   \
	}

/*
 * What all minors share. Neighbours that no table names: `initialized` is an int, with
 * padding, before _finalizing; main follows head, then come next_id and main_thread;
 * datastack_top follows datastack_chunk; ob_size follows the object's header; utf8_length
 * and utf8 stand between a compact string's header and its characters.
 */
#define COMMON_RULES(T)                                                                            \
	RULE(T, runtime.finalizing, runtime.finalizing, 0),                                        \
		RULE(T, runtime.initialized, runtime.finalizing, -8),                              \
		RULE(T, runtime.interp_head, runtime.interpreters_head, 0),                        \
		RULE(T, runtime.interp_main, runtime.interpreters_head, 8),                        \
		RULE(T, runtime.main_thread, runtime.interpreters_head, 24),                       \
		RULE(T, interp.next, interp.next, 0),                                              \
		RULE(T, interp.threads, interp.threads_head, 0),                                   \
		RULE(T, interp.gil, interp.ceval_gil, 0), RULE(T, thread.next, thread.next, 0),    \
		RULE(T, thread.interp, thread.interp, 0),                                          \
		RULE(T, thread.frame, thread.current_frame, 0),                                    \
		RULE(T, thread.thread_id, thread.thread_id, 0),                                    \
		RULE(T, thread.native_id, thread.native_thread_id, 0),                             \
		RULE(T, thread.chunk, thread.datastack_chunk, 0),                                  \
		RULE(T, thread.chunk_top, thread.datastack_chunk, 8),                              \
		RULE(T, thread.size, thread.datastack_chunk, 16),                                  \
		RULE(T, thread.status, thread.status, 0),                                          \
		RULE(T, frame.size, frame.localsplus, 0),                                          \
		RULE(T, frame.previous, frame.previous, 0),                                        \
		RULE(T, frame.code, frame.executable, 0),                                          \
		RULE(T, frame.instr, frame.instr_ptr, 0), RULE(T, frame.owner, frame.owner, 0),    \
		RULE(T, code.size, code.co_code_adaptive, 0),                                      \
		RULE(T, code.filename, code.filename, 0), RULE(T, code.name, code.qualname, 0),    \
		RULE(T, code.linetable, code.linetable, 0),                                        \
		RULE(T, code.first_line, code.firstlineno, 0), RULE(T, code.body, object.size, 0), \
		RULE(T, code.bytecode, code.co_code_adaptive, 0),                                  \
		RULE(T, object.type, object.ob_type, 0),                                           \
		RULE(T, object.str_length, str.length, 0),                                         \
		RULE(T, object.str_state, str.state, 0),                                           \
		RULE(T, object.str_ascii, str.asciiobject_size, 0),                                \
		RULE(T, object.str_compact, str.asciiobject_size, 16),                             \
		RULE(T, object.bytes_size, bytes.ob_size, 0),                                      \
		RULE(T, object.bytes_data, bytes.ob_sval, 0)

static const struct rule rules_3_13[] = { COMMON_RULES(table_3_13) };

static const struct rule rules_3_14[] = {
	COMMON_RULES(table_3_14),
	RULE(table_3_14, thread.holds_gil, thread.status, 4),
};

static const struct rule rules_3_15[] = {
	COMMON_RULES(table_3_15),
	RULE(table_3_15, thread.holds_gil, thread.holds_gil, 0),
	RULE(table_3_15, thread.base_frame, thread.base_frame, 0),
};

/* Free-threaded builds from 3.14 on: each thread may run its own copy of the bytecode. */
static const struct rule rules_tlbc_3_14[] = {
	RULE(table_3_14, frame.tlbc_index, frame.tlbc_index, 0),
	RULE(table_3_14, code.tlbc, code.co_tlbc, 0),
};

static const struct rule rules_tlbc_3_15[] = {
	RULE(table_3_15, frame.tlbc_index, frame.tlbc_index, 0),
	RULE(table_3_15, code.tlbc, code.co_tlbc, 0),
};

/* A minor version: its rules, and the numbers that no table has. */
struct minor {
	uint16_t version;
	const struct rule *rules;
	unsigned rule_count;
	const struct rule *tlbc_rules;
	unsigned tlbc_rule_count;
	uint16_t gil; /* struct interp_offsets of the GIL embedded in an interpreter */
	uint32_t tss_key;
	uint32_t first_traceable; /* _co_firsttraceable */
	uint32_t first_traceable_ft; /* the same in free-threaded builds */
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct minor minors[] = {
	{ 0x030d, rules_3_13, COUNT(rules_3_13), NULL, 0,
	  offsetof(struct table_3_13, interp.gil_runtime_state), 2160, 184, 200 },
	{ 0x030e, rules_3_14, COUNT(rules_3_14), rules_tlbc_3_14, COUNT(rules_tlbc_3_14),
	  offsetof(struct table_3_14, interp.gil_runtime_state), 2336, 192, 208 },
	{ 0x030f, rules_3_15, COUNT(rules_3_15), rules_tlbc_3_15, COUNT(rules_tlbc_3_15),
	  offsetof(struct table_3_15, interp.gil_runtime_state), PLN_ABSENT, 192, 208 },
};

static uint32_t word_of(const union table *table, unsigned at)
{
	uint64_t value;

	memcpy(&value, (const unsigned char *)table + at, sizeof(value));
	return value < PLN_ABSENT ? (uint32_t)value : PLN_ABSENT;
}

static void apply(struct pln_layout *layout, const union table *table, const struct rule *rules,
		  unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		uint32_t value = word_of(table, rules[i].from) + (uint32_t)rules[i].add;

		memcpy((char *)layout + rules[i].to, &value, sizeof(value));
	}
}

/* The table has gil_runtime_state, _locked, _holder as offsets within an interpreter, but _enabled
 * within the GIL. */
static void fill_gil(struct pln_layout *layout, const union table *table, unsigned at)
{
	uint32_t gil = word_of(table, at);

	layout->gil.locked = word_of(table, at + 16) - gil;
	layout->gil.last_holder = word_of(table, at + 24) - gil;
	/* from last_holder on: locked, switch_number, two conditions, each with a mutex */
	layout->gil.size = layout->gil.last_holder + 200;
	if (layout->free_threaded)
		layout->gil.enabled = word_of(table, at + 8);
}

static void fill(struct pln_layout *layout, const union table *table, const struct minor *minor)
{
	memset(layout, 0xff, sizeof(*layout)); /* every offset: PLN_ABSENT */
	layout->version = minor->version;
	layout->free_threaded = table->header.free_threaded != 0;
	layout->linetable_kind = PILLION_LINETABLE_LOCATIONS;
	snprintf(layout->name, sizeof(layout->name), "debug-offsets 3.%u%s", minor->version & 0xffu,
		 layout->free_threaded ? "t" : "");
	apply(layout, table, minor->rules, minor->rule_count);
	fill_gil(layout, table, minor->gil);
	layout->runtime.tss_key = minor->tss_key;
	layout->code.first_traceable = minor->first_traceable;
	layout->object.str_kind_shift = 2;
	if (!layout->free_threaded)
		return;
	layout->code.first_traceable = minor->first_traceable_ft;
	apply(layout, table, minor->tlbc_rules, minor->tlbc_rule_count);
	if (minor->tlbc_rule_count) /* `interned` became a byte of its own, also in 3.14 */
		layout->object.str_kind_shift = 8;
}

/* A field that is read without asking whether it is there lies within `limit` bytes. */
static bool fits(uint32_t offset, uint32_t width, uint32_t limit)
{
	return offset % width == 0 && limit >= width && offset <= limit - width;
}

static bool absent_or_fits(uint32_t offset, uint32_t width, uint32_t limit)
{
	return !pln_has(offset) || fits(offset, width, limit);
}

static bool thread_is_sane(const struct pln_layout *l)
{
	const uint32_t words[] = { l->thread.next,	l->thread.interp,    l->thread.frame,
				   l->thread.thread_id, l->thread.native_id, l->thread.chunk,
				   l->thread.chunk_top };

	for (unsigned i = 0; i < COUNT(words); i++) {
		if (!fits(words[i], 8, l->thread.size))
			return false;
	}
	return l->thread.size <= PLN_THREAD_BYTES && fits(l->thread.status, 4, l->thread.size) &&
	       absent_or_fits(l->thread.base_frame, 8, l->thread.size) &&
	       absent_or_fits(l->thread.holds_gil, 4, l->thread.size);
}

static bool frame_is_sane(const struct pln_layout *l)
{
	return l->frame.size >= 64 && l->frame.size <= PLN_FRAME_BYTES &&
	       fits(l->frame.previous, 8, l->frame.size) && fits(l->frame.code, 8, l->frame.size) &&
	       fits(l->frame.instr, 8, l->frame.size) && fits(l->frame.owner, 1, l->frame.size) &&
	       absent_or_fits(l->frame.tlbc_index, 4, l->frame.size);
}

static bool code_is_sane(const struct pln_layout *l)
{
	return l->code.size >= 128 && l->code.size <= PLN_CODE_BYTES &&
	       fits(l->code.filename, 8, l->code.size) && fits(l->code.name, 8, l->code.size) &&
	       fits(l->code.linetable, 8, l->code.size) && fits(l->code.body, 8, l->code.size) &&
	       fits(l->code.first_line, 4, l->code.size) &&
	       fits(l->code.first_traceable, 4, l->code.size) &&
	       absent_or_fits(l->code.tlbc, 8, l->code.size);
}

/* Heads are copied up to where the characters begin. */
static bool object_heads_are_sane(const struct pln_layout *l)
{
	return l->object.str_ascii <= PLN_OBJECT_BYTES &&
	       l->object.bytes_data <= PLN_OBJECT_BYTES &&
	       fits(l->object.str_length, 8, l->object.str_ascii) &&
	       fits(l->object.str_state, 4, l->object.str_ascii) &&
	       fits(l->object.bytes_size, 8, l->object.bytes_data) &&
	       fits(l->object.str_compact, 8, 2 * PLN_OBJECT_BYTES);
}

static bool others_are_sane(const struct pln_layout *l)
{
	const uint32_t far = 1u << 20;

	return fits(l->runtime.initialized, 4, far) && fits(l->runtime.finalizing, 8, far) &&
	       fits(l->runtime.interp_head, 8, far) && fits(l->interp.next, 8, far) &&
	       fits(l->interp.threads, 8, far) && fits(l->interp.gil, 8, far) &&
	       fits(l->gil.last_holder, 8, PLN_GIL_BYTES) &&
	       fits(l->gil.locked, 4, PLN_GIL_BYTES) &&
	       absent_or_fits(l->gil.enabled, 4, PLN_GIL_BYTES) &&
	       fits(l->object.type, 8, PLN_OBJECT_BYTES) && object_heads_are_sane(l);
}

const char *pln_layout_from_debug_offsets(uintptr_t runtime, struct pln_layout *layout)
{
	const struct minor *minor = NULL;
	union table table;

	if (!pln_checked_read_sigsafe(runtime, &table, sizeof(table)))
		return "its table of offsets cannot be read";
	for (unsigned i = 0; i < COUNT(minors); i++) {
		if (minors[i].version == (uint16_t)(table.header.version >> 16))
			minor = &minors[i];
	}
	if (!minor)
		return "this minor version is not known to this Pillion";
	fill(layout, &table, minor);
	if (!thread_is_sane(layout) || !frame_is_sane(layout) || !code_is_sane(layout) ||
	    !others_are_sane(layout))
		return "its table of offsets makes no sense";
	return NULL;
}
