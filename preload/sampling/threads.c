/* SPDX-License-Identifier: MIT */
/*
 * threads.c - slots, and the pthread_create that registers a thread before its first
 * instruction runs.
 *
 * Context: claim and release run in normal context (new threads, sampling thread);
 * the getters also in the handler. The wrapper adds one frame (thread_main) to the
 * stack of each thread; the collector takes frames of this library out.
 */
#include "threads.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "clock.h"
#include "export.h"
#include "hot.h"
#include "memory/memory.h"
#include "memory/real.h"
#include "next.h"
#include "options.h"
#include "pages.h"
#include "sampling/sample.h"
#include "sampling/sampler.h"
#include "sampling/scan.h"
#include "segment.h"
#include "timer.h"

#define SCRATCH_AT_ONCE 16u

struct start {
	void *(*fn)(void *);
	void *arg;
	size_t stack_size;
};

static struct pln_thread *threads; /* one per slot; mapped once, kept across fork */
static _Atomic(char *) scratch[PILLION_THREADS_MAX / SCRATCH_AT_ONCE]; /* one stride per slot */
static char *own_scratch; /* of the sampling thread */
static size_t scratch_stride;
static unsigned scratch_depth;
static uint32_t thread_count;
static _Atomic uint32_t high_water; /* slots behind are free */
static _Atomic uint32_t ever_used;
static _Atomic uint32_t next_serial;
static _Atomic uint32_t starting; /* threads that will register themselves any moment */

static _Atomic uint32_t first_has_ended; /* the process runs on without its first thread */

/* initial-exec: reading them in a handler never allocates. */
static __thread struct pln_stack_range own_stack;
/* The slot that this thread claimed; with another serial it is not its own any more. */
static __thread struct pln_thread *own_thread;
static __thread uint32_t own_serial;

static size_t align_page(size_t size)
{
	return (size + 4095) & ~(size_t)4095;
}

int pln_threads_init(void)
{
	size_t per_frame = 2 * sizeof(uint64_t) + sizeof(uint8_t) + sizeof(struct pln_python_frame);
	void *memory;

	thread_count = (uint32_t)pln_options.max_threads;
	scratch_depth = (unsigned)pln_options.max_depth;
	scratch_stride = align_page(scratch_depth * per_frame);
	memory = pln_pages_map(align_page(thread_count * sizeof(*threads)), MAP_NORESERVE);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	threads = memory;
	memory = pln_pages_map(scratch_stride, MAP_NORESERVE);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	own_scratch = memory;
	return 0;
}

static bool open_scratch(uint32_t index)
{
	_Atomic(char *) *group = &scratch[index / SCRATCH_AT_ONCE];
	size_t size = SCRATCH_AT_ONCE * scratch_stride;

	/* acquire: pairs with pln_pages_keep() */
	return pln_load_acquire(group) ||
	       pln_pages_keep(group, pln_pages_map(size, MAP_NORESERVE), size);
}

uint64_t pln_threads_bytes(void)
{
	return (pln_load_relaxed(&ever_used) + 1) * (sizeof(*threads) + scratch_stride);
}

void pln_threads_reset(void)
{
	uint32_t used = pln_load_relaxed(&ever_used);

	memset(threads, 0, used * sizeof(*threads));
	pln_store_relaxed(&high_water, 0);
	pln_store_relaxed(&ever_used, 0);
	/* Those threads are not in this process, and its first one is the calling one. */
	pln_store_relaxed(&starting, 0);
	pln_store_relaxed(&first_has_ended, 0);
}

PLN_HOT struct pln_thread *pln_thread_sigsafe(uint32_t index)
{
	return &threads[index];
}

bool pln_threads_starting(void)
{
	return pln_load_relaxed(&starting) != 0;
}

uint32_t pln_threads_high_water_sigsafe(void)
{
	return pln_load_relaxed(&high_water);
}

PLN_HOT struct pln_scratch pln_threads_scratch_sigsafe(uint32_t index)
{
	struct pln_scratch s = { .depth = scratch_depth };
	char *at = own_scratch;

	if (index < thread_count)
		at = pln_load_relaxed(&scratch[index / SCRATCH_AT_ONCE]) +
		     index % SCRATCH_AT_ONCE * scratch_stride;
	s.python = (struct pln_python_frame *)at;
	at += scratch_depth * sizeof(*s.python);
	s.pc = (uint64_t *)at;
	at += scratch_depth * sizeof(*s.pc);
	s.cfa = (uint64_t *)at;
	at += scratch_depth * sizeof(*s.cfa);
	s.guessed = (uint8_t *)at;
	return s;
}

PLN_HOT struct pln_stack_range pln_threads_own_stack_sigsafe(void)
{
	return own_stack;
}

void pln_threads_set_own_stack(struct pln_stack_range range)
{
	own_stack = range;
}

static void raise_mark(_Atomic uint32_t *mark, uint32_t used)
{
	uint32_t seen = pln_load_relaxed(mark);

	while (seen < used && !pln_cas_acquire(mark, &seen, used))
		;
}

static bool is_free(uint32_t index)
{
	return pln_load_relaxed(&pln_segment_slot_sigsafe(index)->state) == PILLION_SLOT_FREE;
}

/*
 * Whoever claims a slot does so first, and raises the mark then; both exchanges are in one order
 * with all other accesses (x86). So either it sees the lower mark, or we see its slot.
 */
void pln_threads_lower_high_water(void)
{
	uint32_t before = pln_load_relaxed(&high_water), used = before;

	while (used && is_free(used - 1))
		used--;
	if (used == before)
		return;
	/* It may have been raised since. */
	before = pln_swap_acquire(&high_water, used);
	for (uint32_t i = before; i > used; i--)
		if (!is_free(i - 1)) {
			raise_mark(&high_water, i);
			return;
		}
}

static void fill_slot(struct pln_slot *slot, const struct pln_thread *thread)
{
	uint64_t cpu = pln_clock_ns_sigsafe(pln_thread_clock(thread->tid));
	uint64_t now = pln_now_ns_sigsafe();

	pln_store_relaxed(&slot->tid, thread->tid);
	pln_store_relaxed(&slot->start_ns, now);
	pln_store_relaxed(&slot->seen_ns, now);
	pln_store_relaxed(&slot->cpu_ns, cpu);
	pln_store_relaxed(&slot->cpu_base_ns, cpu);
	pln_store_relaxed(&slot->pending_offcpu_ns, 0);
	pln_store_relaxed(&slot->pending_runnable_ns, 0);
	pln_store_relaxed(&slot->dormant_cpu_ns, 0);
	pln_store_relaxed(&slot->dormant_wall_ns, 0);
	pln_store_relaxed(&slot->samples, 0);
	pln_store_relaxed(&slot->sampled_cpu_ns, 0);
	pln_store_relaxed(&slot->serial, thread->serial);
}

static void fill_thread(struct pln_thread *thread, uint32_t index, uint32_t tid)
{
	memset(thread, 0, sizeof(*thread));
	thread->index = index;
	thread->tid = tid;
	thread->serial = pln_add_relaxed(&next_serial, 1) + 1;
	thread->timer = -1;
	thread->syscall_fd = -1;
	thread->schedstat_fd = -1;
}

struct pln_thread *pln_threads_claim(uint32_t tid, uintptr_t pthread_self, uintptr_t stack_hi)
{
	for (uint32_t i = 0; i < pln_segment_own.lane_count && i < thread_count; i++) {
		struct pln_slot *slot = pln_segment_slot_sigsafe(i);
		struct pln_thread *thread = &threads[i];
		uint32_t free_state = PILLION_SLOT_FREE;

		/* acquire: pairs with pln_threads_release() */
		if (!is_free(i) ||
		    !pln_cas_acquire(&slot->state, &free_state, PILLION_SLOT_CLAIMED))
			continue;
		/* The kernel may have no mapping left to give. */
		if (!pln_segment_open_lane(i) || !open_scratch(i)) {
			pln_store_release(&slot->state, PILLION_SLOT_FREE);
			break;
		}
		fill_thread(thread, i, tid);
		pln_store_relaxed(&thread->pthread_self, pthread_self);
		thread->stack_hi = stack_hi;
		fill_slot(slot, thread);
		(void)pln_timer_arm(thread);
		raise_mark(&high_water, i + 1);
		raise_mark(&ever_used, i + 1);
		/* release: the slot is whole; pairs with the sampling thread and the collector */
		pln_store_release(&slot->state, PILLION_SLOT_LIVE);
		return thread;
	}
	pln_segment_drop_sigsafe(PILLION_DROP_NO_LANE);
	return NULL;
}

void pln_threads_claim_own(void)
{
	own_thread = pln_threads_claim((uint32_t)pln_gettid_sigsafe(), (uintptr_t)pthread_self(),
				       own_stack.hi);
	own_serial = own_thread ? own_thread->serial : 0;
	if (own_thread)
		pln_memory_thread_begins(pln_segment_slot_sigsafe(own_thread->index));
}

bool pln_threads_is_only_one(void)
{
	unsigned live = 0;

	for (uint32_t i = 0; i < pln_threads_high_water_sigsafe() && live < 2; i++)
		live += pln_load_relaxed(&pln_segment_slot_sigsafe(i)->state) == PILLION_SLOT_LIVE;
	return live < 2;
}

struct pln_thread *pln_threads_own_sigsafe(void)
{
	/* In a child that this thread has forked, or after a scan took it for gone, another's. */
	return own_thread && own_thread->serial == own_serial ? own_thread : NULL;
}

struct pln_thread *pln_threads_know_own_sigsafe(void)
{
	struct pln_thread *thread = pln_threads_own_sigsafe();

	if (thread)
		return thread;
	thread = pln_threads_find((uint32_t)pln_gettid_sigsafe());
	own_thread = NULL;
	pln_signal_fence();
	own_serial = thread ? thread->serial : 0;
	pln_signal_fence();
	own_thread = thread;
	if (thread)
		pln_store_relaxed(&thread->pthread_self, pln_python_thread_pointer_sigsafe());
	return thread;
}

void pln_threads_release(struct pln_thread *thread)
{
	struct pln_slot *slot = pln_segment_slot_sigsafe(thread->index);

	/* release: we are done with the slot; pairs with pln_threads_claim() */
	pln_store_release(&slot->state, PILLION_SLOT_FREE);
}

struct pln_thread *pln_threads_find(uint32_t tid)
{
	for (uint32_t i = 0; i < pln_threads_high_water_sigsafe(); i++) {
		uint32_t state = pln_load_relaxed(&pln_segment_slot_sigsafe(i)->state);

		if (state == PILLION_SLOT_LIVE && threads[i].tid == tid)
			return &threads[i];
	}
	return NULL;
}

void pln_threads_settle(struct pln_thread *thread, uint64_t cpu_ns)
{
	struct pln_slot *slot = pln_segment_slot_sigsafe(thread->index);
	struct pln_outlet outlet = pln_outlet_of_sigsafe(thread);
	struct pln_sample head = { .time_ns = pln_now_ns_sigsafe(),
				   .thread = thread->serial,
				   .syscall_nr = -1,
				   .cause = PILLION_CAUSE_EXIT };

	/* Without a stack, it stays what it is: known, and unsampled. */
	if (!thread->last_hash)
		return;
	head.cpu_ns = pln_timer_take_overdue_sigsafe(thread, cpu_ns) +
		      pln_swap_relaxed(&thread->forced_cpu_ns, 0);
	head.runnable_ns = pln_swap_relaxed(&slot->pending_runnable_ns, 0);
	if (!head.cpu_ns && !head.runnable_ns)
		return;
	if (pln_sample_repeat_sigsafe(&outlet, &head))
		pln_add_relaxed(&slot->sampled_cpu_ns, head.cpu_ns);
	else
		pln_add_relaxed(&slot->pending_runnable_ns, head.runnable_ns);
}

/* ------------------------------------------------------- pthread_create */

/* The thread's last words: exact clocks, after which no timer can fire. */
static void thread_end(struct pln_thread *thread)
{
	struct pln_slot *slot = pln_segment_slot_sigsafe(thread->index);
	uint64_t cpu_ns;

	pln_timer_delete(thread);
	/* A forced signal that is still on its way finds the lane taken. */
	pln_store_relaxed(&thread->busy, PLN_BUSY_HANDLER);
	pln_signal_fence();
	cpu_ns = pln_clock_ns_sigsafe(CLOCK_THREAD_CPUTIME_ID);
	pln_threads_settle(thread, cpu_ns);
	pln_store_relaxed(&slot->cpu_ns, cpu_ns);
	pln_store_relaxed(&slot->seen_ns, pln_now_ns_sigsafe());
	pln_memory_thread_ends();
	/* release: the clocks before the state; pairs with the sampling thread */
	pln_store_release(&slot->state, PILLION_SLOT_EXITED);
}

/*
 * glibc ends the process when its last thread does, and counts ours: it steps down before.
 * Cheap: only a process whose first thread has ended can see its last one end like this.
 */
static void step_down_if_last(void)
{
	if (pln_gettid_sigsafe() == pln_getpid_sigsafe())
		pln_store_relaxed(&first_has_ended, 1);
	if (pln_load_relaxed(&first_has_ended) && pln_scan_is_last_thread(1))
		(void)pln_sampler_step_aside();
}

static void own_thread_ends(void)
{
	struct pln_thread *thread = pln_threads_own_sigsafe();

	if (!pln_segment_is_ours_sigsafe())
		return;
	own_thread = NULL;
	if (thread)
		thread_end(thread);
	else /* there was no lane: nobody else knows what it has counted */
		pln_memory_thread_ends();
	step_down_if_last();
}

static void *thread_main(void *arg)
{
	struct start start = *(struct start *)arg;
	void *result;

	pln_real.free(arg); /* not the program's, to be counted */
	own_stack = pln_stack_of_descriptor((uintptr_t)pthread_self(), start.stack_size);
	if (pln_segment_is_ours_sigsafe())
		pln_threads_claim_own();
	(void)pln_add_relaxed(&starting, (uint32_t)-1);
	result = start.fn(start.arg);
	own_thread_ends();
	return result;
}

/* Interposed: the other way for a thread to end, CPython's own until 3.9. */
PLN_EXPORT void pthread_exit(void *result)
{
	own_thread_ends();
	PLN_NEXT(pthread_exit)(result);
	__builtin_unreachable();
}

int pln_threads_real_create(void *thread, const void *attr, void *(*fn)(void *), void *arg)
{
	__typeof__(&pthread_create) real = PLN_NEXT(pthread_create);

	return real ? real(thread, attr, fn, arg) : EAGAIN;
}

static size_t stack_size_of(const pthread_attr_t *attr)
{
	pthread_attr_t standard;
	size_t size = 0;

	if (attr)
		return pthread_attr_getstacksize(attr, &size) ? 0 : size;
	if (pthread_attr_init(&standard))
		return 0;
	(void)pthread_attr_getstacksize(&standard, &size);
	(void)pthread_attr_destroy(&standard);
	return size;
}

/* Interposed. Registers the new thread from within, so that its first CPU time counts. */
PLN_EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			      void *arg)
{
	struct start *start;
	int error;

	if (!pln_segment_is_ours_sigsafe() || !(start = pln_real.malloc(sizeof(*start))))
		return pln_threads_real_create(thread, attr, fn, arg);
	*start = (struct start){ fn, arg, stack_size_of(attr) };
	(void)pln_add_relaxed(&starting, 1);
	error = pln_threads_real_create(thread, attr, thread_main, start);
	if (error) {
		(void)pln_add_relaxed(&starting, (uint32_t)-1);
		pln_real.free(start);
	}
	return error;
}
