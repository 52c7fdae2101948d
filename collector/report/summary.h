/* SPDX-License-Identifier: MIT */
/*
 * summary.h - the recording in figures: time by thread and process, what of it is
 * accounted for, what it cost, what was missed. Same figures for text and JSON.
 */
#ifndef PILLION_COLLECTOR_SUMMARY_H
#define PILLION_COLLECTOR_SUMMARY_H

#include "report/aggregate.h"

/* Time of a thread, a process, or all. */
struct pln_times {
	uint64_t samples;
	uint64_t cpu_ns;
	uint64_t offcpu_ns;
	uint64_t runnable_ns; /* waiting for a CPU */
	uint64_t hold_ns; /* on and off a CPU while holding the GIL */
	uint64_t hold_blocked_ns; /* off-CPU part of it: others were kept from running */
	uint64_t wait_ns; /* while waiting for the GIL */
	uint64_t neither_ns; /* while doing neither, as all threads do that never ran Python */
	uint64_t gil_unknown_ns; /* with the wait of Python threads for a CPU */
	uint64_t gil_runnable_ns; /* that wait */
	uint32_t threads;
	/* What the kernel's clocks say of the same threads. */
	uint64_t dormant_cpu_ns; /* of the CPU clock, beside clock_cpu_ns: sampling was stopped */
	uint64_t clock_cpu_ns;
	uint64_t clock_wall_ns;
	/*
	 * Known, but no sample stands for it. CPU time of a process is the difference of the sums,
	 * not the sum of its threads': a sample stands for a whole period, so samples of some short
	 * threads stand for the others.
	 */
	uint64_t unsampled_cpu_ns;
	uint64_t unsampled_wall_ns;
};

/*
 * Where every nanosecond of the kernel's clocks is:
 *
 *   process_cpu = sampled_cpu + unsampled_cpu + sampler_cpu + dormant_cpu + outside_cpu
 *   thread_wall = sampled_wall + unsampled_wall
 *
 * Unsampled is negative where samples stand for more than was used: by less than a period
 * for each thread.
 */
struct pln_accounting {
	uint64_t process_cpu_ns; /* CPU clock of the process, or of its threads when read later */
	uint64_t sampled_cpu_ns;
	int64_t unsampled_cpu_ns;
	uint64_t sampler_cpu_ns; /* our own thread in it */
	uint64_t dormant_cpu_ns; /* while the program had stopped the sampling */
	uint64_t outside_cpu_ns; /* before sampling began, or on threads that were never met */
	uint64_t thread_wall_ns;
	uint64_t sampled_wall_ns;
	int64_t unsampled_wall_ns;
};

struct pln_summary {
	uint64_t duration_ns;
	struct pln_times all; /* of kept threads */
	struct pln_times *threads; /* by thread id */
	struct pln_times *processes; /* by process id, of their kept threads */
	uint32_t process_count; /* with a kept thread */
	bool by_process; /* a filter leaves out processes */
	double least_held,
		most_held; /* of its sampled time, did a process with Python hold the GIL */

	/* Of every process that the filter keeps. */
	uint64_t drops[PILLION_DROP_COUNT];
	uint64_t drop_count;
	uint64_t ticks;
	uint64_t handler_calls;
	uint64_t handler_ns;
	uint64_t sampler_cpu_ns;
	uint64_t process_cpu_ns;
	uint64_t dormant_ns; /* sum of times in which the program had stopped the sampling */
	uint64_t table_bytes; /* largest of any process */
	uint64_t private_bytes;
	uint64_t lost_records;

	/* By the settings, each process's by its time; 0: unknown, as in burst mode. */
	double asked_hz;
	double reached_hz; /* samples on a CPU per second of CPU time; 0 unknown */
	double asked_tick_hz;
	double reached_tick_hz; /* mean of the processes */
};

/* Returns 0 or -errno. pln_summary_free() is due in either case. */
int pln_summary_compute(struct pln_summary *summary, const struct pln_aggregate *aggregate,
			const struct pln_filter *filter);
/* Of one process, or of all that are kept with PLN_NONE. Makes sense when no filter is on threads.
 */
struct pln_accounting pln_summary_account(const struct pln_summary *summary,
					  const struct pln_profile *profile, uint32_t process);
void pln_summary_free(struct pln_summary *summary);

/* How long the process was sampled. */
uint64_t pln_process_sampled_ns(const struct pln_profile *profile, uint32_t process);

static inline uint64_t pln_times_wall_ns(const struct pln_times *times)
{
	return times->cpu_ns + times->offcpu_ns + times->runnable_ns;
}

#endif
