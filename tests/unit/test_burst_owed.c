/* SPDX-License-Identifier: MIT */
/*
 * The time of a look goes to the next whole stack of its own kind, and to no other: what
 * seldom holds weighs as much more when it does. Nothing is lost, and nothing comes twice.
 */
#include "burst/burst_i.h"
#include "check.h"

#define SECOND_NS 1000000000ull

static uint32_t find(uint32_t thread, uintptr_t code, uint64_t instr)
{
	return pln_burst_owed_find(thread, &(struct pln_burst_step){ code, instr });
}

static uint64_t given_ns[4]; /* by cell */

void pln_burst_table_give(uint32_t cell, uint64_t cpu_ns)
{
	given_ns[cell] += cpu_ns;
}

static uint64_t take(uint32_t debt)
{
	uint64_t cpu_ns, wait_ns;

	pln_burst_owed_take(debt, &cpu_ns, &wait_ns);
	return cpu_ns + wait_ns;
}

static void test_what_is_owed_is_taken_once_and_by_its_own_kind(void)
{
	uint64_t cpu_ns, wait_ns;

	pln_burst_owed_reset();
	pln_burst_owed_add(find(1, 64, 8), 10, 1);
	pln_burst_owed_add(find(1, 64, 8), 20, 2);
	pln_burst_owed_add(find(1, 64, 10), 5, 0);
	pln_burst_owed_add(find(2, 64, 8), 7, 0);
	pln_burst_owed_add(find(1, 128, 8), 9, 0);
	CHECK_EQ(pln_burst_owed_ns(), 54);
	pln_burst_owed_take(find(1, 64, 8), &cpu_ns, &wait_ns);
	CHECK_EQ(cpu_ns, 30);
	CHECK_EQ(wait_ns, 3);
	CHECK_EQ(take(find(1, 64, 8)), 0);
	CHECK_EQ(take(find(2, 64, 8)), 7);
	CHECK_EQ(pln_burst_owed_ns(), 14);
}

static void test_what_is_not_taken_for_long_goes_to_the_code_object(void)
{
	pln_burst_owed_reset();
	pln_burst_owed_add(find(1, 64, 8), 10, 0);
	CHECK_EQ(take(find(1, 64, 10)), 0);
	pln_burst_owed_settle(SECOND_NS);
	CHECK_EQ(take(find(2, 64, 10)), 0);
	CHECK_EQ(take(find(1, 128, 8)), 0);
	CHECK_EQ(take(find(1, 64, 10)), 10);
	CHECK_EQ(pln_burst_owed_ns(), 0);
}

static void test_what_is_taken_now_and_then_stays_where_it_is(void)
{
	pln_burst_owed_reset();
	CHECK_EQ(take(find(1, 64, 8)), 0);
	pln_burst_owed_add(find(1, 64, 8), 10, 0);
	pln_burst_owed_settle(SECOND_NS);
	CHECK_EQ(take(find(1, 64, 10)), 0);
	CHECK_EQ(take(find(1, 64, 8)), 10);
}

static void test_slices_that_are_close_settle_nothing(void)
{
	pln_burst_owed_reset();
	pln_burst_owed_settle(SECOND_NS);
	pln_burst_owed_add(find(1, 64, 8), 10, 0);
	pln_burst_owed_settle(SECOND_NS + 1000);
	CHECK_EQ(take(find(1, 64, 10)), 0);
}

/* Each look is of one of many kinds; one kind in four is ever seen whole. */
static void test_every_nanosecond_is_taken_or_owed(void)
{
	uint64_t given = 0, taken = 0, refused = 0;

	pln_burst_owed_reset();
	for (uint64_t i = 1; i <= 200000; i++) {
		uint32_t debt = find(1, i * 7919 % 5000 * 16, i % 3);

		if (!debt) {
			refused++;
		} else {
			pln_burst_owed_add(debt, i % 11, i % 5);
			given += i % 11 + i % 5;
			taken += i % 4 ? 0 : take(debt);
		}
		if (i % 1000 == 0)
			pln_burst_owed_settle(i * 1000000);
	}
	CHECK_EQ(given, taken + pln_burst_owed_ns());
	CHECK_EQ(refused, 0);
	CHECK(taken > given / 8);
	for (uint64_t i = 0; i < 15000; i++) {
		taken += take(find(1, i / 3 * 16, i % 3));
		if (i % 1000 == 0)
			pln_burst_owed_settle((300000 + i) * 1000000);
	}
	CHECK_EQ(given, taken);
	CHECK_EQ(pln_burst_owed_ns(), 0);
}

static void test_without_room_nobody_is_owed_until_it_is_settled(void)
{
	uint32_t refused = 0;

	pln_burst_owed_reset();
	for (uintptr_t i = 1; i <= 20000; i++)
		refused += !find(1, i * 16, 0);
	CHECK(refused > 0);
	pln_burst_owed_settle(1);
	CHECK(find(1, 20000 * 16, 0) != 0);
}

static void test_what_ran_unseen_is_shared_by_all_stacks_of_the_thread(void)
{
	const uint64_t ms = 1000000;
	uint32_t first, second;

	pln_burst_owed_reset();
	CHECK_EQ(pln_burst_owed_find_shared(1, false), 0);
	CHECK_EQ(pln_burst_owed_take_share(0, 0, ms), 0);
	first = pln_burst_owed_find_shared(1, true);
	second = pln_burst_owed_find_shared(2, true);
	pln_burst_owed_add_shared(first, 40 * ms);
	CHECK_EQ(pln_burst_owed_ns(), 40 * ms);
	CHECK_EQ(take(find(1, 64, 8)), 0);
	CHECK_EQ(take(find(1, 0, 0)), 0); /* a stack without frames is no taker of all */
	CHECK_EQ(pln_burst_owed_take_share(second, 0, ms), 0);
	CHECK_EQ(pln_burst_owed_take_share(first, 0, ms), 20 * ms);
	CHECK_EQ(pln_burst_owed_take_share(first, 0, 0), 0);
	pln_burst_owed_settle(SECOND_NS);
	first = pln_burst_owed_find_shared(1, false);
	CHECK_EQ(pln_burst_owed_take_share(first, 0, ms), 10 * ms);
	CHECK_EQ(pln_burst_owed_take_share(first, 0, 100 * ms), 10 * ms);
	CHECK_EQ(pln_burst_owed_ns(), 0);
	CHECK_EQ(pln_burst_owed_find_shared(1, false), 0);
}

static void test_the_last_stack_of_a_thread_has_what_is_left_to_share(void)
{
	const uint64_t ms = 1000000;
	uint32_t debt;

	pln_burst_owed_reset();
	debt = pln_burst_owed_find_shared(1, true);
	pln_burst_owed_add_shared(debt, 40 * ms);
	CHECK_EQ(pln_burst_owed_take_share(debt, 3, ms), 20 * ms);
	pln_burst_owed_settle(SECOND_NS); /* it was seen since the last time */
	CHECK_EQ(given_ns[3], 0);
	pln_burst_owed_settle(2 * SECOND_NS);
	CHECK_EQ(given_ns[3], 20 * ms);
	CHECK_EQ(pln_burst_owed_ns(), 0);
	CHECK_EQ(pln_burst_owed_find_shared(1, false), 0);
}

static void test_crumbs_are_not_shared_for_ever(void)
{
	uint32_t debt;

	pln_burst_owed_reset();
	debt = pln_burst_owed_find_shared(1, true);
	pln_burst_owed_add_shared(debt, 9000);
	CHECK_EQ(pln_burst_owed_take_share(debt, 0, 100), 9000);
	CHECK_EQ(pln_burst_owed_find_shared(1, false), 0);
}

int main(void)
{
	test_what_is_owed_is_taken_once_and_by_its_own_kind();
	test_what_is_not_taken_for_long_goes_to_the_code_object();
	test_what_is_taken_now_and_then_stays_where_it_is();
	test_slices_that_are_close_settle_nothing();
	test_every_nanosecond_is_taken_or_owed();
	test_without_room_nobody_is_owed_until_it_is_settled();
	test_what_ran_unseen_is_shared_by_all_stacks_of_the_thread();
	test_the_last_stack_of_a_thread_has_what_is_left_to_share();
	test_crumbs_are_not_shared_for_ever();
	return check_result();
}
