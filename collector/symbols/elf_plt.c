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

#include <stdlib.h>
#include <string.h>

#define STUB_SIZE 16
/* Symbols looked at for functions that are chosen at load: of these a file has some dozens. */
#define RESOLVE_MAX_STEPS ((uint64_t)1 << 29)
#define JUMP_SIZE 6 /* ff 25 disp32: jmp *disp(%rip) */

/* A slot of the GOT and whose address the loader puts there. */
struct slot {
	uint64_t address;
	const char *name; /* in the table's strings; NULL: `resolver` is called for it */
	uint64_t resolver; /* IRELATIVE: address of the function that chooses */
};

/* The slots of one file, sorted. */
struct slots {
	struct pln_array items;
	const struct pln_elf *file;
	uint64_t steps; /* taken to find resolvers */
};

/* The symbols that relocations name. */
struct named {
	Elf64_Sym *symbols; /* owned */
	size_t count;
	struct pln_strings strings;
};

static struct named read_named(struct pln_symtab *table, const struct pln_elf *file, size_t section)
{
	struct named named = { 0 };
	GElf_Shdr header;
	size_t size = 0;

	if (!gelf_getshdr(elf_getscn(file->elf, section), &header) ||
	    (header.sh_type != SHT_DYNSYM && header.sh_type != SHT_SYMTAB))
		return named;
	named.symbols = pln_symtab_read(table, file, &header, &size);
	named.count = size / sizeof(*named.symbols);
	named.strings = pln_symtab_strings(table, file, header.sh_link);
	return named;
}

/* False: of no kind that stubs jump through. */
static bool make_slot(struct slot *slot, const Elf64_Rela *rela, const struct named *named)
{
	uint64_t index = GELF_R_SYM(rela->r_info);

	*slot = (struct slot){ .address = rela->r_offset };
	switch (GELF_R_TYPE(rela->r_info)) {
	case R_X86_64_JUMP_SLOT:
	case R_X86_64_GLOB_DAT:
		if (index < named->count)
			slot->name = pln_string_at(&named->strings, named->symbols[index].st_name);
		return true;
	case R_X86_64_IRELATIVE:
		slot->resolver = (uint64_t)rela->r_addend;
		return true;
	default:
		return false;
	}
}

static int add_slots(struct pln_symtab *table, struct slots *slots, const GElf_Shdr *header)
{
	struct named named = read_named(table, slots->file, header->sh_link);
	size_t size = 0;
	Elf64_Rela *relocations = pln_symtab_read(table, slots->file, header, &size);
	int rc = 0;

	for (size_t i = 0; !rc && i < size / sizeof(*relocations); i++) {
		struct slot slot;

		if (make_slot(&slot, &relocations[i], &named))
			rc = pln_array_append(&slots->items, &slot, sizeof(slot));
	}
	free(relocations);
	free(named.symbols);
	return rc;
}

static int compare_slots(const void *left, const void *right)
{
	const struct slot *a = left, *b = right;

	return (a->address > b->address) - (a->address < b->address);
}

static int read_slots(struct pln_symtab *table, struct slots *slots)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	int rc = 0;

	while (!rc && (section = elf_nextscn(slots->file->elf, section))) {
		if (gelf_getshdr(section, &header) && header.sh_type == SHT_RELA)
			rc = add_slots(table, slots, &header);
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
	size_t count = table->candidates.size / sizeof(*candidates);

	slots->steps += count;
	if (slots->steps > RESOLVE_MAX_STEPS)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		if (candidates[i].address == address && candidates[i].kind >= PLN_SYMBOL_OPEN)
			return candidates[i].name;
	}
	return NULL;
}

/* The name of a stub is made when it is found: of all these, few are. */
static int add_stub(struct pln_symtab *table, struct slots *slots, uint64_t address, uint64_t size,
		    const struct slot *slot)
{
	struct pln_candidate stub = { .address = address, .end = address + size };

	stub.name = slot->name ? slot->name : resolver_name(table, slots, slot->resolver);
	stub.kind = PLN_SYMBOL_STUB;
	return stub.name && *stub.name ? pln_symtab_append(table, &stub) : 0;
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

/* One jump names an entry; more are in no real one, but one could start at every byte or two. */
static int scan_stubs(struct pln_symtab *table, struct slots *slots, const GElf_Shdr *header)
{
	uint64_t entry_size = header->sh_entsize == 8 ? 8 : STUB_SIZE;
	size_t size = 0;
	uint8_t *code = pln_symtab_read(table, slots->file, header, &size);
	int rc = 0;

	for (size_t i = 0; !rc && i + JUMP_SIZE <= size; i++) {
		const struct slot *slot = jump_slot(slots, code + i, header->sh_addr + i);
		size_t entry = i / entry_size * entry_size;

		if (!slot)
			continue;
		rc = add_stub(table, slots, header->sh_addr + entry, entry_size, slot);
		i = entry + entry_size - 1;
	}
	free(code);
	return rc;
}

/* The number that the stub pushes; UINT32_MAX: it does something else. */
static uint32_t pushed_number(const uint8_t *stub)
{
	static const uint8_t start[] = { 0xf3, 0x0f, 0x1e, 0xfa, 0x68 }; /* endbr64; push imm32 */
	uint32_t number;

	if (memcmp(stub, start, sizeof(start)) != 0)
		return UINT32_MAX;
	memcpy(&number, stub + sizeof(start), sizeof(number));
	return number;
}

/* Lazily bound stubs of a file with .plt.sec: its .plt only pushes numbers of relocations. */
static int scan_pushes(struct pln_symtab *table, struct slots *slots)
{
	const struct pln_elf *file = slots->file;
	size_t size = 0, relocations_size = 0;
	GElf_Shdr plt, rela;
	uint8_t *code = NULL;
	Elf64_Rela *relocations = NULL;
	int rc = 0;

	if (pln_elf_section(file, ".plt", &plt) && pln_elf_section(file, ".rela.plt", &rela)) {
		code = pln_symtab_read(table, file, &plt, &size);
		relocations = pln_symtab_read(table, file, &rela, &relocations_size);
	}
	for (size_t i = STUB_SIZE; !rc && i + STUB_SIZE <= size; i += STUB_SIZE) {
		uint32_t number = pushed_number(code + i);
		const struct slot *slot = NULL;

		if (number < relocations_size / sizeof(*relocations))
			slot = find_slot(slots, relocations[number].r_offset);
		if (slot)
			rc = add_stub(table, slots, plt.sh_addr + i, STUB_SIZE, slot);
	}
	free(relocations);
	free(code);
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
	rc = read_slots(table, &slots);
	while (!rc && (section = elf_nextscn(file->elf, section))) {
		if (gelf_getshdr(section, &header) && header.sh_type == SHT_PROGBITS &&
		    !strncmp(pln_elf_section_name(file, &header), ".plt", 4))
			rc = scan_stubs(table, &slots, &header);
	}
	if (!rc)
		rc = scan_pushes(table, &slots);
	pln_array_free(&slots.items);
	return rc;
}
