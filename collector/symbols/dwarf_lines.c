/* SPDX-License-Identifier: MIT */
/*
 * dwarf_lines.c - the line table of a unit: rows by address, and file names in full.
 *
 * The table is a list of sequences in no order; some belong to code that the linker
 * dropped. Those are left out, the others sorted, and rows that say the same as the
 * row before (half of them: the compiler marks statements and views) are joined.
 */
#include "symbols/dwarf_i.h"

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
	Dwarf_Line_Context context;
	Dwarf_Line *lines;
	Dwarf_Signed count;
	Dwarf_Signed first_file;
	Dwarf_Signed end_file;
	Dwarf_Unsigned version;
	const char *directory; /* of the compilation */
	struct pln_array sequences;
	struct pln_array unset; /* for each line: no file was set */
};

int pln_dwarf_add_string(struct pln_dwarf_message *message, const char *string, uint32_t *offset)
{
	struct pln_array *strings = &message->arrays[PLN_DWARF_STRINGS];
	int rc;

	*offset = 0;
	if (!string || !*string)
		return 0;
	if (strings->size > UINT32_MAX / 2)
		return -EFBIG;
	*offset = (uint32_t)strings->size;
	rc = pln_array_append(strings, string, strlen(string) + 1);
	return rc;
}

static const char *include_directory(struct line_table *table, Dwarf_Unsigned index)
{
	const char *name;

	/* Before DWARF 5, directory 0 is the compilation's own and not in the table. */
	if (table->version < 5 && !index)
		return "";
	if (!pln_dwarf_ok(table->session,
			  dwarf_srclines_include_dir_data(table->context, (Dwarf_Signed)index,
							  &name, &table->session->error)))
		return "";
	return name ? name : "";
}

/* Joins with one slash, from right to left, until the path is absolute. */
static char *join(const char *directory, const char *include, const char *name)
{
	char *path;
	int rc;

	if (name[0] == '/' || (!*include && !*directory))
		return strdup(name);
	if (!*include)
		rc = asprintf(&path, "%s/%s", directory, name);
	else if (include[0] == '/' || !*directory)
		rc = asprintf(&path, "%s/%s", include, name);
	else
		rc = asprintf(&path, "%s/%s/%s", directory, include, name);
	return rc < 0 ? NULL : path;
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

static int add_file(struct line_table *table, Dwarf_Signed number,
		    struct pln_dwarf_message *message)
{
	Dwarf_Unsigned directory = 0, time, size;
	Dwarf_Form_Data16 *md5;
	const char *name = NULL;
	uint32_t offset;
	char *path;
	int rc;

	if (!pln_dwarf_ok(table->session,
			  dwarf_srclines_files_data_b(table->context, number, &name, &directory,
						      &time, &size, &md5, &table->session->error)))
		name = NULL;
	path = join(table->directory, include_directory(table, directory), name ? name : "");
	if (!path)
		return -ENOMEM;
	clean(path);
	rc = pln_dwarf_add_string(message, name ? path : "", &offset);
	free(path);
	return rc ? rc
		  : pln_array_append(&message->arrays[PLN_DWARF_FILES], &offset, sizeof(offset));
}

static int read_files(struct line_table *table, struct pln_dwarf_message *message)
{
	struct pln_dwarf_session *session = table->session;
	Dwarf_Signed count;
	int rc = 0;

	table->directory = "";
	if (!pln_dwarf_ok(session, dwarf_srclines_comp_dir(table->context, &table->directory,
							   &session->error)) ||
	    !table->directory)
		table->directory = "";
	if (!pln_dwarf_ok(session,
			  dwarf_srclines_files_indexes(table->context, &table->first_file, &count,
						       &table->end_file, &session->error)))
		return 0;
	for (Dwarf_Signed i = table->first_file; !rc && i < table->end_file; i++)
		rc = add_file(table, i, message);
	return rc;
}

static uint64_t line_address(struct line_table *table, size_t i)
{
	Dwarf_Addr address;

	if (!pln_dwarf_ok(table->session,
			  dwarf_lineaddr(table->lines[i], &address, &table->session->error)))
		return 0;
	return address;
}

static bool line_ends(struct line_table *table, size_t i)
{
	Dwarf_Bool end;

	return !pln_dwarf_ok(table->session, dwarf_lineendsequence(table->lines[i], &end,
								   &table->session->error)) ||
	       end;
}

static int find_sequences(struct line_table *table)
{
	size_t first = 0;
	int rc = 0;

	for (size_t i = 0; !rc && i < (size_t)table->count; i++) {
		struct sequence sequence;

		if (!line_ends(table, i))
			continue;
		sequence = (struct sequence){ line_address(table, first), line_address(table, i),
					      first, i };
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

static struct pln_dwarf_row row_at(struct line_table *table, size_t i, uint64_t address)
{
	struct pln_dwarf_session *session = table->session;
	struct pln_dwarf_row row = { address, PLN_DWARF_NONE, 0 };
	Dwarf_Unsigned line, file;

	if (!pln_dwarf_ok(session, dwarf_line_srcfileno(table->lines[i], &file, &session->error)) ||
	    !pln_dwarf_ok(session, dwarf_lineno(table->lines[i], &line, &session->error)))
		return row;
	if (i < table->unset.size && ((uint8_t *)table->unset.data)[i])
		file = 1;
	if (file < (Dwarf_Unsigned)table->first_file || file >= (Dwarf_Unsigned)table->end_file)
		return row;
	row.file = (uint32_t)(file - (Dwarf_Unsigned)table->first_file);
	row.line = line > UINT32_MAX ? 0 : (uint32_t)line;
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

static int add_sequence(struct line_table *table, const struct sequence *sequence,
			struct pln_array *rows)
{
	struct pln_dwarf_row end = { sequence->end, PLN_DWARF_NONE, 0 };
	uint64_t last = sequence->start;
	size_t start = rows->size;
	int rc = 0;

	for (size_t i = sequence->first; !rc && i < sequence->last; i++) {
		uint64_t address = line_address(table, i);

		/* Addresses only grow in a sequence; what does not is damaged. */
		if (address < last || address >= sequence->end)
			continue;
		last = address;
		rc = add_row(rows, start, row_at(table, i, address));
	}
	return rc ? rc : pln_array_append(rows, &end, sizeof(end));
}

static int read_rows(struct line_table *table, struct pln_array *rows)
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
	pln_array_free(&table->sequences);
	return rc;
}

int pln_dwarf_read_lines(struct pln_dwarf_session *session, Dwarf_Die unit,
			 struct pln_dwarf_message *message, uint32_t *first_file)
{
	struct line_table table = { .session = session };
	Dwarf_Small tables;
	int rc;

	*first_file = 0;
	if (!pln_dwarf_ok(session, dwarf_srclines_b(unit, &table.version, &tables, &table.context,
						    &session->error)))
		return 0;
	rc = read_files(&table, message);
	*first_file = (uint32_t)table.first_file;
	if (!rc)
		rc = pln_dwarf_rows_without_file(session, unit, &table.unset);
	if (!rc && tables == 1 &&
	    pln_dwarf_ok(session, dwarf_srclines_from_linecontext(table.context, &table.lines,
								  &table.count, &session->error)))
		rc = read_rows(&table, &message->arrays[PLN_DWARF_ROWS]);
	dwarf_srclines_dealloc_b(table.context);
	pln_array_free(&table.unset);
	return rc;
}
