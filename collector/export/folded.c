/* SPDX-License-Identifier: MIT */
/*
 * folded.c - "frame;frame;leaf count", root first.
 *
 * What all readers of the format agree on: one blank, an integer, no header. A semicolon
 * in a name becomes a colon, a control character a blank; and every name ends in ")", as a
 * name that ends in a number would be read as one more count. Counts are nanoseconds, or
 * bytes or blocks of memory.
 */
#include "export/export.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "profile/grow.h"
#include "report/calltree.h"
#include "report/names.h"

/* The path to the call being written; grows, never shrinks. */
struct path {
	char *text;
	size_t capacity;
	size_t *start; /* of the frame at each depth */
	size_t depth_capacity;
	bool failed; /* out of memory */
};

static bool reserve(struct path *path, size_t size)
{
	size_t capacity = path->capacity ? path->capacity : 4096;
	char *text;

	while (capacity < size)
		capacity *= 2;
	if (capacity == path->capacity)
		return true;
	text = realloc(path->text, capacity);
	path->failed |= !text;
	if (!text)
		return false;
	path->text = text;
	path->capacity = capacity;
	return true;
}

static size_t append(struct path *path, size_t at, const char *text)
{
	size_t size = strlen(text);

	/* A malformed byte becomes three. */
	if (!reserve(path, at + 3 * size + 1))
		return at;
	while (*text) {
		uint32_t c;
		unsigned bytes = pln_utf8_size(text, &c);

		if (!bytes) {
			memcpy(path->text + at, "\xef\xbf\xbd", 3);
			at += 3;
			text++;
			continue;
		}
		memcpy(path->text + at, text, bytes);
		if (c < 0x20 || c == 0x7f)
			path->text[at] = ' ';
		else if (c == ';')
			path->text[at] = ':';
		at += bytes;
		text += bytes;
	}
	return at;
}

/* What stands in brackets behind a name: file, file and line, or library. */
static const char *place_of(const struct pln_export *e, const struct pln_call *call, char *buffer,
			    size_t size)
{
	const struct pln_function *f = &e->profile->functions[call->function];
	const char *file = pln_short_file(f->file, e->profile->recording.working_directory);

	if (f->kind == PLN_FUNCTION_NATIVE)
		file = call->line ? pln_base_name(f->file) : f->module;
	if (!*file)
		file = f->kind == PLN_FUNCTION_NATIVE ? "native" : "python";
	if (call->line)
		snprintf(buffer, size, " (%s:%u)", file, call->line);
	else
		snprintf(buffer, size, " (%s)", file);
	return buffer;
}

/* Puts a call at its depth of the path; returns the path's size. */
static size_t push(const struct pln_export *e, struct path *path, const struct pln_call *call,
		   unsigned depth)
{
	char place[512];
	size_t at;

	if (!pln_grow(&path->start, &path->depth_capacity, depth + 1, sizeof(*path->start))) {
		path->failed = true;
		return 0;
	}
	if (!depth)
		path->start[0] = 0;
	at = path->start[depth];
	if (depth && reserve(path, at + 1))
		path->text[at++] = ';';
	at = append(path, at, pln_function_name(e->profile, call->function));
	if (call->function < e->profile->function_count) {
		bool python = e->profile->functions[call->function].kind == PLN_FUNCTION_PYTHON;

		at = append(path, at, place_of(e, call, place, sizeof(place)));
		if (e->annotate)
			at = append(path, at, python ? "_[py]" : "_[n]");
	}
	path->start[depth + 1] = at;
	return at;
}

static int write_paths(const struct pln_export *e, const struct pln_calltree *tree, FILE *out)
{
	struct path path = { .text = NULL };
	unsigned depth = 0;

	for (uint32_t c = tree->first_root; c != PLN_NONE && !path.failed;
	     c = pln_calltree_next(tree, c, &depth)) {
		const struct pln_call *call = &tree->calls[c];
		size_t size = push(e, &path, call, depth);

		if (!call->self.ns || path.failed)
			continue;
		fwrite(path.text, 1, size, out);
		fprintf(out, " %" PRIu64 "\n", call->self.ns);
	}
	free(path.text);
	free(path.start);
	return path.failed ? -ENOMEM : 0;
}

int pln_export_folded(const struct pln_export *export, FILE *out)
{
	struct pln_calltree tree;
	int err = pln_calltree_build(&tree, export->aggregate, export->view, export->by_line);

	if (!err)
		err = write_paths(export, &tree, out);
	pln_calltree_free(&tree);
	return err ? err : pln_export_flush(out);
}
