/* SPDX-License-Identifier: MIT */
/*
 * test_ingest_hellos.c - who is let in, who is refused and hears why, who says hello twice,
 * together with many others, or too late.
 */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <pillion/atomic.h>

#include "check.h"
#include "fake_target.h"
#include "session_fixture.h"

#define LANE_DATA 65536u
#define FEW 64 /* descriptors */
#define CROWD 200u /* less than the queue of the socket holds */

static void check_refused(const struct fake *f, const uint8_t *token, uint16_t version, int status,
			  const char *word)
{
	struct pln_welcome welcome = { 0 };
	struct fixture fx;
	int sock;

	fixture_open(&fx, 0);
	sock = fake_hello(f, fx.address, token, version);
	CHECK(sock >= 0);
	CHECK(fixture_serve(&fx, 2000, fixture_was_refused, fx.session));
	CHECK_EQ(fake_welcome(sock, &welcome), status);
	if (!CHECK(strstr(welcome.message, word) != NULL))
		fprintf(stderr, "\t'%s' is not in '%s'\n", word, welcome.message);
	fixture_finish(&fx);
	CHECK(!fx.profile);
	close(sock);
	fixture_close(&fx);
}

static void test_refusals(void)
{
	static const uint8_t wrong[PILLION_TOKEN_SIZE] = { 1 };
	struct fake sealed, loose;

	CHECK(fake_create(&sealed, 1, LANE_DATA, true) == 0);
	CHECK(fake_create(&loose, 1, LANE_DATA, false) == 0);
	check_refused(&sealed, wrong, PILLION_WIRE_VERSION, -EACCES, "not invited");
	check_refused(&sealed, wrong, PILLION_WIRE_VERSION + 1, -EPROTONOSUPPORT,
		      "speaks protocol");
	fake_destroy(&sealed);
	fake_destroy(&loose);
}

/* These get past the token. */
static void test_refused_memory(void)
{
	struct pln_welcome welcome = { 0 };
	struct fixture fx;
	struct fake loose;
	int sock;

	CHECK(fake_create(&loose, 1, LANE_DATA, false) == 0);
	fixture_open(&fx, 0);
	sock = fake_hello(&loose, fx.address, fx.token, PILLION_WIRE_VERSION);
	CHECK(fixture_serve(&fx, 2000, fixture_was_refused, fx.session));
	CHECK_EQ(fake_welcome(sock, &welcome), -EPERM);
	CHECK(strstr(welcome.message, "sealed") != NULL);
	close(sock);
	sock = fake_hello(NULL, fx.address, fx.token, PILLION_WIRE_VERSION);
	fixture_serve(&fx, 100, NULL, NULL);
	CHECK_EQ(fake_welcome(sock, &welcome), -EPROTO);
	close(sock);
	fake_destroy(&loose);
	fixture_close(&fx);
}

/* A refusal while a recording is on is told in the profile, and does it no harm. */
static void test_refusal_is_noted(void)
{
	struct fixture fx;
	struct fake f;
	int sock;

	fixture_open(&fx, 0);
	fixture_join(&fx, &f, 1, LANE_DATA);
	sock = fake_hello(&f, fx.address, fx.token, 99);
	CHECK(fixture_serve(&fx, 2000, fixture_was_refused, fx.session));
	close(sock);
	fixture_finish(&fx);
	if (CHECK_EQ(fx.profile->note_count, 1))
		CHECK(strstr(fx.profile->notes[0].text, "protocol 99") != NULL);
	fake_destroy(&f);
	fixture_close(&fx);
}

static bool three_were_refused(void *arg)
{
	struct pln_session_summary sum;

	pln_session_summarize(arg, &sum);
	return sum.refused_count == 3;
}

/* The reason once, and at the end how many they were. */
static void test_many_refusals_are_counted(void)
{
	struct fixture fx;
	struct fake f;

	fixture_open(&fx, 0);
	fixture_join(&fx, &f, 1, LANE_DATA);
	for (unsigned i = 0; i < 3; i++)
		close(fake_hello(&f, fx.address, fx.token, 99));
	CHECK(fixture_serve(&fx, 60000, three_were_refused, fx.session));
	fixture_finish(&fx);
	if (CHECK_EQ(fx.profile->note_count, 2))
		CHECK(strstr(fx.profile->notes[1].text, "3 processes were refused") != NULL);
	fake_destroy(&f);
	fixture_close(&fx);
}

/* A connection takes the last descriptor: there is none for the memory that comes with it. */
static void test_a_refusal_for_want_of_descriptors_says_so(void)
{
	struct pln_session_summary sum;
	struct rlimit before, few;
	struct fixture fx;
	struct fake f;
	int fds[FEW], count = 0;

	fixture_open(&fx, 0);
	fixture_join(&fx, &f, 1, LANE_DATA);
	close(fake_hello(&f, fx.address, fx.token, PILLION_WIRE_VERSION));
	CHECK(!getrlimit(RLIMIT_NOFILE, &before));
	few = (struct rlimit){ FEW, before.rlim_max };
	CHECK(!setrlimit(RLIMIT_NOFILE, &few));
	while (count < FEW && (fds[count] = dup(fx.listen_fd)) >= 0)
		count++;
	if (CHECK(count > 0))
		close(fds[--count]);
	CHECK(fixture_serve(&fx, 60000, fixture_was_refused, fx.session));
	CHECK(!setrlimit(RLIMIT_NOFILE, &before));
	while (count)
		close(fds[--count]);
	pln_session_summarize(fx.session, &sum);
	CHECK(strstr(sum.refused, "ulimit -n") != NULL);
	fixture_finish(&fx);
	fake_destroy(&f);
	fixture_close(&fx);
}

/* exec: the same process says hello again. Returns the socket of the second program. */
static int run_two_programs(struct fixture *fx, struct fake *second)
{
	int sock = fake_hello(second, fx->address, fx->token, PILLION_WIRE_VERSION);

	fixture_serve(fx, 100, NULL, NULL);
	CHECK_EQ(pln_session_live(fx->session), 1);
	fixture_finish(fx);
	CHECK_EQ(fx->profile->process_count, 2);
	return sock;
}

static void end_two_programs(struct fixture *fx, struct fake *first, struct fake *second, int sock)
{
	close(sock);
	fake_destroy(first);
	fake_destroy(second);
	fixture_close(fx);
}

static void test_a_second_hello_of_a_process_ends_the_first(void)
{
	struct fixture fx;
	struct fake first, second;
	int sock;

	fixture_open(&fx, 0);
	fixture_join(&fx, &first, 1, LANE_DATA);
	CHECK(fake_create(&second, 1, LANE_DATA, true) == 0);
	sock = run_two_programs(&fx, &second);
	CHECK(fx.profile->processes[0].end_ns != 0);
	CHECK_EQ(fx.profile->processes[1].end_ns, 0);
	end_two_programs(&fx, &first, &second, sock);
}

/* exec: the clock of the process goes on, and has the first program's time in it. */
static void test_cpu_time_before_an_exec_is_told_once(void)
{
	struct fixture fx;
	struct fake first, second;
	int sock;

	fixture_open(&fx, 0);
	fixture_join(&fx, &first, 1, LANE_DATA);
	pln_store_relaxed(&first.seg->process_cpu_ns, 500);
	CHECK(fake_create(&second, 1, LANE_DATA, true) == 0);
	pln_store_relaxed(&second.seg->process_cpu_ns, 700);
	sock = run_two_programs(&fx, &second);
	CHECK_EQ(fx.profile->processes[0].process_cpu_ns, 500);
	CHECK_EQ(fx.profile->processes[1].process_cpu_ns, 200);
	end_two_programs(&fx, &first, &second, sock);
}

/* A hello that still lies in the socket when the command has ended counts. */
static void test_a_hello_in_the_queue_is_not_lost(void)
{
	struct fake_sample s = { .serial = 1 };
	struct fixture fx;
	struct fake f;
	int sock;

	fixture_open(&fx, 0);
	CHECK(fake_create(&f, 1, LANE_DATA, true) == 0);
	CHECK(fake_sample(&f, fake_lane(&f, 0), &s));
	sock = fake_hello(&f, fx.address, fx.token, PILLION_WIRE_VERSION);
	close(sock);
	fixture_finish(&fx);
	CHECK(fx.profile && fx.profile->sample_count == 1);
	fake_destroy(&f);
	fixture_close(&fx);
}

/* While we were stopped, or busy, more came than are waited for at a time. */
static void test_hellos_of_a_crowd_are_not_lost(void)
{
	struct fixture fx;
	struct fake f;
	int sock;

	fixture_open(&fx, 0);
	CHECK(fake_create(&f, 1, LANE_DATA, true) == 0);
	for (unsigned i = 0; i < CROWD; i++) {
		sock = fake_hello(&f, fx.address, fx.token, PILLION_WIRE_VERSION);
		CHECK(sock >= 0);
		close(sock);
	}
	fixture_finish(&fx);
	CHECK(fx.profile && fx.profile->process_count == CROWD);
	fake_destroy(&f);
	fixture_close(&fx);
}

/* It would take silence for an answer; told by the kernel, it may ask again. */
static void test_a_hello_that_comes_too_late_is_refused(void)
{
	struct fixture fx;
	struct fake f;

	fixture_open(&fx, 0);
	fixture_join(&fx, &f, 1, LANE_DATA);
	pln_session_close_doors(fx.session);
	CHECK_EQ(fake_hello(&f, fx.address, fx.token, PILLION_WIRE_VERSION), -ECONNREFUSED);
	fixture_finish(&fx);
	CHECK_EQ(fake_hello(&f, fx.address, fx.token, PILLION_WIRE_VERSION), -ECONNREFUSED);
	CHECK(fx.profile && fx.profile->process_count == 1);
	fake_destroy(&f);
	fixture_close(&fx);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_refusals();
	test_refused_memory();
	test_refusal_is_noted();
	test_many_refusals_are_counted();
	test_a_refusal_for_want_of_descriptors_says_so();
	test_a_second_hello_of_a_process_ends_the_first();
	test_cpu_time_before_an_exec_is_told_once();
	test_a_hello_in_the_queue_is_not_lost();
	test_hellos_of_a_crowd_are_not_lost();
	test_a_hello_that_comes_too_late_is_refused();
	return check_result();
}
