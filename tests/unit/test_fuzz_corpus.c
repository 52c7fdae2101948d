/* SPDX-License-Identifier: MIT */
/*
 * What the fuzzers found worth keeping, and some mutations of each: no target breaks a
 * promise on it. The fuzzers themselves are run by tests/fuzz/run.sh.
 *
 *   test_fuzz_corpus [SEED]    another SEED gives other mutations
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "fuzz.h"

#define MUTATIONS 60
#define ROOM 16384

static const struct {
	const char *name;
	bool (*run)(const uint8_t *data, size_t size);
} targets[] = {
	{ "profile", fuzz_profile },	 { "records", fuzz_records },
	{ "hello", fuzz_hello },	 { "names", fuzz_names },
	{ "linetable", fuzz_linetable }, { "elf", fuzz_elf },
	{ "dwarf", fuzz_dwarf },	 { "cfi", fuzz_cfi },
	{ "layout", fuzz_layout },	 { "python", fuzz_python },
};

static size_t read_input(const char *path, uint8_t *input)
{
	FILE *in = fopen(path, "re");
	size_t size = in ? fread(input, 1, ROOM, in) : 0;

	if (in)
		fclose(in);
	return size;
}

static void mutate(unsigned target, const char *path, const uint8_t *input, size_t whole,
		   uint64_t *state)
{
	static uint8_t copy[ROOM];

	for (unsigned i = 0; i < MUTATIONS; i++) {
		uint64_t before = *state;
		size_t size;

		memcpy(copy, input, whole);
		size = fuzz_mutate(copy, whole, sizeof(copy), state);
		if (!CHECK(targets[target].run(copy, size)))
			fprintf(stderr, "\t%s, seed %" PRIu64 "\n", path, before);
	}
}

/* Returns how many inputs there are. */
static unsigned run_corpus(unsigned target, uint64_t *state)
{
	static uint8_t input[ROOM];
	char folder[4096], path[8192];
	struct dirent *entry;
	unsigned count = 0;
	DIR *dir;

	snprintf(folder, sizeof(folder), "%s/%s", FUZZ_CORPUS, targets[target].name);
	dir = opendir(folder);
	while (dir && (entry = readdir(dir))) {
		size_t size;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		size = read_input(path, input);
		if (!CHECK(targets[target].run(input, size)))
			fprintf(stderr, "\t%s\n", path);
		mutate(target, path, input, size, state);
		count++;
	}
	if (dir)
		closedir(dir);
	return count;
}

int main(int argc, char **argv)
{
	uint64_t state = argc > 1 ? strtoull(argv[1], NULL, 0) | 1 : 4711;

	for (unsigned i = 0; i < sizeof(targets) / sizeof(*targets); i++) {
		unsigned count = run_corpus(i, &state);

		printf("%s: %u inputs\n", targets[i].name, count);
		CHECK(count > 0);
	}
	return check_result();
}
