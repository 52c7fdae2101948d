/* SPDX-License-Identifier: MIT */
/*
 * section.c - finds _PyRuntime without a symbol.
 *
 * From 3.10 on it stands alone in the section .PyRuntime. Section headers are not
 * mapped: they are read from the file of the module. Context: constructor, or a
 * thread of the program that starts an interpreter; not a handler.
 */
#include "python_i.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <unistd.h>

#include "glibc.h"

#define MAX_SECTIONS 4096
#define SECTION_NAME ".PyRuntime"

static bool read_at(int fd, uint64_t offset, void *dst, size_t size)
{
	return pread(fd, dst, size, (off_t)offset) == (ssize_t)size;
}

/* ELF address of the section called SECTION_NAME in the file, 0: none. */
static uint64_t find_section(int fd)
{
	char name[sizeof(SECTION_NAME)];
	Elf64_Shdr names, section;
	Elf64_Ehdr head;

	if (!read_at(fd, 0, &head, sizeof(head)) || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
	    head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_shentsize != sizeof(section) ||
	    head.e_shnum > MAX_SECTIONS || head.e_shstrndx >= head.e_shnum ||
	    !read_at(fd, head.e_shoff + head.e_shstrndx * sizeof(names), &names, sizeof(names)))
		return 0;
	for (unsigned i = 0; i < head.e_shnum; i++) {
		if (!read_at(fd, head.e_shoff + i * sizeof(section), &section, sizeof(section)))
			return 0;
		if (section.sh_flags & SHF_ALLOC &&
		    read_at(fd, names.sh_offset + section.sh_name, name, sizeof(name)) &&
		    memcmp(name, SECTION_NAME, sizeof(name)) == 0)
			return section.sh_addr;
	}
	return 0;
}

uintptr_t pln_python_runtime_section(uintptr_t address)
{
	struct link_map *map = NULL;
	uint64_t found;
	Dl_info info;
	int fd;

	if (!dladdr1((void *)address, &info, (void **)&map, RTLD_DL_LINKMAP) || !map)
		return 0;
	/* The program itself has no name in the loader's list. */
	fd = open(map->l_name[0] ? map->l_name : "/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	found = find_section(fd);
	close(fd);
	return found ? map->l_addr + found : 0;
}
