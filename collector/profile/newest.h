/* SPDX-License-Identifier: MIT */
/*
 * newest.h - of what changes after it was added, the newest encoded entry by id.
 *
 * For writer.c: an entry is written when it has changed since, and not before the strings that it
 * names.
 */
#ifndef PILLION_COLLECTOR_NEWEST_H
#define PILLION_COLLECTOR_NEWEST_H

#include <stdbool.h>
#include <stdint.h>

#include "profile/codec.h"

#define PLN_NEWEST_PAYLOAD (4u << 20) /* far below what a chunk may have */

struct pln_newest {
	uint8_t *bytes;
	uint32_t size;
	uint32_t strings; /* ids below this are needed to read it */
	bool dirty; /* not in the file yet */
};

/* Ids [0, count) are known; ids beyond were handed out when memory had run out. */
struct pln_newest_table {
	struct pln_newest *rows;
	uint32_t count;
	uint32_t capacity;
	uint32_t next;
};

/* A new id. They stay in step with what is handed out: after one failure nothing more is added. */
uint32_t pln_newest_add(struct pln_newest_table *t);

/* Keeps a copy of `entry` as the newest of `id`, if it is another one than before. */
void pln_newest_set(struct pln_newest_table *t, uint32_t id, const struct pln_buffer *entry,
		    uint32_t strings);

/*
 * Appends what is dirty of ids from `begin` on, until `payload` is PLN_NEWEST_PAYLOAD bytes or
 * more, and up to the first that needs more than the first `strings` strings: a reader takes new
 * ids in order only. Returns where it ended; when it appended nothing, nothing is left to append.
 */
uint32_t pln_newest_put_dirty(const struct pln_newest_table *t, uint32_t begin, uint32_t strings,
			      struct pln_buffer *payload);

/* Ids [begin, end) are in the file. */
void pln_newest_written(struct pln_newest_table *t, uint32_t begin, uint32_t end);

bool pln_newest_is_written(const struct pln_newest_table *t);

void pln_newest_free(struct pln_newest_table *t);

#endif
