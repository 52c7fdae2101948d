/* SPDX-License-Identifier: MIT */
/*
 * bystander.h - did a signal reach us alone, or everybody around us?
 *
 * What is sent to `record` alone is meant for its command and is passed on. What is sent
 * to its process group, or to each process of a service, has reached the command already:
 * passed on it would come twice, and the second SIGTERM is for many programs the order
 * to end at once. The kernel does not say which it was. So a process stands beside us, in
 * our group and our cgroup, that does nothing but tell which signals it got as well.
 */
#ifndef PILLION_COLLECTOR_BYSTANDER_H
#define PILLION_COLLECTOR_BYSTANDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PLN_SIGNALS 65

struct pln_bystander {
	pid_t pid; /* 0: there is none */
	int fd; /* what it tells */
	uint64_t seen_ns[PLN_SIGNALS]; /* when it got each signal */
};

/*
 * Starts it; it ends with us, even if we are killed. `arguments` and `size`: the text of
 * our arguments in memory, which it gives up in its copy: who kills by pattern must not
 * find it under our name. Without it (no process left) all signals look like ours alone.
 */
void pln_bystander_start(struct pln_bystander *b, char *arguments, size_t size);

/* Whether it got the signal that we got just now; may wait for its word a little. */
bool pln_bystander_saw(struct pln_bystander *b, int signo);

void pln_bystander_stop(struct pln_bystander *b);

#endif
