/* SPDX-License-Identifier: MIT */
/*
 * fuzz_profile.c - from a file that anybody may have made to everything that is shown of it.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "export/export.h"
#include "html/html.h"
#include "profile/chunk.h"
#include "report/report.h"

enum { HEADER = 3, VIEWS = PLN_VIEW_LEAKS + 1 };

static bool write_chunks(int fd, const uint8_t *data, size_t size)
{
	static struct pln_packer packer; /* its compressor takes longer to make than to use */
	bool ok = true;

	while (ok && size > HEADER) {
		size_t payload = data[1] | (size_t)data[2] << 8;

		if (payload > size - HEADER)
			payload = size - HEADER;
		ok = !pln_packer_pack(&packer, data[0], data + HEADER, payload) &&
		     write(fd, packer.out.data, packer.out.size) == (ssize_t)packer.out.size;
		data += HEADER + payload;
		size -= HEADER + payload;
	}
	return ok;
}

size_t fuzz_profile_pack(uint8_t *out, size_t room, const char *path)
{
	struct pln_unpacker u = { .fd = open(path, O_RDONLY) };
	struct stat st;
	uint64_t at = 0;
	size_t used = 0;

	if (u.fd < 0 || fstat(u.fd, &st))
		return 0;
	while (pln_unpacker_read(&u, at, (uint64_t)st.st_size) == PLN_CHUNK_WHOLE) {
		if (u.payload_size > UINT16_MAX || used + HEADER + u.payload_size > room)
			break;
		out[used] = (uint8_t)u.header.type;
		out[used + 1] = (uint8_t)u.payload_size;
		out[used + 2] = (uint8_t)(u.payload_size >> 8);
		memcpy(out + used + HEADER, u.payload, u.payload_size);
		used += HEADER + u.payload_size;
		at += sizeof(u.header) + u.header.stored_size;
	}
	pln_unpacker_free(&u);
	close(u.fd);
	return at == (uint64_t)st.st_size ? used : 0;
}

/* ------------------------------------------------------------------- reading */

struct rows {
	const struct pln_profile *profile;
	uint64_t count;
	bool ok;
};

static int check_row(const struct pln_sample_row *row, void *arg)
{
	struct rows *rows = arg;
	const struct pln_profile *p = rows->profile;

	rows->count++;
	rows->ok &= row->stack == PLN_NONE || row->stack < p->stack_count;
	return 0;
}

static bool ids_are_right(struct pln_profile *p)
{
	struct rows rows = { p, 0, true };

	for (size_t i = 0; i < p->stack_count; i++)
		if ((p->stacks[i].parent != PLN_NONE && p->stacks[i].parent >= i) ||
		    p->stacks[i].frame >= p->frame_count)
			return false;
	for (size_t i = 0; i < p->frame_count; i++)
		if (p->frame_first_location[i] >= p->frame_first_location[i + 1])
			return false;
	for (size_t i = 0; i < p->location_count; i++)
		if (p->locations[i].function >= p->function_count)
			return false;
	for (size_t i = 0; i < p->thread_count; i++)
		if (p->threads[i].process >= p->process_count)
			return false;
	for (size_t i = 0; i < p->block_count; i++)
		if (p->blocks[i].thread >= p->thread_count ||
		    (p->blocks[i].stack != PLN_NONE && p->blocks[i].stack >= p->stack_count))
			return false;
	for (size_t i = 0; i < p->heap_point_count; i++)
		if (p->heap_points[i].process >= p->process_count)
			return false;
	return !pln_profile_each_sample(p, check_row, &rows) && rows.ok &&
	       rows.count == p->sample_count;
}

/* ------------------------------------------------------------------- showing */

/* One thing is shown of a profile: all of them take ten times as long. Behind them, the formats. */
enum { SHOW_REPORT, SHOW_REPORT_JSON, SHOW_INFO, SHOW_INFO_JSON, SHOWN };

struct question {
	struct pln_report_options options;
	unsigned shown;
	bool page; /* as well */
};

static unsigned count_formats(void)
{
	unsigned count = 0;

	while (pln_export_formats[count].name)
		count++;
	return count;
}

/* By the size of the input: bytes that change keep the question, and each size has another. */
static struct question choose_question(size_t size)
{
	uint64_t mixed = (uint64_t)size * 0x9e3779b97f4a7c15u >> 32;
	struct question q = { .options.limit = 10 };

	q.shown = mixed % (SHOWN + count_formats());
	mixed /= SHOWN + count_formats();
	q.options.view = mixed % VIEWS;
	mixed /= VIEWS;
	q.options.part = mixed % 3;
	q.options.sort = mixed / 3 % 3;
	q.page = mixed / 9 % 4 == 0;
	return q;
}

static bool show_report(struct pln_profile *profile, const struct question *q, FILE *out)
{
	struct pln_screen screen = { .out = out, .width = 60 + (unsigned)q->options.view % 4 * 30 };
	struct pln_report report;
	bool ok = !pln_report_build(&report, profile, "fuzz", &q->options);

	if (ok && q->shown == SHOW_REPORT)
		pln_report_print_text(&report, &screen);
	else if (ok && q->shown == SHOW_REPORT_JSON)
		pln_report_print_json(&report, out);
	else if (ok && q->shown == SHOW_INFO)
		pln_info_print_text(&report, &screen);
	else if (ok)
		pln_info_print_json(&report, out);
	pln_report_free(&report);
	return ok;
}

/* As `pillion export` does: what has nothing in it, or is of time alone, is not asked for. */
static bool export_memory(struct pln_export *export, const struct pln_export_format *format,
			  const struct question *q, FILE *out)
{
	struct pln_export_blocks blocks = { .sum = 0 };
	bool ok = !pln_export_blocks_sum(&blocks, export->aggregate,
					 q->options.view - PLN_VIEW_ALLOCATED, q->options.part & 1);

	if (ok && blocks.sum) {
		export->view = PLN_VIEW_CPU;
		export->blocks = &blocks;
		export->aggregate = &blocks.aggregate;
		ok = !format->write(export, out);
	}
	pln_export_blocks_free(&blocks);
	return ok;
}

static bool export_profile(struct pln_profile *profile, const struct question *q, FILE *out)
{
	const struct pln_export_format *format = &pln_export_formats[q->shown - SHOWN];
	struct pln_aggregate kept;
	struct pln_export export = { .profile = profile,
				     .aggregate = &kept,
				     .name = "fuzz",
				     .filter = &q->options.filter,
				     .annotate = q->options.sort & 1,
				     .by_line = q->options.part & 1 };
	bool of_memory = pln_view_is_heap(q->options.view);
	bool ok = !pln_aggregate_samples(&kept, profile, &q->options.filter);

	if (ok && of_memory && format->scope <= PLN_EXPORT_TIMES) {
		if (format->scope != PLN_EXPORT_TIME_VIEW && q->options.view != PLN_VIEW_LEAKS)
			ok = export_memory(&export, format, q, out);
	} else if (ok) {
		export.view = of_memory ? PLN_VIEW_CPU : q->options.view;
		ok = !format->write(&export, out);
	}
	pln_aggregate_free(&kept);
	return ok;
}

/* What the page of `pillion html` is told. No file is read for it, and none is made of nothing. */
static bool make_page(struct pln_profile *profile)
{
	const struct pln_report_options of_page = { .view = PLN_VIEW_CPU };
	const struct pln_html_options options = { .no_source = true };
	struct pln_buffer data = { 0 };
	struct pln_report report;
	bool ok = !pln_report_build(&report, profile, "fuzz", &of_page);

	if (ok && (report.aggregate.quality.samples || report.heap.samples))
		ok = !pln_html_data(&data, &report, &options);
	pln_buffer_free(&data);
	pln_report_free(&report);
	return ok;
}

static bool show(struct pln_profile *profile, const struct question *q, FILE *out)
{
	if (q->page && !make_page(profile))
		return false;
	return q->shown < SHOWN ? show_report(profile, q, out) : export_profile(profile, q, out);
}

/* Nobody reads it. */
static FILE *sink(void)
{
	static FILE *out;

	if (!out)
		out = fopen("/dev/null", "we");
	if (!out)
		abort();
	return out;
}

bool fuzz_profile(const uint8_t *data, size_t size)
{
	struct question question = choose_question(size);
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct pln_profile *profile;
	char path[64];
	bool ok = fd >= 0 && write_chunks(fd, data, size);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (ok && pln_profile_open(&profile, path, true) == PLN_OPEN_OK) {
		ok = ids_are_right(profile) && show(profile, &question, sink());
		pln_profile_close(profile);
	}
	close(fd);
	return ok;
}
