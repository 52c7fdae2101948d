/* SPDX-License-Identifier: MIT */
/*
 * Profiles that were damaged on purpose, checksums right again: each is refused, or shown in
 * every way, and what it says of itself holds.
 */
#include "small_profile.h"

#include "rounds.h"

static size_t honest_input(uint8_t *out)
{
	int fd = small_start();
	size_t size;

	small_write(2, 20);
	size = fuzz_profile_pack(out, ROUNDS_ROOM, small_path);
	close(fd);
	return size;
}

int main(int argc, char **argv)
{
	static uint8_t honest[ROUNDS_ROOM];

	return rounds_run(argc, argv, honest, honest_input(honest), fuzz_profile);
}
