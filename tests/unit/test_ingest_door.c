/* SPDX-License-Identifier: MIT */
/*
 * test_ingest_door.c - anybody may knock, as often as they like: the recording goes on, and
 * ends when it is to.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "cli/socket.h"
#include "fake_target.h"
#include "ingest/session_i.h"
#include "session_fixture.h"

#define LANE_DATA 65536u
#define PATIENCE_MS 10000
#define PATIENCE_S 60 /* where nothing else would end the test */
#define CROWD 200u /* less than the queue of the socket holds */
#define FLOODERS 3u
#define MS 1000000ull

static struct fixture fx;

static void say_nonsense(size_t size)
{
	int sock = pln_socket_connect(fx.address);

	if (sock < 0)
		return;
	(void)send(sock, "nonsense", size, MSG_NOSIGNAL);
	close(sock);
}

static bool all_were_refused(void *arg)
{
	return ((struct pln_session *)arg)->summary.refused_count == CROWD;
}

/* Others have their turn in between. */
static void test_few_are_let_in_at_a_time(void)
{
	struct pln_session *s;

	fixture_open(&fx, 0);
	s = fx.session;
	for (unsigned i = 0; i < CROWD; i++)
		say_nonsense(1);
	s->listener.ready(&s->listener);
	CHECK(s->guest_count > 0);
	CHECK(s->guest_count + s->summary.refused_count < CROWD / 4);
	CHECK(fixture_serve(&fx, PATIENCE_MS, all_were_refused, s));
	fixture_finish(&fx);
	fixture_close(&fx);
}

static bool is_over(void *arg)
{
	return ((struct fixture *)arg)->over_events > 0;
}

static pid_t start_flood(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0;; i++)
		say_nonsense(1 + i % 2);
}

/* Each connection is served at once, and the next one is there by then. */
static void test_a_flood_does_not_stop_the_clock(void)
{
	pid_t pid[FLOODERS];
	struct fake f;

	fixture_open(&fx, 300 * MS);
	fixture_join(&fx, &f, 1, LANE_DATA);
	for (unsigned i = 0; i < FLOODERS; i++)
		pid[i] = start_flood();
	alarm(PATIENCE_S);
	CHECK(fixture_serve(&fx, PATIENCE_MS, is_over, &fx));
	CHECK(fx.session->summary.refused_count > 0);
	fixture_finish(&fx);
	alarm(0);
	for (unsigned i = 0; i < FLOODERS; i++) {
		kill(pid[i], SIGKILL);
		CHECK(waitpid(pid[i], NULL, 0) == pid[i]);
	}
	CHECK(fx.profile && fx.profile->recording.complete);
	fake_destroy(&f);
	fixture_close(&fx);
}

static unsigned notes_with(const char *word)
{
	unsigned count = 0;

	for (size_t i = 0; i < fx.profile->note_count; i++)
		count += strstr(fx.profile->notes[i].text, word) != NULL;
	return count;
}

/* Each for another reason than the one before it: the first ones are told, and how many. */
static void test_refusals_do_not_fill_the_disk(void)
{
	char how_many[64];
	struct fake f;

	fixture_open(&fx, 0);
	fixture_join(&fx, &f, 1, LANE_DATA);
	for (unsigned i = 0; i < CROWD; i++)
		say_nonsense(1 + i % 2);
	CHECK(fixture_serve(&fx, PATIENCE_MS, all_were_refused, fx.session));
	fixture_finish(&fx);
	snprintf(how_many, sizeof(how_many), "%u processes were refused, the last:", CROWD);
	CHECK(fx.profile->note_count < 20);
	CHECK(notes_with("a process was refused: ") > 10);
	CHECK_EQ(notes_with("more were refused"), 1);
	CHECK_EQ(notes_with(how_many), 1);
	fake_destroy(&f);
	fixture_close(&fx);
}

/* --------------------------------------------------------------------- memory */

static bool memory_is_short;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

/* The linker puts it in the place of calloc(): there is no room for a target. */
void *__wrap_calloc(size_t count, size_t size)
{
	if (memory_is_short && size == sizeof(struct pln_session_target))
		return NULL;
	return __real_calloc(count, size);
}

static size_t count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;

	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count;
}

static size_t count_segments(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[4096];
	size_t count = 0;

	while (maps && fgets(line, sizeof(line), maps))
		count += strstr(line, "memfd:fake") != NULL;
	if (maps)
		fclose(maps);
	return count;
}

static void test_without_memory_nothing_of_a_hello_is_kept(void)
{
	size_t descriptors, segments;
	struct fake f;
	int sock;

	fixture_open(&fx, 0);
	CHECK(fake_create(&f, 1, LANE_DATA, true) == 0);
	descriptors = count_descriptors();
	segments = count_segments();
	CHECK(descriptors && segments);
	sock = fake_hello(&f, fx.address, fx.token, PILLION_WIRE_VERSION);
	memory_is_short = true;
	CHECK(fixture_serve(&fx, PATIENCE_MS, fixture_was_refused, fx.session));
	memory_is_short = false;
	CHECK(strstr(fx.session->summary.refused, "memory") != NULL);
	close(sock);
	CHECK_EQ(count_descriptors(), descriptors);
	CHECK_EQ(count_segments(), segments);
	fixture_finish(&fx);
	fake_destroy(&f);
	fixture_close(&fx);
}

/* ------------------------------------------------------------------- the loop */

#define BUSY_TURNS 20000u /* and it never came back */

/* As a timer whose ticks take longer than they are apart. */
struct busy {
	struct pln_watch watch;
	unsigned turns;
};

static void be_busy(struct pln_watch *watch)
{
	struct busy *busy = pln_watch_owner(watch, struct busy, watch);

	usleep(100);
	if (++busy->turns == BUSY_TURNS)
		pln_loop_remove(&fx.loop, watch);
}

static void start_busy(struct busy *busy)
{
	*busy = (struct busy){ .watch = { eventfd(1, EFD_CLOEXEC), be_busy } };
	CHECK(busy->watch.fd >= 0 && !pln_loop_add(&fx.loop, &busy->watch));
}

static void stop_busy(struct busy *busy)
{
	CHECK(busy->turns > 0 && busy->turns < BUSY_TURNS);
	pln_loop_remove(&fx.loop, &busy->watch);
	close(busy->watch.fd);
}

static void test_a_poll_comes_back(void)
{
	struct busy busy, other;

	fixture_open(&fx, 0);
	start_busy(&busy);
	start_busy(&other);
	for (unsigned i = 0; i < 3; i++)
		pln_loop_poll(&fx.loop, 0);
	stop_busy(&other);
	stop_busy(&busy);
	fixture_finish(&fx);
	fixture_close(&fx);
}

/* One that says hello, and lives on: its last words are waited for, and not for ever. */
static void test_last_words_end(void)
{
	struct busy busy;
	struct fake f;

	fixture_open(&fx, 0);
	fixture_join(&fx, &f, 1, LANE_DATA);
	start_busy(&busy);
	fixture_finish(&fx);
	stop_busy(&busy);
	CHECK(fx.profile && fx.profile->recording.complete);
	fake_destroy(&f);
	fixture_close(&fx);
}

static void test_names_are_found_by_the_way(void)
{
	const uint64_t pc[] = { 0x1010 };
	const struct fake_sample s = { .serial = 1, .hash = 1, .pc = pc, .native_count = 1 };
	struct pln_session *session;
	struct busy busy;
	struct fake f;

	fixture_open(&fx, 0);
	fixture_join(&fx, &f, 1, LANE_DATA);
	CHECK(fake_module(&f, 0x1000, 0x2000, "/lib/libone.so", 1));
	CHECK(fake_sample(&f, fake_lane(&f, 0), &s));
	session = fx.session;
	pln_session_drain(session);
	session->options.dies_with_targets = true;
	session->named_ns = 1; /* so that it is time again */
	session->name_after_ns = 0;
	start_busy(&busy);
	pln_session_name_in_advance(session);
	stop_busy(&busy);
	CHECK(session->file.named_frames > 0);
	fixture_finish(&fx);
	fake_destroy(&f);
	fixture_close(&fx);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_few_are_let_in_at_a_time();
	test_a_flood_does_not_stop_the_clock();
	test_refusals_do_not_fill_the_disk();
	test_without_memory_nothing_of_a_hello_is_kept();
	test_a_poll_comes_back();
	test_last_words_end();
	test_names_are_found_by_the_way();
	return check_result();
}
