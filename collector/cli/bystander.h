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

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ingest/loop.h"

#define PLN_SIGNALS 65
#define PLN_SIGNALS_ASKED 64 /* that wait for its word at a time */

/* A signal that we got, and it perhaps not. */
struct pln_asked {
	int signo;
	uint64_t time_ns;
};

struct pln_bystander {
	pid_t pid; /* 0: there is none */
	struct pln_loop *loop; /* NULL: nobody listens to it */
	struct pln_watch words; /* what it tells; fd -1: nothing */
	struct pln_watch timer; /* its word is overdue */
	uint64_t seen_ns[PLN_SIGNALS]; /* when it got each signal; 0: that was ours, too */
	struct pln_asked asked[PLN_SIGNALS_ASKED]; /* oldest first */
	unsigned asked_count;
	void (*alone)(int signo, void *arg);
	void *arg;
};

/*
 * Starts it; it ends with us, even if we are killed. `arguments` and `size`: the text of
 * our arguments in memory, which it gives up in its copy: who kills by pattern must not
 * find it under our name. Without it (no process left) all signals look like ours alone.
 */
void pln_bystander_start(struct pln_bystander *b, char *arguments, size_t size);

/* From here on `alone` is called for each signal that was for us alone. Returns 0 or -errno. */
int pln_bystander_listen(struct pln_bystander *b, struct pln_loop *loop,
			 void (*alone)(int signo, void *arg), void *arg);

/*
 * We got a signal just now. Does not wait: alone() is called once it is known, which takes
 * 50 ms at most; before this returns where nobody could tell.
 */
void pln_bystander_ask(struct pln_bystander *b, int signo);

void pln_bystander_stop(struct pln_bystander *b);

#endif
