/* SPDX-License-Identifier: MIT */
/*
 * intern.h - a map from byte strings to dense ids: equal keys, equal id.
 *
 * Stacks, frames and functions are interned by a packed struct, names by their text.
 * Open addressing on XXH3, keys copied into an arena and compared whole, so that a
 * collision of hashes costs a comparison and never a wrong answer. Hashes are seeded: who
 * chooses the keys must not choose collisions.
 */
#ifndef PILLION_COLLECTOR_INTERN_H
#define PILLION_COLLECTOR_INTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profile/model.h"

struct pln_intern;

struct pln_intern *pln_intern_new(void);
void pln_intern_free(struct pln_intern *table);

/*
 * The id of the key of `size` bytes; *is_new (may be NULL) tells whether it was added
 * now. Ids are dense from 0 in order of addition. PLN_NONE: out of memory.
 */
uint32_t pln_intern_add(struct pln_intern *table, const void *key, size_t size, bool *is_new);

/* PLN_NONE when not there. */
uint32_t pln_intern_find(const struct pln_intern *table, const void *key, size_t size);

/* The table's own copy of key `id`, unaligned; it stays in its place until the table is freed. */
const void *pln_intern_key(const struct pln_intern *table, uint32_t id);

size_t pln_intern_count(const struct pln_intern *table);

/* The seed of this process, for other tables whose keys are a stranger's. */
uint64_t pln_intern_seed(void);

#endif
