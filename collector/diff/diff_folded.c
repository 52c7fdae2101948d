/* SPDX-License-Identifier: MIT */
/*
 * diff_folded.c - both sides' stacks as the folded export writes them, and two counts behind each.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diff/diff.h"
#include "export/export.h"
#include "profile/grow.h"
#include "stacks/intern.h"

struct counts {
	uint64_t side[PLN_DIFF_SIDES];
};

struct paths {
	struct pln_intern *keys;
	struct counts *counts;
	size_t capacity;
};

static int write_side(const struct pln_report *r, char **text, size_t *size)
{
	const struct pln_export export = {
		.profile = r->profile,
		.aggregate = &r->aggregate,
		.view = r->options.view,
	};
	FILE *out = open_memstream(text, size);
	int err = out ? pln_export_folded(&export, out) : -ENOMEM;

	if (out && fclose(out) && !err)
		err = -ENOMEM;
	return err;
}

/* Keys are terminated; the path ends at `blank`, and its count is behind. */
static int add_path(struct paths *paths, unsigned side, const char *path, char *blank)
{
	uint64_t count = strtoull(blank, NULL, 10);
	bool is_new;
	uint32_t id;

	*blank = '\0';
	id = pln_intern_add(paths->keys, path, (size_t)(blank - path) + 1, &is_new);
	if (id == PLN_NONE)
		return -ENOMEM;
	if (!pln_grow(&paths->counts, &paths->capacity, id, sizeof(*paths->counts)))
		return -ENOMEM;
	if (is_new)
		paths->counts[id] = (struct counts){ .side = { 0, 0 } };
	paths->counts[id].side[side] += count;
	return 0;
}

/* Lines are "path count": the count is behind the last blank. */
static int add_side(struct paths *paths, unsigned side, const struct pln_report *r)
{
	char *text = NULL, *end;
	size_t size;
	int err = write_side(r, &text, &size);

	for (char *line = text; !err && line && (end = strchr(line, '\n')); line = end + 1) {
		char *blank = memrchr(line, ' ', (size_t)(end - line));

		if (blank)
			err = add_path(paths, side, line, blank);
	}
	free(text);
	return err;
}

/* What counts of A are multiplied by. */
static double scale_of(const struct pln_diff *diff)
{
	double a = diff->whole[PLN_DIFF_A].weight, b = diff->whole[PLN_DIFF_B].weight;

	return diff->options.absolute || a <= 0 || b <= 0 ? 1 : b / a;
}

static void write_paths(const struct pln_diff *diff, const struct paths *paths, FILE *out)
{
	double scale = scale_of(diff);

	for (uint32_t id = 0; id < pln_intern_count(paths->keys); id++) {
		const struct counts *c = &paths->counts[id];
		const char *path = pln_intern_key(paths->keys, id);
		uint64_t a = c->side[PLN_DIFF_A];
		double scaled = (double)a * scale;

		/* Unscaled counts may be larger than what a double tells apart. */
		if (scale != 1)
			a = scaled < 0x1p63 ? (uint64_t)llround(scaled) : UINT64_MAX;
		fprintf(out, "%s %" PRIu64 " %" PRIu64 "\n", path, a, c->side[PLN_DIFF_B]);
	}
}

int pln_diff_folded(const struct pln_diff *diff, FILE *out)
{
	struct paths paths = { .keys = pln_intern_new() };
	int err = paths.keys ? 0 : -ENOMEM;

	for (unsigned side = 0; side < PLN_DIFF_SIDES && !err; side++)
		err = add_side(&paths, side, diff->side[side]);
	if (!err)
		write_paths(diff, &paths, out);
	pln_intern_free(paths.keys);
	free(paths.counts);
	return err;
}
