/* SPDX-License-Identifier: MIT */
/*
 * loop.h - wait for file descriptors and call who watches them.
 *
 * A struct pln_watch is embedded in its owner and must stay in place until it is
 * removed. A callback may add and remove watches, its own included.
 */
#ifndef PILLION_COLLECTOR_LOOP_H
#define PILLION_COLLECTOR_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pln_watch {
	int fd;
	void (*ready)(struct pln_watch *watch);
};

/* The struct that a watch is embedded in. */
#define pln_watch_owner(watch, type, member)                                                       \
	((type *)(void *)((char *)(watch)-offsetof(type, member)))

struct pln_loop {
	int epoll_fd;
	bool stopped;
};

/* Each returns 0 or -errno. */
int pln_loop_open(struct pln_loop *loop);
int pln_loop_add(struct pln_loop *loop, struct pln_watch *watch);
void pln_loop_remove(struct pln_loop *loop, struct pln_watch *watch);

/* Serves watches until pln_loop_stop(). */
int pln_loop_run(struct pln_loop *loop);
void pln_loop_stop(struct pln_loop *loop);

/*
 * Serves what gets ready within `timeout_ms` and what is ready then, for a moment: long work calls
 * it now and then, and goes on even where more is always ready.
 */
void pln_loop_poll(struct pln_loop *loop, int timeout_ms);

void pln_loop_close(struct pln_loop *loop);

#endif
