/* SPDX-License-Identifier: MIT */
/*
 * Each thing is in the group that it says, in its own order there; one that names no group is in
 * none, and a group that nothing names is empty.
 */
#include "check.h"
#include "profile/groups.h"

static uint32_t group_of(size_t thing, const void *arg)
{
	return ((const uint32_t *)arg)[thing];
}

static void check_group(const struct pln_groups *g, uint32_t group, const uint32_t *expected,
			size_t count)
{
	const uint32_t *items;

	if (!CHECK_EQ(pln_groups_of(g, group, &items), count))
		return;
	for (size_t i = 0; i < count; i++)
		CHECK_EQ(items[i], expected[i]);
}

static void test_things_are_with_their_own(void)
{
	static const uint32_t groups[] = { 2, 0, 4, 2, 0, UINT32_MAX, 2, 3 };
	static const uint32_t of_0[] = { 1, 4 }, of_2[] = { 0, 3, 6 }, of_3[] = { 7 };
	struct pln_groups g = { 0 };

	CHECK_EQ(pln_groups_make(&g, 4, 8, group_of, groups), 0);
	check_group(&g, 0, of_0, 2);
	check_group(&g, 1, NULL, 0);
	check_group(&g, 2, of_2, 3);
	check_group(&g, 3, of_3, 1);
	check_group(&g, 4, NULL, 0);
	check_group(&g, UINT32_MAX, NULL, 0);
	pln_groups_free(&g);
	check_group(&g, 0, NULL, 0);
}

static void test_nothing(void)
{
	static const uint32_t groups[] = { 0, 1 };
	struct pln_groups g = { 0 };

	CHECK_EQ(pln_groups_make(&g, 0, 2, group_of, groups), 0);
	check_group(&g, 0, NULL, 0);
	pln_groups_free(&g);
	CHECK_EQ(pln_groups_make(&g, 2, 0, group_of, groups), 0);
	check_group(&g, 0, NULL, 0);
	check_group(&g, 1, NULL, 0);
	pln_groups_free(&g);
}

int main(void)
{
	test_things_are_with_their_own();
	test_nothing();
	return check_result();
}
