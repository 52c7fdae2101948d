/* SPDX-License-Identifier: MIT */
/*
 * The walk of Python frames over a made-up interpreter in this process: the states that
 * a signal finds between two instructions (a C eval call half set up, a generator half
 * left), and frames full of garbage. Live interpreters are walked in python_walk/.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "check.h"
#include "checked_read.h"
#include "python/python_i.h"

#define MAX_FRAMES 64
#define CODES 8
#define ARENA_BYTES 8192
#define FIRST_TRACEABLE 2 /* code units before a frame counts as complete */

/* What a thread of the made-up interpreter is made of. */
static struct {
	_Alignas(16) unsigned char runtime[2048];
	unsigned char interp[512];
	unsigned char thread[512];
	unsigned char code[CODES][256];
	unsigned char heap[1024]; /* generators' frames, frames of 3.10 */
	unsigned char stack[1024]; /* the C stack: CFrames and shims */
	_Alignas(16) unsigned char chunk[ARENA_BYTES]; /* the data stack */
} world;

static const int code_type;
static struct pln_layout shim_layout; /* as 3.13+: shims, and no CFrames */
static struct pln_python_frame frames[MAX_FRAMES];
static struct pln_python_walk walk;
static unsigned chunk_used;

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

/* ------------------------------------------------------------ the world */

static void make_codes(const struct pln_layout *l)
{
	for (unsigned i = 0; i < CODES; i++) {
		put(world.code[i], l->object.type, at(&code_type));
		put_int(world.code[i], l->code.first_line, (int32_t)i + 1);
		put(world.code[i], l->code.body, 40);
		if (pln_has(l->code.first_traceable))
			put_int(world.code[i], l->code.first_traceable, FIRST_TRACEABLE);
	}
}

static void make_world(const struct pln_layout *l)
{
	static pthread_key_t key;
	static bool have_key;
	struct pln_stack_chunk chunk = { .size = sizeof(world.chunk) };

	if (!have_key)
		have_key = pthread_key_create(&key, NULL) == 0;
	memset(&world, 0, sizeof(world));
	memcpy(world.chunk, &chunk, sizeof(chunk));
	chunk_used = sizeof(chunk);
	make_codes(l);
	put_int(world.runtime, l->runtime.tss_key, 1);
	put_int(world.runtime, l->runtime.tss_key + 4, (int32_t)key);
	pthread_setspecific(key, world.thread);
	put(world.thread, l->thread.thread_id, (uintptr_t)pthread_self());
	put(world.thread, l->thread.interp, at(world.interp));
	if (pln_has(l->thread.chunk)) {
		put(world.thread, l->thread.chunk, at(world.chunk));
		put(world.thread, l->thread.chunk_top, at(world.chunk) + chunk_used);
	}
	if (pln_has(l->thread.cframe))
		put(world.thread, l->thread.cframe, at(world.thread) + l->thread.root_cframe);
	pln_python.runtime = at(world.runtime);
	pln_python.code_type = at(&code_type);
	pln_python.layout = l;
	pln_python.trusted = true;
}

/* A frame of code number `code`, at its `unit`-th instruction, called by `previous`. */
static void make_frame(void *frame, unsigned code, int unit, const void *previous, int owner)
{
	const struct pln_layout *l = pln_python.layout;

	put(frame, l->frame.code, at(world.code[code]));
	put(frame, l->frame.previous, at(previous));
	put(frame, l->frame.instr, at(world.code[code]) + l->code.bytecode + (uintptr_t)(2 * unit));
	((unsigned char *)frame)[l->frame.owner] = (unsigned char)owner;
	if (pln_has(l->frame.is_entry))
		((unsigned char *)frame)[l->frame.is_entry] = 0;
}

static void *push_frame(unsigned code, int unit, const void *previous)
{
	const struct pln_layout *l = pln_python.layout;
	void *frame = world.chunk + chunk_used;

	make_frame(frame, code, unit, previous, 0);
	chunk_used += (l->frame.size + 31) & ~15u;
	put(world.thread, l->thread.chunk_top, at(world.chunk) + chunk_used);
	return frame;
}

static void mark_entry(void *frame)
{
	const struct pln_layout *l = pln_python.layout;

	((unsigned char *)frame)[l->frame.is_entry] = 1;
}

/* A CFrame at `offset` of the C stack; `previous` NULL: the root. */
static void *make_cframe(unsigned offset, const void *frame, const void *previous)
{
	const struct pln_layout *l = pln_python.layout;
	void *cframe = world.stack + offset;

	if (!previous)
		previous = world.thread + l->thread.root_cframe;
	put(cframe, l->cframe.previous, at(previous));
	if (pln_has(l->cframe.frame))
		put(cframe, l->cframe.frame, at(frame));
	put(world.thread, l->thread.cframe, at(cframe));
	return cframe;
}

static void do_walk(unsigned max)
{
	struct pln_stack stack = { at(world.stack), at(world.stack) + sizeof(world.stack),
				   world.stack };

	walk = (struct pln_python_walk){ .frames = frames, .max = max };
	pln_python_walk_self_sigsafe(&stack, &walk);
	CHECK(walk.count <= max);
}

/* The number of the code object of frame i, CODES when there is no such frame. */
static unsigned code_of(unsigned i)
{
	if (i >= walk.count)
		return CODES;
	return (unsigned)((frames[i].code_addr - at(world.code)) / sizeof(world.code[0]));
}

/* ------------------------------------------------------------ 3.11 */

/* main (0) calls 1 in its C eval call; a second C eval call runs 2, which calls 3. */
static void make_two_calls(void)
{
	void *f0, *f1, *f2, *f3, *outer;

	make_world(&pln_layout_3_11);
	f0 = push_frame(0, 5, NULL);
	mark_entry(f0);
	f1 = push_frame(1, 6, f0);
	outer = make_cframe(512, f1, NULL);
	f2 = push_frame(2, 7, f1);
	mark_entry(f2);
	f3 = push_frame(3, 8, f2);
	make_cframe(128, f3, outer);
}

static void test_two_calls(void)
{
	make_two_calls();
	do_walk(MAX_FRAMES);
	CHECK_EQ(walk.count, 4);
	CHECK(!walk.truncated && !walk.failed && walk.has_tstate);
	for (unsigned i = 0; i < 4; i++) {
		CHECK_EQ(code_of(i), 3 - i);
		CHECK_EQ(frames[i].instr, 2 * (8 - i));
	}
	CHECK_EQ(frames[0].marker, 0);
	CHECK_EQ(frames[1].marker, at(world.stack) + 128);
	CHECK_EQ(frames[2].marker, 0);
	CHECK_EQ(frames[3].marker, at(world.stack) + 512);
}

static void test_no_room(void)
{
	make_two_calls();
	do_walk(3);
	CHECK_EQ(walk.count, 3);
	CHECK(walk.truncated && !walk.failed);
	CHECK_EQ(frames[2].marker, at(world.stack) + 512); /* of the frame that is missing */
}

/* The C eval call is on the list, but says what was on the C stack before. */
static void test_call_half_set_up(void)
{
	const uintptr_t stale[] = {
		0, 1, 4096, 0x10, at(world.stack), at(world.heap), at(&code_type)
	};

	for (unsigned i = 0; i < sizeof(stale) / sizeof(stale[0]); i++) {
		make_two_calls();
		make_cframe(32, (void *)stale[i], world.stack + 128);
		do_walk(MAX_FRAMES);
		CHECK_EQ(walk.count, 4);
		CHECK(!walk.failed && walk.truncated); /* there may be more inside */
		CHECK_EQ(code_of(0), 3);
		CHECK_EQ(frames[1].marker, at(world.stack) + 128);
	}
}

/* What was there before may be a frame that still runs, further out. */
static void test_stale_frame_further_out(void)
{
	make_two_calls();
	make_cframe(32, world.chunk + sizeof(struct pln_stack_chunk), world.stack + 128);
	do_walk(MAX_FRAMES);
	CHECK_EQ(walk.count, 4);
	CHECK_EQ(code_of(0), 3);
}

static void test_frame_above_the_top(void)
{
	make_two_calls();
	put(world.thread, pln_layout_3_11.thread.chunk_top,
	    at(world.chunk) + sizeof(struct pln_stack_chunk) + 1);
	do_walk(MAX_FRAMES);
	CHECK(walk.failed);
	CHECK_EQ(walk.count, 0);
}

/* A generator's frame, on the heap: found, and believed for its code object. */
static void test_generator(void)
{
	void *leaf;

	make_two_calls();
	make_frame(world.heap, 4, 9, (void *)(at(world.chunk) + chunk_used - 96),
		   PLN_OWNER_GENERATOR);
	leaf = push_frame(5, 3, world.heap);
	make_cframe(128, leaf, world.stack + 512);
	do_walk(MAX_FRAMES);
	CHECK_EQ(walk.count, 6);
	CHECK_EQ(code_of(0), 5);
	CHECK_EQ(code_of(1), 4);
	CHECK_EQ(code_of(2), 3);
	CHECK(!walk.truncated);
}

#define GENERATORS 12
#define PAGE 4096

/* A leaf above generators 0 to count - 1, at instruction `unit`, each in a page of its own. */
static void make_generators(unsigned char *pages, unsigned first, unsigned count, int unit)
{
	const void *previous;

	make_two_calls();
	previous = (void *)(at(world.chunk) + chunk_used - 96);
	for (unsigned i = first; i < first + count; i++) {
		make_frame(pages + i * PAGE, i % CODES, unit, previous, PLN_OWNER_GENERATOR);
		previous = pages + i * PAGE;
	}
	make_cframe(128, push_frame(5, 3, previous), world.stack + 512);
}

static void check_generators(unsigned first, unsigned count, int unit)
{
	CHECK_EQ(walk.count, count + 5);
	CHECK(!walk.truncated && !walk.failed);
	for (unsigned i = 0; i < count; i++) {
		CHECK_EQ(code_of(1 + i), (first + count - 1 - i) % CODES);
		CHECK_EQ(frames[1 + i].instr, 2 * unit);
	}
	CHECK_EQ(code_of(1 + count), 3);
}

/*
 * Where the last walk found generators is where this one copies from, all at once: it must
 * see what is there now, more and fewer of them, and none when they are gone.
 */
static void test_generators_again(void)
{
	unsigned char *pages = mmap(NULL, GENERATORS * PAGE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static const struct {
		unsigned first, count;
	} turns[] = { { 0, 3 },	 { 0, 3 }, { 1, 2 }, { 2, 4 },	{ 0, 12 },
		      { 0, 12 }, { 5, 1 }, { 4, 8 }, { 11, 1 }, { 3, 9 } };

	CHECK(pages != MAP_FAILED);
	for (unsigned i = 0; i < sizeof(turns) / sizeof(*turns); i++) {
		make_generators(pages, turns[i].first, turns[i].count, 4 + (int)i);
		do_walk(MAX_FRAMES);
		check_generators(turns[i].first, turns[i].count, 4 + (int)i);
	}
	/* The second of eight is not there any more, and nobody leads to it. */
	make_generators(pages, 4, 8, 7);
	do_walk(MAX_FRAMES);
	munmap(pages + 10 * PAGE, PAGE);
	make_generators(pages, 0, 10, 8);
	do_walk(MAX_FRAMES);
	check_generators(0, 10, 8);
	/* One that the chain does lead to. */
	munmap(pages + 5 * PAGE, PAGE);
	do_walk(MAX_FRAMES);
	CHECK(walk.truncated);
	CHECK_EQ(walk.count, 5);
	munmap(pages, GENERATORS * PAGE);
}

static void test_generator_without_caller(void)
{
	make_two_calls();
	make_frame(world.heap, 4, 9, NULL, PLN_OWNER_GENERATOR);
	make_cframe(32, world.heap, world.stack + 128);
	do_walk(MAX_FRAMES);
	CHECK(walk.truncated);
	CHECK_EQ(code_of(0), 4);

	/* As the outermost frame of its call it gives itself away. */
	mark_entry(world.heap);
	do_walk(MAX_FRAMES);
	CHECK(walk.truncated);
	CHECK_EQ(walk.count, 4);
	CHECK_EQ(code_of(0), 3);

	/* Nor may the list of calls that leads nowhere make it the outermost frame. */
	make_cframe(32, world.heap, NULL);
	do_walk(MAX_FRAMES);
	CHECK(walk.truncated);
}

/* A frame before its first traceable instruction is hidden; its marker is not lost. */
static void test_incomplete_frames(void)
{
	void *f4, *f5;

	make_two_calls();
	f4 = push_frame(4, 0, (void *)(at(world.chunk) + chunk_used - 96));
	mark_entry(f4);
	f5 = push_frame(5, 4, f4);
	make_cframe(32, f5, world.stack + 128);
	do_walk(MAX_FRAMES);
	CHECK_EQ(walk.count, 5);
	CHECK_EQ(code_of(0), 5);
	CHECK_EQ(frames[0].marker, at(world.stack) + 32);

	make_frame(f5, 5, -1, f4, 0);
	do_walk(MAX_FRAMES);
	CHECK_EQ(walk.count, 4);
	CHECK_EQ(frames[0].marker, 0); /* a call without visible frames sets no marker */
	CHECK_EQ(frames[1].marker, at(world.stack) + 128);
}

static void test_chain_that_bites_its_tail(void)
{
	unsigned char *first = world.chunk + sizeof(struct pln_stack_chunk);

	make_two_calls();
	put(first, pln_layout_3_11.frame.previous, at(first));
	first[pln_layout_3_11.frame.is_entry] = 0;
	do_walk(MAX_FRAMES);
	CHECK(walk.truncated);
	CHECK_EQ(walk.count, MAX_FRAMES);
}

static void test_instruction_of_another_code(void)
{
	make_two_calls();
	put(world.chunk + sizeof(struct pln_stack_chunk), pln_layout_3_11.frame.instr,
	    at(world.code[7]));
	do_walk(MAX_FRAMES);
	CHECK(walk.truncated);
	CHECK_EQ(walk.count, 3);
}

/* ------------------------------------------------------------ shims, 3.13+ */

static void make_shim(unsigned offset, const void *previous)
{
	const struct pln_layout *l = pln_python.layout;

	put(world.stack + offset, l->frame.code, at(&code_type));
	put(world.stack + offset, l->frame.previous, at(previous));
	world.stack[offset + l->frame.owner] = PLN_OWNER_SHIM;
}

static void test_shims(void)
{
	void *f0, *f1, *f2;

	make_world(&shim_layout);
	make_shim(768, NULL);
	f0 = push_frame(0, 5, world.stack + 768);
	make_shim(512, f0);
	make_shim(256, world.stack + 512); /* a call whose frame is gone already */
	f1 = push_frame(1, 6, world.stack + 256);
	f2 = push_frame(2, 7, f1);
	put(world.thread, shim_layout.thread.frame, at(f2) | 0);
	do_walk(MAX_FRAMES);
	CHECK_EQ(walk.count, 3);
	CHECK(!walk.truncated);
	CHECK_EQ(frames[0].marker, 0);
	CHECK_EQ(frames[1].marker, at(world.stack) + 256);
	CHECK_EQ(frames[2].marker, at(world.stack) + 768);

	/* Tag bits of references do not belong to the address. */
	put(f2, shim_layout.frame.code, at(world.code[2]) | 1);
	do_walk(MAX_FRAMES);
	CHECK_EQ(code_of(0), 2);

	/* Left without a shim at its end, the chain was cut. */
	put(f1, shim_layout.frame.previous, 0);
	do_walk(MAX_FRAMES);
	CHECK(walk.truncated);
}

/* ------------------------------------------------------------ 3.10 */

static void make_object_frame(unsigned i, unsigned code, int index, const void *back)
{
	const struct pln_layout *l = &pln_layout_3_10;
	unsigned char *frame = world.heap + i * 128;

	put(frame, l->frame.code, at(world.code[code]));
	put(frame, l->frame.previous, at(back));
	put_int(frame, l->frame.instr, index);
	put(world.thread, l->thread.frame, at(frame));
}

/* Frames 0 (outermost) to 2, CFrames at 768, 512, 256 of the C stack. */
static void make_three_objects(void)
{
	make_world(&pln_layout_3_10);
	make_object_frame(0, 0, 10, NULL);
	make_object_frame(1, 1, 11, world.heap);
	make_object_frame(2, 2, -1, world.heap + 128);
	make_cframe(256, NULL, make_cframe(512, NULL, make_cframe(768, NULL, NULL)));
}

static void check_three_markers(uintptr_t first)
{
	CHECK_EQ(walk.count, 3);
	CHECK_EQ(frames[0].marker, first);
	CHECK_EQ(frames[1].marker, at(world.stack) + 512);
	CHECK_EQ(frames[2].marker, at(world.stack) + 768);
}

static void test_frame_objects(void)
{
	make_three_objects();
	do_walk(MAX_FRAMES);
	check_three_markers(at(world.stack) + 256);
	CHECK_EQ(frames[0].instr, PILLION_NO_INSTR);
	CHECK_EQ(frames[1].instr, 22);

	/* The CFrame is pushed, its frame is not. */
	make_cframe(64, NULL, world.stack + 256);
	do_walk(MAX_FRAMES);
	check_three_markers(at(world.stack) + 256);

	/* The CFrame is popped, its frame is not. */
	put(world.thread, pln_layout_3_10.thread.cframe, at(world.stack) + 512);
	do_walk(MAX_FRAMES);
	check_three_markers(0);

	/* Out of step: better no marker than a wrong one. */
	put(world.thread, pln_layout_3_10.thread.cframe, at(world.stack) + 768);
	do_walk(MAX_FRAMES);
	CHECK_EQ(walk.count, 3);
	CHECK_EQ(frames[0].marker | frames[1].marker | frames[2].marker, 0);
}

/* ------------------------------------------------------------ identity, garbage */

static void test_keys(void)
{
	uint64_t key;

	make_two_calls();
	do_walk(MAX_FRAMES);
	key = frames[0].code;
	CHECK(key != 0 && key != frames[1].code);
	do_walk(MAX_FRAMES);
	CHECK_EQ(frames[0].code, key);
	put_int(world.code[3], pln_layout_3_11.code.first_line, 77); /* another one, same place */
	do_walk(MAX_FRAMES);
	CHECK(frames[0].code != key);
}

static void test_not_this_thread(void)
{
	make_two_calls();
	put(world.thread, pln_layout_3_11.thread.thread_id, 4711);
	do_walk(MAX_FRAMES);
	CHECK(walk.failed);
	CHECK_EQ(walk.count, 0);
}

static uint64_t random_word(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return *seed >> 16;
}

/* A word of garbage: an address of the made-up world more often than not. */
static uintptr_t garbage(uint64_t *seed)
{
	uint64_t word = random_word(seed);

	switch (random_word(seed) % 8) {
	case 0:
		return word;
	case 1:
		return 0;
	case 2:
		return 4096 * (word % 16);
	case 3:
		return at(world.code[word % CODES]) | (word >> 8 & 3);
	default:
		return at(&world) + word % sizeof(world);
	}
}

/* Never a crash, never more than there is room for, never what is no code object. */
static void test_garbage(void)
{
	const struct pln_layout *layouts[] = { &pln_layout_3_11, &pln_layout_3_12, &shim_layout };
	uint64_t seed = 42;
	unsigned bad = 0;

	for (unsigned round = 0; round < 60000; round++) {
		const struct pln_layout *l = layouts[round % 3];

		if (round % 16 < 3) {
			make_world(l);
			put(world.thread, l->thread.chunk_top, at(world.chunk) + ARENA_BYTES);
		} else if (l != pln_python.layout) {
			continue;
		}
		for (unsigned i = 0; i < 64; i++) {
			put(world.chunk, 24 + 8 * (random_word(&seed) % 200), garbage(&seed));
			put(world.stack, 8 * (random_word(&seed) % 100), garbage(&seed));
			put(world.heap, 8 * (random_word(&seed) % 100), garbage(&seed));
		}
		if (pln_has(l->thread.frame))
			put(world.thread, l->thread.frame, garbage(&seed));
		else
			put(world.thread, l->thread.cframe, garbage(&seed));
		do_walk(MAX_FRAMES);
		for (unsigned i = 0; i < walk.count; i++)
			bad += code_of(i) >= CODES;
	}
	CHECK_EQ(bad, 0);
}

int main(void)
{
	if (!pln_checked_read_init())
		return check_skip("process_vm_readv does not work here");
	CHECK(pln_python_codes_init());
	shim_layout = pln_layout_3_12;
	shim_layout.thread.frame = 72;
	shim_layout.thread.cframe = PLN_ABSENT;
	shim_layout.thread.root_cframe = PLN_ABSENT;
	test_two_calls();
	test_no_room();
	test_call_half_set_up();
	test_stale_frame_further_out();
	test_frame_above_the_top();
	test_generator();
	test_generators_again();
	test_generator_without_caller();
	test_incomplete_frames();
	test_chain_that_bites_its_tail();
	test_instruction_of_another_code();
	test_shims();
	test_frame_objects();
	test_keys();
	test_not_this_thread();
	test_garbage();
	return check_result();
}
