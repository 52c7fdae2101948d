/* SPDX-License-Identifier: MIT */
/*
 * libfuzzer.c - what clang's fuzzer calls; FUZZ_TARGET is the function of one target. See run.sh.
 */
#include <stdlib.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__asan_default_options(void);

/*
 * What was freed is kept from being used again to find who does. The 256 MB that are usual for it
 * make each run begin on pages that are not there yet; one run frees less than a megabyte.
 */
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=16";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!FUZZ_TARGET(data, size))
		abort();
	return 0;
}
