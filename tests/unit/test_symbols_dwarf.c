/* SPDX-License-Identifier: MIT */
/*
 * Inlined chains, files and lines are those of the source, whatever wrote the DWARF:
 * gcc and clang, versions 4 and 5, with and without .debug_aranges, compressed, LTO,
 * line tables only; for C, C++ and Rust.
 */
#include "symbols/fixture.h"

#include "check.h"

static void check_chain(const char *command)
{
	const char *name = "program";
	struct fixture f;

	if (!fixture_open(&f, name))
		return;
	fixture_lookup(&f, name, "mark_inner", 0);
	CHECK_EQ(f.count, 4);
	fixture_check(&f, 0, "inner", "inlined.h", "inner");
	fixture_check(&f, 1, "middle", "inlined.c", "middle");
	fixture_check(&f, 2, "outer", "inlined.c", "outer");
	fixture_check(&f, 3, "chain", "inlined.c", "chain_call");
	if (!strstr(command, "line-tables-only"))
		CHECK_EQ(f.symbols[3].decl_line, fixture_line("inlined.c", "chain_decl"));
	CHECK_STR(f.symbols[3].linkage_name, "chain");
	CHECK_STR(pln_symbol_file_source(f.file), "dwarf");
	CHECK_STR(pln_symbol_file_problem(f.file), "");

	fixture_lookup(&f, name, "mark_chain", 0);
	CHECK_EQ(f.count, 1);
	fixture_check(&f, 0, "chain", "inlined.c", "chain");
	fixture_close(&f);
}

static void build_and_check(const char *command)
{
	printf("%s\n", command);
	if (CHECK(fixture_run("%s -o program $S/inlined.c", command)))
		check_chain(command);
}

static void test_versions(void)
{
	build_and_check("gcc -O2 -gdwarf-4");
	build_and_check("gcc -O2 -gdwarf-5");
	build_and_check("gcc -O2 -g -gno-as-loc-support");
	build_and_check("gcc -O2 -g -flto");
	build_and_check("gcc -O2 -g -static-pie");
	build_and_check("gcc -O2 -g -no-pie -ffunction-sections -Wl,--gc-sections");
	if (!fixture_has("clang"))
		return;
	build_and_check("clang -O2 -gdwarf-4");
	build_and_check("clang -O2 -gdwarf-5");
	build_and_check("clang -O2 -gline-tables-only");
}

/* What this toolchain cannot write is not tested. */
static void test_compressed(void)
{
	static const char *const kinds[] = { "zlib", "zlib-gnu", "zstd" };

	for (unsigned i = 0; i < 3; i++) {
		if (!fixture_run("gcc -O2 -g -o plain $S/inlined.c && objcopy "
				 "--compress-debug-sections=%s plain program 2>/dev/null",
				 kinds[i])) {
			printf("not tested: objcopy cannot do %s\n", kinds[i]);
			continue;
		}
		printf("compressed by %s\n", kinds[i]);
		check_chain(kinds[i]);
	}
}

/* Names of the split file are not read; lines are in the main file, the name in .symtab. */
static void test_split_dwarf(void)
{
	struct fixture f;

	if (!CHECK(fixture_run("gcc -O2 -g -gsplit-dwarf -o program $S/inlined.c")) ||
	    !fixture_open(&f, "program"))
		return;
	fixture_lookup(&f, "program", "mark_chain", 0);
	CHECK_EQ(f.count, 1);
	fixture_check(&f, 0, "chain", "inlined.c", "chain");
	fixture_close(&f);
}

/* Both halves are the function; the symbol of the second says which half it is. */
static void test_cold_part(void)
{
	struct fixture f;

	if (!CHECK(fixture_run("gcc -O2 -g -o program $S/inlined.c")) ||
	    !fixture_open(&f, "program"))
		return;
	fixture_lookup(&f, "program", "mark_hot", 0);
	fixture_check(&f, 0, "unlikely", "inlined.c", "hot");
	CHECK_STR(f.symbols[0].linkage_name, "unlikely");
	fixture_lookup(&f, "program", "mark_cold", 0);
	fixture_check(&f, 0, "unlikely", "inlined.c", "cold");
	CHECK_STR(f.symbols[0].linkage_name, "unlikely.cold");
	fixture_close(&f);

	if (!CHECK(fixture_run("gcc -O2 -o program $S/inlined.c")) || !fixture_open(&f, "program"))
		return;
	fixture_lookup(&f, "program", "mark_cold", 0);
	fixture_check(&f, 0, "unlikely", "", NULL);
	CHECK_STR(f.symbols[0].linkage_name, "unlikely.cold");
	CHECK_STR(pln_symbol_file_source(f.file), "symtab");
	fixture_close(&f);
}

/* The physical function is never left out, however little room there is. */
static void test_few_slots(void)
{
	struct pln_symbol symbols[2];
	struct fixture f;
	uint64_t address;

	if (!CHECK(fixture_run("gcc -O2 -g -o program $S/inlined.c")) ||
	    !fixture_open(&f, "program"))
		return;
	address = fixture_address("program", "mark_inner");
	CHECK_EQ(pln_symbolizer_lookup(f.symbolizer, f.file, address, symbols, 2), 2);
	CHECK_STR(symbols[0].name, "inner");
	CHECK_STR(symbols[1].name, "chain");
	CHECK(symbols[0].inlined && !symbols[1].inlined);
	CHECK_EQ(pln_symbolizer_lookup(f.symbolizer, f.file, address, symbols, 0), 0);
	fixture_close(&f);
}

static void check_cplusplus(const char *compiler)
{
	struct fixture f;

	if (!fixture_has(compiler) ||
	    !CHECK(fixture_run("%s -O2 -g -o names $S/names.cc", compiler)) ||
	    !fixture_open(&f, "names"))
		return;
	printf("%s\n", compiler);
	fixture_lookup(&f, "names", "mark_hidden", 0);
	fixture_check(&f, 0, "outer::(anonymous namespace)::hidden", "names.cc", "hidden");
	fixture_lookup(&f, "names", "mark_plain", 0);
	/* clang leaves the scope of extern "C" functions out. */
	fixture_check(&f, 0, strcmp(compiler, "g++") ? "plain" : "outer::plain", "names.cc",
		      "plain");
	CHECK_STR(f.symbols[0].linkage_name, "plain");
	fixture_lookup(&f, "names", "mark_twice", 0);
	fixture_check(&f, 0, "outer::box::twice<long>", "names.cc", "twice");
	fixture_lookup(&f, "names", "mark_lambda", 0);
	CHECK_EQ(f.count, 2);
	CHECK(f.count && strstr(f.symbols[0].name, "operator()"));
	fixture_check(&f, 1, "outer::box::open", "names.cc", "open");
	fixture_close(&f);
}

static void check_rust(const char *options)
{
	struct fixture f;

	if (!fixture_has("rustc") ||
	    !fixture_run("RUSTC_BOOTSTRAP=1 rustc -O -g %s -o names $S/names.rs 2>rust.err",
			 options)) {
		printf("not tested: no rustc that can %s\n", options);
		return;
	}
	if (!fixture_open(&f, "names"))
		return;
	printf("rustc %s\n", options);
	fixture_lookup(&f, "names", "mark_multiply", 0);
	CHECK_EQ(f.count, 2);
	fixture_check(&f, 0, "names::shapes::multiply", "names.rs", "multiply");
	fixture_check(&f, 1, "<names::shapes::Square as names::shapes::Area>::area", "names.rs",
		      "area");
	fixture_close(&f);
}

/* One row per byte of code, see the source. */
static void test_rows(void)
{
	static const struct {
		const char *file;
		unsigned line;
	} expected[] = {
		{ "/dir/one.c", 10 }, { "/dir/one.c", 11 }, { "/dir/one.c", 11 },
		{ "/dir/two.c", 12 }, { "/dir/two.c", 13 }, { "/dir/one.c", 20 },
	};
	struct fixture f;

	if (!fixture_run("gcc -gdwarf-5 -nostdlib -shared -o rows.so $S/rows.s 2>rows.err")) {
		printf("not tested: rows.s, the assembler is too old\n");
		return;
	}
	if (!fixture_open(&f, "rows.so"))
		return;
	for (int i = 0; i < 6; i++) {
		fixture_lookup(&f, "rows.so", "rows", i);
		CHECK_EQ(f.count, 1);
		CHECK_STR(f.symbols[0].name, i < 5 ? "rows" : "main");
		CHECK_STR(f.symbols[0].file, expected[i].file);
		CHECK_EQ(f.symbols[0].line, expected[i].line);
	}
	fixture_close(&f);
}

int main(void)
{
	if (!fixture_has("gcc"))
		return check_skip("no gcc");
	test_versions();
	test_compressed();
	test_split_dwarf();
	test_cold_part();
	test_few_slots();
	test_rows();
	check_cplusplus("g++");
	check_cplusplus("clang++");
	check_rust("");
	check_rust("-Z unstable-options -C symbol-mangling-version=v0");
	return check_result();
}
