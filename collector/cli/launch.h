/* SPDX-License-Identifier: MIT */
/*
 * launch.h - start a command in two steps: its pid first, the program later.
 */
#ifndef PILLION_COLLECTOR_LAUNCH_H
#define PILLION_COLLECTOR_LAUNCH_H

#include <sys/types.h>

struct pln_launch {
	pid_t pid;
	int go; /* a byte here lets it exec, an end does not */
	int failed; /* an errno comes from here when exec failed */
};

/*
 * Forks a child that waits to be let go. Signals, limits and descriptors are as they
 * are now: whatever we change for ourselves comes after this call. Returns 0 or -errno.
 */
int pln_launch_prepare(struct pln_launch *launch, char **command,
		       void (*set_environment)(void *arg), void *arg);

/* Lets it become the command. Returns 0, or exec's -errno with the child gone. */
int pln_launch_go(struct pln_launch *launch);

/* The command is not to run after all. */
void pln_launch_cancel(struct pln_launch *launch);

#endif
