/* SPDX-License-Identifier: MIT */
/*
 * fuzz_records.c - from what a target may write into its lanes to the profile of it, which
 * must be whole, whatever the target wrote.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pillion/atomic.h>
#include <pillion/lane.h>

#include "fake_target.h"
#include "ingest/scratch.h"
#include "ingest/target.h"
#include "profile/reader.h"

#define LANES 3u
#define LANE_DATA 8192u
#define NOW_NS 5000000000u

enum { HEADER = 3, MAX_WORDS = 255 };

struct bench {
	struct fake fake;
	struct pln_writer *writer;
	struct pln_tables tables;
	struct pln_writer *next_writer; /* of the file that the recording goes on in */
	struct pln_tables next_tables;
	struct pln_target *target;
};

/*
 * Large, of one size, and shared by all targets of a collector: made anew, it is half of a run's
 * time. What holds a record is as large as the largest so far, so that is made anew.
 */
static struct pln_scratch *take_scratch(void)
{
	static struct pln_scratch *scratch;

	if (!scratch)
		scratch = pln_scratch_new();
	if (!scratch)
		abort();
	free(scratch->record);
	free(scratch->passes);
	scratch->record = scratch->passes = NULL;
	scratch->record_size = scratch->passes_size = 0;
	return scratch;
}

static bool set_up(struct bench *b, int fd)
{
	static const struct pln_recording recording = { .command = "fuzz",
							.host = "",
							.pillion_version = "",
							.working_directory = "/",
							.exit_status = -1 };
	struct pln_target_hello hello = { .pidfd = -1, .root_fd = -1 };
	char why[128];

	if (fake_create(&b->fake, LANES, LANE_DATA, true) ||
	    pln_segment_map(&hello.segment, b->fake.memfd, why, sizeof(why)))
		return false;
	if (pln_writer_open(&b->writer, fd, &recording) || pln_tables_open(&b->tables, b->writer))
		return false;
	b->target = pln_target_new(&b->tables, take_scratch(), &hello);
	return b->target != NULL;
}

static void put(struct bench *b, unsigned where, uint8_t type, const uint8_t *body, size_t words)
{
	struct pln_lane *lane = where == FUZZ_CONTROL	? fake_control(&b->fake)
				: where == FUZZ_SAMPLER ? fake_sampler(&b->fake)
							: fake_lane(&b->fake, where % LANES);
	uint32_t room = where == FUZZ_CONTROL ? b->fake.control_data : b->fake.lane_data;
	uint64_t record[MAX_WORDS + 1] = { 0 };
	size_t size = sizeof(struct pln_record) + words * 8;

	memcpy((char *)record + sizeof(struct pln_record), body, words * 8);
	if (!fake_put(lane, room, type, record, size)) {
		(void)pln_target_drain(b->target, NOW_NS, false);
		fake_put(lane, room, type, record, size);
	}
}

static void put_slot(struct bench *b, uint8_t which, const uint8_t *body, size_t size)
{
	struct pln_slot *slot = fake_slot(&b->fake, which % LANES);

	memcpy(slot, body, size < sizeof(*slot) ? size : sizeof(*slot));
}

static void play(struct bench *b, const uint8_t *data, size_t size)
{
	while (size > HEADER) {
		size_t words = data[2], bytes;

		if (words > (size - HEADER) / 8)
			words = (size - HEADER) / 8;
		bytes = words * 8;
		if (data[0] == FUZZ_DRAIN) {
			(void)pln_target_drain(b->target, NOW_NS, false);
			pln_target_publish(b->target);
		} else if (data[0] == FUZZ_SLOT) {
			put_slot(b, data[1], data + HEADER, bytes);
		} else {
			put(b, data[0], data[1], data + HEADER, words);
		}
		data += HEADER + bytes;
		size -= HEADER + bytes;
	}
}

/* The recording goes on in another file; then all of it is told again. */
static void move(struct bench *b, int fd)
{
	const struct pln_recording recording = { .command = "",
						 .host = "",
						 .pillion_version = "",
						 .working_directory = "/",
						 .exit_status = -1 };

	(void)pln_target_drain(b->target, NOW_NS, false);
	pln_target_publish_all(b->target);
	if (pln_writer_open(&b->next_writer, fd, &recording) ||
	    pln_tables_open(&b->next_tables, b->next_writer) ||
	    !pln_target_carry(b->target, &b->next_tables, NOW_NS))
		abort();
}

static void tear_down(struct bench *b)
{
	pln_target_free(b->target);
	pln_tables_close(&b->tables);
	pln_tables_close(&b->next_tables);
	fake_destroy(&b->fake);
}

/* ----------------------------------------------------------------- the profile */

static int check_row(const struct pln_sample_row *row, void *arg)
{
	const struct pln_profile *p = arg;

	return row->thread >= p->thread_count ||
	       (row->stack != PLN_NONE && row->stack >= p->stack_count);
}

static bool profile_is_whole(int fd)
{
	struct pln_profile *p;
	char path[64];
	bool ok;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (pln_profile_open(&p, path, true) != PLN_OPEN_OK)
		return false;
	ok = p->recording.complete && !p->bad_bytes && p->process_count == 1 &&
	     !pln_profile_each_sample(p, check_row, p);
	pln_profile_close(p);
	return ok;
}

/* Inputs of every third size go on in another file, which takes twice as long. */
bool fuzz_records(const uint8_t *data, size_t size)
{
	const struct pln_recording recording = { .exit_status = 0, .end_ns = NOW_NS };
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	int next_fd = size % 3 ? -1 : memfd_create("next", MFD_CLOEXEC);
	struct bench b = { .writer = NULL };
	bool ok;

	/* The machine's trouble, not the target's. */
	if (fd < 0 || (size % 3 == 0 && next_fd < 0) || !set_up(&b, fd))
		abort();
	play(&b, data, size);
	if (next_fd >= 0) {
		move(&b, next_fd);
		play(&b, data, size);
	}
	pln_target_end(b.target, NOW_NS, true);
	ok = !pln_writer_close(b.writer, &recording);
	if (b.next_writer)
		ok = !pln_writer_close(b.next_writer, &recording) && ok;
	tear_down(&b);
	ok = ok && profile_is_whole(fd) && (next_fd < 0 || profile_is_whole(next_fd));
	close(fd);
	if (next_fd >= 0)
		close(next_fd);
	return ok;
}

/* ------------------------------------------------------------- an honest target */

struct packed {
	uint8_t *out;
	size_t used, room;
	bool full;
};

static void pack_lane(struct packed *p, uint8_t where, struct pln_lane *lane, uint32_t data_size)
{
	uint64_t pos = 0, head = pln_lane_head(lane);
	const struct pln_record *rec;
	int64_t size;

	while ((size = pln_lane_peek(lane, data_size, pos, head, &rec)) > 0) {
		size_t bytes = (size_t)size - sizeof(*rec);

		pos += (uint64_t)size;
		p->full |= p->used + HEADER + bytes > p->room || bytes / 8 > MAX_WORDS;
		if (p->full)
			return;
		p->out[p->used] = where;
		p->out[p->used + 1] = (uint8_t)rec->type;
		p->out[p->used + 2] = (uint8_t)(bytes / 8);
		memcpy(p->out + p->used + HEADER, rec + 1, bytes);
		p->used += HEADER + bytes;
	}
}

/* A walk for the collector to finish, in a module that has unwind tables. */
static void send_snapshot(const struct fake *f)
{
	struct {
		struct pln_sample sample;
		struct pln_snapshot snapshot;
		uint64_t stack[32];
	} rec = { .sample = { .time_ns = 1500,
			      .cpu_ns = 10000000,
			      .sp = 0x7000,
			      .thread = 1,
			      .syscall_nr = -1,
			      .flags = PILLION_SAMPLE_SNAPSHOT },
		  .snapshot = { .regs_valid = 0x1ffff,
				.stack_addr = 0x7000,
				.stack_size = sizeof(rec.stack) } };

	for (unsigned i = 0; i < 16; i++)
		rec.snapshot.regs[i] = 0x7000 + i * 8;
	rec.snapshot.regs[16] = 0x2040;
	for (size_t i = 0; i < sizeof(rec.stack) / 8; i++)
		rec.stack[i] = i % 2 ? 0x7000 + i * 8 : 0x2040 + i;
	fake_put(fake_lane(f, 0), f->lane_data, PILLION_RECORD_SAMPLE, &rec, sizeof(rec));
}

static void act_honestly(const struct fake *f)
{
	static const uint64_t pc[] = { 0x1010, 0x1020, 0x2030 };
	static const uint64_t codes[] = { 71, 72 };
	static const uint32_t instr[] = { 2, 4 };
	struct fake_sample s = { .serial = 1,
				 .time_ns = 1000,
				 .cpu_ns = 10000000,
				 .hash = 4711,
				 .pc = pc,
				 .native_count = 3,
				 .codes = codes,
				 .instr = instr,
				 .python_count = 2 };

	fake_module(f, 0x1000, 0x2000, "/lib/libone.so", 1);
	fake_module(f, 0x2000, 0x3000, "/proc/self/exe", 1);
	fake_thread(f, 0, PILLION_RECORD_THREAD, "main", 0);
	fake_thread(f, 1, PILLION_RECORD_THREAD, "worker", 0);
	fake_code(f, 0, 71, "inner", "/src/a.py", 10);
	fake_code(f, 1, 72, "outer", "/src/a.py", 20);
	fake_sample(f, fake_lane(f, 0), &s);
	s.serial = 2;
	fake_sample(f, fake_lane(f, 1), &s);
	/* The same stack again, and one that says so. */
	s.native_count = s.python_count = 0;
	s.flags = PILLION_SAMPLE_SAME_STACK;
	fake_sample(f, fake_lane(f, 0), &s);
	fake_sample(f, fake_sampler(f), &s);
	send_snapshot(f);
	fake_note(f, "a note");
	fake_module_gone(f, 0x1000, 0x2000, 2000);
	fake_thread(f, 1, PILLION_RECORD_THREAD_EXIT, "worker", 77);
}

size_t fuzz_records_honest(uint8_t *out, size_t room)
{
	struct packed packed = { .out = out, .room = room };
	struct fake f;

	if (fake_create(&f, LANES, LANE_DATA, false))
		abort();
	act_honestly(&f);
	pack_lane(&packed, FUZZ_CONTROL, fake_control(&f), f.control_data);
	for (uint32_t i = 0; i < LANES; i++)
		pack_lane(&packed, (uint8_t)(FUZZ_LANES * LANES + i), fake_lane(&f, i),
			  f.lane_data);
	pack_lane(&packed, FUZZ_SAMPLER, fake_sampler(&f), f.lane_data);
	fake_destroy(&f);
	return packed.full ? 0 : packed.used;
}
