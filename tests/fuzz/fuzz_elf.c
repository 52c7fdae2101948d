/* SPDX-License-Identifier: MIT */
/*
 * fuzz_elf.c - files that a target has loaded, as the collector reads them: symbols, stubs,
 * unwind tables, build ids, links to debug files, segments. The input is the file.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stacks/elf_image.h"
#include "symbols/arena.h"
#include "symbols/debug_file.h"
#include "symbols/elf_fdes.h"
#include "symbols/elf_symbols.h"

static bool read_symbols(const struct pln_elf *file)
{
	struct pln_symtab table = { .has_symtab = false };
	struct pln_arena *arena = pln_arena_new();
	size_t length = 0;

	if (arena && !pln_symtab_add(&table, file) && !pln_symtab_finish(&table, arena))
		for (uint64_t at = 0; at < 0x4000; at += 61) {
			const struct pln_elf_symbol *symbol = pln_symtab_find(&table, arena, at);

			length += symbol ? strlen(symbol->linkage_name) : 0;
		}
	pln_symtab_free(&table);
	pln_arena_free(arena);
	return length < SIZE_MAX / 2;
}

static bool read_fdes(const struct pln_elf *file)
{
	struct pln_array fdes = { 0 };
	bool ok = true;

	if (!pln_fdes_read(file, &fdes))
		for (uint64_t at = 0; at < 0x4000; at += 61) {
			const struct pln_fde *fde = pln_fdes_find(&fdes, at);

			ok = ok && (!fde || (fde->start <= at && at < fde->end));
		}
	pln_array_free(&fdes);
	return ok;
}

static void read_sections(const struct pln_elf *file)
{
	static const char *const names[] = { ".symtab",	    ".strtab",	   ".eh_frame",
					     ".debug_info", ".debug_line", ".gnu_debuglink" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct pln_content content;
		GElf_Shdr header;
		Elf_Scn *section = pln_elf_section(file, names[i], &header);

		if (!section || pln_elf_content_size(file, section, &header) > 1u << 20 ||
		    pln_elf_content(file, section, &header, 1u << 20, &content))
			continue;
		pln_content_free(&content);
	}
}

/* What the links name, if there is such a file, and what is packed inside. */
static void find_debug_files(const struct pln_elf *file, const char *path)
{
	static const char *const dirs[] = { "/nonexistent/debug", NULL };
	const struct pln_debug_search search = { "/nonexistent/root", dirs };
	struct pln_elf *found;
	char *found_path;

	if (!pln_debug_file_find(&search, file, path, &found, &found_path)) {
		pln_elf_close(found);
		free(found_path);
	}
	if (!pln_debug_file_find_alt(&search, file, path, &found, &found_path)) {
		pln_elf_close(found);
		free(found_path);
	}
	if (!pln_debug_file_unpack_mini(file, &found))
		pln_elf_close(found);
}

/* Bytes at an address are bytes of the file. */
static bool read_image(const char *path, const uint8_t *data, size_t size)
{
	struct pln_elf_image image;
	unsigned loads = 100;
	bool ok = true;

	if (pln_elf_image_open(&image, path))
		return true;
	for (uint64_t at = 0; at < 0x4000; at += 61) {
		uint8_t bytes[16];
		size_t got = pln_elf_image_read(&image, at, bytes, sizeof(bytes), &loads);

		ok = ok && got <= sizeof(bytes) && (!got || memmem(data, size, bytes, got));
	}
	return ok;
}

bool fuzz_elf(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	void *memory = malloc(size ? size : 1);
	struct pln_elf *file;
	char path[64];
	bool ok;

	if (fd < 0 || !memory || write(fd, data, size) != (ssize_t)size)
		abort();
	memcpy(memory, data, size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ok = read_image(path, data, size);
	if (!pln_elf_open_memory(memory, size, &file)) {
		ok = ok && read_symbols(file) && read_fdes(file);
		read_sections(file);
		find_debug_files(file, path);
		pln_elf_close(file);
	}
	close(fd);
	return ok;
}
