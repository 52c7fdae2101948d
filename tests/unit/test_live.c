/* SPDX-License-Identifier: MIT */
/*
 * test_live.c - a block that was added is found once, by whoever frees it, and no other is.
 * Run under ThreadSanitizer too.
 */
#include <pthread.h>
#include <stdlib.h>

#include "check.h"
#include "memory/live.h"

#define INTERVAL (512u << 10)
#define THREADS 4
#define BLOCKS 2000
#define ROUNDS 200

static uintptr_t block_of(unsigned thread, unsigned i)
{
	return ((uintptr_t)(thread + 1) << 32) + (uintptr_t)i * 1616;
}

static void test_found_once(void)
{
	CHECK_EQ(pln_live_remove_sigsafe(4096), 0);
	CHECK(!pln_live_may_hold((void *)4096));
	CHECK(pln_live_add_sigsafe(4096, 7));
	CHECK(pln_live_add_sigsafe(4096 + 16, 8));
	CHECK(pln_live_may_hold((void *)(4096 + 32)));
	CHECK_EQ(pln_live_remove_sigsafe(4096 + 32), 0);
	CHECK_EQ(pln_live_remove_sigsafe(4096), 7);
	CHECK_EQ(pln_live_remove_sigsafe(4096), 0);
	CHECK(pln_live_may_hold((void *)4096));
	CHECK_EQ(pln_live_remove_sigsafe(4096 + 16), 8);
	CHECK(!pln_live_may_hold((void *)4096));
}

/* As many as 10 GiB of heap have at the default interval: few find no place, and those say so. */
static void test_holds_a_large_heap(void)
{
	unsigned count = 20480, refused = 0, lost = 0;
	unsigned char *added = calloc(count, 1);

	for (unsigned i = 0; i < count; i++) {
		added[i] = pln_live_add_sigsafe((uintptr_t)i * INTERVAL + 16, i + 1);
		refused += !added[i];
	}
	CHECK(refused * 1000 < count);
	for (unsigned i = 0; i < count; i++)
		lost += pln_live_remove_sigsafe((uintptr_t)i * INTERVAL + 16) !=
			(added[i] ? i + 1 : 0);
	CHECK_EQ(lost, 0);
	for (unsigned i = 0; i < PLN_LIVE_PAGES; i++)
		if (pln_load_relaxed(&pln_live_on_page[i]))
			lost++;
	CHECK_EQ(lost, 0);
	free(added);
}

struct worker {
	pthread_t thread;
	unsigned number;
	uint64_t wrong;
};

static void *work(void *arg)
{
	struct worker *w = arg;

	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < BLOCKS; i++)
			w->wrong += !pln_live_add_sigsafe(block_of(w->number, i),
							  w->number * BLOCKS + i + 1);
		for (unsigned i = 0; i < BLOCKS; i++)
			w->wrong += !pln_live_may_hold((void *)block_of(w->number, i));
		for (unsigned i = 0; i < BLOCKS; i++)
			w->wrong += pln_live_remove_sigsafe(block_of(w->number, i)) !=
				    w->number * BLOCKS + i + 1;
	}
	return NULL;
}

static void test_many_threads(void)
{
	struct worker workers[THREADS] = { { 0 } };

	for (unsigned i = 0; i < THREADS; i++) {
		workers[i].number = i;
		CHECK(!pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		CHECK_EQ(workers[i].wrong, 0);
	}
}

static void test_forgets(void)
{
	CHECK(pln_live_add_sigsafe(8192, 1));
	pln_live_forget();
	CHECK(!pln_live_may_hold((void *)8192));
	CHECK_EQ(pln_live_remove_sigsafe(8192), 0);
}

int main(void)
{
	CHECK_EQ(pln_live_remove_sigsafe(4096), 0);
	CHECK_EQ(pln_live_init(INTERVAL), 0);
	test_found_once();
	test_holds_a_large_heap();
	test_many_threads();
	test_forgets();
	return check_result();
}
