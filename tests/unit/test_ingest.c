/* SPDX-License-Identifier: MIT */
/*
 * test_ingest.c - what targets say becomes a profile: order of lanes, modules that
 * come and go, threads, ends and exit statuses, the end of the recording.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <pillion/atomic.h>

#include "check.h"
#include "fake_target.h"
#include "ingest/quote.h"
#include "session_fixture.h"

#define LANE_DATA 65536u

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Description in one lane, use in another; Python frames stand in for native ones, outer first. */
static void test_stacks_and_lines(void)
{
	const uint64_t pc[] = { 0x1010, 0x1020, 0x1030, 0x2040 };
	const uint64_t codes[] = { 71, 72 };
	const uint32_t instr[] = { 4, PILLION_NO_INSTR };
	struct fake_sample s = { .serial = 2,
				 .cpu_ns = 5,
				 .hash = 9,
				 .pc = pc,
				 .native_count = 4,
				 .codes = codes,
				 .instr = instr,
				 .python_count = 2 };
	struct pln_sample_row *rows;
	struct fixture fx;
	struct fake f;
	size_t count;

	fixture_open(&fx, 0);
	fixture_join(&fx, &f, 3, LANE_DATA);
	CHECK(fake_module(&f, 0x1000, 0x2000, "/lib/libone.so", 1));
	CHECK(fake_thread(&f, 1, PILLION_RECORD_THREAD, "worker", 0));
	CHECK(fake_code(&f, 2, 71, "inner", "/src/a.py", 10));
	CHECK(fake_code(&f, 2, 72, "outer", "/src/a.py", 20));
	CHECK(fake_sample(&f, fake_lane(&f, 1), &s));
	s.flags = PILLION_SAMPLE_SAME_STACK;
	s.native_count = s.python_count = 0;
	CHECK(fake_sample(&f, fake_lane(&f, 1), &s));
	/* The same thread in the sampling thread's lane has another "stack before". */
	CHECK(fake_sample(&f, fake_sampler(&f), &s));
	fixture_finish(&fx);

	rows = fixture_rows(&fx, &count);
	if (CHECK_EQ(count, 3)) {
		uint32_t full = rows[0].stack == PLN_NONE;

		CHECK_STR(fixture_stack(&fx, rows[full].stack),
			  "0x2040;libone.so+0x30;outer:20;inner:12");
		CHECK_EQ(rows[full].stack, rows[full + 1].stack);
		CHECK_EQ(rows[full].cpu_ns, 5);
		CHECK(rows[full ? 0 : 2].flags & PILLION_SAMPLE_NO_STACK);
		CHECK_STR(fx.profile->threads[rows[full].thread].name, "worker");
	}
	CHECK_EQ(fx.profile->processes[0].lost_records, 1);
	CHECK_STR(fx.profile->processes[0].command, "fake-python 'it'\\''s.py'");
	CHECK(fx.profile->recording.complete);
	CHECK_EQ(fx.profile->recording.exit_status, 0);
	free(rows);
	fake_destroy(&f);
	fixture_close(&fx);
}

static void test_unknown_code_keeps_its_place(void)
{
	const uint64_t pc[] = { 0x1010, 0x1020 };
	const uint64_t codes[] = { 5 };
	struct fake_sample s = { .serial = 1,
				 .hash = 1,
				 .pc = pc,
				 .native_count = 2,
				 .codes = codes,
				 .python_count = 1 };
	struct pln_sample_row *rows;
	struct fixture fx;
	struct fake f;
	size_t count;

	fixture_open(&fx, 0);
	fixture_join(&fx, &f, 1, LANE_DATA);
	CHECK(fake_module(&f, 0x1000, 0x2000, "/one.so", 1));
	CHECK(fake_sample(&f, fake_lane(&f, 0), &s));
	CHECK(fixture_serve(&fx, 120, NULL, NULL));
	/* Known later: samples from then on have the name. */
	CHECK(fake_code(&f, 0, 5, "late", "/src/late.py", 1));
	s.hash = 2;
	CHECK(fake_sample(&f, fake_lane(&f, 0), &s));
	s.codes = &(const uint64_t){ 6 };
	s.hash = 3;
	CHECK(fake_sample(&f, fake_lane(&f, 0), &s));
	fixture_finish(&fx);

	rows = fixture_rows(&fx, &count);
	if (CHECK_EQ(count, 3)) {
		CHECK_STR(fixture_stack(&fx, rows[0].stack), "one.so+0x20;<unknown>:0");
		CHECK_STR(fixture_stack(&fx, rows[1].stack), "one.so+0x20;late:1");
		CHECK_STR(fixture_stack(&fx, rows[2].stack), "one.so+0x20;<unknown>:0");
	}
	if (CHECK_EQ(fx.profile->note_count, 1))
		CHECK(strstr(fx.profile->notes[0].text, "1 code objects were never described"));
	free(rows);
	fake_destroy(&f);
	fixture_close(&fx);
}

/* Two files at one address, one after the other, reported late: the time decides. */
static void test_modules_come_and_go(void)
{
	static const struct {
		uint64_t time_ns;
		const char *stack;
	} expected[] = {
		{ 50, "one.so+0x10" }, /* older than the first report of it */
		{ 150, "one.so+0x10" },
		{ 250, "two.so+0x10" }, /* between: the next that was seen there */
		{ 350, "two.so+0x10" },
		{ 450, "0x1010" },
	};
	const uint64_t pc[] = { 0x1010 };
	struct fake_sample s = { .serial = 1, .pc = pc, .native_count = 1 };
	struct pln_sample_row *rows;
	struct fixture fx;
	struct fake f;
	size_t count;

	fixture_open(&fx, 0);
	fixture_join(&fx, &f, 1, LANE_DATA);
	CHECK(fake_module(&f, 0x1000, 0x2000, "/one.so", 100));
	CHECK(fake_module_gone(&f, 0x1000, 0x2000, 200));
	CHECK(fake_module(&f, 0x1000, 0x3000, "/two.so", 300));
	CHECK(fake_module_gone(&f, 0x1000, 0x3000, 400));
	for (size_t i = 0; i < 5; i++) {
		s.time_ns = expected[i].time_ns;
		s.hash = i;
		CHECK(fake_sample(&f, fake_lane(&f, 0), &s));
	}
	fixture_finish(&fx);
	rows = fixture_rows(&fx, &count);
	CHECK_EQ(count, 5);
	for (size_t i = 0; i < count; i++)
		CHECK_STR(fixture_stack(&fx, rows[i].stack), expected[i].stack);
	free(rows);
	fake_destroy(&f);
	fixture_close(&fx);
}

/* What the collector takes for the start of the target's newest tick. */
static void tick(const struct fake *f, uint64_t time_ns)
{
	pln_store_relaxed(&f->seg->heartbeat_ns, time_ns);
}

static uint64_t sample_count(struct pln_session *session)
{
	struct pln_session_summary sum;

	pln_session_summarize(session, &sum);
	return sum.samples;
}

static bool has_one(void *arg)
{
	return sample_count(arg) >= 1;
}

static bool has_three(void *arg)
{
	return sample_count(arg) >= 3;
}

static const uint64_t in_one[] = { 0x1010 }, in_none[] = { 0x5010 };

/*
 * Samples in a library that has just been loaded: they wait, those behind them too, until the
 * target has had a look at the loader's list, whether or not it found anything. All of it is a
 * little ahead of the clock, so that no pause of this machine makes a sample too old to wait.
 */
static void test_samples_wait_for_their_modules(void)
{
	struct fake_sample s = { .serial = 1, .native_count = 1 };
	struct pln_sample_row *rows;
	struct fixture fx;
	struct fake f;
	size_t count;

	fixture_open(&fx, 0);
	fixture_join(&fx, &f, 1, LANE_DATA);
	s.time_ns = now_ns() + 900000000u;
	tick(&f, s.time_ns - 1);
	for (s.hash = 1; s.hash <= 3; s.hash++) {
		s.pc = s.hash == 2 ? in_none : in_one;
		CHECK(fake_sample(&f, fake_lane(&f, 0), &s));
	}
	CHECK(fixture_serve(&fx, 120, NULL, NULL));
	CHECK_EQ(sample_count(fx.session), 0);
	CHECK(fake_module(&f, 0x1000, 0x2000, "/one.so", s.time_ns));
	tick(&f, s.time_ns + 2 * PILLION_MODULES_WITHIN_NS);
	CHECK(fixture_serve(&fx, 10000, has_one, fx.session));
	CHECK_EQ(sample_count(fx.session), 1);
	tick(&f, s.time_ns + 4 * PILLION_MODULES_WITHIN_NS);
	CHECK(fixture_serve(&fx, 10000, has_three, fx.session));
	fixture_finish(&fx);
	rows = fixture_rows(&fx, &count);
	if (CHECK_EQ(count, 3)) {
		CHECK_STR(fixture_stack(&fx, rows[0].stack), "one.so+0x10");
		CHECK_STR(fixture_stack(&fx, rows[1].stack), "0x5010");
		CHECK_STR(fixture_stack(&fx, rows[2].stack), "one.so+0x10");
	}
	free(rows);
	fake_destroy(&f);
	fixture_close(&fx);
}

/* Nor do they wait for a target that has stopped ticking, or for one that has ended. */
static void test_samples_wait_for_some_time_only(void)
{
	struct fake_sample s = { .serial = 1, .hash = 1, .pc = in_none, .native_count = 1 };
	struct pln_sample_row *rows;
	struct fixture fx;
	struct fake f;
	size_t count;

	fixture_open(&fx, 0);
	fixture_join(&fx, &f, 1, LANE_DATA);
	s.time_ns = now_ns();
	CHECK(fake_sample(&f, fake_lane(&f, 0), &s));
	CHECK(fixture_serve(&fx, 10000, has_one, fx.session));
	s.hash = 2;
	s.time_ns = now_ns();
	CHECK(fake_sample(&f, fake_lane(&f, 0), &s));
	fixture_finish(&fx);
	rows = fixture_rows(&fx, &count);
	CHECK_EQ(count, 2);
	free(rows);
	fake_destroy(&f);
	fixture_close(&fx);
}

/* Frames of libpillion.so are not the program's. */
static void test_own_frames_are_left_out(void)
{
	const uint64_t pc[] = { 0x1010, 0x2010, 0x3010 };
	struct fake_sample s = { .serial = 1, .hash = 1, .pc = pc, .native_count = 3 };
	struct pln_sample_row *rows;
	struct fixture fx;
	struct fake f;
	size_t count;

	fixture_open(&fx, 0);
	fixture_join(&fx, &f, 1, LANE_DATA);
	CHECK(fake_module(&f, 0x1000, 0x2000, "/a.so", 1));
	CHECK(fake_module(&f, 0x2000, 0x3000, "/opt/lib/pillion/libpillion.so", 1));
	CHECK(fake_module(&f, 0x3000, 0x4000, "/libc.so", 1));
	CHECK(fake_sample(&f, fake_lane(&f, 0), &s));
	fixture_finish(&fx);
	rows = fixture_rows(&fx, &count);
	if (CHECK_EQ(count, 1))
		CHECK_STR(fixture_stack(&fx, rows[0].stack), "libc.so+0x10;a.so+0x10");
	free(rows);
	fake_destroy(&f);
	fixture_close(&fx);
}

/* More than a lane holds, in order, over many wraps, with a reader that is slower. */
static void test_nothing_is_lost_when_the_lane_wraps(void)
{
	enum { SAMPLES = 20000 };
	const uint64_t pc[] = { 0x10, 0x20, 0x30, 0x40, 0x50 };
	struct fake_sample s = { .serial = 1, .pc = pc };
	struct pln_sample_row *rows;
	struct fixture fx;
	struct fake f;
	size_t count, wrong = 0;

	fixture_open(&fx, 0);
	fixture_join(&fx, &f, 1, LANE_DATA);
	for (uint64_t i = 1; i <= SAMPLES; i++) {
		s.time_ns = s.hash = i;
		s.native_count = i % 6;
		while (!fake_sample(&f, fake_lane(&f, 0), &s))
			fixture_serve(&fx, 10, NULL, NULL);
	}
	fixture_finish(&fx);
	rows = fixture_rows(&fx, &count);
	CHECK_EQ(count, SAMPLES);
	for (size_t i = 0; i < count; i++)
		wrong += rows[i].time_ns != i + 1;
	CHECK_EQ(wrong, 0);
	CHECK_EQ(fx.profile->processes[0].lost_records, 0);
	free(rows);
	fake_destroy(&f);
	fixture_close(&fx);
}

/* Clocks come from the slot until the thread ends, totals from the header. */
static void test_totals_and_clocks(void)
{
	struct fake_sample s = { .serial = 1, .cpu_ns = 30 };
	struct fixture fx;
	struct fake f;

	fixture_open(&fx, 0);
	fixture_join(&fx, &f, 2, LANE_DATA);
	CHECK(fake_thread(&f, 0, PILLION_RECORD_THREAD, "main", 0));
	CHECK(fake_thread(&f, 1, PILLION_RECORD_THREAD, "gone", 0));
	CHECK(fake_sample(&f, fake_lane(&f, 0), &s));
	CHECK(fake_thread(&f, 1, PILLION_RECORD_THREAD_EXIT, "gone", 77));
	/* Later than the records, whatever a crowded machine made of the time until here. */
	pln_store_relaxed(&fake_slot(&f, 0)->seen_ns, now_ns());
	pln_store_relaxed(&fake_slot(&f, 0)->cpu_ns, 100);
	pln_store_relaxed(&fake_slot(&f, 1)->seen_ns, f.seg->start_mono_ns + 1000000);
	pln_store_relaxed(&fake_slot(&f, 1)->cpu_ns, 5);
	pln_store_relaxed(&f.seg->drops[PILLION_DROP_LANE_FULL], 3);
	pln_store_relaxed(&f.seg->handler_calls, 11);
	CHECK(fake_note(&f, "a note of the target"));
	fixture_finish(&fx);

	CHECK_EQ(fx.profile->thread_count, 2);
	CHECK_EQ(fx.profile->threads[0].cpu_ns, 100);
	CHECK_EQ(fx.profile->threads[0].unsampled_cpu_ns, 70);
	CHECK(!fx.profile->threads[0].exited && fx.profile->threads[0].is_main);
	CHECK_EQ(fx.profile->threads[1].cpu_ns, 77);
	CHECK(fx.profile->threads[1].exited);
	CHECK_EQ(fx.profile->processes[0].drops[PILLION_DROP_LANE_FULL], 3);
	CHECK_EQ(fx.profile->processes[0].handler_calls, 11);
	CHECK_EQ(fx.profile->processes[0].pid, getpid());
	CHECK_EQ(fx.profile->processes[0].end_ns, 0);
	if (CHECK_EQ(fx.profile->note_count, 1))
		CHECK_STR(fx.profile->notes[0].text, "a note of the target");
	/* Told to stop when the recording ended, and beaten to until then. */
	CHECK_EQ(pln_load_relaxed(&f.seg->command), PILLION_COMMAND_STOP);
	CHECK(pln_load_relaxed(&f.seg->collector_ns) != 0);
	fake_destroy(&f);
	fixture_close(&fx);
}

/* It began after the sampling thread's last round, and ended before the next one. */
static void test_a_thread_that_was_never_announced(void)
{
	struct pln_slot *slot;
	struct fixture fx;
	struct fake f;

	fixture_open(&fx, 0);
	fixture_join(&fx, &f, 3, LANE_DATA);
	CHECK(fake_thread(&f, 0, PILLION_RECORD_THREAD, "main", 0));
	slot = fake_slot(&f, 1);
	pln_store_relaxed(&slot->tid, 4321);
	pln_store_relaxed(&slot->start_ns, f.seg->start_mono_ns + 1000);
	pln_store_relaxed(&slot->seen_ns, f.seg->start_mono_ns + 9000);
	pln_store_relaxed(&slot->cpu_base_ns, 200);
	pln_store_relaxed(&slot->cpu_ns, 3200);
	pln_store_relaxed(&slot->heap[PILLION_HEAP_MALLOC].alloc_calls, 17);
	pln_store_relaxed(&slot->state, PILLION_SLOT_EXITED);
	pln_store_relaxed(&fake_slot(&f, 2)->state, PILLION_SLOT_FREE);
	fixture_finish(&fx);

	if (CHECK_EQ(fx.profile->thread_count, 2)) {
		const struct pln_thread *thread = &fx.profile->threads[1];

		CHECK_EQ(thread->tid, 4321);
		CHECK(!thread->is_main);
		CHECK_EQ(thread->cpu_ns, 3000);
		CHECK_EQ(thread->unsampled_cpu_ns, 3000);
		CHECK_EQ(thread->unsampled_wall_ns, 5000);
		CHECK_EQ(thread->heap[PILLION_HEAP_MALLOC].alloc_calls, 17);
	}
	fake_destroy(&f);
	fixture_close(&fx);
}

/* The process's clock is read seldom, its threads' at their end: it is what they say at least. */
static void test_a_process_has_used_what_its_threads_have(void)
{
	struct fixture fx;
	struct fake f;

	fixture_open(&fx, 0);
	fixture_join(&fx, &f, 2, LANE_DATA);
	CHECK(fake_thread(&f, 0, PILLION_RECORD_THREAD, "main", 0));
	CHECK(fake_thread(&f, 1, PILLION_RECORD_THREAD, "gone", 0));
	CHECK(fake_thread(&f, 1, PILLION_RECORD_THREAD_EXIT, "gone", 77));
	pln_store_relaxed(&fake_slot(&f, 0)->seen_ns, now_ns());
	pln_store_relaxed(&fake_slot(&f, 0)->cpu_ns, 100);
	pln_store_relaxed(&fake_slot(&f, 0)->dormant_cpu_ns, 40);
	pln_store_relaxed(&f.seg->sampler_cpu_ns, 8);
	pln_store_relaxed(&f.seg->process_cpu_ns, 50);
	fixture_finish(&fx);

	CHECK_EQ(fx.profile->processes[0].process_cpu_ns, 185);
	fake_destroy(&f);
	fixture_close(&fx);
}

/* ---------------------------------------------------------------------- ends */

static bool all_ended(void *arg)
{
	return fixture_has_joined(arg) && !pln_session_live(arg);
}

/* Says hello, leaves one sample, ends as told. Not the caller's child when `orphan`. */
static void run_child(const struct fixture *fx, int code, int signo)
{
	struct fake_sample s = { .serial = 1, .time_ns = 1234 };
	struct pln_welcome welcome;
	struct fake f;
	int sock;

	if (fake_create(&f, 1, LANE_DATA, true))
		_exit(99);
	sock = fake_hello(&f, fx->address, fx->token, PILLION_WIRE_VERSION);
	if (sock < 0 || fake_welcome(sock, &welcome))
		_exit(98);
	fake_sample(&f, fake_lane(&f, 0), &s);
	if (signo)
		raise(signo);
	_exit(code);
}

static void check_end(int code, int signo, bool orphan, int expected)
{
	struct fixture fx;
	pid_t pid;

	fixture_open(&fx, 0);
	pid = fork();
	if (pid == 0) {
		if (orphan && fork())
			_exit(wait(NULL) < 0);
		run_child(&fx, code, signo);
	}
	CHECK(fixture_serve(&fx, 5000, all_ended, fx.session));
	waitpid(pid, NULL, 0);
	fixture_finish(&fx);
	if (CHECK(fx.profile && fx.profile->process_count == 1)) {
		CHECK_EQ(fx.profile->sample_count, 1);
		CHECK(fx.profile->processes[0].end_ns != 0);
		if (fx.profile->processes[0].exit_status != expected)
			CHECK(orphan && fx.profile->processes[0].exit_status == -1);
	}
	fixture_close(&fx);
}

static void test_ends(void)
{
	check_end(0, 0, false, 0);
	check_end(7, 0, false, W_EXITCODE(7, 0));
	check_end(0, SIGKILL, false, SIGKILL);
	/* Kernels before 6.15 do not tell about other people's children. */
	check_end(3, 0, true, W_EXITCODE(3, 0));
	check_end(0, SIGTERM, true, SIGTERM);
}

static bool is_over(void *arg)
{
	return ((struct fixture *)arg)->over_events > 0;
}

static void test_duration(void)
{
	struct pln_welcome welcome;
	struct fixture fx;
	struct fake f;
	uint64_t over_ns;
	int sock;

	fixture_open(&fx, 100000000);
	fixture_join(&fx, &f, 1, LANE_DATA);
	CHECK_EQ(pln_load_relaxed(&f.seg->command), PILLION_COMMAND_RUN);
	CHECK(fixture_serve(&fx, 2000, is_over, &fx));
	over_ns = now_ns();
	CHECK_EQ(pln_load_relaxed(&f.seg->command), PILLION_COMMAND_STOP);
	sock = fake_hello(&f, fx.address, fx.token, PILLION_WIRE_VERSION);
	fixture_serve(&fx, 50, NULL, NULL);
	CHECK_EQ(fake_welcome(sock, &welcome), -ECANCELED);
	close(sock);
	fixture_finish(&fx);
	CHECK_EQ(fx.profile->process_count, 1);
	CHECK(fx.profile->recording.complete);
	/* The time that the target was given to go quiet is no part of the recording. */
	CHECK(fx.profile->recording.end_ns < over_ns - 150000000);
	fake_destroy(&f);
	fixture_close(&fx);
}

static bool is_idle(void *arg)
{
	return ((struct fixture *)arg)->idle_events > 0;
}

static void test_idle(void)
{
	struct fixture fx;
	pid_t pid;

	fixture_open(&fx, 0);
	pid = fork();
	if (pid == 0)
		run_child(&fx, 0, 0);
	CHECK(fixture_serve(&fx, 3000, is_idle, &fx));
	CHECK_EQ(pln_session_live(fx.session), 0);
	waitpid(pid, NULL, 0);
	fixture_finish(&fx);
	/* The recording ended with its process, not when the collector stopped waiting for another.
	 */
	CHECK_EQ(fx.profile->recording.end_ns, fx.profile->processes[0].end_ns);
	fixture_close(&fx);
}

/* The definitions come with the samples: a profile can be read while it is written. */
static bool file_has_samples(void *arg)
{
	struct fixture *fx = arg;
	struct pln_profile *p;
	bool has;

	if (pln_profile_open(&p, fx->path, true))
		return false;
	has = p->sample_count > 0 && p->process_count == 1 && !p->recording.complete;
	pln_profile_close(p);
	return has;
}

static void test_readable_while_written(void)
{
	struct fake_sample s = { .serial = 1 };
	struct fixture fx;
	struct fake f;

	fixture_open(&fx, 0);
	fixture_join(&fx, &f, 1, LANE_DATA);
	CHECK(fake_sample(&f, fake_lane(&f, 0), &s));
	CHECK(fixture_serve(&fx, 3000, file_has_samples, &fx));
	fixture_finish(&fx);
	fake_destroy(&f);
	fixture_close(&fx);
}

static void test_quote(void)
{
	const char *const words[] = { "python", "a b", "", "it's", "-x=1", "$HOME" };
	char *text = pln_quote_words(words, 6);

	CHECK_STR(text, "python 'a b' '' 'it'\\''s' -x=1 '$HOME'");
	free(text);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_stacks_and_lines();
	test_unknown_code_keeps_its_place();
	test_modules_come_and_go();
	test_samples_wait_for_their_modules();
	test_samples_wait_for_some_time_only();
	test_own_frames_are_left_out();
	test_nothing_is_lost_when_the_lane_wraps();
	test_totals_and_clocks();
	test_a_thread_that_was_never_announced();
	test_a_process_has_used_what_its_threads_have();
	test_ends();
	test_duration();
	test_idle();
	test_readable_while_written();
	test_quote();
	return check_result();
}
