/* SPDX-License-Identifier: MIT */
/*
 * eh_frame_i.h - .eh_frame and .eh_frame_hdr of one module, parsed from a private copy.
 *
 * Copies may be cut short or hostile; every function here survives any bytes.
 */
#ifndef PILLION_PRELOAD_NATIVE_EH_FRAME_I_H
#define PILLION_PRELOAD_NATIVE_EH_FRAME_I_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "native/cfi_i.h"

struct pln_eh_image {
	const uint8_t *hdr; /* copy of .eh_frame_hdr */
	size_t hdr_size;
	uintptr_t hdr_addr; /* where the original is */
	const uint8_t *frames; /* copy of .eh_frame, and maybe of what follows it */
	size_t frames_size;
	uintptr_t frames_addr;
};

/* One function's range and where its entry is: offsets from `lo` and into the frames. */
struct pln_fde_place {
	uint32_t start;
	uint32_t offset;
};

struct pln_cie {
	uint32_t offset; /* in the frames */
	bool valid;
	bool signal_frame;
	bool has_augmentation_data;
	uint8_t pointer_encoding;
	struct pln_cfi_factors factors;
	struct pln_cfi_state initial;
};

struct pln_fde {
	uintptr_t lo; /* the function is [lo, hi) */
	uintptr_t hi;
	struct pln_bytes program;
};

/* The address of .eh_frame that the first bytes of .eh_frame_hdr give, 0: none. */
uintptr_t pln_eh_frame_address(const uint8_t *hdr, size_t size, uintptr_t hdr_addr);

/*
 * Lists the functions that start in [lo, hi), sorted by start, into `places` of room
 * `max`; returns how many there are, which may be more than max (call again).
 */
size_t pln_eh_frame_list(const struct pln_eh_image *image, uintptr_t lo, uintptr_t hi,
			 struct pln_fde_place *places, size_t max);

/* Parses the entry at `offset`. *cie is kept between calls: the last common entry used. */
bool pln_eh_frame_parse(const struct pln_eh_image *image, uint32_t offset, struct pln_cie *cie,
			struct pln_fde *fde);

#endif
