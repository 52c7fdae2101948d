/* SPDX-License-Identifier: MIT */
/*
 * test_template.c - names of profiles, and that no file is overwritten unasked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "cli/template.h"

static const struct pln_template_values values = { 4711, "/opt/bin/python3", 3 };

static void check_expands(const char *text, const char *expected, bool is_numbered)
{
	char out[256], bad;
	bool numbered;

	CHECK_EQ(pln_template_expand(out, sizeof(out), text, &values, &numbered, &bad), 0);
	CHECK_STR(out, expected);
	CHECK_EQ(numbered, is_numbered);
}

static void test_expand(void)
{
	char out[256], host[256] = "", bad = 0;
	bool numbered;

	check_expands("plain", "plain", false);
	check_expands("a.%p.%e.%n.%%", "a.4711.python3.3.%", true);
	check_expands(PLN_TEMPLATE_DEFAULT, "pillion.python3.4711.pillion", false);
	gethostname(host, sizeof(host) - 1);
	check_expands("%h", host, false);
	CHECK_EQ(pln_template_expand(out, sizeof(out), "%t", &values, &numbered, &bad), 0);
	CHECK(strlen(out) == 15 && out[8] == 'T');
	CHECK_EQ(pln_template_expand(out, sizeof(out), "x%q", &values, &numbered, &bad), -EINVAL);
	CHECK_EQ(bad, 'q');
	CHECK_EQ(pln_template_expand(out, sizeof(out), "x%", &values, &numbered, &bad), -EINVAL);
	CHECK_EQ(pln_template_expand(out, 5, "12345", &values, &numbered, &bad), -ENAMETOOLONG);
	CHECK_EQ(pln_template_expand(out, 5, "1234", &values, &numbered, &bad), 0);
}

/* A target says what its program is called; it may say anything. */
static void test_programs_are_names_and_no_places(void)
{
	static const struct {
		const char *program, *expected;
	} cases[] = {
		{ "/opt/bin/python3", "python3" },
		{ "../../evil/", "_._.._evil_" },
		{ "..", "_." },
		{ "/", "_" },
		{ "/x/.hidden", "_hidden" },
		{ "/x/two\nlines\033[1m", "two_lines_[1m" },
		{ "", "" },
		{ "/usr/bin/", "_usr_bin_" },
	};
	char out[512], longest[400], bad;
	bool numbered;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct pln_template_values v = { 7, cases[i].program, 1 };

		CHECK_EQ(pln_template_expand(out, sizeof(out), "%e", &v, &numbered, &bad), 0);
		CHECK_STR(out, cases[i].expected);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	CHECK_EQ(pln_template_expand(out, sizeof(out), "%e",
				     &(struct pln_template_values){ 7, longest, 1 }, &numbered,
				     &bad),
		 0);
	CHECK_EQ(strlen(out), 255);
}

static void put_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (CHECK(f != NULL)) {
		fputs(text, f);
		fclose(f);
	}
}

static void check_content(const char *path, const char *expected)
{
	char text[64] = "";
	FILE *f = fopen(path, "r");

	if (!CHECK(f != NULL))
		return;
	CHECK(fgets(text, sizeof(text), f) || !*expected);
	fclose(f);
	CHECK_STR(text, expected);
}

static int open_as(struct pln_output *o, const char *text, enum pln_overwrite overwrite, char *why)
{
	return pln_output_open(o, text, 7, "prog", overwrite, why, 1024);
}

static void test_existing_files_are_kept(void)
{
	struct pln_output o;
	char why[1024];

	put_file("there.pillion", "precious");
	CHECK_EQ(open_as(&o, "there.pillion", PLN_OVERWRITE_NO, why), -EEXIST);
	CHECK(strstr(why, "there.pillion") && strstr(why, "--force"));
	check_content("there.pillion", "precious");

	/* Opened, but not begun: still there. */
	CHECK_EQ(open_as(&o, "there.pillion", PLN_OVERWRITE_YES, why), 0);
	pln_output_close(&o, true);
	check_content("there.pillion", "precious");
	CHECK_EQ(open_as(&o, "there.pillion", PLN_OVERWRITE_YES, why), 0);
	CHECK_EQ(pln_output_commit(&o), 0);
	pln_output_close(&o, false);
	check_content("there.pillion", "");
}

static void test_links_are_not_followed(void)
{
	struct pln_output o;
	struct stat st;
	char why[1024];

	put_file("elsewhere", "precious");
	CHECK_EQ(symlink("elsewhere", "link.pillion"), 0);
	CHECK_EQ(open_as(&o, "link.pillion", PLN_OVERWRITE_NO, why), -EEXIST);
	CHECK_EQ(open_as(&o, "link.pillion", PLN_OVERWRITE_YES, why), -ELOOP);
	CHECK(strstr(why, "symbolic link"));
	CHECK_EQ(open_as(&o, "link.pillion", PLN_OVERWRITE_AVOID, why), 0);
	CHECK_STR(o.path, "link.2.pillion");
	CHECK(!fstat(o.fd, &st) && (st.st_mode & 07777) == 0600);
	pln_output_close(&o, false);
	check_content("elsewhere", "precious");

	CHECK_EQ(symlink("nowhere", "dangling.pillion"), 0);
	CHECK_EQ(open_as(&o, "dangling.pillion", PLN_OVERWRITE_YES, why), -ENOENT);
	CHECK(access("nowhere", F_OK));
	CHECK_EQ(symlink("/dev/null", "null.pillion"), 0);
	CHECK_EQ(open_as(&o, "null.pillion", PLN_OVERWRITE_NO, why), 0);
	pln_output_close(&o, true);
}

static void test_free_names_are_found(void)
{
	struct pln_output o;
	char why[1024];

	put_file("n.1", "a");
	put_file("n.2", "b");
	CHECK_EQ(open_as(&o, "n.%n", PLN_OVERWRITE_NO, why), 0);
	CHECK_STR(o.path, "n.3");
	pln_output_close(&o, false);
	put_file("avoid.pillion", "a");
	put_file("avoid.2.pillion", "b");
	CHECK_EQ(open_as(&o, "avoid.pillion", PLN_OVERWRITE_AVOID, why), 0);
	CHECK_STR(o.path, "avoid.3.pillion");
	pln_output_close(&o, true);
	CHECK(access("avoid.3.pillion", F_OK));
	check_content("avoid.pillion", "a");
}

/* Else each recording would replace number 1. */
static void test_force_takes_no_number_that_is_taken(void)
{
	struct pln_output o;
	char why[1024];

	put_file("forced.1", "precious");
	CHECK_EQ(open_as(&o, "forced.%n", PLN_OVERWRITE_YES, why), 0);
	CHECK_STR(o.path, "forced.2");
	CHECK_EQ(pln_output_commit(&o), 0);
	pln_output_close(&o, false);
	check_content("forced.1", "precious");
}

static void test_places(void)
{
	struct pln_output o;
	char why[1024];

	CHECK_EQ(mkdir("sub", 0700), 0);
	CHECK_EQ(open_as(&o, "sub", PLN_OVERWRITE_NO, why), 0);
	CHECK_STR(o.path, "sub/pillion.prog.7.pillion");
	pln_output_close(&o, false);
	CHECK_EQ(open_as(&o, "sub/", PLN_OVERWRITE_NO, why), -EEXIST);
	CHECK_EQ(open_as(&o, "/dev/null", PLN_OVERWRITE_NO, why), 0);
	CHECK_EQ(pln_output_commit(&o), 0);
	pln_output_close(&o, true);
	CHECK(!access("/dev/null", F_OK));
	CHECK_EQ(open_as(&o, "no/such/x", PLN_OVERWRITE_NO, why), -ENOENT);
	CHECK(strstr(why, "no/such/x") && strstr(why, "No such file") && !strchr(why, '\n'));
	CHECK_EQ(open_as(&o, "x.%z", PLN_OVERWRITE_NO, why), -EINVAL);
	CHECK(strstr(why, "%z") && strstr(why, "%p"));
}

static void check_place(const char *text, enum pln_overwrite overwrite, int expected)
{
	struct pln_output o;
	char why[1024] = "", opened[1024] = "";

	if (!CHECK_EQ(pln_output_check(text, overwrite, why, sizeof(why)), expected))
		fprintf(stderr, "\t'%s': %s\n", text, why);
	CHECK(!expected == !*why && !strchr(why, '\n'));
	/* As it then comes. */
	CHECK_EQ(open_as(&o, text, overwrite, opened), expected);
	pln_output_close(&o, true);
	if (!strchr(text, '%'))
		CHECK_STR(why, opened);
}

static void test_places_are_checked_before_a_name_is_known(void)
{
	char why[1024];

	CHECK_EQ(mkdir("room", 0700), 0);
	put_file("room/there", "precious");
	check_place("room/new", PLN_OVERWRITE_NO, 0);
	check_place("room/%e.%p.pillion", PLN_OVERWRITE_NO, 0);
	check_place("room/there", PLN_OVERWRITE_NO, -EEXIST);
	check_place("./room/%h/x", PLN_OVERWRITE_NO, -ENOENT);
	check_place("no/such/%p", PLN_OVERWRITE_YES, -ENOENT);
	check_place("room/there/x", PLN_OVERWRITE_NO, -ENOTDIR);
	check_place("/dev/null", PLN_OVERWRITE_NO, 0);
	check_place("x.%z", PLN_OVERWRITE_NO, -EINVAL);
	check_place("x.%", PLN_OVERWRITE_NO, -EINVAL);
	check_place("new.%n", PLN_OVERWRITE_NO, 0);
	CHECK_EQ(pln_output_check("room", PLN_OVERWRITE_NO, why, sizeof(why)), 0);
	CHECK_EQ(pln_output_check("room/there", PLN_OVERWRITE_YES, why, sizeof(why)), 0);
	check_content("room/there", "precious");
	/* There when it is needed, for all that is known. */
	CHECK_EQ(pln_output_check("no/such.%p/x", PLN_OVERWRITE_NO, why, sizeof(why)), 0);
	CHECK(access("room/new", F_OK) && access("new.1", F_OK));
}

static void test_stdout_is_no_place(void)
{
	check_place("-", PLN_OVERWRITE_NO, -EINVAL);
	check_place("-", PLN_OVERWRITE_AVOID, -EINVAL);
	CHECK(access("-", F_OK));
	check_place("./-", PLN_OVERWRITE_NO, 0);
}

int main(void)
{
	char dir[] = "/tmp/test_template.XXXXXX", command[64];

	if (!mkdtemp(dir) || chdir(dir))
		return check_skip("no temporary directory");
	test_expand();
	test_programs_are_names_and_no_places();
	test_existing_files_are_kept();
	test_links_are_not_followed();
	test_free_names_are_found();
	test_force_takes_no_number_that_is_taken();
	test_places();
	test_places_are_checked_before_a_name_is_known();
	test_stdout_is_no_place();
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	CHECK_EQ(system(command), 0);
	return check_result();
}
