/* SPDX-License-Identifier: MIT */
/*
 * Text that is too wide is cut where it says least, and what a table has no room for goes, least
 * important first.
 */
#include "check.h"

#include <locale.h>
#include <stdlib.h>

#include "report/table.h"

static void check_elided(const char *in, unsigned width, bool utf8, const char *expected)
{
	char *text = NULL;
	size_t size;
	struct pln_screen screen = { .out = open_memstream(&text, &size), .utf8 = utf8 };
	unsigned columns = pln_print_elided(&screen, in, width);

	fclose(screen.out);
	CHECK_STR(text, expected);
	CHECK(columns <= width);
	free(text);
}

static void test_elided(void)
{
	check_elided("short", 5, false, "short");
	check_elided("abcdefghijkl", 8, false, "abc..jkl");
	check_elided("abcdefghijkl", 7, true, "abc\xe2\x80\xa6jkl");
	check_elided("abcdef", 3, false, "abc");
	check_elided("\xe4\xb8\xad\xe6\x96\x87\xe5\xad\x97\xe7\xac\xa6", 7, true,
		     "\xe4\xb8\xad\xe2\x80\xa6\xe5\xad\x97\xe7\xac\xa6"); /* two columns each */
	check_elided("", 4, false, "");
}

static void test_places_keep_their_end(void)
{
	char *text = NULL;
	size_t size;
	struct pln_screen screen = { .out = open_memstream(&text, &size) };

	CHECK_EQ(pln_print_end(&screen, "json/decoder.py:353", 16), 16);
	CHECK_EQ(pln_print_end(&screen, "app.py:1", 8), 8);
	screen.utf8 = true;
	CHECK_EQ(pln_print_end(&screen, "app.py:12", 8), 8);
	fclose(screen.out);
	CHECK_STR(text, "..decoder.py:353"
			"app.py:1"
			"\xe2\x80\xa6p.py:12");
	free(text);
}

static void check_name(const char *in, unsigned width, const char *expected)
{
	char *text = NULL;
	size_t size;
	struct pln_screen screen = { .out = open_memstream(&text, &size) };
	unsigned columns = pln_print_name(&screen, in, width);

	fclose(screen.out);
	CHECK_STR(text, expected);
	CHECK_EQ(columns, strlen(expected));
	free(text);
}

/* What is cut is what qualifies the last part, at a separator. */
static void test_names_keep_their_last_parts(void)
{
	check_name("Class.method", 12, "Class.method");
	check_name("TreeRebuilder.visit_constant", 24, "TreeRebu..visit_constant");
	check_name("PyLinter._check_astroid_module", 24, ".._check_astroid_module");
	check_name("C.with_a_very_long_name_of_a_method", 14, "with_a..method");
	check_name("std::thread::new::polars_runtime", 24, "..new::polars_runtime");
	check_name("std::thread::new::polars_runtime", 20, "..polars_runtime");
	check_name("<a::B<c::D>>::generate_with_e<..>", 28, "..generate_with_e<..>");
	check_name("sort<std::less>(std::vector)", 12, "sort<..ctor)"); /* no whole part */
	check_name("    < Rebuilder.visit_name", 22, "    < Rebu..visit_name");
	check_name("        < a_function_that_is_rather_long", 20, "        < a_fu..long");
	check_name("no_separator_at_all", 10, "no_s.._all");
	check_name("a.b", 2, "a.");
	check_name("", 4, "");
}

/* The text behind a cell is the first to go, before anything is elided. */
static void test_extra_text_goes_first(void)
{
	static const struct pln_column columns[] = { { "function", false, PLN_ELIDE_NAME, 0 },
						     { "where", false, PLN_ELIDE_START, 0 } };
	static const char *const expected[] = {
		"  function            where\n"
		"  a_function_of_some  libpython3.11 dictobject.c:1041\n"
		"  another_name        libc\n",
		"  function            where\n"
		"  a_function_of_some  libpython3.11\n"
		"  another_name        libc\n",
	};

	for (unsigned i = 0; i < 2; i++) {
		struct pln_table *table = pln_table_new(columns, 2);
		char *text = NULL;
		size_t size;
		struct pln_screen screen = { .out = open_memstream(&text, &size),
					     .width = i ? 45 : 60 };

		pln_table_cell(table, PLN_STYLE_PLAIN, "%s", "a_function_of_some");
		pln_table_cell(table, PLN_STYLE_PLAIN, "%s", "libpython3.11");
		pln_table_extra(table, "%s", " dictobject.c:1041");
		pln_table_cell(table, PLN_STYLE_PLAIN, "%s", "another_name");
		pln_table_cell(table, PLN_STYLE_PLAIN, "%s", "libc");
		pln_table_print(table, &screen);
		fclose(screen.out);
		CHECK_STR(text, expected[i]);
		free(text);
	}
}

/* A column that loses nothing else is left out where there is no room for its text. */
static void test_a_column_may_lose_its_extra_text_alone(void)
{
	static const struct pln_column columns[] = { { "rows", true, PLN_RIGID, 0 },
						     { "trend", false, PLN_DROP_EXTRA, 1 } };
	static const char *const expected[] = {
		"  rows  trend\n  1234  flat, since noon\n",
		"  rows  trend\n  1234  flat\n",
		"  rows\n  1234\n",
	};
	const unsigned widths[] = { 24, 23, 12 };

	for (unsigned i = 0; i < 3; i++) {
		struct pln_table *table = pln_table_new(columns, 2);
		char *text = NULL;
		size_t size;
		struct pln_screen screen = { .out = open_memstream(&text, &size),
					     .width = widths[i] };

		pln_table_cell(table, PLN_STYLE_PLAIN, "1234");
		pln_table_cell(table, PLN_STYLE_PLAIN, "flat");
		pln_table_extra(table, ", since noon");
		pln_table_print(table, &screen);
		fclose(screen.out);
		CHECK_STR(text, expected[i]);
		free(text);
	}
}

/* In a column that may be left out, and in one that may not. */
static void test_columns_without_text(void)
{
	static const struct pln_column columns[] = {
		{ "always", false, PLN_RIGID, 0 },
		{ "empty", true, PLN_RIGID, 1 },
		{ "some", false, PLN_ELIDE_MIDDLE, 1 },
	};
	struct pln_table *table = pln_table_new(columns, 3);
	char *text = NULL;
	size_t size;
	struct pln_screen screen = { .out = open_memstream(&text, &size), .width = 80 };

	for (unsigned row = 0; row < 2; row++) {
		pln_table_cell(table, PLN_STYLE_PLAIN, "%s", "");
		pln_table_cell(table, PLN_STYLE_PLAIN, "%s", "");
		pln_table_cell(table, PLN_STYLE_PLAIN, "%s", row ? "x" : "");
	}
	pln_table_print(table, &screen);
	fclose(screen.out);
	CHECK_STR(text, "  always  some\n\n          x\n");
	free(text);
}

static void test_no_rows_no_titles(void)
{
	static const struct pln_column columns[] = { { "always", false, PLN_RIGID, 0 } };
	char *text = NULL;
	size_t size;
	struct pln_screen screen = { .out = open_memstream(&text, &size), .width = 80 };

	pln_table_print(pln_table_new(columns, 1), &screen);
	fclose(screen.out);
	CHECK_STR(text, "");
	free(text);
}

int main(void)
{
	setlocale(LC_CTYPE, "C.UTF-8");
	test_elided();
	test_places_keep_their_end();
	test_names_keep_their_last_parts();
	test_extra_text_goes_first();
	test_a_column_may_lose_its_extra_text_alone();
	test_columns_without_text();
	test_no_rows_no_titles();
	return check_result();
}
