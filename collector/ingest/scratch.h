/* SPDX-License-Identifier: MIT */
/*
 * scratch.h - memory that one drain uses again and again. Private to ingest/.
 */
#ifndef PILLION_COLLECTOR_SCRATCH_H
#define PILLION_COLLECTOR_SCRATCH_H

#include <stddef.h>
#include <stdint.h>

#include <pillion/wire.h>

#include "stacks/stacks.h"

/* Frames that one walk may have once it is finished. */
#define PLN_SCRATCH_NATIVE (UINT16_MAX + 1024u)

struct pln_scratch {
	void *record;
	size_t record_size;
	void *passes;
	size_t passes_size;
	uint64_t *pc; /* PLN_SCRATCH_NATIVE of each */
	uint32_t *cfa;
	struct pln_joined_frame *joined; /* and UINT16_MAX Python frames */
};

/* Each returns NULL when memory ran out; the content is lost at the next call. */
struct pln_record *pln_scratch_record(struct pln_scratch *s, size_t size);
void *pln_scratch_passes(struct pln_scratch *s, size_t size);

#endif
