/* SPDX-License-Identifier: MIT */
/*
 * init.c - where everything begins: decide, then start or stay inert.
 *
 * The constructor only reads the environment. A process that is not asked for, or that
 * never becomes an interpreter, has no thread, no descriptor, no handler and no output of
 * ours. CPython's runtime calls pthread_condattr_setclock() when it comes up, once, early,
 * in every version from 3.8 on, whether it is the program itself, a shared library, or was
 * dlopen'ed late into another program: that call, interposed, is the moment to start.
 * Older interpreters start at once, native only.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include <pillion/atomic.h>
#include <pillion/pillion.h>
#include <pillion/syscall.h>

#include "burst/burst.h"
#include "checked_read.h"
#include "clock.h"
#include "export.h"
#include "glibc.h"
#include "log.h"
#include "memory/memory.h"
#include "native/native.h"
#include "next.h"
#include "options.h"
#include "process/process.h"
#include "process/signals.h"
#include "python/python.h"
#include "sampling/handler.h"
#include "sampling/sampler.h"
#include "sampling/stack_bounds.h"
#include "sampling/threads.h"
#include "sampling/tick.h"
#include "sampling/timer.h"
#include "segment.h"
#include "text.h"

/* Set by the constructor: the environment asks for sampling in this process. */
static bool asked_for;
static _Atomic uint32_t started;

PLN_EXPORT int pillion_is_sampling(void)
{
	return pln_segment_is_ours_sigsafe() &&
	       pln_load_relaxed(&pln_segment->state) == PILLION_TARGET_SAMPLING;
}

PLN_EXPORT int pillion_start(void)
{
	return pln_segment_is_ours_sigsafe() ? pln_sampler_switch(true) : -ENOENT;
}

PLN_EXPORT int pillion_stop(void)
{
	return pln_segment_is_ours_sigsafe() ? pln_sampler_switch(false) : -ENOENT;
}

static const char *own_pid(struct pln_text *text)
{
	text->size = 0;
	pln_text_add_number(text, (uint64_t)pln_getpid_sigsafe());
	return text->bytes;
}

static bool this_process_is_asked_for(char **argv)
{
	const char *only = pln_options.only_pid;
	struct pln_text pid;

	if (pln_options.disable || (!pln_options.output[0] && !pln_options.socket[0]) ||
	    !pln_process_is_chosen(argv))
		return false;
	if (!*only || pln_options.subprocesses)
		return true;
	return !__builtin_strcmp(only, own_pid(&pid));
}

/* Forks are not followed, and what they become has our environment. */
static void leave_out_subprocesses(void)
{
	struct pln_text pid;

	if (!pln_options.subprocesses && !*pln_options.only_pid)
		(void)setenv("PILLION_ONLY_PID", own_pid(&pid), 1);
}

static void settle_own_thread(void)
{
	struct pln_thread *thread = pln_threads_find((uint32_t)pln_gettid_sigsafe());

	if (!thread)
		return;
	pln_timer_delete(thread);
	pln_store_relaxed(&thread->busy, PLN_BUSY_HANDLER);
	pln_signal_fence();
	pln_threads_settle(thread, pln_clock_ns_sigsafe(CLOCK_THREAD_CPUTIME_ID));
}

/*
 * exit() was called. Nothing depends on this; it only makes the last clocks exact, which
 * else are up to a tick old (more on a crowded machine). Not where other threads still run:
 * daemon threads of CPython wake every few milliseconds and look for the interpreter that is
 * no more, and some versions crash then: the end of the process must not come later for us.
 */
__attribute__((destructor)) static void finish(void)
{
	if (!pln_segment_is_ours_sigsafe() || !pln_threads_is_only_one() || !pln_sampler_hold())
		return;
	pln_tick_last();
	settle_own_thread();
	pln_sampler_let_go();
}

/* ------------------------------------------------------------------ start */

/* The main thread's stack is the kernel's; other threads know theirs from pthread_create. */
static void find_own_stack(void)
{
	if (!pln_threads_own_stack_sigsafe().hi)
		pln_threads_set_own_stack(pln_stack_range_now());
}

/* What a process image needs once, and a forked child inherits. */
static int init_image(void)
{
	int error;

	pln_clock_init();
	(void)pln_checked_read_init();
	find_own_stack();
	error = pln_threads_init();
	/* Without: counts alone. */
	if (!error && pln_options.memory == PILLION_MEMORY_SAMPLE)
		(void)pln_memory_sampling_init();
	if (!error)
		error = pln_native_init();
	if (!error)
		error = pln_timer_init();
	if (!error)
		pln_fork_init();
	return error;
}

#define NO_DESCRIPTOR "no descriptor is left to reach the collector with (ulimit -n)"

static bool is_out_of_descriptors(int error)
{
	return error == -EMFILE || error == -ENFILE;
}

static void log_unheard(int error)
{
	if (is_out_of_descriptors(error))
		pln_log(PLN_LOG_ERROR, "not sampling: ", NO_DESCRIPTOR);
	else
		pln_log(PLN_LOG_ERROR,
			pln_unheard_may_come(error)
				? "not sampling yet: no collector answers at PILLION_SOCKET="
				: "not sampling: no collector answers at PILLION_SOCKET=",
			pln_options.socket);
}

/* A token is of a collector that another process of the family started: it was there. */
static bool time_is_over(void)
{
	return pln_options.duration && pln_options.token[0];
}

static int reach_collector(int segment_fd, enum pln_hello_reason reason)
{
	int error = -ENOTCONN;

	if (pln_options.socket[0])
		error = pln_hello_send(segment_fd, reason);
	/* Nobody there (any more): with an output of its own the process can help itself. */
	if (error && error != -ECANCELED && pln_options.output[0] && !time_is_over() &&
	    reason == PILLION_REASON_START) {
		error = pln_launch_collector();
		if (error)
			return error;
		error = pln_hello_send(segment_fd, reason);
	}
	if (error && error != -ECANCELED)
		log_unheard(error);
	return error;
}

static const char *why_not(int error)
{
	if (error == -EBUSY)
		return "no signal is free; PILLION_SIGNAL names one that the program can spare";
	if (error == -ENOMEM)
		return "no room for shared memory; raise the limits (ulimit -v, ulimit -f)";
	if (is_out_of_descriptors(error))
		return NO_DESCRIPTOR;
	return "memfd_create failed; allow it where system calls are filtered (seccomp)";
}

static int regret(int error, enum pln_hello_reason reason)
{
	if (pln_options.socket[0])
		(void)pln_hello_send(error, reason);
	pln_log(PLN_LOG_ERROR, "not sampling: ", why_not(error));
	return error;
}

static void choose_engine(void)
{
	bool fast = pln_segment_own.clk_tck_ns &&
		    pln_segment_own.period_ns < pln_segment_own.clk_tck_ns;
	uint32_t engine =
		pln_timer_works() && !fast ? PILLION_ENGINE_CPU_TIMER : PILLION_ENGINE_FORCED;

	/* Taken off behind our back, before a fork: a signal would end the child. */
	if (!pln_timer_handler_is_ours())
		engine = 0;
	if (pln_burst_is_on())
		engine = PILLION_ENGINE_BURST;
	pln_store_relaxed(&pln_segment->engine, engine);
}

int pln_process_start(enum pln_hello_reason reason)
{
	int fd = pln_segment_create(reason);
	int error;

	if (fd < 0)
		return regret(fd, reason);
	error = reach_collector(fd, reason);
	if (pln_unheard_may_come(error))
		error = pln_unheard_keep(fd, reason);
	close(fd);
	if (error) {
		pln_segment_discard();
		return error;
	}
	choose_engine();
	if (!pln_tick_is_allowed())
		pln_store_relaxed(&pln_segment->state, PILLION_TARGET_DORMANT);
	pln_segment_publish();
	pln_threads_claim_own();
	error = pln_sampler_start();
	pln_unheard_hand_over(!error);
	if (error)
		pln_log(PLN_LOG_ERROR, "not sampling: no thread can be started; raise the limit ",
			"(ulimit -u)");
	return error;
}

static void start_once(void)
{
	uint32_t no = 0;
	int error;

	if (!pln_cas_acquire(&started, &no, 1))
		return;
	error = init_image();
	if (error)
		error = regret(error, PILLION_REASON_START);
	else if (!(error = pln_process_start(PILLION_REASON_START)) && pln_unheard_fd() < 0)
		pln_log(PLN_LOG_INFO, "sampling", "");
	if (error) {
		pln_memory_init(false);
		pln_signals_give_back();
	} else {
		leave_out_subprocesses();
	}
}

PLN_EXPORT int pthread_condattr_setclock(pthread_condattr_t *attr, clockid_t clock)
{
	int result = PLN_NEXT(pthread_condattr_setclock)(attr, clock);
	int saved;

	if (asked_for && !pln_load_relaxed(&started)) {
		saved = errno;
		if (pln_python_find((uintptr_t)__builtin_return_address(0)))
			start_once();
		errno = saved;
	}
	return result;
}

/* What is interposed passes everything on. */
static void stay_out_of_another_libc(void)
{
	pln_memory_init(false);
	pln_options_parse(environ);
	if (pln_python_is_linked())
		pln_log(PLN_LOG_ERROR, "not sampling: this Python is not of glibc", "");
}

__attribute__((constructor)) static void init(int argc, char **argv, char **envp)
{
	(void)argc;
	if (!pln_libc_is_glibc()) { /* others give constructors no arguments */
		stay_out_of_another_libc();
		return;
	}
	pln_options_parse(envp ? envp : environ);
	pln_tick_allow(pln_options.start);
	asked_for = this_process_is_asked_for(argv);
	pln_memory_init(asked_for && pln_options.memory != PILLION_MEMORY_OFF);
	/* Those never make the call that the others start with. */
	if (asked_for && pln_python_find_too_old())
		start_once();
}
