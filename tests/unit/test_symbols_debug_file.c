/* SPDX-License-Identifier: MIT */
/*
 * Stripped files are named by their separate debug files, wherever distributions put
 * them, and never by a file that is not theirs; parts that dwz moved are found, and
 * when they are not, names are missing rather than wrong.
 */
#include "symbols/fixture.h"

/* Splits `full` into `program` and `name`, with `link` in the program when not "". */
static bool split(const char *full, const char *name, const char *link)
{
	return CHECK(fixture_run(
		       "objcopy --only-keep-debug %s %s && objcopy --strip-all %s program", full,
		       name, full)) &&
	       (!*link || CHECK(fixture_run("objcopy --add-gnu-debuglink=%s program", link)));
}

/* `full` still has the marks' addresses. */
static void check_found(const char *full, const char *debug_path)
{
	struct fixture f;
	uint64_t address = fixture_address(full, "mark_inner");

	if (!fixture_open(&f, "program"))
		return;
	CHECK(address);
	f.count = pln_symbolizer_lookup(f.symbolizer, f.file, address, f.symbols, 16);
	if (debug_path) {
		CHECK_EQ(f.count, 4);
		fixture_check(&f, 0, "inner", "inlined.h", "inner");
		fixture_check(&f, 3, "chain", "inlined.c", "chain_call");
		CHECK_STR(f.symbols[3].linkage_name, "chain");
		CHECK_STR(pln_symbol_file_source(f.file), "dwarf");
		CHECK_STR(pln_symbol_file_debug_path(f.file), debug_path);
	} else {
		CHECK_EQ(f.count, 0);
		CHECK_STR(pln_symbol_file_debug_path(f.file), "");
	}
	fixture_close(&f);
}

static void test_build_id(void)
{
	CHECK(fixture_run("rm -rf debug && mkdir -p debug/.build-id/ab && "
			  "gcc -O2 -g -Wl,--build-id=0xabcdef01 -o full $S/inlined.c"));
	if (!split("full", "debug/.build-id/ab/cdef01.debug", ""))
		return;
	check_found("full", fixture_path("debug/.build-id/ab/cdef01.debug"));

	/* A file of that name with another build id is another program's. */
	CHECK(fixture_run("gcc -O1 -g -Wl,--build-id=0xabcdef02 -o other $S/inlined.c && cp other "
			  "debug/.build-id/ab/cdef01.debug"));
	check_found("full", NULL);
}

static void test_debug_link(void)
{
	CHECK(fixture_run("rm -rf debug && gcc -O2 -g -Wl,--build-id=none -o full $S/inlined.c"));
	if (!split("full", "program.debug", "program.debug"))
		return;
	check_found("full", fixture_path("program.debug"));
	CHECK(fixture_run("mkdir .debug && mv program.debug .debug"));
	check_found("full", fixture_path(".debug/program.debug"));
	CHECK(fixture_run("mkdir -p debug$PWD && mv .debug/program.debug debug$PWD"));
	{
		char path[600];

		snprintf(path, sizeof(path), "debug%s/program.debug", fixture_dir());
		check_found("full", fixture_path(path));
	}
	/* One bit of it is enough to refuse it. */
	CHECK(fixture_run("printf x >> debug$PWD/program.debug"));
	check_found("full", NULL);
}

/* The link leads back to the file itself: not its own debug file. */
static void test_link_to_itself(void)
{
	CHECK(fixture_run(
		"rm -rf debug && gcc -O2 -g -Wl,--build-id=0xabcdef03 -o full $S/inlined.c "
		"&& objcopy --strip-all full program && cp program copy && "
		"objcopy --add-gnu-debuglink=copy program && mv program copy && "
		"ln -f copy program"));
	check_found("full", NULL);
}

/* In a container: the debug file under its root comes before ours. */
static void test_root(void)
{
	const char *dirs[] = { "/debug", NULL };
	struct pln_symbolizer *s = pln_symbolizer_new(dirs);
	struct pln_symbol symbols[16];
	struct pln_symbol_file *file;

	CHECK(fixture_run("gcc -O2 -g -Wl,--build-id=0xabcdef04 -o full $S/inlined.c && "
			  "mkdir -p root/debug/.build-id/ab root/app"));
	if (split("full", "root/debug/.build-id/ab/cdef04.debug", "") &&
	    CHECK(fixture_run("cp program root/app/program")) &&
	    CHECK_EQ(pln_symbolizer_file(s, fixture_path("root"), "/app/program", NULL, 0, &file),
		     0)) {
		uint64_t address = fixture_address("full", "mark_inner");

		CHECK_EQ(pln_symbolizer_lookup(s, file, address, symbols, 16), 4);
		CHECK_STR(pln_symbol_file_debug_path(file),
			  fixture_path("root/debug/.build-id/ab/cdef04.debug"));
	}
	pln_symbolizer_free(s);
}

/* Only local symbols, compressed, inside of a stripped file. */
static void test_mini(void)
{
	struct fixture f;
	uint64_t address;

	if (!fixture_has("xz")) {
		printf("not tested: .gnu_debugdata, no xz\n");
		return;
	}
	CHECK(fixture_run("rm -rf debug && gcc -O2 -rdynamic -Wl,--build-id=0xabcdef05 -o full "
			  "$S/inlined.c && objcopy --only-keep-debug full mini && xz -kf mini && "
			  "objcopy --strip-all --add-section .gnu_debugdata=mini.xz full program"));
	if (!fixture_open(&f, "program"))
		return;
	address = fixture_address("full", "mark_cold");
	f.count = pln_symbolizer_lookup(f.symbolizer, f.file, address, f.symbols, 16);
	if (!f.count && !strcmp(pln_symbol_file_source(f.file), "dynsym")) {
		printf("not tested: .gnu_debugdata, built without liblzma\n");
	} else {
		fixture_check(&f, 0, "unlikely", "", NULL);
		CHECK_STR(f.symbols[0].linkage_name, "unlikely.cold");
		CHECK_STR(pln_symbol_file_source(f.file), "symtab");
	}
	fixture_close(&f);
}

/* Names and abstract functions of two files in a third one. */
static void test_dwz(const char *version)
{
	struct fixture f;

	printf("dwz -m, %s\n", version);
	CHECK(fixture_run("rm -rf debug && gcc -O2 %s -o program $S/inlined.c && gcc -O2 %s "
			  "-DANOTHER -o second $S/inlined.c",
			  version, version));
	if (!fixture_run("dwz -m common.debug -M common.debug program second 2>dwz.err") ||
	    !fixture_run("readelf -SW program | grep -q gnu_debugaltlink")) {
		printf("not tested: this dwz found nothing in common\n");
		return;
	}
	if (!fixture_open(&f, "program"))
		return;
	fixture_lookup(&f, "program", "mark_inner", 0);
	CHECK_EQ(f.count, 4);
	fixture_check(&f, 0, "inner", "inlined.h", "inner");
	fixture_check(&f, 1, "middle", "inlined.c", "middle");
	fixture_check(&f, 2, "outer", "inlined.c", "outer");
	fixture_check(&f, 3, "chain", "inlined.c", "chain_call");
	fixture_close(&f);

	/* By its name alone, where distributions put it. */
	CHECK(fixture_run("mkdir -p debug/.dwz && mv common.debug debug/.dwz"));
	if (fixture_open(&f, "program")) {
		fixture_lookup(&f, "program", "mark_inner", 0);
		fixture_check(&f, 0, "inner", "inlined.h", "inner");
		fixture_close(&f);
	}

	/* Lost: what is in it has no name, and nothing has a wrong one. */
	CHECK(fixture_run("rm -r debug"));
	if (!fixture_open(&f, "program"))
		return;
	fixture_lookup(&f, "program", "mark_inner", 0);
	CHECK(f.count >= 1);
	for (unsigned i = 0; i < f.count; i++) {
		static const char *const right[] = { "inner", "middle", "outer", "chain" };

		CHECK(!*f.symbols[i].name || !strcmp(f.symbols[i].name, right[4 - f.count + i]));
	}
	CHECK(f.count && !strcmp(f.symbols[f.count - 1].name, "chain"));
	fixture_close(&f);
}

int main(void)
{
	if (!fixture_has("gcc") || !fixture_has("objcopy"))
		return check_skip("no gcc or objcopy");
	test_build_id();
	test_debug_link();
	test_link_to_itself();
	test_root();
	test_mini();
	if (fixture_has("dwz")) {
		test_dwz("-gdwarf-4");
		test_dwz("-gdwarf-5");
	}
	return check_result();
}
