/* SPDX-License-Identifier: MIT */
/*
 * Files that are cut, damaged at random or made to lie neither crash nor hang the
 * collector; what kills the worker costs that file's DWARF and nothing else.
 *
 * Pseudo-random and the same in every run; a number as argument changes the seed, a
 * second one how many damaged copies are tried.
 */
#include "symbols/fixture.h"

#include "symbols/dwarf_worker.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* A damaged copy that takes longer than this hangs. */
#define COPY_MAX_SECONDS 40.0

static uint64_t seed = 1;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint8_t *read_all(const char *path, size_t *size)
{
	FILE *file = fopen(path, "re");
	uint8_t *data = malloc(1 << 22);

	*size = file && data ? fread(data, 1, 1 << 22, file) : 0;
	if (file)
		fclose(file);
	return data;
}

static void write_all(const char *path, const uint8_t *data, size_t size)
{
	FILE *file = fopen(path, "we");

	CHECK(file && fwrite(data, 1, size, file) == size);
	if (file)
		fclose(file);
}

/* Looks up addresses all over the file; returns how many frames there were. */
static unsigned look_around(const char *path)
{
	const char *dirs[] = { fixture_path("debug"), NULL };
	struct pln_symbolizer *s = pln_symbolizer_new(dirs);
	struct pln_symbol_file *file;
	struct pln_symbol symbols[16];
	unsigned frames = 0;

	if (!pln_symbolizer_file(s, NULL, path, NULL, 0, &file)) {
		for (uint64_t at = 0x1000; at < 0x1400; at += 3) {
			unsigned n = pln_symbolizer_lookup(s, file, at, symbols, 16);

			for (unsigned i = 0; i < n; i++) {
				frames++;
				frames += strlen(symbols[i].name) + strlen(symbols[i].file) +
						  strlen(symbols[i].linkage_name) >
					  100000000;
			}
		}
		frames += (unsigned)strlen(pln_symbol_file_problem(file)) > 1000;
	}
	pln_symbolizer_free(s);
	return frames;
}

static void damage(uint8_t *data, size_t size)
{
	unsigned changes = 1 + next_random() % 24;

	while (changes--) {
		size_t at = next_random() % size;

		switch (next_random() % 4) {
		case 0:
			data[at] ^= (uint8_t)(1 << next_random() % 8);
			break;
		case 1:
			data[at] = (uint8_t)next_random();
			break;
		case 2:
			memset(data + at, 0xff, size - at < 8 ? size - at : 8);
			break;
		default:
			memset(data + at, 0, size - at < 4 ? size - at : 4);
			break;
		}
	}
}

/* Where the sections with the DWARF start: damage there is what parsers meet. */
static size_t debug_start(const char *name)
{
	char command[512], text[64] = "";
	FILE *output;

	snprintf(command, sizeof(command),
		 "readelf -SW '%s' | sed -n 's/.* \\.z*debug_aranges *PROGBITS *[0-9a-f]* "
		 "\\([0-9a-f]*\\) "
		 ".*/\\1/p'",
		 fixture_path(name));
	output = popen(command, "r");
	if (output) {
		if (!fgets(text, sizeof(text), output))
			text[0] = '\0';
		pclose(output);
	}
	return strtoul(text, NULL, 16);
}

static void test_damaged(const char *build, unsigned copies)
{
	size_t size, start;
	uint8_t *original, *copy;
	double slowest = 0;
	unsigned named = 0;

	if (!CHECK(fixture_run("%s", build)))
		return;
	original = read_all(fixture_path("program"), &size);
	start = debug_start("program");
	copy = malloc(size);
	CHECK(size && start && start < size);
	CHECK(look_around(fixture_path("program")) > 0);
	for (unsigned i = 0; i < copies; i++) {
		double before = seconds();

		memcpy(copy, original, size);
		/* Every fourth one anywhere, headers and symbols included. */
		if (i % 4)
			damage(copy + start, size - start);
		else
			damage(copy, size);
		write_all(fixture_path("damaged"), copy, size);
		named += look_around(fixture_path("damaged")) > 0;
		if (seconds() - before > slowest)
			slowest = seconds() - before;
	}
	printf("%s\n\t%u copies, %u still gave names, the slowest took %.3f s\n", build, copies,
	       named, slowest);
	CHECK(slowest < COPY_MAX_SECONDS);
	CHECK(named > 0);
	free(copy);
	free(original);
}

static void test_cut(void)
{
	size_t size;
	uint8_t *original;

	CHECK(fixture_run("gcc -O2 -g -o program $S/inlined.c"));
	original = read_all(fixture_path("program"), &size);
	for (size_t length = 0; length < size; length += size / 97 + 1) {
		write_all(fixture_path("damaged"), original, length);
		look_around(fixture_path("damaged"));
	}
	free(original);
}

/* The file shrinks after it was opened; it is mapped by the worker, which may die of it. */
static void test_cut_while_open(void)
{
	struct fixture f;
	uint64_t address;

	CHECK(fixture_run("gcc -O2 -g -o program $S/inlined.c && cp program shrinking"));
	address = fixture_address("program", "mark_inner");
	if (!fixture_open(&f, "shrinking"))
		return;
	CHECK_EQ(truncate(fixture_path("shrinking"), 5000), 0);
	f.count = pln_symbolizer_lookup(f.symbolizer, f.file, address, f.symbols, 16);
	CHECK(f.count <= 4);
	fixture_close(&f);

	/* After the symbols were read and the worker has mapped the file. */
	CHECK(fixture_run("cp program shrinking"));
	if (!fixture_open(&f, "shrinking"))
		return;
	CHECK_EQ(pln_symbolizer_lookup(f.symbolizer, f.file, address, f.symbols, 16), 4);
	CHECK_EQ(truncate(fixture_path("shrinking"), 0), 0);
	CHECK_EQ(pln_symbolizer_lookup(f.symbolizer, f.file, address, f.symbols, 16), 4);
	fixture_close(&f);
}

/* Signals every child of this process: the workers. Returns how many. */
static unsigned signal_workers(int signal)
{
	char path[64];
	unsigned count = 0;
	FILE *children;
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	children = fopen(path, "re");
	while (children && fscanf(children, "%d", &pid) == 1)
		count += !kill(pid, signal);
	if (children)
		fclose(children);
	return count;
}

/* By the kernel for want of memory, say: what was read stays, the rest is read by a new one. */
static void test_worker_dies(void)
{
	struct fixture f;

	CHECK(fixture_run("gcc -O2 -g -o program $S/inlined.c $S/exports.c"));
	if (!fixture_open(&f, "program"))
		return;
	fixture_lookup(&f, "program", "mark_inner", 0);
	CHECK_EQ(f.count, 4);
	CHECK_EQ(signal_workers(SIGKILL), 1);
	fixture_lookup(&f, "program", "mark_chain", 0);
	fixture_check(&f, 0, "chain", "inlined.c", "chain");
	fixture_lookup(&f, "program", "mark_secret", 0);
	fixture_check(&f, 0, "secret", "exports.c", "secret");
	CHECK_EQ(signal_workers(SIGKILL), 1);
	CHECK_STR(pln_symbol_file_problem(f.file), "");
	fixture_close(&f);
}

/* More files than may have a worker at once. */
static void test_many_files(void)
{
	struct pln_symbolizer *s = pln_symbolizer_new(NULL);
	struct pln_symbol_file *files[9];
	struct pln_symbol symbols[16];
	uint64_t address;
	char name[32];

	CHECK(fixture_run("gcc -O2 -g -o program $S/inlined.c && for i in 0 1 2 3 4 5 6 7 8; do "
			  "cp program copy$i; done"));
	address = fixture_address("program", "mark_inner");
	for (int i = 0; i < 9; i++) {
		snprintf(name, sizeof(name), "copy%d", i);
		CHECK_EQ(pln_symbolizer_file(s, NULL, fixture_path(name), NULL, 0, &files[i]), 0);
	}
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 9; i++)
			CHECK_EQ(pln_symbolizer_lookup(s, files[i], address, symbols, 16), 4);
	}
	pln_symbolizer_free(s);
}

/* What a worker says is checked, not believed. */
static struct pln_dwarf_unit *receive(struct pln_dwarf_message *message)
{
	struct pln_dwarf_header header = { 0 };
	uint8_t *memory = calloc(1, 4096);
	size_t at = 0;

	for (int i = 0; i < PLN_DWARF_ARRAYS; i++) {
		const struct pln_array *array = &message->arrays[i];

		header.sizes[i] = array->size;
		if (array->size)
			memcpy(memory + at, array->data, array->size);
		at += (array->size + 7) & ~(size_t)7;
	}
	return pln_dwarf_unit_new(&header, memory);
}

static void test_lying_worker(void)
{
	struct pln_dwarf_function function = { 0, 0, 1 };
	struct pln_dwarf_node node = { 0, PLN_DWARF_NONE, PLN_DWARF_NONE, 0 };
	struct pln_slice slice = { .start = 0, .value = 0 };
	struct pln_dwarf_row row = { 0, 0, 0 };
	uint32_t file = 0;
	struct pln_dwarf_message good = {
		.arrays = {
			[PLN_DWARF_ROWS] = {&row, sizeof(row), 0},
			[PLN_DWARF_SLICES] = {&slice, sizeof(slice), 0},
			[PLN_DWARF_NODES] = {&node, sizeof(node), 0},
			[PLN_DWARF_FUNCTIONS] = {&function, sizeof(function), 0},
			[PLN_DWARF_FILES] = {&file, sizeof(file), 0},
			[PLN_DWARF_STRINGS] = {"", 1, 0},
		},
	};
	struct pln_dwarf_unit *unit = receive(&good);

	CHECK(unit);
	pln_dwarf_unit_free(unit);
	function.name = 1;
	CHECK(!receive(&good));
	function.name = 0;
	node.caller = 0;
	CHECK(!receive(&good));
	node.caller = PLN_DWARF_NONE;
	node.call_file = 1;
	CHECK(!receive(&good));
	node.call_file = 0;
	row.file = 1;
	CHECK(!receive(&good));
	row.file = 0;
	slice.value = 1;
	CHECK(!receive(&good));
	slice.value = 0;
	file = 1;
	CHECK(!receive(&good));
	file = 0;
	good.arrays[PLN_DWARF_STRINGS] = (struct pln_array){ "x", 1, 0 };
	CHECK(!receive(&good));
	good.arrays[PLN_DWARF_STRINGS].size = 0;
	CHECK(!receive(&good));
}

/* Its names go into the profile: none is longer than those of symbols may be. */
static void test_long_string(void)
{
	struct pln_dwarf_header header = { 0 };
	size_t size = (size_t)1 << 20;
	char *memory = calloc(1, size);
	struct pln_dwarf_unit *unit;

	memset(memory + 1, 'a', size - 2);
	header.sizes[PLN_DWARF_STRINGS] = size;
	unit = pln_dwarf_unit_new(&header, memory);
	if (!CHECK(unit))
		return;
	CHECK_EQ(strlen(pln_dwarf_unit_string(unit, 0)), 0);
	CHECK_EQ(strlen(pln_dwarf_unit_string(unit, 1)), 0);
	CHECK_EQ(strlen(pln_dwarf_unit_string(unit, (uint32_t)size - 1 - 16385)), 0);
	CHECK_EQ(strlen(pln_dwarf_unit_string(unit, (uint32_t)size - 1 - 16384)), 16384);
	pln_dwarf_unit_free(unit);
}

/* A program with a link to a common file: a name, and `id_size` bytes that are to be a build id. */
static void check_long_id(unsigned id_size)
{
	struct fixture f;

	CHECK(fixture_run("{ printf 'x\\0'; head -c %u /dev/zero | tr '\\0' A; } > link && "
			  "objcopy --add-section .gnu_debugaltlink=link program linked",
			  id_size));
	if (!fixture_open(&f, "linked"))
		return;
	fixture_lookup(&f, "program", "mark_inner", 0);
	CHECK_EQ(f.count, 4);
	fixture_close(&f);
}

/* An id longer than any is none. */
static void test_long_id(void)
{
	static const unsigned sizes[] = { 0, 1, 64, 65, 66, 200, 5000, 3000000 };

	CHECK(fixture_run("mkdir -p debug && gcc -O2 -g -o program $S/inlined.c"));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		check_long_id(sizes[i]);
}

int main(int argc, char **argv)
{
	unsigned copies = argc > 2 ? (unsigned)atoi(argv[2]) : 150;

	if (argc > 1)
		seed = strtoull(argv[1], NULL, 10) | 1;
	if (!fixture_has("gcc"))
		return check_skip("no gcc");
	test_lying_worker();
	test_long_string();
	test_long_id();
	test_cut();
	test_cut_while_open();
	test_worker_dies();
	test_many_files();
	test_damaged("gcc -O2 -gdwarf-5 -o program $S/inlined.c", copies);
	test_damaged("gcc -O2 -gdwarf-4 -o program $S/inlined.c", copies);
	if (fixture_has("g++"))
		test_damaged("g++ -O2 -gdwarf-5 -gz=none -o program $S/names.cc", copies);
	return check_result();
}
