/* SPDX-License-Identifier: MIT */
/*
 * self.c - a sample of the stack that we are on.
 *
 * Context: signal handler, and inside of malloc on any thread. The walks' results go to a
 * scratch area of the thread's slot, so that little stack is needed (it may be a small
 * alternate one).
 */
#include "self.h"

#include <pillion/atomic.h>

#include "burst/burst.h"
#include "hot.h"
#include "options.h"
#include "sampling/stack_bounds.h"

#define STACK_NEEDED (7u << 10) /* handler and walkers: 5.8 KiB, by the frames of the binary */
#define RED_ZONE 128 /* bytes below sp that a leaf function may use */
#define PREFETCHED_FRAMES 8 /* the inner ones, and most stacks as a whole */

PLN_HOT bool pln_self_wants_native_sigsafe(void)
{
	return pln_options.native && !pln_burst_is_on();
}

static bool has_room(uintptr_t now, uintptr_t lo, uintptr_t hi)
{
	return now < lo || now >= hi || now - lo >= STACK_NEEDED;
}

/* The lowest page of our own stack may end anywhere. */
static bool is_at_the_end(uintptr_t now, const struct pln_stack_range *own)
{
	return now < own->lo && now >= own->lo - PLN_STACK_DOUBT;
}

/* Where the program chose a small size, there may be no room for us. */
bool pln_self_has_room_sigsafe(const stack_t *alternate)
{
	char here;
	struct pln_stack_range own = pln_threads_own_stack_sigsafe();
	uintptr_t lo = (uintptr_t)alternate->ss_sp, now = (uintptr_t)&here;

	return has_room(now, lo, lo + alternate->ss_size) && has_room(now, own.lo, own.hi) &&
	       !is_at_the_end(now, &own);
}

/* The stack to walk from `sp`: itself where it is sure to stay mapped, else a copy, to be given
 * back. */
static PLN_HOT struct pln_stack_copy *take_stack(uintptr_t sp, struct pln_stack *stack,
						 uint32_t *flags)
{
	struct pln_stack_range own = pln_threads_own_stack_sigsafe();
	uintptr_t lo = sp - RED_ZONE;

	if (sp < own.lo || sp >= own.hi) {
		*flags |= own.hi ? PILLION_SAMPLE_FOREIGN_STACK : 0;
		return pln_stack_copy_take_sigsafe(lo, sp, stack);
	}
	/* At the very end of a stack, its red zone is the guard page's. */
	if (lo < own.lo)
		lo = own.lo;
	*stack = (struct pln_stack){ .lo = lo, .hi = own.hi, .bytes = (const unsigned char *)lo };
	return NULL;
}

static PLN_HOT void walk(struct pln_capture *capture, const struct pln_scratch *scratch)
{
	pln_capture_init_sigsafe(capture, scratch);
	pln_python_prefetch_sigsafe(scratch->python, PREFETCHED_FRAMES);
	if (capture->want_native)
		pln_native_walk_sigsafe(&capture->stack, &capture->regs, &capture->native);
	if (pln_python_ready_sigsafe())
		pln_python_walk_self_sigsafe(&capture->stack, &capture->python);
	else
		capture->python.gil =
			pln_python_gil_at_end_sigsafe(pln_python_thread_pointer_sigsafe());
	/* The scratch area is the thread's: its next sample sees where this one's frames end. */
	if (capture->python.count < capture->python.max)
		capture->python.frames[capture->python.count].code_addr = 0;
}

PLN_HOT bool pln_self_sample_sigsafe(struct pln_thread *thread, struct pln_capture *capture,
				     struct pln_sample *head)
{
	struct pln_scratch scratch = pln_threads_scratch_sigsafe(thread->index);
	struct pln_outlet outlet = pln_outlet_of_sigsafe(thread);
	struct pln_stack_copy *copy = take_stack(capture->regs.sp, &capture->stack, &head->flags);
	bool written;

	capture->want_native = pln_self_wants_native_sigsafe();
	walk(capture, &scratch);
	head->gil = capture->python.gil;
	if (capture->python.has_tstate)
		pln_store_relaxed(&thread->has_python, 1);
	written = pln_sample_write_sigsafe(&outlet, head, capture);
	pln_stack_copy_give_back_sigsafe(copy);
	return written;
}
