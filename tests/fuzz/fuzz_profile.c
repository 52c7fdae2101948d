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
#include "profile/chunk.h"
#include "report/report.h"

enum { HEADER = 3, VIEWS = PLN_VIEW_LEAKS + 1 };

static bool write_chunks(int fd, const uint8_t *data, size_t size)
{
	struct pln_packer packer = { .zstd = NULL };
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
	pln_packer_free(&packer);
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

static bool export_all(const struct pln_export *export, FILE *out)
{
	bool ok = true;

	for (const struct pln_export_format *f = pln_export_formats; f->name && ok; f++)
		ok = f->scope == PLN_EXPORT_COUNTS || !f->write(export, out);
	return ok;
}

static bool show(struct pln_profile *profile, const struct pln_report_options *options, FILE *out)
{
	struct pln_screen screen = { .out = out, .width = 60 + (unsigned)options->view % 4 * 30 };
	struct pln_report report;
	bool ok = !pln_report_build(&report, profile, "fuzz", options);

	if (ok) {
		struct pln_export export = { .profile = profile,
					     .aggregate = &report.aggregate,
					     .name = "fuzz",
					     .view = options->view,
					     .by_line = options->view & 1 };

		pln_report_print_text(&report, &screen);
		pln_report_print_json(&report, out);
		pln_info_print_text(&report, &screen);
		pln_info_print_json(&report, out);
		if (!pln_view_is_heap(options->view))
			ok = export_all(&export, out);
	}
	pln_report_free(&report);
	return ok;
}

bool fuzz_profile(const uint8_t *data, size_t size)
{
	struct pln_report_options options = { .limit = 10 };
	int fd = memfd_create("fuzz", 0);
	FILE *out = fopen("/dev/null", "w");
	struct pln_profile *profile;
	char path[64];
	bool ok = fd >= 0 && out && write_chunks(fd, data, size);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (ok && pln_profile_open(&profile, path, true) == PLN_OPEN_OK) {
		options.view = size % VIEWS;
		options.part = size / VIEWS % 3;
		options.sort = size / VIEWS / 3 % 3;
		ok = ids_are_right(profile) && show(profile, &options, out);
		pln_profile_close(profile);
	}
	if (out)
		fclose(out);
	close(fd);
	return ok;
}
