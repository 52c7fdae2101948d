/* SPDX-License-Identifier: MIT */
/*
 * test_mappings.c - what is mapped is counted once, and told of once when it goes, whatever the
 * pieces are that the calls come in. The kernel is played: no address here is memory.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "burst/burst.h"
#include "check.h"
#include "memory/counters.h"
#include "memory/mappings.h"
#include "sampling/announce.h"
#include "segment.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

#define PAGE ((size_t)4096)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)
#define BASE ((char *)(1ul << 32))
#define THREADS 4
#ifdef __SANITIZE_THREAD__ /* slow, and sees a race that did not happen */
#define ROUNDS 500
#else
#define ROUNDS 20000
#endif
#define PAGES 16u /* of a mapping that threads share */
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)

/* ------------------------------------------------ what the file stands on */

static struct pln_segment segment;
static _Atomic uint64_t alloc_bytes, free_bytes, told;
static bool samples; /* each mapping is one: its id is its address's page */
static bool kernel_refuses;
static void (*in_kernel)(void); /* what happens while munmap is there */
static char *kernel_gives; /* where no place is asked for */
static void *kernel_was_told; /* mremap's last argument */

struct pln_segment *pln_segment = &segment;
struct pln_segment_own pln_segment_own;
uint8_t pln_memory_mode = PLN_MEMORY_FAST;

bool pln_segment_is_ours_sigsafe(void)
{
	return true;
}

bool pln_burst_chunk_retire(uintptr_t address, size_t size)
{
	(void)address;
	(void)size;
	return false;
}

void pln_announce_note(uint32_t level, const char *text)
{
	(void)level;
	(void)text;
}

static uint64_t id_of(const void *p)
{
	return (uintptr_t)p / PAGE;
}

void *pln_memory_count_block(void *p, uint64_t size, enum pln_block_kind kind)
{
	CHECK_EQ(kind, PILLION_BLOCK_MAPPING);
	pln_add_relaxed(&alloc_bytes, size);
	if (samples)
		CHECK(pln_mapping_follow_sigsafe((uintptr_t)p, id_of(p)));
	return p;
}

void pln_memory_count_free(enum pln_heap_class heap, uint64_t size)
{
	(void)heap;
	pln_add_relaxed(&free_bytes, size);
}

/* The sum of all ids: each is told once. */
void pln_memory_tell_free(uint64_t id)
{
	pln_add_relaxed(&told, id);
}

static void *real_mmap(void *hint, size_t size, int prot, int flags, int fd, off_t offset)
{
	(void)size;
	(void)prot;
	(void)fd;
	(void)offset;
	if (kernel_refuses)
		return MAP_FAILED;
	return flags & MAP_FIXED ? hint : kernel_gives;
}

static int real_munmap(void *address, size_t size)
{
	(void)address;
	(void)size;
	if (in_kernel)
		in_kernel();
	return kernel_refuses ? -1 : 0;
}

static void *real_mremap(void *address, size_t old_size, size_t size, int flags, ...)
{
	va_list arguments;

	(void)address;
	(void)old_size;
	(void)size;
	va_start(arguments, flags);
	kernel_was_told = va_arg(arguments, void *);
	va_end(arguments);
	if (kernel_refuses)
		return MAP_FAILED;
	return flags & MREMAP_FIXED ? kernel_was_told : kernel_gives;
}

struct pln_real pln_real = { .mmap = real_mmap, .munmap = real_munmap, .mremap = real_mremap };

/* -------------------------------------------------------------------- tests */

static void begin(bool sampled)
{
	pln_store_relaxed(&alloc_bytes, 0);
	pln_store_relaxed(&free_bytes, 0);
	pln_store_relaxed(&told, 0);
	samples = sampled;
	kernel_refuses = false;
	kernel_gives = NULL;
}

static void commit(char *at, size_t size)
{
	CHECK(mmap(at, size, PROT_READ | PROT_WRITE, ANONYMOUS | MAP_FIXED, -1, 0) == at);
}

static void reserve(char *at, size_t size)
{
	CHECK(mmap(at, size, PROT_NONE, ANONYMOUS | MAP_FIXED, -1, 0) == at);
}

static void release(char *at, size_t size)
{
	CHECK(!munmap(at, size));
}

static void check_freed(uint64_t bytes, uint64_t ids)
{
	CHECK_EQ(pln_load_relaxed(&free_bytes), bytes);
	CHECK_EQ(pln_load_relaxed(&told), ids);
}

/* An arena commits pieces of its reservation, and gives all of them back by one call. */
static void test_one_call_ends_many_samples(void)
{
	for (int by_reserving = 0; by_reserving < 2; by_reserving++) {
		uint64_t ids = 0;

		begin(true);
		reserve(BASE, GIB);
		for (char *p = BASE; p < BASE + 100 * MIB; p += 2 * MIB) {
			commit(p, MIB);
			ids += id_of(p);
		}
		check_freed(0, 0);
		if (by_reserving)
			reserve(BASE, GIB);
		else
			release(BASE, GIB);
		check_freed(50 * MIB, ids);
		release(BASE, GIB);
		check_freed(50 * MIB, ids);
	}
}

/* The last of a sample's bytes ends it: a piece at its front does not. */
static void test_a_part_ends_no_sample(void)
{
	begin(true);
	commit(BASE, MIB);
	commit(BASE + MIB, MIB);
	release(BASE + MIB / 2, MIB);
	check_freed(MIB, 0);
	release(BASE, 2 * MIB);
	check_freed(2 * MIB, id_of(BASE) + id_of(BASE + MIB));
}

static void fail_over(char *at, size_t size)
{
	kernel_refuses = true;
	CHECK(mmap(at, size, PROT_READ, MAP_PRIVATE | MAP_FIXED, 999, 0) == MAP_FAILED);
	CHECK(munmap(at, size) == -1);
	CHECK(mremap(at, size, 2 * size, 0) == MAP_FAILED);
	CHECK(mremap(BASE + 2 * GIB, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, at) == MAP_FAILED);
	kernel_refuses = false;
	check_freed(0, 0);
}

/* What was not counted before it is not counted after it. */
static void test_a_failed_call_takes_nothing_and_brings_nothing(void)
{
	begin(true);
	reserve(BASE, GIB);
	commit(BASE + MIB, 64 * 1024);
	fail_over(BASE, GIB);
	release(BASE, GIB);
	check_freed(64 * 1024, id_of(BASE + MIB));
}

static void test_a_failed_call_leaves_each_sample_its_own(void)
{
	begin(true);
	commit(BASE, MIB);
	commit(BASE + 4 * MIB, MIB);
	fail_over(BASE, GIB);
	release(BASE, 2 * MIB);
	check_freed(MIB, id_of(BASE));
	release(BASE, GIB);
	check_freed(2 * MIB, id_of(BASE) + id_of(BASE + 4 * MIB));
}

/* In the middle of one, over the ends of two. */
static void test_a_failed_call_over_parts(void)
{
	begin(false);
	commit(BASE, 10 * PAGE);
	commit(BASE + 20 * PAGE, 10 * PAGE);
	fail_over(BASE + 2 * PAGE, PAGE);
	fail_over(BASE + 5 * PAGE, 20 * PAGE);
	release(BASE + 10 * PAGE, 10 * PAGE);
	check_freed(0, 0);
	release(BASE + 2 * PAGE, PAGE);
	check_freed(PAGE, 0);
	release(BASE + 8 * PAGE, 14 * PAGE);
	check_freed(5 * PAGE, 0);
	release(BASE, 30 * PAGE);
	check_freed(20 * PAGE, 0);
}

/* The old range stays mapped: it is a mapping without pages, as a new one is. */
static void test_a_move_that_unmaps_nothing(void)
{
	char *to = BASE + GIB, *hint = BASE + 2 * GIB;

	begin(true);
	commit(BASE, MIB);
	commit(hint, MIB);
	kernel_gives = to;
	CHECK(mremap(BASE, MIB, MIB, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, hint) == to);
	CHECK(kernel_was_told == hint);
	CHECK_EQ(pln_load_relaxed(&alloc_bytes), 3 * MIB);
	check_freed(0, 0);
	/* There it takes the place of another one. */
	CHECK(mremap(to, MIB, MIB, MREMAP_MAYMOVE | MREMAP_DONTUNMAP | MREMAP_FIXED, hint) == hint);
	check_freed(MIB, id_of(hint));
	kernel_refuses = true;
	CHECK(mremap(to, MIB, MIB, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, hint) == MAP_FAILED);
	kernel_refuses = false;
	check_freed(MIB, id_of(hint));
	release(BASE, 3 * GIB);
	check_freed(4 * MIB, id_of(BASE) + id_of(to) + 2 * id_of(hint));
	CHECK_EQ(pln_load_relaxed(&alloc_bytes), 4 * MIB);
	/* What was not counted where it was is not where it is. */
	CHECK(mremap(BASE, MIB, MIB, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL) == to);
	CHECK_EQ(pln_load_relaxed(&alloc_bytes), 4 * MIB);
}

static void have_child(void)
{
	pid_t pid = fork();
	int status = -1;

	in_kernel = NULL;
	if (!pid) {
		pln_mappings_forget_samples();
		release(BASE, 2 * PAGE);
		check_freed(2 * PAGE, 0);
		_exit(check_failed > 0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

/* While another thread unmaps it: the child has it still. */
static void test_a_child_has_what_is_about_to_go(void)
{
	begin(true);
	commit(BASE, PAGE);
	commit(BASE + PAGE, PAGE);
	in_kernel = have_child;
	release(BASE, 2 * PAGE);
	check_freed(2 * PAGE, id_of(BASE) + id_of(BASE + PAGE));
}

/* ----------------------------------------------- pieces of one, by several */

static _Atomic unsigned ready, done; /* threads, summed over rounds */

static void wait_for(_Atomic unsigned *count, unsigned value)
{
	while (pln_load_acquire(count) < value)
		sched_yield();
}

static void add_one(_Atomic unsigned *count)
{
	unsigned seen = pln_load_relaxed(count);

	while (!pln_cas_release(count, &seen, seen + 1))
		;
}

struct worker {
	pthread_t thread;
	unsigned number;
	unsigned rounds;
	bool from_ends; /* else from the middle: what is left is more and more entries */
};

static uint64_t lost(void)
{
	return pln_load_relaxed(&segment.drops[PILLION_DROP_FREE_LOST]);
}

/* Each thread unmaps pages of its own. */
static void unmap_own(const struct worker *w)
{
	for (unsigned i = w->number; i < PAGES && !w->from_ends; i += THREADS)
		munmap(BASE + i * PAGE, PAGE);
	for (unsigned i = 0; i < PAGES / 2 && w->from_ends && w->number < 2; i++)
		munmap(BASE + (w->number ? PAGES - 1 - i : i) * PAGE, PAGE);
}

static void *work(void *arg)
{
	const struct worker *w = arg;

	for (unsigned round = 1; round <= w->rounds; round++) {
		add_one(&ready);
		wait_for(&ready, round * (THREADS + 1));
		unmap_own(w);
		add_one(&done);
	}
	return NULL;
}

static void check_round(unsigned round)
{
	uint64_t lost_before = lost();

	begin(false);
	commit(BASE, PAGES * PAGE);
	add_one(&ready);
	wait_for(&done, round * THREADS);
	if (lost() == lost_before)
		CHECK_EQ(pln_load_relaxed(&free_bytes), PAGES * PAGE);
	release(BASE, PAGES * PAGE);
	/* Late, maybe, but all of it. */
	CHECK_EQ(pln_load_relaxed(&free_bytes), PAGES * PAGE);
}

static void check_threads(unsigned rounds, bool from_ends)
{
	struct worker workers[THREADS];
	uint64_t lost_before = lost();

	pln_store_relaxed(&ready, 0);
	pln_store_relaxed(&done, 0);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] =
			(struct worker){ .number = i, .rounds = rounds, .from_ends = from_ends };
		CHECK(!pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	}
	for (unsigned round = 1; round <= rounds; round++)
		check_round(round);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	CHECK(lost() - lost_before < rounds / 100);
}

static void test_threads_unmap_parts_of_one(void)
{
	check_threads(ROUNDS, false);
	check_threads(5 * ROUNDS, true);
}

static void on_alarm(int signo)
{
	(void)signo;
	munmap(BASE, PAGE);
}

/*
 * A handler may find that its own thread has the entry: it waits a while, as it cannot know, and
 * says that it has lost something.
 */
static void test_a_handler_does_not_wait_for_ever(void)
{
	struct itimerval often = { { 0, 50 }, { 0, 50 } }, never = { { 0, 0 }, { 0, 0 } };
	struct sigaction action = { .sa_handler = on_alarm };

	begin(false);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (unsigned round = 0; round < 50 * ROUNDS; round++) {
		commit(BASE, 2 * PAGE);
		munmap(BASE + PAGE, PAGE);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	release(BASE, 2 * PAGE);
	CHECK_EQ(pln_load_relaxed(&free_bytes), pln_load_relaxed(&alloc_bytes));
}

int main(void)
{
	test_one_call_ends_many_samples();
	test_a_part_ends_no_sample();
	test_a_failed_call_takes_nothing_and_brings_nothing();
	test_a_failed_call_leaves_each_sample_its_own();
	test_a_failed_call_over_parts();
	test_a_move_that_unmaps_nothing();
	test_a_child_has_what_is_about_to_go();
	test_threads_unmap_parts_of_one();
	test_a_handler_does_not_wait_for_ever();
	return check_result();
}
