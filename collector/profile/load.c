/* SPDX-License-Identifier: MIT */
/*
 * load.c - definitions from chunk payloads into arrays; the grammars are in writer.c.
 *
 * The file is a stranger's: every id is checked before it is kept, and an array grows
 * by what was decoded, never by what a count promises.
 */
#include <stdlib.h>
#include <string.h>

#include "profile/format.h"
#include "profile/reader_i.h"
#include "profile/utf8.h"

bool pln_reader_grow(void *array, size_t count, size_t size)
{
	void **rows = array;
	size_t capacity = count ? count * 2 : 16;
	void *bigger;

	/* Full exactly when the count is a capacity: 0, 16, 32, 64 ... */
	if (count && (count < 16 || (count & (count - 1))))
		return true;
	if (capacity > SIZE_MAX / size)
		return false;
	bigger = realloc(*rows, capacity * size);
	if (!bigger)
		return false;
	*rows = bigger;
	return true;
}

/* Appends one zeroed element; evaluates to its address or NULL. */
#define APPEND(array, count)                                                                       \
	(pln_reader_grow(&(array), (count), sizeof(*(array)))                                      \
		 ? memset(&(array)[(count)++], 0, sizeof(*(array)))                                \
		 : NULL)

const char *pln_reader_text(struct pln_reader *r, const char *text, size_t size)
{
	struct pln_buffer *b = &r->text;
	uint32_t id;

	pln_buffer_clear(b);
	pln_put_utf8(b, text, size);
	pln_put_byte(b, '\0');
	if (b->failed)
		return NULL;
	/* A text ends at its first zero, wherever the file says that it does. */
	id = pln_intern_add(r->texts, b->data, strlen((const char *)b->data) + 1, NULL);
	return id == PLN_NONE ? NULL : pln_intern_key(r->texts, id);
}

/* A string that stands in the payload itself; never NULL. */
static const char *get_inline(struct pln_reader *r, struct pln_decoder *d)
{
	size_t size;
	const char *text = pln_get_string(d, &size);

	text = text ? pln_reader_text(r, text, size) : NULL;
	if (!text)
		d->failed = true;
	return text ? text : "";
}

/* A string by its id; never NULL. */
static const char *get_text(struct pln_reader *r, struct pln_decoder *d)
{
	uint32_t id = pln_get_u32(d);

	if (id < r->string_count)
		return r->strings[id];
	d->failed = true;
	return "";
}

static uint32_t get_below(struct pln_decoder *d, size_t limit)
{
	uint32_t id = pln_get_u32(d);

	if (id < limit)
		return id;
	d->failed = true;
	return 0;
}

static uint32_t get_below_or_none(struct pln_decoder *d, size_t limit)
{
	uint32_t id = pln_get_u32(d) - 1;

	if (id < limit || id == PLN_NONE)
		return id;
	d->failed = true;
	return PLN_NONE;
}
/* --------------------------------------------------- recording and its entities */

static enum pln_load_result load_file(struct pln_reader *r, struct pln_decoder *d)
{
	struct pln_recording *rec = &r->profile.recording;
	uint64_t major = pln_get_varint(d);

	if (!d->failed && major > PILLION_FILE_VERSION_MAJOR)
		return PLN_LOAD_NEWER;
	pln_get_varint(d); /* a newer minor version only adds */
	rec->pillion_version = get_inline(r, d);
	rec->command = get_inline(r, d);
	rec->host = get_inline(r, d);
	rec->working_directory = get_inline(r, d);
	rec->start_real_ns = pln_get_varint(d);
	rec->start_ns = pln_get_varint(d);
	rec->period_ns = pln_get_varint(d);
	rec->tick_ns = pln_get_varint(d);
	return PLN_LOAD_OK;
}

static enum pln_load_result load_end(struct pln_reader *r, struct pln_decoder *d)
{
	struct pln_recording *rec = &r->profile.recording;
	uint64_t end_ns;

	rec->exit_status = (int32_t)pln_get_signed(d);
	end_ns = pln_get_varint(d);
	if (end_ns > rec->end_ns)
		rec->end_ns = end_ns;
	rec->collector_cpu_ns = pln_get_varint(d);
	rec->collector_peak_rss = pln_get_varint(d);
	rec->lost_samples = pln_get_varint(d);
	rec->complete = !d->failed;
	return PLN_LOAD_OK;
}

static void get_process(struct pln_reader *r, struct pln_decoder *d, struct pln_process *p)
{
	p->pid = pln_get_u32(d);
	p->inner_pid = pln_get_u32(d);
	p->ppid = pln_get_u32(d);
	p->reason = pln_get_u32(d);
	p->executable = get_text(r, d);
	p->command = get_text(r, d);
	p->start_ns = pln_get_varint(d);
	p->end_ns = pln_get_varint(d);
	p->exit_status = (int32_t)pln_get_signed(d);
	p->python_version = pln_get_u32(d);
	p->free_threaded = pln_get_byte(d);
	p->interpreter_status = pln_get_byte(d);
	p->layout = get_text(r, d);
	p->layout_detail = get_text(r, d);
	p->engine = pln_get_u32(d);
	p->period_ns = pln_get_varint(d);
	p->tick_ns = pln_get_varint(d);
}

/* Known ids are replaced, the next id is added; processes keep the counters they have. */
static enum pln_load_result load_processes(struct pln_reader *r, struct pln_decoder *d)
{
	struct pln_profile *p = &r->profile;

	while (pln_decoder_left(d)) {
		uint32_t id = get_below(d, p->process_count + 1);
		struct pln_process process = { 0 };

		if (id < p->process_count)
			process = p->processes[id];
		get_process(r, d, &process);
		if (d->failed)
			return PLN_LOAD_WRONG;
		if (id == p->process_count && !APPEND(p->processes, p->process_count))
			return PLN_LOAD_MEMORY;
		p->processes[id] = process;
	}
	return PLN_LOAD_OK;
}

static void get_heap(struct pln_decoder *d, struct pln_heap_counts *heap)
{
	uint64_t classes = pln_get_varint(d);

	/* A newer minor version may know more of them. */
	for (uint64_t i = 0; i < classes && !d->failed; i++) {
		struct pln_heap_counts counts = { .alloc_calls = pln_get_varint(d) };

		counts.alloc_bytes = pln_get_varint(d);
		counts.free_calls = pln_get_varint(d);
		counts.free_bytes = pln_get_varint(d);
		if (i < PILLION_HEAP_COUNT)
			heap[i] = counts;
	}
}

static void get_counters(struct pln_decoder *d, struct pln_process *p)
{
	uint64_t kinds = pln_get_varint(d);

	/* A newer minor version may know more causes of drops. */
	for (uint64_t i = 0; i < kinds && !d->failed; i++) {
		uint64_t drops = pln_get_varint(d);

		if (i < PILLION_DROP_COUNT)
			p->drops[i] = drops;
	}
	p->ticks = pln_get_varint(d);
	p->handler_calls = pln_get_varint(d);
	p->handler_ns = pln_get_varint(d);
	p->sampler_cpu_ns = pln_get_varint(d);
	p->process_cpu_ns = pln_get_varint(d);
	p->table_bytes = pln_get_varint(d);
	p->private_bytes = pln_get_varint(d);
	p->dormant_ns = pln_get_varint(d);
	get_heap(d, p->heap);
	p->heap_inherited_bytes = pln_get_varint(d);
	p->heap_peak_bytes = pln_get_varint(d);
	p->heap_peak_ns = pln_get_varint(d);
	p->brk_peak_bytes = pln_get_varint(d);
	p->finalizing_ns = pln_get_varint(d);
	p->lost_records = pln_get_varint(d);
}

static enum pln_load_result load_counters(struct pln_reader *r, struct pln_decoder *d)
{
	struct pln_profile *p = &r->profile;

	p->recording.lost_samples = pln_get_varint(d);
	while (pln_decoder_left(d)) {
		uint32_t id = get_below(d, p->process_count);

		if (d->failed)
			return PLN_LOAD_WRONG;
		get_counters(d, &p->processes[id]);
	}
	return PLN_LOAD_OK;
}

static void get_thread(struct pln_reader *r, struct pln_decoder *d, struct pln_thread *t)
{
	uint8_t bits;

	t->process = get_below(d, r->profile.process_count);
	t->tid = pln_get_u32(d);
	t->serial = pln_get_u32(d);
	t->name = get_text(r, d);
	bits = pln_get_byte(d);
	t->is_main = bits & PLN_THREAD_IS_MAIN;
	t->has_python = bits & PLN_THREAD_HAS_PYTHON;
	t->exited = bits & PLN_THREAD_EXITED;
	t->start_ns = pln_get_varint(d);
	t->seen_ns = pln_get_varint(d);
	t->cpu_ns = pln_get_varint(d);
	t->dormant_cpu_ns = pln_get_varint(d);
	t->dormant_wall_ns = pln_get_varint(d);
	t->unsampled_cpu_ns = pln_get_varint(d);
	t->unsampled_wall_ns = pln_get_varint(d);
	get_heap(d, t->heap);
}

static enum pln_load_result load_threads(struct pln_reader *r, struct pln_decoder *d)
{
	struct pln_profile *p = &r->profile;

	while (pln_decoder_left(d)) {
		uint32_t id = get_below(d, p->thread_count + 1);
		struct pln_thread thread = { 0 };

		get_thread(r, d, &thread);
		if (d->failed)
			return PLN_LOAD_WRONG;
		if (id == p->thread_count && !APPEND(p->threads, p->thread_count))
			return PLN_LOAD_MEMORY;
		p->threads[id] = thread;
	}
	return PLN_LOAD_OK;
}

/* ------------------------------------------------------------------ sections */

static enum pln_load_result load_string(struct pln_reader *r, struct pln_decoder *d)
{
	const char *text = get_inline(r, d);
	const char **slot = d->failed ? NULL : APPEND(r->strings, r->string_count);

	if (slot)
		*slot = text;
	return slot ? PLN_LOAD_OK : PLN_LOAD_MEMORY;
}

static enum pln_load_result load_module(struct pln_reader *r, struct pln_decoder *d)
{
	struct pln_profile *p = &r->profile;
	struct pln_module_info *m = APPEND(p->modules, p->module_count);
	const char *build_id;
	size_t size;

	if (!m)
		return PLN_LOAD_MEMORY;
	m->process = get_below(d, p->process_count);
	m->path = get_text(r, d);
	build_id = pln_get_string(d, &size);
	if (!build_id || size > sizeof(m->build_id))
		return PLN_LOAD_WRONG;
	memcpy(m->build_id, build_id, size);
	m->build_id_size = (uint8_t)size;
	m->lo = pln_get_varint(d);
	m->hi = m->lo + pln_get_varint(d);
	m->bias = m->lo - (uint64_t)pln_get_signed(d);
	return PLN_LOAD_OK;
}

static enum pln_load_result load_function(struct pln_reader *r, struct pln_decoder *d)
{
	struct pln_function *f = APPEND(r->profile.functions, r->profile.function_count);
	uint8_t bits;

	if (!f)
		return PLN_LOAD_MEMORY;
	f->name = get_text(r, d);
	f->file = get_text(r, d);
	f->module = get_text(r, d);
	f->module_path = get_text(r, d);
	f->first_line = pln_get_u32(d);
	bits = pln_get_byte(d);
	f->kind = bits & PLN_FUNCTION_IS_NATIVE ? PLN_FUNCTION_NATIVE : PLN_FUNCTION_PYTHON;
	f->unknown = !!(bits & PLN_FUNCTION_IS_UNKNOWN);
	return PLN_LOAD_OK;
}

static enum pln_load_result load_frame(struct pln_reader *r, struct pln_decoder *d)
{
	struct pln_profile *p = &r->profile;
	struct pln_frame *f = APPEND(p->frames, p->frame_count);
	uint8_t bits = pln_get_byte(d);

	if (!f)
		return PLN_LOAD_MEMORY;
	*f = (struct pln_frame){
		.kind = bits & PLN_FRAME_IS_NATIVE ? PLN_FRAME_NATIVE : PLN_FRAME_PYTHON,
		.guessed = !!(bits & PLN_FRAME_IS_GUESSED),
		.is_leaf = !!(bits & PLN_FRAME_IS_LEAF),
		.module = PLN_NONE,
		.function = PLN_NONE,
	};
	if (f->kind == PLN_FRAME_PYTHON) {
		f->function = get_below(d, p->function_count);
		f->line = pln_get_u32(d);
	} else {
		f->module = get_below_or_none(d, p->module_count);
		f->address = pln_get_varint(d);
	}
	return PLN_LOAD_OK;
}

/* A parent is always older than its child, so a path to the root ends. */
static enum pln_load_result load_stack(struct pln_reader *r, struct pln_decoder *d)
{
	struct pln_profile *p = &r->profile;
	uint32_t own = (uint32_t)p->stack_count;
	uint32_t back = get_below(d, p->stack_count + 1);
	struct pln_stack_node *node = APPEND(p->stacks, p->stack_count);

	if (!node)
		return PLN_LOAD_MEMORY;
	node->parent = back ? own - back : PLN_NONE;
	node->frame = get_below(d, p->frame_count);
	return PLN_LOAD_OK;
}

bool pln_reader_add_location(struct pln_reader *r, const struct pln_location *location)
{
	struct pln_location *slot = APPEND(r->found_locations, r->found_location_count);

	if (slot)
		*slot = *location;
	return slot;
}

/* The slot of a frame's locations; the table grows to the frames known by now. */
static struct pln_found *found_slot(struct pln_reader *r, uint32_t frame)
{
	while (r->found_count <= frame)
		if (!APPEND(r->found, r->found_count))
			return NULL;
	return &r->found[frame];
}

/* The first entry of a frame holds; a later one is read over. */
static enum pln_load_result load_symbol(struct pln_reader *r, struct pln_decoder *d)
{
	struct pln_profile *p = &r->profile;
	uint32_t frame = get_below(d, p->frame_count);
	uint32_t count = pln_get_u32(d);
	size_t first = r->found_location_count;
	struct pln_found *found;

	if (d->failed || count > pln_decoder_left(d))
		return PLN_LOAD_WRONG;
	found = found_slot(r, frame);
	if (!found)
		return PLN_LOAD_MEMORY;
	for (uint32_t i = 0; i < count; i++) {
		struct pln_location location = { 0 };

		location.function = get_below(d, p->function_count);
		location.line = pln_get_u32(d);
		if (!pln_reader_add_location(r, &location))
			return PLN_LOAD_MEMORY;
	}
	if (!d->failed && !found->count)
		*found = (struct pln_found){ first, count };
	r->symbol_entries++;
	return PLN_LOAD_OK;
}

static enum pln_load_result load_note(struct pln_reader *r, struct pln_decoder *d)
{
	struct pln_profile *p = &r->profile;
	struct pln_note_row *note = APPEND(p->notes, p->note_count);

	if (!note)
		return PLN_LOAD_MEMORY;
	note->time_ns = pln_get_varint(d);
	note->process = get_below_or_none(d, p->process_count);
	note->level = pln_get_u32(d);
	note->text = get_inline(r, d);
	return PLN_LOAD_OK;
}

static enum pln_load_result load_label(struct pln_reader *r, struct pln_decoder *d)
{
	struct pln_profile *p = &r->profile;
	struct pln_label *label = APPEND(p->labels, p->label_count);

	if (!label)
		return PLN_LOAD_MEMORY;
	label->process = get_below(d, p->process_count);
	label->key = get_text(r, d);
	label->value = get_text(r, d);
	return PLN_LOAD_OK;
}

/* -------------------------------------------------------------------- memory */

static uint64_t get_time(struct pln_reader *r, struct pln_decoder *d)
{
	r->last_time_ns += (uint64_t)pln_get_signed(d);
	return r->last_time_ns;
}

static enum pln_load_result load_block(struct pln_reader *r, struct pln_decoder *d)
{
	struct pln_profile *p = &r->profile;
	struct pln_block_row *block = APPEND(p->blocks, p->block_count);
	uint8_t bits;

	if (!block)
		return PLN_LOAD_MEMORY;
	block->time_ns = get_time(r, d);
	block->freed_ns = 0;
	block->thread = get_below(d, p->thread_count);
	block->stack = get_below_or_none(d, p->stack_count);
	block->size = pln_get_varint(d);
	block->interval = pln_get_varint(d);
	bits = pln_get_byte(d);
	block->kind = bits & 15;
	block->unfollowed = bits >> 4;
	return block->interval && block->size ? PLN_LOAD_OK : PLN_LOAD_WRONG;
}

static enum pln_load_result load_free(struct pln_reader *r, struct pln_decoder *d)
{
	struct pln_profile *p = &r->profile;
	uint64_t time_ns = get_time(r, d);
	uint32_t block = get_below(d, p->block_count);

	if (d->failed)
		return PLN_LOAD_WRONG;
	p->blocks[block].freed_ns = time_ns;
	r->free_count++;
	return PLN_LOAD_OK;
}

static enum pln_load_result load_heap_point(struct pln_reader *r, struct pln_decoder *d)
{
	struct pln_profile *p = &r->profile;
	struct pln_heap_point *point = APPEND(p->heap_points, p->heap_point_count);

	if (!point)
		return PLN_LOAD_MEMORY;
	point->time_ns = get_time(r, d);
	point->process = get_below(d, p->process_count);
	get_heap(d, point->heap);
	point->brk_bytes = pln_get_varint(d);
	return PLN_LOAD_OK;
}

/* ------------------------------------------------------------------ dispatch */

typedef enum pln_load_result (*load_fn)(struct pln_reader *r, struct pln_decoder *d);

/* Chunks that are one thing: decoded to their end, or as far as this version knows. */
static const load_fn whole_loader[] = {
	[PILLION_CHUNK_FILE] = load_file,	    [PILLION_CHUNK_END] = load_end,
	[PILLION_CHUNK_PROCESSES] = load_processes, [PILLION_CHUNK_THREADS] = load_threads,
	[PILLION_CHUNK_COUNTERS] = load_counters,
};

/* Chunks that continue a dense id space, and where its count stands. */
static const struct {
	load_fn entry;
	size_t count_offset;
} section_loader[] = {
	[PILLION_CHUNK_STRINGS] = { load_string, offsetof(struct pln_reader, string_count) },
	[PILLION_CHUNK_MODULES] = { load_module,
				    offsetof(struct pln_reader, profile.module_count) },
	[PILLION_CHUNK_FUNCTIONS] = { load_function,
				      offsetof(struct pln_reader, profile.function_count) },
	[PILLION_CHUNK_FRAMES] = { load_frame, offsetof(struct pln_reader, profile.frame_count) },
	[PILLION_CHUNK_STACKS] = { load_stack, offsetof(struct pln_reader, profile.stack_count) },
	[PILLION_CHUNK_SYMBOLS] = { load_symbol, offsetof(struct pln_reader, symbol_entries) },
	[PILLION_CHUNK_NOTES] = { load_note, offsetof(struct pln_reader, profile.note_count) },
	[PILLION_CHUNK_BLOCKS] = { load_block, offsetof(struct pln_reader, profile.block_count) },
	[PILLION_CHUNK_FREES] = { load_free, offsetof(struct pln_reader, free_count) },
	[PILLION_CHUNK_HEAP] = { load_heap_point,
				 offsetof(struct pln_reader, profile.heap_point_count) },
	[PILLION_CHUNK_LABELS] = { load_label, offsetof(struct pln_reader, profile.label_count) },
};

/* An entry that turns out wrong was appended already: `count` is set back over it. */
static enum pln_load_result load_section(struct pln_reader *r, struct pln_decoder *d, load_fn entry,
					 size_t *count)
{
	uint32_t first = pln_get_u32(d);
	uint32_t entries = pln_get_u32(d);

	if (d->failed || entries > pln_decoder_left(d))
		return PLN_LOAD_WRONG;
	if (first != *count)
		return PLN_LOAD_GAP;
	r->last_time_ns = 0;
	for (uint32_t i = 0; i < entries; i++) {
		size_t before = *count;
		enum pln_load_result result = entry(r, d);

		if (d->failed)
			result = PLN_LOAD_WRONG;
		if (result) {
			*count = before;
			return result;
		}
	}
	return PLN_LOAD_OK;
}

enum pln_load_result pln_reader_load(struct pln_reader *r, uint16_t type, struct pln_decoder d)
{
	enum pln_load_result result = PLN_LOAD_OK;

	if (type < sizeof(section_loader) / sizeof(*section_loader) && section_loader[type].entry)
		return load_section(
			r, &d, section_loader[type].entry,
			(size_t *)(void *)((char *)r + section_loader[type].count_offset));
	if (type < sizeof(whole_loader) / sizeof(*whole_loader) && whole_loader[type])
		result = whole_loader[type](r, &d);
	return !result && d.failed ? PLN_LOAD_WRONG : result;
}
