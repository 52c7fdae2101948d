/* SPDX-License-Identifier: MIT */
/*
 * handler.c - what happens when a CPU-clock timer fires.
 *
 * Context: signal handler, on the sampled thread, with all other signals blocked. It
 * touches only memory proven live, never waits, never allocates, and restores errno.
 * Whatever it cannot do is counted by cause.
 */
#include "handler.h"

#include <errno.h>
#include <stddef.h>
#include <ucontext.h>

#include <pillion/atomic.h>

#include "clock.h"
#include "hot.h"
#include "process/signals.h"
#include "sampling/self.h"
#include "sampling/threads.h"
#include "sampling/timer.h"
#include "segment.h"

#define TIME_ONE_IN 16

/* Under a used-up RLIMIT_SIGPENDING a forced signal arrives, but with nothing that it carried. */
static bool lost_its_value(const siginfo_t *info)
{
	return info->si_code == SI_USER && !info->si_pid;
}

/* A forced signal is sent by number, and numbers are used again; a timer knows its thread. */
static bool is_astray(const siginfo_t *info, const struct pln_thread *thread)
{
	return info->si_code == SI_QUEUE && thread->tid != (uint32_t)pln_gettid_sigsafe();
}

/* The thread that a signal was meant for, if it is still this one. */
static struct pln_thread *target_of(const siginfo_t *info)
{
	union pln_signal_value value = { .pointer = info->si_value.sival_ptr };
	struct pln_thread *thread;

	if (lost_its_value(info) && pln_segment_is_ours_sigsafe())
		return pln_threads_own_sigsafe();
	/* First: another's signal may also come in a child where the segment is not mapped. */
	if ((info->si_code != SI_TIMER && info->si_code != SI_QUEUE) || !pln_segment)
		return NULL;
	if (value.thread.index >= pln_segment_own.lane_count)
		return NULL;
	thread = pln_thread_sigsafe(value.thread.index);
	if (thread->serial != value.thread.serial || is_astray(info, thread))
		return NULL;
	return thread;
}

static struct pln_regs regs_of(const ucontext_t *uc)
{
	const greg_t *g = uc->uc_mcontext.gregs;

	return (struct pln_regs){
		.pc = (uintptr_t)g[REG_RIP],
		.sp = (uintptr_t)g[REG_RSP],
		.bp = (uintptr_t)g[REG_RBP],
		.bx = (uintptr_t)g[REG_RBX],
		.r10 = (uintptr_t)g[REG_R10],
		.r11 = (uintptr_t)g[REG_R11],
		.known = PLN_REG_BP | PLN_REG_BX | PLN_REG_R10 | PLN_REG_R11,
	};
}

static uint64_t cpu_time_of(struct pln_thread *thread, const siginfo_t *info)
{
	if (info->si_code == SI_TIMER)
		return pln_timer_fired_sigsafe(thread);
	return pln_swap_relaxed(&thread->forced_cpu_ns, 0);
}

/* Since the newest sample that was written. */
static struct pln_alloc_deltas deltas_of(const struct pln_thread *thread,
					 const struct pln_alloc_counters *now)
{
	const struct pln_alloc_deltas *told = &thread->told;

	return (struct pln_alloc_deltas){
		.alloc_calls = pln_load_relaxed(&now->alloc_calls) - told->alloc_calls,
		.alloc_bytes = pln_load_relaxed(&now->alloc_bytes) - told->alloc_bytes,
		.free_calls = pln_load_relaxed(&now->free_calls) - told->free_calls,
		.free_bytes = pln_load_relaxed(&now->free_bytes) - told->free_bytes,
	};
}

static void are_told(struct pln_thread *thread, const struct pln_alloc_deltas *deltas)
{
	thread->told.alloc_calls += deltas->alloc_calls;
	thread->told.alloc_bytes += deltas->alloc_bytes;
	thread->told.free_calls += deltas->free_calls;
	thread->told.free_bytes += deltas->free_bytes;
}

static PLN_HOT void take_sample(struct pln_thread *thread, const siginfo_t *info,
				const ucontext_t *uc, uint64_t cpu_ns)
{
	struct pln_slot *slot = pln_segment_slot_sigsafe(thread->index);
	struct pln_capture capture = { .regs = regs_of(uc), .gregs = uc->uc_mcontext.gregs };
	struct pln_sample head = { .time_ns = pln_now_ns_sigsafe(),
				   .cpu_ns = cpu_ns,
				   .thread = thread->serial,
				   .syscall_nr = -1 };

	head.cause = info->si_code == SI_TIMER ? PILLION_CAUSE_CPU : PILLION_CAUSE_FORCED;
	head.runnable_ns = pln_swap_relaxed(&slot->pending_runnable_ns, 0);
	head.deltas = deltas_of(thread, &slot->heap[PILLION_HEAP_MALLOC]);
	if (!pln_self_sample_sigsafe(thread, &capture, &head)) {
		/* Not recorded: the wait for a CPU goes to the next sample; the CPU time is lost
		 * and shows. */
		pln_add_relaxed(&slot->pending_runnable_ns, head.runnable_ns);
		return;
	}
	are_told(thread, &head.deltas);
	/* Only this thread writes them; the collector reads. */
	pln_store_relaxed(&slot->samples, pln_load_relaxed(&slot->samples) + 1);
	pln_store_relaxed(&slot->sampled_cpu_ns,
			  pln_load_relaxed(&slot->sampled_cpu_ns) + head.cpu_ns);
}

static void handle(struct pln_thread *thread, const siginfo_t *info, const ucontext_t *uc)
{
	uint32_t calls = pln_load_relaxed(&thread->calls);
	uint64_t cpu_ns, start = 0;

	pln_add_relaxed(&pln_segment->handler_calls, 1);
	/* First: whatever comes of it, the signal was not blocked. Only this thread writes. */
	pln_store_relaxed(&thread->calls, calls + 1);
	if (info->si_code != SI_TIMER)
		pln_store_relaxed(&thread->forced_at_ns, 0);
	/* What is due stays due: the next signal, or the thread's end, takes it. */
	if (pln_load_relaxed(&thread->busy)) {
		thread->put_off = true;
		if (pln_load_relaxed(&thread->busy) == PLN_BUSY_HANDLER)
			pln_segment_drop_sigsafe(PILLION_DROP_RECURSION);
		return;
	}
	/* Not the first call of every thread: that one finds cold caches and fresh pages. */
	if ((thread->serial + calls) % TIME_ONE_IN == 0)
		start = pln_clock_ns_sigsafe(CLOCK_THREAD_CPUTIME_ID);
	cpu_ns = cpu_time_of(thread, info);
	/* A timer's signal whose periods an earlier one has taken along. */
	if (!cpu_ns && info->si_code == SI_TIMER)
		return;
	if (!pln_self_has_room_sigsafe(&uc->uc_stack)) {
		pln_segment_drop_sigsafe(PILLION_DROP_SMALL_STACK);
		return;
	}
	pln_store_relaxed(&thread->busy, PLN_BUSY_HANDLER);
	pln_signal_fence();
	take_sample(thread, info, uc, cpu_ns);
	/* An interpreter that ends, or has ended, is not to be touched. */
	if (thread->is_main && pln_python_ready_sigsafe())
		pln_python_nudge_sigsafe();
	if (start)
		pln_add_relaxed(&pln_segment->handler_ns,
				(pln_clock_ns_sigsafe(CLOCK_THREAD_CPUTIME_ID) - start) *
					TIME_ONE_IN);
	pln_signal_fence();
	pln_store_relaxed(&thread->busy, PLN_BUSY_NOT);
}

PLN_HOT void pln_handler_on_signal(int signo, siginfo_t *info, void *context)
{
	struct pln_thread *thread = target_of(info);
	int saved = errno;

	if (thread)
		handle(thread, info, context);
	else if (!pln_signals_forward_sigsafe(signo, info, context) &&
		 pln_segment_is_ours_sigsafe())
		pln_segment_drop_sigsafe(PILLION_DROP_STALE_SIGNAL);
	errno = saved;
}
