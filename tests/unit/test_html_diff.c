/* SPDX-License-Identifier: MIT */
/*
 * The calls of two profiles as one tree: what is spent in all calls of a function is what the
 * diff says of it, on both sides, whatever is put together; and what one side alone has is there.
 * What a browser makes of it, is tests/e2e/test_html_diff.py.
 */
#include "check.h"
#include "tiny_profile.h"

#include <errno.h>

#include "html/diff_calls.h"
#include "html/html.h"

/* A: the first process alone; B: all of the same profile. */
struct made {
	struct pln_profile *profile[PLN_DIFF_SIDES];
	struct pln_report report[PLN_DIFF_SIDES];
	struct pln_diff diff;
};

static void make(struct made *m, enum pln_view view)
{
	const struct pln_diff_options options = { .limit = 0 };

	for (unsigned side = 0; side < PLN_DIFF_SIDES; side++) {
		const struct pln_report_options what = {
			.view = view,
			.filter = { .processes = side == PLN_DIFF_A ? "100" : NULL },
		};

		m->profile[side] = tiny_open(true);
		if (!CHECK(m->profile[side] != NULL))
			exit(1);
		CHECK_EQ(
			pln_report_build(&m->report[side], m->profile[side], "tiny.pillion", &what),
			0);
	}
	CHECK_EQ(pln_diff_build(&m->diff, &m->report[PLN_DIFF_A], &m->report[PLN_DIFF_B], &options),
		 0);
}

static void unmake(struct made *m)
{
	pln_diff_free(&m->diff);
	for (unsigned side = 0; side < PLN_DIFF_SIDES; side++) {
		pln_report_free(&m->report[side]);
		pln_profile_close(m->profile[side]);
	}
}

/* By call of the page: what is in it with all below. */
static uint64_t *totals_of(const struct pln_html_diff_calls *calls, unsigned side)
{
	size_t count = calls->pruned.count;
	uint64_t *totals = calloc(count + 1, sizeof(*totals));

	for (size_t n = 0; totals && n < count; n++)
		totals[n] = calls->own[n].weight[side];
	for (size_t n = count; totals && n-- > 0;) {
		size_t parent = n;

		while (parent > 0 &&
		       calls->pruned.nodes[parent].depth >= calls->pruned.nodes[n].depth)
			parent--;
		if (calls->pruned.nodes[n].depth)
			totals[parent] += totals[n];
	}
	return totals;
}

/* Whether a caller of call n is of the same function. */
static bool recurses(const struct pln_html_diff_calls *calls, size_t n)
{
	uint32_t depth = calls->pruned.nodes[n].depth;

	for (size_t at = n; at-- > 0 && depth > 0;) {
		if (calls->pruned.nodes[at].depth >= depth)
			continue;
		depth = calls->pruned.nodes[at].depth;
		if (calls->pruned.nodes[at].function == calls->pruned.nodes[n].function)
			return true;
	}
	return false;
}

static void check_row(const struct pln_html_diff_calls *calls, const struct pln_diff_row *row,
		      uint32_t id, unsigned side)
{
	uint64_t *totals = totals_of(calls, side), self = 0, total = 0;

	if (!CHECK(totals != NULL))
		exit(1);
	for (size_t n = 0; n < calls->pruned.count; n++) {
		if (calls->pruned.nodes[n].function != id)
			continue;
		self += calls->own[n].weight[side];
		total += recurses(calls, n) ? 0 : totals[n];
	}
	CHECK_EQ(self, row->self_amount[side].weight);
	CHECK_EQ(total, row->total_amount[side].weight);
	free(totals);
}

static void check_view(enum pln_view view)
{
	struct pln_html_diff_calls calls;
	struct made m;

	make(&m, view);
	CHECK_EQ(pln_html_diff_calls_build(&calls, &m.diff, SIZE_MAX), 0);
	CHECK_EQ(calls.pruned.left_out, 0);
	CHECK(m.diff.functions.count > 2);
	for (unsigned side = 0; side < PLN_DIFF_SIDES; side++) {
		CHECK_EQ(calls.tree.weight[side], m.report[side].totals.all.weight);
		for (uint32_t i = 0; i < m.diff.functions.count; i++)
			check_row(&calls, &m.diff.functions.rows[i], i, side);
	}
	pln_html_diff_calls_free(&calls);
	unmake(&m);
}

static void test_calls_are_what_the_diff_says(void)
{
	check_view(PLN_VIEW_CPU);
	check_view(PLN_VIEW_WALL);
}

/* The second process alone runs what has no symbols. */
static void test_one_side_alone(void)
{
	struct pln_html_diff_calls calls;
	struct made m;
	size_t alone = 0;

	make(&m, PLN_VIEW_CPU);
	CHECK_EQ(pln_html_diff_calls_build(&calls, &m.diff, SIZE_MAX), 0);
	for (size_t n = 0; n < calls.pruned.count; n++) {
		const uint64_t *own = calls.own[n].weight;

		alone += !own[PLN_DIFF_A] && own[PLN_DIFF_B] == 4 * (uint64_t)TINY_MS;
		CHECK(own[PLN_DIFF_B] >= own[PLN_DIFF_A]);
		CHECK((calls.own[n].variance[PLN_DIFF_B] > 0) == (own[PLN_DIFF_B] > 0));
	}
	CHECK_EQ(alone, 1);
	pln_html_diff_calls_free(&calls);
	unmake(&m);
}

static void test_nothing_is_lost_by_pruning(void)
{
	struct pln_html_diff_calls calls;
	struct made m;

	make(&m, PLN_VIEW_CPU);
	CHECK_EQ(pln_html_diff_calls_build(&calls, &m.diff, 3), 0);
	CHECK(calls.pruned.left_out > 0);
	for (unsigned side = 0; side < PLN_DIFF_SIDES; side++) {
		uint64_t sum = 0;

		for (size_t n = 0; n < calls.pruned.count; n++)
			sum += calls.own[n].weight[side];
		CHECK_EQ(sum, m.report[side].totals.all.weight);
	}
	pln_html_diff_calls_free(&calls);
	unmake(&m);
}

static void test_the_page(void)
{
	struct made m;
	struct pln_buffer data = { 0 };
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size), *full = fopen("/dev/full", "w");

	make(&m, PLN_VIEW_CPU);
	CHECK_EQ(pln_html_diff_data(&data, &m.diff, "<b>&"), 0);
	CHECK(!memcmp(data.data, "PLNH", 4));
	CHECK_EQ(pln_html_diff_write(&m.diff, "<b>&", out), 0);
	CHECK_EQ(fclose(out), 0);
	CHECK(!strncmp(text, "<!doctype html>", 15));
	CHECK(strstr(text, "<b>&") == NULL && strstr(text, "libnum") == NULL);
	setvbuf(full, NULL, _IONBF, 0);
	CHECK_EQ(-pln_html_diff_write(&m.diff, NULL, full), ENOSPC);
	fclose(full);
	free(text);
	pln_buffer_free(&data);
	unmake(&m);
}

int main(void)
{
	test_calls_are_what_the_diff_says();
	test_one_side_alone();
	test_nothing_is_lost_by_pruning();
	test_the_page();
	return check_result();
}
