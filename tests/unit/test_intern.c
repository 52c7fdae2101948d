/* SPDX-License-Identifier: MIT */
/*
 * Equal keys get equal ids, others get the next one; keys stay where they are while the
 * table grows, and may be of any size and content.
 */
#include <stdlib.h>

#include "check.h"
#include "stacks/intern.h"

static void ids_are_dense_and_stable(void)
{
	struct pln_intern *table = pln_intern_new();
	const void *first;
	bool is_new = false;

	CHECK_EQ(pln_intern_add(table, "a", 1, &is_new), 0);
	CHECK(is_new);
	first = pln_intern_key(table, 0);
	CHECK_EQ(pln_intern_add(table, "a", 1, &is_new), 0);
	CHECK(!is_new);
	for (uint64_t i = 0; i < 200000; i++) {
		CHECK_EQ(pln_intern_add(table, &i, sizeof(i), &is_new), i + 1);
		CHECK(is_new);
	}
	for (uint64_t i = 0; i < 200000; i++) {
		CHECK_EQ(pln_intern_find(table, &i, sizeof(i)), i + 1);
		CHECK_EQ(pln_intern_add(table, &i, sizeof(i), NULL), i + 1);
	}
	CHECK_EQ(pln_intern_count(table), 200001);
	CHECK(pln_intern_key(table, 0) == first && !memcmp(first, "a", 1));
	pln_intern_free(table);
}

static void keys_are_compared_whole(void)
{
	struct pln_intern *table = pln_intern_new();
	char large[20000];

	memset(large, 'x', sizeof(large));
	CHECK_EQ(pln_intern_find(table, "", 0), PLN_NONE);
	CHECK_EQ(pln_intern_add(table, "", 0, NULL), 0);
	CHECK_EQ(pln_intern_add(table, "\0", 1, NULL), 1);
	CHECK_EQ(pln_intern_add(table, "\0\0", 2, NULL), 2);
	CHECK_EQ(pln_intern_add(table, large, sizeof(large), NULL), 3);
	CHECK_EQ(pln_intern_add(table, large, sizeof(large) - 1, NULL), 4);
	large[sizeof(large) - 1] = 'y';
	CHECK_EQ(pln_intern_add(table, large, sizeof(large), NULL), 5);
	CHECK_EQ(pln_intern_find(table, large, sizeof(large)), 5);
	CHECK_EQ(pln_intern_find(table, "z", 1), PLN_NONE);
	CHECK(!memcmp(pln_intern_key(table, 5), large, sizeof(large)));
	pln_intern_free(table);
	pln_intern_free(NULL);
}

static void the_seed_stays(void)
{
	uint64_t seed = pln_intern_seed();

	CHECK(seed != 0);
	CHECK_EQ(pln_intern_seed(), seed);
}

int main(void)
{
	ids_are_dense_and_stable();
	keys_are_compared_whole();
	the_seed_stays();
	return check_result();
}
