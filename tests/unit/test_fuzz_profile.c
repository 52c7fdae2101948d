/* SPDX-License-Identifier: MIT */
/*
 * Profiles that were damaged on purpose, checksums right again: each is refused, or shown in
 * every way, and what it says of itself holds.
 */
#include "small_profile.h"

#include "rounds.h"

static void add_memory(struct pln_writer *w)
{
	struct pln_process process = small_process();
	struct pln_heap_point point = { .time_ns = 9000, .process = 0 };

	process.heap[PILLION_HEAP_MALLOC] = (struct pln_heap_counts){ 100, 1 << 20, 50, 1 << 19 };
	process.heap[PILLION_HEAP_OBJECT] = (struct pln_heap_counts){ 100, 1 << 10, 50, 0 };
	process.heap_peak_ns = 5000;
	process.finalizing_ns = 20000;
	memcpy(point.heap, process.heap, sizeof(point.heap));
	pln_writer_update_process(w, 0, &process);
	pln_writer_add_heap_point(w, &point);
	for (unsigned i = 0; i < 20; i++) {
		struct pln_block_row row = { .time_ns = 2000 + i * 1000,
					     .size = (uint64_t)1 << i,
					     .interval = 4096,
					     .stack = i % 5 ? i % 3 : PLN_NONE,
					     .kind = (uint8_t)(i % PILLION_BLOCK_KINDS),
					     .unfollowed = i % 7 == 6 };
		uint32_t id = pln_writer_add_block(w, &row);

		if (i % 3 == 0 && !row.unfollowed)
			pln_writer_add_free(w, id, row.time_ns + i * 100);
	}
}

/* A profile with samples and memory. */
static void write_profile(void)
{
	int fd = small_open_output();
	struct pln_writer *w = small_start_writer(fd);

	small_add_definitions(w);
	for (unsigned i = 0; i < 40; i++) {
		struct pln_sample_row sample = small_row(i);

		pln_writer_add_sample(w, &sample);
		if (i == 20)
			CHECK_EQ(pln_writer_flush(w), 0);
	}
	add_memory(w);
	small_add_symbols(w);
	CHECK_EQ(pln_writer_close(w, &small_recording), 0);
	close(fd);
}

static size_t honest_input(uint8_t *out)
{
	int fd = small_start();
	size_t size;

	write_profile();
	size = fuzz_profile_pack(out, ROUNDS_ROOM, small_path);
	close(fd);
	return size;
}

int main(int argc, char **argv)
{
	static uint8_t honest[ROUNDS_ROOM];

	return rounds_run(argc, argv, honest, honest_input(honest), fuzz_profile);
}
