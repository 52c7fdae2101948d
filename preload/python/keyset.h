/* SPDX-License-Identifier: MIT */
/*
 * keyset.h - a set of 64-bit keys that any thread may ask and extend at any moment.
 *
 * Fixed memory, no lock, async-signal-safe. It forgets everything when it gets too
 * full: whoever uses it must be able to bear that, and does the work once more.
 */
#ifndef PILLION_PRELOAD_PYTHON_KEYSET_H
#define PILLION_PRELOAD_PYTHON_KEYSET_H

#include <stdbool.h>
#include <stdint.h>

#include <pillion/atomic.h>

/* Keys asked for lately: a page instead of one page for each key. */
#define PLN_KEYSET_RECENT 256

struct pln_keyset {
	_Atomic uint64_t *slots; /* NULL before init: nothing is in the set */
	_Atomic uint32_t generation; /* 1..255; slots of another one count as empty */
	_Atomic uint32_t used; /* slots taken in this generation */
	_Atomic uint64_t recent[PLN_KEYSET_RECENT]; /* copies of slots, by the mixed key's top */
};

/* Not in a handler: maps memory (512 KiB, touched as it fills). True when there is some. */
bool pln_keyset_init(struct pln_keyset *set);

/* Not in a handler, and no other thread may use the set meanwhile. */
void pln_keyset_clear(struct pln_keyset *set);

/* Starts to load what asking for `key` will need. */
void pln_keyset_prefetch_sigsafe(const struct pln_keyset *set, uint64_t key);
bool pln_keyset_has_sigsafe(struct pln_keyset *set, uint64_t key);
void pln_keyset_add_sigsafe(struct pln_keyset *set, uint64_t key);

#endif
