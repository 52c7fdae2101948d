/* SPDX-License-Identifier: MIT */
/*
 * elf_image.h - the loaded segments of an ELF file, read from the file.
 *
 * A target's code and unwind information are the same bytes in the file that they came
 * from, so an address of the target minus the load address is looked up here. Files are
 * a stranger's: everything is checked against their size.
 */
#ifndef PILLION_COLLECTOR_ELF_IMAGE_H
#define PILLION_COLLECTOR_ELF_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLN_ELF_SEGMENTS 16u

struct pln_elf_image {
	const uint8_t *bytes; /* the file; NULL: it could not be used */
	size_t size;
	bool mapped; /* by us */
	unsigned segment_count;
	struct {
		uint64_t vaddr; /* ELF virtual addresses */
		uint64_t size; /* bytes in the file */
		uint64_t offset;
	} segment[PLN_ELF_SEGMENTS];
	uint64_t eh_frame_hdr; /* virtual address */
	uint64_t eh_frame_hdr_size; /* 0: none */
};

/* Maps the file privately. Returns 0 or -errno; `image` is then empty, and may be closed. */
int pln_elf_image_open(struct pln_elf_image *image, const char *path);

/* The vdso of this process: the same as that of each process on this kernel. 0 or -errno. */
int pln_elf_image_own_vdso(struct pln_elf_image *image);

void pln_elf_image_close(struct pln_elf_image *image);

/* The bytes at a virtual address; *left is how many there are (0: none, NULL). */
const uint8_t *pln_elf_image_at(const struct pln_elf_image *image, uint64_t vaddr, size_t *left);

#endif
