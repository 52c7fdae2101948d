/* SPDX-License-Identifier: MIT */
/*
 * elf_file.h - one open ELF file: sections, build id, where its code is.
 */
#ifndef PILLION_COLLECTOR_SYMBOLS_ELF_FILE_H
#define PILLION_COLLECTOR_SYMBOLS_ELF_FILE_H

#include <gelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLN_BUILD_ID_MAX 64

struct pln_elf {
	Elf *elf;
	int fd; /* owned; -1: read from memory */
	void *memory; /* owned; the file when it was not opened from an fd */
	uint64_t size; /* when it was opened */
	Elf64_Half machine;
	char *names; /* of the sections; owned, or NULL */
	size_t names_size;
	uint64_t code_low; /* executable segments lie in [code_low, code_high) */
	uint64_t code_high;
	uint8_t build_id[PLN_BUILD_ID_MAX];
	size_t build_id_size;
};

/* A section's bytes, decompressed. */
struct pln_content {
	const uint8_t *data;
	size_t size;
	void *owned; /* NULL when `data` belongs to the Elf */
};

/*
 * Whether the file is read() or mapped. A mapped file that is cut while it is in use
 * raises SIGBUS; only a process that may die maps.
 */
enum pln_elf_mode { PLN_ELF_READ, PLN_ELF_MAP };

/* Takes the fd over, also on failure. 64-bit little-endian only (-ENOEXEC). 0 or -errno. */
int pln_elf_open_fd(int fd, enum pln_elf_mode mode, struct pln_elf **file);
/* A regular file; never waits for a fifo. */
int pln_elf_open(const char *path, struct pln_elf **file);
/* Takes `memory` over, also on failure. */
int pln_elf_open_memory(void *memory, size_t size, struct pln_elf **file);
void pln_elf_close(struct pln_elf *file);

/* The first section of that name, or NULL. */
Elf_Scn *pln_elf_section(const struct pln_elf *file, const char *name, GElf_Shdr *header);
const char *pln_elf_section_name(const struct pln_elf *file, const GElf_Shdr *header);
/* Whether the section is there with bytes (a debug file has the code's sections without). */
bool pln_elf_has(const struct pln_elf *file, const char *name);

/*
 * A copy (malloc) of a section's bytes as they are in the file, with a NUL behind them, and
 * how many; they are taken from what is `left` to be read. NULL: none, or more than that.
 */
void *pln_elf_read_section(const struct pln_elf *file, const GElf_Shdr *header, uint64_t *left,
			   size_t *size);

/* The size after decompression, without decompressing. */
uint64_t pln_elf_content_size(const struct pln_elf *file, Elf_Scn *section,
			      const GElf_Shdr *header);
/* -EFBIG, -EBADMSG: more than `max` bytes, packed or unpacked. */
int pln_elf_content(const struct pln_elf *file, Elf_Scn *section, const GElf_Shdr *header,
		    uint64_t max, struct pln_content *content);
void pln_content_free(struct pln_content *content);

bool pln_elf_same_build(const struct pln_elf *file, const uint8_t *id, size_t size);

#endif
