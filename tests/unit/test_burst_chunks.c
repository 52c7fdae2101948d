/* SPDX-License-Identifier: MIT */
/*
 * Chunks of the data stack: one that is being looked at is not unmapped by the interpreter,
 * but by the sampling thread afterwards; one that is not, is unmapped at once. Pages of the
 * mirror may go at any time.
 */
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "burst/burst.h"
#include "burst/burst_i.h"
#include "check.h"
#include "checked_read.h"
#include "memory/real.h"
#include "segment.h"

#define CHUNK 16384u

struct pln_segment *pln_segment;
struct pln_real pln_real = { .munmap = munmap };

/* The chunks ask whether the process is the one that is sampled. */
static bool ours = true;

bool pln_segment_is_ours_sigsafe(void)
{
	return ours;
}

/* As the interposed munmap() does. */
static int unmap(uintptr_t chunk)
{
	return pln_burst_chunk_retire(chunk, CHUNK) ? 0 : munmap((void *)chunk, CHUNK);
}

static uintptr_t new_chunk(void)
{
	struct pln_stack_chunk *chunk =
		mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(chunk != MAP_FAILED);
	chunk->size = CHUNK;
	return (uintptr_t)chunk;
}

static bool is_mapped(uintptr_t address)
{
	char byte;

	return pln_checked_read_sigsafe(address, &byte, 1);
}

static bool is_known(uintptr_t address)
{
	struct pln_burst_window window = { 0 };
	bool known = pln_burst_chunk_find(address, &window);

	CHECK(!known || (window.lo == address && window.hi == address + CHUNK));
	return known;
}

static void test_what_is_looked_at_stays(void)
{
	uintptr_t chunk = new_chunk();

	pln_burst_chunk_learn(chunk);
	CHECK(is_known(chunk));
	pln_burst_chunks_enter();
	CHECK(unmap(chunk) == 0);
	CHECK(is_mapped(chunk) && !is_known(chunk));
	pln_burst_chunks_leave();
	CHECK(!is_mapped(chunk));
}

static void test_what_is_not_looked_at_goes_at_once(void)
{
	uintptr_t known = new_chunk(), unknown = new_chunk();

	pln_burst_chunk_learn(known);
	CHECK(unmap(known) == 0);
	CHECK(!is_mapped(known) && !is_known(known));
	pln_burst_chunks_enter();
	CHECK(unmap(unknown) == 0);
	CHECK(!is_mapped(unknown));
	pln_burst_chunks_leave();
}

static void test_more_than_can_be_handed_over_is_kept_or_waited_for(void)
{
	uintptr_t chunks[100];

	for (unsigned i = 0; i < 100; i++) {
		chunks[i] = new_chunk();
		pln_burst_chunk_learn(chunks[i]);
	}
	pln_burst_chunks_enter();
	for (unsigned i = 0; i < 100; i++) {
		bool known = is_known(chunks[i]); /* two may want one place */

		CHECK(unmap(chunks[i]) == 0);
		CHECK(is_mapped(chunks[i]) == known);
	}
	pln_burst_chunks_leave();
}

static void test_no_chunk_is_learned_where_there_is_none(void)
{
	uintptr_t chunk = new_chunk();

	pln_burst_chunk_learn(0);
	pln_burst_chunk_learn(chunk + 16); /* in the middle of a heap */
	CHECK(!is_known(chunk + 16));
	((struct pln_stack_chunk *)chunk)->size = 123;
	pln_burst_chunk_learn(chunk);
	CHECK(!is_known(chunk));
	((struct pln_stack_chunk *)chunk)->size = 16 * CHUNK; /* longer than it is */
	mprotect((void *)(chunk + CHUNK - 4096), 4096, PROT_NONE);
	CHECK(unmap(chunk) == 0);
	pln_burst_chunk_learn(chunk);
	CHECK(!is_known(chunk));
}

static void test_a_forked_child_unmaps_for_itself(void)
{
	uintptr_t chunk = new_chunk();

	pln_burst_chunk_learn(chunk);
	pln_burst_chunks_enter();
	ours = false;
	CHECK(unmap(chunk) == 0);
	CHECK(!is_mapped(chunk));
	ours = true;
	pln_burst_chunks_reset();
	CHECK(!is_known(chunk));
}

/* ---------------------------------------------------------- at once */

static uintptr_t list[2]; /* the head, changed by the one and read by the other */
static _Atomic uint32_t over;

static void *push_and_pop(void *unused)
{
	(void)unused;
	for (unsigned i = 0; i < 20000; i++) {
		uintptr_t chunk = new_chunk();

		__atomic_store_n(&list[0], chunk, __ATOMIC_RELAXED);
		for (unsigned frames = 0; frames < 2000; frames++)
			((volatile char *)chunk)[CHUNK / 2] = 0;
		__atomic_store_n(&list[0], 0, __ATOMIC_RELAXED);
		unmap(chunk);
	}
	pln_store_release(&over, 1);
	return NULL;
}

/* As walk.c does: a fault would end the test. */
static void test_reading_in_place_never_faults(void)
{
	struct pln_burst_window window;
	uint64_t looks = 0, sum = 0;
	pthread_t thread;

	CHECK(!pthread_create(&thread, NULL, push_and_pop, NULL));
	while (!pln_load_acquire(&over)) {
		uintptr_t chunk;

		pln_burst_chunks_enter();
		chunk = __atomic_load_n(&list[0], __ATOMIC_RELAXED);
		if (pln_burst_chunk_find(chunk, &window)) {
			sum += *(volatile uint64_t *)(window.lo + 8);
			sum += *(volatile uint64_t *)(window.hi - 8);
			looks++;
		}
		pln_burst_chunks_leave();
		pln_burst_chunk_learn(chunk);
	}
	pthread_join(thread, NULL);
	CHECK(looks > 0);
	CHECK_EQ(sum, looks * CHUNK);
}

static void test_the_mirror_forgets_pages_that_are_gone(void)
{
	char *pages =
		mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uintptr_t at = (uintptr_t)pages;
	const unsigned char *copy;

	memset(pages, 'a', 3 * 4096);
	CHECK(*pln_burst_mirror_peek(at, 8) == 'a');
	copy = pln_burst_mirror_peek(at + 2 * 4096 - 4, 8); /* over the edge of two */
	CHECK(copy && copy[0] == 'a' && copy[7] == 'a');
	memset(pages, 'b', 3 * 4096);
	CHECK(*pln_burst_mirror_peek(at, 8) == 'a');
	pln_burst_mirror_refresh();
	CHECK(*pln_burst_mirror_peek(at, 8) == 'b');
	munmap(pages + 4096, 4096);
	pln_burst_mirror_refresh();
	CHECK(*pln_burst_mirror_peek(at, 8) == 'b' && *pln_burst_mirror_peek(at + 8192, 8) == 'b');
	CHECK(!pln_burst_mirror_peek(at + 4096, 8) && !pln_burst_mirror_peek(at + 4092, 8));
	CHECK(!pln_burst_mirror_peek(0, 8) && !pln_burst_mirror_peek(~0ul - 7, 8));
	for (unsigned i = 0; i < 1000; i++) /* more pages than it holds */
		CHECK(pln_burst_mirror_peek(
			(uintptr_t)&pln_burst_mirror_peek / 4096 * 4096 + i % 2 * 8, 8));
}

int main(void)
{
	if (!pln_checked_read_init())
		return check_skip("memory cannot be read by a system call here");
	pln_burst_chunks_begin();
	test_what_is_looked_at_stays();
	test_what_is_not_looked_at_goes_at_once();
	test_more_than_can_be_handed_over_is_kept_or_waited_for();
	test_no_chunk_is_learned_where_there_is_none();
	test_a_forked_child_unmaps_for_itself();
	test_reading_in_place_never_faults();
	test_the_mirror_forgets_pages_that_are_gone();
	return check_result();
}
