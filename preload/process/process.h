/* SPDX-License-Identifier: MIT */
/*
 * process.h - sampling in the life of a process: start, hello, fork, stepping aside.
 */
#ifndef PILLION_PRELOAD_PROCESS_H
#define PILLION_PRELOAD_PROCESS_H

#include <stdbool.h>

#include <pillion/wire.h>

/*
 * Starts sampling this process: segment, hello, sampling thread. Context: constructor, our
 * pthread_condattr_setclock, or the child of a fork; the calling thread becomes the first
 * sampled one. Returns 0, or -errno with nothing left behind.
 */
int pln_process_start(enum pln_hello_reason reason);

/* Whether PILLION_INCLUDE and PILLION_EXCLUDE let this process be recorded. Context: constructor.
 */
bool pln_process_is_chosen(char **argv);

/* Registers the fork handlers; once per process image. */
void pln_fork_init(void);

/*
 * As pln_sampler_hold(), but waits for a tick once only. One may hang: glibc does not free
 * the loader's lock in a child when another thread has held it at the fork. Every fork and
 * exec of the child would be held up.
 */
bool pln_process_hold(void);

/*
 * Sends the hello with `segment_fd` to PILLION_SOCKET; where that is an -errno, it says so.
 * Returns 0 or -errno: -ECANCELED when the collector refused, and the log has why.
 */
int pln_hello_send(int segment_fd, enum pln_hello_reason reason);

/* The same from the sampling thread, which waits for no answer. */
int pln_hello_send_late(int segment_fd, enum pln_hello_reason reason);

/*
 * unheard.c: whether a collector may come up late, or anew; and after this -errno of the hello.
 * The process then keeps a copy of the descriptor (0 or -errno) and begins as if it were there.
 */
bool pln_unheard_is_possible(void);
bool pln_unheard_may_come(int error);
int pln_unheard_keep(int segment_fd, enum pln_hello_reason reason);

/* After the sampling thread was to begin: it has taken the copy, or there is no thread. */
void pln_unheard_hand_over(bool begun);

/*
 * The sampling thread `tid` is going to end between two ticks, for another one to come: the
 * process has the copy again, to be handed over to that one.
 */
void pln_unheard_take_back(uint32_t tid);

/*
 * Sampling thread: the copy (-1: none); whether it may have a table of its own; that it has begun,
 * with one or not; a tick; its end, with which such a table goes: nobody is asked any more.
 */
int pln_unheard_fd(void);
bool pln_unheard_claim(void);
void pln_unheard_take(bool own_files);
void pln_unheard_try(uint64_t now_ns);
void pln_unheard_end(void);

/* In a forked child: it is the parent's. */
void pln_unheard_after_fork(void);

/*
 * Starts a collector of our own, detached, listening on a new address, which it leaves in
 * pln_options.socket and .token and in the environment of children to come. Returns 0 or
 * -errno.
 */
int pln_launch_collector(void);

/* Sampling thread, now and then: what keeps the collector for us may have ended, as a zombie. */
void pln_launch_reap(void);

#endif
