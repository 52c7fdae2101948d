/* SPDX-License-Identifier: MIT */
/*
 * test_ingest_bounds.c - what one target sends too much of is its own loss: what is known of it
 * stays known, other targets are recorded as before, and what was left out is counted.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "ingest/target.h"
#include "profile/reader.h"

#define SECOND_NS 1000000000ull
#define MANY_THREADS 1000000u

static const struct pln_recording recording = {
	.command = "", .host = "", .pillion_version = "", .working_directory = ""
};

static struct pln_segment segment;
static struct pln_scratch *scratch;

static char path[64];
static int file;
static struct pln_writer *writer;
static struct pln_tables tables;

static void open_file(void)
{
	file = memfd_create("profile", 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	CHECK_EQ(pln_writer_open(&writer, file, &recording), 0);
	CHECK_EQ(pln_tables_open(&tables, writer), 0);
}

/* What the file has. */
static struct pln_profile *close_file(void)
{
	struct pln_profile *profile = NULL;

	pln_tables_close(&tables);
	CHECK_EQ(pln_writer_close(writer, &recording), 0);
	CHECK_EQ(pln_profile_open(&profile, path, true), PLN_OPEN_OK);
	close(file);
	return profile;
}

static struct pln_target *new_target(void)
{
	struct pln_target_hello hello = { .pidfd = -1, .root_fd = -1 };
	struct pln_target *t;

	hello.segment.shared = &segment;
	hello.segment.texts = calloc(1, sizeof(*hello.segment.texts));
	t = pln_target_new(&tables, scratch, &hello);
	t->drain_ns = 1000;
	return t;
}

static void take_sample(struct pln_target *t, uint32_t thread)
{
	struct pln_sample rec = { .rec = { .size = sizeof(rec), .type = PILLION_RECORD_SAMPLE },
				  .time_ns = 900,
				  .cpu_ns = 1,
				  .thread = thread };

	pln_target_take_sample(t, &rec.rec, false);
}

/* ------------------------------------------------------------------- threads */

static void known_threads_stay_known(void)
{
	struct pln_target *t;
	struct pln_profile *p;

	open_file();
	t = new_target();
	take_sample(t, 1);
	t->thread_count = MANY_THREADS; /* as if it had had so many */
	take_sample(t, 1);
	take_sample(t, 2);
	take_sample(t, 3);
	CHECK_EQ(t->samples, 2);
	CHECK_EQ(t->row.lost_records, 2);
	t->thread_count = 1;
	pln_target_free(t);
	p = close_file();
	CHECK_EQ(p->thread_count, 1);
	CHECK_EQ(p->sample_count, 2);
	if (CHECK_EQ(p->note_count, 1))
		CHECK(strstr(p->notes[0].text, "1000000"));
	pln_profile_close(p);
}

/* --------------------------------------------------------------------- texts */

static void take_note(struct pln_target *t, uint32_t size)
{
	struct pln_wire_note *rec = calloc(1, sizeof(*rec) + size);

	rec->rec.size = (uint32_t)sizeof(*rec) + size;
	rec->rec.type = PILLION_RECORD_NOTE;
	rec->text_size = size;
	memset(rec + 1, 'n', size);
	pln_target_take_record(t, &rec->rec);
	free(rec);
}

static void take_module(struct pln_target *t, uint64_t lo, uint32_t path_size)
{
	struct pln_wire_module *rec = calloc(1, sizeof(*rec) + path_size);

	rec->rec.size = (uint32_t)sizeof(*rec) + path_size;
	rec->rec.type = PILLION_RECORD_MODULE;
	rec->lo = lo;
	rec->hi = lo + 4096;
	rec->time_ns = 900;
	rec->path_size = path_size;
	memset(rec + 1, 'm', path_size);
	pln_target_take_record(t, &rec->rec);
	free(rec);
}

static void take_code(struct pln_target *t, uint64_t key, uint32_t linetable_size)
{
	struct pln_wire_code *rec = calloc(1, sizeof(*rec) + linetable_size);

	rec->rec.size = (uint32_t)sizeof(*rec) + linetable_size;
	rec->rec.type = PILLION_RECORD_CODE;
	rec->key = key;
	rec->linetable_size = linetable_size;
	pln_target_take_record(t, &rec->rec);
	free(rec);
}

static void long_texts_are_left_out(void)
{
	struct pln_target *t;
	struct pln_profile *p;

	open_file();
	t = new_target();
	take_note(t, 4096);
	take_module(t, 4096, 4095);
	take_code(t, 1, 32768);
	CHECK_EQ(t->row.lost_records, 0);
	take_note(t, 4097);
	take_note(t, 60u << 20);
	take_module(t, 8192, 60u << 20);
	take_code(t, 2, 60u << 20);
	CHECK_EQ(t->row.lost_records, 4);
	CHECK_EQ(t->code_count, 1);
	pln_target_free(t);
	p = close_file();
	CHECK_EQ(p->note_count, 1);
	CHECK_EQ(p->module_count, 1);
	pln_profile_close(p);
}

/* -------------------------------------------------------------------- blocks */

static void take_free(struct pln_target *t, uint64_t id, uint64_t time_ns)
{
	struct pln_wire_free rec = { .rec = { .size = sizeof(rec), .type = PILLION_RECORD_FREE },
				     .time_ns = time_ns,
				     .id = id };

	pln_target_take_free(t, &rec);
}

static struct pln_block_row block_of(uint32_t thread)
{
	return (struct pln_block_row){
		.time_ns = 800, .size = 64, .interval = 4096, .thread = thread, .stack = PLN_NONE
	};
}

static void a_block_that_was_given_up_is_freed_all_the_same(void)
{
	struct pln_block_row unknown = block_of(99);
	struct pln_target *t;

	open_file();
	t = new_target();
	for (uint64_t id = 1; id <= 3; id++) {
		pln_target_add_block(t, id, &unknown); /* as when the disk is full */
		take_free(t, id, 900);
	}
	take_free(t, 4, 900);
	pln_target_add_block(t, 4, &unknown);
	CHECK_EQ(t->blocks.count, 0);
	CHECK_EQ(pln_writer_lost_blocks(writer), 4);
	pln_target_free(t);
	pln_profile_close(close_file());
}

/* An empty place of the table is no early free, whatever stood there before. */
static void places_are_used_again(void)
{
	const uint64_t many = 1000;
	struct pln_block_row block;
	struct pln_target *t;

	open_file();
	t = new_target();
	take_sample(t, 1);
	block = block_of(t->threads[0].id);
	for (uint64_t id = 1; id <= many; id++)
		take_free(t, id, 900);
	for (uint64_t id = 1; id <= many; id++)
		pln_target_add_block(t, id, &block);
	CHECK_EQ(t->blocks.count, 0);
	for (uint64_t id = 1; id <= many; id++)
		pln_target_add_block(t, id, &block);
	CHECK_EQ(t->blocks.count, many);
	CHECK_EQ(t->blocks.early, 0);
	pln_target_free(t);
	pln_profile_close(close_file());
}

/* A target that sends nothing but frees. */
static void early_frees_are_bounded(void)
{
	const uint64_t many = 100000;
	struct pln_block_row block;
	struct pln_profile *p;
	struct pln_target *t;

	open_file();
	t = new_target();
	take_sample(t, 1);
	block = block_of(t->threads[0].id);
	for (uint64_t id = 1; id <= many; id++)
		take_free(t, id, 900);
	CHECK_EQ(t->blocks.count, 65536);
	CHECK_EQ(t->row.lost_records, many - 65536);
	/* Those that wait find their block, and one that waits no more makes room. */
	pln_target_add_block(t, 1, &block);
	take_free(t, many + 1, 900);
	CHECK_EQ(t->row.lost_records, many - 65536);
	CHECK_EQ(t->blocks.count, 65536);
	/* What is live is not bounded. */
	for (uint64_t id = 2 * many; id < 3 * many; id++)
		pln_target_add_block(t, id, &block);
	CHECK_EQ(t->blocks.count, 65536 + many);
	take_free(t, 2 * many, 901);
	CHECK_EQ(t->blocks.count, 65536 + many - 1);
	pln_target_free(t);
	p = close_file();
	if (CHECK_EQ(p->block_count, many + 1)) {
		CHECK_EQ(p->blocks[0].freed_ns, 900);
		CHECK_EQ(p->blocks[1].freed_ns, 901);
		CHECK_EQ(p->blocks[2].freed_ns, 0);
	}
	pln_profile_close(p);
}

/* It would be taken for a block: the first of the file, whoever's that is. */
static void a_free_without_a_time_frees_nothing(void)
{
	struct pln_block_row block;
	struct pln_profile *p;
	struct pln_target *t;

	open_file();
	t = new_target();
	take_sample(t, 1);
	block = block_of(t->threads[0].id);
	pln_target_add_block(t, 1, &block);
	take_free(t, 2, 0);
	take_free(t, 2, 900);
	CHECK_EQ(t->row.lost_records, 1);
	pln_target_free(t);
	p = close_file();
	if (CHECK_EQ(p->block_count, 1))
		CHECK_EQ(p->blocks[0].freed_ns, 0);
	pln_profile_close(p);
}

static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

/* Multiples of the inverse of a usual multiplier: its products are small, and all in one slot. */
static void chosen_ids_do_not_collide(void)
{
	const uint64_t multiplier = 0x9e3779b97f4a7c15u, many = 200000;
	uint64_t inverse = multiplier, began_ns;
	struct pln_block_row block;
	struct pln_target *t;

	for (unsigned i = 0; i < 6; i++)
		inverse *= 2 - multiplier * inverse;
	CHECK_EQ(multiplier * inverse, 1);
	open_file();
	t = new_target();
	take_sample(t, 1);
	block = block_of(t->threads[0].id);
	began_ns = cpu_ns();
	for (uint64_t i = 1; i <= many; i++)
		pln_target_add_block(t, i * inverse, &block);
	CHECK(cpu_ns() - began_ns < 5 * SECOND_NS);
	CHECK_EQ(t->blocks.count, many);
	pln_target_free(t);
	pln_profile_close(close_file());
}

/* ----------------------------------------------------- samples and their modules */

static void take_large_sample(struct pln_target *t, uint16_t natives, uint16_t pythons,
			      uint32_t stack_size)
{
	size_t native_size = (natives * 12u + 7) & ~7u, python_size = pythons * 16u;
	size_t bytes = native_size + 8 + python_size + sizeof(struct pln_snapshot) + stack_size;
	struct pln_sample *rec = calloc(1, sizeof(*rec) + bytes);
	struct pln_snapshot *snap = (void *)((char *)(rec + 1) + native_size + python_size);

	rec->rec.size = (uint32_t)(sizeof(*rec) + bytes);
	rec->rec.type = PILLION_RECORD_SAMPLE;
	rec->time_ns = 900;
	rec->thread = 1;
	rec->native_count = natives;
	rec->python_count = pythons;
	rec->flags = stack_size ? PILLION_SAMPLE_SNAPSHOT : 0;
	snap->stack_size = stack_size;
	pln_target_take_sample(t, &rec->rec, false);
	free(rec);
}

static void samples_are_as_large_as_the_library_makes_them(void)
{
	struct pln_target *t;

	open_file();
	t = new_target();
	take_large_sample(t, 1024, 1024, 16384);
	CHECK_EQ(t->row.lost_records, 0);
	take_large_sample(t, 4097, 0, 0);
	take_large_sample(t, 0, 4097, 0);
	take_large_sample(t, 2, 0, 65544);
	CHECK_EQ(t->row.lost_records, 3);
	CHECK_EQ(t->samples, 1);
	pln_target_free(t);
	pln_profile_close(close_file());
}

static void take_module_gone(struct pln_target *t, uint64_t lo, uint64_t time_ns)
{
	struct pln_wire_module_gone rec = { .rec = { .size = sizeof(rec),
						     .type = PILLION_RECORD_MODULE_GONE },
					    .lo = lo,
					    .hi = lo + 4096,
					    .time_ns = time_ns };

	pln_target_take_record(t, &rec.rec);
}

/* They would have each pc looked up anew from then on, among all that ever went. */
static void modules_do_not_change_in_time_to_come(void)
{
	struct pln_target *t;

	open_file();
	t = new_target();
	take_module(t, 4096, 5);
	take_module_gone(t, 4096, 2 * SECOND_NS);
	CHECK_EQ(t->row.lost_records, 1);
	CHECK_EQ(t->modules.live_count, 1);
	t->drain_ns = SECOND_NS;
	take_module_gone(t, 4096, 2 * SECOND_NS);
	CHECK_EQ(t->row.lost_records, 1);
	CHECK_EQ(t->modules.live_count, 0);
	for (unsigned i = 0; i < 30000; i++) {
		take_module(t, 4096, 5);
		take_module_gone(t, 4096, 900);
	}
	CHECK(t->modules.gone_count <= 16384);
	CHECK_EQ(t->row.lost_records, 1);
	pln_target_free(t);
	pln_profile_close(close_file());
}

/* So is each of its frames, and the stacks that they are in. */
static void a_module_that_comes_again_is_the_same(void)
{
	struct pln_target *t, *other;
	struct pln_profile *p;

	open_file();
	t = new_target();
	other = new_target();
	for (unsigned i = 0; i < 1000; i++) {
		take_module(t, 4096, 5);
		CHECK_EQ(t->modules.live[0].id, 0);
		take_module_gone(t, 4096, 900);
	}
	take_module(t, 4096, 6);
	take_module(t, 8192, 5);
	take_module(other, 4096, 5);
	CHECK_EQ(tables.module_count, 4);
	pln_target_free(t);
	pln_target_free(other);
	p = close_file();
	if (CHECK_EQ(p->module_count, 4)) {
		CHECK_STR(p->modules[0].path, "mmmmm");
		CHECK_STR(p->modules[1].path, "mmmmmm");
		CHECK_EQ(p->modules[2].lo, 8192);
		CHECK_EQ(p->modules[3].process, 1);
	}
	pln_profile_close(p);
}

int main(void)
{
	scratch = pln_scratch_new();
	known_threads_stay_known();
	long_texts_are_left_out();
	a_block_that_was_given_up_is_freed_all_the_same();
	places_are_used_again();
	early_frees_are_bounded();
	a_free_without_a_time_frees_nothing();
	chosen_ids_do_not_collide();
	samples_are_as_large_as_the_library_makes_them();
	modules_do_not_change_in_time_to_come();
	a_module_that_comes_again_is_the_same();
	pln_scratch_free(scratch);
	return check_result();
}
