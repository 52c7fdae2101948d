/* SPDX-License-Identifier: MIT */
/*
 * timer.h - one timer per thread, on that thread's own CPU clock.
 */
#ifndef PILLION_PRELOAD_TIMER_H
#define PILLION_PRELOAD_TIMER_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "sampling/threads.h"

/* What a signal carries, so that the handler needs no look-up: slot and thread serial. */
union pln_signal_value {
	void *pointer;
	struct {
		uint32_t index;
		uint32_t serial;
	} thread;
};

/*
 * Picks and claims the signal, installs the handler. Returns 0, or -EBUSY when the program
 * uses every candidate.
 */
int pln_timer_init(void);
int pln_timer_signal(void);

/* Whether signals interrupt system calls of the program: not so, unless its own shall. */
void pln_timer_set_restart(bool restart);

/* Whether our handler is still the one installed (it may be taken off by a raw system call). */
bool pln_timer_handler_is_ours(void);

/*
 * Any thread may arm any thread of its process. A thread that lives shorter than a period
 * is seen in proportion to the part of it that it lived. Returns false (and counts a drop)
 * when the kernel has no timer to give.
 */
bool pln_timer_arm(struct pln_thread *thread);
void pln_timer_delete(struct pln_thread *thread);

/* No timer for now, then again: as if its CPU clock had stood still, which ran `rested_ns`. */
void pln_timer_rest(struct pln_thread *thread);
bool pln_timer_resume(struct pln_thread *thread, uint64_t rested_ns);

/* Handler, on the thread itself: what the signal stands for, in ns of CPU time; sets the next. */
uint64_t pln_timer_fired_sigsafe(struct pln_thread *thread);

/* The thread itself: a signal that was put off comes again, with the kernel's next tick. */
void pln_timer_again_sigsafe(const struct pln_thread *thread);

/* CPU time of the periods whose moment has come by `cpu_ns` of the thread's clock: once. */
uint64_t pln_timer_take_due_sigsafe(struct pln_thread *thread, uint64_t cpu_ns);

/*
 * The same when the thread ends. What is due and met no tick is not lost by that: another thread's
 * tick stands for it. But one that no tick has met for long runs between the ticks.
 */
uint64_t pln_timer_take_overdue_sigsafe(struct pln_thread *thread, uint64_t cpu_ns);

/* Takes signals of ours back that the calling thread has pending, because it blocks them. */
void pln_timer_take_back(void);

/* Whether CPU-clock timers exist here at all; probed with the calling thread. */
bool pln_timer_works(void);

/*
 * Sampling thread, for rates above the kernel's tick: a signal now, carrying the thread; but one
 * at a time.
 */
void pln_timer_force(struct pln_thread *thread);

/* Uniform in [0, limit), a stream of its own per process. */
uint64_t pln_timer_random_sigsafe(uint64_t limit);
/* In a forked child: else all children of a moment would draw the same. */
void pln_timer_after_fork(void);

#endif
