/* SPDX-License-Identifier: MIT */
/*
 * elf_image.c - see elf_image.h. Program headers only: they are what the kernel and the
 * dynamic linker loaded the file by, and stripping leaves them alone.
 *
 * A walk reads a few bytes each at places that are far apart: a table is searched by halves, then
 * come an entry of it and the code at a return address. So a file of any size is read in small
 * blocks, as they are asked for. It is opened anew for each: targets may have more files than we
 * may have descriptors.
 */
#include "stacks/elf_image.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "symbols/target_file.h"

#define BLOCK_BYTES 4096u
#define BLOCKS 512u
#define HEADERS_MAX 512u /* a library has a dozen */
#define LOADS_TO_OPEN 16u /* for the blocks that they are in */

struct block {
	uint64_t identity; /* of its file; 0: empty */
	uint64_t index; /* in the file */
	size_t size;
	uint8_t bytes[BLOCK_BYTES];
};

/* Of the one thread that finishes walks. A block gives way to the next at its place. */
static struct block blocks[BLOCKS];

static uint64_t identity_of(const struct stat *st)
{
	const uint64_t what[] = { st->st_dev, st->st_ino, (uint64_t)st->st_size,
				  (uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec };

	return XXH3_64bits(what, sizeof(what)) | 1; /* never 0 */
}

/* ------------------------------------------------------------------ reading */

/* Leaves the block empty when the file is another one by now. */
static void load(struct block *block, const struct pln_elf_image *image, uint64_t index)
{
	struct stat st;
	int fd = pln_target_file_open(image->path, &st);
	ssize_t got = -1;

	if (fd >= 0 && identity_of(&st) == image->identity)
		got = pread(fd, block->bytes, BLOCK_BYTES, (off_t)(index * BLOCK_BYTES));
	if (fd >= 0)
		close(fd);
	block->identity = got < 0 ? 0 : image->identity;
	block->index = index;
	block->size = got < 0 ? 0 : (size_t)got;
}

static const struct block *block_at(const struct pln_elf_image *image, uint64_t index,
				    unsigned *loads)
{
	/* Neighbours side by side, those of other files anywhere. */
	struct block *block = &blocks[(index + image->identity / 2) % BLOCKS];

	if (block->identity == image->identity && block->index == index)
		return block;
	if (!*loads)
		return NULL;
	--*loads;
	load(block, image, index);
	return block;
}

/* Copies what there is of a file from `offset` on: it may have been cut just now. */
static size_t copy_file(const struct pln_elf_image *image, uint64_t offset, uint8_t *to,
			size_t size, unsigned *loads)
{
	size_t done = 0;

	while (done < size) {
		size_t from = (offset + done) % BLOCK_BYTES, part;
		const struct block *block = block_at(image, (offset + done) / BLOCK_BYTES, loads);

		if (!block || block->size <= from)
			break;
		part = block->size - from;
		if (part > size - done)
			part = size - done;
		memcpy(to + done, block->bytes + from, part);
		done += part;
	}
	return done;
}

static bool is_inside(uint64_t offset, uint64_t size, uint64_t whole)
{
	return offset <= whole && size <= whole - offset;
}

static size_t copy_out(const struct pln_elf_image *image, uint64_t offset, void *to, size_t size,
		       unsigned *loads)
{
	if (!is_inside(offset, size, image->size))
		return 0;
	if (image->path)
		return copy_file(image, offset, to, size, loads);
	memcpy(to, image->memory + offset, size);
	return size;
}

size_t pln_elf_image_read(const struct pln_elf_image *image, uint64_t vaddr, void *to, size_t size,
			  unsigned *loads)
{
	for (unsigned i = 0; i < image->segment_count; i++) {
		uint64_t into = vaddr - image->segment[i].vaddr;
		uint64_t left = image->segment[i].size - into;

		if (into < image->segment[i].size)
			return copy_out(image, image->segment[i].offset + into, to,
					left < size ? left : size, loads);
	}
	return 0;
}

/* ------------------------------------------------------------------ opening */

static void add_segment(struct pln_elf_image *image, const Elf64_Phdr *ph)
{
	unsigned i = image->segment_count;

	if (i == PLN_ELF_SEGMENTS || !is_inside(ph->p_offset, ph->p_filesz, image->size))
		return;
	image->segment[i].vaddr = ph->p_vaddr;
	image->segment[i].size = ph->p_filesz;
	image->segment[i].offset = ph->p_offset;
	image->segment_count++;
}

/* Takes the segments. Returns 0, or -ENOEXEC for what is no 64-bit x86 ELF file. */
static int parse(struct pln_elf_image *image)
{
	unsigned loads = LOADS_TO_OPEN;
	Elf64_Ehdr eh;
	Elf64_Phdr ph;

	if (copy_out(image, 0, &eh, sizeof(eh), &loads) != sizeof(eh) ||
	    memcmp(eh.e_ident, ELFMAG, SELFMAG) || eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh.e_machine != EM_X86_64 || eh.e_phentsize != sizeof(ph) || eh.e_phnum > HEADERS_MAX)
		return -ENOEXEC;
	for (unsigned i = 0; i < eh.e_phnum; i++) {
		if (copy_out(image, eh.e_phoff + i * sizeof(ph), &ph, sizeof(ph), &loads) !=
		    sizeof(ph))
			return -ENOEXEC;
		if (ph.p_type == PT_LOAD)
			add_segment(image, &ph);
		if (ph.p_type == PT_GNU_EH_FRAME) {
			image->eh_frame_hdr = ph.p_vaddr;
			image->eh_frame_hdr_size = ph.p_filesz;
		}
	}
	return image->segment_count ? 0 : -ENOEXEC;
}

static int parse_or_empty(struct pln_elf_image *image)
{
	int err = parse(image);

	if (err)
		*image = (struct pln_elf_image){ 0 };
	return err;
}

int pln_elf_image_open(struct pln_elf_image *image, const char *path)
{
	struct stat st;
	int fd = pln_target_file_find(path, &st);

	*image = (struct pln_elf_image){ 0 };
	if (fd < 0)
		return fd;
	close(fd);
	image->path = path;
	image->size = (uint64_t)st.st_size;
	image->identity = identity_of(&st);
	return parse_or_empty(image);
}

/* The kernel made it, so its own headers can be believed about how large it is. */
static size_t vdso_size(const uint8_t *bytes)
{
	const Elf64_Ehdr *eh = (const void *)bytes;
	const Elf64_Phdr *ph = (const void *)(bytes + eh->e_phoff);
	size_t size = 0;

	for (unsigned i = 0; i < eh->e_phnum; i++)
		if (ph[i].p_type == PT_LOAD && ph[i].p_offset + ph[i].p_filesz > size)
			size = ph[i].p_offset + ph[i].p_filesz;
	return size;
}

int pln_elf_image_own_vdso(struct pln_elf_image *image)
{
	const uint8_t *bytes = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);

	*image = (struct pln_elf_image){ 0 };
	if (!bytes)
		return -ENOENT;
	image->memory = bytes;
	image->size = vdso_size(bytes);
	return parse_or_empty(image);
}
