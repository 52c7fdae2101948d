/* SPDX-License-Identifier: MIT */
/*
 * check.h - the whole of the unit tests' framework.
 *
 * A test is a function; CHECK counts, prints what failed and goes on. main() ends
 * with `return check_result();`, which also fails a test that checked nothing.
 */
#ifndef PILLION_TESTS_CHECK_H
#define PILLION_TESTS_CHECK_H

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static unsigned check_count, check_failed;

#define CHECK(cond) check_one(!!(cond), #cond, __FILE__, __LINE__)
#define CHECK_EQ(a, b) check_eq((uint64_t)(a), (uint64_t)(b), #a " == " #b, __FILE__, __LINE__)
#define CHECK_STR(a, b) check_str((a), (b), #a " is " #b, __FILE__, __LINE__)

static inline int check_one(int ok, const char *what, const char *file, int line)
{
	check_count++;
	if (!ok) {
		check_failed++;
		fprintf(stderr, "%s:%d: not true: %s\n", file, line, what);
	}
	return ok;
}

static inline int check_eq(uint64_t a, uint64_t b, const char *what, const char *file, int line)
{
	if (!check_one(a == b, what, file, line)) {
		fprintf(stderr, "\t%" PRIu64 " and %" PRIu64 "\n", a, b);
		return 0;
	}
	return 1;
}

static inline int check_str(const char *a, const char *b, const char *what, const char *file,
			    int line)
{
	if (!check_one(a && b && !strcmp(a, b), what, file, line)) {
		fprintf(stderr, "\t\"%s\" and \"%s\"\n", a ? a : "(null)", b ? b : "(null)");
		return 0;
	}
	return 1;
}

static inline int check_skip(const char *reason)
{
	printf("skipped: %s\n", reason);
	return 77;
}

static inline int check_result(void)
{
	printf("%u checks, %u failed\n", check_count, check_failed);
	return check_failed || !check_count;
}

#endif
