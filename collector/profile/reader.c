/* SPDX-License-Identifier: MIT */
/*
 * reader.c - see reader.h: walks over the chunks of a file, hands out its samples.
 *
 * A damaged chunk is left out. What follows it is still taken, up to the first
 * definition that continues ids which were in the damaged chunk: behind a gap no id
 * can be trusted, so there the file ends for us. Samples are decoded once when the
 * file is opened, so that a chunk is counted and handed out whole or not at all.
 */
#include "profile/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "profile/chunk.h"
#include "profile/groups.h"
#include "profile/reader_i.h"
#include "profile/samples.h"

static bool row_is_valid(const struct pln_profile *p, const struct pln_sample_row *row)
{
	return row->thread < p->thread_count &&
	       (row->stack == PLN_NONE || row->stack < p->stack_count) &&
	       row->cause <= PILLION_CAUSE_EXIT && row->gil <= PILLION_GIL_WAITS;
}

static void see_time(struct pln_profile *p, uint64_t time_ns)
{
	if (time_ns > p->recording.end_ns)
		p->recording.end_ns = time_ns;
}

/* Takes the chunk at `offset` when each of its rows makes sense. */
static enum pln_load_result load_samples(struct pln_reader *r, uint64_t offset)
{
	struct pln_profile *p = &r->profile;
	struct pln_sample_decoder d;
	uint64_t rows = pln_samples_begin(&d, r->unpacker.payload, r->unpacker.payload_size);
	const struct pln_sample_row *row;
	uint64_t newest = 0;

	while ((row = pln_samples_next(&d))) {
		if (!row_is_valid(p, row))
			return PLN_LOAD_WRONG;
		if (row->time_ns > newest)
			newest = row->time_ns;
	}
	if (d.failed)
		return PLN_LOAD_WRONG;
	if (!pln_reader_grow(&r->chunks, r->chunk_count, sizeof(*r->chunks)))
		return PLN_LOAD_MEMORY;
	r->chunks[r->chunk_count++] = (struct pln_sample_chunk){ offset, rows };
	p->sample_count += rows;
	see_time(p, newest);
	return PLN_LOAD_OK;
}

static enum pln_load_result load_chunk(struct pln_reader *r, uint64_t offset)
{
	const struct pln_unpacker *u = &r->unpacker;

	if (u->header.type == PILLION_CHUNK_SAMPLES)
		return load_samples(r, offset);
	return pln_reader_load(r, u->header.type, pln_decoder_of(u->payload, u->payload_size));
}

/* What the start of a file that is no whole FILE chunk says about it. */
static int judge_start(const struct pln_reader *r)
{
	const uint32_t magic = PILLION_FILE_MAGIC;
	uint32_t start = 0;
	ssize_t got = pread(r->unpacker.fd, &start, sizeof(start), 0);

	if (got < 0)
		return PLN_OPEN_IO;
	return memcmp(&start, &magic, (size_t)got) ? PLN_OPEN_FOREIGN : PLN_OPEN_EMPTY;
}

static int open_error(enum pln_chunk_status status, enum pln_load_result result)
{
	if (status == PLN_CHUNK_FAILED)
		return errno == ENOMEM ? PLN_OPEN_MEMORY : PLN_OPEN_IO;
	if (result == PLN_LOAD_MEMORY)
		return PLN_OPEN_MEMORY;
	return result == PLN_LOAD_NEWER ? PLN_OPEN_NEWER : PLN_OPEN_OK;
}

/* The FILE chunk. Sets *end behind it. */
static int load_start(struct pln_reader *r, uint64_t *end)
{
	enum pln_chunk_status status = pln_unpacker_read(&r->unpacker, 0, r->profile.file_size);
	enum pln_load_result result = PLN_LOAD_WRONG;
	int err;

	if (!status && r->unpacker.header.type == PILLION_CHUNK_FILE)
		result = load_chunk(r, 0);
	err = open_error(status, result);
	if (!err && (status || result))
		err = judge_start(r);
	*end = sizeof(r->unpacker.header) + r->unpacker.header.stored_size;
	return err;
}

/* Everything behind the FILE chunk, as far as it can be taken. */
static int load_rest(struct pln_reader *r, uint64_t offset)
{
	struct pln_profile *p = &r->profile;

	while (offset < p->file_size) {
		enum pln_chunk_status status =
			pln_unpacker_read(&r->unpacker, offset, p->file_size);
		enum pln_load_result result = PLN_LOAD_OK;
		uint64_t size = sizeof(r->unpacker.header) + r->unpacker.header.stored_size;

		if (status == PLN_CHUNK_WHOLE)
			result = load_chunk(r, offset);
		if (open_error(status, result))
			return open_error(status, result);
		if (status == PLN_CHUNK_CUT || result == PLN_LOAD_GAP)
			break;
		if (status == PLN_CHUNK_DAMAGED || result)
			p->bad_bytes += size;
		offset += size;
	}
	p->recording.truncated = offset < p->file_size;
	p->bad_bytes += p->file_size - offset;
	return PLN_OPEN_OK;
}

static int see_thread(const struct pln_sample_row *row, void *arg)
{
	struct pln_thread *thread = &((struct pln_profile *)arg)->threads[row->thread];

	if (!thread->exited && row->time_ns > thread->seen_ns)
		thread->seen_ns = row->time_ns;
	return 0;
}

/*
 * The newest times anywhere in the file: there may be no END chunk. Of a thread that only waits,
 * samples are written, but its clocks not before the end.
 */
static void find_end(struct pln_profile *p)
{
	if (!p->recording.complete)
		(void)pln_profile_each_sample(p, see_thread, p);
	for (size_t i = 0; i < p->process_count; i++)
		see_time(p, p->processes[i].end_ns);
	for (size_t i = 0; i < p->thread_count; i++)
		see_time(p, p->threads[i].seen_ns);
	see_time(p, p->recording.start_ns);
}

static uint32_t process_of_label(size_t label, const void *profile)
{
	return ((const struct pln_profile *)profile)->labels[label].process;
}

/* A collector writes those of a process together; what else wrote the file need not have. */
static bool order_labels(struct pln_profile *p)
{
	struct pln_label *labels = malloc((p->label_count + 1) * sizeof(*labels));
	struct pln_groups groups = { 0 };

	if (!labels ||
	    pln_groups_make(&groups, p->process_count, p->label_count, process_of_label, p)) {
		free(labels);
		return false;
	}
	for (size_t i = 0; i < p->label_count; i++)
		labels[i] = p->labels[groups.items[i]];
	free(p->labels);
	p->labels = labels;
	p->first_label = groups.first;
	groups.first = NULL;
	pln_groups_free(&groups);
	return true;
}

static int load_all(struct pln_reader *r, bool no_symbolize)
{
	uint64_t offset;
	struct stat st;
	int err;

	if (fstat(r->unpacker.fd, &st))
		return PLN_OPEN_IO;
	if (S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		return PLN_OPEN_IO;
	}
	r->profile.file_size = (uint64_t)st.st_size;
	r->profile.recording.exit_status = -1;
	r->texts = pln_intern_new();
	if (!r->texts)
		return PLN_OPEN_MEMORY;
	err = load_start(r, &offset);
	if (!err)
		err = load_rest(r, offset);
	if (err)
		return err;
	find_end(&r->profile);
	if (!order_labels(&r->profile) || !pln_reader_resolve(r, no_symbolize))
		return PLN_OPEN_MEMORY;
	return PLN_OPEN_OK;
}

int pln_profile_open(struct pln_profile **profile, const char *path, bool no_symbolize)
{
	struct pln_reader *r = calloc(1, sizeof(*r));
	int err = PLN_OPEN_IO;

	if (!r)
		return PLN_OPEN_MEMORY;
	/* Not blocking: a FIFO would wait for somebody to write into it. */
	r->unpacker.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (r->unpacker.fd >= 0)
		err = load_all(r, no_symbolize);
	if (err) {
		int saved = errno;

		pln_profile_close(&r->profile);
		errno = saved;
		return err;
	}
	*profile = &r->profile;
	return PLN_OPEN_OK;
}

static struct pln_reader *reader_of(struct pln_profile *profile)
{
	return (struct pln_reader *)profile;
}

int pln_profile_each_sample(struct pln_profile *profile,
			    int (*fn)(const struct pln_sample_row *row, void *arg), void *arg)
{
	struct pln_reader *r = reader_of(profile);

	for (size_t i = 0; i < r->chunk_count; i++) {
		struct pln_unpacker *u = &r->unpacker;
		const struct pln_sample_row *row;
		struct pln_sample_decoder d;
		int stop;

		/* It was whole when the file was opened; somebody may have changed it since. */
		if (pln_unpacker_read(u, r->chunks[i].offset, profile->file_size))
			continue;
		pln_samples_begin(&d, u->payload, u->payload_size);
		while ((row = pln_samples_next(&d))) {
			if (!row_is_valid(profile, row))
				break;
			stop = fn(row, arg);
			if (stop)
				return stop;
		}
	}
	return 0;
}

void pln_profile_close(struct pln_profile *profile)
{
	struct pln_reader *r = reader_of(profile);

	if (!r)
		return;
	if (r->unpacker.fd >= 0)
		close(r->unpacker.fd);
	pln_unpacker_free(&r->unpacker);
	pln_intern_free(r->texts);
	pln_buffer_free(&r->text);
	free(r->chunks);
	free(r->strings);
	free(r->found);
	free(r->found_locations);
	free(profile->processes);
	free(profile->threads);
	free(profile->modules);
	free(profile->functions);
	free(profile->frames);
	free(profile->stacks);
	free(profile->notes);
	free(profile->labels);
	free(profile->first_label);
	free(profile->blocks);
	free(profile->heap_points);
	free(profile->frame_first_location);
	free(profile->locations);
	free(r);
}
