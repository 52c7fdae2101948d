/* SPDX-License-Identifier: MIT */
/*
 * libfuzzer.c - what clang's fuzzer calls; FUZZ_TARGET is fuzz_profile or fuzz_records.
 *
 *   CC=clang cmake -S . -B build -G Ninja -DPILLION_FUZZ=ON && ninja -C build fuzz_profile
 *   build/tests/unit/test_fuzz_profile --seeds seeds && build/tests/fuzz/fuzz_profile seeds
 */
#include <stdlib.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!FUZZ_TARGET(data, size))
		abort();
	return 0;
}
