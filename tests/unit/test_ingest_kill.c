/* SPDX-License-Identifier: MIT */
/*
 * test_ingest_kill.c - SIGKILL at random moments: every record that the target had
 * committed is in the profile, in order, and at most the one after them.
 *
 * Rounds can be given as the first argument, the seed as the second.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <pillion/atomic.h>

#include "check.h"
#include "fake_target.h"
#include "session_fixture.h"

#define LANES 3u
#define LANE_DATA 16384u

/* What survives the target: how many samples it had committed in each lane. */
static _Atomic uint64_t *committed;

static _Noreturn void run_target(const struct fixture *fx)
{
	static const uint64_t pc[] = { 0x10, 0x20, 0x30 };
	struct pln_welcome welcome;
	struct fake f;
	int sock;

	if (fake_create(&f, LANES, LANE_DATA, true))
		_exit(99);
	sock = fake_hello(&f, fx->address, fx->token, PILLION_WIRE_VERSION);
	if (sock < 0 || fake_welcome(sock, &welcome))
		_exit(98);
	for (uint64_t i = 0;; i++) {
		struct fake_sample s = { .serial = (uint32_t)(i % LANES) + 1,
					 .time_ns = i / LANES + 1,
					 .hash = i,
					 .pc = pc,
					 .native_count = i % 4 };

		/* Full: as long as it takes, so that nothing is dropped on purpose. */
		while (!fake_sample(&f, fake_lane(&f, i % LANES), &s))
			usleep(100);
		pln_store_relaxed(&committed[i % LANES], i / LANES + 1);
	}
}

/* The rows of one lane are 1, 2, 3, ... up to what was committed, or one further. */
static void check_lane(const struct fixture *fx, const struct pln_sample_row *rows, size_t count,
		       uint32_t serial)
{
	uint64_t next = 1, done = pln_load_relaxed(&committed[serial - 1]);
	size_t wrong = 0;

	for (size_t i = 0; i < count; i++) {
		if (fx->profile->threads[rows[i].thread].serial != serial)
			continue;
		wrong += rows[i].time_ns != next++;
	}
	CHECK_EQ(wrong, 0);
	if (!CHECK(next - 1 == done || next - 1 == done + 1))
		fprintf(stderr, "\tlane %u: %llu rows, %llu committed\n", serial,
			(unsigned long long)next - 1, (unsigned long long)done);
}

static size_t kill_after(unsigned us)
{
	struct pln_sample_row *rows;
	struct fixture fx;
	size_t count = 0;
	pid_t pid;
	siginfo_t si;
	int status;

	for (unsigned i = 0; i < LANES; i++)
		pln_store_relaxed(&committed[i], 0);
	fixture_open(&fx, 0);
	pid = fork();
	if (pid == 0)
		run_target(&fx);
	fixture_serve(&fx, (int)(us / 1000), NULL, NULL);
	usleep(us % 1000);
	kill(pid, SIGKILL);
	/* On a loaded machine it takes a while to die; it is reaped below. */
	CHECK_EQ(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT), 0);
	fixture_finish(&fx);
	CHECK(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGKILL);
	if (fx.profile) {
		rows = fixture_rows(&fx, &count);
		for (uint32_t serial = 1; serial <= LANES; serial++)
			check_lane(&fx, rows, count, serial);
		CHECK_EQ(fx.profile->processes[0].lost_records, 0);
		CHECK_EQ(fx.profile->processes[0].exit_status, SIGKILL);
		free(rows);
	} else {
		/* Killed before its hello: then it had nothing. */
		CHECK_EQ(pln_load_relaxed(&committed[0]), 0);
	}
	fixture_close(&fx);
	return count;
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 60;
	unsigned seed = argc > 2 ? (unsigned)atoi(argv[2]) : (unsigned)time(NULL);
	size_t samples = 0;

	printf("%u rounds, seed %u\n", rounds, seed);
	srandom(seed);
	committed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(committed != MAP_FAILED);
	for (unsigned i = 0; i < rounds; i++)
		samples += kill_after((unsigned)random() % 80000);
	printf("%zu samples\n", samples);
	CHECK(samples > rounds * 10);
	return check_result();
}
