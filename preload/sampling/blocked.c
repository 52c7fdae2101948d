/* SPDX-License-Identifier: MIT */
/*
 * blocked.c - read waiting threads from the outside, but from within the process.
 *
 * Context: sampling thread. /proc/self/task/TID/syscall gives system call, arguments, SP
 * and PC of a thread that waits; its stack is copied with a checked read (the thread may
 * wake up, exit and unmap it at any moment) and the copy is unwound with the same tables
 * as a live stack. Afterwards its CPU clock must not have moved: a thread whose clock
 * stands still has executed nothing, so the copy is consistent.
 *
 * Where the system call's line does not hold SP in the thread's own stack, the end of the
 * mapping around it is used.
 */
#include "blocked.h"

#include <string.h>

#include <pillion/atomic.h>

#include "checked_read.h"
#include "clock.h"
#include "options.h"
#include "pages.h"
#include "sampling/sample.h"
#include "sampling/scan.h"
#include "sampling/stack_bounds.h"
#include "segment.h"
#include "text.h"

#define COPY_FIRST (16u << 10)
#define COPY_MAX (1u << 20)
#define MAX_TRIES 16 /* larger copies and new tables, for one stack */

static unsigned char *copy;

bool pln_blocked_init(void)
{
	if (!copy) {
		void *memory = pln_pages_map(COPY_MAX, MAP_NORESERVE);

		copy = memory == MAP_FAILED ? NULL : memory;
	}
	return copy && pln_checked_read_works_sigsafe();
}

/* "NR ARG0 ... ARG5 SP PC", "-1 SP PC" or "running". */
static enum pln_blocked_state parse(const char *line, struct pln_blocked *out)
{
	bool negative = *line == '-';

	memset(out->args, 0, sizeof(out->args));
	if (negative)
		line++;
	if (*line < '0' || *line > '9')
		return PLN_BLOCKED_RUNNING;
	out->syscall_nr = (int32_t)pln_parse_decimal(&line);
	if (negative) {
		out->syscall_nr = -1;
	} else {
		for (unsigned i = 0; i < 6 && *line == ' '; i++) {
			line++;
			out->args[i] = pln_parse_hex(&line);
		}
	}
	if (*line++ != ' ')
		return PLN_BLOCKED_UNKNOWN;
	out->sp = pln_parse_hex(&line);
	if (*line++ != ' ')
		return PLN_BLOCKED_UNKNOWN;
	out->pc = pln_parse_hex(&line);
	return PLN_BLOCKED_WAITING;
}

enum pln_blocked_state pln_blocked_probe(struct pln_thread *thread, struct pln_blocked *out)
{
	char line[256];
	long n;

	if (thread->syscall_fd < 0)
		thread->syscall_fd = pln_scan_open_task_file(thread->tid, "/syscall");
	if (thread->syscall_fd < 0)
		return PLN_BLOCKED_UNKNOWN;
	n = pln_syscall4(SYS_pread64, thread->syscall_fd, (long)line, sizeof(line) - 1, 0);
	if (n <= 0)
		return PLN_BLOCKED_GONE;
	line[n] = '\0';
	return parse(line, out);
}

/* The thread's stack from sp on, `size` bytes of it at most. */
static bool copy_stack(const struct pln_thread *thread, uintptr_t sp, size_t size,
		       struct pln_stack *stack)
{
	uintptr_t hi = thread->stack_hi;
	size_t got;

	if (!hi || sp >= hi || hi - sp > (1ul << 30))
		hi = pln_stack_end_sigsafe(sp);
	if (hi - sp < size)
		size = hi - sp;
	got = pln_checked_read_some_sigsafe(sp, copy, size) & ~(size_t)7;
	*stack = (struct pln_stack){ .lo = sp, .hi = sp + got, .bytes = copy };
	return got > 0;
}

/* Whether the walk stopped because the copy ends, though the stack goes on. */
static bool wants_more(const struct pln_native_walk *walk, size_t copied, size_t asked)
{
	return walk->end == PLN_WALK_BAD_STACK && copied == asked && asked < COPY_MAX;
}

/*
 * Unlike a handler, the sampling thread can wait for a table. Should the thread run meanwhile,
 * its clock tells, and the next tick reads it again.
 */
static bool built_table(const struct pln_native_walk *walk)
{
	if (walk->end != PLN_WALK_NO_TABLE)
		return false;
	pln_native_want(walk->stop_regs.pc);
	return true;
}

static bool walk_native(struct pln_thread *thread, struct pln_capture *capture)
{
	size_t size = COPY_FIRST;

	while (size < thread->stack_used && size < COPY_MAX)
		size *= 4;
	for (unsigned tries = 0; tries < MAX_TRIES; tries++) {
		if (!copy_stack(thread, capture->regs.sp, size, &capture->stack))
			return false;
		pln_native_walk_sigsafe(&capture->stack, &capture->regs, &capture->native);
		if (wants_more(&capture->native, capture->stack.hi - capture->stack.lo, size))
			size *= 4;
		else if (!built_table(&capture->native))
			break;
	}
	thread->stack_used = (uint32_t)size;
	return true;
}

static uint8_t gil_state(const struct pln_blocked *blocked, const struct pln_python_walk *python)
{
	if (blocked->syscall_nr == SYS_futex && pln_python_is_gil_futex(blocked->args[0]))
		return PILLION_GIL_WAITS;
	return python->gil;
}

static void fill_head(struct pln_sample *head, const struct pln_thread *thread, uint64_t offcpu_ns,
		      uint64_t runnable_ns)
{
	*head = (struct pln_sample){
		.time_ns = pln_now_ns_sigsafe(),
		.offcpu_ns = offcpu_ns,
		.runnable_ns = runnable_ns,
		.thread = thread->serial,
		.syscall_nr = thread->idle_syscall,
		.gil = thread->idle_gil,
		.cause = PILLION_CAUSE_BLOCKED,
	};
}

static struct pln_outlet sampler_outlet(struct pln_thread *thread)
{
	return (struct pln_outlet){ .lane = pln_segment_sampler(),
				    .data_size = pln_segment_own.sampler_data_size,
				    .last_hash = &thread->last_blocked_hash };
}

bool pln_blocked_sample(struct pln_thread *thread, const struct pln_blocked *blocked,
			uint64_t cpu_ns, uint64_t offcpu_ns)
{
	struct pln_scratch scratch = pln_threads_scratch_sigsafe(UINT32_MAX);
	struct pln_outlet outlet = sampler_outlet(thread);
	struct pln_capture capture = { .want_native = pln_options.native,
				       .regs = { .pc = blocked->pc, .sp = blocked->sp } };
	struct pln_sample head;

	pln_capture_init_sigsafe(&capture, &scratch);
	capture.stack = (struct pln_stack){ .lo = blocked->sp, .hi = blocked->sp, .bytes = copy };
	if (capture.want_native && !walk_native(thread, &capture))
		return false;
	if (!pln_python_ready_sigsafe())
		capture.python.gil = pln_python_gil_at_end_sigsafe(thread->pthread_self);
	else if (!pln_python_walk_blocked(thread->tid, thread->pthread_self, &capture.stack,
					  &capture.python))
		return false;
	if (pln_clock_ns_sigsafe(pln_thread_clock(thread->tid)) != cpu_ns) {
		pln_segment_drop_sigsafe(PILLION_DROP_BLOCKED_RACE);
		return false;
	}
	thread->idle_syscall = blocked->syscall_nr;
	thread->idle_gil = gil_state(blocked, &capture.python);
	if (capture.python.has_tstate)
		pln_store_relaxed(&thread->has_python, 1);
	fill_head(&head, thread, offcpu_ns, 0);
	return pln_sample_write_sigsafe(&outlet, &head, &capture);
}

bool pln_blocked_repeat(struct pln_thread *thread, uint64_t offcpu_ns, uint64_t runnable_ns,
			uint8_t cause)
{
	struct pln_outlet outlet = sampler_outlet(thread);
	struct pln_sample head;

	fill_head(&head, thread, offcpu_ns, runnable_ns);
	head.cause = cause;
	return pln_sample_repeat_sigsafe(&outlet, &head);
}
