/* SPDX-License-Identifier: MIT */
/*
 * keyset.c - open addressing in mapped memory, emptied by counting a generation up.
 *
 * A slot holds the upper 56 bits of the mixed key and the generation in which it was
 * added. Two threads that add the same key at one time may take two slots: harmless.
 * Mixing is a bijection, so that only the 8 bits given to the generation are lost:
 * one wrong "yes" in 2^56 / used questions. A handler asks for the same few keys again
 * and again, at long intervals: copies of their slots lie together in one page.
 */
#include "keyset.h"

#include <stddef.h>
#include <string.h>

#include "hot.h"
#include "pages.h"

#define SLOT_COUNT (1u << 16)
#define SLOTS_BYTES (SLOT_COUNT * sizeof(uint64_t))
#define USED_LIMIT (SLOT_COUNT / 4 * 3)
#define PROBE_LIMIT 128
#define GENERATION_MASK 0xffu
#define RECENT_SHIFT 56

_Static_assert(PLN_KEYSET_RECENT == 1 << (64 - RECENT_SHIFT), "the key's top bits choose");

bool pln_keyset_init(struct pln_keyset *set)
{
	void *memory;

	if (set->slots)
		return true;
	memory = pln_pages_map(SLOTS_BYTES, 0);
	if (memory == MAP_FAILED)
		return false;
	pln_store_relaxed(&set->generation, 1);
	set->slots = memory;
	return true;
}

void pln_keyset_clear(struct pln_keyset *set)
{
	if (!set->slots)
		return;
	/* Private and anonymous: reads as zeros again, and gives the memory back. */
	if (madvise(set->slots, SLOTS_BYTES, MADV_DONTNEED) < 0)
		memset(set->slots, 0, SLOTS_BYTES);
	for (unsigned i = 0; i < PLN_KEYSET_RECENT; i++)
		pln_store_relaxed(&set->recent[i], 0);
	pln_store_relaxed(&set->generation, 1);
	pln_store_relaxed(&set->used, 0);
}

static uint64_t mix_sigsafe(uint64_t key)
{
	return key * 0x9e3779b97f4a7c15ull;
}

static uint64_t slot_value_sigsafe(uint64_t mixed, uint32_t generation)
{
	return (mixed & ~(uint64_t)GENERATION_MASK) | generation;
}

static bool is_in_slots_sigsafe(const struct pln_keyset *set, uint64_t mixed, uint32_t generation)
{
	uint64_t want = slot_value_sigsafe(mixed, generation);
	uint32_t at = (uint32_t)(mixed >> 48);

	for (unsigned i = 0; i < PROBE_LIMIT; i++) {
		/* acquire: pairs with the add, whose caller did its work before */
		uint64_t value = pln_load_acquire(&set->slots[(at + i) % SLOT_COUNT]);

		if (value == want)
			return true;
		if ((value & GENERATION_MASK) != generation)
			return false;
	}
	return false;
}

PLN_HOT void pln_keyset_prefetch_sigsafe(const struct pln_keyset *set, uint64_t key)
{
	__builtin_prefetch(&set->recent[mix_sigsafe(key) >> RECENT_SHIFT]);
}

PLN_HOT bool pln_keyset_has_sigsafe(struct pln_keyset *set, uint64_t key)
{
	uint64_t mixed = mix_sigsafe(key);
	_Atomic uint64_t *recent = &set->recent[mixed >> RECENT_SHIFT];
	uint32_t generation;

	if (!set->slots)
		return false;
	generation = pln_load_relaxed(&set->generation);
	/* acquire: pairs with the release below, which passes on what the slot's acquire got */
	if (pln_load_acquire(recent) == slot_value_sigsafe(mixed, generation))
		return true;
	if (!is_in_slots_sigsafe(set, mixed, generation))
		return false;
	pln_store_release(recent, slot_value_sigsafe(mixed, generation));
	return true;
}

/* Context: any. Several threads may come here at once: one of them wins, that is enough. */
static void forget_all_sigsafe(struct pln_keyset *set, uint32_t generation)
{
	uint32_t next = generation == GENERATION_MASK ? 1 : generation + 1;

	if (atomic_compare_exchange_strong(&set->generation, &generation, next))
		pln_store_relaxed(&set->used, 0);
}

void pln_keyset_add_sigsafe(struct pln_keyset *set, uint64_t key)
{
	uint64_t mixed = mix_sigsafe(key);
	uint32_t at = (uint32_t)(mixed >> 48), generation;

	if (!set->slots)
		return;
	generation = pln_load_relaxed(&set->generation);
	for (unsigned i = 0; i < PROBE_LIMIT; i++) {
		_Atomic uint64_t *slot = &set->slots[(at + i) % SLOT_COUNT];
		uint64_t value = pln_load_relaxed(slot);

		if (value == slot_value_sigsafe(mixed, generation))
			return;
		if ((value & GENERATION_MASK) == generation)
			continue;
		/* release (and more): what was done for the key comes before it is in the set */
		if (!atomic_compare_exchange_strong(slot, &value,
						    slot_value_sigsafe(mixed, generation)))
			continue;
		if (pln_add_relaxed(&set->used, 1) >= USED_LIMIT)
			forget_all_sigsafe(set, generation);
		return;
	}
	forget_all_sigsafe(set, generation);
}
