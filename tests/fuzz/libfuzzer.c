/* SPDX-License-Identifier: MIT */
/*
 * libfuzzer.c - what clang's fuzzer calls; FUZZ_TARGET is the function of one target. See run.sh.
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
