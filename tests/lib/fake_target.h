/* SPDX-License-Identifier: MIT */
/*
 * fake_target.h - speaks the wire protocol as the library does, without Python: so
 * that the collector can be tested alone, told lies to, and killed from under.
 *
 * Slot i and lane i belong to the thread of serial i + 1.
 */
#ifndef PILLION_TESTS_FAKE_TARGET_H
#define PILLION_TESTS_FAKE_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pillion/wire.h>

struct fake {
	int memfd;
	struct pln_segment *seg;
	uint32_t lane_data;
	uint32_t control_data;
};

/* What a sample is made of; zeroed is a sample without frames. */
struct fake_sample {
	uint32_t serial;
	uint64_t time_ns;
	uint64_t cpu_ns;
	uint64_t hash;
	uint32_t flags;
	const uint64_t *pc;
	unsigned native_count;
	const uint64_t *codes; /* keys, innermost first; each is an eval call of its own */
	const uint32_t *instr;
	unsigned python_count;
};

/* A segment of `lanes` lanes. lane_data: a power of two. Returns 0 or -errno. */
int fake_create(struct fake *f, uint32_t lanes, uint32_t lane_data, bool seal);
void fake_destroy(struct fake *f);

/* Says hello with `version` and `token` (NULL: zeros). Returns the socket or -errno. */
int fake_hello(const struct fake *f, const char *address, const uint8_t *token, uint16_t version);

/* The answer. Returns its status, or -ENODATA when none came within two seconds. */
int fake_welcome(int sock, struct pln_welcome *welcome);

struct pln_slot *fake_slot(const struct fake *f, uint32_t index);
struct pln_lane *fake_lane(const struct fake *f, uint32_t index);
struct pln_lane *fake_control(const struct fake *f);
struct pln_lane *fake_sampler(const struct fake *f);

/* Each returns false when the lane is full. */
bool fake_put(struct pln_lane *lane, uint32_t data_size, uint16_t type, const void *record,
	      size_t size);
bool fake_thread(const struct fake *f, uint32_t index, uint16_t type, const char *name,
		 uint64_t cpu_ns);
bool fake_module(const struct fake *f, uint64_t lo, uint64_t hi, const char *path,
		 uint64_t time_ns);
bool fake_module_gone(const struct fake *f, uint64_t lo, uint64_t hi, uint64_t time_ns);
bool fake_note(const struct fake *f, const char *text);
bool fake_code(const struct fake *f, uint32_t lane, uint64_t key, const char *name,
	       const char *file, uint32_t first_line);
bool fake_sample(const struct fake *f, struct pln_lane *lane, const struct fake_sample *s);

#endif
