/* SPDX-License-Identifier: MIT */
/*
 * code.c - see code.h.
 */
#include "annotate/code.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profile/grow.h"
#include "symbols/elf_file.h"
#include "symbols/symbols.h"

/* No function is that large; what a damaged table says may be. */
#define CODE_MAX_BYTES (16u << 20)
#define INLINED_MAX 64u

struct decoder {
	struct pln_code_place *place;
	struct pln_disassembler *disassembler;
	struct pln_intern *texts;
	struct pln_symbolizer *symbolizer;
	struct pln_symbol_file *file;
	size_t capacity;
};

const char *pln_code_text(struct pln_intern *texts, const char *text)
{
	uint32_t id = pln_intern_add(texts, text, strlen(text) + 1, NULL);

	return id == PLN_NONE ? NULL : pln_intern_key(texts, id);
}

const char *pln_code_error_text(int error)
{
	switch (error) {
	case -ENOTSUP:
		return pln_disassembler_missing();
	case -ESTALE:
		return "the file here is another build than the one that ran";
	case -ENOENT:
		return "the file is not on this machine";
	case -ENODATA:
		return "the file does not tell where the function starts and ends";
	case -ENOEXEC:
		return "it is no file that code could be read from";
	default:
		return strerror(-error);
	}
}

/* Where in the file the code at `address` is; *left bytes follow in its segment. */
static int find_code(const struct pln_elf *elf, uint64_t address, uint64_t *offset, uint64_t *left)
{
	size_t count;

	if (elf_getphdrnum(elf->elf, &count))
		return -ENOEXEC;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr header;

		if (!gelf_getphdr(elf->elf, (int)i, &header) || header.p_type != PT_LOAD ||
		    !(header.p_flags & PF_X) || address < header.p_vaddr ||
		    address - header.p_vaddr >= header.p_filesz)
			continue;
		*offset = header.p_offset + (address - header.p_vaddr);
		*left = header.p_filesz - (address - header.p_vaddr);
		return 0;
	}
	return -ENODATA;
}

/* The bytes of the place, malloc()ed. */
static int read_code(const struct pln_elf *elf, const struct pln_code_place *place, uint8_t **bytes,
		     size_t *size)
{
	uint64_t offset, left;
	int err = find_code(elf, place->start, &offset, &left);
	ssize_t got;

	if (err)
		return err;
	*size = place->end - place->start < left ? place->end - place->start : left;
	if (*size > CODE_MAX_BYTES)
		return -EFBIG;
	*bytes = malloc(*size + 1);
	if (!*bytes)
		return -ENOMEM;
	got = pread(elf->fd, *bytes, *size, (off_t)offset);
	if (got > 0) {
		*size = (size_t)got;
		return 0;
	}
	free(*bytes);
	return got ? -errno : -ENODATA;
}

static struct pln_instruction *append(struct decoder *d)
{
	struct pln_code_place *place = d->place;

	if (!pln_grow(&place->instructions, &d->capacity, place->count,
		      sizeof(*place->instructions)))
		return NULL;
	place->instructions[place->count] = (struct pln_instruction){ .size = 0 };
	return &place->instructions[place->count++];
}

/* What a call or jump out of the place leads to; NULL: nothing, or not known. */
static const char *target_name(const struct decoder *d, uint64_t target)
{
	struct pln_symbol symbols[INLINED_MAX];
	unsigned count;

	if (!target || (target >= d->place->start && target < d->place->end))
		return NULL;
	count = pln_symbolizer_lookup(d->symbolizer, d->file, target, symbols, INLINED_MAX);
	if (!count || !*symbols[count - 1].name)
		return NULL;
	return pln_code_text(d->texts, symbols[count - 1].name);
}

static int decode_all(struct decoder *d, const uint8_t *bytes, size_t size)
{
	size_t at = 0;

	while (at < size) {
		struct pln_instruction *i = append(d);
		struct pln_decoded decoded;

		if (!i)
			return -ENOMEM;
		i->address = d->place->start + at;
		pln_disassemble(d->disassembler, bytes + at, size - at, i->address, &decoded);
		i->size = (uint8_t)decoded.size;
		i->text = pln_code_text(d->texts, decoded.text);
		if (!i->text)
			return -ENOMEM;
		i->target = target_name(d, decoded.target);
		at += decoded.size;
	}
	return 0;
}

static int open_module(const struct pln_module_info *m, struct pln_elf **elf)
{
	int err = pln_elf_open(m->path, elf);

	if (err || !m->build_id_size || pln_elf_same_build(*elf, m->build_id, m->build_id_size))
		return err;
	pln_elf_close(*elf);
	return -ESTALE;
}

int pln_code_decode(struct pln_code_place *place, enum pln_syntax syntax, struct pln_intern *texts,
		    struct pln_symbolizer *symbolizer, struct pln_symbol_file *file)
{
	struct decoder d = {
		.place = place, .texts = texts, .symbolizer = symbolizer, .file = file
	};
	struct pln_elf *elf;
	uint8_t *bytes = NULL;
	size_t size = 0;
	int err;

	if (pln_disassembler_missing())
		return -ENOTSUP;
	if (!place->module || place->module->path[0] != '/')
		return -ENOEXEC;
	err = open_module(place->module, &elf);
	if (err)
		return err;
	err = place->start == place->end ? -ENODATA : read_code(elf, place, &bytes, &size);
	pln_elf_close(elf);
	if (err)
		return err;
	d.disassembler = pln_disassembler_new(syntax);
	err = d.disassembler ? decode_all(&d, bytes, size) : -ENOMEM;
	pln_disassembler_free(d.disassembler);
	free(bytes);
	return err;
}
