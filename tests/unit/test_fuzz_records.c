/* SPDX-License-Identifier: MIT */
/*
 * Records that make no sense, between some that do: the profile of such a target is whole.
 *
 *   test_fuzz_records [SEED]         another SEED gives other mutations
 *   test_fuzz_records --seeds DIR    writes the honest input, for a fuzzer to begin with
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "check.h"
#include "fuzz.h"

#define ROUNDS 1500
#define ROOM 8192

static int write_seed(const char *directory, const uint8_t *honest, size_t size)
{
	char file[4096];
	FILE *out;

	mkdir(directory, 0777);
	snprintf(file, sizeof(file), "%s/honest", directory);
	out = fopen(file, "w");
	return !out || fwrite(honest, 1, size, out) != size || fclose(out);
}

int main(int argc, char **argv)
{
	static uint8_t honest[ROOM], input[ROOM];
	uint64_t state = argc == 2 ? strtoull(argv[1], NULL, 0) | 1 : 4711;
	size_t whole = fuzz_records_honest(honest, ROOM), size;

	if (!CHECK(whole > 0) || !CHECK(fuzz_records(honest, whole)))
		return check_result();
	if (argc == 3)
		return write_seed(argv[2], honest, whole);
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t before = state;

		memcpy(input, honest, whole);
		size = fuzz_mutate(input, whole, ROOM, &state);
		if (!CHECK(fuzz_records(input, size)))
			fprintf(stderr, "\tseed %" PRIu64 "\n", before);
	}
	return check_result();
}
