/* SPDX-License-Identifier: MIT */
/*
 * test_ingest_life.c - processes that come and go in a recording that goes on.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pillion/atomic.h>

#include "check.h"
#include "cli/socket.h"
#include "fake_target.h"
#include "ingest/session_i.h"
#include "session_fixture.h"

#define LANE_DATA 65536u
#define PATIENCE_MS 5000
#define CROWD 5u
#define MODULES 100000u /* one each millisecond; more than are known at a time */
#define MS 1000000ull

static struct fixture fx;
static size_t wanted;

static bool are_there(void *arg)
{
	const struct pln_session *s = arg;

	return s->file.target_count >= wanted;
}

/* This process: what it was before has ended. The answer is not waited for. */
static void hello(const struct fake *f)
{
	int sock = fake_hello(f, fx.address, fx.token, PILLION_WIRE_VERSION);

	CHECK(sock >= 0);
	close(sock);
	wanted++;
}

static void join(const struct fake *f)
{
	hello(f);
	CHECK(fixture_serve(&fx, PATIENCE_MS, are_there, fx.session));
}

static void open_fixture(struct fake *f)
{
	wanted = 0;
	fixture_open(&fx, 0);
	CHECK(fake_create(f, 1, LANE_DATA, true) == 0);
}

static void close_fixture(struct fake *f)
{
	fake_destroy(f);
	fixture_close(&fx);
}

/* ... and the table of processes has to grow for it. */
static void test_a_process_comes_while_frames_are_named(void)
{
	const uint64_t pc[] = { 0x1010 };
	const struct fake_sample s = { .serial = 1, .hash = 1, .pc = pc, .native_count = 1 };
	struct pln_session *session;
	struct fake f;

	open_fixture(&f);
	join(&f);
	session = fx.session;
	CHECK(fake_module(&f, 0x1000, 0x2000, "/lib/libone.so", 1));
	CHECK(fake_sample(&f, fake_lane(&f, 0), &s));
	while (session->file.target_count < session->file.target_capacity)
		join(&f);
	CHECK(session->file.tables->frame_count > session->file.named_frames);
	hello(&f);
	session->options.dies_with_targets = true;
	session->named_ns = 1; /* so that it is time again */
	session->name_after_ns = 0;
	pln_session_name_in_advance(session);
	CHECK_EQ(session->file.target_count, wanted);
	CHECK_EQ(session->file.named_frames, session->file.tables->frame_count);
	fixture_finish(&fx);
	close_fixture(&f);
}

/* Becomes another program once, as by exec. */
static _Noreturn void be_two_programs(void)
{
	struct pln_welcome welcome;
	struct fake f[2];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned i = 0; i < 2; i++) {
		int sock = -1;

		if (!fake_create(&f[i], 1, LANE_DATA, true))
			sock = fake_hello(&f[i], fx.address, fx.token, PILLION_WIRE_VERSION);
		if (sock < 0 || fake_welcome(sock, &welcome))
			_exit(99);
	}
	for (;;)
		pause();
}

static bool are_left(void *arg)
{
	const struct pln_session *s = arg;

	return s->live_count == wanted;
}

static bool are_reaped(void *arg)
{
	const struct pln_session *s = arg;

	return !s->unreaped_count;
}

static void check_lists(const struct pln_session *s)
{
	for (size_t i = 0; i < s->live_count; i++)
		CHECK(s->live[i]->place == i && !s->live[i]->target->ended);
	for (size_t i = 0; i < s->file.target_count; i++)
		CHECK(s->file.targets[i]->target->ended ==
		      !s->file.targets[i]->target->segment.texts);
}

static void test_processes_end_in_any_order(void)
{
	static const unsigned order[CROWD] = { 2, 4, 0, 1, 3 };
	pid_t pid[CROWD];

	wanted = 0;
	fixture_open(&fx, 0);
	for (unsigned i = 0; i < CROWD; i++) {
		pid[i] = fork();
		if (!pid[i])
			be_two_programs();
		wanted += 2;
		CHECK(fixture_serve(&fx, PATIENCE_MS, are_there, fx.session));
	}
	CHECK_EQ(fx.session->live_count, CROWD);
	CHECK_EQ(fx.session->unreaped_count, CROWD);
	for (wanted = CROWD; wanted--;) {
		check_lists(fx.session);
		kill(pid[order[wanted]], SIGKILL);
		CHECK(fixture_serve(&fx, PATIENCE_MS, are_left, fx.session));
	}
	CHECK(fixture_serve(&fx, PATIENCE_MS, are_reaped, fx.session));
	check_lists(fx.session);
	fixture_finish(&fx);
	CHECK_EQ(fx.profile->process_count, 2 * CROWD);
	for (size_t i = 0; i < fx.profile->process_count; i++) {
		CHECK_EQ(fx.profile->processes[i].exit_status, SIGKILL);
		CHECK_STR(fx.profile->processes[i].executable, "/usr/bin/fake-python");
	}
	for (unsigned i = 0; i < CROWD; i++)
		CHECK(waitpid(pid[i], NULL, 0) == pid[i]);
	fixture_close(&fx);
}

/* ------------------------------------------------------------------- rotation */

#define FILES 3u

/* What happens while a file is opened, which may take long. */
static void (*meanwhile)(void);
static char paths[FILES][32];
static unsigned opened;

static int next_output(char *why, size_t size, void *arg)
{
	(void)why;
	(void)size;
	(void)arg;
	usleep(20000);
	meanwhile();
	strcpy(paths[opened], "/tmp/test_ingest.XXXXXX");
	return mkstemp(paths[opened++]);
}

/* The fixture closes the first one. */
static void output_ended(int fd, void *arg)
{
	if (fd != ((struct fixture *)arg)->output_fd)
		close(fd);
}

static bool has_rotated(void *arg)
{
	const struct pln_session *s = arg;

	return s->rotations == opened && !s->rotate_wanted;
}

static void rotate(void (*and_meanwhile)(void))
{
	fx.session->options.next_output = next_output;
	fx.session->options.output_ended = output_ended;
	fx.session->rotate_wanted = true;
	meanwhile = and_meanwhile;
	CHECK(fixture_serve(&fx, PATIENCE_MS, has_rotated, fx.session));
}

static void close_rotated(void)
{
	close(fx.session->file.output_fd);
	while (opened)
		unlink(paths[--opened]);
	fixture_close(&fx);
}

static struct pln_slot *slot;

static void work(void)
{
	uint64_t now_ns = pln_session_now_ns();

	/* It has not run all the time, and was last seen some time ago. */
	pln_store_relaxed(&slot->cpu_ns, pln_load_relaxed(&slot->cpu_ns) + 5 * MS);
	pln_store_relaxed(&slot->seen_ns, now_ns - 3 * MS);
}

static uint64_t wall_ns(const struct pln_profile *p)
{
	return CHECK_EQ(p->thread_count, 1) ? p->threads[0].seen_ns - p->threads[0].start_ns : 0;
}

/* However long it takes to begin a file. */
static void test_each_moment_of_a_thread_is_in_one_file(void)
{
	struct pln_profile *p;
	uint64_t sum_ns;
	struct fake f;

	open_fixture(&f);
	slot = fake_slot(&f, 0);
	pln_store_relaxed(&slot->start_ns, f.seg->start_mono_ns);
	join(&f);
	CHECK(fake_thread(&f, 0, PILLION_RECORD_THREAD, "main", 0));
	for (unsigned i = 0; i < FILES; i++)
		rotate(work);
	work();
	fixture_finish(&fx);
	sum_ns = wall_ns(fx.profile);
	for (unsigned i = 0; i < FILES; i++) {
		if (!CHECK(!pln_profile_open(&p, paths[i], true)))
			continue;
		sum_ns += wall_ns(p);
		CHECK_EQ(p->threads[0].cpu_ns, 5 * MS);
		pln_profile_close(p);
	}
	CHECK_EQ(sum_ns, pln_load_relaxed(&slot->seen_ns) - f.seg->start_mono_ns);
	fake_destroy(&f);
	close_rotated();
}

static int guest;

static void connect_and_say_nothing(void)
{
	guest = pln_socket_connect(fx.address);
	CHECK(guest >= 0);
}

/* It has its time for a hello, like any other. */
static void test_a_guest_that_comes_while_a_file_ends_stays(void)
{
	struct fake f;
	char byte;

	open_fixture(&f);
	join(&f);
	rotate(connect_and_say_nothing);
	CHECK_EQ(fx.session->guest_count, 1);
	CHECK(recv(guest, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
	close(guest);
	fixture_finish(&fx);
	close_rotated();
	fake_destroy(&f);
}

static pid_t only;

static void end_the_only_one(void)
{
	siginfo_t si;

	kill(only, SIGKILL);
	CHECK(!waitid(P_PID, (id_t)only, &si, WEXITED | WNOWAIT));
}

/* Another process may still come. */
static void test_a_process_that_ends_while_a_file_does_is_waited_after(void)
{
	wanted = 2;
	fixture_open(&fx, 0);
	only = fork();
	if (!only)
		be_two_programs();
	CHECK(fixture_serve(&fx, PATIENCE_MS, are_there, fx.session));
	rotate(end_the_only_one);
	CHECK_EQ(fx.session->live_count, 0);
	CHECK_EQ(fx.idle_events, 0);
	CHECK(waitpid(only, NULL, 0) == only);
	fixture_finish(&fx);
	close_rotated();
}

/* Nor is a sample that was taken a moment ago at a loss. */
static void test_a_program_may_load_and_unload_all_its_life(void)
{
	struct pln_module_list list = { 0 };
	const struct pln_module *found;
	unsigned refused = 0;

	for (uint64_t ms = 1; ms <= MODULES; ms++) {
		struct pln_module m = { .lo = 0x1000,
					.hi = 0x2000,
					.from_ns = ms * MS,
					.unwind = { .path = strdup("/lib/libone.so") } };

		if (pln_modules_check(&list, &m) || pln_modules_add(&list, &m)) {
			refused++;
			free((char *)m.unwind.path);
		}
		pln_modules_remove(&list, m.lo, m.hi, ms * MS + MS / 2);
	}
	CHECK_EQ(refused, 0);
	CHECK(list.gone_count < MODULES / 2);
	found = pln_modules_find(&list, 0x1800, (MODULES - 5000) * MS);
	CHECK(found && found->from_ns == (MODULES - 5000) * MS);
	pln_modules_free(&list);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_a_process_comes_while_frames_are_named();
	test_processes_end_in_any_order();
	test_each_moment_of_a_thread_is_in_one_file();
	test_a_guest_that_comes_while_a_file_ends_stays();
	test_a_process_that_ends_while_a_file_does_is_waited_after();
	test_a_program_may_load_and_unload_all_its_life();
	return check_result();
}
