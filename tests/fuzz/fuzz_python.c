/* SPDX-License-Identifier: MIT */
/*
 * fuzz_python.c - the walk of Python frames over an interpreter that makes no sense: of the
 * own thread, of a blocked one, and what it says of the code objects that it finds.
 *
 * Input: bits (one byte: layout, trusted), then pokes of four bytes each into a made-up
 * interpreter that is right before. What the checked layout vouches for (thread states, the
 * heads of chunks) is only spoiled while the layout is not trusted: all of it is then read
 * by checked reads.
 */
#include "fuzz.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checked_read.h"
#include "python/python_i.h"

enum {
	CODES = 6,
	FRAMES_MAX = 48,
	CHUNK_BYTES = 4096,
	POKE = 4,
	LAYOUTS = 6,
	TRUSTED = 0x80,
	TID = 4711,
};

static struct {
	_Alignas(16) unsigned char runtime[2560];
	unsigned char interp[512];
	unsigned char thread[512];
	unsigned char code[CODES][256];
	unsigned char object[1024]; /* a str and a bytes object, and room */
	unsigned char heap[1024]; /* frames that lie in no stack */
	unsigned char stack[1024];
	_Alignas(16) unsigned char chunk[CHUNK_BYTES];
	unsigned char behind[512]; /* of the last object that may begin above */
} world;

static const int code_type;
static struct pln_layout shim_layout; /* as 3.13 and later: shims, and no CFrames */
static pthread_key_t key;

static void put(void *object, uint32_t offset, uintptr_t value)
{
	memcpy((unsigned char *)object + offset, &value, sizeof(value));
}

static void put_int(void *object, uint32_t offset, int32_t value)
{
	memcpy((unsigned char *)object + offset, &value, sizeof(value));
}

static uintptr_t at(const void *object)
{
	return (uintptr_t)object;
}

static const struct pln_layout *choose_layout(uint8_t bits)
{
	static const struct pln_layout *const layouts[LAYOUTS] = {
		&pln_layout_3_11, &pln_layout_3_12, &shim_layout,
		&pln_layout_3_10, &pln_layout_3_09, &pln_layout_3_08,
	};

	return layouts[bits % LAYOUTS];
}

static bool set_up(void)
{
	static bool done;

	if (done)
		return true;
	shim_layout = pln_layout_3_12;
	shim_layout.thread.frame = 72;
	shim_layout.thread.cframe = shim_layout.thread.root_cframe = PLN_ABSENT;
	done = pln_checked_read_init() && pln_python_codes_init() &&
	       !pthread_key_create(&key, NULL);
	return done;
}

/* ------------------------------------------------------------ the interpreter */

static void make_codes(const struct pln_layout *l)
{
	uint32_t compact_ascii = (1u | 1u << 3 | 1u << 4) << l->object.str_kind_shift;

	put(world.object, l->object.str_length, 5);
	put_int(world.object, l->object.str_state, (int32_t)compact_ascii);
	memcpy(world.object + l->object.str_ascii, "name", 5);
	put(world.object + 256, l->object.bytes_size, 16);
	for (unsigned i = 0; i < CODES; i++) {
		put(world.code[i], l->object.type, at(&code_type));
		put_int(world.code[i], l->code.first_line, (int32_t)i + 1);
		put(world.code[i], l->code.body, 40);
		put(world.code[i], l->code.name, at(world.object));
		put(world.code[i], l->code.filename, at(world.object));
		put(world.code[i], l->code.linetable, at(world.object + 256));
		if (pln_has(l->code.first_traceable))
			put_int(world.code[i], l->code.first_traceable, 2);
	}
}

static void make_thread(const struct pln_layout *l)
{
	if (pln_has(l->runtime.tss_key)) {
		put_int(world.runtime, l->runtime.tss_key, 1);
		put_int(world.runtime, l->runtime.tss_key + 4, (int32_t)key);
	}
	pthread_setspecific(key, world.thread);
	put(world.runtime, l->runtime.interp_head, at(world.interp));
	if (pln_has(l->runtime.interp_main))
		put(world.runtime, l->runtime.interp_main, at(world.interp));
	put(world.interp, l->interp.threads, at(world.thread));
	put(world.thread, l->thread.interp, at(world.interp));
	put(world.thread, l->thread.thread_id, (uintptr_t)pthread_self());
	if (pln_has(l->thread.native_id))
		put(world.thread, l->thread.native_id, TID);
}

/* Frame i calls frame i + 1; those from 3.11 on lie in the chunk, older ones are objects. */
static void make_frames(const struct pln_layout *l)
{
	bool pointers = !pln_has(l->frame.instr_unit);
	unsigned char *first = pointers ? world.chunk + sizeof(struct pln_stack_chunk) : world.heap;
	uint32_t step = (l->frame.size + 31) & ~15u;
	uintptr_t frame = 0;

	for (unsigned i = 0; i < 5; i++) {
		unsigned char *bytes = first + i * step;

		put(bytes, l->frame.code, at(world.code[i]));
		put(bytes, l->frame.previous, frame);
		if (pointers)
			put(bytes, l->frame.instr,
			    at(world.code[i]) + l->code.bytecode + (uintptr_t)(2 * (i + 4)));
		else
			put_int(bytes, l->frame.instr, (int32_t)i + 4);
		if (pln_has(l->frame.is_entry))
			bytes[l->frame.is_entry] = i % 3 == 0;
		frame = at(bytes);
	}
	if (pln_has(l->thread.chunk)) {
		struct pln_stack_chunk head = { .size = sizeof(world.chunk) };

		memcpy(world.chunk, &head, sizeof(head));
		put(world.thread, l->thread.chunk, at(world.chunk));
		put(world.thread, l->thread.chunk_top, at(first) + 5 * step);
	}
	if (pln_has(l->thread.frame))
		put(world.thread, l->thread.frame, frame);
}

static void make_calls(const struct pln_layout *l)
{
	uintptr_t frame, previous;

	if (!pln_has(l->thread.cframe))
		return;
	frame = at(world.chunk) + sizeof(struct pln_stack_chunk) +
		4 * (uintptr_t)((l->frame.size + 31) & ~15u);
	previous = at(world.thread) + l->thread.root_cframe;
	for (unsigned i = 0; i < 2; i++) {
		unsigned char *cframe = world.stack + 768 - 256 * i;

		put(cframe, l->cframe.previous, previous);
		if (pln_has(l->cframe.frame))
			put(cframe, l->cframe.frame, frame);
		previous = at(cframe);
	}
	put(world.thread, l->thread.cframe, previous);
}

static void make_world(const struct pln_layout *l, bool trusted)
{
	memset(&world, 0, sizeof(world));
	make_codes(l);
	make_thread(l);
	make_frames(l);
	make_calls(l);
	pln_python.runtime = at(world.runtime);
	pln_python.code_type = at(&code_type);
	pln_python.layout = l;
	pln_python.trusted = trusted;
}

/* ------------------------------------------------------------ pokes */

/* Eight bytes of it are replaced. */
static unsigned char *choose_place(const struct pln_layout *l, bool trusted, uint8_t area,
				   uint8_t offset)
{
	const struct {
		unsigned char *start;
		size_t from, size;
	} areas[] = {
		{ world.chunk, sizeof(struct pln_stack_chunk), sizeof(world.chunk) },
		{ world.stack, 0, sizeof(world.stack) },
		{ world.heap, 0, sizeof(world.heap) },
		{ world.object, 0, sizeof(world.object) },
		/* From here on only while nothing is trusted. */
		{ world.thread, 0, sizeof(world.thread) },
		{ world.code[0], 0, sizeof(world.code) },
		{ world.interp, 0, sizeof(world.interp) },
		{ world.chunk, 0, sizeof(struct pln_stack_chunk) },
	};
	size_t which = area % (trusted ? 4 : 8), words;

	if (trusted && area % 16 == 15) {
		if (pln_has(l->thread.frame))
			return world.thread + l->thread.frame;
		return world.thread + l->thread.cframe;
	}
	words = (areas[which].size - areas[which].from) / 8;
	return areas[which].start + areas[which].from + 8 * (offset % words);
}

static uintptr_t choose_value(uint8_t kind, uint16_t number)
{
	switch (kind % 8) {
	case 0:
		return number;
	case 1:
		return (uintptr_t)number << 48 | number;
	case 2:
		return at(world.code[number % CODES]) | (number >> 8 & 3);
	case 3:
		return at(&code_type);
	case 4:
		return (uintptr_t)0 - number;
	default:
		return at(&world) + number % (sizeof(world) - sizeof(world.behind));
	}
}

static void poke(const struct pln_layout *l, bool trusted, const uint8_t *data)
{
	uint16_t number = (uint16_t)(data[2] | data[3] << 8);
	unsigned char *place = choose_place(l, trusted, data[0] & 15, data[1]);

	put(place, 0, choose_value(data[0] >> 4, number));
	/* An owner, and whether it is an entry, are bytes. */
	if (data[0] >> 4 == 8)
		place[number % 8] = (unsigned char)(number >> 8);
}

/* ------------------------------------------------------------ walks */

static bool describe(const struct pln_python_frame *frame, uint32_t max)
{
	unsigned char *record = malloc(max ? max : 1);
	struct pln_wire_code head;
	uint32_t size;
	bool ok;

	if (!record)
		abort();
	size = pln_python_describe_sigsafe(frame, record, max);
	ok = size <= max && size % 8 == 0;
	if (ok && size) {
		memcpy(&head, record, sizeof(head));
		ok = head.rec.size == size && head.key == frame->code &&
		     (uint64_t)head.qualname_size + head.filename_size + head.linetable_size <=
			     size - sizeof(head);
	}
	free(record);
	return ok;
}

/* What is told is a code object, and was one when it was looked at. */
static bool check(const struct pln_python_walk *walk, uint32_t room)
{
	const struct pln_layout *l = pln_python.layout;

	if (walk->count > FRAMES_MAX || (walk->failed && walk->count))
		return false;
	for (unsigned i = 0; i < walk->count; i++) {
		uintptr_t type = 0;

		if (!pln_checked_read_sigsafe(walk->frames[i].code_addr + l->object.type, &type,
					      sizeof(type)) ||
		    type != at(&code_type) || !walk->frames[i].code ||
		    !describe(&walk->frames[i], i % 2 ? room : 4096))
			return false;
	}
	return true;
}

bool fuzz_python(const uint8_t *data, size_t size)
{
	static struct pln_python_frame frames[FRAMES_MAX];
	struct pln_stack stack = { at(world.stack), at(world.stack) + sizeof(world.stack),
				   world.stack };
	struct pln_python_walk walk = { .frames = frames, .max = FRAMES_MAX };
	const struct pln_layout *l;
	bool trusted, ok;

	if (!size || !set_up())
		return size == 0;
	l = choose_layout(data[0]);
	/* Up to 3.10 frames are objects that other frames own: a trusted layout leads to them. */
	trusted = data[0] & TRUSTED && pln_has(l->thread.chunk);
	make_world(l, trusted);
	for (size_t i = 1; i + POKE <= size; i += POKE)
		poke(l, trusted, data + i);
	pln_python_walk_self_sigsafe(&stack, &walk);
	ok = check(&walk, data[0]);
	pln_python_tick();
	pln_python.trusted = false;
	(void)pln_python_walk_blocked(TID, (uintptr_t)pthread_self(), &stack, &walk);
	return ok && check(&walk, data[0]);
}
