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
#include <stdlib.h>
#include <string.h>

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

/* Adds symbol `index` of a table, when it is a function. */
static int add_symbol(struct pln_symtab *table, const struct pln_elf *file, Elf_Data *data,
		      size_t strings, int index)
{
	struct pln_candidate candidate = { 0 };
	GElf_Shdr section;
	GElf_Sym symbol;

	if (!gelf_getsym(data, index, &symbol) || symbol.st_shndx == SHN_UNDEF ||
	    symbol.st_shndx >= SHN_LORESERVE)
		return 0;
	if (GELF_ST_TYPE(symbol.st_info) != STT_NOTYPE &&
	    GELF_ST_TYPE(symbol.st_info) != STT_FUNC &&
	    GELF_ST_TYPE(symbol.st_info) != STT_GNU_IFUNC)
		return 0;
	if (!gelf_getshdr(elf_getscn(file->elf, symbol.st_shndx), &section) ||
	    !(section.sh_flags & SHF_EXECINSTR))
		return 0;
	candidate.address = symbol.st_value;
	candidate.name = elf_strptr(file->elf, strings, symbol.st_name);
	if (!candidate.name || !*candidate.name || !classify(&candidate, &symbol, &section))
		return 0;
	return pln_array_append(&table->candidates, &candidate, sizeof(candidate));
}

static int add_table(struct pln_symtab *table, const struct pln_elf *file, Elf_Scn *section,
		     const GElf_Shdr *header)
{
	Elf_Data *data = elf_getdata(section, NULL);
	size_t count = data ? data->d_size / sizeof(Elf64_Sym) : 0;
	int rc = 0;

	for (size_t i = 1; !rc && i < count && i <= INT32_MAX; i++)
		rc = add_symbol(table, file, data, header->sh_link, (int)i);
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
		rc = add_table(table, file, section, &header);
		table->has_symtab |= header.sh_type == SHT_SYMTAB;
	}
	return rc ? rc : pln_symtab_add_stubs(table, file);
}

static size_t underscores(const char *name)
{
	return strspn(name, "_");
}

/* _Z and _R begin mangled names: that underscore says nothing about the name. */
static size_t privacy(const char *name)
{
	return pln_is_mangled(name) ? 0 : underscores(name);
}

/* Negative when `a` is the better name. */
static int compare_names(const struct pln_candidate *a, const struct pln_candidate *b)
{
	size_t x, y;

	if (a->kind != b->kind)
		return a->kind > b->kind ? -1 : 1;
	if ((a->binding == STB_LOCAL) != (b->binding == STB_LOCAL))
		return a->binding == STB_LOCAL ? 1 : -1;
	x = privacy(a->name);
	y = privacy(b->name);
	if (x != y)
		return x < y ? -1 : 1;
	if (a->binding != b->binding)
		return a->binding == STB_GLOBAL ? -1 : b->binding == STB_GLOBAL ? 1 : 0;
	x = strlen(a->name);
	y = strlen(b->name);
	if (x != y)
		return x < y ? -1 : 1;
	return strcmp(a->name, b->name);
}

static int compare_candidates(const void *left, const void *right)
{
	const struct pln_candidate *a = left, *b = right;

	if (a->address != b->address)
		return a->address < b->address ? -1 : 1;
	return compare_names(a, b);
}

/* Leaves the best candidate of each address; returns how many. */
static size_t keep_best(struct pln_candidate *candidates, size_t count)
{
	size_t kept = 0;

	if (count)
		qsort(candidates, count, sizeof(*candidates), compare_candidates);
	for (size_t i = 0; i < count; i++) {
		if (kept && candidates[kept - 1].address == candidates[i].address)
			free(candidates[i].owned);
		else
			candidates[kept++] = candidates[i];
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

static int build(struct pln_symtab *table, struct pln_arena *arena,
		 const struct pln_candidate *candidates, size_t count, struct pln_span *spans)
{
	for (size_t i = 0; i < count; i++) {
		struct pln_elf_symbol symbol = { 0 };
		const char *name = candidates[i].name;

		symbol.linkage_name = pln_arena_copy(arena, name, strlen(name));
		if (!symbol.linkage_name ||
		    pln_array_append(&table->symbols, &symbol, sizeof(symbol)))
			return -ENOMEM;
		spans[i] = (struct pln_span){ candidates[i].address, end_of(candidates, count, i),
					      (uint32_t)i, candidates[i].kind };
	}
	return pln_spans_flatten(spans, count, &table->slices);
}

int pln_symtab_finish(struct pln_symtab *table, struct pln_arena *arena)
{
	struct pln_candidate *candidates = table->candidates.data;
	size_t count = table->candidates.size / sizeof(*candidates);
	struct pln_span *spans;
	int rc = -ENOMEM;

	count = keep_best(candidates, count);
	table->candidates.size = count * sizeof(*candidates);
	spans = calloc(count + 1, sizeof(*spans));
	if (spans)
		rc = build(table, arena, candidates, count, spans);
	free(spans);
	for (size_t i = 0; i < count; i++)
		free(candidates[i].owned);
	pln_array_free(&table->candidates);
	return rc;
}

void pln_symtab_free(struct pln_symtab *table)
{
	struct pln_candidate *candidates = table->candidates.data;

	for (size_t i = 0; i < table->candidates.size / sizeof(*candidates); i++)
		free(candidates[i].owned);
	pln_array_free(&table->candidates);
	pln_array_free(&table->symbols);
	pln_array_free(&table->slices);
}

struct pln_elf_symbol *pln_symtab_find(const struct pln_symtab *table, uint64_t address)
{
	uint32_t index = pln_slices_find(table->slices.data,
					 table->slices.size / sizeof(struct pln_slice), address);

	if (index == PLN_SPAN_NONE)
		return NULL;
	return (struct pln_elf_symbol *)table->symbols.data + index;
}
