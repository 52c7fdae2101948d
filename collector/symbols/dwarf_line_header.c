/* SPDX-License-Identifier: MIT */
/*
 * dwarf_line_header.c - what comes before the program: how to read it, and its files.
 *
 * Up to DWARF 4 the tables of directories and files are fixed; since 5 each says first
 * which fields its entries have, in which forms.
 */
#include "symbols/dwarf_line_i.h"

#include <errno.h>

/* DWARF 5 describes an entry with five fields at most; more is damage. */
#define FIELDS_MAX 16

struct entry_format {
	struct {
		uint64_t content;
		uint64_t form;
	} fields[FIELDS_MAX];
	unsigned count;
};

struct line_sections {
	struct pln_reader lines;
	struct pln_reader strings; /* .debug_str */
	struct pln_reader line_strings; /* .debug_line_str */
};

static const char *string_at(struct pln_reader section, uint64_t offset)
{
	if (!section.at)
		return "";
	pln_reader_skip(&section, offset);
	return pln_read_string(&section);
}

static struct pln_reader open_section(struct pln_dwarf_session *session, const char *name)
{
	struct pln_reader reader = { 0 };
	size_t size;

	reader.at = pln_dwarf_section(session, name, &size);
	reader.end = reader.at ? reader.at + size : NULL;
	return reader;
}

static int add_directory(struct pln_line_header *header, const char *name)
{
	return pln_array_append(&header->directories, &name, sizeof(name));
}

static int add_file(struct pln_line_header *header, const char *name, uint64_t directory)
{
	struct pln_line_file file = { name, directory };

	return pln_array_append(&header->files, &file, sizeof(file));
}

/* Both tables end with an empty name. */
static int read_tables_4(struct pln_line_header *header, struct pln_reader *reader)
{
	int rc = add_directory(header, "");

	while (!rc && reader->at < reader->end && *reader->at)
		rc = add_directory(header, pln_read_string(reader));
	pln_reader_skip(reader, 1);
	while (!rc && reader->at < reader->end && *reader->at) {
		const char *name = pln_read_string(reader);

		rc = add_file(header, name, pln_read_uleb(reader));
		pln_read_uleb(reader); /* time */
		pln_read_uleb(reader); /* size */
	}
	return rc;
}

static bool read_format(struct pln_reader *reader, struct entry_format *format)
{
	format->count = (unsigned)pln_read_fixed(reader, 1);
	if (format->count > FIELDS_MAX)
		return false;
	for (unsigned i = 0; i < format->count; i++) {
		format->fields[i].content = pln_read_uleb(reader);
		format->fields[i].form = pln_read_uleb(reader);
	}
	return true;
}

/* One field; false for a form that does not belong here. */
static bool read_field(const struct line_sections *sections, struct pln_reader *reader,
		       unsigned offset_size, uint64_t form, const char **string, uint64_t *number)
{
	switch (form) {
	case DW_FORM_string:
		*string = pln_read_string(reader);
		return true;
	case DW_FORM_line_strp:
		*string = string_at(sections->line_strings, pln_read_fixed(reader, offset_size));
		return true;
	case DW_FORM_strp:
		*string = string_at(sections->strings, pln_read_fixed(reader, offset_size));
		return true;
	case DW_FORM_udata:
		*number = pln_read_uleb(reader);
		return true;
	case DW_FORM_data1:
		*number = pln_read_fixed(reader, 1);
		return true;
	case DW_FORM_data2:
		*number = pln_read_fixed(reader, 2);
		return true;
	case DW_FORM_data4:
		*number = pln_read_fixed(reader, 4);
		return true;
	case DW_FORM_data8:
		*number = pln_read_fixed(reader, 8);
		return true;
	case DW_FORM_data16:
		pln_reader_skip(reader, 16);
		return true;
	case DW_FORM_block:
		pln_reader_skip(reader, pln_read_uleb(reader));
		return true;
	default:
		return false;
	}
}

/* The table of directories, or of files. */
static int read_table_5(struct pln_line_header *header, const struct line_sections *sections,
			struct pln_reader *reader, bool of_files)
{
	struct entry_format format;
	uint64_t count;
	int rc = 0;

	if (!read_format(reader, &format))
		return -EBADMSG;
	count = pln_read_uleb(reader);
	for (uint64_t i = 0; !rc && i < count && reader->at < reader->end; i++) {
		const char *name = "";
		uint64_t directory = 0;

		for (unsigned j = 0; j < format.count; j++) {
			bool is_path = format.fields[j].content == DW_LNCT_path;
			bool is_directory = format.fields[j].content == DW_LNCT_directory_index;
			const char *string = "";
			uint64_t number = 0;

			if (!read_field(sections, reader, header->offset_size,
					format.fields[j].form, &string, &number))
				return -EBADMSG;
			name = is_path ? string : name;
			directory = is_directory ? number : directory;
		}
		rc = of_files ? add_file(header, name, directory) : add_directory(header, name);
	}
	return rc;
}

static int read_tables(struct pln_line_header *header, const struct line_sections *sections,
		       struct pln_reader *reader)
{
	int rc;

	if (header->version < 5)
		return read_tables_4(header, reader);
	rc = read_table_5(header, sections, reader, false);
	return rc ? rc : read_table_5(header, sections, reader, true);
}

/* Up to the tables; false when it makes no sense. */
static bool read_start(struct pln_line_header *header, struct pln_reader *reader)
{
	uint64_t length = pln_read_fixed(reader, 4);

	header->offset_size = length == UINT32_MAX ? 8 : 4;
	if (length == UINT32_MAX)
		length = pln_read_fixed(reader, 8);
	if (length < (uint64_t)(reader->end - reader->at))
		reader->end = reader->at + length;
	header->version = (unsigned)pln_read_fixed(reader, 2);
	if (header->version < 2 || header->version > 5)
		return false;
	if (header->version >= 5)
		pln_reader_skip(reader, 2); /* sizes of address and segment */
	length = pln_read_fixed(reader, header->offset_size);
	header->program = *reader;
	pln_reader_skip(&header->program, length);
	header->instruction_size = pln_read_fixed(reader, 1);
	/* Operations per instruction, default_is_stmt. */
	pln_reader_skip(reader, header->version >= 4 ? 2 : 1);
	header->line_base = (int8_t)pln_read_fixed(reader, 1);
	header->line_range = (uint8_t)pln_read_fixed(reader, 1);
	header->opcode_base = (uint8_t)pln_read_fixed(reader, 1);
	header->operand_counts = reader->at;
	if (!header->line_range || !header->opcode_base ||
	    (size_t)(reader->end - reader->at) < header->opcode_base - 1u)
		return false;
	pln_reader_skip(reader, header->opcode_base - 1u);
	return true;
}

int pln_line_header_read(struct pln_dwarf_session *session, Dwarf_Die unit,
			 struct pln_line_header *header)
{
	struct line_sections sections = {
		.lines = open_section(session, ".debug_line"),
		.strings = open_section(session, ".debug_str"),
		.line_strings = open_section(session, ".debug_line_str"),
	};
	uint64_t offset;

	*header = (struct pln_line_header){ 0 };
	if (!sections.lines.at || !pln_die_offset(session, unit, DW_AT_stmt_list, &offset))
		return -ENOENT;
	pln_reader_skip(&sections.lines, offset);
	if (!read_start(header, &sections.lines))
		return -EBADMSG;
	return read_tables(header, &sections, &sections.lines);
}

void pln_line_header_free(struct pln_line_header *header)
{
	pln_array_free(&header->directories);
	pln_array_free(&header->files);
}
