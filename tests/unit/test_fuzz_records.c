/* SPDX-License-Identifier: MIT */
/*
 * Records that make no sense, between some that do: the profile of such a target is whole.
 */
#include "rounds.h"

int main(int argc, char **argv)
{
	static uint8_t honest[ROUNDS_ROOM / 2];

	return rounds_run(argc, argv, honest, fuzz_records_honest(honest, sizeof(honest)),
			  fuzz_records);
}
