/* SPDX-License-Identifier: MIT */
/*
 * dwarf_lines.c - the line table of a unit: rows by address, and file names in full.
 *
 * The table is a list of sequences in no order; some belong to code that the linker
 * dropped. Those are left out, the others sorted, and rows that say the same as the
 * row before (half of them: the compiler marks statements and views) are joined.
 */
#include "symbols/dwarf_line_i.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* rows[first, last) of the table as read; the row at `last` ends the sequence. */
struct sequence {
	uint64_t start;
	uint64_t end;
	size_t first;
	size_t last;
};

struct line_table {
	struct pln_dwarf_session *session;
	struct pln_line_header header;
	struct pln_array raw; /* struct pln_dwarf_row, with the files' numbers */
	struct pln_array sequences;
	uint32_t first_file;
	uint32_t file_count; /* one more is in the message: the file without a name */
};

int pln_dwarf_add_string(struct pln_dwarf_message *message, const char *string, uint32_t *offset)
{
	struct pln_array *strings = &message->arrays[PLN_DWARF_STRINGS];

	*offset = 0;
	if (!string || !*string)
		return 0;
	if (strings->size > UINT32_MAX / 2)
		return -EFBIG;
	*offset = (uint32_t)strings->size;
	return pln_array_append(strings, string, strlen(string) + 1);
}

/*
 * Takes out "//", "/./" and "/x/.." in place, so that one file has one name. Symbolic
 * links are not known here; build trees do not climb out of them.
 */
static void clean(char *path)
{
	char *from = path, *to = path;

	while (*from) {
		size_t length = strcspn(from + (*from == '/'), "/") + (*from == '/');
		bool climbs = length == 3 && !memcmp(from, "/..", 3);

		if (*from == '/' && (length == 1 || (length == 2 && from[1] == '.'))) {
			from += length;
			continue;
		}
		if (climbs && to > path && strncmp(to - 2 < path ? path : to - 2, "..", 2) != 0) {
			do
				to--;
			while (to > path && *to != '/');
			from += length;
			continue;
		}
		memmove(to, from, length);
		to += length;
		from += length;
	}
	*to = '\0';
}

static const char *directory_of(const struct line_table *table, uint64_t index)
{
	const char *const *names = table->header.directories.data;

	return index < table->header.directories.size / sizeof(*names) ? names[index] : "";
}

/*
 * Directories of a file are relative to that of the compilation, which the unit names;
 * DWARF 5 names it again as directory 0.
 */
static char *full_name(const struct line_table *table, const char *compilation,
		       const struct pln_line_file *file)
{
	const char *directory = directory_of(table, file->directory);
	bool outer = file->name[0] != '/' && directory[0] != '/' && *compilation &&
		     (file->directory || !*directory);
	bool inner = file->name[0] != '/' && *directory;
	char *path;

	if (!*file->name)
		return strdup("");
	if (asprintf(&path, "%s%s%s%s%s", outer ? compilation : "", outer ? "/" : "",
		     inner ? directory : "", inner ? "/" : "", file->name) < 0)
		return NULL;
	clean(path);
	return path;
}

static int add_file(struct pln_dwarf_message *message, const char *path)
{
	uint32_t offset;
	int rc = path ? pln_dwarf_add_string(message, path, &offset) : -ENOMEM;

	return rc ? rc
		  : pln_array_append(&message->arrays[PLN_DWARF_FILES], &offset, sizeof(offset));
}

/* Full names, in the order of their numbers; then the file without a name. */
static int read_files(struct line_table *table, Dwarf_Die unit, struct pln_dwarf_message *message)
{
	const char *compilation = pln_die_string(table->session, unit, DW_AT_comp_dir);
	const struct pln_line_file *files = table->header.files.data;
	int rc = 0;

	table->file_count = (uint32_t)(table->header.files.size / sizeof(*files));
	for (uint32_t i = 0; !rc && i < table->file_count; i++) {
		char *path = full_name(table, compilation ? compilation : "", &files[i]);

		rc = add_file(message, path);
		free(path);
	}
	return rc ? rc : add_file(message, "");
}

static int find_sequences(struct line_table *table)
{
	const struct pln_dwarf_row *rows = table->raw.data;
	size_t first = 0;
	int rc = 0;

	for (size_t i = 0; !rc && i < table->raw.size / sizeof(*rows); i++) {
		struct sequence sequence = { rows[first].address, rows[i].address, first, i };

		if (rows[i].file != PLN_DWARF_NONE)
			continue;
		if (pln_dwarf_is_code(table->session, sequence.start, sequence.end))
			rc = pln_array_append(&table->sequences, &sequence, sizeof(sequence));
		first = i + 1;
	}
	return rc;
}

static int compare_sequences(const void *left, const void *right)
{
	const struct sequence *a = left, *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	if (a->end != b->end)
		return a->end > b->end ? -1 : 1;
	return (a->first > b->first) - (a->first < b->first);
}

/* From the number of a file to its place; what is not in the table has no name. */
static struct pln_dwarf_row numbered(const struct line_table *table, struct pln_dwarf_row row)
{
	row.file -= table->first_file;
	if (row.file > table->file_count)
		row.file = table->file_count;
	return row;
}

/* Appends a row, in place of one at the same address, unless it says nothing new. */
static int add_row(struct pln_array *rows, size_t start, struct pln_dwarf_row row)
{
	struct pln_dwarf_row *last;

	if (rows->size > start) {
		last = (struct pln_dwarf_row *)((char *)rows->data + rows->size) - 1;
		if (last->address == row.address)
			rows->size -= sizeof(row);
		else if (last->file == row.file && last->line == row.line)
			return 0;
	}
	return pln_array_append(rows, &row, sizeof(row));
}

static int add_sequence(const struct line_table *table, const struct sequence *sequence,
			struct pln_array *rows)
{
	const struct pln_dwarf_row *raw = table->raw.data;
	uint64_t last = sequence->start;
	size_t start = rows->size;
	int rc = 0;

	for (size_t i = sequence->first; !rc && i < sequence->last; i++) {
		/* Addresses only grow in a sequence; what does not is damaged. */
		if (raw[i].address < last || raw[i].address >= sequence->end)
			continue;
		last = raw[i].address;
		rc = add_row(rows, start, numbered(table, raw[i]));
	}
	return rc ? rc : pln_array_append(rows, &raw[sequence->last], sizeof(*raw));
}

static int sort_rows(struct line_table *table, struct pln_array *rows)
{
	const struct sequence *sequences;
	uint64_t covered = 0;
	size_t count;
	int rc = find_sequences(table);

	sequences = table->sequences.data;
	count = table->sequences.size / sizeof(*sequences);
	if (count)
		qsort(table->sequences.data, count, sizeof(*sequences), compare_sequences);
	for (size_t i = 0; !rc && i < count; i++) {
		/* Identical functions folded into one have a sequence each. */
		if (sequences[i].start < covered)
			continue;
		covered = sequences[i].end;
		rc = add_sequence(table, &sequences[i], rows);
	}
	return rc;
}

int pln_dwarf_read_lines(struct pln_dwarf_session *session, Dwarf_Die unit,
			 struct pln_dwarf_message *message, uint32_t *first_file)
{
	struct line_table table = { .session = session };
	int rc = pln_line_header_read(session, unit, &table.header);

	/* Numbers of files start at 0 since DWARF 5. */
	*first_file = table.first_file = table.header.version < 5;
	if (!rc)
		rc = read_files(&table, unit, message);
	if (!rc)
		rc = pln_line_program_run(&table.header, &table.raw);
	if (!rc)
		rc = sort_rows(&table, &message->arrays[PLN_DWARF_ROWS]);
	pln_line_header_free(&table.header);
	pln_array_free(&table.raw);
	pln_array_free(&table.sequences);
	/* A unit without lines, or with damaged ones, still has functions. */
	return rc == -ENOENT || rc == -EBADMSG ? 0 : rc;
}
