/* SPDX-License-Identifier: MIT */
/*
 * Profiles that were damaged on purpose, checksums right again: each is refused, or shown in
 * every way, and what it says of itself holds.
 *
 *   test_fuzz_profile [SEED]         another SEED gives other mutations
 *   test_fuzz_profile --seeds DIR    writes the honest input, for a fuzzer to begin with
 */
#include "small_profile.h"

#include "fuzz.h"

#define ROUNDS 1500
#define ROOM 16384

static size_t honest_input(uint8_t *out)
{
	int fd = small_start();
	size_t size;

	small_write(2, 20);
	size = fuzz_profile_pack(out, ROOM, small_path);
	close(fd);
	return size;
}

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
	size_t whole = honest_input(honest), size;

	if (!CHECK(whole > 0) || !CHECK(fuzz_profile(honest, whole)))
		return check_result();
	if (argc == 3)
		return write_seed(argv[2], honest, whole);
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t before = state;

		memcpy(input, honest, whole);
		size = fuzz_mutate(input, whole, ROOM, &state);
		if (!CHECK(fuzz_profile(input, size)))
			fprintf(stderr, "\tseed %" PRIu64 "\n", before);
	}
	return check_result();
}
