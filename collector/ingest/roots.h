/* SPDX-License-Identifier: MIT */
/*
 * roots.h - root directories of targets that see other files than we do. Private to ingest/.
 *
 * A target in a container or a chroot sees other files under the same names. Its root, held
 * open, keeps them within reach for as long as its symbols are not read. Processes with
 * one root share one descriptor.
 */
#ifndef PILLION_COLLECTOR_ROOTS_H
#define PILLION_COLLECTOR_ROOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct pln_root;

/*
 * Kept free for what has to be opened now and then: a hello's descriptors, the next file,
 * files that symbols are in. Whether `fd`, the lowest that was free, may stay open all the same.
 */
#define PLN_SPARE_DESCRIPTORS 16
bool pln_descriptor_may_stay(int fd);

/*
 * The root of process `pid` (0: it is in a namespace that we cannot see into), which has just
 * begun. `given`: by the process itself; taken over; -1: not. NULL: it has ours.
 */
struct pln_root *pln_root_take(int given, pid_t pid);

/* Put before the paths of its processes; where it could not be kept, nothing is found there. */
const char *pln_root_path(const struct pln_root *root);
bool pln_root_is_kept(const struct pln_root *root);

/* One of its processes has ended, and needs no more than names. */
void pln_root_leave(struct pln_root *root);

/* A process that has ended has all its names. NULL is no root. */
void pln_root_release(struct pln_root *root);

/* Those that only processes that have ended hold. */
size_t pln_roots_idle(void);
/* More of these are not kept: names are read early. */
size_t pln_roots_idle_max(void);

#endif
