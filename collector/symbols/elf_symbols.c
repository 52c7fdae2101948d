/* SPDX-License-Identifier: MIT */
/*
 * elf_symbols.c - symbol tables made into sorted, disjoint slices of addresses.
 *
 * One address can have many names (memcpy, __memcpy, memcpy@@GLIBC_2.14). The one a
 * reader would have written wins, by fixed rules, so that profiles of the same file
 * always agree. A size is believed: an address between two exported functions of a
 * stripped library is in neither, and a wrong name is worse than none.
 */
#include "symbols/elf_symbols_i.h"

#include "symbols/demangle.h"
#include "symbols/spans.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Of symbols, strings, relocations and stubs of a file and its debug file together: those
 * of a browser with all its symbols come to some 300 MB.
 */
#define READ_MAX_BYTES ((uint64_t)1 << 30)

/* Functions of such a browser: less than two million. */
#define SYMBOLS_MAX ((size_t)1 << 24)

/* A file, its debug file and the one packed inside have two each. */
#define STRING_TABLES_MAX 16

static bool is_local_label(const char *name)
{
	return name[0] == '.' || name[0] == '$';
}

/* Fills in kind and end; false for what is no code. */
static bool classify(struct pln_candidate *candidate, const GElf_Sym *symbol,
		     const GElf_Shdr *section)
{
	unsigned type = GELF_ST_TYPE(symbol->st_info);

	candidate->binding = GELF_ST_BIND(symbol->st_info);
	candidate->end = symbol->st_value + symbol->st_size;
	if (candidate->end < symbol->st_value)
		return false;
	if (!symbol->st_size)
		candidate->end = section->sh_addr + section->sh_size;
	if (type == STT_FUNC || type == STT_GNU_IFUNC) {
		candidate->kind = symbol->st_size ? PLN_SYMBOL_FUNCTION : PLN_SYMBOL_OPEN;
		return true;
	}
	candidate->kind = PLN_SYMBOL_LABEL;
	return type == STT_NOTYPE && !is_local_label(candidate->name);
}

void *pln_symtab_read(struct pln_symtab *table, const struct pln_elf *file, const GElf_Shdr *header,
		      size_t *size)
{
	uint64_t left = READ_MAX_BYTES - table->bytes_read;
	void *bytes = pln_elf_read_section(file, header, &left, size);

	table->bytes_read = READ_MAX_BYTES - left;
	return bytes;
}

struct pln_strings pln_symtab_strings(struct pln_symtab *table, const struct pln_elf *file,
				      size_t section)
{
	const struct pln_strings *known = table->strings.data;
	size_t count = table->strings.size / sizeof(*known);
	struct pln_strings new = { .file = file, .section = section };
	GElf_Shdr header;

	for (size_t i = 0; i < count; i++) {
		if (known[i].file == file && known[i].section == section)
			return known[i];
	}
	if (count < STRING_TABLES_MAX && gelf_getshdr(elf_getscn(file->elf, section), &header) &&
	    header.sh_type == SHT_STRTAB)
		new.data = pln_symtab_read(table, file, &header, &new.size);
	if (new.data && pln_array_append(&table->strings, &new, sizeof(new))) {
		free(new.data);
		new.data = NULL;
	}
	return new;
}

const char *pln_string_at(const struct pln_strings *strings, uint64_t offset)
{
	return strings->data && offset < strings->size ? strings->data + offset : NULL;
}

int pln_symtab_append(struct pln_symtab *table, struct pln_candidate *candidate)
{
	if (table->candidates.size / sizeof(*candidate) >= SYMBOLS_MAX)
		return 0;
	candidate->length = (uint16_t)strnlen(candidate->name, PLN_NAME_MAX_BYTES);
	while (candidate->underscores < candidate->length &&
	       candidate->name[candidate->underscores] == '_')
		candidate->underscores++;
	return pln_array_append(&table->candidates, candidate, sizeof(*candidate));
}

/* Adds the symbol when it is a function. */
static int add_symbol(struct pln_symtab *table, const struct pln_elf *file, const GElf_Sym *symbol,
		      const struct pln_strings *strings)
{
	struct pln_candidate candidate = { 0 };
	GElf_Shdr section;

	if (symbol->st_shndx == SHN_UNDEF || symbol->st_shndx >= SHN_LORESERVE)
		return 0;
	if (GELF_ST_TYPE(symbol->st_info) != STT_NOTYPE &&
	    GELF_ST_TYPE(symbol->st_info) != STT_FUNC &&
	    GELF_ST_TYPE(symbol->st_info) != STT_GNU_IFUNC)
		return 0;
	if (!gelf_getshdr(elf_getscn(file->elf, symbol->st_shndx), &section) ||
	    !(section.sh_flags & SHF_EXECINSTR))
		return 0;
	candidate.address = symbol->st_value;
	candidate.name = pln_string_at(strings, symbol->st_name);
	if (!candidate.name || !*candidate.name || !classify(&candidate, symbol, &section))
		return 0;
	return pln_symtab_append(table, &candidate);
}

static int add_table(struct pln_symtab *table, const struct pln_elf *file, const GElf_Shdr *header)
{
	struct pln_strings strings = pln_symtab_strings(table, file, header->sh_link);
	size_t size = 0;
	Elf64_Sym *symbols = pln_symtab_read(table, file, header, &size);
	int rc = 0;

	for (size_t i = 1; !rc && i < size / sizeof(*symbols); i++)
		rc = add_symbol(table, file, &symbols[i], &strings);
	free(symbols);
	return rc;
}

int pln_symtab_add(struct pln_symtab *table, const struct pln_elf *file)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	int rc = 0;

	while (!rc && (section = elf_nextscn(file->elf, section))) {
		if (!gelf_getshdr(section, &header))
			continue;
		if (header.sh_type != SHT_SYMTAB && header.sh_type != SHT_DYNSYM)
			continue;
		rc = add_table(table, file, &header);
		table->has_symtab |= header.sh_type == SHT_SYMTAB;
	}
	return rc ? rc : pln_symtab_add_stubs(table, file);
}

/* _Z and _R begin mangled names: that underscore says nothing about the name. */
static unsigned privacy(const struct pln_candidate *candidate)
{
	return pln_is_mangled(candidate->name) ? 0 : candidate->underscores;
}

/* Negative when `a` is the better name. */
static int compare_names(const struct pln_candidate *a, const struct pln_candidate *b)
{
	if (a->kind != b->kind)
		return a->kind > b->kind ? -1 : 1;
	if ((a->binding == STB_LOCAL) != (b->binding == STB_LOCAL))
		return a->binding == STB_LOCAL ? 1 : -1;
	if (privacy(a) != privacy(b))
		return privacy(a) < privacy(b) ? -1 : 1;
	if (a->binding != b->binding)
		return a->binding == STB_GLOBAL ? -1 : b->binding == STB_GLOBAL ? 1 : 0;
	if (a->length != b->length)
		return a->length < b->length ? -1 : 1;
	return a->name == b->name ? 0 : memcmp(a->name, b->name, a->length);
}

static int compare_addresses(const void *left, const void *right)
{
	const struct pln_candidate *a = left, *b = right;

	return (a->address > b->address) - (a->address < b->address);
}

/*
 * Leaves the best candidate of each address; returns how many. Names are compared once
 * each and not while sorting: millions may be long and all but equal.
 */
static size_t keep_best(struct pln_candidate *candidates, size_t count)
{
	size_t kept = 0;

	if (count)
		qsort(candidates, count, sizeof(*candidates), compare_addresses);
	for (size_t i = 0; i < count; i++) {
		if (!kept || candidates[kept - 1].address != candidates[i].address)
			candidates[kept++] = candidates[i];
		else if (compare_names(&candidates[i], &candidates[kept - 1]) < 0)
			candidates[kept - 1] = candidates[i];
	}
	return kept;
}

/* A symbol without a size ends where the next one starts. */
static uint64_t end_of(const struct pln_candidate *candidates, size_t count, size_t i)
{
	uint64_t end = candidates[i].end;

	if (candidates[i].kind != PLN_SYMBOL_OPEN && candidates[i].kind != PLN_SYMBOL_LABEL)
		return end;
	if (i + 1 < count && candidates[i + 1].address < end)
		return candidates[i + 1].address;
	return end;
}

static int build(struct pln_symtab *table, const struct pln_candidate *candidates, size_t count,
		 struct pln_span *spans)
{
	for (size_t i = 0; i < count; i++) {
		struct pln_elf_symbol symbol = {
			.linkage_name = candidates[i].name,
			.length = candidates[i].length,
			.is_stub = candidates[i].kind == PLN_SYMBOL_STUB,
		};

		if (pln_array_append(&table->symbols, &symbol, sizeof(symbol)))
			return -ENOMEM;
		spans[i] = (struct pln_span){ candidates[i].address, end_of(candidates, count, i),
					      (uint32_t)i, candidates[i].kind };
	}
	return pln_spans_flatten(spans, count, &table->slices);
}

static void free_strings(struct pln_symtab *table)
{
	struct pln_strings *strings = table->strings.data;

	for (size_t i = 0; i < table->strings.size / sizeof(*strings); i++)
		free(strings[i].data);
	pln_array_free(&table->strings);
}

/*
 * The names go into the arena when they are less than the tables that they lie in, as in
 * honest files; in others, millions of symbols may share one long name.
 */
static int keep_names(struct pln_symtab *table, struct pln_arena *arena)
{
	const struct pln_strings *strings = table->strings.data;
	struct pln_elf_symbol *symbols = table->symbols.data;
	size_t count = table->symbols.size / sizeof(*symbols);
	uint64_t in_tables = 0, in_names = 0;

	for (size_t i = 0; i < table->strings.size / sizeof(*strings); i++)
		in_tables += strings[i].size;
	for (size_t i = 0; i < count; i++)
		in_names += symbols[i].length + 1u;
	if (in_names > in_tables)
		return 0;
	for (size_t i = 0; i < count; i++) {
		symbols[i].linkage_name =
			pln_arena_copy(arena, symbols[i].linkage_name, symbols[i].length);
		if (!symbols[i].linkage_name)
			return -ENOMEM;
	}
	free_strings(table);
	return 0;
}

int pln_symtab_finish(struct pln_symtab *table, struct pln_arena *arena)
{
	struct pln_candidate *candidates = table->candidates.data;
	size_t count = table->candidates.size / sizeof(*candidates);
	struct pln_span *spans;
	int rc = -ENOMEM;

	count = keep_best(candidates, count);
	spans = calloc(count + 1, sizeof(*spans));
	if (spans)
		rc = build(table, candidates, count, spans);
	free(spans);
	pln_array_free(&table->candidates);
	if (!rc)
		rc = keep_names(table, arena);
	/* What has no name, or one that is gone, is not to be found. */
	if (rc)
		pln_array_free(&table->slices);
	return rc;
}

void pln_symtab_free(struct pln_symtab *table)
{
	pln_array_free(&table->candidates);
	pln_array_free(&table->symbols);
	pln_array_free(&table->slices);
	free_strings(table);
}

/* Gives the name its end. */
static bool finish_name(struct pln_elf_symbol *symbol, struct pln_arena *arena)
{
	char name[PLN_NAME_MAX_BYTES + sizeof(PLN_STUB_SUFFIX)];
	const char *version = memchr(symbol->linkage_name, '@', symbol->length);
	int length = symbol->length;
	const char *copy;

	if (symbol->is_stub && version)
		length = (int)(version - symbol->linkage_name);
	length = snprintf(name, sizeof(name), "%.*s%s", length, symbol->linkage_name,
			  symbol->is_stub ? PLN_STUB_SUFFIX : "");
	copy = pln_arena_copy(arena, name, (size_t)length);
	if (!copy)
		return false;
	symbol->linkage_name = copy;
	symbol->length = (uint16_t)length;
	symbol->is_stub = false;
	return true;
}

struct pln_elf_symbol *pln_symtab_find(const struct pln_symtab *table, struct pln_arena *arena,
				       uint64_t address)
{
	uint32_t index = pln_slices_find(table->slices.data,
					 table->slices.size / sizeof(struct pln_slice), address);
	struct pln_elf_symbol *symbol;

	if (index == PLN_SPAN_NONE)
		return NULL;
	symbol = (struct pln_elf_symbol *)table->symbols.data + index;
	if ((symbol->is_stub || symbol->linkage_name[symbol->length]) &&
	    !finish_name(symbol, arena))
		return NULL;
	return symbol;
}
