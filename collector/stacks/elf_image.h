/* SPDX-License-Identifier: MIT */
/*
 * elf_image.h - the loaded segments of an ELF file, read from the file.
 *
 * A target's code and unwind information are the same bytes in the file that they came
 * from, so an address of the target minus the load address is looked up here. Files are
 * a stranger's: everything is checked against their size, and none is mapped, since one that
 * is cut while it is mapped raises SIGBUS. Nor is one kept open. What was read last, of all
 * files and for all targets, is kept in a memory of fixed size.
 */
#ifndef PILLION_COLLECTOR_ELF_IMAGE_H
#define PILLION_COLLECTOR_ELF_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#define PLN_ELF_SEGMENTS 16u

struct pln_elf_image {
	const char *path; /* NULL: it is in our memory */
	const uint8_t *memory;
	uint64_t size;
	uint64_t identity; /* of the file, and of its state when it was opened */
	unsigned segment_count; /* 0: it could not be used */
	struct {
		uint64_t vaddr; /* ELF virtual addresses */
		uint64_t size; /* bytes in the file */
		uint64_t offset;
	} segment[PLN_ELF_SEGMENTS];
	uint64_t eh_frame_hdr; /* virtual address */
	uint64_t eh_frame_hdr_size; /* 0: none */
};

/* `path` outlives the image. Returns 0 or -errno; `image` is then empty. */
int pln_elf_image_open(struct pln_elf_image *image, const char *path);

/* The vdso of this process: the same as that of each process on this kernel. 0 or -errno. */
int pln_elf_image_own_vdso(struct pln_elf_image *image);

/*
 * Copies up to `size` bytes at a virtual address; returns how many there are, none of a file that
 * has changed but what is kept. *loads: the file may be read so often; counted down.
 */
size_t pln_elf_image_read(const struct pln_elf_image *image, uint64_t vaddr, void *to, size_t size,
			  unsigned *loads);

#endif
