/* SPDX-License-Identifier: MIT */
/*
 * writer.c - see writer.h; the container is in chunk.c, the columns of samples in
 * samples.c. Every payload has its grammar above its encoder; names stand for varints
 * where nothing else is said, `text` for the varint id of a string. The same grammars are
 * in man/pillion-format.5.in, for those who write a reader: a test holds the two together.
 *
 * Definitions are encoded when they are added, into the payload of the next chunk of
 * their type. Processes, threads and counters change: of each the newest entry is
 * kept, and written when it differs from what the file has. pln_writer_flush() writes
 * the chunks in an order in which every definition stands before its first use.
 *
 * A full disk: what could not be written stays buffered. Samples beyond ROWS_MAX are
 * given up one by one. Definitions beyond DEFINITIONS_MAX_BYTES freeze the writer: ids
 * go on being handed out, nothing new is defined any more, and samples that need what
 * was not defined are given up. So the file never refers to what it does not hold. When
 * the disk is still full at the end, all that is buffered is given up and counted, and
 * how the recording ended goes into room that was kept for it.
 */
#include "profile/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profile/append.h"
#include "profile/chunk.h"
#include "profile/grow.h"
#include "profile/newest.h"
#include "profile/samples.h"
#include "stacks/intern.h"

#define DEFINITIONS_MAX_BYTES (48u << 20)
#define ROWS_MAX (256u << 10)
#define AUTO_FLUSH_BYTES (4u << 20) /* pending; for callers that seldom flush */
#define TEXT_MAX (1u << 20) /* a longer one is cut: one entry must not fill what is kept */
#define ROOM_TO_END 4096u /* for how processes and threads ended, and END */
#define ROOM_FOR_END 256u

enum section_id {
	SECTION_STRINGS,
	SECTION_MODULES,
	SECTION_FUNCTIONS,
	SECTION_FRAMES,
	SECTION_STACKS,
	SECTION_SYMBOLS,
	SECTION_NOTES,
	SECTION_BLOCKS,
	SECTION_FREES,
	SECTION_HEAP,
	SECTION_LABELS,
	SECTION_COUNT,
};

static const enum pln_chunk_type section_type[SECTION_COUNT] = {
	[SECTION_STRINGS] = PILLION_CHUNK_STRINGS,     [SECTION_MODULES] = PILLION_CHUNK_MODULES,
	[SECTION_FUNCTIONS] = PILLION_CHUNK_FUNCTIONS, [SECTION_FRAMES] = PILLION_CHUNK_FRAMES,
	[SECTION_STACKS] = PILLION_CHUNK_STACKS,       [SECTION_SYMBOLS] = PILLION_CHUNK_SYMBOLS,
	[SECTION_NOTES] = PILLION_CHUNK_NOTES,	       [SECTION_BLOCKS] = PILLION_CHUNK_BLOCKS,
	[SECTION_FREES] = PILLION_CHUNK_FREES,	       [SECTION_HEAP] = PILLION_CHUNK_HEAP,
	[SECTION_LABELS] = PILLION_CHUNK_LABELS,
};

/*
 * Ids [0, first) are in the file, [first, first + count) in `bytes`, and
 * [first + count, next) were handed out after the writer froze.
 */
struct section {
	struct pln_buffer bytes; /* entries of the next chunk */
	uint64_t last_time_ns; /* of the chunk that is being filled */
	size_t entry_start; /* of the entry being added */
	uint32_t first;
	uint32_t count;
	uint32_t next;
};

struct pln_writer {
	struct pln_append file;
	uint64_t room; /* to be left behind every chunk */
	bool frozen;
	size_t auto_flush_at; /* pending bytes */
	struct pln_packer packer;
	struct pln_buffer payload;
	struct pln_buffer entry;
	uint32_t entry_strings; /* see struct pln_newest */
	struct pln_intern *strings;
	struct section section[SECTION_COUNT];
	struct pln_newest_table processes;
	struct pln_newest_table counters; /* by process */
	struct pln_newest_table threads;
	struct pln_sample_row *rows;
	size_t row_count;
	size_t row_capacity;
	struct pln_sample_encoder encoder;
	uint64_t lost_samples; /* rows */
	uint64_t lost_blocks; /* and frees */
};

/* Writes w->payload. */
static int write_chunk(struct pln_writer *w, enum pln_chunk_type type)
{
	int err = w->payload.failed ? -ENOMEM : 0;

	if (!err)
		err = pln_packer_pack(&w->packer, type, w->payload.data, w->payload.size);
	if (!err)
		err = pln_append_write(&w->file, w->packer.out.data, w->packer.out.size, w->room);
	return err;
}

/* ------------------------------------------------------------------- sections */

/* Ids from here on are not, and will not be, defined. */
static uint32_t undefined_from(const struct pln_writer *w, enum section_id id)
{
	return w->section[id].first + w->section[id].count;
}

static size_t definition_bytes(const struct pln_writer *w)
{
	size_t bytes = 0;

	for (int i = 0; i < SECTION_COUNT; i++)
		bytes += w->section[i].bytes.size;
	return bytes;
}

static size_t pending_bytes(const struct pln_writer *w)
{
	return definition_bytes(w) + w->row_count * sizeof(*w->rows);
}

/* After a failure the next attempt waits for as much again to come together. */
static void auto_flush(struct pln_writer *w)
{
	if (pending_bytes(w) < w->auto_flush_at)
		return;
	pln_writer_flush(w);
	w->auto_flush_at = pending_bytes(w) + AUTO_FLUSH_BYTES;
}

static struct pln_buffer *entry_begin(struct pln_writer *w, enum section_id id)
{
	struct section *s = &w->section[id];

	s->entry_start = s->bytes.size;
	return &s->bytes;
}

/* Keeps what was put since entry_begin(), or takes it back when there is no room. */
static uint32_t entry_end(struct pln_writer *w, enum section_id id)
{
	struct section *s = &w->section[id];

	if (s->bytes.failed || definition_bytes(w) > DEFINITIONS_MAX_BYTES)
		w->frozen = true;
	if (w->frozen) {
		s->bytes.size = s->entry_start;
		s->bytes.failed = false;
	} else {
		s->count++;
	}
	return s->next++;
}

/* Nothing is flushed while an entry is half put: the strings it names may come after it. */
static uint32_t definition_end(struct pln_writer *w, enum section_id id)
{
	uint32_t added = entry_end(w, id);

	auto_flush(w);
	return added;
}

/* A section's chunk = first_id count entry{count} */
static int flush_section(struct pln_writer *w, enum section_id id)
{
	struct section *s = &w->section[id];
	int err;

	if (!s->count)
		return 0;
	pln_buffer_clear(&w->payload);
	pln_put_varint(&w->payload, s->first);
	pln_put_varint(&w->payload, s->count);
	pln_put_bytes(&w->payload, s->bytes.data, s->bytes.size);
	err = write_chunk(w, section_type[id]);
	if (err)
		return err;
	s->first += s->count;
	s->count = 0;
	s->last_time_ns = 0;
	pln_buffer_clear(&s->bytes);
	return 0;
}

/* STRINGS entry = string. String 0 is "", which also stands for what cannot be defined. */
static uint32_t text_id(struct pln_writer *w, const char *text)
{
	size_t size;
	bool is_new = false;
	uint32_t id;

	if (!text)
		text = "";
	size = strnlen(text, TEXT_MAX);
	if (w->frozen)
		id = pln_intern_find(w->strings, text, size);
	else
		id = pln_intern_add(w->strings, text, size, &is_new);
	if (is_new) {
		pln_put_string_of(entry_begin(w, SECTION_STRINGS), text, size);
		entry_end(w, SECTION_STRINGS);
	}
	return id < undefined_from(w, SECTION_STRINGS) ? id : 0;
}

static void put_text(struct pln_writer *w, struct pln_buffer *b, const char *text)
{
	uint32_t id = text_id(w, text);

	if (w->entry_strings <= id)
		w->entry_strings = id + 1;
	pln_put_varint(b, id);
}

/* --------------------------------------------------- what changes after it was added */

/* Starts w->entry anew. */
static struct pln_buffer *newest_begin(struct pln_writer *w)
{
	pln_buffer_clear(&w->entry);
	w->entry_strings = 0;
	return &w->entry;
}

static void newest_end(struct pln_writer *w, struct pln_newest_table *t, uint32_t id)
{
	pln_newest_set(t, id, &w->entry, w->entry_strings);
}

/* Writes every dirty entry, in as many chunks as it takes; each begins as the payload does. */
static int flush_newest(struct pln_writer *w, struct pln_newest_table *t, enum pln_chunk_type type)
{
	size_t head_size = w->payload.size;
	uint32_t begin = 0, end;
	int err = 0;

	for (; !err; begin = end) {
		w->payload.size = head_size;
		end = pln_newest_put_dirty(t, begin, w->section[SECTION_STRINGS].first,
					   &w->payload);
		if (w->payload.size == head_size && !w->payload.failed)
			break;
		err = write_chunk(w, type);
		if (!err)
			pln_newest_written(t, begin, end);
	}
	return err;
}

/*
 * heap   = class_count class{class_count}
 * class  = alloc_calls alloc_bytes free_calls free_bytes    by enum pln_heap_class
 */
static void put_heap(struct pln_buffer *b, const struct pln_heap_counts *heap)
{
	pln_put_varint(b, PILLION_HEAP_COUNT);
	for (unsigned i = 0; i < PILLION_HEAP_COUNT; i++) {
		pln_put_varint(b, heap[i].alloc_calls);
		pln_put_varint(b, heap[i].alloc_bytes);
		pln_put_varint(b, heap[i].free_calls);
		pln_put_varint(b, heap[i].free_bytes);
	}
}

/*
 * PROCESSES   = process_row*    to the end; a later one replaces an earlier one of its id
 * process_row = id pid inner_pid ppid reason executable:text command:text start_ns end_ns
 *               exit_status:signed python_version free_threaded:byte status:byte
 *               layout:text detail:text engine period_ns tick_ns
 */
static void put_process(struct pln_writer *w, uint32_t id, const struct pln_process *p)
{
	struct pln_buffer *b = newest_begin(w);

	pln_put_varint(b, id);
	pln_put_varint(b, p->pid);
	pln_put_varint(b, p->inner_pid);
	pln_put_varint(b, p->ppid);
	pln_put_varint(b, p->reason);
	put_text(w, b, p->executable);
	put_text(w, b, p->command);
	pln_put_varint(b, p->start_ns);
	pln_put_varint(b, p->end_ns);
	pln_put_signed(b, p->exit_status);
	pln_put_varint(b, p->python_version);
	pln_put_byte(b, p->free_threaded);
	pln_put_byte(b, p->interpreter_status);
	put_text(w, b, p->layout);
	put_text(w, b, p->layout_detail);
	pln_put_varint(b, p->engine);
	pln_put_varint(b, p->period_ns);
	pln_put_varint(b, p->tick_ns);
}

static int flush_processes(struct pln_writer *w)
{
	pln_buffer_clear(&w->payload);
	return flush_newest(w, &w->processes, PILLION_CHUNK_PROCESSES);
}

/* In the file they are one number. */
static uint64_t lost_of_all(const struct pln_writer *w)
{
	return w->lost_samples + w->lost_blocks;
}

/*
 * COUNTERS     = lost_samples counters_row*    to the end; totals so far
 * counters_row = id drop_kinds drops{drop_kinds} ticks handler_calls handler_ns
 *                sampler_cpu_ns process_cpu_ns table_bytes private_bytes
 *                dormant_ns heap heap_inherited_bytes heap_peak_bytes heap_peak_ns
 *                brk_peak_bytes finalizing_ns lost_records
 */
static void put_counters(struct pln_writer *w, uint32_t id, const struct pln_process *p)
{
	struct pln_buffer *b = newest_begin(w);

	pln_put_varint(b, id);
	pln_put_varint(b, PILLION_DROP_COUNT);
	for (int i = 0; i < PILLION_DROP_COUNT; i++)
		pln_put_varint(b, p->drops[i]);
	pln_put_varint(b, p->ticks);
	pln_put_varint(b, p->handler_calls);
	pln_put_varint(b, p->handler_ns);
	pln_put_varint(b, p->sampler_cpu_ns);
	pln_put_varint(b, p->process_cpu_ns);
	pln_put_varint(b, p->table_bytes);
	pln_put_varint(b, p->private_bytes);
	pln_put_varint(b, p->dormant_ns);
	put_heap(b, p->heap);
	pln_put_varint(b, p->heap_inherited_bytes);
	pln_put_varint(b, p->heap_peak_bytes);
	pln_put_varint(b, p->heap_peak_ns);
	pln_put_varint(b, p->brk_peak_bytes);
	pln_put_varint(b, p->finalizing_ns);
	pln_put_varint(b, p->lost_records);
}

static int flush_counters(struct pln_writer *w)
{
	pln_buffer_clear(&w->payload);
	pln_put_varint(&w->payload, lost_of_all(w));
	return flush_newest(w, &w->counters, PILLION_CHUNK_COUNTERS);
}

void pln_writer_update_process(struct pln_writer *w, uint32_t id, const struct pln_process *process)
{
	put_process(w, id, process);
	newest_end(w, &w->processes, id);
	put_counters(w, id, process);
	newest_end(w, &w->counters, id);
}

uint32_t pln_writer_add_process(struct pln_writer *w, const struct pln_process *process)
{
	uint32_t id = pln_newest_add(&w->processes);

	pln_newest_add(&w->counters);
	pln_writer_update_process(w, id, process);
	return id;
}

/*
 * THREADS    = thread_row*    to the end; a later one replaces an earlier one of its id
 * thread_row = id process tid serial name:text bits:byte start_ns seen_ns cpu_ns
 *              dormant_cpu_ns dormant_wall_ns unsampled_cpu_ns unsampled_wall_ns
 *              heap
 * bits       = enum pln_thread_bit
 */
void pln_writer_update_thread(struct pln_writer *w, uint32_t id, const struct pln_thread *t)
{
	struct pln_buffer *b = newest_begin(w);

	pln_put_varint(b, id);
	pln_put_varint(b, t->process);
	pln_put_varint(b, t->tid);
	pln_put_varint(b, t->serial);
	put_text(w, b, t->name);
	pln_put_byte(b, (t->is_main ? PLN_THREAD_IS_MAIN : 0) |
				(t->has_python ? PLN_THREAD_HAS_PYTHON : 0) |
				(t->exited ? PLN_THREAD_EXITED : 0));
	pln_put_varint(b, t->start_ns);
	pln_put_varint(b, t->seen_ns);
	pln_put_varint(b, t->cpu_ns);
	pln_put_varint(b, t->dormant_cpu_ns);
	pln_put_varint(b, t->dormant_wall_ns);
	pln_put_varint(b, t->unsampled_cpu_ns);
	pln_put_varint(b, t->unsampled_wall_ns);
	put_heap(b, t->heap);
	newest_end(w, &w->threads, id);
}

uint32_t pln_writer_add_thread(struct pln_writer *w, const struct pln_thread *thread)
{
	uint32_t id = pln_newest_add(&w->threads);

	pln_writer_update_thread(w, id, thread);
	return id;
}

static int flush_threads(struct pln_writer *w)
{
	pln_buffer_clear(&w->payload);
	return flush_newest(w, &w->threads, PILLION_CHUNK_THREADS);
}

/* ---------------------------------------------------------------- definitions */

/* MODULES entry = process path:text build_id:string lo hi-lo (lo-bias):signed */
uint32_t pln_writer_add_module(struct pln_writer *w, const struct pln_module_info *m)
{
	struct pln_buffer *b = entry_begin(w, SECTION_MODULES);
	size_t id_size =
		m->build_id_size < sizeof(m->build_id) ? m->build_id_size : sizeof(m->build_id);

	pln_put_varint(b, m->process);
	put_text(w, b, m->path);
	pln_put_varint(b, id_size);
	pln_put_bytes(b, m->build_id, id_size);
	pln_put_varint(b, m->lo);
	pln_put_varint(b, m->hi - m->lo);
	pln_put_signed(b, (int64_t)(m->lo - m->bias));
	return definition_end(w, SECTION_MODULES);
}

/*
 * FUNCTIONS entry = name:text file:text module:text module_path:text first_line bits:byte
 * bits            = enum pln_function_bit
 */
uint32_t pln_writer_add_function(struct pln_writer *w, const struct pln_function *f)
{
	struct pln_buffer *b = entry_begin(w, SECTION_FUNCTIONS);

	put_text(w, b, f->name);
	put_text(w, b, f->file);
	put_text(w, b, f->module);
	put_text(w, b, f->module_path);
	pln_put_varint(b, f->first_line);
	pln_put_byte(b, (f->kind ? PLN_FUNCTION_IS_NATIVE : 0) |
				(f->unknown ? PLN_FUNCTION_IS_UNKNOWN : 0));
	return definition_end(w, SECTION_FUNCTIONS);
}

/*
 * FRAMES entry = bits:byte (function line | module+1 address)
 * bits         = enum pln_frame_bit: a native frame has the second pair
 */
uint32_t pln_writer_add_frame(struct pln_writer *w, const struct pln_frame *f)
{
	struct pln_buffer *b = entry_begin(w, SECTION_FRAMES);

	pln_put_byte(b, (f->kind ? PLN_FRAME_IS_NATIVE : 0) |
				(f->guessed ? PLN_FRAME_IS_GUESSED : 0) |
				(f->is_leaf ? PLN_FRAME_IS_LEAF : 0));
	if (f->kind == PLN_FRAME_PYTHON) {
		pln_put_varint(b, f->function);
		pln_put_varint(b, f->line);
	} else {
		pln_put_varint(b, (uint32_t)(f->module + 1));
		pln_put_varint(b, f->address);
	}
	return definition_end(w, SECTION_FRAMES);
}

/* STACKS entry = back frame; parent = own id - back, none when back is 0 */
uint32_t pln_writer_add_stack(struct pln_writer *w, const struct pln_stack_node *node)
{
	struct pln_buffer *b = entry_begin(w, SECTION_STACKS);
	uint32_t own = w->section[SECTION_STACKS].next;

	pln_put_varint(b, node->parent == PLN_NONE ? 0 : own - node->parent);
	pln_put_varint(b, node->frame);
	return definition_end(w, SECTION_STACKS);
}

static bool locations_defined(const struct pln_writer *w, uint32_t frame,
			      const struct pln_location *locations, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (locations[i].function >= undefined_from(w, SECTION_FUNCTIONS))
			return false;
	return frame < undefined_from(w, SECTION_FRAMES);
}

/* SYMBOLS entry = frame count (function line){count}; innermost first */
void pln_writer_add_locations(struct pln_writer *w, uint32_t frame,
			      const struct pln_location *locations, unsigned count)
{
	struct pln_buffer *b = entry_begin(w, SECTION_SYMBOLS);

	if (!locations_defined(w, frame, locations, count))
		return;
	pln_put_varint(b, frame);
	pln_put_varint(b, count);
	for (unsigned i = 0; i < count; i++) {
		pln_put_varint(b, locations[i].function);
		pln_put_varint(b, locations[i].line);
	}
	definition_end(w, SECTION_SYMBOLS);
}

/* LABELS entry = process key:text value:text */
void pln_writer_add_label(struct pln_writer *w, const struct pln_label *label)
{
	struct pln_buffer *b = entry_begin(w, SECTION_LABELS);

	pln_put_varint(b, label->process);
	put_text(w, b, label->key);
	put_text(w, b, label->value);
	definition_end(w, SECTION_LABELS);
}

/* NOTES entry = time_ns process+1 level text:string */
void pln_writer_add_note(struct pln_writer *w, const struct pln_note_row *note)
{
	struct pln_buffer *b = entry_begin(w, SECTION_NOTES);

	pln_put_varint(b, note->time_ns);
	pln_put_varint(b, (uint32_t)(note->process + 1));
	pln_put_varint(b, note->level);
	pln_put_string_of(b, note->text, strnlen(note->text, TEXT_MAX));
	definition_end(w, SECTION_NOTES);
}

/* --------------------------------------------------------------------- memory */

/* Each section of what happened tells a time as the difference to the entry before, its first as it
 * is. */
static void put_time(struct pln_writer *w, enum section_id id, uint64_t time_ns)
{
	struct section *s = &w->section[id];

	pln_put_signed(&s->bytes, (int64_t)(time_ns - s->last_time_ns));
	s->last_time_ns = time_ns;
}

/* What comes in any number must not take the room of definitions while the disk is full. */
static bool has_room(const struct pln_writer *w)
{
	return !w->frozen && definition_bytes(w) < DEFINITIONS_MAX_BYTES / 2;
}

/*
 * BLOCKS entry = time:signed thread stack+1 size interval bits:byte
 * bits         = enum pln_block_kind, and 16 when it is unfollowed
 */
uint32_t pln_writer_add_block(struct pln_writer *w, const struct pln_block_row *block)
{
	struct pln_buffer *b;

	if (!has_room(w) || block->thread >= w->threads.count ||
	    (block->stack != PLN_NONE && block->stack >= undefined_from(w, SECTION_STACKS))) {
		w->lost_blocks++;
		return PLN_NONE;
	}
	b = entry_begin(w, SECTION_BLOCKS);
	put_time(w, SECTION_BLOCKS, block->time_ns);
	pln_put_varint(b, block->thread);
	pln_put_varint(b, (uint32_t)(block->stack + 1));
	pln_put_varint(b, block->size);
	pln_put_varint(b, block->interval);
	pln_put_byte(b, (uint8_t)((block->kind & 15) | block->unfollowed << 4));
	return definition_end(w, SECTION_BLOCKS);
}

/* FREES entry = time:signed block */
void pln_writer_add_free(struct pln_writer *w, uint32_t block, uint64_t time_ns)
{
	if (!has_room(w) || block >= undefined_from(w, SECTION_BLOCKS)) {
		w->lost_blocks++;
		return;
	}
	(void)entry_begin(w, SECTION_FREES);
	put_time(w, SECTION_FREES, time_ns);
	pln_put_varint(&w->section[SECTION_FREES].bytes, block);
	definition_end(w, SECTION_FREES);
}

/* HEAP entry = time:signed process heap brk_bytes */
void pln_writer_add_heap_point(struct pln_writer *w, const struct pln_heap_point *point)
{
	if (!has_room(w) || point->process >= w->processes.count)
		return;
	(void)entry_begin(w, SECTION_HEAP);
	put_time(w, SECTION_HEAP, point->time_ns);
	pln_put_varint(&w->section[SECTION_HEAP].bytes, point->process);
	put_heap(&w->section[SECTION_HEAP].bytes, point->heap);
	pln_put_varint(&w->section[SECTION_HEAP].bytes, point->brk_bytes);
	definition_end(w, SECTION_HEAP);
}

/* -------------------------------------------------------------------- samples */

void pln_writer_add_sample(struct pln_writer *w, const struct pln_sample_row *sample)
{
	bool defined =
		sample->thread < w->threads.count &&
		(sample->stack == PLN_NONE || sample->stack < undefined_from(w, SECTION_STACKS));

	if (!defined || w->row_count >= ROWS_MAX ||
	    !pln_grow(&w->rows, &w->row_capacity, w->row_count, sizeof(*w->rows))) {
		w->lost_samples++;
		return;
	}
	w->rows[w->row_count++] = *sample;
	auto_flush(w);
}

static int flush_samples(struct pln_writer *w)
{
	int err;

	if (!w->row_count)
		return 0;
	pln_buffer_clear(&w->payload);
	if (!pln_samples_encode(&w->encoder, &w->payload, w->rows, w->row_count))
		return -ENOMEM;
	err = write_chunk(w, PILLION_CHUNK_SAMPLES);
	if (!err)
		w->row_count = 0;
	return err;
}

int pln_writer_flush(struct pln_writer *w)
{
	int err = flush_section(w, SECTION_STRINGS);

	if (!err)
		err = flush_processes(w);
	if (!err)
		err = flush_threads(w);
	/* From SECTION_MODULES on, each section refers to those before it only. */
	for (int id = SECTION_MODULES; id < SECTION_COUNT && !err; id++)
		err = flush_section(w, (enum section_id)id);
	if (!err)
		err = flush_counters(w);
	return err ? err : flush_samples(w);
}

/* ------------------------------------------------------------- start and end */

/*
 * FILE = major minor pillion_version:string command:string host:string
 *        working_directory:string start_real_ns start_ns period_ns tick_ns
 */
static void put_file(struct pln_buffer *b, const struct pln_recording *r)
{
	pln_put_varint(b, PILLION_FILE_VERSION_MAJOR);
	pln_put_varint(b, PILLION_FILE_VERSION_MINOR);
	pln_put_string(b, r->pillion_version);
	pln_put_string(b, r->command);
	pln_put_string(b, r->host);
	pln_put_string(b, r->working_directory);
	pln_put_varint(b, r->start_real_ns);
	pln_put_varint(b, r->start_ns);
	pln_put_varint(b, r->period_ns);
	pln_put_varint(b, r->tick_ns);
}

/* END = exit_status:signed end_ns collector_cpu_ns collector_peak_rss lost_samples */
static void put_end(struct pln_buffer *b, const struct pln_recording *r, uint64_t lost_samples)
{
	pln_put_signed(b, r->exit_status);
	pln_put_varint(b, r->end_ns);
	pln_put_varint(b, r->collector_cpu_ns);
	pln_put_varint(b, r->collector_peak_rss);
	pln_put_varint(b, lost_samples);
}

void pln_writer_free(struct pln_writer *w)
{
	if (!w)
		return;
	for (int i = 0; i < SECTION_COUNT; i++)
		pln_buffer_free(&w->section[i].bytes);
	pln_newest_free(&w->processes);
	pln_newest_free(&w->counters);
	pln_newest_free(&w->threads);
	pln_packer_free(&w->packer);
	pln_buffer_free(&w->payload);
	pln_buffer_free(&w->entry);
	pln_sample_encoder_free(&w->encoder);
	pln_intern_free(w->strings);
	free(w->rows);
	free(w);
}

int pln_writer_open(struct pln_writer **writer, int fd, const struct pln_recording *recording)
{
	struct pln_writer *w = calloc(1, sizeof(*w));
	int err = -ENOMEM;

	if (!w)
		return err;
	pln_append_open(&w->file, fd);
	w->room = ROOM_TO_END;
	w->auto_flush_at = AUTO_FLUSH_BYTES;
	w->strings = pln_intern_new();
	if (!w->strings)
		goto out;
	text_id(w, "");
	if (!undefined_from(w, SECTION_STRINGS))
		goto out;
	put_file(&w->payload, recording);
	err = write_chunk(w, PILLION_CHUNK_FILE);
out:
	if (err)
		pln_writer_free(w);
	else
		*writer = w;
	return err;
}

uint64_t pln_writer_bytes(const struct pln_writer *w)
{
	return w->file.offset;
}

uint64_t pln_writer_lost_samples(const struct pln_writer *w)
{
	return w->lost_samples;
}

uint64_t pln_writer_lost_blocks(const struct pln_writer *w)
{
	return w->lost_blocks;
}

/* What is buffered will not be written. */
static void give_up(struct pln_writer *w)
{
	w->lost_samples += w->row_count;
	w->lost_blocks += w->section[SECTION_BLOCKS].count + w->section[SECTION_FREES].count;
	w->row_count = 0;
	for (int i = 0; i < SECTION_COUNT; i++) {
		w->section[i].count = 0;
		pln_buffer_clear(&w->section[i].bytes);
	}
	w->frozen = true;
}

/* How all ended, as far as there is room. Threads and counters name their process. */
static void flush_ends(struct pln_writer *w)
{
	flush_processes(w);
	if (!pln_newest_is_written(&w->processes))
		return;
	flush_threads(w);
	flush_counters(w);
}

int pln_writer_end(struct pln_writer *w, const struct pln_recording *recording)
{
	int err = pln_writer_flush(w);
	int end_err;

	if (err) {
		give_up(w);
		w->room = ROOM_FOR_END;
		flush_ends(w);
	}
	w->room = 0;
	pln_buffer_clear(&w->payload);
	put_end(&w->payload, recording, lost_of_all(w));
	end_err = write_chunk(w, PILLION_CHUNK_END);
	pln_append_settle(&w->file);
	return err ? err : end_err;
}

int pln_writer_close(struct pln_writer *w, const struct pln_recording *recording)
{
	int err = pln_writer_end(w, recording);

	pln_writer_free(w);
	return err;
}
