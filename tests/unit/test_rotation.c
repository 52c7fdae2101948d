/* SPDX-License-Identifier: MIT */
/*
 * test_rotation.c - times and sizes, the names of the files that follow each other, and which
 * of them make room, on NFS as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "cli/rotation.h"
#include "profile/format.h"

#define SECOND 1000000000ull

static struct pln_rotation parsed;

static bool parses(const char *rotate, const char *keep)
{
	char why[256];

	return !pln_rotation_parse(&parsed, rotate, keep, why, sizeof(why));
}

static bool has_nothing(void)
{
	return !parsed.every_ns && !parsed.size_bytes && !parsed.keep_bytes;
}

static void test_parse(void)
{
	static const char *const wrong[] = { "10",
					     "s",
					     "500ms",
					     "-1s",
					     "0s",
					     "10m",
					     "60S",
					     "1M,,",
					     "1M 2",
					     "10MB",
					     " 1s",
					     "1s ",
					     "99999999999999999999s" };

	CHECK(parses("60s", NULL) && parsed.every_ns == 60 * SECOND && !parsed.size_bytes);
	CHECK(parses("10M", "") && parsed.size_bytes == 10 << 20 && !parsed.every_ns);
	CHECK(parses("1.5min", NULL) && parsed.every_ns == 90 * SECOND);
	CHECK(parses("2h,1G", NULL) && parsed.every_ns == 7200 * SECOND &&
	      parsed.size_bytes == 1 << 30);
	CHECK(parses(NULL, NULL) && !parsed.every_ns && !parsed.size_bytes && !parsed.keep_bytes);
	CHECK(parses(NULL, "4M") && parsed.keep_bytes == 4 << 20 && parsed.size_bytes == 1 << 20);
	CHECK(parses("3M", "4M") && parsed.size_bytes == 1 << 20);
	CHECK(parses("100K", "4M") && parsed.size_bytes == 100 << 10);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		if (!CHECK(!parses(wrong[i], NULL) && has_nothing()))
			fprintf(stderr, "\t'%s'\n", wrong[i]);
}

/* What is wrong in the environment does not end a recording: nothing of it may hold. */
static void test_what_is_wrong_has_no_effect(void)
{
	static const char *const wrong[] = { "1023K", "10s", "1G,2G", "500MB", "512K", "8" };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		if (!CHECK(!parses("60s,10M", wrong[i]) && has_nothing()))
			fprintf(stderr, "\t'%s'\n", wrong[i]);
	}
	CHECK(!parses("60s,10MB", "1G") && has_nothing());
}

static bool matches_of(const char *text, const char *program, const char *name)
{
	char pattern[8192];
	regex_t regex;
	bool found;

	CHECK(!pln_output_pattern(pattern, sizeof(pattern), text, program));
	if (!CHECK(!regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB)))
		return false;
	found = !regexec(&regex, name, 0, NULL, 0);
	regfree(&regex);
	return found;
}

static bool matches(const char *text, const char *name)
{
	return matches_of(text, "/usr/bin/py+3", name);
}

static void test_pattern(void)
{
	CHECK(matches("/dir/app.pillion", "app.pillion"));
	CHECK(matches("app.pillion", "app.12.pillion"));
	CHECK(!matches("app.pillion", "app.x.pillion"));
	CHECK(!matches("app.pillion", "appxpillion"));
	CHECK(!matches("app.pillion", "my-app.pillion"));
	CHECK(!matches("app.pillion", "app.pillion.bak"));
	CHECK(matches("%e.%p.pillion", "py+3.123.pillion"));
	CHECK(matches("%e.%p.pillion", "py+3.123.2.pillion"));
	CHECK(!matches("%e.%p.pillion", "pyyy3.123.pillion"));
	CHECK(matches("a%%[%n]", "a%[7]") && !matches("a%%[%n]", "a%7"));
	CHECK(matches("x.%t.pillion", "x.20251121T101112.pillion"));
	CHECK(matches("plain", "plain.2") && matches("plain", "plain"));
	CHECK(!matches_of("%e.%n", "python3.11", "python3.11.1.2"));
	CHECK(!matches_of("%e-%p", "python3.11", "python3.11-7.2"));
}

/* ------------------------------------------------------------------- files */

static bool is_nfs;

/* A lock is one of fcntl()'s there: a shared one wants reading, an exclusive one writing. */
int flock(int fd, int operation)
{
	int other = operation & LOCK_SH ? O_WRONLY : O_RDONLY;

	if (is_nfs && (fcntl(fd, F_GETFL) & O_ACCMODE) == other) {
		errno = EBADF;
		return -1;
	}
	return (int)syscall(SYS_flock, fd, operation);
}

static void fill(int fd, const void *start, size_t size, long age_s)
{
	struct timespec times[2] = { { .tv_sec = 1000000 - age_s }, { .tv_sec = 1000000 - age_s } };
	char *bytes = calloc(1, size);

	memcpy(bytes, start, 4);
	CHECK(write(fd, bytes, size) == (ssize_t)size);
	CHECK(!futimens(fd, times));
	free(bytes);
}

static void put_file(const char *path, const void *start, size_t size, long age_s)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	fill(fd, start, size, age_s);
	close(fd);
}

static bool is_there(const char *path)
{
	return !access(path, F_OK);
}

static const uint32_t magic = PILLION_FILE_MAGIC;

static bool enter_new_directory(void)
{
	char directory[] = "/tmp/pillion-rotation-XXXXXX";

	return CHECK(mkdtemp(directory) && !chdir(directory));
}

static void remove_directory(void)
{
	CHECK(!system("rm -r \"$PWD\""));
}

/* What is made is known for ours. */
static void check_names(const char *text, const char *program)
{
	struct pln_rotation r = { .keep_bytes = 0 };
	char why[256];
	int error = pln_rotation_open(&r, text, 7, program, PLN_OVERWRITE_AVOID, why, sizeof(why));

	for (unsigned i = 0; i < 3 && CHECK(error >= 0); i++) {
		if (!CHECK(matches_of(text, program, r.output.path)))
			fprintf(stderr, "\t'%s'\n", r.output.path);
		error = pln_rotation_next(&r, why, sizeof(why));
		close(r.before.fd);
	}
	close(r.output.fd);
}

static void test_names(void)
{
	static const struct {
		const char *text, *program;
	} cases[] = {
		{ "%e-%p", "/usr/bin/python3.11" },
		{ "%e", "python3.11" },
		{ "%e.%n", "python3.12" },
		{ "%p.%e", "/x/.hidden.py" },
		{ "%e", "two\nlines.py" },
		{ "%e.pillion", "" },
		{ ".%e", "app" },
		{ "%h-%p", "app" },
		{ "%h.%t%%", "app" },
	};

	if (!enter_new_directory())
		return;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		check_names(cases[i].text, cases[i].program);
	remove_directory();
}

static void test_room_by_names_with_dots(void)
{
	struct pln_rotation r = { .keep_bytes = 1 << 20 };
	char why[256];
	int first;

	if (!enter_new_directory())
		return;
	CHECK(!pln_rotation_open(&r, "%e-%p", 7, "/usr/bin/python3.11", PLN_OVERWRITE_NO, why,
				 sizeof(why)));
	first = r.output.fd;
	fill(first, &magic, 600 << 10, 20);
	CHECK(pln_rotation_next(&r, why, sizeof(why)) >= 0);
	CHECK_STR(r.output.path, "python3.2.11-7");
	fill(r.output.fd, &magic, 600 << 10, 10);
	CHECK(is_there("python3.11-7"));
	pln_rotation_ended(&r, first);
	CHECK(!is_there("python3.11-7") && is_there("python3.2.11-7"));
	remove_directory();
}

static void test_room(enum pln_overwrite overwrite)
{
	struct pln_rotation r = { .keep_bytes = 1 << 20 };
	char why[256];

	if (!enter_new_directory())
		return;
	if (overwrite == PLN_OVERWRITE_YES)
		put_file("app.pillion", &magic, 100 << 10, 50);
	CHECK(!pln_rotation_open(&r, "app.pillion", 1, "app", overwrite, why, sizeof(why)));
	fill(r.output.fd, &magic, sizeof(magic), 50);
	put_file("app.3.pillion", &magic, 600 << 10, 30);
	put_file("app.4.pillion", &magic, 600 << 10, 20);
	put_file("app.5.pillion", &magic, 300 << 10, 10);
	put_file("app.6.pillion", "text", 900 << 10, 40);
	put_file("other.pillion", &magic, 900 << 10, 40);
	CHECK(!symlink("other.pillion", "app.9.pillion"));
	CHECK(pln_rotation_next(&r, why, sizeof(why)) >= 0);
	CHECK_STR(r.output.path, "app.2.pillion");
	CHECK(pln_rotation_next(&r, why, sizeof(why)) >= 0);
	CHECK_STR(r.output.path, "app.7.pillion");
	/* A new file that could not be used is taken back. */
	CHECK(pln_rotation_next(&r, why, sizeof(why)) >= 0);
	CHECK(is_there("app.8.pillion"));
	pln_rotation_ended(&r, r.output.fd);
	CHECK(!is_there("app.8.pillion"));
	CHECK_STR(r.output.path, "app.7.pillion");
	pln_rotation_make_room(&r);
	/* The oldest of ours; one that is open stays, and so does what is not ours. */
	CHECK(!is_there("app.3.pillion") && is_there("app.4.pillion") && is_there("app.5.pillion"));
	CHECK(is_there("app.pillion") && is_there("app.6.pillion") && is_there("app.9.pillion") &&
	      is_there("other.pillion"));
	CHECK(is_there("app.2.pillion") && is_there("app.7.pillion"));
	remove_directory();
}

int main(void)
{
	test_parse();
	test_what_is_wrong_has_no_effect();
	test_pattern();
	test_names();
	for (unsigned nfs = 0; nfs < 2; nfs++) {
		is_nfs = nfs;
		test_room(PLN_OVERWRITE_NO);
		test_room(PLN_OVERWRITE_YES);
		test_room_by_names_with_dots();
	}
	return check_result();
}
