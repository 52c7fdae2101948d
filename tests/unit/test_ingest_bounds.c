/* SPDX-License-Identifier: MIT */
/*
 * test_ingest_bounds.c - what one target sends too much of is its own loss: what is known of it
 * stays known, other targets are recorded as before, and what was left out is counted.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "ingest/target.h"
#include "profile/reader.h"

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

int main(void)
{
	scratch = pln_scratch_new();
	known_threads_stay_known();
	long_texts_are_left_out();
	pln_scratch_free(scratch);
	return check_result();
}
