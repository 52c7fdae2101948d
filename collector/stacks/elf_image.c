/* SPDX-License-Identifier: MIT */
/*
 * elf_image.c - see elf_image.h. Program headers only: they are what the kernel and the
 * dynamic linker loaded the file by, and stripping leaves them alone.
 */
#include "stacks/elf_image.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_inside(uint64_t offset, uint64_t size, uint64_t whole)
{
	return offset <= whole && size <= whole - offset;
}

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
	Elf64_Ehdr eh;
	Elf64_Phdr ph;

	if (image->size < sizeof(eh))
		return -ENOEXEC;
	memcpy(&eh, image->bytes, sizeof(eh));
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) || eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh.e_machine != EM_X86_64 || eh.e_phentsize != sizeof(ph) ||
	    !is_inside(eh.e_phoff, (uint64_t)eh.e_phnum * sizeof(ph), image->size))
		return -ENOEXEC;
	for (unsigned i = 0; i < eh.e_phnum; i++) {
		memcpy(&ph, image->bytes + eh.e_phoff + i * sizeof(ph), sizeof(ph));
		if (ph.p_type == PT_LOAD)
			add_segment(image, &ph);
		if (ph.p_type == PT_GNU_EH_FRAME) {
			image->eh_frame_hdr = ph.p_vaddr;
			image->eh_frame_hdr_size = ph.p_filesz;
		}
	}
	return image->segment_count ? 0 : -ENOEXEC;
}

static int map_file(struct pln_elf_image *image, int fd)
{
	struct stat st;
	void *bytes;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || !st.st_size)
		return -ENOEXEC;
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	image->bytes = bytes;
	image->size = (size_t)st.st_size;
	image->mapped = true;
	return 0;
}

int pln_elf_image_open(struct pln_elf_image *image, const char *path)
{
	/* Not blocking: a path that a stranger chose may name a FIFO. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int err;

	*image = (struct pln_elf_image){ 0 };
	if (fd < 0)
		return -errno;
	err = map_file(image, fd);
	close(fd);
	if (!err)
		err = parse(image);
	if (err)
		pln_elf_image_close(image);
	return err;
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
	int err;

	*image = (struct pln_elf_image){ 0 };
	if (!bytes)
		return -ENOENT;
	image->bytes = bytes;
	image->size = vdso_size(bytes);
	err = parse(image);
	if (err)
		pln_elf_image_close(image);
	return err;
}

void pln_elf_image_close(struct pln_elf_image *image)
{
	if (image->mapped)
		munmap((void *)(uintptr_t)image->bytes, image->size);
	*image = (struct pln_elf_image){ 0 };
}

const uint8_t *pln_elf_image_at(const struct pln_elf_image *image, uint64_t vaddr, size_t *left)
{
	for (unsigned i = 0; i < image->segment_count; i++) {
		uint64_t into = vaddr - image->segment[i].vaddr;

		if (into < image->segment[i].size) {
			*left = image->segment[i].size - into;
			return image->bytes + image->segment[i].offset + into;
		}
	}
	*left = 0;
	return NULL;
}
