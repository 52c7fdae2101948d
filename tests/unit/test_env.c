/* SPDX-License-Identifier: MIT */
/*
 * test_env.c - the one table of PILLION_* variables makes sense, and what is made of it.
 */
#include <stdlib.h>

#include "check.h"
#include "cli/variables.h"

#include <pillion/values.h>

static void check_row(const struct pln_variable *v)
{
	CHECK(!strncmp(v->name, "PILLION_", 8));
	CHECK(*v->help && *v->metavar);
	CHECK(v->help[strlen(v->help) - 1] != '.');
	if (v->type == PLN_VARIABLE_NUMBER || v->type == PLN_VARIABLE_FLAG)
		CHECK(v->min <= v->otherwise && v->otherwise <= v->max);
	if (v->type == PLN_VARIABLE_FLAG)
		CHECK(v->max == 1 &&
		      (!*v->option || (strncmp(v->option, "--no-", 5) == 0) == v->otherwise));
	if (v->type == PLN_VARIABLE_SECRET)
		CHECK(!*v->option && !v->letter);
	CHECK(!*v->option || !strncmp(v->option, "--", 2));
}

static void test_table(void)
{
	for (unsigned i = 0; i < PLN_VARIABLE_COUNT; i++) {
		const struct pln_variable *a = &pln_variables[i];

		check_row(a);
		for (unsigned j = 0; j < i; j++) {
			const struct pln_variable *b = &pln_variables[j];

			CHECK(strcmp(a->name, b->name));
			CHECK(!*a->option || strcmp(a->option, b->option));
			CHECK(!a->letter || a->letter != b->letter);
		}
	}
}

static void check_number(const char *text, uint64_t expected)
{
	if (text)
		setenv("PILLION_FREQ", text, 1);
	else
		unsetenv("PILLION_FREQ");
	CHECK_EQ(pln_variable_number(PLN_VARIABLE_freq), expected);
}

static void test_numbers(void)
{
	check_number(NULL, 100);
	check_number("250", 250);
	check_number("10000", 10000);
	check_number("", 100);
	check_number("0", 100);
	check_number("10001", 100);
	check_number("-5", 100);
	check_number("99Hz", 100);
	check_number("99999999999999999999999", 100);
}

static void check_flag(const char *text, bool expected)
{
	if (text)
		setenv("PILLION_SUBPROCESSES", text, 1);
	else
		unsetenv("PILLION_SUBPROCESSES");
	CHECK_EQ(pln_variable_flag(PLN_VARIABLE_subprocesses), expected);
}

static void test_flags(void)
{
	check_flag(NULL, true);
	check_flag("", true);
	check_flag("1", true);
	check_flag("On", true);
	check_flag("never", true);
	check_flag("0", false);
	check_flag("no", false);
	check_flag("OFF", false);
	check_flag("False", false);
	CHECK(!pln_variable_flag(PLN_VARIABLE_objects));
}

/* Whatever does not say no. */
static void test_disable(void)
{
	static const char *const yes[] = { "1", "true", "2", "please", "00", " ", NULL };
	static const char *const no[] = { "", "0", "no", "Off", "FALSE", NULL };

	for (unsigned i = 0; yes[i]; i++)
		CHECK(pln_value_disables(yes[i]));
	for (unsigned i = 0; no[i]; i++)
		CHECK(!pln_value_disables(no[i]));
}

/* An option that was given reaches the environment; one that was not leaves it alone. */
static void test_options(void)
{
	struct pln_variable_value values[PLN_VARIABLE_COUNT];
	struct pln_option option;
	char help[128];

	pln_variable_values_init(values);
	setenv("PILLION_FREQ", "77", 1);
	setenv("PILLION_NATIVE", "1", 1);
	CHECK(pln_variable_option(PLN_VARIABLE_freq, &values[PLN_VARIABLE_freq], help, sizeof(help),
				  &option));
	CHECK_STR(option.name, "freq");
	CHECK_EQ(option.letter, 'F');
	CHECK(strstr(option.help, "(default 100)"));
	CHECK_EQ(pln_variable_export(PLN_VARIABLE_freq, &values[PLN_VARIABLE_freq]), 0);
	CHECK_STR(getenv("PILLION_FREQ"), "77");
	*(uint64_t *)option.to = 500;
	CHECK_EQ(pln_variable_export(PLN_VARIABLE_freq, &values[PLN_VARIABLE_freq]), 0);
	CHECK_STR(getenv("PILLION_FREQ"), "500");

	CHECK(pln_variable_option(PLN_VARIABLE_native, &values[PLN_VARIABLE_native], help,
				  sizeof(help), &option));
	CHECK_STR(option.name, "no-native");
	CHECK_EQ(option.type, PLN_OPTION_NO);
	CHECK(!strncmp(option.help, "do not ", 7));
	*(bool *)option.to = false;
	CHECK_EQ(pln_variable_export(PLN_VARIABLE_native, &values[PLN_VARIABLE_native]), 0);
	CHECK_STR(getenv("PILLION_NATIVE"), "0");

	CHECK(!pln_variable_option(PLN_VARIABLE_token, &values[PLN_VARIABLE_token], help,
				   sizeof(help), &option));
}

static void test_values(void)
{
	static const char *const good[] = { "", "a=b", "a=", "a=b=c", ",", "a=b,,c=d,", NULL };
	static const char *const bad[] = { "a", "=", "=b", "a=b,c", "a=b,=c", " ", NULL };
	static const unsigned lost[] = { 4, 5, 6, 7, 8, 9, 11, 17, 18, 19, 31, 32, 33, 65 };
	static const unsigned free_ones[] = { 0, 10, 16, 25, 26, 27, 30, 34, 64 };

	for (unsigned i = 0; good[i]; i++)
		CHECK(pln_value_is_labels(good[i]));
	for (unsigned i = 0; bad[i]; i++)
		CHECK(!pln_value_is_labels(bad[i]));
	for (unsigned i = 0; i < sizeof(lost) / sizeof(*lost); i++)
		CHECK(!pln_value_is_signal(lost[i]));
	for (unsigned i = 0; i < sizeof(free_ones) / sizeof(*free_ones); i++)
		CHECK(pln_value_is_signal(free_ones[i]));
}

int main(void)
{
	test_table();
	test_numbers();
	test_flags();
	test_disable();
	test_options();
	test_values();
	return check_result();
}
