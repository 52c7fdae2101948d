/* SPDX-License-Identifier: MIT */
/*
 * test_annotate.c - what a name means, lines of odd source files, and single instructions.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "annotate/annotate.h"
#include "check.h"

/* ------------------------------------------------------------------------ names */

static struct pln_function functions[] = {
	{ .name = "Page.render", .file = "/srv/app/page.py", .kind = PLN_FUNCTION_PYTHON },
	{ .name = "render", .file = "/srv/app/lib/other.py", .kind = PLN_FUNCTION_PYTHON },
	{ .name = "Form.render", .file = "/srv/app/lib/page.py", .kind = PLN_FUNCTION_PYTHON },
	{ .name = "std::sort<int*>(int*, int*)", .file = "", .kind = PLN_FUNCTION_NATIVE },
	{ .name = "PyObject_Call", .file = "", .kind = PLN_FUNCTION_NATIVE },
	{ .name = "_PyObject_Call", .file = "", .kind = PLN_FUNCTION_NATIVE },
	{ .name = "never_sampled", .file = "", .kind = PLN_FUNCTION_NATIVE },
};
enum { FUNCTIONS = sizeof(functions) / sizeof(*functions) };
static const uint64_t weights[FUNCTIONS] = { 10, 1, 30, 5, 2, 70, 0 };

static struct pln_choice choose(const char *name)
{
	static struct pln_profile profile;
	struct pln_cost costs[FUNCTIONS + 1] = { 0 };
	struct pln_report report = { .profile = &profile };

	for (unsigned i = 0; i < FUNCTIONS; i++) {
		functions[i].module = functions[i].module_path = "";
		costs[i].total.weight = weights[i];
	}
	profile.recording.working_directory = "/srv/app";
	profile.functions = functions;
	profile.function_count = FUNCTIONS;
	report.totals.functions = costs;
	return pln_choose(&report, name);
}

static void check_function(const char *name, uint32_t function, uint32_t others)
{
	struct pln_choice c = choose(name);

	if (!CHECK(c.kind == PLN_CHOICE_PYTHON || c.kind == PLN_CHOICE_NATIVE))
		return;
	CHECK_EQ(c.function, function);
	CHECK_EQ(c.others, others);
}

static void check_file(const char *name, const char *file)
{
	struct pln_choice c = choose(name);

	CHECK_EQ(c.kind, PLN_CHOICE_FILE);
	CHECK_STR(c.file, file);
}

static void test_names(void)
{
	/* A whole name wins over the end of a heavier one, an end over a part. */
	check_function("render", 1, 0);
	check_function("Page.render", 0, 0);
	check_function("PyObject_Call", 4, 0);
	check_function("_PyObject_Call", 5, 0);
	/* Arguments may be left out, and what is around a template's name. */
	check_function("std::sort", 3, 0);
	check_function("sort", 3, 0);
	check_function("std::sort<int*>(int*, int*)", 3, 0);
	/* Of several that fit as well, the heaviest; those without weight are not counted. */
	check_function("rende", 2, 2);
	check_function("Object", 5, 1);
	check_function("never_sampled", 6, 0);
	CHECK_EQ(choose("nobody").kind, PLN_CHOICE_NONE);
	CHECK_EQ(choose("rende").other, 0);
}

static void test_files(void)
{
	check_file("/srv/app/page.py", "/srv/app/page.py");
	check_file("page.py", "/srv/app/page.py");
	check_file("./page.py", "/srv/app/page.py");
	check_file("lib/page.py", "/srv/app/lib/page.py");
	check_file("other.py", "/srv/app/lib/other.py");
	CHECK_EQ(choose("age.py").kind, PLN_CHOICE_NONE);
	/* Seen from where it was recorded, one of them has no folder: it is the one that is meant.
	 */
	CHECK_EQ(choose("page.py").others, 0);
	functions[0].file = "/srv/other/page.py";
	check_file("page.py", "/srv/app/lib/page.py");
	CHECK_EQ(choose("page.py").others, 1);
	CHECK_EQ(choose("page.py").other, 0);
	functions[0].file = "/srv/app/page.py";
}

/* ----------------------------------------------------------------------- source */

static void write_file(const char *path, const char *text, size_t size)
{
	FILE *file = fopen(path, "w");

	if (CHECK(file != NULL)) {
		fwrite(text, 1, size, file);
		fclose(file);
	}
}

static void check_line(const struct pln_source *source, uint32_t number, const char *expected)
{
	char *line = pln_source_line(source, number);

	CHECK_STR(line, expected);
	free(line);
}

static void test_source(const char *directory)
{
	static const char text[] = "one\r\n\ttwo\n\nfo\tur";
	struct pln_source source;
	char path[64];

	snprintf(path, sizeof(path), "%s/x", directory);
	write_file(path, text, sizeof(text) - 1);
	CHECK_EQ(pln_source_read(&source, "x", directory), 0);
	CHECK_EQ(source.count, 4);
	CHECK(source.changed_ns > 0);
	check_line(&source, 1, "one");
	check_line(&source, 2, "        two");
	check_line(&source, 3, "");
	check_line(&source, 4, "fo      ur");
	check_line(&source, 0, "");
	check_line(&source, 5, "");
	pln_source_free(&source);

	/* What is behind a zero is no source; nothing at all is no line. */
	write_file(path, "a\n\0b\n", 5);
	CHECK_EQ(pln_source_read(&source, path, NULL), 0);
	CHECK_EQ(source.count, 1);
	pln_source_free(&source);
	write_file(path, "", 0);
	CHECK_EQ(pln_source_read(&source, path, NULL), 0);
	CHECK_EQ(source.count, 0);
	pln_source_free(&source);
	unlink(path);
}

static void test_source_that_is_none(const char *directory)
{
	struct pln_source source;
	char path[64];

	CHECK_EQ(pln_source_read(&source, "x", directory), -ENOENT);
	check_line(&source, 1, "");
	CHECK_EQ(pln_source_read(&source, directory, NULL), -EINVAL);
	/* Nobody writes into it: it must not be waited for. */
	snprintf(path, sizeof(path), "%s/fifo", directory);
	CHECK_EQ(mkfifo(path, 0600), 0);
	CHECK_EQ(pln_source_read(&source, path, NULL), -EINVAL);
	unlink(path);
}

/* ----------------------------------------------------------------- instructions */

static void check_code(struct pln_disassembler *d, const char *bytes, size_t size, unsigned used,
		       const char *text, uint64_t target)
{
	struct pln_decoded decoded;

	pln_disassemble(d, (const uint8_t *)bytes, size, 0x1000, &decoded);
	CHECK_EQ(decoded.size, used);
	CHECK_STR(decoded.text, text);
	CHECK_EQ(decoded.target, target);
}

static void test_instructions(void)
{
	struct pln_disassembler *att = pln_disassembler_new(PLN_SYNTAX_ATT);
	struct pln_disassembler *intel = pln_disassembler_new(PLN_SYNTAX_INTEL);

	if (pln_disassembler_missing() || !CHECK(att && intel))
		return;
	check_code(att, "\xc3", 1, 1, "retq", 0);
	check_code(intel, "\xc3\x90", 2, 1, "ret", 0);
	check_code(att, "\x48\x89\xe5", 3, 3, "movq    %rsp, %rbp", 0);
	check_code(intel, "\x48\x89\xe5", 3, 3, "mov     rbp, rsp", 0);
	check_code(intel, "\xe8\x10\x00\x00\x00", 5, 5, "call    0x1015", 0x1015);
	check_code(intel, "\x74\xfe", 2, 2, "je      0x1000", 0x1000);
	/* Through a register or memory: nobody knows where to. */
	check_code(intel, "\xff\xd0", 2, 2, "call    rax", 0);
	/* Not an instruction in 64-bit code, and the start of one that is cut. */
	check_code(att, "\x06\x90", 2, 1, ".byte 0x06", 0);
	check_code(att, "\xe8\x10", 2, 1, ".byte 0xe8", 0);
	pln_disassembler_free(att);
	pln_disassembler_free(intel);
}

int main(void)
{
	char directory[] = "/tmp/test_annotate.XXXXXX";

	test_names();
	test_files();
	if (CHECK(mkdtemp(directory) != NULL)) {
		test_source(directory);
		test_source_that_is_none(directory);
		rmdir(directory);
	}
	test_instructions();
	return check_result();
}
