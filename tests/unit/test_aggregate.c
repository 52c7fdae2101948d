/* SPDX-License-Identifier: MIT */
/*
 * Every sum that report and export show, against a profile whose sums are known: each
 * view, self and total, recursion counted once, inlined functions, filters, callers, waits,
 * accounting.
 */
#include "check.h"
#include "tiny_profile.h"

#include "report/calltree.h"
#include "report/summary.h"
#include "report/totals.h"
#include "report/waits.h"

#define MS TINY_MS

struct computed {
	struct pln_profile *profile;
	struct pln_aggregate aggregate;
	struct pln_totals totals;
};

static void compute(struct computed *c, enum pln_view view, const struct pln_filter *filter)
{
	c->profile = tiny_open(true);
	if (!CHECK(c->profile != NULL))
		exit(1);
	CHECK_EQ(pln_aggregate_samples(&c->aggregate, c->profile, filter), 0);
	CHECK_EQ(pln_totals_compute(&c->totals, &c->aggregate, view), 0);
}

static void done(struct computed *c)
{
	pln_totals_free(&c->totals);
	pln_aggregate_free(&c->aggregate);
	pln_profile_close(c->profile);
}

static const struct pln_cost *cost_of(const struct computed *c, const char *name)
{
	static const struct pln_cost none;
	uint32_t id = tiny_function(c->profile, name);

	return CHECK(id != PLN_NONE) ? &c->totals.functions[id] : &none;
}

static void check_cost(const struct computed *c, const char *name, uint64_t self_ms,
		       uint64_t total_ms)
{
	const struct pln_cost *cost = cost_of(c, name);

	if (!CHECK_EQ(cost->self.ns, self_ms * MS) || !CHECK_EQ(cost->total.ns, total_ms * MS))
		fprintf(stderr, "\tof %s\n", name);
}

static const struct pln_filter no_filter;

static void test_cpu_view(void)
{
	struct computed c;
	uint32_t none;

	compute(&c, PLN_VIEW_CPU, &no_filter);
	CHECK_EQ(c.totals.all.ns, 85 * MS);
	check_cost(&c, "_start", 0, 78);
	check_cost(&c, "main", 10, 78);
	check_cost(&c, "fact", 31, 68); /* three times on the stack, counted once */
	check_cost(&c, "micro", 37, 37);
	check_cost(&c, "dgemm", 0, 37); /* micro was inlined into it */
	check_cost(&c, "wait;ing", 0, 0);
	check_cost(&c, "[anon]+0x7fff0000", 4, 4);
	none = (uint32_t)c.profile->function_count;
	CHECK_EQ(c.totals.functions[none].self.ns, 3 * MS);
	CHECK_EQ(c.totals.functions[none].total.ns, 3 * MS);
	CHECK_EQ(cost_of(&c, "micro")->self.hold_ns, 7 * MS);
	CHECK_EQ(cost_of(&c, "fact")->total.hold_ns, 38 * MS);
	done(&c);
}

static void test_other_views(void)
{
	struct computed c;

	compute(&c, PLN_VIEW_WALL, &no_filter);
	CHECK_EQ(c.totals.all.ns, 233 * MS);
	check_cost(&c, "main", 11, 226);
	check_cost(&c, "futex_wait", 147, 147);
	done(&c);
	compute(&c, PLN_VIEW_OFFCPU, &no_filter);
	CHECK_EQ(c.totals.all.ns, 145 * MS);
	check_cost(&c, "wait;ing", 0, 145);
	check_cost(&c, "fact", 0, 0);
	done(&c);
	compute(&c, PLN_VIEW_GIL, &no_filter);
	CHECK_EQ(c.totals.all.ns, (10 + 20 + 40 + 5 + 7 + 11) * MS);
	CHECK_EQ(c.totals.all.hold_ns, 53 * MS);
	CHECK_EQ(c.totals.all.wait_ns, 40 * MS);
	check_cost(&c, "futex_wait", 45, 45);
	done(&c);
}

/* Sums of self equal the whole, whatever they are summed over. */
static void test_sums_agree(void)
{
	for (enum pln_view view = PLN_VIEW_CPU; view <= PLN_VIEW_GIL; view++) {
		uint64_t functions = 0, libraries = 0, native = 0, below_lines = 0;
		struct computed c;

		compute(&c, view, &no_filter);
		for (size_t f = 0; f <= c.profile->function_count; f++)
			functions += c.totals.functions[f].self.ns;
		for (size_t l = 0; l < c.totals.library_count; l++)
			libraries += c.totals.libraries[l].cost.self.ns;
		for (size_t f = 0; f < c.profile->function_count; f++)
			native += c.profile->functions[f].kind == PLN_FUNCTION_NATIVE
					  ? c.totals.functions[f].self.ns
					  : 0;
		for (size_t i = 0; i < c.totals.caller_count; i++)
			below_lines += c.totals.callers[i].amount.ns;
		CHECK_EQ(functions, c.totals.all.ns);
		CHECK_EQ(libraries, c.totals.all.ns);
		CHECK_EQ(below_lines, native);
		done(&c);
	}
}

static void test_lines_and_libraries(void)
{
	struct computed c;
	bool met = false;

	compute(&c, PLN_VIEW_CPU, &no_filter);
	for (size_t i = 0; i < c.totals.line_count; i++) {
		const struct pln_line *line = &c.totals.lines[i];

		if (line->line != 12)
			continue;
		met = true;
		CHECK_EQ(line->cost.self.ns, 31 * MS);
		CHECK_EQ(line->cost.total.ns, 68 * MS);
		CHECK_EQ(line->native.ns, 37 * MS);
	}
	CHECK(met);
	for (size_t i = 0; i < c.totals.library_count; i++) {
		const struct pln_library *library = &c.totals.libraries[i];

		if (!library->name) {
			CHECK_EQ(library->cost.self.ns, 41 * MS);
			CHECK_EQ(library->cost.total.ns, 78 * MS);
		} else if (!strcmp(library->name, "libnum.so")) {
			CHECK_EQ(library->cost.total.ns, 37 * MS);
		}
	}
	done(&c);
}

static void test_callers(void)
{
	struct computed c;
	size_t first, end;

	compute(&c, PLN_VIEW_CPU, &no_filter);
	first = pln_totals_callers(&c.totals, tiny_function(c.profile, "micro"), &end);
	if (CHECK_EQ(end - first, 1)) {
		const struct pln_caller *caller = &c.totals.callers[first];

		CHECK_EQ(caller->amount.ns, 37 * MS);
		CHECK_EQ(c.totals.lines[caller->line].line, 12);
	}
	first = pln_totals_callers(&c.totals, tiny_function(c.profile, "[anon]+0x7fff0000"), &end);
	if (CHECK_EQ(end - first, 1))
		CHECK_EQ(c.totals.callers[first].line, PLN_NONE);
	first = pln_totals_callers(&c.totals, tiny_function(c.profile, "_start"), &end);
	CHECK_EQ(end - first, 0);
	done(&c);
}

static uint64_t cpu_with(const char *threads, const char *processes)
{
	const struct pln_filter filter = { .threads = threads, .processes = processes };
	struct computed c;
	uint64_t ns;

	compute(&c, PLN_VIEW_CPU, &filter);
	ns = c.totals.all.ns;
	done(&c);
	return ns / MS;
}

static void test_filters(void)
{
	CHECK_EQ(cpu_with("MainThread", NULL), 60);
	CHECK_EQ(cpu_with("Main", NULL), 60);
	CHECK_EQ(cpu_with("102", NULL), 10);
	CHECK_EQ(cpu_with("10", NULL), 0); /* a number is a tid, not a part of one */
	CHECK_EQ(cpu_with("worker,201", NULL), 25);
	CHECK_EQ(cpu_with(NULL, "200"), 15);
	CHECK_EQ(cpu_with(NULL, "child.py"), 15);
	CHECK_EQ(cpu_with(NULL, "python3.11"), 85);
	CHECK_EQ(cpu_with("worker", "200"), 0);
	CHECK_EQ(cpu_with("", NULL), 0);
}

/* Of a thread without a name of its own, that runs `work` out of the file. */
static bool is_kept(const char *words, bool is_main, const char *file)
{
	const struct pln_filter filter = { .threads = words };
	struct pln_thread thread = { .name = "python3", .is_main = is_main };
	const struct pln_function runs = { .name = "work", .file = file };
	const struct pln_profile profile = { .threads = &thread, .thread_count = 1 };

	return pln_filter_keeps_thread(&filter, &profile, 0, &runs);
}

static void test_words_for_threads(void)
{
	const char *main_py = "/home/maintainer/jobs/main.py";

	CHECK(is_kept("main", true, main_py) && !is_kept("main", false, main_py));
	CHECK(is_kept("MainThread", true, main_py) && !is_kept("MainThread", false, main_py));
	CHECK(is_kept("main.py", false, main_py) && is_kept("work", false, main_py));
	CHECK(!is_kept("jobs", false, main_py) && !is_kept("maintainer", false, main_py));
	CHECK(is_kept("jobs/main", false, main_py) && is_kept("python3", false, main_py));
	CHECK(is_kept("jobs,work", false, "") && !is_kept("jobs", false, ""));
}

static void test_calltree_merges(void)
{
	struct pln_calltree tree;
	struct computed c;
	uint32_t call;
	unsigned depth = 0, deepest = 0;
	uint64_t self_ns = 0;
	size_t seen = 0;

	compute(&c, PLN_VIEW_CPU, &no_filter);
	CHECK_EQ(pln_calltree_build(&tree, &c.aggregate, PLN_VIEW_CPU, false), 0);
	for (call = tree.first_root; call != PLN_NONE;
	     call = pln_calltree_next(&tree, call, &depth)) {
		self_ns += tree.calls[call].self.ns;
		deepest = depth > deepest ? depth : deepest;
		seen++;
	}
	/* _start main fact (fact fact) (dgemm micro); the JIT; no stack */
	CHECK_EQ(seen, 9);
	CHECK_EQ(seen, tree.count);
	CHECK_EQ(deepest, 4);
	CHECK_EQ(depth, 0);
	CHECK_EQ(self_ns, c.totals.all.ns);
	CHECK_EQ(tree.calls[tree.first_root].total.ns, 78 * MS);
	pln_calltree_free(&tree);
	done(&c);
}

static const struct pln_wait *wait_of(const struct pln_waits *waits, enum pln_wait_kind kind,
				      int32_t syscall_nr)
{
	for (size_t i = 0; i < waits->count; i++) {
		if (waits->waits[i].kind == kind && waits->waits[i].syscall_nr == syscall_nr)
			return &waits->waits[i];
	}
	return NULL;
}

static void test_waits(void)
{
	const struct pln_wait *futex, *epoll, *gil, *holding;
	struct pln_waits waits;
	struct computed c;
	char name[64];

	compute(&c, PLN_VIEW_CPU, &no_filter);
	CHECK_EQ(pln_waits_compute(&waits, &c.aggregate, &c.totals), 0);
	futex = wait_of(&waits, PLN_WAIT_SYSCALL, 202);
	epoll = wait_of(&waits, PLN_WAIT_SYSCALL, 232);
	gil = wait_of(&waits, PLN_WAIT_GIL, -1);
	holding = wait_of(&waits, PLN_WAIT_HOLDING, -1);
	if (CHECK(futex && epoll && gil && holding)) {
		CHECK_EQ(futex->offcpu_ns, 5 * MS);
		CHECK_EQ(gil->offcpu_ns, 40 * MS);
		CHECK_EQ(holding->offcpu_ns, 5 * MS);
		CHECK_EQ(epoll->offcpu_ns, 100 * MS);
		CHECK_STR(pln_wait_name(epoll, name, sizeof(name)), "epoll_wait");
		CHECK(epoll == &waits.waits[0]); /* most time first */
		CHECK_EQ(c.totals.lines[waits.lines[epoll->first_line].line].line, 21);
		CHECK_EQ(waits.lines[epoll->first_line].ns, 100 * MS);
	}
	pln_waits_free(&waits);
	done(&c);
}

static void test_summary(void)
{
	struct pln_summary s;
	struct computed c;

	compute(&c, PLN_VIEW_CPU, &no_filter);
	CHECK_EQ(pln_summary_compute(&s, &c.aggregate, &no_filter), 0);
	CHECK_EQ(s.all.samples, 10);
	CHECK_EQ(s.all.cpu_ns, 85 * MS);
	CHECK_EQ(pln_times_wall_ns(&s.all), 233 * MS);
	CHECK_EQ(s.all.hold_ns, 53 * MS);
	CHECK_EQ(s.all.hold_blocked_ns, 5 * MS);
	CHECK_EQ(s.all.wait_ns, 40 * MS);
	CHECK_EQ(s.all.neither_ns, 134 * MS);
	CHECK_EQ(s.all.gil_unknown_ns, (3 + 1 + 2) * MS);
	CHECK_EQ(s.all.gil_runnable_ns, (1 + 2) * MS);
	CHECK_EQ(s.all.clock_cpu_ns, 90 * MS);
	CHECK_EQ(s.all.unsampled_cpu_ns, 5 * MS);
	CHECK_EQ(s.all.clock_wall_ns, (106 + 112 + 20) * MS);
	CHECK_EQ(s.process_count, 2);
	CHECK_EQ(s.processes[0].cpu_ns, 70 * MS);
	CHECK_EQ(s.threads[1].offcpu_ns, 100 * MS);
	CHECK_EQ(s.drop_count, 2);
	CHECK(s.asked_hz == 100);
	CHECK_EQ(c.aggregate.quality.guessed, 1);
	CHECK_EQ(c.aggregate.quality.native_truncated, 1);
	CHECK_EQ(c.aggregate.quality.without_stack, 1);
	CHECK_EQ(c.aggregate.quality.on_cpu, 7);
	pln_summary_free(&s);
	done(&c);
}

static uint64_t wall_by_gil(const struct pln_aggregate *a, uint32_t gil)
{
	uint64_t ns = 0;

	for (size_t i = 0; i < a->cell_count; i++) {
		if (a->cells[i].gil == gil)
			ns += pln_cell_wall_ns(&a->cells[i]);
	}
	return ns;
}

/*
 * Threads that queue for a CPU do not hold the GIL for that, whatever they do once they have
 * one: in no view, and not in the cells that the exports are made of.
 */
static void test_waiting_for_a_cpu_is_not_holding_the_gil(void)
{
	const struct pln_sample_row row = {
		.cpu_ns = 10, .offcpu_ns = 5, .runnable_ns = 100, .gil = PILLION_GIL_HOLDS
	};
	struct computed c;

	compute(&c, PLN_VIEW_WALL, &no_filter);
	CHECK_EQ(wall_by_gil(&c.aggregate, PILLION_GIL_HOLDS), 53 * MS);
	CHECK_EQ(wall_by_gil(&c.aggregate, PILLION_GIL_NONE), 134 * MS);
	CHECK_EQ(c.totals.all.hold_ns, 53 * MS);
	CHECK_EQ(c.totals.all.ns, 233 * MS);
	CHECK_EQ(c.totals.all.samples, 10); /* two of them are in two cells each */
	CHECK_EQ(pln_sample_weight(&row, PLN_VIEW_GIL), 15);
	CHECK_EQ(pln_sample_weight(&row, PLN_VIEW_WALL), 115);
	done(&c);
}

/* A thread that never ran Python needs no GIL, whatever a sample could read. */
static void test_threads_without_python_do_not_hold_the_gil(void)
{
	struct pln_summary s;
	struct computed c;

	compute(&c, PLN_VIEW_CPU, &no_filter);
	c.profile->threads[1].has_python = false; /* 3 ms unknown, 2 ms without a CPU */
	CHECK_EQ(pln_summary_compute(&s, &c.aggregate, &no_filter), 0);
	CHECK_EQ(s.all.neither_ns, (134 + 3 + 2) * MS);
	CHECK_EQ(s.all.gil_unknown_ns, 1 * MS);
	CHECK_EQ(s.all.gil_runnable_ns, 1 * MS);
	pln_summary_free(&s);
	done(&c);
}

/* Its own for each process; samples stand for whole periods, and may sum up to more. */
static void test_a_gil_is_held_all_the_time_at_most(void)
{
	struct pln_summary s;
	struct computed c;

	compute(&c, PLN_VIEW_CPU, &no_filter);
	CHECK_EQ(pln_summary_compute(&s, &c.aggregate, &no_filter), 0);
	CHECK(s.most_held > .2099 && s.most_held < .2101);
	CHECK(s.least_held > .0549 && s.least_held < .0551);
	pln_summary_free(&s);
	c.profile->processes[0].end_ns = TINY_START_NS + 41 * MS;
	CHECK_EQ(pln_summary_compute(&s, &c.aggregate, &no_filter), 0);
	CHECK(s.most_held == 1);
	pln_summary_free(&s);
	done(&c);
}

/* Of 85 ms on a CPU, 70 at 100 Hz as the recording says, 15 at 1000 Hz as their process does. */
static void test_each_process_was_asked_for_its_own_rate(void)
{
	struct pln_process *process;
	struct pln_summary s;
	struct computed c;

	compute(&c, PLN_VIEW_CPU, &no_filter);
	process = &c.profile->processes[1];
	process->period_ns = MS;
	process->tick_ns = MS;
	process->dormant_ns = process->end_ns - process->start_ns - 50 * MS;
	CHECK_EQ(pln_summary_compute(&s, &c.aggregate, &no_filter), 0);
	CHECK_EQ((uint64_t)(s.asked_hz * 85 + 0.5), 70 * 100 + 15 * 1000);
	CHECK_EQ((uint64_t)(s.asked_tick_hz * 250 + 0.5), 200 * 100 + 50 * 1000);
	pln_summary_free(&s);
	done(&c);
}

/* Its rows are sums of many samples: that of a second is not one sample of a second. */
static void test_rows_of_burst_mode_are_no_samples(void)
{
	const double ms = (double)MS;
	struct pln_process *process;
	struct pln_summary s;
	struct computed c;

	compute(&c, PLN_VIEW_CPU, &no_filter);
	process = &c.profile->processes[1];
	pln_aggregate_free(&c.aggregate);
	process->engine = PILLION_ENGINE_BURST;
	process->period_ns = 1000;
	CHECK_EQ(pln_aggregate_samples(&c.aggregate, c.profile, &no_filter), 0);
	for (size_t i = 0; i < c.aggregate.cell_count; i++) {
		const struct pln_cell *cell = &c.aggregate.cells[i];
		double ns = (double)cell->cpu_ns;

		if (cell->thread == 2)
			CHECK(cell->cpu_square == ns * 1000);
		else if (cell->samples == 1)
			CHECK(cell->cpu_square == ns * ns);
	}
	CHECK_EQ(pln_summary_compute(&s, &c.aggregate, &no_filter), 0);
	CHECK(s.asked_hz == 0 && s.reached_hz == 0);
	CHECK(s.asked_tick_hz * 10 * ms == 1e9);
	pln_summary_free(&s);
	done(&c);
}

/* The sums that `pillion info` shows. */
static void check_sums(const struct pln_accounting *a)
{
	CHECK_EQ(a->process_cpu_ns, a->sampled_cpu_ns + (uint64_t)a->unsampled_cpu_ns +
					    a->sampler_cpu_ns + a->outside_cpu_ns);
	CHECK_EQ(a->thread_wall_ns, a->sampled_wall_ns + (uint64_t)a->unsampled_wall_ns);
}

static void test_accounting_adds_up(void)
{
	struct pln_accounting a;
	struct pln_process *process;
	struct pln_summary s;
	struct computed c;

	compute(&c, PLN_VIEW_CPU, &no_filter);
	process = c.profile->processes;
	process[0].process_cpu_ns = 80 * MS; /* its threads used 70 ms, and samples say the same */
	process[0].sampler_cpu_ns = 4 * MS;
	process[1].process_cpu_ns = 18 * MS; /* older than its thread's clock of 20 ms */
	process[1].sampler_cpu_ns = 1 * MS;
	/* Many short threads: what each lacks is more than what all of them lack. */
	c.profile->threads[0].unsampled_cpu_ns = 50 * MS;
	CHECK_EQ(pln_summary_compute(&s, &c.aggregate, &no_filter), 0);
	CHECK_EQ(s.threads[0].unsampled_cpu_ns, 50 * MS);
	CHECK_EQ(s.processes[0].unsampled_cpu_ns, 0);
	CHECK_EQ(s.all.unsampled_cpu_ns, 5 * MS);
	a = pln_summary_account(&s, c.profile, 0);
	check_sums(&a);
	CHECK_EQ(a.unsampled_cpu_ns, 0);
	CHECK_EQ(a.outside_cpu_ns, 6 * MS);
	a = pln_summary_account(&s, c.profile, 1);
	check_sums(&a);
	CHECK_EQ(a.process_cpu_ns, 21 * MS);
	CHECK_EQ(a.unsampled_cpu_ns, 5 * MS);
	CHECK_EQ(a.outside_cpu_ns, 0);
	a = pln_summary_account(&s, c.profile, PLN_NONE);
	check_sums(&a);
	CHECK_EQ(a.process_cpu_ns, 101 * MS);
	CHECK_EQ(a.unsampled_wall_ns, 5 * MS);
	pln_summary_free(&s);
	done(&c);
}

/* A process that is left out has no time of its own here: all of its clock would be outside. */
static void test_accounting_is_of_the_processes_that_are_kept(void)
{
	const struct pln_filter one = { .processes = "200" };
	struct pln_accounting a;
	struct pln_summary s;
	struct computed c;

	compute(&c, PLN_VIEW_CPU, &one);
	CHECK_EQ(pln_summary_compute(&s, &c.aggregate, &one), 0);
	a = pln_summary_account(&s, c.profile, PLN_NONE);
	check_sums(&a);
	CHECK_EQ(a.process_cpu_ns, c.profile->processes[1].process_cpu_ns);
	CHECK_EQ(a.sampled_cpu_ns, 15 * MS);
	pln_summary_free(&s);
	done(&c);
}

/* A sample stands for a whole period, so the sums may differ the other way, too. */
static void test_samples_may_stand_for_too_much(void)
{
	struct pln_accounting a;
	struct pln_summary s;
	struct computed c;

	compute(&c, PLN_VIEW_CPU, &no_filter);
	c.profile->threads[2].cpu_ns = 12 * MS; /* samples stand for 15 ms */
	CHECK_EQ(pln_summary_compute(&s, &c.aggregate, &no_filter), 0);
	a = pln_summary_account(&s, c.profile, 1);
	check_sums(&a);
	CHECK(a.unsampled_cpu_ns == -3 * (int64_t)MS);
	CHECK_EQ(s.processes[1].unsampled_cpu_ns, 0);
	pln_summary_free(&s);
	done(&c);
}

int main(void)
{
	test_cpu_view();
	test_other_views();
	test_sums_agree();
	test_lines_and_libraries();
	test_callers();
	test_filters();
	test_words_for_threads();
	test_calltree_merges();
	test_waits();
	test_summary();
	test_waiting_for_a_cpu_is_not_holding_the_gil();
	test_threads_without_python_do_not_hold_the_gil();
	test_a_gil_is_held_all_the_time_at_most();
	test_each_process_was_asked_for_its_own_rate();
	test_rows_of_burst_mode_are_no_samples();
	test_accounting_adds_up();
	test_accounting_is_of_the_processes_that_are_kept();
	test_samples_may_stand_for_too_much();
	return check_result();
}
