/* SPDX-License-Identifier: MIT */
/*
 * dwarf_object.c - libdwarf reading through our ELF files.
 *
 * libdwarf can open files by itself, but then it follows debug links on its own, reads
 * no zstd, and trusts its own ELF parser. Handing it the sections keeps one opinion on
 * what the file is, and hands over only the sections that are needed.
 */
#include "symbols/dwarf_i.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* More than this in one file, and it is named by its symbol table alone. */
#define DWARF_MAX_BYTES ((uint64_t)4 << 30)

#define SECTIONS_MAX 16

#ifdef DW_LIBDWARF_VERSION
typedef Dwarf_Obj_Access_Interface_a interface_type;
typedef Dwarf_Obj_Access_Methods_a methods_type;
typedef Dwarf_Obj_Access_Section_a section_type;
typedef Dwarf_Unsigned index_type;
#else
typedef Dwarf_Obj_Access_Interface interface_type;
typedef Dwarf_Obj_Access_Methods methods_type;
typedef Dwarf_Obj_Access_Section section_type;
typedef Dwarf_Half index_type;
#endif

struct object_section {
	const char *name;
	Elf_Scn *section;
	GElf_Shdr header;
	uint64_t size;
	struct pln_content content;
};

struct pln_dwarf_object {
	struct pln_elf *file;
	struct object_section sections[SECTIONS_MAX]; /* [0] is the empty one, as in ELF */
	unsigned count;
	uint64_t total_size;
	interface_type interface;
};

/* In the order of DWARF's own list. Frames, locations and macros are of no use here. */
static const char *const wanted_sections[] = {
	".debug_info",	 ".debug_abbrev",   ".debug_line", ".debug_str",	 ".debug_line_str",
	".debug_ranges", ".debug_rnglists", ".debug_addr", ".debug_str_offsets",
};

static int get_section_info(void *arg, index_type index, section_type *info, int *error)
{
	struct pln_dwarf_object *object = arg;

	(void)error;
	if (index >= object->count)
		return DW_DLV_NO_ENTRY;
	memset(info, 0, sizeof(*info));
#ifdef DW_LIBDWARF_VERSION
	info->as_name = object->sections[index].name;
	info->as_type = index ? SHT_PROGBITS : SHT_NULL;
	info->as_size = object->sections[index].size;
#else
	info->name = object->sections[index].name;
	info->type = index ? SHT_PROGBITS : SHT_NULL;
	info->size = object->sections[index].size;
#endif
	return DW_DLV_OK;
}

static int load_section(void *arg, index_type index, Dwarf_Small **data, int *error)
{
	struct pln_dwarf_object *object = arg;
	struct object_section *section;

	if (!index || index >= object->count)
		return DW_DLV_NO_ENTRY;
	section = &object->sections[index];
	if (!section->content.data &&
	    pln_elf_content(object->file, section->section, &section->header, UINT64_MAX,
			    &section->content)) {
		*error = DW_DLE_MDE;
		return DW_DLV_ERROR;
	}
	*data = (Dwarf_Small *)section->content.data;
	return DW_DLV_OK;
}

static Dwarf_Unsigned get_section_count(void *arg)
{
	return ((struct pln_dwarf_object *)arg)->count;
}

static Dwarf_Small get_eight(void *arg)
{
	(void)arg;
	return 8;
}

#ifdef DW_LIBDWARF_VERSION
static Dwarf_Small get_byte_order(void *arg)
{
	(void)arg;
	return DW_END_little;
}

/* libdwarf refuses sections larger than the file; unpacked ones may be. */
static Dwarf_Unsigned get_file_size(void *arg)
{
	return ((struct pln_dwarf_object *)arg)->total_size;
}

static const methods_type methods = {
	.om_get_section_info = get_section_info,
	.om_get_byte_order = get_byte_order,
	.om_get_length_size = get_eight,
	.om_get_pointer_size = get_eight,
	.om_get_filesize = get_file_size,
	.om_get_section_count = get_section_count,
	.om_load_section = load_section,
};
#else
static Dwarf_Endianness get_byte_order(void *arg)
{
	(void)arg;
	return DW_OBJECT_LSB;
}

static const methods_type methods = {
	.get_section_info = get_section_info,
	.get_byte_order = get_byte_order,
	.get_length_size = get_eight,
	.get_pointer_size = get_eight,
	.get_section_count = get_section_count,
	.load_section = load_section,
};
#endif

static void add_section(struct pln_dwarf_object *object, const char *name)
{
	struct object_section *section = &object->sections[object->count];
	char packed_name[32] = ".z";

	section->section = pln_elf_section(object->file, name, &section->header);
	if (!section->section) {
		strncat(packed_name, name + 1, sizeof(packed_name) - 3);
		section->section = pln_elf_section(object->file, packed_name, &section->header);
	}
	if (!section->section || section->header.sh_type == SHT_NOBITS)
		return;
	section->name = name;
	section->size = pln_elf_content_size(object->file, section->section, &section->header);
	object->total_size += section->size;
	object->count++;
}

static struct pln_dwarf_object *object_new(struct pln_elf *file)
{
	struct pln_dwarf_object *object = calloc(1, sizeof(*object));

	if (!object)
		return NULL;
	object->file = file;
	object->sections[0].name = "";
	object->count = 1;
	for (size_t i = 0; i < sizeof(wanted_sections) / sizeof(wanted_sections[0]); i++)
		add_section(object, wanted_sections[i]);
	/* A field of 0.x is called ai_object, of 20210528 object: both are the first. */
	object->interface = (interface_type){ object, &methods };
	return object;
}

static int open_object(struct pln_dwarf_session *session, struct pln_elf *file,
		       struct pln_dwarf_object **object, Dwarf_Debug *dbg)
{
	*object = object_new(file);
	if (!*object)
		return -ENOMEM;
	if ((*object)->total_size > DWARF_MAX_BYTES)
		return -EFBIG;
	if (!pln_dwarf_ok(session, dwarf_object_init_b(&(*object)->interface, NULL, NULL,
						       DW_GROUPNUMBER_ANY, dbg, &session->error)))
		return -EBADMSG;
	return 0;
}

int pln_dwarf_session_open(struct pln_dwarf_session *session, struct pln_elf *file,
			   struct pln_elf *alt)
{
	int rc;

	dwarf_set_de_alloc_flag(0);
	*session = (struct pln_dwarf_session){
		.code_low = file->code_low,
		.code_high = file->code_high,
	};
	rc = open_object(session, file, &session->object, &session->dbg);
	if (rc || !alt)
		return rc;
	rc = open_object(session, alt, &session->alt_object, &session->alt);
	if (rc)
		return rc;
	pln_dwarf_ok(session, dwarf_set_tied_dbg(session->dbg, session->alt, &session->error));
	return 0;
}

uint64_t pln_dwarf_session_size(const struct pln_dwarf_session *session)
{
	uint64_t size = session->object->total_size;

	return session->alt_object ? size + session->alt_object->total_size : size;
}

const uint8_t *pln_dwarf_section(struct pln_dwarf_session *session, const char *name, size_t *size)
{
	struct pln_dwarf_object *object = session->object;
	Dwarf_Small *data;
	int error;

	for (unsigned i = 1; i < object->count; i++) {
		if (strcmp(object->sections[i].name, name) != 0 ||
		    load_section(object, (index_type)i, &data, &error) != DW_DLV_OK)
			continue;
		*size = object->sections[i].content.size;
		return data;
	}
	return NULL;
}
