/* SPDX-License-Identifier: MIT */
/*
 * reader.h - open a .pillion file, whole, cut, or still being written.
 *
 * Definitions are loaded into arrays; samples stay compressed and are handed out
 * chunk by chunk, so that memory does not grow with their number.
 */
#ifndef PILLION_COLLECTOR_READER_H
#define PILLION_COLLECTOR_READER_H

#include "profile/model.h"

struct pln_profile {
	struct pln_recording recording;
	struct pln_process *processes;
	size_t process_count;
	struct pln_thread *threads;
	size_t thread_count;
	struct pln_module_info *modules;
	size_t module_count;
	struct pln_function *functions;
	size_t function_count;
	struct pln_frame *frames;
	size_t frame_count;
	struct pln_stack_node *stacks;
	size_t stack_count;
	struct pln_note_row *notes;
	size_t note_count;
	struct pln_label *labels; /* of process p: labels[first_label[p] .. [p + 1]) */
	size_t label_count;
	uint32_t *first_label;
	struct pln_block_row *blocks;
	size_t block_count;
	struct pln_heap_point *heap_points;
	size_t heap_point_count;
	uint64_t sample_count; /* rows in whole chunks */
	uint64_t file_size;
	uint64_t bad_bytes; /* behind the last whole chunk, or skipped */
	/* Source-level frames of frame f: locations[frame_first_location[f] .. [f + 1]), innermost
	 * first. Every frame has at least one. */
	uint32_t *frame_first_location;
	struct pln_location *locations;
	size_t location_count;
};

enum pln_open_error {
	PLN_OPEN_OK = 0,
	PLN_OPEN_IO = -1, /* errno says why */
	PLN_OPEN_FOREIGN = -2, /* not a Pillion profile */
	PLN_OPEN_NEWER = -3, /* written by a newer Pillion */
	PLN_OPEN_EMPTY = -4, /* a profile, but cut before its first chunk ended */
	PLN_OPEN_MEMORY = -5,
};

/*
 * Returns an enum pln_open_error. When the file holds no symbols (the collector was
 * killed before it could write them) native frames are symbolized here, from the
 * files of this machine, unless `no_symbolize`.
 */
int pln_profile_open(struct pln_profile **profile, const char *path, bool no_symbolize);

/* Calls fn for each sample, in file order, until it returns non-zero; returns that. */
int pln_profile_each_sample(struct pln_profile *profile,
			    int (*fn)(const struct pln_sample_row *row, void *arg), void *arg);

/*
 * Whether the rows of this thread's samples are made each second, each a sum of many samples on
 * one stack: how much time one of those stood for, its process's period_ns says.
 */
static inline bool pln_thread_is_burst(const struct pln_profile *profile, uint32_t thread)
{
	uint32_t process = profile->threads[thread].process;

	return process < profile->process_count &&
	       profile->processes[process].engine & PILLION_ENGINE_BURST;
}

/* Time between two samples: what timers were asked for; in burst mode, which has none, what was
 * reached. */
static inline uint64_t pln_profile_period_ns(const struct pln_profile *profile)
{
	return profile->process_count && profile->processes[0].engine & PILLION_ENGINE_BURST
		       ? profile->processes[0].period_ns
		       : profile->recording.period_ns;
}

void pln_profile_close(struct pln_profile *profile);

#endif
