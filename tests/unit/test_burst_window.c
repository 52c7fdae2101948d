/* SPDX-License-Identifier: MIT */
/*
 * What of the time of looks a thread ran, its clock says: of each look's own time, also where
 * the look has no stack.
 */
#include "burst/burst_i.h"
#include "check.h"
#include "clock.h"
#include "sampling/threads.h"

#define SPAN_NS 20000000ull
#define FEW_NS 2000000ull /* what is run besides */

/* ---------------------------------------------------------- where time goes */

static struct {
	uint64_t cpu_ns;
	uint64_t wait_ns;
} cell;
static uint64_t dropped_ns;

void pln_burst_table_add(uint32_t n, uint64_t cpu_ns, uint64_t wait_ns)
{
	(void)n;
	cell.cpu_ns += cpu_ns;
	cell.wait_ns += wait_ns;
}

void pln_burst_table_give(uint32_t n, uint64_t cpu_ns)
{
	(void)n;
	cell.cpu_ns += cpu_ns;
}

void pln_burst_table_drop(uint64_t ns)
{
	dropped_ns += ns;
}

struct pln_thread *pln_threads_find(uint32_t tid)
{
	(void)tid;
	return NULL;
}

/* ---------------------------------------------------------- looks at ourselves */

static uint64_t last_ns;

static void begin(void)
{
	pln_burst_owed_reset();
	pln_burst_window_reset();
	cell.cpu_ns = cell.wait_ns = dropped_ns = 0;
	last_ns = pln_now_ns_sigsafe();
}

/* It has the time since the last one, and a stack that is whole, or none. */
static void look(bool has_stack)
{
	struct pln_burst_seen seen = { .tid = (uint32_t)pln_gettid_sigsafe(),
				       .cell = has_stack ? 0 : PLN_BURST_NO_CELL,
				       .now_ns = pln_now_ns_sigsafe() };

	if (has_stack)
		seen.debt = seen.taken = pln_burst_owed_find(1, &(struct pln_burst_step){ 64, 8 });
	seen.ns = seen.now_ns - last_ns;
	last_ns = seen.now_ns;
	pln_burst_window_add(&seen);
}

static void run(void)
{
	uint64_t end_ns = pln_clock_ns_sigsafe(CLOCK_THREAD_CPUTIME_ID) + SPAN_NS;

	while (pln_clock_ns_sigsafe(CLOCK_THREAD_CPUTIME_ID) < end_ns)
		;
}

static void wait(void)
{
	struct timespec ts = { 0, SPAN_NS };

	nanosleep(&ts, NULL);
}

static void test_running_and_waiting_are_told_apart(void)
{
	begin();
	look(true);
	run();
	look(true);
	wait();
	look(true);
	pln_burst_window_close();
	CHECK(cell.cpu_ns >= SPAN_NS - FEW_NS && cell.cpu_ns < SPAN_NS + FEW_NS);
	CHECK(cell.wait_ns >= SPAN_NS - FEW_NS);
	CHECK_EQ(dropped_ns, 0);
}

static void test_what_ran_in_looks_without_a_stack_is_dropped_with_them(void)
{
	begin();
	look(true);
	run();
	look(false);
	wait();
	look(true);
	pln_burst_window_close();
	CHECK(dropped_ns >= SPAN_NS);
	CHECK(cell.cpu_ns < FEW_NS);
	CHECK(cell.wait_ns >= SPAN_NS - FEW_NS);
	CHECK_EQ(pln_burst_owed_ns(), 0);
}

static void test_the_first_look_may_be_one_without_a_stack(void)
{
	begin();
	wait();
	look(false);
	wait();
	look(true);
	pln_burst_window_close();
	CHECK(dropped_ns >= SPAN_NS);
	CHECK(cell.cpu_ns < FEW_NS && cell.wait_ns >= SPAN_NS - FEW_NS);
}

int main(void)
{
	test_running_and_waiting_are_told_apart();
	test_what_ran_in_looks_without_a_stack_is_dropped_with_them();
	test_the_first_look_may_be_one_without_a_stack();
	return check_result();
}
