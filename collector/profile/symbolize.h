/* SPDX-License-Identifier: MIT */
/*
 * symbolize.h - the locations of native frames: where profile/ meets symbols/.
 */
#ifndef PILLION_COLLECTOR_SYMBOLIZE_H
#define PILLION_COLLECTOR_SYMBOLIZE_H

#include "profile/model.h"

struct pln_symbolize_job {
	const struct pln_module_info *modules;
	size_t module_count;
	const struct pln_frame *frames;
	size_t frame_count;
	/* Whether a native frame is wanted; NULL: all are. */
	bool (*wanted)(uint32_t frame, void *arg);
	/* Opens no file: every native frame gets a function marked unknown. */
	bool names_only;
	/* Where to find a process's files: a root such as "/proc/4711/root", or NULL. May be NULL.
	 */
	const char *(*root_of)(uint32_t process, void *arg);
	/* Returns the id of a function, adding it when new. */
	uint32_t (*add_function)(const struct pln_function *function, void *arg);
	/* Called once for every wanted native frame, innermost location first. */
	void (*found)(uint32_t frame, const struct pln_location *locations, unsigned count,
		      void *arg);
	void (*progress)(size_t done, size_t total, void *arg); /* may be NULL */
	/* Why debug information of a file could not be used in full; once for each of its modules.
	 * May be NULL. */
	void (*problem)(const char *path, const char *text, void *arg);
	void *arg;
};

/*
 * Frames that no symbol is found for get a function "lib.so+0x1234" marked unknown, which
 * is where it starts, or, when the file does not tell, the frame's own address; those in
 * no module one called "[unknown]". Returns 0 or -errno.
 */
int pln_symbolize(const struct pln_symbolize_job *job);

#endif
