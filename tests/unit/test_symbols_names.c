/* SPDX-License-Identifier: MIT */
/*
 * What a symbol is called: C++ and Rust demangled, without parameters, without what
 * compilers append to clones; and the flattening of overlapping ranges.
 */
#include "symbols/demangle.h"
#include "symbols/spans.h"
#include "symbols/symbols.h"

#include "check.h"

#include <stdlib.h>

static void check_demangled(const char *mangled, const char *expected)
{
	char *name = pln_demangle(mangled);

	CHECK_STR(name, expected);
	free(name);
}

static void test_demangling(void)
{
	check_demangled("_ZN5outer3box4openEi", "outer::box::open");
	check_demangled("_ZNSt6vectorIiSaIiEE9push_backERKi",
			"std::vector<int, std::allocator<int> >::push_back");
	check_demangled("_ZN5outer3box5twiceIlEET_S2_", "outer::box::twice<long>");
	check_demangled("_ZZN5outer3box4openEiENKUliE_clEi",
			"outer::box::open(int)::{lambda(int)#1}::operator()");
	check_demangled("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE",
			"core::fmt::Formatter::pad");
	check_demangled("_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar");
	CHECK(!pln_demangle("memcpy"));
	CHECK(!pln_demangle("_Zthis is not mangled"));
	CHECK(!pln_demangle(""));
}

/* A pair of pairs of pairs: each level doubles what is written. */
static void test_growing_name(unsigned levels)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char mangled[512] = "_Z1fISt4pairIiiE";
	char *name;

	for (unsigned i = 1; i < levels; i++) {
		char level[16];

		snprintf(level, sizeof(level), "S0_IS%c_S%c_E", digits[i], digits[i]);
		strcat(mangled, level);
	}
	strcat(mangled, "EvT_");
	name = pln_demangle(mangled);
	CHECK(name && !strncmp(name, "f<std::pair<int, int>, std::pair<std::pair<int, int>", 52));
	CHECK(name && strlen(name) <= 16384);
	free(name);
}

static void check_shown(const char *linkage_name, const char *expected)
{
	struct pln_arena *arena = pln_arena_new();

	CHECK_STR(pln_shown_name(arena, linkage_name), expected);
	pln_arena_free(arena);
}

static void test_shown_names(void)
{
	check_shown("foo.cold", "foo");
	check_shown("foo.part.0", "foo");
	check_shown("foo.constprop.0.isra.12", "foo");
	check_shown("foo.lto_priv.3.cold", "foo");
	check_shown("foo.llvm.1234567890", "foo");
	check_shown("foo.avx2", "foo.avx2");
	check_shown("foo.0", "foo.0");
	check_shown(".cold", ".cold");
	check_shown("memcpy@@GLIBC_2.14", "memcpy");
	check_shown("memcpy@plt", "memcpy@plt");
	check_shown("_ZN3foo3barEv.cold", "foo::bar");
	check_shown("_ZN3foo3barEv@plt", "foo::bar@plt");
	check_shown("", "");
}

static uint32_t value_at(const struct pln_array *slices, uint64_t address)
{
	return pln_slices_find(slices->data, slices->size / sizeof(struct pln_slice), address);
}

static void test_spans(void)
{
	struct pln_span spans[] = {
		{ 150, 160, 2, 2 }, { 100, 200, 1, 1 }, { 155, 170, 3, 1 }, /* later, but lower */
		{ 250, 250, 4, 9 }, /* empty */
		{ 300, 310, 5, 0 }, { 310, 320, 5, 0 },
	};
	struct pln_array slices = { 0 };

	CHECK_EQ(pln_spans_flatten(spans, 6, &slices), 0);
	CHECK_EQ(value_at(&slices, 99), PLN_SPAN_NONE);
	CHECK_EQ(value_at(&slices, 100), 1);
	CHECK_EQ(value_at(&slices, 150), 2);
	CHECK_EQ(value_at(&slices, 159), 2);
	CHECK_EQ(value_at(&slices, 160), 3);
	CHECK_EQ(value_at(&slices, 169), 3);
	CHECK_EQ(value_at(&slices, 170), 1);
	CHECK_EQ(value_at(&slices, 200), PLN_SPAN_NONE);
	CHECK_EQ(value_at(&slices, 250), PLN_SPAN_NONE);
	CHECK_EQ(value_at(&slices, 319), 5);
	CHECK_EQ(value_at(&slices, UINT64_MAX), PLN_SPAN_NONE);
	pln_array_free(&slices);
}

/* Against the definition, on spans that nest and overlap at random. */
static void test_spans_random(void)
{
	struct pln_span spans[60], sorted[60];
	struct pln_array slices = { 0 };
	unsigned different = 0;

	srand(1);
	for (uint32_t i = 0; i < 60; i++) {
		uint64_t low = (uint64_t)(rand() % 500);

		spans[i] = (struct pln_span){ low, low + (uint64_t)(rand() % 90), i, i };
	}
	memcpy(sorted, spans, sizeof(spans));
	CHECK_EQ(pln_spans_flatten(sorted, 60, &slices), 0);
	for (uint64_t at = 0; at < 600; at++) {
		uint32_t best = PLN_SPAN_NONE;

		for (uint32_t i = 0; i < 60; i++) {
			if (spans[i].low <= at && at < spans[i].high)
				best = i;
		}
		different += value_at(&slices, at) != best;
	}
	CHECK_EQ(different, 0);
	pln_array_free(&slices);
}

static void test_arena(void)
{
	struct pln_arena *arena = pln_arena_new();
	const char *first = pln_arena_intern(arena, "name");
	char text[32];

	for (int i = 0; i < 20000; i++) {
		snprintf(text, sizeof(text), "name%d", i);
		pln_arena_intern(arena, text);
	}
	CHECK(pln_arena_intern(arena, "name") == first);
	CHECK_STR(pln_arena_intern(arena, "name19999"), "name19999");
	CHECK(pln_arena_intern(arena, "name7") == pln_arena_intern(arena, "name7"));
	CHECK(pln_arena_size(arena) > 20000 * 6);
	pln_arena_free(arena);
}

int main(void)
{
	test_demangling();
	test_growing_name(5);
	test_growing_name(14);
	test_growing_name(36);
	test_shown_names();
	test_spans();
	test_spans_random();
	test_arena();
	return check_result();
}
