/* SPDX-License-Identifier: MIT */
/*
 * modules_i.h - one loaded module, as program headers and notes describe it.
 */
#ifndef PILLION_PRELOAD_NATIVE_MODULES_I_H
#define PILLION_PRELOAD_NATIVE_MODULES_I_H

#include <link.h>

#include "native/eh_frame_i.h"
#include "native/native.h"

struct pln_loaded {
	struct pln_module module;
	uintptr_t eh_frame; /* 0: none */
	size_t eh_frame_size; /* up to the end of its segment: the section may be shorter */
	struct pln_table *table; /* NULL: not built */
	bool eager; /* build the table without being asked */
	bool hopeless; /* building failed: until look number `again` */
	uint8_t failures;
	bool seen; /* during a scan: it is still there */
	bool announced;
	uint64_t again;
};

/* The unwind sections of a module, on their way into `bytes` (room for both). */
struct pln_loaded_copy {
	const struct pln_loaded *module;
	uint8_t *bytes;
	struct pln_eh_image image;
};

/* Once. */
void pln_loaded_init(void);

/* Context: under the loader's lock. `segment` is one executable PT_LOAD of the module. */
void pln_loaded_describe(const struct dl_phdr_info *info, const ElfW(Phdr) * segment,
			 struct pln_loaded *out);

bool pln_loaded_is_same(const struct pln_loaded *a, const struct pln_loaded *b);

/*
 * Fill copy->image: any time by checked reads, or plainly under the loader's lock. It stays empty
 * where the module cannot be read.
 */
void pln_loaded_copy_checked(struct pln_loaded_copy *copy);
void pln_loaded_copy_plainly(struct pln_loaded_copy *copy);

#endif
