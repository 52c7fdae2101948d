/* SPDX-License-Identifier: MIT */
/*
 * fuzz.h - inputs that others write, and what reads them.
 *
 * Profiles and records take a packed form of their input, in which a change of any byte means
 * something: checksums, alignment and framing are put around it, right, before it is read.
 * Each returns false when what came out breaks a promise; that nothing crashes, hangs or reads
 * what is not there is for the sanitizers to see.
 *
 *   unit/test_fuzz_*.c    some thousand mutations with every run of the tests
 *   run.sh                the fuzzers: as many as you like
 */
#ifndef PILLION_TESTS_FUZZ_H
#define PILLION_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Chunks: type (one byte), size (two bytes, little endian), payload. */
bool fuzz_profile(const uint8_t *data, size_t size);
/* Packs a profile; returns the size, 0 when it does not fit or cannot be read. */
size_t fuzz_profile_pack(uint8_t *out, size_t room, const char *path);

/* Records: lane (enum fuzz_lane, and by number behind), type, words (a byte each), body. */
enum fuzz_lane {
	FUZZ_CONTROL = 0,
	FUZZ_SAMPLER = 1,
	FUZZ_DRAIN = 2, /* no record: the collector looks now */
	FUZZ_SLOT = 3, /* no record: the body goes over a slot */
	FUZZ_LANES = 4,
};
bool fuzz_records(const uint8_t *data, size_t size);
/* Some of every type that an honest target sends; returns the size, 0 when it does not fit. */
size_t fuzz_records_honest(uint8_t *out, size_t room);

/* Each of the others says above its code what its input is. */
bool fuzz_hello(const uint8_t *data, size_t size);
bool fuzz_linetable(const uint8_t *data, size_t size);
bool fuzz_names(const uint8_t *data, size_t size);
bool fuzz_elf(const uint8_t *data, size_t size);
bool fuzz_dwarf(const uint8_t *data, size_t size);
bool fuzz_cfi(const uint8_t *data, size_t size);
bool fuzz_layout(const uint8_t *data, size_t size);
bool fuzz_python(const uint8_t *data, size_t size);

/* Changes a few things, as fuzzers do; returns the new size, at most `room`. */
size_t fuzz_mutate(uint8_t *data, size_t size, size_t room, uint64_t *random_state);

#endif
