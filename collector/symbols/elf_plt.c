/* SPDX-License-Identifier: MIT */
/*
 * elf_plt.c - names for the stubs through which a library calls another one.
 *
 * Stubs have no symbols. All of them, by whichever linker and in whichever section
 * (.plt, .plt.sec, .plt.got; with and without endbr64 and bnd), end in an indirect
 * jump through a slot of the GOT, and a relocation says whose address goes into that
 * slot. So: decode the jump, look the slot up. Code built with -fno-plt jumps through
 * the GOT itself and has no stubs.
 */
#include "symbols/elf_symbols_i.h"

#include "symbols/demangle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STUB_SIZE 16
/* Real files have some dozens of functions that are chosen at load. */
#define RESOLVED_MAX 1024
#define JUMP_SIZE 6 /* ff 25 disp32: jmp *disp(%rip) */

/* A slot of the GOT and whose address the loader puts there. */
struct slot {
	uint64_t address;
	const char *name; /* belongs to the Elf; NULL: `resolver` is called for it */
	uint64_t resolver; /* IRELATIVE: address of the function that chooses */
};

/* The slots of one file, sorted. */
struct slots {
	struct pln_array items;
	const struct pln_elf *file;
	unsigned resolved; /* lookups of resolvers, which are slow */
};

static const char *symbol_name(const struct pln_elf *file, const GElf_Shdr *relocations,
			       uint64_t index)
{
	Elf_Scn *section = elf_getscn(file->elf, relocations->sh_link);
	GElf_Shdr header;
	GElf_Sym symbol;

	if (!section || !gelf_getshdr(section, &header) || index > INT32_MAX ||
	    !gelf_getsym(elf_getdata(section, NULL), (int)index, &symbol))
		return NULL;
	return elf_strptr(file->elf, header.sh_link, symbol.st_name);
}

static int add_slots(struct slots *slots, Elf_Scn *section, const GElf_Shdr *header)
{
	Elf_Data *data = elf_getdata(section, NULL);
	size_t count = data ? data->d_size / sizeof(Elf64_Rela) : 0;
	int rc = 0;

	for (size_t i = 0; !rc && i < count && i <= INT32_MAX; i++) {
		struct slot slot = { 0 };
		GElf_Rela rela;

		if (!gelf_getrela(data, (int)i, &rela))
			continue;
		slot.address = rela.r_offset;
		switch (GELF_R_TYPE(rela.r_info)) {
		case R_X86_64_JUMP_SLOT:
		case R_X86_64_GLOB_DAT:
			slot.name = symbol_name(slots->file, header, GELF_R_SYM(rela.r_info));
			break;
		case R_X86_64_IRELATIVE:
			slot.resolver = (uint64_t)rela.r_addend;
			break;
		default:
			continue;
		}
		rc = pln_array_append(&slots->items, &slot, sizeof(slot));
	}
	return rc;
}

static int compare_slots(const void *left, const void *right)
{
	const struct slot *a = left, *b = right;

	return (a->address > b->address) - (a->address < b->address);
}

static int read_slots(struct slots *slots)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	int rc = 0;

	while (!rc && (section = elf_nextscn(slots->file->elf, section))) {
		if (gelf_getshdr(section, &header) && header.sh_type == SHT_RELA)
			rc = add_slots(slots, section, &header);
	}
	if (slots->items.size)
		qsort(slots->items.data, slots->items.size / sizeof(struct slot),
		      sizeof(struct slot), compare_slots);
	return rc;
}

static const struct slot *find_slot(const struct slots *slots, uint64_t address)
{
	struct slot key = { .address = address };

	if (!slots->items.size)
		return NULL;
	return bsearch(&key, slots->items.data, slots->items.size / sizeof(key), sizeof(key),
		       compare_slots);
}

/* The function whose address is the slot's resolver, among those found so far. */
static const char *resolver_name(const struct pln_symtab *table, struct slots *slots,
				 uint64_t address)
{
	const struct pln_candidate *candidates = table->candidates.data;

	if (slots->resolved++ >= RESOLVED_MAX)
		return NULL;
	for (size_t i = 0; i < table->candidates.size / sizeof(*candidates); i++) {
		if (candidates[i].address == address && candidates[i].kind >= PLN_SYMBOL_OPEN)
			return candidates[i].name;
	}
	return NULL;
}

static int add_stub(struct pln_symtab *table, struct slots *slots, uint64_t address, uint64_t size,
		    const struct slot *slot)
{
	struct pln_candidate stub = { .address = address, .end = address + size };
	const char *name = slot->name ? slot->name : resolver_name(table, slots, slot->resolver);
	int rc;

	if (!name || !*name)
		return 0;
	if (asprintf(&stub.owned, "%.*s" PLN_STUB_SUFFIX, (int)strcspn(name, "@"), name) < 0)
		return -ENOMEM;
	stub.name = stub.owned;
	stub.kind = PLN_SYMBOL_STUB;
	rc = pln_array_append(&table->candidates, &stub, sizeof(stub));
	if (rc)
		free(stub.owned);
	return rc;
}

/* The slot that the instruction at `code` jumps through; NULL when it is no such jump. */
static const struct slot *jump_slot(const struct slots *slots, const uint8_t *code,
				    uint64_t address)
{
	int32_t distance;

	if (code[0] != 0xff || code[1] != 0x25)
		return NULL;
	memcpy(&distance, code + 2, sizeof(distance));
	return find_slot(slots, address + JUMP_SIZE + (uint64_t)(int64_t)distance);
}

static int scan_stubs(struct pln_symtab *table, struct slots *slots, Elf_Scn *section,
		      const GElf_Shdr *header)
{
	Elf_Data *data = elf_getdata(section, NULL);
	uint64_t size = header->sh_entsize == 8 ? 8 : STUB_SIZE;
	int rc = 0;

	if (!data || !data->d_buf)
		return 0;
	for (size_t i = 0; !rc && i + JUMP_SIZE <= data->d_size; i++) {
		const struct slot *slot =
			jump_slot(slots, (uint8_t *)data->d_buf + i, header->sh_addr + i);

		if (slot)
			rc = add_stub(table, slots, header->sh_addr + i / size * size, size, slot);
	}
	return rc;
}

/* Lazily bound stubs of a file with .plt.sec: its .plt only pushes numbers of relocations. */
static int scan_pushes(struct pln_symtab *table, struct slots *slots)
{
	GElf_Shdr plt, rela;
	Elf_Scn *plt_section = pln_elf_section(slots->file, ".plt", &plt);
	Elf_Scn *rela_section = pln_elf_section(slots->file, ".rela.plt", &rela);
	Elf_Data *code = plt_section ? elf_getdata(plt_section, NULL) : NULL;
	Elf_Data *relocations = rela_section ? elf_getdata(rela_section, NULL) : NULL;
	static const uint8_t start[] = { 0xf3, 0x0f, 0x1e, 0xfa, 0x68 }; /* endbr64; push imm32 */
	int rc = 0;

	if (!code || !code->d_buf || !relocations)
		return 0;
	for (size_t i = STUB_SIZE; !rc && i + STUB_SIZE <= code->d_size; i += STUB_SIZE) {
		const uint8_t *stub = (uint8_t *)code->d_buf + i;
		const struct slot *slot;
		uint32_t number;
		GElf_Rela r;

		memcpy(&number, stub + sizeof(start), sizeof(number));
		if (memcmp(stub, start, sizeof(start)) != 0 || number > INT32_MAX ||
		    !gelf_getrela(relocations, (int)number, &r))
			continue;
		slot = find_slot(slots, r.r_offset);
		if (slot)
			rc = add_stub(table, slots, plt.sh_addr + i, STUB_SIZE, slot);
	}
	return rc;
}

int pln_symtab_add_stubs(struct pln_symtab *table, const struct pln_elf *file)
{
	struct slots slots = { .file = file };
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	int rc;

	if (file->machine != EM_X86_64)
		return 0;
	rc = read_slots(&slots);
	while (!rc && (section = elf_nextscn(file->elf, section))) {
		if (gelf_getshdr(section, &header) && header.sh_type == SHT_PROGBITS &&
		    !strncmp(pln_elf_section_name(file, &header), ".plt", 4))
			rc = scan_stubs(table, &slots, section, &header);
	}
	if (!rc)
		rc = scan_pushes(table, &slots);
	pln_array_free(&slots.items);
	return rc;
}
