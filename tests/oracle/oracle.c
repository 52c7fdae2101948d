/* SPDX-License-Identifier: MIT */
/*
 * oracle.c - walks every sampled stack twice, by Pillion's tables and by libunwind.
 *
 * A test only: LD_PRELOADed into a real program, it signals running threads at a high
 * rate (and all threads now and then), and in the handler compares our walk with
 * libunwind's, frame by frame. Where the thread stands behind a system call, it walks
 * once more with pc and sp alone, as for a blocked thread. What it found is written
 * at exit to $PILLION_ORACLE.<pid>.json; without that variable it does nothing.
 */
#define UNW_LOCAL_ONLY
#include "oracle.h"

#include <dirent.h>
#include <libunwind.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "checked_read.h"

#define MAX_THREADS 256
#define SCAN_EVERY 50 /* ticks between two looks for threads and stacks */
#define WAKE_EVERY 200 /* ticks between two signals to threads that do not run */

static struct oracle_stack ours, theirs, blocked;
static atomic_flag busy = ATOMIC_FLAG_INIT;
static atomic_bool stopped;
static pid_t pid;
static char report_path[512];
static unsigned rate = 1000;

static struct {
	pid_t tid;
	uint64_t cpu_ns;
} threads[MAX_THREADS];
static unsigned thread_count;

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts = { 0, 0 };

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static uint64_t walk_ours(const struct pln_stack *stack, const struct pln_regs *regs,
			  struct oracle_stack *to)
{
	struct pln_native_walk walk = {
		.pc = to->pc, .cfa = to->sp, .guessed = to->guessed, .max = ORACLE_DEPTH
	};
	uint64_t start = clock_ns(CLOCK_MONOTONIC), end;

	pln_native_walk_sigsafe(stack, regs, &walk);
	end = clock_ns(CLOCK_MONOTONIC);
	to->count = walk.count;
	to->end = walk.end;
	to->any_guessed = walk.any_guessed;
	return end - start;
}

static void walk_theirs(ucontext_t *uc, struct oracle_stack *to)
{
	unw_cursor_t cursor;
	unw_word_t pc, sp;

	to->count = 0;
	unw_init_local2(&cursor, (unw_context_t *)uc, UNW_INIT_SIGNAL_FRAME);
	do {
		unw_get_reg(&cursor, UNW_REG_IP, &pc);
		unw_get_reg(&cursor, UNW_REG_SP, &sp);
		if (to->count)
			to->sp[to->count - 1] = sp;
		if (!pc)
			break;
		to->pc[to->count++] = pc;
	} while (to->count < ORACLE_DEPTH && unw_step(&cursor) > 0);
}

/* A `syscall` instruction right before pc: as the kernel tells it of a blocked thread. */
static bool is_behind_syscall(uintptr_t pc)
{
	uint8_t text[2];

	return pln_checked_read_sigsafe(pc - 2, text, 2) && text[0] == 0x0f && text[1] == 0x05;
}

static void sample(ucontext_t *uc)
{
	const greg_t *gregs = uc->uc_mcontext.gregs;
	struct pln_regs regs = { .pc = (uintptr_t)gregs[REG_RIP],
				 .sp = (uintptr_t)gregs[REG_RSP],
				 .bp = (uintptr_t)gregs[REG_RBP],
				 .bx = (uintptr_t)gregs[REG_RBX],
				 .r10 = (uintptr_t)gregs[REG_R10],
				 .r11 = (uintptr_t)gregs[REG_R11],
				 .known = PLN_REG_BP | PLN_REG_BX | PLN_REG_R10 | PLN_REG_R11 };
	struct pln_stack stack;
	uint64_t walk_ns;

	if (!oracle_stack_around(regs.sp, &stack)) {
		oracle_skip();
		return;
	}
	walk_ns = walk_ours(&stack, &regs, &ours);
	walk_theirs(uc, &theirs);
	oracle_judge(&ours, &theirs, walk_ns);
	if (!is_behind_syscall(regs.pc))
		return;
	regs = (struct pln_regs){ .pc = regs.pc, .sp = regs.sp };
	walk_ours(&stack, &regs, &blocked);
	oracle_judge_blocked(&ours, &blocked);
}

static void on_signal(int signal, siginfo_t *info, void *uc)
{
	(void)signal;
	(void)info;
	if (getpid() != pid || atomic_load(&stopped) || atomic_flag_test_and_set(&busy))
		return;
	sample(uc);
	atomic_flag_clear(&busy);
}

static void find_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	pid_t self = (pid_t)syscall(SYS_gettid);
	struct dirent *entry;

	if (!dir)
		return;
	thread_count = 0;
	while (thread_count < MAX_THREADS && (entry = readdir(dir))) {
		pid_t tid = atoi(entry->d_name);

		if (tid <= 0 || tid == self)
			continue;
		threads[thread_count].tid = tid;
		threads[thread_count++].cpu_ns = 0;
	}
	closedir(dir);
}

static void signal_threads(bool all)
{
	for (unsigned i = 0; i < thread_count; i++) {
		uint64_t cpu_ns = clock_ns(~(clockid_t)threads[i].tid << 3 | 6);

		if (cpu_ns != threads[i].cpu_ns || all)
			syscall(SYS_tgkill, pid, threads[i].tid, SIGPROF);
		threads[i].cpu_ns = cpu_ns;
	}
}

static void *run(void *unused)
{
	struct timespec period = { 0, 1000000000l / (long)rate };

	(void)unused;
	for (unsigned long tick = 0; !atomic_load(&stopped); tick++) {
		if (tick % SCAN_EVERY == 0) {
			find_threads();
			oracle_stacks_refresh();
		}
		if (tick % 10 == 0 || pln_native_refresh_is_due())
			pln_native_refresh(NULL);
		signal_threads(tick % WAKE_EVERY == 0);
		nanosleep(&period, NULL);
	}
	return NULL;
}

static void stop(void)
{
	if (getpid() != pid || atomic_exchange(&stopped, true))
		return;
	while (atomic_flag_test_and_set(&busy))
		sched_yield();
	oracle_report(report_path);
}

/* libunwind prepares itself on first use: outside of a handler. */
static void prepare_libunwind(void)
{
	unw_context_t context;
	unw_cursor_t cursor;

	unw_getcontext(&context);
	unw_init_local(&cursor, &context);
	unw_step(&cursor);
}

static bool start_thread(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;
	bool started;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	started = !pthread_create(&thread, &attr, run, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return started;
}

__attribute__((constructor)) static void start(void)
{
	struct sigaction action = { .sa_sigaction = on_signal,
				    .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };
	const char *prefix = getenv("PILLION_ORACLE");
	const char *rate_text = getenv("PILLION_ORACLE_RATE");

	if (!prefix)
		return;
	if (rate_text && atoi(rate_text) > 0)
		rate = (unsigned)atoi(rate_text);
	pid = getpid();
	snprintf(report_path, sizeof(report_path), "%s.%d.json", prefix, pid);
	pln_checked_read_init();
	if (pln_native_init())
		return;
	prepare_libunwind();
	pln_native_refresh(NULL);
	oracle_stacks_refresh();
	sigaction(SIGPROF, &action, NULL);
	atexit(stop);
	start_thread();
}
