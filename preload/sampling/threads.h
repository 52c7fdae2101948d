/* SPDX-License-Identifier: MIT */
/*
 * threads.h - the threads of this process and what we know of each.
 *
 * A struct pln_thread is the private side of a shared struct pln_slot; both have the
 * same index. Slots are claimed by a new thread itself (our pthread_create) or by the
 * sampling thread (threads that it finds in /proc/self/task), and freed only by the
 * sampling thread, once the collector has drained the lane. Memory of slots is never
 * given back, so a late signal finds a valid, if stale, place.
 */
#ifndef PILLION_PRELOAD_THREADS_H
#define PILLION_PRELOAD_THREADS_H

#include <stdbool.h>
#include <stdint.h>

#include <pillion/atomic.h>
#include <pillion/wire.h>

#include "native/native.h"
#include "python/python.h"
#include "sampling/stack_bounds.h"

/* Who is writing to a thread's lane. */
enum pln_busy {
	PLN_BUSY_NOT = 0,
	PLN_BUSY_HANDLER = 1,
	PLN_BUSY_MEMORY = 2, /* malloc or free: it calls the handler again */
};

struct pln_thread {
	/* Written by whoever claims the slot, before it is live. */
	uint32_t index;
	uint32_t serial;
	uint32_t tid;
	_Atomic uintptr_t pthread_self; /* 0: unknown, until a thread that was found knows itself */
	uintptr_t stack_hi; /* end of the thread's own stack, 0: unknown */

	/* The handler's, on the thread itself. */
	_Atomic uint32_t busy; /* enum pln_busy */
	_Atomic uint64_t forced_cpu_ns; /* CPU time to be charged by the next forced sample */
	_Atomic uint64_t forced_at_ns; /* since then a forced signal is on its way, 0: none is */
	uint64_t last_hash; /* stack in the lane that SAME_STACK refers to */
	bool put_off; /* a signal came while it was busy */
	struct pln_alloc_deltas told; /* what of its malloc and free samples carry so far */
	_Atomic uint32_t calls; /* of the handler, whatever came of them */
	uint64_t period_at_ns; /* CPU clock at which the period that is to be sampled begins */
	uint64_t due_ns; /* and at which its sample is due, 0: no timer */
	uint64_t first_until_ns; /* its first sample is taken up to here only, 0: no limit (any
				    more) */
	uint64_t rested_due_ns; /* the same while the timer rests */
	_Atomic uint32_t has_python;

	/* The sampling thread's, from here on. */
	bool adopted; /* announced to the collector and sampled by the tick */
	bool gone; /* this scan did not find it */
	bool is_main;
	bool timer_armed;
	bool idle; /* blocked at the last tick, on the stack in last_blocked_hash */
	uint8_t idle_gil;
	int timer;
	int syscall_fd; /* -1: not open */
	int schedstat_fd;
	uint64_t seen_ns;
	uint64_t cpu_ns;
	uint64_t rested_cpu_ns; /* CPU time since the timer rests */
	uint64_t run_delay_ns; /* schedstat's run-queue wait, as last read */
	uint64_t idle_since_flush_ns; /* off-CPU time of the wait so far, not yet in a record */
	uint64_t last_blocked_hash; /* in the sampler's lane; 0: none */
	int32_t idle_syscall;
	uint32_t unhindered; /* visits in a row since it last waited for a CPU that others had */
	uint32_t not_running; /* samples in a row that were due while its clock stood still */
	uint32_t stack_used; /* bytes of stack that the last blocked walk needed */
	uint32_t last_calls; /* to notice a blocked signal */
	uint64_t unsampled_since_ns; /* CPU clock when last_calls changed last, 0: not known */
	char name[16];
};

/* Room for one walk, private to a slot or to the sampling thread. */
struct pln_scratch {
	uint64_t *pc;
	uint64_t *cfa;
	uint8_t *guessed;
	struct pln_python_frame *python;
	unsigned depth;
};

/* Once per process image: memory for all slots. Returns 0 or -errno. */
int pln_threads_init(void);

/* Memory that slots and scratch areas can have touched, in bytes: an upper bound. */
uint64_t pln_threads_bytes(void);

/* New segment: all threads are unknown again. */
void pln_threads_reset(void);

struct pln_thread *pln_thread_sigsafe(uint32_t index);
/* Slots in use are in [0, this). The sampling thread alone may lower it, if some at the end are
 * free. */
uint32_t pln_threads_high_water_sigsafe(void);
void pln_threads_lower_high_water(void);
/* Of the thread in slot `index`; past all of them: the sampling thread's. */
struct pln_scratch pln_threads_scratch_sigsafe(uint32_t index);

/*
 * Claims a slot for thread `tid` and arms its timer. NULL (and a counted drop) when all
 * are taken. The slot is live when this returns; the next tick announces it.
 */
struct pln_thread *pln_threads_claim(uint32_t tid, uintptr_t pthread_self, uintptr_t stack_hi);

/* The same for the calling thread, which gives the slot back when it ends. */
void pln_threads_claim_own(void);

/* Some thread has been created but has not registered itself yet: a hint, for the scan. */
bool pln_threads_starting(void);

/*
 * The thread ends, and its timer is deleted: what forced samples have not taken, and periods that
 * no kernel tick came to report for long, are charged to its last stack. Context:
 * the lane's only writer, that is the thread itself, or the sampling thread once it is gone.
 */
void pln_threads_settle(struct pln_thread *thread, uint64_t cpu_ns);

/* The slot of thread `tid`, NULL: none. */
struct pln_thread *pln_threads_find(uint32_t tid);

/* The collector has drained the lane of an ended thread: the slot may be claimed again. */
void pln_threads_release(struct pln_thread *thread);

/*
 * The calling thread's stack as far as pthread_create or init knows it, else {0, 0}. From any
 * address in it up to `hi` everything is mapped as long as the thread lives; below `lo` may
 * be more of it.
 */
struct pln_stack_range pln_threads_own_stack_sigsafe(void);
void pln_threads_set_own_stack(struct pln_stack_range range);

/* Whether one thread is known at most: a hint, new ones may just begin. */
bool pln_threads_is_only_one(void);

/*
 * The calling thread's slot, NULL: none. The first knows one that the thread has claimed for
 * itself; the second looks for one that a scan has found, too, which the first knows from then on.
 */
struct pln_thread *pln_threads_own_sigsafe(void);
struct pln_thread *pln_threads_know_own_sigsafe(void);

/* The real pthread_create, for our own thread. */
int pln_threads_real_create(void *thread, const void *attr, void *(*fn)(void *), void *arg);

#endif
