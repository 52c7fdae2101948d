/* SPDX-License-Identifier: MIT */
/*
 * test_ingest_hostile.c - whatever a target writes into its segment, the collector
 * neither crashes nor hangs, and what honest targets recorded is kept.
 *
 * Meant to run under AddressSanitizer as well. The seed is printed and can be given as
 * the first argument.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <pillion/atomic.h>
#include <pillion/lane.h>

#include "check.h"
#include "fake_target.h"
#include "ingest/segment.h"
#include "session_fixture.h"

#define LANE_DATA 8192u
#define LANES 4u
#define HEADER_ROUNDS 200000
#define LANE_ROUNDS 300

static uint64_t rng_state;

static uint64_t rng(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return rng_state;
}

/* Mostly the values that break arithmetic. */
static uint64_t odd_value(void)
{
	static const uint64_t edges[] = {
		0,	    1,		7,	    8,		63,	    64,
		191,	    192,	4095,	    4096,	1u << 16,   1u << 31,
		UINT32_MAX, 1ull << 32, 1ull << 36, 1ull << 63, UINT64_MAX, UINT64_MAX - 7
	};
	uint64_t r = rng();

	if (r % 4 == 0)
		return rng();
	return edges[(r >> 8) % (sizeof(edges) / sizeof(edges[0]))] + (r % 4 == 1 ? r >> 60 : 0);
}

/* Every word of a view that was accepted can be touched. */
static uint64_t touch(const struct pln_segment_view *view)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < view->lane_count; i++) {
		struct pln_lane_view lane = pln_segment_lane(view, i);

		sum += pln_load_relaxed(&view->slots[i].state);
		sum += pln_load_relaxed(&lane.lane->head);
		sum += pln_lane_data(lane.lane)[lane.data_size - 1];
	}
	sum += pln_lane_data(view->control.lane)[view->control.data_size - 1];
	return sum + pln_lane_data(view->sampler.lane)[view->sampler.data_size - 1];
}

static void test_mutated_headers(void)
{
	struct pln_segment_view view;
	struct pln_segment good;
	struct fake f;
	unsigned accepted = 0, refused = 0;
	char why[128];

	CHECK(fake_create(&f, LANES, LANE_DATA, true) == 0);
	memcpy(&good, f.seg, sizeof(good));
	for (unsigned i = 0; i < HEADER_ROUNDS; i++) {
		unsigned changes = 1 + rng() % 3;
		int error;

		memcpy(f.seg, &good, sizeof(good));
		while (changes--) {
			uint64_t value = odd_value();
			size_t size = rng() % 2 ? 4 : 8;
			size_t at = rng() % (offsetof(struct pln_segment, reserved0) - size);

			/* Fields begin at multiples of their size; the magic is another test. */
			at = at / size * size;
			memcpy((char *)f.seg + (at < 4 ? 4 : at), &value, size);
		}
		error = pln_segment_map(&view, f.memfd, why, sizeof(why));
		if (error) {
			refused++;
			continue;
		}
		accepted++;
		touch(&view);
		pln_segment_unmap(&view);
	}
	/* Harmless fields were hit as well as harmful ones. */
	CHECK(accepted > HEADER_ROUNDS / 20);
	CHECK(refused > HEADER_ROUNDS / 20);
	memcpy(f.seg, &good, sizeof(good));
	CHECK(pln_segment_map(&view, f.memfd, why, sizeof(why)) == 0);
	pln_segment_unmap(&view);
	fake_destroy(&f);
}

static void test_sizes_that_lie(void)
{
	struct pln_segment_view view;
	struct fake f;
	char why[128];

	CHECK(fake_create(&f, LANES, LANE_DATA, true) == 0);
	f.seg->size += 4096;
	CHECK_EQ(pln_segment_map(&view, f.memfd, why, sizeof(why)), -EINVAL);
	f.seg->size -= 4096;
	f.seg->version++;
	CHECK_EQ(pln_segment_map(&view, f.memfd, why, sizeof(why)), -EPROTONOSUPPORT);
	f.seg->version--;
	f.seg->header_size = 8;
	CHECK_EQ(pln_segment_map(&view, f.memfd, why, sizeof(why)), -EINVAL);
	f.seg->header_size = sizeof(struct pln_segment);
	pln_store_relaxed(&f.seg->magic, 0);
	CHECK_EQ(pln_segment_map(&view, f.memfd, why, sizeof(why)), -EINVAL);
	pln_store_relaxed(&f.seg->magic, PILLION_SEGMENT_MAGIC);
	CHECK_EQ(pln_segment_map(&view, f.memfd, why, sizeof(why)), 0);
	/* Changed after the check: the view does not follow. */
	f.seg->lane_count = UINT32_MAX;
	f.seg->lanes_off = UINT64_MAX;
	touch(&view);
	pln_segment_unmap(&view);
	f.seg->lane_count = LANES;
	fake_destroy(&f);
}

/* ---------------------------------------------------------------------- lanes */

/* A record whose header is right and whose body is not. */
static void put_nonsense(const struct fake *f)
{
	struct pln_lane *lanes[] = { fake_control(f), fake_sampler(f),
				     fake_lane(f, rng() % LANES) };
	uint64_t body[128];
	size_t size = 8 * (1 + rng() % (sizeof(body) / 8));
	unsigned which = rng() % 3;

	/* After scribbling: an honest reservation would not work there. */
	if (pln_load_relaxed(&lanes[which]->head) % 8)
		return;
	for (size_t i = 0; i < size / 8; i++)
		body[i] = odd_value();
	fake_put(lanes[which], which ? f->lane_data : f->control_data, (uint16_t)(rng() % 13), body,
		 size);
}

/* Head, tail, and bytes that were committed already. */
static void scribble(const struct fake *f)
{
	struct pln_lane *lane = fake_lane(f, rng() % LANES);

	switch (rng() % 5) {
	case 0:
		pln_store_relaxed(&lane->head, odd_value());
		break;
	case 1:
		pln_store_relaxed(&lane->tail, odd_value());
		break;
	case 2:
		pln_store_relaxed(&lane->head, pln_load_relaxed(&lane->tail) + rng() % LANE_DATA);
		break;
	default:
		for (unsigned i = 0; i < 32; i++)
			pln_lane_data(lane)[rng() % LANE_DATA] = (unsigned char)rng();
	}
}

static void join(struct fixture *fx, const struct fake *f)
{
	int sock = fake_hello(f, fx->address, fx->token, PILLION_WIRE_VERSION);

	CHECK(sock >= 0);
	CHECK(fixture_serve(fx, 2000, fixture_has_joined, fx->session));
	close(sock);
}

static void test_nonsense_in_lanes(void)
{
	struct fake_sample s = { .serial = 1, .time_ns = 4711 };
	struct pln_sample_row *rows;
	struct fixture fx;
	struct fake f;
	size_t count, honest = 0;

	fixture_open(&fx, 0);
	CHECK(fake_create(&f, LANES, LANE_DATA, true) == 0);
	CHECK(fake_sample(&f, fake_lane(&f, 0), &s));
	join(&fx, &f);
	fixture_serve(&fx, 100, NULL, NULL);
	for (unsigned i = 0; i < LANE_ROUNDS; i++) {
		for (unsigned j = 0; j < 200; j++)
			put_nonsense(&f);
		for (unsigned j = 0; j < 4; j++)
			scribble(&f);
		fixture_serve(&fx, 1, NULL, NULL);
	}
	fixture_finish(&fx);
	if (CHECK(fx.profile != NULL)) {
		CHECK(fx.profile->processes[0].lost_records > 0);
		rows = fixture_rows(&fx, &count);
		for (size_t i = 0; i < count; i++)
			honest += rows[i].time_ns == 4711;
		CHECK(honest >= 1);
		free(rows);
	}
	fake_destroy(&f);
	fixture_close(&fx);
}

/* What is said to happen years from now makes no sense, and the recording ends when it does. */
static void test_times_to_come(void)
{
	const struct pln_wire_thread late = { .time_ns = UINT64_MAX / 2, .thread = 2, .tid = 4711 };
	struct fixture fx;
	struct fake f;

	fixture_open(&fx, 0);
	CHECK(fake_create(&f, LANES, LANE_DATA, true) == 0);
	CHECK(fake_thread(&f, 0, PILLION_RECORD_THREAD, "honest", 0));
	CHECK(fake_put(fake_control(&f), f.control_data, PILLION_RECORD_THREAD, &late,
		       sizeof(late)));
	CHECK(fake_put(fake_control(&f), f.control_data, PILLION_RECORD_THREAD_EXIT, &late,
		       sizeof(late)));
	join(&fx, &f);
	fixture_finish(&fx);
	if (CHECK(fx.profile != NULL)) {
		CHECK_EQ(fx.profile->processes[0].lost_records, 2);
		CHECK_STR(fx.profile->threads[0].name, "honest");
		CHECK(fx.profile->recording.end_ns < UINT64_MAX / 4);
	}
	fake_destroy(&f);
	fixture_close(&fx);
}

/* Writes everywhere behind the header while the collector reads. */
static void *scribble_until_told(void *arg)
{
	struct fake *f = arg;
	uint64_t state = 88172645463325252u;
	size_t words = f->seg->size / 8;

	while (pln_load_relaxed(&f->seg->command) == PILLION_COMMAND_RUN) {
		size_t at;

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		at = sizeof(*f->seg) / 8 + state % (words - sizeof(*f->seg) / 8);
		((volatile uint64_t *)f->seg)[at] = state % 3 ? state : state % 64 * 8;
	}
	return NULL;
}

static void test_a_target_that_writes_while_it_is_read(void)
{
	struct fixture fx;
	struct fake f;
	pthread_t thread;

	fixture_open(&fx, 0);
	CHECK(fake_create(&f, LANES, LANE_DATA, true) == 0);
	join(&fx, &f);
	CHECK(pthread_create(&thread, NULL, scribble_until_told, &f) == 0);
	fixture_serve(&fx, 1500, NULL, NULL);
	fixture_finish(&fx);
	pthread_join(thread, NULL);
	CHECK(fx.profile != NULL);
	f.seg->size = f.seg->lanes_off + (uint64_t)LANES * f.seg->lane_size;
	fake_destroy(&f);
	fixture_close(&fx);
}

int main(int argc, char **argv)
{
	rng_state = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL);
	printf("seed %llu\n", (unsigned long long)rng_state);
	rng_state = rng_state * 2654435761u + 1;
	signal(SIGPIPE, SIG_IGN);
	test_mutated_headers();
	test_sizes_that_lie();
	test_nonsense_in_lanes();
	test_times_to_come();
	test_a_target_that_writes_while_it_is_read();
	return check_result();
}
