/* SPDX-License-Identifier: MIT */
/*
 * rounds.h - a fuzz target as a unit test: a few thousand mutations of one honest input.
 *
 *   test_fuzz_NAME [SEED]         another SEED gives other mutations
 *   test_fuzz_NAME --seeds DIR    writes the honest input, for a fuzzer to begin with
 */
#ifndef PILLION_TESTS_FUZZ_ROUNDS_H
#define PILLION_TESTS_FUZZ_ROUNDS_H

#include <stdlib.h>
#include <sys/stat.h>

#include "check.h"
#include "fuzz.h"

#define ROUNDS 1500
#define ROUNDS_ROOM 16384

static inline int rounds_write_seed(const char *directory, const uint8_t *honest, size_t size)
{
	char file[4096];
	FILE *out;

	mkdir(directory, 0777);
	snprintf(file, sizeof(file), "%s/honest", directory);
	out = fopen(file, "w");
	return !out || fwrite(honest, 1, size, out) != size || fclose(out);
}

/* What main() returns. */
static inline int rounds_run(int argc, char **argv, const uint8_t *honest, size_t whole,
			     bool (*target)(const uint8_t *data, size_t size))
{
	static uint8_t input[ROUNDS_ROOM];
	uint64_t state = argc == 2 ? strtoull(argv[1], NULL, 0) | 1 : 4711;

	if (!CHECK(whole > 0) || !CHECK(target(honest, whole)))
		return check_result();
	if (argc == 3)
		return rounds_write_seed(argv[2], honest, whole);
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t before = state;
		size_t size;

		memcpy(input, honest, whole);
		size = fuzz_mutate(input, whole, sizeof(input), &state);
		if (!CHECK(target(input, size)))
			fprintf(stderr, "\tseed %" PRIu64 "\n", before);
	}
	return check_result();
}

#endif
