/* SPDX-License-Identifier: MIT */
/*
 * summary.c - see summary.h.
 */
#include "report/summary.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static void add_cell(struct pln_times *times, const struct pln_cell *cell, bool has_python)
{
	uint64_t wall_ns = pln_cell_wall_ns(cell);

	times->samples += cell->samples;
	times->cpu_ns += cell->cpu_ns;
	times->offcpu_ns += cell->offcpu_ns;
	times->runnable_ns += cell->runnable_ns;
	switch (cell->gil) {
	case PILLION_GIL_HOLDS:
		times->hold_ns += wall_ns;
		times->hold_blocked_ns += cell->offcpu_ns;
		break;
	case PILLION_GIL_WAITS:
		times->wait_ns += wall_ns;
		break;
	case PILLION_GIL_NONE:
		times->neither_ns += wall_ns;
		break;
	default:
		*(has_python ? &times->gil_unknown_ns : &times->neither_ns) += wall_ns;
		times->gil_runnable_ns += has_python ? cell->runnable_ns : 0;
	}
}

static void add_clocks(struct pln_times *times, const struct pln_thread *thread)
{
	times->threads++;
	times->clock_cpu_ns += thread->cpu_ns;
	times->clock_wall_ns +=
		less(less(thread->seen_ns, thread->start_ns), thread->dormant_wall_ns);
	times->dormant_cpu_ns += thread->dormant_cpu_ns;
	times->unsampled_cpu_ns += thread->unsampled_cpu_ns;
	times->unsampled_wall_ns += thread->unsampled_wall_ns;
}

static void add_threads(struct pln_summary *s, const struct pln_aggregate *a)
{
	const struct pln_profile *p = a->profile;

	for (size_t t = 0; t < p->thread_count; t++) {
		uint32_t process = p->threads[t].process;

		if (!a->thread_kept[t])
			continue;
		add_clocks(&s->threads[t], &p->threads[t]);
		add_clocks(&s->all, &p->threads[t]);
		if (process < p->process_count)
			add_clocks(&s->processes[process], &p->threads[t]);
	}
	for (size_t i = 0; i < a->cell_count; i++) {
		const struct pln_cell *cell = &a->cells[i];
		const struct pln_thread *thread = &p->threads[cell->thread];

		add_cell(&s->threads[cell->thread], cell, thread->has_python);
		add_cell(&s->all, cell, thread->has_python);
		if (thread->process < p->process_count)
			add_cell(&s->processes[thread->process], cell, thread->has_python);
	}
}

static void find_net_unsampled(struct pln_times *times)
{
	times->unsampled_cpu_ns = less(times->clock_cpu_ns, times->cpu_ns);
}

static void add_process(struct pln_summary *s, const struct pln_process *process)
{
	for (unsigned d = 0; d < PILLION_DROP_COUNT; d++) {
		s->drops[d] += process->drops[d];
		s->drop_count += process->drops[d];
	}
	s->ticks += process->ticks;
	s->handler_calls += process->handler_calls;
	s->handler_ns += process->handler_ns;
	s->sampler_cpu_ns += process->sampler_cpu_ns;
	s->process_cpu_ns += process->process_cpu_ns;
	s->dormant_ns += process->dormant_ns;
	s->lost_records += process->lost_records;
	if (process->table_bytes > s->table_bytes)
		s->table_bytes = process->table_bytes;
	if (process->private_bytes > s->private_bytes)
		s->private_bytes = process->private_bytes;
}

uint64_t pln_process_sampled_ns(const struct pln_profile *profile, uint32_t id)
{
	const struct pln_process *process = &profile->processes[id];
	uint64_t end_ns = process->end_ns ? process->end_ns : profile->recording.end_ns;

	return less(less(end_ns, process->start_ns), process->dormant_ns);
}

/* Each sample stands for a whole period: the sum may exceed the time by a little, the GIL not. */
static void find_held(struct pln_summary *s, const struct pln_profile *p)
{
	bool any = false;

	for (uint32_t id = 0; id < p->process_count; id++) {
		const struct pln_times *times = &s->processes[id];
		uint64_t sampled_ns = pln_process_sampled_ns(p, id);
		double held;

		if (!sampled_ns || !(times->hold_ns || times->wait_ns || times->neither_ns))
			continue;
		held = (double)times->hold_ns / (double)sampled_ns;
		held = held > 1 ? 1 : held;
		if (!any || held < s->least_held)
			s->least_held = held;
		if (!any || held > s->most_held)
			s->most_held = held;
		any = true;
	}
}

/* Merged recordings were asked for different rates: each process has its own, where it tells. */
static double rate_of(uint64_t own_ns, uint64_t recordings_ns)
{
	uint64_t ns = own_ns ? own_ns : recordings_ns;

	return ns ? 1e9 / (double)ns : 0;
}

static void add_processes(struct pln_summary *s, const struct pln_profile *p,
			  const struct pln_filter *filter)
{
	uint64_t ticked_ns = 0;
	double asked_ticks = 0;

	for (uint32_t i = 0; i < p->process_count; i++) {
		const struct pln_process *process = &p->processes[i];

		s->process_count += s->processes[i].threads > 0;
		if (!pln_filter_keeps_process(filter, process))
			continue;
		add_process(s, process);
		ticked_ns += pln_process_sampled_ns(p, i);
		asked_ticks += (double)pln_process_sampled_ns(p, i) *
			       rate_of(process->tick_ns, p->recording.tick_ns);
	}
	s->asked_tick_hz = rate_of(0, p->recording.tick_ns);
	if (!ticked_ns)
		return;
	s->asked_tick_hz = asked_ticks / (double)ticked_ns;
	s->reached_tick_hz = (double)s->ticks * 1e9 / (double)ticked_ns;
}

/* Its rows are not samples: its note tells of its rate. */
static bool has_burst(const struct pln_summary *s, const struct pln_profile *p)
{
	for (size_t i = 0; i < p->process_count; i++) {
		if (s->processes[i].threads && p->processes[i].engine & PILLION_ENGINE_BURST)
			return true;
	}
	return false;
}

static void find_rates(struct pln_summary *s, const struct pln_aggregate *a)
{
	const struct pln_profile *p = a->profile;
	uint64_t cpu_ns = 0;
	double asked = 0;

	if (has_burst(s, p))
		return;
	for (size_t i = 0; i < p->process_count; i++) {
		cpu_ns += s->processes[i].cpu_ns;
		asked += (double)s->processes[i].cpu_ns *
			 rate_of(p->processes[i].period_ns, p->recording.period_ns);
	}
	s->asked_hz = cpu_ns ? asked / (double)cpu_ns : rate_of(0, p->recording.period_ns);
	if (s->all.cpu_ns)
		s->reached_hz = (double)a->quality.on_cpu * 1e9 / (double)s->all.cpu_ns;
}

int pln_summary_compute(struct pln_summary *summary, const struct pln_aggregate *aggregate,
			const struct pln_filter *filter)
{
	const struct pln_profile *p = aggregate->profile;

	memset(summary, 0, sizeof(*summary));
	summary->threads = calloc(p->thread_count + 1, sizeof(*summary->threads));
	summary->processes = calloc(p->process_count + 1, sizeof(*summary->processes));
	if (!summary->threads || !summary->processes)
		return -ENOMEM;
	summary->by_process = filter->processes != NULL;
	summary->duration_ns = less(p->recording.end_ns, p->recording.start_ns);
	add_threads(summary, aggregate);
	find_net_unsampled(&summary->all);
	for (size_t i = 0; i < p->process_count; i++)
		find_net_unsampled(&summary->processes[i]);
	add_processes(summary, p, filter);
	find_held(summary, p);
	find_rates(summary, aggregate);
	return 0;
}

static void account_process(struct pln_accounting *sum, const struct pln_times *times,
			    const struct pln_process *process)
{
	uint64_t known_ns = times->clock_cpu_ns + process->sampler_cpu_ns + times->dormant_cpu_ns;
	uint64_t process_ns =
		process->process_cpu_ns > known_ns ? process->process_cpu_ns : known_ns;

	sum->process_cpu_ns += process_ns;
	sum->sampled_cpu_ns += times->cpu_ns;
	sum->unsampled_cpu_ns += (int64_t)(times->clock_cpu_ns - times->cpu_ns);
	sum->sampler_cpu_ns += process->sampler_cpu_ns;
	sum->dormant_cpu_ns += times->dormant_cpu_ns;
	sum->outside_cpu_ns += process_ns - known_ns;
	sum->thread_wall_ns += times->clock_wall_ns;
	sum->sampled_wall_ns += pln_times_wall_ns(times);
	sum->unsampled_wall_ns += (int64_t)(times->clock_wall_ns - pln_times_wall_ns(times));
}

struct pln_accounting pln_summary_account(const struct pln_summary *summary,
					  const struct pln_profile *profile, uint32_t process)
{
	struct pln_accounting sum = { .process_cpu_ns = 0 };
	uint32_t id = process == PLN_NONE ? 0 : process;
	size_t end = process == PLN_NONE ? profile->process_count : (size_t)process + 1;

	for (; id < end; id++) {
		if (process == PLN_NONE && summary->by_process && !summary->processes[id].threads)
			continue;
		account_process(&sum, &summary->processes[id], &profile->processes[id]);
	}
	return sum;
}

void pln_summary_free(struct pln_summary *summary)
{
	free(summary->threads);
	free(summary->processes);
	memset(summary, 0, sizeof(*summary));
}
