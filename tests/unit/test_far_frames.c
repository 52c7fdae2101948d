/* SPDX-License-Identifier: MIT */
/*
 * test_far_frames.c - copies of frames say what is in memory at the time of the walk,
 * whatever walks before it have seen, and wherever the frames lie.
 */
#include <string.h>
#include <sys/mman.h>

#include "check.h"
#include "checked_read.h"
#include "python/far_frames.h"

#define PAGE 4096ul
#define PAGES 24
#define SIZE 88
#define THREAD 0x7f0012345680ul

static unsigned char *memory;

static void fill(unsigned char with)
{
	for (unsigned i = 0; i < PAGES * PAGE; i++)
		memory[i] = (unsigned char)(with + i * 7 + i / PAGE);
}

static bool is_right(struct pln_far_frames *far, size_t offset)
{
	const unsigned char *bytes = pln_far_frame_sigsafe(far, (uintptr_t)memory + offset);

	return bytes && memcmp(bytes, memory + offset, SIZE) == 0;
}

/* One walk through `count` frames, `step` apart. Returns how many were as they should be. */
static unsigned walk(unsigned count, size_t step)
{
	struct pln_far_frames far;
	unsigned right = 0;

	pln_far_frames_begin_sigsafe(&far, THREAD, SIZE);
	for (unsigned i = 0; i < count; i++)
		right += is_right(&far, i * step);
	pln_far_frames_end_sigsafe(&far);
	return right;
}

/* Every distance: some frames lie in two pages; more pages than are kept. */
static void finds_them_wherever_they_lie(void)
{
	for (size_t step = 8; step < 2 * PAGE; step += step / 16 * 8 + 8) {
		unsigned count = (unsigned)((PAGES * PAGE - SIZE) / step);

		fill((unsigned char)step);
		CHECK_EQ(walk(count, step), count);
		fill((unsigned char)(step +
				     1)); /* where to look is the same, what is there is not */
		CHECK_EQ(walk(count, step), count);
		CHECK_EQ(walk(count / 3, step), count / 3);
	}
}

static void asks_again_for_what_was_pushed_out(void)
{
	struct pln_far_frames far;

	pln_far_frames_begin_sigsafe(&far, THREAD, SIZE);
	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < PAGES; i++)
			CHECK(is_right(&far, i * PAGE + round * SIZE));
	pln_far_frames_end_sigsafe(&far);
}

/* What the last walk went through is no longer there. */
static void survives_memory_that_went(void)
{
	struct pln_far_frames far;

	CHECK_EQ(walk(PAGES, PAGE), PAGES);
	CHECK(!munmap(memory + 10 * PAGE, PAGE));
	pln_far_frames_begin_sigsafe(&far, THREAD, SIZE);
	for (unsigned i = 0; i < PAGES; i++) {
		if (i == 10)
			CHECK(!pln_far_frame_sigsafe(&far, (uintptr_t)memory + i * PAGE));
		else
			CHECK(is_right(&far, i * PAGE));
	}
	/* Half of it is there. */
	CHECK(!pln_far_frame_sigsafe(&far, (uintptr_t)memory + 10 * PAGE - 8));
	CHECK(is_right(&far, 10 * PAGE - SIZE));
	pln_far_frames_end_sigsafe(&far);
	CHECK(mmap(memory + 10 * PAGE, PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == memory + 10 * PAGE);
}

/* More walks at one moment than there is room for: the rest does it one by one. */
static void does_without_room(void)
{
	static struct pln_far_frames fars[12];

	for (unsigned i = 0; i < 12; i++) {
		pln_far_frames_begin_sigsafe(&fars[i], THREAD + i * 4096, SIZE);
		for (unsigned frame = 0; frame < 40; frame++)
			CHECK(is_right(&fars[i], frame * 128));
	}
	CHECK(fars[0].pages && !fars[11].pages);
	for (unsigned i = 0; i < 12; i++)
		pln_far_frames_end_sigsafe(&fars[i]);
	pln_far_frames_begin_sigsafe(&fars[0], THREAD, SIZE);
	for (unsigned frame = 0; frame < 40; frame++)
		CHECK(is_right(&fars[0], frame * 128));
	CHECK(fars[0].pages); /* given back */
	pln_far_frames_after_fork();
	pln_far_frames_end_sigsafe(&fars[0]);
}

int main(void)
{
	if (!pln_checked_read_init())
		return check_skip("memory cannot be read by a system call here");
	memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	CHECK(memory != MAP_FAILED);
	finds_them_wherever_they_lie();
	asks_again_for_what_was_pushed_out();
	survives_memory_that_went();
	does_without_room();
	return check_result();
}
