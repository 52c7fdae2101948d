/* SPDX-License-Identifier: MIT */
/*
 * Cut at any byte, a profile gives every whole chunk; with bytes changed anywhere it gives
 * fewer samples, never other ones; and whatever its chunks claim, reading it ends.
 */
#include "small_profile.h"

/* ------------------------------------------------------------- cut and damaged */

#define ROWS_A_CHUNK 40

/* At every byte of its last chunks: opens, and has the samples of each whole chunk. */
static void cut_files_give_every_whole_chunk(void)
{
	size_t size, offset[64], samples_end = 0;
	unsigned chunks;
	uint8_t *bytes;

	small_write(4, ROWS_A_CHUNK);
	bytes = small_read_file(&size);
	chunks = small_find_chunks(bytes, size, offset, 64);
	CHECK(chunks > 8 && offset[chunks] == size);
	for (size_t cut = offset[chunks - 7]; cut < size; cut++) {
		int64_t want = 4 * ROWS_A_CHUNK;

		for (unsigned i = 0; i < chunks; i++) {
			struct pln_chunk_header h;

			memcpy(&h, bytes + offset[i], sizeof(h));
			if (h.type != PILLION_CHUNK_SAMPLES)
				continue;
			samples_end = offset[i + 1];
			want -= samples_end > cut ? ROWS_A_CHUNK : 0;
		}
		small_write_file(bytes, cut);
		CHECK_EQ(small_samples(), want);
	}
	CHECK(samples_end > offset[chunks - 7]);
	free(bytes);
}

static void cut_starts_are_told_apart(void)
{
	size_t size, offset[64];
	uint8_t *bytes;

	small_write(1, 5);
	bytes = small_read_file(&size);
	small_find_chunks(bytes, size, offset, 64);
	for (size_t cut = 0; cut < offset[1]; cut++) {
		small_write_file(bytes, cut);
		CHECK_EQ(small_samples(), PLN_OPEN_EMPTY);
	}
	small_write_file(bytes, offset[1]);
	CHECK_EQ(small_samples(), 0);
	small_write_file((const uint8_t *)"#!/bin/sh\n", 10);
	CHECK_EQ(small_samples(), PLN_OPEN_FOREIGN);
	small_write_file((const uint8_t *)"P", 1);
	CHECK_EQ(small_samples(), PLN_OPEN_EMPTY);
	free(bytes);
}

static void files_that_cannot_be_read(void)
{
	struct pln_profile *p = NULL;

	CHECK_EQ(pln_profile_open(&p, "/nowhere/x.pillion", true), PLN_OPEN_IO);
	CHECK_EQ(errno, ENOENT);
	CHECK_EQ(pln_profile_open(&p, "/", true), PLN_OPEN_IO);
	CHECK_EQ(errno, EISDIR);
	CHECK_EQ(pln_profile_open(&p, "/dev/null", true), PLN_OPEN_EMPTY);
	CHECK(!p);
}

static void flipped_bytes_invent_nothing(void)
{
	size_t size;
	uint8_t *bytes;

	small_write(4, ROWS_A_CHUNK);
	bytes = small_read_file(&size);
	for (int round = 0; round < 3000; round++) {
		uint8_t *copy = malloc(size);

		memcpy(copy, bytes, size);
		for (uint64_t flips = 1 + small_random() % 4; flips; flips--)
			copy[small_random() % size] ^= (uint8_t)(1u << small_random() % 8);
		small_write_file(copy, size);
		CHECK(small_samples() <= 4 * ROWS_A_CHUNK);
		free(copy);
	}
	free(bytes);
}

/* Rebuilds the file, with `edit` let loose on the payload of chunk `victim`. */
static void rebuild(const uint8_t *bytes, size_t size, unsigned victim,
		    void (*edit)(uint16_t *type, uint8_t *payload, size_t size))
{
	struct pln_unpacker u = { .fd = open(small_path, O_RDONLY) };
	struct pln_packer packer = { 0 };
	struct pln_buffer out = { 0 };
	size_t offset[64];
	unsigned chunks = small_find_chunks(bytes, size, offset, 64);

	for (unsigned i = 0; i < chunks; i++) {
		uint16_t type;

		CHECK_EQ(pln_unpacker_read(&u, offset[i], size), PLN_CHUNK_WHOLE);
		type = u.header.type;
		if (i == victim)
			edit(&type, (uint8_t *)(uintptr_t)u.payload, u.payload_size);
		CHECK_EQ(pln_packer_pack(&packer, (enum pln_chunk_type)type, u.payload,
					 u.payload_size),
			 0);
		pln_put_bytes(&out, packer.out.data, packer.out.size);
	}
	close(u.fd);
	small_write_file(out.data, out.size);
	pln_buffer_free(&out);
	pln_packer_free(&packer);
	pln_unpacker_free(&u);
}

static void scramble(uint16_t *type, uint8_t *payload, size_t size)
{
	(void)type;
	for (uint64_t flips = 1 + small_random() % 3; size && flips; flips--)
		payload[small_random() % size] = (uint8_t)small_random();
}

static int check_row_ids(const struct pln_sample_row *row, void *arg)
{
	const struct pln_profile *p = arg;

	CHECK(row->thread < p->thread_count);
	CHECK(row->stack == PLN_NONE || row->stack < p->stack_count);
	CHECK(row->cause <= PILLION_CAUSE_EXIT && row->gil <= PILLION_GIL_WAITS);
	return 0;
}

/*
 * A payload that lies, in a chunk whose checksum is right: any result but a crash, a
 * read out of bounds, or a frame, function or stack that does not exist.
 */
static void lying_payloads_are_survived(void)
{
	size_t size;
	uint8_t *bytes;

	small_write(2, ROWS_A_CHUNK);
	bytes = small_read_file(&size);
	for (int round = 0; round < 3000; round++) {
		struct pln_profile *p;

		small_write_file(bytes, size);
		rebuild(bytes, size, (unsigned)(small_random() % 16), scramble);
		if (pln_profile_open(&p, small_path, true))
			continue;
		pln_profile_each_sample(p, check_row_ids, p);
		for (size_t i = 0; i < p->stack_count; i++)
			CHECK((p->stacks[i].parent == PLN_NONE || p->stacks[i].parent < i) &&
			      p->stacks[i].frame < p->frame_count);
		for (size_t i = 0; i < p->location_count; i++)
			CHECK(p->locations[i].function < p->function_count);
		pln_profile_close(p);
	}
	free(bytes);
}

static void make_unknown(uint16_t *type, uint8_t *payload, size_t size)
{
	(void)payload;
	(void)size;
	*type = 999;
}

static void make_newer_major(uint16_t *type, uint8_t *payload, size_t size)
{
	(void)type;
	(void)size;
	payload[0]++;
}

/* The chunk of the given type and number among its like. */
static unsigned chunk_of_type(const uint8_t *bytes, size_t size, uint16_t type, unsigned number)
{
	size_t offset[64];
	unsigned chunks = small_find_chunks(bytes, size, offset, 64);

	for (unsigned i = 0; i < chunks; i++) {
		struct pln_chunk_header h;

		memcpy(&h, bytes + offset[i], sizeof(h));
		if (h.type == type && !number--)
			return i;
	}
	CHECK(!"there is such a chunk");
	return 0;
}

static void versions_and_unknown_chunks(void)
{
	size_t size;
	uint8_t *bytes;

	small_write(3, ROWS_A_CHUNK);
	bytes = small_read_file(&size);
	rebuild(bytes, size, chunk_of_type(bytes, size, PILLION_CHUNK_SAMPLES, 1), make_unknown);
	CHECK_EQ(small_samples(), 2 * ROWS_A_CHUNK);
	small_write_file(bytes, size);
	rebuild(bytes, size, 0, make_newer_major);
	CHECK_EQ(small_samples(), PLN_OPEN_NEWER);
	/* Without its frames, stacks that need them cannot be taken, nor what follows. */
	small_write_file(bytes, size);
	rebuild(bytes, size, chunk_of_type(bytes, size, PILLION_CHUNK_FRAMES, 0), make_unknown);
	CHECK(small_samples() >= 0);
	free(bytes);
}

static void damaged_samples_cost_their_chunk_only(void)
{
	size_t size, offset[64];
	struct pln_profile *p;
	uint8_t *bytes;

	small_write(3, ROWS_A_CHUNK);
	bytes = small_read_file(&size);
	small_find_chunks(bytes, size, offset, 64);
	bytes[offset[chunk_of_type(bytes, size, PILLION_CHUNK_SAMPLES, 1)] + 40] ^= 1;
	small_write_file(bytes, size);
	CHECK_EQ(small_samples(), 2 * ROWS_A_CHUNK);
	p = small_open();
	CHECK(p->bad_bytes > 24 && p->bad_bytes < size / 2 && p->recording.complete);
	pln_profile_close(p);
	free(bytes);
}

/* Stacks 0-2, then 3, then 4, each in a chunk of its own, and samples that need each. */
static void write_stacks_apart(void)
{
	int fd = small_open_output();
	struct pln_writer *w = small_start_writer(fd);

	small_add_definitions(w);
	for (uint32_t i = 3; i < 6; i++) {
		struct pln_sample_row sample = small_row(i);

		sample.stack = i - 1;
		pln_writer_add_sample(w, &sample);
		CHECK_EQ(pln_writer_flush(w), 0);
		if (i < 5)
			pln_writer_add_stack(w, &(struct pln_stack_node){ 0, 0 });
	}
	CHECK_EQ(pln_writer_close(w, &small_recording), 0);
	close(fd);
}

/* Behind damaged definitions, ids would mean something else: nothing more is taken. */
static void gaps_end_the_file(void)
{
	size_t size, offset[64];
	struct pln_profile *p;
	uint8_t *bytes;

	write_stacks_apart();
	p = small_open();
	CHECK(p->stack_count == 5 && p->sample_count == 3);
	pln_profile_close(p);
	bytes = small_read_file(&size);
	small_find_chunks(bytes, size, offset, 64);
	bytes[offset[chunk_of_type(bytes, size, PILLION_CHUNK_STACKS, 1)] + 24] ^= 1;
	small_write_file(bytes, size);
	p = small_open();
	CHECK_EQ(p->stack_count, 3);
	CHECK_EQ(p->sample_count, 1);
	CHECK(p->recording.truncated && p->bad_bytes);
	pln_profile_close(p);
	free(bytes);
}

int main(void)
{
	int fd = small_start();

	cut_files_give_every_whole_chunk();
	cut_starts_are_told_apart();
	files_that_cannot_be_read();
	flipped_bytes_invent_nothing();
	lying_payloads_are_survived();
	versions_and_unknown_chunks();
	damaged_samples_cost_their_chunk_only();
	gaps_end_the_file();
	close(fd);
	return check_result();
}
