/* SPDX-License-Identifier: MIT */
/*
 * test_lane.c - one writer, one reader: order, wrap, padding, a full lane, and what a
 * reader makes of a producer that lies. Run under ThreadSanitizer too: the last test
 * has a real producer and a real consumer.
 */
#include <pthread.h>
#include <stdlib.h>

#include <pillion/lane.h>

#include "check.h"

#define DATA_SIZE 1024u

static struct pln_lane *lane_new(void)
{
	struct pln_lane *lane = aligned_alloc(64, sizeof(*lane) + DATA_SIZE);

	memset(lane, 0, sizeof(*lane) + DATA_SIZE);
	return lane;
}

/* A record of `size` bytes, all of which after the header are `fill`. */
static int put(struct pln_lane *lane, uint32_t size, unsigned char fill)
{
	struct pln_record *rec = pln_lane_reserve_sigsafe(lane, DATA_SIZE, size);

	if (!rec)
		return -1;
	rec->type = PILLION_RECORD_SAMPLE;
	memset(rec + 1, fill, rec->size - sizeof(*rec));
	pln_lane_commit_sigsafe(lane, DATA_SIZE, rec);
	return 0;
}

/* Takes one record that is no pad; returns its size, 0 when there is none. */
static int64_t take(struct pln_lane *lane, unsigned char *fill)
{
	const struct pln_record *rec;
	int64_t size;

	for (;;) {
		uint64_t tail = pln_load_relaxed(&lane->tail);
		bool pad;

		size = pln_lane_peek(lane, DATA_SIZE, tail, pln_lane_head(lane), &rec);
		if (size <= 0)
			return size;
		pad = rec->type == PILLION_RECORD_PAD;
		*fill = size > (int64_t)sizeof(*rec) ? *(const unsigned char *)(rec + 1) : 0;
		pln_lane_consume(lane, tail + (uint64_t)size);
		if (!pad)
			return size;
	}
}

static void test_records_come_out_in_order(void)
{
	struct pln_lane *lane = lane_new();
	unsigned char fill = 0;

	CHECK_EQ(take(lane, &fill), 0);
	CHECK_EQ(put(lane, 16, 1), 0);
	CHECK_EQ(put(lane, 21, 2), 0);
	CHECK_EQ(take(lane, &fill), 16);
	CHECK_EQ(fill, 1);
	CHECK_EQ(take(lane, &fill), 24); /* rounded up to 8 */
	CHECK_EQ(fill, 2);
	CHECK_EQ(take(lane, &fill), 0);
	free(lane);
}

static void test_nothing_is_visible_before_commit(void)
{
	struct pln_lane *lane = lane_new();
	struct pln_record *rec = pln_lane_reserve_sigsafe(lane, DATA_SIZE, 64);
	unsigned char fill = 0;

	CHECK(rec != NULL);
	rec->type = PILLION_RECORD_SAMPLE;
	CHECK_EQ(take(lane, &fill), 0);
	/* Given up: the next reservation takes the same place. */
	CHECK(pln_lane_reserve_sigsafe(lane, DATA_SIZE, 32) == rec);
	CHECK_EQ(pln_load_relaxed(&lane->head), 0);
	free(lane);
}

static void test_trim_gives_back_what_was_not_used(void)
{
	struct pln_lane *lane = lane_new();
	struct pln_record *rec = pln_lane_reserve_sigsafe(lane, DATA_SIZE, 512);
	unsigned char fill = 0;

	rec->type = PILLION_RECORD_SAMPLE;
	pln_lane_trim_sigsafe(rec, 33);
	pln_lane_commit_sigsafe(lane, DATA_SIZE, rec);
	CHECK_EQ(pln_load_relaxed(&lane->head), 40);
	CHECK_EQ(take(lane, &fill), 40);
	free(lane);
}

static void test_a_record_never_wraps(void)
{
	struct pln_lane *lane = lane_new();
	unsigned char fill = 0;

	/* 1000 bytes used and read: 24 are left before the end. */
	CHECK_EQ(put(lane, 1000, 1), 0);
	CHECK_EQ(take(lane, &fill), 1000);
	CHECK_EQ(put(lane, 48, 2), 0);
	CHECK_EQ(pln_load_relaxed(&lane->head), 1024 + 48);
	CHECK_EQ(take(lane, &fill), 48);
	CHECK_EQ(fill, 2);
	CHECK_EQ(pln_load_relaxed(&lane->tail), 1024 + 48);
	free(lane);
}

static void test_the_pad_counts_as_used(void)
{
	struct pln_lane *lane = lane_new();
	unsigned char fill = 0;

	CHECK_EQ(put(lane, 600, 1), 0);
	CHECK_EQ(take(lane, &fill), 600);
	CHECK_EQ(put(lane, 400, 2), 0); /* up to 1000 */
	/* 24 of pad and 600 of record: 624 = what is free. One record more does not fit. */
	CHECK_EQ(put(lane, 600, 3), 0);
	CHECK_EQ(put(lane, 8, 4), -1);
	CHECK_EQ(take(lane, &fill), 400);
	CHECK_EQ(take(lane, &fill), 600);
	CHECK_EQ(fill, 3);
	free(lane);
}

static void test_a_full_lane_refuses_and_loses_nothing(void)
{
	struct pln_lane *lane = lane_new();
	unsigned char fill = 0;
	int written = 0, read = 0;

	while (put(lane, 56, (unsigned char)written) == 0)
		written++;
	CHECK_EQ(written, 1024 / 56);
	while (take(lane, &fill) > 0)
		CHECK_EQ(fill, read++);
	CHECK_EQ(read, written);
	CHECK_EQ(put(lane, 1024, 1), -1); /* 1008 used: the rest is pad */
	CHECK_EQ(put(lane, 1032, 1), -1); /* never fits */
	free(lane);
}

static void test_a_record_may_fill_the_lane(void)
{
	struct pln_lane *lane = lane_new();
	unsigned char fill = 0;

	CHECK_EQ(put(lane, DATA_SIZE, 7), 0);
	CHECK_EQ(put(lane, 8, 8), -1);
	CHECK_EQ(take(lane, &fill), DATA_SIZE);
	CHECK_EQ(fill, 7);
	free(lane);
}

static int64_t peek_of(uint64_t pos, uint64_t head, uint32_t size)
{
	struct pln_lane *lane = lane_new();
	const struct pln_record *rec;
	int64_t result;

	((struct pln_record *)(pln_lane_data(lane) + (pos & (DATA_SIZE - 1))))->size = size;
	result = pln_lane_peek(lane, DATA_SIZE, pos, head, &rec);
	free(lane);
	return result;
}

static void test_a_lying_producer_is_refused(void)
{
	CHECK_EQ(peek_of(0, 64, 64), 64);
	CHECK_EQ(peek_of(0, 64, 0), -EPROTO); /* would never end */
	CHECK_EQ(peek_of(0, 64, 4), -EPROTO); /* less than a header */
	CHECK_EQ(peek_of(0, 64, 20), -EPROTO); /* not a multiple of 8 */
	CHECK_EQ(peek_of(0, 64, 72), -EPROTO); /* behind head */
	CHECK_EQ(peek_of(1000, 1000 + 512, 32), -EPROTO); /* over the end of the ring */
	CHECK_EQ(peek_of(0, 64, UINT32_MAX - 7), -EPROTO);
	CHECK_EQ(peek_of(0, DATA_SIZE + 8, 64), -EPROTO); /* head is too far */
	CHECK_EQ(peek_of(64, 0, 64), -EPROTO); /* head went back */
}

static void test_a_lying_consumer_makes_the_lane_full(void)
{
	struct pln_lane *lane = lane_new();

	pln_store_relaxed(&lane->tail, 4096); /* ahead of head */
	CHECK_EQ(put(lane, 16, 1), -1);
	free(lane);
}

/* The page is the collector's, too. A pad of 8 bytes would go over the end of the ring. */
static void test_a_head_that_was_not_ours_leads_nowhere(void)
{
	struct pln_lane *lane = lane_new();

	for (unsigned byte = 1; byte < 8; byte++) {
		pln_store_relaxed(&lane->head, DATA_SIZE - byte);
		pln_store_relaxed(&lane->tail, DATA_SIZE - byte);
		CHECK_EQ(put(lane, 64, 1), -1);
	}
	pln_store_relaxed(&lane->head, UINT64_MAX - 7);
	CHECK_EQ(put(lane, 64, 1), -1);
	free(lane);
}

/* ------------------------------------------------------------- two threads */

#define MESSAGES 200000u

static void *produce(void *arg)
{
	struct pln_lane *lane = arg;

	for (uint32_t i = 0; i < MESSAGES;) {
		uint32_t payload = 1 + i % 37;
		struct pln_record *rec = pln_lane_reserve_sigsafe(
			lane, DATA_SIZE, (uint32_t)(sizeof(*rec) + payload * sizeof(i)));

		if (!rec)
			continue;
		rec->type = PILLION_RECORD_SAMPLE;
		for (uint32_t j = 0; j < payload; j++)
			((uint32_t *)(rec + 1))[j] = i;
		pln_lane_commit_sigsafe(lane, DATA_SIZE, rec);
		i++;
	}
	return NULL;
}

/* Returns how many words were not what they had to be. */
static uint32_t wrong_words(const struct pln_record *rec, uint32_t expected)
{
	uint32_t wrong = 0;

	for (uint32_t j = 0; j < 1 + expected % 37; j++)
		wrong += ((const uint32_t *)(rec + 1))[j] != expected;
	return wrong;
}

static void test_two_threads_agree(void)
{
	struct pln_lane *lane = lane_new();
	const struct pln_record *rec;
	uint32_t received = 0, wrong = 0;
	pthread_t producer;
	uint64_t pos = 0;
	int64_t size = 0;

	pthread_create(&producer, NULL, produce, lane);
	while (received < MESSAGES && size >= 0) {
		size = pln_lane_peek(lane, DATA_SIZE, pos, pln_lane_head(lane), &rec);
		if (size <= 0)
			continue;
		if (rec->type != PILLION_RECORD_PAD)
			wrong += wrong_words(rec, received++);
		pos += (uint64_t)size;
		pln_lane_consume(lane, pos);
	}
	CHECK_EQ(size > 0, 1);
	CHECK_EQ(wrong, 0);
	CHECK_EQ(received, MESSAGES);
	pthread_join(producer, NULL);
	free(lane);
}

int main(void)
{
	test_records_come_out_in_order();
	test_nothing_is_visible_before_commit();
	test_trim_gives_back_what_was_not_used();
	test_a_record_never_wraps();
	test_the_pad_counts_as_used();
	test_a_full_lane_refuses_and_loses_nothing();
	test_a_record_may_fill_the_lane();
	test_a_lying_producer_is_refused();
	test_a_lying_consumer_makes_the_lane_full();
	test_a_head_that_was_not_ours_leads_nowhere();
	test_two_threads_agree();
	return check_result();
}
