/* SPDX-License-Identifier: MIT */
/*
 * sampled.c - some allocations are chosen by their bytes, and shown with their stacks.
 *
 * Context: inside of malloc and free on any thread, and the sampling thread.
 *
 * Along the bytes that a thread allocates lie points, with distances drawn from an exponential
 * distribution of mean R. A block that covers one is a sample: its chance is 1 - exp(-size / R),
 * whatever was allocated before it, so that size / chance is an unbiased weight, by any stack and
 * in any mix. R goes with each sample: under pressure it grows.
 *
 * A sample is written as any other into the thread's lane, whose one writer we are: the CPU-clock
 * handler finds the thread busy meanwhile, and comes again. A signal handler of the
 * program that allocates in between is counted, and not sampled.
 */
#include <errno.h>

#include <pillion/atomic.h>
#include <pillion/lane.h>
#include <pillion/syscall.h>

#include "burst/burst.h"
#include "clock.h"
#include "memory/counters.h"
#include "memory/live.h"
#include "memory/mappings.h"
#include "memory/memory.h"
#include "memory/points.h"
#include "memory/real.h"
#include "options.h"
#include "python/python.h"
#include "sampling/announce.h"
#include "sampling/scan.h"
#include "sampling/self.h"
#include "sampling/threads.h"
#include "sampling/timer.h"
#include "segment.h"

#define DEFAULT_INTERVAL (512u << 10)
#define PRESSURE_NS 160000000u
#define PRESSURE_SAMPLES 64u /* within that time: after each so many, the interval doubles */
#define INTERVAL_MAX (1ull << 40)
#define ORPHANS 1024u
#define SUMS 4u /* are made, until one holds */
#define LIVE_CLASSES (PILLION_HEAP_MAPPING + 1u) /* whose bytes are the process's */
#define THREADS_ALIKE 16u /* each look reads the counters of all: the more, the seldomer */

static _Atomic uint64_t interval_now; /* 0: no samples */
static _Atomic uint64_t next_id;
static _Atomic uint32_t samples_lately;

/* Frees whose thread has no lane, or a full one; the sampling thread tells of them. */
static _Atomic uint64_t orphans[ORPHANS];
static _Atomic uint32_t orphan_count;

static uint64_t seed(const struct pln_memory_thread *self)
{
	return (pln_now_ns_sigsafe() ^ (uintptr_t)self * 0x9e3779b97f4a7c15ull) | 1;
}

void pln_memory_draw(struct pln_memory_thread *self, enum pln_heap_class heap)
{
	uint64_t interval = pln_load_relaxed(&interval_now);
	/* Without samples it looks for the peak alone. */
	uint64_t distance =
		(1 + pln_threads_high_water_sigsafe() / THREADS_ALIKE) * DEFAULT_INTERVAL;

	if (!self->random)
		self->random = seed(self);
	if (interval > 1)
		distance = pln_points_distance(&self->random, interval);
	self->interval[heap] = interval;
	self->look_at[heap] =
		interval == 1 ? 0 : pln_load_relaxed(&self->heap[heap].alloc_bytes) + distance;
}

/* --------------------------------------------------------------- the peak */

/* By class and kind of number; nobody else sees them. */
struct sums {
	uint64_t of[PILLION_HEAP_COUNT][4];
};

static void add_one(struct sums *sums, const struct pln_alloc_counters *heap, unsigned classes)
{
	for (unsigned i = 0; i < classes; i++) {
		sums->of[i][0] += pln_load_relaxed(&heap[i].alloc_calls);
		sums->of[i][1] += pln_load_relaxed(&heap[i].alloc_bytes);
		sums->of[i][2] += pln_load_relaxed(&heap[i].free_calls);
		sums->of[i][3] += pln_load_relaxed(&heap[i].free_bytes);
	}
}

/* Of the first classes. False: it may be wrong. */
static bool sum_up(struct sums *sums, unsigned classes)
{
	bool holds = false;

	for (unsigned n = 0; n < SUMS && !holds; n++) {
		uint32_t began = pln_memory_sum_begins();

		*sums = (struct sums){ 0 };
		add_one(sums, pln_segment->heap_rest, classes);
		for (uint32_t i = 0; i < pln_threads_high_water_sigsafe(); i++)
			add_one(sums, pln_segment_slot_sigsafe(i)->heap, classes);
		holds = pln_memory_sum_holds(began);
	}
	return holds;
}

static uint64_t live_in_all(const struct sums *sums)
{
	const uint64_t *blocks = sums->of[PILLION_HEAP_MALLOC];
	const uint64_t *mappings = sums->of[PILLION_HEAP_MAPPING];
	uint64_t live =
		pln_segment->inherited_bytes + blocks[1] - blocks[3] + mappings[1] - mappings[3];

	/* Threads are looked at one after the other: one may free what another got since. */
	return (int64_t)live < 0 ? 0 : live;
}

bool pln_memory_live_bytes(uint64_t *live)
{
	struct sums sums;
	bool holds = sum_up(&sums, LIVE_CLASSES);

	*live = live_in_all(&sums);
	return holds;
}

static void follow_peak(uint64_t live, uint64_t now_ns)
{
	uint64_t peak = pln_load_relaxed(&pln_segment->peak_bytes);

	while (live > peak)
		if (pln_cas_acquire(&pln_segment->peak_bytes, &peak, live)) {
			pln_store_relaxed(&pln_segment->peak_ns, now_ns);
			return;
		}
}

/* A program that embeds the interpreter may begin again. */
static void follow_finalization(uint64_t now_ns)
{
	uint64_t since_ns = pln_load_relaxed(&pln_segment->finalizing_ns);

	if (since_ns ? pln_python_ready_sigsafe() : pln_python_finalizing_sigsafe())
		pln_store_relaxed(&pln_segment->finalizing_ns, since_ns ? 0 : now_ns);
}

/* ------------------------------------------------------------ a thread's lane */

/* Takes the calling thread's lane, unless it is in use below us. */
static struct pln_thread *take_lane(const struct pln_memory_thread *self)
{
	struct pln_thread *thread;

	if (self->heap == self->own || !self->heap)
		return NULL;
	thread = pln_threads_own_sigsafe();
	if (!thread || pln_load_relaxed(&thread->busy))
		return NULL;
	pln_store_relaxed(&thread->busy, PLN_BUSY_MEMORY);
	pln_signal_fence();
	return thread;
}

static void give_lane_back(struct pln_thread *thread)
{
	pln_signal_fence();
	pln_store_relaxed(&thread->busy, PLN_BUSY_NOT);
	pln_signal_fence();
	if (!thread->put_off)
		return;
	thread->put_off = false;
	pln_timer_again_sigsafe(thread);
}

/* ------------------------------------------------------------------- frees */

static bool write_free(struct pln_lane *lane, uint32_t data_size, uint64_t id)
{
	struct pln_wire_free *rec =
		(struct pln_wire_free *)pln_lane_reserve_sigsafe(lane, data_size, sizeof(*rec));

	if (!rec)
		return false;
	rec->time_ns = pln_now_ns_sigsafe();
	rec->id = id;
	rec->rec.type = PILLION_RECORD_FREE;
	pln_lane_commit_sigsafe(lane, data_size, &rec->rec);
	return true;
}

static void leave_to_sampling_thread(uint64_t id)
{
	for (unsigned i = 0; i < ORPHANS; i++) {
		_Atomic uint64_t *place = &orphans[(id + i) % ORPHANS];
		uint64_t none = 0;

		if (pln_cas_acquire(place, &none, id)) {
			pln_add_relaxed(&orphan_count, 1);
			return;
		}
	}
	pln_segment_drop_sigsafe(PILLION_DROP_FREE_LOST);
}

/* `thread`: the calling one, whose lane it has taken; NULL: it has none. */
static void tell_free_of(struct pln_thread *thread, uint64_t id)
{
	if (!thread || !write_free(pln_segment_lane_sigsafe(thread->index),
				   pln_segment_own.lane_data_size, id))
		leave_to_sampling_thread(id);
}

void pln_memory_tell_free(uint64_t id)
{
	struct pln_thread *thread;

	if (!pln_segment_is_ours_sigsafe())
		return;
	follow_finalization(pln_now_ns_sigsafe());
	thread = take_lane(&pln_memory_self);
	tell_free_of(thread, id);
	if (thread)
		give_lane_back(thread);
}

static void tell_orphans(void)
{
	for (unsigned i = 0; pln_load_relaxed(&orphan_count) && i < ORPHANS; i++) {
		uint64_t id = pln_load_relaxed(&orphans[i]);

		if (!id)
			continue;
		if (!write_free(pln_segment_sampler(), pln_segment_own.sampler_data_size, id))
			return;
		pln_store_relaxed(&orphans[i], 0);
		pln_add_relaxed(&orphan_count, (uint32_t)-1);
	}
}

/* ----------------------------------------------------------------- samples */

/* Where we are; the collector leaves out the frames that are ours. */
static inline __attribute__((always_inline)) struct pln_regs regs_here(void)
{
	struct pln_regs regs = { .known = PLN_REG_BP | PLN_REG_BX };

	__asm__ volatile("lea 0(%%rip), %0\n\tmov %%rsp, %1\n\tmov %%rbp, %2\n\tmov %%rbx, %3"
			 : "=&r"(regs.pc), "=&r"(regs.sp), "=&r"(regs.bp), "=&r"(regs.bx));
	return regs;
}

static bool has_room(void)
{
	stack_t alternate = { .ss_size = 0 };

	(void)pln_syscall3(SYS_sigaltstack, 0, (long)&alternate, 0);
	return pln_self_has_room_sigsafe(&alternate);
}

static __attribute__((noinline)) bool write_sample(struct pln_thread *thread,
						   struct pln_sample *head)
{
	struct pln_capture capture = { .regs = regs_here() };

	return pln_self_sample_sigsafe(thread, &capture, head);
}

/* A stack costs some 15 us, and lanes have an end: no more are taken than is worth it. */
static void feel_pressure(void)
{
	uint32_t samples = pln_add_relaxed(&samples_lately, 1) + 1;
	uint64_t interval = pln_load_relaxed(&interval_now);

	if (!pln_options.alloc_interval && samples % PRESSURE_SAMPLES == 0 &&
	    interval < INTERVAL_MAX)
		(void)pln_cas_acquire(&interval_now, &interval, interval * 2);
}

static bool follow(struct pln_thread *thread, void *p, uint64_t id, enum pln_block_kind kind)
{
	uint64_t unseen;

	if (kind == PILLION_BLOCK_MAPPING)
		return pln_mapping_follow_sigsafe((uintptr_t)p, id);
	/* It was freed where we cannot see (RTLD_DEEPBIND), or its place would not be given again.
	 */
	unseen = pln_live_remove_sigsafe((uintptr_t)p);
	if (unseen)
		tell_free_of(thread, unseen);
	return pln_live_add_sigsafe((uintptr_t)p, id);
}

static void forget(void *p, enum pln_block_kind kind)
{
	if (kind == PILLION_BLOCK_MAPPING)
		(void)pln_mapping_follow_sigsafe((uintptr_t)p, 0);
	else
		(void)pln_live_remove_sigsafe((uintptr_t)p);
}

static void sample(struct pln_thread *thread, void *p, uint64_t size, enum pln_block_kind kind,
		   uint64_t now_ns)
{
	struct pln_memory_thread *self = &pln_memory_self;
	uint64_t id = pln_add_relaxed(&next_id, 1) + 1;
	struct pln_sample head = { .time_ns = now_ns,
				   .thread = thread->serial,
				   .syscall_nr = -1,
				   .cause = PILLION_CAUSE_ALLOC,
				   .block = { .id = id,
					      .size = size,
					      .interval = self->interval[pln_memory_class_of(kind)],
					      .kind = kind } };

	feel_pressure();
	if (!has_room()) {
		pln_segment_drop_sigsafe(PILLION_DROP_SMALL_STACK);
		return;
	}
	head.block.unfollowed = !follow(thread, p, id, kind);
	if (head.block.unfollowed)
		pln_segment_drop_sigsafe(PILLION_DROP_LIVE_FULL);
	if (!write_sample(thread, &head))
		forget(p, kind);
}

static void try_to_sample(struct pln_memory_thread *self, void *p, uint64_t size,
			  enum pln_block_kind kind, uint64_t now_ns)
{
	struct pln_thread *thread = take_lane(self);

	if (thread) {
		sample(thread, p, size, kind, now_ns);
		give_lane_back(thread);
	} else {
		pln_segment_drop_sigsafe(PILLION_DROP_ALLOC_NESTED);
	}
}

/* After vfork what we change here is the parent's. After fork the segment is not even mapped. */
static bool is_in_parents_memory(void)
{
	unsigned char resident;

	return !pln_syscall3(SYS_mincore, (long)pln_segment, 1, (long)&resident);
}

void *pln_memory_look(void *p, uint64_t size, enum pln_block_kind kind)
{
	struct pln_memory_thread *self = &pln_memory_self;
	enum pln_heap_class heap = pln_memory_class_of(kind);
	int saved = errno;
	uint64_t live, now_ns;
	bool holds;

	if (pln_memory_mode == PLN_MEMORY_OFF) { /* by another thread, since this one last looked */
		pln_memory_stop(self);
		return p;
	}
	if (self->heap == self->own) {
		pln_memory_look_for_slot(self);
		return p;
	}
	if (!pln_segment_is_ours_sigsafe()) { /* a child that no fork handler ran in */
		if (!is_in_parents_memory())
			pln_memory_stop(self);
		errno = saved;
		return p;
	}
	/* In this order, and one time for both: a block that makes a peak is live at it. */
	holds = pln_memory_live_bytes(&live);
	now_ns = pln_now_ns_sigsafe();
	follow_finalization(now_ns);
	if (holds)
		follow_peak(live, now_ns);
	if (self->interval[heap] && pln_load_relaxed(&pln_segment->state) != PILLION_TARGET_DORMANT)
		try_to_sample(self, p, size, kind, now_ns);
	pln_memory_draw(self, heap);
	errno = saved;
	return p;
}

/* -------------------------------------------------------- sampling thread */

/* It grew by feel_pressure(), and goes back by itself. */
static void relieve_pressure(uint64_t now_ns)
{
	static uint64_t next_ns;
	uint64_t interval = pln_load_relaxed(&interval_now);

	if (!interval || pln_options.alloc_interval || now_ns < next_ns)
		return;
	next_ns = now_ns + PRESSURE_NS;
	if (pln_swap_relaxed(&samples_lately, 0) < PRESSURE_SAMPLES / 4 &&
	    interval > DEFAULT_INTERVAL)
		(void)pln_cas_acquire(&interval_now, &interval, interval / 2);
}

/* What grows by the program break: sbrk(), which most allocators call from inside of libc. */
static void follow_break(void)
{
	static uintptr_t start;
	uintptr_t now = (uintptr_t)pln_syscall3(SYS_brk, 0, 0, 0);
	uint64_t bytes;

	if (!start)
		start = pln_scan_break_start();
	bytes = start && now > start ? now - start : 0;
	pln_store_relaxed(&pln_segment->brk_bytes, bytes);
	if (bytes > pln_load_relaxed(&pln_segment->brk_peak_bytes))
		pln_store_relaxed(&pln_segment->brk_peak_bytes, bytes);
}

/* In one store each: the collector reads them at any time. */
static void publish(const struct sums *sums)
{
	for (unsigned i = 0; i < PILLION_HEAP_COUNT; i++) {
		struct pln_alloc_counters *total = &pln_segment->heap_total[i];

		pln_store_relaxed(&total->alloc_calls, sums->of[i][0]);
		pln_store_relaxed(&total->alloc_bytes, sums->of[i][1]);
		pln_store_relaxed(&total->free_calls, sums->of[i][2]);
		pln_store_relaxed(&total->free_bytes, sums->of[i][3]);
	}
}

static void tell_why_off(void)
{
	/* Of the segment that was told: a child's is at the same place, mostly. */
	static uint64_t told_ns;

	if (pln_real.has_sizes || pln_options.memory == PILLION_MEMORY_OFF ||
	    told_ns == pln_segment->start_mono_ns)
		return;
	told_ns = pln_segment->start_mono_ns;
	pln_announce_note(1, "memory was not looked at: the allocator that is preloaded has no "
			     "malloc_usable_size()");
}

void pln_memory_tick(uint64_t now_ns)
{
	struct sums sums;

	if (pln_memory_mode == PLN_MEMORY_OFF) {
		tell_why_off();
		return;
	}
	follow_finalization(now_ns);
	if (sum_up(&sums, PILLION_HEAP_COUNT)) {
		publish(&sums);
		/* The tick began long ago: what was allocated since then is live, too. */
		follow_peak(live_in_all(&sums), pln_now_ns_sigsafe());
	}
	follow_break();
	pln_mappings_tick();
	tell_orphans();
	relieve_pressure(now_ns);
}

void pln_memory_tick_dormant(void)
{
	struct sums sums;

	if (pln_memory_mode == PLN_MEMORY_OFF)
		return;
	if (sum_up(&sums, PILLION_HEAP_COUNT))
		publish(&sums);
	tell_orphans();
}

void pln_memory_tick_last(void)
{
	struct sums sums;

	if (pln_memory_mode == PLN_MEMORY_OFF)
		return;
	(void)sum_up(&sums, PILLION_HEAP_COUNT);
	publish(&sums);
	/* Of bursts the sampling thread writes to its lane between two ticks as well. */
	if (!pln_burst_is_on())
		tell_orphans();
}

int pln_memory_sampling_init(void)
{
	uint64_t interval = pln_options.alloc_interval ? (uint64_t)pln_options.alloc_interval
						       : DEFAULT_INTERVAL;
	int error = pln_live_init(interval);

	if (!error)
		pln_store_relaxed(&interval_now, interval);
	return error;
}

void pln_memory_forget_samples(void)
{
	pln_live_forget();
	pln_mappings_forget_samples();
	for (unsigned i = 0; i < ORPHANS; i++)
		pln_store_relaxed(&orphans[i], 0);
	pln_store_relaxed(&orphan_count, 0);
}
