/* SPDX-License-Identifier: MIT */
/*
 * records.c - what the target tells about itself: threads, modules, code objects,
 * its interpreter, notes.
 *
 * Every record here is our own copy, but its content is the target's: each size that
 * a record names is checked against the size of the record itself.
 */
#include "ingest/target.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pillion/atomic.h>

#include "ingest/roots.h"
#include "profile/grow.h"

#define MAX_THREADS 1000000u
/*
 * The library's notes and paths are shorter, and its line tables are cut at 32 KiB. A record may be
 * as large as a lane: what is kept of it would take from what other targets may have.
 */
#define MAX_NOTE 4096u
#define MAX_LINETABLE (1u << 20)

/* ------------------------------------------------------------------ threads */

/* The slot of a thread that has samples but no record yet. */
static const struct pln_slot *find_slot(const struct pln_target *t, uint32_t serial)
{
	for (uint32_t i = 0; i < t->segment.lane_count; i++)
		/* relaxed: a thread whose samples we hold was given its slot long ago */
		if (pln_load_relaxed(&t->segment.slots[i].serial) == serial)
			return &t->segment.slots[i];
	return NULL;
}

static void init_thread(const struct pln_target *t, struct pln_target_thread *thread,
			uint32_t serial)
{
	const struct pln_slot *slot = find_slot(t, serial);

	memset(thread, 0, sizeof(*thread));
	thread->row.process = t->id;
	thread->row.serial = serial;
	if (slot) {
		thread->row.tid = pln_load_relaxed(&slot->tid);
		thread->row.start_ns = pln_load_relaxed(&slot->start_ns);
		thread->clock_base_ns = pln_load_relaxed(&slot->cpu_base_ns);
	}
	thread->row.name = thread->name;
}

/* Once in a file. */
static void note_too_many_threads(struct pln_target *t)
{
	struct pln_note_row note = { t->drain_ns, t->id, 1, NULL };
	char text[96];

	if (t->told_too_many_threads)
		return;
	t->told_too_many_threads = true;
	snprintf(text, sizeof(text), "of its threads beyond the first %u nothing is recorded",
		 MAX_THREADS);
	note.text = text;
	pln_writer_add_note(t->writer, &note);
}

static struct pln_target_thread *add_thread(struct pln_target *t, uint32_t serial)
{
	struct pln_target_thread *thread;

	if (t->thread_count >= MAX_THREADS) {
		note_too_many_threads(t);
		return NULL;
	}
	if (!pln_grow(&t->threads, &t->thread_capacity, t->thread_count, sizeof(*t->threads)) ||
	    pln_intern_add(t->serials, &serial, sizeof(serial), NULL) == PLN_NONE)
		return NULL;
	thread = &t->threads[t->thread_count++];
	init_thread(t, thread, serial);
	thread->id = pln_writer_add_thread(t->writer, &thread->row);
	t->told_too_many_threads = false; /* there is room: another file may have begun */
	return thread;
}

struct pln_target_thread *pln_target_thread(struct pln_target *t, uint32_t serial)
{
	uint32_t index = pln_intern_find(t->serials, &serial, sizeof(serial));
	struct pln_target_thread *thread;

	thread = index == PLN_NONE ? add_thread(t, serial) : &t->threads[index];
	if (!thread) {
		t->row.lost_records++;
		return NULL;
	}
	/* The array may have moved since the row was filled. */
	thread->row.name = thread->name;
	return thread;
}

/* What the target has of the thread's end is about all of its life. */
static void take_off_before(struct pln_target_thread *thread)
{
	struct pln_thread *row = &thread->row;
	uint64_t prepaid_ns = thread->prepaid_offcpu_ns + thread->prepaid_runnable_ns;

	row->unsampled_cpu_ns =
		row->cpu_ns > thread->sampled_cpu_ns ? row->cpu_ns - thread->sampled_cpu_ns : 0;
	row->unsampled_wall_ns -=
		row->unsampled_wall_ns < prepaid_ns ? row->unsampled_wall_ns : prepaid_ns;
}

static void take_thread(struct pln_target *t, const struct pln_wire_thread *rec)
{
	struct pln_target_thread *thread;
	struct pln_thread *row;

	/* A time to come would stretch the recording. */
	if (rec->time_ns > t->drain_ns + PLN_TARGET_AHEAD_NS) {
		t->row.lost_records++;
		return;
	}
	thread = pln_target_thread(t, rec->thread);
	if (!thread)
		return;
	row = &thread->row;
	row->tid = rec->tid;
	/* Of a thread that was there before this file, the time from then on. */
	row->start_ns =
		rec->start_ns > thread->before.until_ns ? rec->start_ns : thread->before.until_ns;
	row->is_main = rec->is_main != 0;
	row->has_python |= rec->has_python != 0;
	memcpy(thread->name, rec->name, sizeof(rec->name));
	thread->clock_base_ns = rec->cpu_base_ns;
	if (!row->exited && rec->time_ns >= row->seen_ns && rec->cpu_ns >= rec->cpu_base_ns &&
	    rec->cpu_ns - rec->cpu_base_ns >= rec->dormant_cpu_ns) {
		row->seen_ns = rec->time_ns;
		row->cpu_ns = rec->cpu_ns - rec->cpu_base_ns - rec->dormant_cpu_ns;
		row->dormant_cpu_ns = rec->dormant_cpu_ns;
		row->dormant_wall_ns = rec->dormant_wall_ns;
		pln_target_thread_since(thread);
	}
	if (rec->rec.type == PILLION_RECORD_THREAD_EXIT) {
		row->exited = true;
		pln_target_copy_heap(row->heap, rec->heap);
		pln_target_subtract_heap(row->heap, thread->before.heap);
		row->unsampled_cpu_ns = rec->unsampled_cpu_ns;
		row->unsampled_wall_ns = rec->unsampled_wall_ns;
		if (thread->before.until_ns)
			take_off_before(thread);
	}
	thread->dirty = true;
}

/* ------------------------------------------------------------------ modules */

static bool is_own_library(const char *path)
{
	const char *base = strrchr(path, '/');

	return !strcmp(base ? base + 1 : path, "libpillion.so");
}

/* The path as we can open it. */
static char *reachable_path(const struct pln_target *t, const char *path)
{
	char *reachable;

	if (!t->root || path[0] != '/')
		return strdup(path);
	if (asprintf(&reachable, "%s%s", pln_root_path(t->root), path) < 0)
		return NULL;
	return reachable;
}

static int add_module(struct pln_target *t, const struct pln_wire_module *rec, const char *path)
{
	struct pln_module m = {
		.lo = rec->lo,
		.hi = rec->hi,
		.bias = rec->bias,
		.from_ns = rec->time_ns,
		.is_own = is_own_library(path),
		.unwind = { rec->lo, rec->hi, rec->bias, rec->eh_frame_hdr,
			    reachable_path(t, path) },
	};
	struct pln_module_info info = {
		.process = t->id,
		.path = path,
		.build_id_size = rec->build_id_size,
		.lo = rec->lo,
		.hi = rec->hi,
		.bias = rec->bias,
	};
	int error = m.unwind.path ? pln_modules_check(&t->modules, &m) : -ENOMEM;

	if (!error) {
		memcpy(info.build_id, rec->build_id, sizeof(info.build_id));
		m.id = pln_tables_module(t->tables, &info);
		error = m.id == PLN_NONE ? -ENOMEM : pln_modules_add(&t->modules, &m);
	}
	if (error)
		free((char *)m.unwind.path);
	else
		pln_target_forget_resolved(t);
	return error;
}

static void take_module(struct pln_target *t, const struct pln_wire_module *rec)
{
	char *path;
	int error;

	if (rec->path_size > rec->rec.size - sizeof(*rec) || rec->path_size >= PATH_MAX ||
	    rec->build_id_size > sizeof(rec->build_id) ||
	    rec->time_ns > t->drain_ns + PLN_TARGET_AHEAD_NS) {
		t->row.lost_records++;
		return;
	}
	path = strndup((const char *)(rec + 1), rec->path_size);
	if (!path)
		return;
	error = add_module(t, rec, path);
	if (error == -EINVAL)
		t->row.lost_records++;
	free(path);
}

static void take_module_gone(struct pln_target *t, const struct pln_wire_module_gone *rec)
{
	/* Samples from before the newest change are looked up anew: one to come would be all. */
	if (rec->time_ns > t->drain_ns + PLN_TARGET_AHEAD_NS) {
		t->row.lost_records++;
		return;
	}
	pln_modules_remove(&t->modules, rec->lo, rec->hi, rec->time_ns);
	pln_target_forget_resolved(t);
}

/* ------------------------------------------------------------- code objects */

struct pln_target_code *pln_target_code(struct pln_target *t, uint64_t key)
{
	bool is_new = false;
	uint32_t index;

	if (!pln_grow(&t->codes, &t->code_capacity, t->code_count, sizeof(*t->codes)))
		return NULL;
	index = pln_intern_add(t->code_keys, &key, sizeof(key), &is_new);
	if (index == PLN_NONE)
		return NULL;
	if (is_new) {
		t->codes[t->code_count++] = (struct pln_target_code){
			.function = t->tables->unknown_function,
		};
	}
	return &t->codes[index];
}

uint32_t pln_target_function(struct pln_target *t, struct pln_target_code *code)
{
	struct pln_function function = {
		.name = code->name,
		.file = code->file,
		.module = "",
		.module_path = "",
		.first_line = code->first_line,
		.kind = PLN_FUNCTION_PYTHON,
	};

	if (code->function == PLN_NONE)
		code->function = pln_tables_function(t->tables, &function);
	return code->function;
}

/* Names and line table. Returns false when memory ran out: it is then as if not described. */
static bool describe(struct pln_target_code *code, const struct pln_wire_code *rec)
{
	const char *text = (const char *)(rec + 1);
	const char *table = text + rec->qualname_size + rec->filename_size;

	code->name = strndup(text, rec->qualname_size);
	code->file = strndup(text + rec->qualname_size, rec->filename_size);
	if (!code->name || !code->file) {
		free(code->name);
		free(code->file);
		code->name = code->file = NULL;
		return false;
	}
	code->linetable = malloc(rec->linetable_size ? rec->linetable_size : 1);
	if (code->linetable) {
		memcpy(code->linetable, table, rec->linetable_size);
		code->linetable_size = rec->linetable_size;
	}
	code->function = PLN_NONE;
	code->first_line = rec->first_line;
	code->linetable_kind = rec->linetable_kind;
	code->described = true;
	return true;
}

static bool code_is_whole(const struct pln_wire_code *rec)
{
	uint64_t names = (uint64_t)rec->qualname_size + rec->filename_size;

	return names + rec->linetable_size <= rec->rec.size - sizeof(*rec) && rec->key &&
	       rec->linetable_size <= MAX_LINETABLE;
}

static void take_code(struct pln_target *t, const struct pln_wire_code *rec)
{
	size_t known = t->code_count;
	struct pln_target_code *code;

	if (!code_is_whole(rec)) {
		t->row.lost_records++;
		return;
	}
	code = pln_target_code(t, rec->key);
	if (!code || code->described || !describe(code, rec))
		return;
	(void)pln_target_function(t, code);
	/* Frames of it may have been resolved while it was unknown. */
	if (known == t->code_count)
		pln_target_forget_resolved(t);
}

/* ------------------------------------------------- interpreter, notes, all */

static void take_interpreter(struct pln_target *t, const struct pln_wire_interpreter *rec)
{
	if (rec->status > PILLION_INTERPRETER_REFUSED) {
		t->row.lost_records++;
		return;
	}
	t->row.python_version = rec->version_hex;
	t->row.free_threaded = rec->free_threaded;
	t->row.interpreter_status = rec->status;
	t->eval_lo = rec->eval_lo;
	t->eval_hi = rec->eval_hi;
	memcpy(t->layout, rec->layout, sizeof(rec->layout));
	memcpy(t->layout_detail, rec->detail, sizeof(rec->detail));
}

static void take_note(struct pln_target *t, const struct pln_wire_note *rec)
{
	struct pln_note_row note = { rec->time_ns, t->id, rec->level, NULL };
	char *text;

	if (rec->text_size > rec->rec.size - sizeof(*rec) || rec->text_size > MAX_NOTE) {
		t->row.lost_records++;
		return;
	}
	text = strndup((const char *)(rec + 1), rec->text_size);
	note.text = text;
	if (text)
		pln_writer_add_note(t->writer, &note);
	free(text);
}

/* Smallest size of each type, 0: not expected here. */
static size_t least_size(uint16_t type)
{
	switch (type) {
	case PILLION_RECORD_CODE:
		return sizeof(struct pln_wire_code);
	case PILLION_RECORD_MODULE:
		return sizeof(struct pln_wire_module);
	case PILLION_RECORD_MODULE_GONE:
		return sizeof(struct pln_wire_module_gone);
	case PILLION_RECORD_THREAD:
	case PILLION_RECORD_THREAD_EXIT:
	case PILLION_RECORD_THREAD_NAME:
		return sizeof(struct pln_wire_thread);
	case PILLION_RECORD_INTERPRETER:
		return sizeof(struct pln_wire_interpreter);
	case PILLION_RECORD_NOTE:
		return sizeof(struct pln_wire_note);
	default:
		return 0;
	}
}

void pln_target_take_record(struct pln_target *t, const struct pln_record *rec)
{
	size_t least = least_size(rec->type);

	if (!least || rec->size < least) {
		t->row.lost_records++;
		return;
	}
	switch (rec->type) {
	case PILLION_RECORD_CODE:
		take_code(t, (const void *)rec);
		break;
	case PILLION_RECORD_MODULE:
		take_module(t, (const void *)rec);
		break;
	case PILLION_RECORD_MODULE_GONE:
		take_module_gone(t, (const void *)rec);
		break;
	case PILLION_RECORD_INTERPRETER:
		take_interpreter(t, (const void *)rec);
		break;
	case PILLION_RECORD_NOTE:
		take_note(t, (const void *)rec);
		break;
	default:
		take_thread(t, (const void *)rec);
		break;
	}
}
