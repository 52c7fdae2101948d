/* SPDX-License-Identifier: MIT */
/*
 * What was put comes back, and a decoder that is given anything else fails instead of
 * reading on: bytes missing at the end, varints that are too long, lengths beyond it.
 */
#include <stdlib.h>

#include "check.h"
#include "profile/codec.h"
#include "profile/samples.h"

static void varints_come_back(void)
{
	static const uint64_t values[] = { 0,	       127,	   128,		  16383,
					   16384,      UINT32_MAX, 1ull << 56,	  INT64_MAX,
					   1ull << 63, UINT64_MAX, UINT64_MAX - 1 };
	struct pln_buffer b = { 0 };
	struct pln_decoder d;

	for (unsigned i = 0; i < 11; i++) {
		pln_put_varint(&b, values[i]);
		pln_put_signed(&b, (int64_t)values[i]);
	}
	d = pln_decoder_of(b.data, b.size);
	for (unsigned i = 0; i < 11; i++) {
		CHECK_EQ(pln_get_varint(&d), values[i]);
		CHECK_EQ(pln_get_signed(&d), values[i]);
	}
	CHECK(!d.failed && !pln_decoder_left(&d));
	pln_buffer_free(&b);
}

static void small_numbers_are_small(void)
{
	struct pln_buffer b = { 0 };

	pln_put_varint(&b, 127);
	pln_put_signed(&b, -64);
	pln_put_signed(&b, 63);
	CHECK_EQ(b.size, 3);
	pln_buffer_clear(&b);
	pln_put_varint(&b, UINT64_MAX);
	CHECK_EQ(b.size, PLN_VARINT_MAX);
	pln_buffer_free(&b);
}

static void strings_and_parts_come_back(void)
{
	struct pln_buffer b = { 0 };
	struct pln_decoder d, part;
	const char *text;
	size_t size;

	pln_put_string(&b, "läuft");
	pln_put_string(&b, NULL);
	pln_put_varint(&b, 3);
	pln_put_bytes(&b, "\x01\x02\x03", 3);
	pln_put_byte(&b, 9);
	d = pln_decoder_of(b.data, b.size);
	text = pln_get_string(&d, &size);
	CHECK(size == 6 && !memcmp(text, "läuft", 6));
	CHECK(pln_get_string(&d, &size) && size == 0);
	part = pln_get_part(&d);
	CHECK_EQ(pln_decoder_left(&part), 3);
	CHECK_EQ(pln_get_byte(&part), 1);
	CHECK_EQ(pln_get_byte(&d), 9);
	CHECK(!d.failed && !part.failed);
	pln_buffer_free(&b);
}

/* On the heap and of its exact size: AddressSanitizer sees one byte too many. */
static struct pln_decoder heap_decoder(const void *bytes, size_t size, void **memory)
{
	*memory = malloc(size ? size : 1);
	memcpy(*memory, bytes, size);
	return pln_decoder_of(*memory, size);
}

static void decoder_stops_at_its_end(void)
{
	static const struct {
		const char *bytes;
		size_t size;
	} cut[] = { { "", 0 }, { "\x80", 1 }, { "\xff\xff\xff", 3 } };
	void *memory;

	for (unsigned i = 0; i < 3; i++) {
		struct pln_decoder d = heap_decoder(cut[i].bytes, cut[i].size, &memory);

		CHECK_EQ(pln_get_varint(&d), 0);
		CHECK(d.failed);
		/* It stays failed and gives nothing more. */
		CHECK_EQ(pln_get_varint(&d), 0);
		CHECK_EQ(pln_get_byte(&d), 0);
		CHECK(!pln_get_bytes(&d, 1) && !pln_decoder_left(&d));
		free(memory);
	}
}

static void overlong_varints_are_refused(void)
{
	struct pln_decoder d;
	void *memory;

	d = heap_decoder("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, &memory);
	CHECK_EQ(pln_get_varint(&d), UINT64_MAX);
	CHECK(!d.failed);
	free(memory);
	d = heap_decoder("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, &memory);
	CHECK(!pln_get_varint(&d) && d.failed);
	free(memory);
	d = heap_decoder("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11, &memory);
	CHECK(!pln_get_varint(&d) && d.failed);
	free(memory);
	d = heap_decoder("\x80\x80\x80\x80\x10", 5, &memory);
	CHECK(!pln_get_u32(&d) && d.failed);
	free(memory);
}

static void lengths_beyond_the_end_are_refused(void)
{
	struct pln_decoder d, part;
	void *memory;
	size_t size;

	d = heap_decoder("\x05"
			 "abcd",
			 5, &memory);
	CHECK(!pln_get_string(&d, &size) && !size && d.failed);
	free(memory);
	d = heap_decoder("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, &memory);
	part = pln_get_part(&d);
	CHECK(part.failed && d.failed && !pln_get_byte(&part));
	free(memory);
}

/* ------------------------------------------------------------------- samples */

static uint64_t random_state = 99;

static uint64_t next_random(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return random_state >> 20;
}

/* Any value of any field, and its neighbours at the ends of the range. */
static struct pln_sample_row odd_row(void)
{
	uint64_t bits = next_random();
	struct pln_sample_row row = {
		.time_ns = bits & 1 ? next_random() : UINT64_MAX - (bits & 255),
		.cpu_ns = bits & 2 ? next_random() : 0,
		.offcpu_ns = bits & 4 ? UINT64_MAX : 0,
		.runnable_ns = bits & 8 ? 1 : 0,
		.thread = (uint32_t)(bits >> 8 & 3),
		.stack = bits & 16 ? PLN_NONE : (uint32_t)(bits >> 10 & 7),
		.syscall_nr = bits & 32 ? (int32_t)(bits >> 16) : -1,
		.flags = (uint32_t)(bits >> 16 & 0x3ff) |
			 (bits & 64 ? PLN_ROW_JOIN_MISMATCH | PLN_ROW_FINISHED : 0),
		.cause = (uint8_t)(bits >> 30 & 3),
		.gil = (uint8_t)(bits >> 32 & 3),
	};

	if (bits & 128)
		row.free_bytes = row.alloc_calls = next_random();
	return row;
}

static bool same_row(const struct pln_sample_row *a, const struct pln_sample_row *b)
{
	return a->time_ns == b->time_ns && a->cpu_ns == b->cpu_ns && a->offcpu_ns == b->offcpu_ns &&
	       a->runnable_ns == b->runnable_ns && a->thread == b->thread && a->stack == b->stack &&
	       a->syscall_nr == b->syscall_nr && a->flags == b->flags && a->cause == b->cause &&
	       a->gil == b->gil && a->alloc_calls == b->alloc_calls &&
	       a->alloc_bytes == b->alloc_bytes && a->free_calls == b->free_calls &&
	       a->free_bytes == b->free_bytes;
}

#define ROWS 2000

static void rows_come_back_by_thread(void)
{
	static struct pln_sample_row rows[ROWS];
	struct pln_sample_encoder e = { 0 };
	struct pln_sample_decoder d;
	struct pln_buffer b = { 0 };
	const struct pln_sample_row *row;
	size_t at[4] = { 0 }, count = 0;
	uint32_t thread = 0;

	for (int i = 0; i < ROWS; i++)
		rows[i] = odd_row();
	CHECK(pln_samples_encode(&e, &b, rows, ROWS));
	CHECK_EQ(pln_samples_begin(&d, b.data, b.size), ROWS);
	for (; (row = pln_samples_next(&d)); count++) {
		/* Threads in order, and within each the rows in the order they were given. */
		CHECK(row->thread >= thread && row->thread < 4);
		thread = row->thread & 3;
		while (at[thread] < ROWS && rows[at[thread]].thread != thread)
			at[thread]++;
		if (!CHECK(at[thread] < ROWS && same_row(row, &rows[at[thread]++])))
			break;
	}
	CHECK(!d.failed);
	CHECK_EQ(count, ROWS);
	pln_sample_encoder_free(&e);
	pln_buffer_free(&b);
}

static void absent_fields_cost_nothing(void)
{
	struct pln_sample_row rows[1000] = { 0 };
	struct pln_sample_encoder e = { 0 };
	struct pln_buffer b = { 0 };

	for (int i = 0; i < 1000; i++)
		rows[i] = (struct pln_sample_row){ .stack = 5, .syscall_nr = -1 };
	CHECK(pln_samples_encode(&e, &b, rows, 1000));
	/* Shape, kind, flags and time: a byte each. */
	CHECK(b.size > 4000 && b.size < 4050);
	pln_sample_encoder_free(&e);
	pln_buffer_free(&b);
}

/* Cut, or with bytes changed: it fails or gives some rows; it never reads beyond its end. */
static void damaged_rows_are_survived(void)
{
	struct pln_sample_row rows[64];
	struct pln_sample_encoder e = { 0 };
	struct pln_sample_decoder d;
	struct pln_buffer b = { 0 };

	for (int i = 0; i < 64; i++)
		rows[i] = odd_row();
	CHECK(pln_samples_encode(&e, &b, rows, 64));
	for (size_t size = 0; size < b.size; size++) {
		uint8_t *copy = malloc(size ? size : 1);

		memcpy(copy, b.data, size);
		CHECK(!pln_samples_begin(&d, copy, size) && d.failed);
		CHECK(!pln_samples_next(&d));
		free(copy);
	}
	for (int round = 0; round < 5000; round++) {
		uint8_t *copy = malloc(b.size);
		unsigned count = 0;

		memcpy(copy, b.data, b.size);
		copy[next_random() % b.size] ^= (uint8_t)(next_random() | 1);
		pln_samples_begin(&d, copy, b.size);
		while (pln_samples_next(&d))
			count++;
		CHECK(count <= b.size);
		free(copy);
	}
	pln_sample_encoder_free(&e);
	pln_buffer_free(&b);
}

int main(void)
{
	varints_come_back();
	small_numbers_are_small();
	strings_and_parts_come_back();
	decoder_stops_at_its_end();
	overlong_varints_are_refused();
	lengths_beyond_the_end_are_refused();
	rows_come_back_by_thread();
	absent_fields_cost_nothing();
	damaged_rows_are_survived();
	return check_result();
}
