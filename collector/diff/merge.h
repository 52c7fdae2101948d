/* SPDX-License-Identifier: MIT */
/*
 * merge.h - several profiles as one.
 *
 * Definitions are put behind each other, so ids move by as many as came before; processes and
 * threads stay who they were. Each profile has a monotonic clock of its own machine and
 * boot: times are moved by a constant for each profile, so that the wall clocks of all agree.
 * Durations, and times within a profile, do not change.
 */
#ifndef PILLION_COLLECTOR_MERGE_H
#define PILLION_COLLECTOR_MERGE_H

#include <stddef.h>

#include "profile/reader.h"

struct pln_merge_input {
	const char *path; /* as the user named it */
	struct pln_profile *profile;
};

/*
 * Writes the profile of all to `fd`, a file that is empty. What the inputs cannot name stays to
 * be named by a reader, where an input was not symbolized to its end. Returns 0 or -errno;
 * *lost is how many samples and sampled allocations could not be written.
 */
int pln_merge(int fd, const struct pln_merge_input *inputs, size_t count, uint64_t *lost);

#endif
