/* SPDX-License-Identifier: MIT */
/*
 * elf_file.c - opening ELF files and reading their sections, by libelf.
 *
 * Files come from other people's containers: every size is checked before it is
 * believed. Sections are decompressed here (zlib and zstd, also the older .zdebug
 * form), because libelf learned zstd only in 0.189 and libdwarf reads no zstd at all.
 */
#include "symbols/elf_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "symbols/target_file.h"

/*
 * Linked files have some dozens of sections, with every one of the compilers' options some
 * hundreds, and a dozen segments; the kernel loads no program with more of these than fit
 * into 64 KiB. libelf allocates and reads all that there are said to be.
 */
#define SECTIONS_MAX 16384
#define SEGMENTS_MAX 4096

/* Of one file: the build id is in 36 bytes, Fedora's notes on the compiler are some MB. */
#define NOTES_MAX_BYTES ((uint64_t)16 << 20)

/* Of all the sections' names. */
#define SECTION_NAMES_MAX_BYTES ((uint64_t)1 << 20)

/* A section that claims to unpack to more is not unpacked. */
#define UNPACKED_MAX_BYTES ((uint64_t)2 << 30)

/* Deflate cannot do better than this, zstd on debug data is far from it. */
#define UNPACKED_MAX_RATIO 1100

/* <elf.h> of older systems does not know the second. */
enum { COMPRESS_ZLIB = 1, COMPRESS_ZSTD = 2 };

/* How a section is packed. */
struct packing {
	int type; /* 0: not packed */
	size_t header_size; /* bytes before the packed ones */
	uint64_t size; /* unpacked */
};

static bool read_bytes(const struct pln_elf *file, uint64_t offset, char *to, size_t size)
{
	if (size > file->size || offset > file->size - size)
		return false;
	if (file->fd < 0) {
		memcpy(to, (const char *)file->memory + offset, size);
		return true;
	}
	while (size) {
		ssize_t got = pread(file->fd, to, size, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		to += got;
		size -= (size_t)got;
		offset += (uint64_t)got;
	}
	return true;
}

/*
 * 64-bit little-endian, with no more headers than libelf should be asked to read. A file of
 * more sections than its header can count says in the first one how many.
 */
static bool is_acceptable(const struct pln_elf *file)
{
	Elf64_Ehdr header;
	Elf64_Shdr first = { .sh_size = 0 };
	uint64_t sections;

	if (!read_bytes(file, 0, (char *)&header, sizeof(header)))
		return false;
	if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
	    header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB)
		return false;
	if (header.e_shoff && !read_bytes(file, header.e_shoff, (char *)&first, sizeof(first)))
		return true; /* libelf finds no sections either */
	sections = header.e_shnum ? header.e_shnum : first.sh_size;
	return sections <= SECTIONS_MAX && header.e_phnum <= SEGMENTS_MAX;
}

static void read_segments(struct pln_elf *file)
{
	size_t count = 0;

	if (elf_getphdrnum(file->elf, &count))
		return;
	file->code_low = UINT64_MAX;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr segment;

		if (!gelf_getphdr(file->elf, (int)i, &segment) || segment.p_type != PT_LOAD ||
		    !(segment.p_flags & PF_X))
			continue;
		if (segment.p_vaddr < file->code_low)
			file->code_low = segment.p_vaddr;
		if (segment.p_vaddr + segment.p_memsz > file->code_high)
			file->code_high = segment.p_vaddr + segment.p_memsz;
	}
}

/* Takes the build id out of notes; false when it is not in them. */
static bool find_build_id(struct pln_elf *file, Elf_Data *notes)
{
	size_t at = 0, name, desc;
	GElf_Nhdr note;

	while (notes && (at = gelf_getnote(notes, at, &note, &name, &desc)) > 0) {
		const char *bytes = notes->d_buf;

		if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != 4 ||
		    memcmp(bytes + name, "GNU", 4) != 0)
			continue;
		if (!note.n_descsz || note.n_descsz > PLN_BUILD_ID_MAX)
			continue;
		memcpy(file->build_id, bytes + desc, note.n_descsz);
		file->build_id_size = note.n_descsz;
		return true;
	}
	return false;
}

/* In the sections; in the segments when the section headers were stripped. */
static void read_build_id(struct pln_elf *file)
{
	uint64_t left = NOTES_MAX_BYTES;
	size_t count = 0;
	GElf_Shdr header;
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(file->elf, section))) {
		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_NOTE ||
		    header.sh_size > left)
			continue;
		left -= header.sh_size;
		if (find_build_id(file, elf_getdata(section, NULL)))
			return;
	}
	elf_getphdrnum(file->elf, &count);
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr segment;

		if (!gelf_getphdr(file->elf, (int)i, &segment) || segment.p_type != PT_NOTE ||
		    segment.p_filesz > left)
			continue;
		left -= segment.p_filesz;
		if (find_build_id(file, elf_getdata_rawchunk(file->elf, (int64_t)segment.p_offset,
							     segment.p_filesz, ELF_T_NHDR)))
			return;
	}
}

static void read_section_names(struct pln_elf *file)
{
	uint64_t left = SECTION_NAMES_MAX_BYTES;
	GElf_Shdr header;
	size_t index;

	if (!elf_getshdrstrndx(file->elf, &index) &&
	    gelf_getshdr(elf_getscn(file->elf, index), &header) && header.sh_type == SHT_STRTAB)
		file->names = pln_elf_read_section(file, &header, &left, &file->names_size);
}

static int read_header(struct pln_elf *file)
{
	GElf_Ehdr header;

	if (!file->elf || elf_kind(file->elf) != ELF_K_ELF || !gelf_getehdr(file->elf, &header))
		return -ENOEXEC;
	file->machine = header.e_machine;
	read_section_names(file);
	read_segments(file);
	read_build_id(file);
	return 0;
}

static int finish_open(struct pln_elf *file, struct pln_elf **out)
{
	int rc = read_header(file);

	if (rc)
		pln_elf_close(file);
	else
		*out = file;
	return rc;
}

int pln_elf_open_fd(int fd, enum pln_elf_mode mode, struct pln_elf **file)
{
	struct pln_elf *new = calloc(1, sizeof(*new));
	struct stat st;

	elf_version(EV_CURRENT);
	if (!new || fstat(fd, &st)) {
		int rc = new ? -errno : -ENOMEM;

		free(new);
		close(fd);
		return rc;
	}
	new->fd = fd;
	new->size = (uint64_t)st.st_size;
	if (!is_acceptable(new)) {
		pln_elf_close(new);
		return -ENOEXEC;
	}
	new->elf = elf_begin(fd, mode == PLN_ELF_MAP ? ELF_C_READ_MMAP : ELF_C_READ, NULL);
	return finish_open(new, file);
}

int pln_elf_open(const char *path, struct pln_elf **file)
{
	struct stat st;
	int fd = pln_target_file_open(path, &st);

	return fd < 0 ? fd : pln_elf_open_fd(fd, PLN_ELF_READ, file);
}

int pln_elf_open_memory(void *memory, size_t size, struct pln_elf **file)
{
	struct pln_elf *new = calloc(1, sizeof(*new));

	elf_version(EV_CURRENT);
	if (!new) {
		free(memory);
		return -ENOMEM;
	}
	new->fd = -1;
	new->memory = memory;
	new->size = size;
	if (!is_acceptable(new)) {
		pln_elf_close(new);
		return -ENOEXEC;
	}
	new->elf = elf_memory(memory, size);
	return finish_open(new, file);
}

void pln_elf_close(struct pln_elf *file)
{
	if (!file)
		return;
	elf_end(file->elf);
	free(file->names);
	if (file->fd >= 0)
		close(file->fd);
	free(file->memory);
	free(file);
}

const char *pln_elf_section_name(const struct pln_elf *file, const GElf_Shdr *header)
{
	return header->sh_name < file->names_size ? file->names + header->sh_name : "";
}

Elf_Scn *pln_elf_section(const struct pln_elf *file, const char *name, GElf_Shdr *header)
{
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(file->elf, section))) {
		if (gelf_getshdr(section, header) &&
		    !strcmp(pln_elf_section_name(file, header), name))
			return section;
	}
	return NULL;
}

bool pln_elf_has(const struct pln_elf *file, const char *name)
{
	GElf_Shdr header;

	return pln_elf_section(file, name, &header) && header.sh_type != SHT_NOBITS &&
	       header.sh_size;
}

void *pln_elf_read_section(const struct pln_elf *file, const GElf_Shdr *header, uint64_t *left,
			   size_t *size)
{
	char *bytes;

	if (header->sh_type == SHT_NOBITS || header->sh_flags & SHF_COMPRESSED ||
	    !header->sh_size || header->sh_size > *left || header->sh_size > file->size)
		return NULL;
	*left -= header->sh_size;
	bytes = malloc(header->sh_size + 1);
	if (!bytes || !read_bytes(file, header->sh_offset, bytes, header->sh_size)) {
		free(bytes);
		return NULL;
	}
	bytes[header->sh_size] = '\0';
	*size = header->sh_size;
	return bytes;
}

static uint64_t big_endian_64(const uint8_t *bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | bytes[i];
	return value;
}

/* The older form has no flag: "ZLIB" and a size, in a section called .zdebug_*. */
static struct packing packing_of(const struct pln_elf *file, const Elf_Data *raw,
				 const GElf_Shdr *header)
{
	const uint8_t *bytes = raw->d_buf;
	Elf64_Chdr packed;

	if (header->sh_flags & SHF_COMPRESSED) {
		if (raw->d_size < sizeof(packed))
			return (struct packing){ .type = -1 };
		memcpy(&packed, bytes, sizeof(packed));
		return (struct packing){ (int)packed.ch_type, sizeof(packed), packed.ch_size };
	}
	if (!strncmp(pln_elf_section_name(file, header), ".zdebug", 7) && raw->d_size >= 12 &&
	    !memcmp(bytes, "ZLIB", 4))
		return (struct packing){ COMPRESS_ZLIB, 12, big_endian_64(bytes + 4) };
	return (struct packing){ 0 };
}

uint64_t pln_elf_content_size(const struct pln_elf *file, Elf_Scn *section, const GElf_Shdr *header)
{
	Elf_Data *raw = elf_rawdata(section, NULL);
	struct packing packing;

	if (!raw || !raw->d_buf)
		return 0;
	packing = packing_of(file, raw, header);
	return packing.type ? packing.size : raw->d_size;
}

static bool unpack(int type, void *to, size_t to_size, const void *from, size_t from_size)
{
	uLongf unpacked = to_size;

	if (type == COMPRESS_ZLIB)
		return uncompress(to, &unpacked, from, from_size) == Z_OK && unpacked == to_size;
	if (type == COMPRESS_ZSTD)
		return ZSTD_decompress(to, to_size, from, from_size) == to_size;
	return false;
}

int pln_elf_content(const struct pln_elf *file, Elf_Scn *section, const GElf_Shdr *header,
		    uint64_t max, struct pln_content *content)
{
	struct packing packing;
	size_t packed_size;
	Elf_Data *raw;
	void *to;

	if (header->sh_size > max)
		return -EFBIG;
	raw = elf_rawdata(section, NULL);
	if (!raw || !raw->d_buf || header->sh_type == SHT_NOBITS)
		return -ENOENT;
	packing = packing_of(file, raw, header);
	*content = (struct pln_content){ raw->d_buf, raw->d_size, NULL };
	if (!packing.type)
		return 0;
	packed_size = raw->d_size - packing.header_size;
	if (packing.type < 0 || packing.size > UNPACKED_MAX_BYTES || packing.size > max)
		return -EBADMSG;
	if (packing.type == COMPRESS_ZLIB && packing.size / UNPACKED_MAX_RATIO > packed_size)
		return -EBADMSG;
	to = malloc(packing.size ? packing.size : 1);
	if (!to)
		return -ENOMEM;
	if (!unpack(packing.type, to, packing.size, content->data + packing.header_size,
		    packed_size)) {
		free(to);
		return -EBADMSG;
	}
	*content = (struct pln_content){ to, packing.size, to };
	return 0;
}

void pln_content_free(struct pln_content *content)
{
	free(content->owned);
	*content = (struct pln_content){ 0 };
}

bool pln_elf_same_build(const struct pln_elf *file, const uint8_t *id, size_t size)
{
	return size && file->build_id_size == size && !memcmp(file->build_id, id, size);
}
