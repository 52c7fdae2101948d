/* SPDX-License-Identifier: MIT */
/*
 * vdso.h - the build id of the vdso in this process, by the notes that the kernel maps.
 */
#ifndef PILLION_TESTS_VDSO_H
#define PILLION_TESTS_VDSO_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>

/* Copies up to 64 bytes; returns how many there are, 0: no vdso. */
static inline size_t vdso_build_id(uint8_t *id)
{
	const uint8_t *image = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
	const Elf64_Ehdr *header = (const void *)image;
	const Elf64_Phdr *segments = image ? (const void *)(image + header->e_phoff) : NULL;

	for (unsigned i = 0; image && i < header->e_phnum; i++) {
		const uint8_t *at = image + segments[i].p_offset;
		const uint8_t *end = at + segments[i].p_filesz;

		while (segments[i].p_type == PT_NOTE && at < end) {
			const Elf64_Nhdr *note = (const void *)at;

			at += sizeof(*note) + ((note->n_namesz + 3) & ~3U);
			if (note->n_type == NT_GNU_BUILD_ID && note->n_descsz <= 64) {
				memcpy(id, at, note->n_descsz);
				return note->n_descsz;
			}
			at += (note->n_descsz + 3) & ~3U;
		}
	}
	return 0;
}

#endif
