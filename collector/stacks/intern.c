/* SPDX-License-Identifier: MIT */
/*
 * intern.c - see intern.h.
 *
 *   slots[hash & mask] -> id + 1 -> entries[id] -> key bytes in the arena
 *
 * Entries keep 32 bits of the hash: enough to place them again when the slots grow,
 * and to pass over nearly every key that is not the one looked for.
 */
#include "stacks/intern.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/random.h>

#include <pillion/atomic.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define ARENA_BLOCK_SIZE (64u << 10)
#define FIRST_SLOTS 256u

struct entry {
	const uint8_t *key;
	uint32_t size;
	uint32_t hash;
};

struct arena_block {
	struct arena_block *next;
	uint8_t bytes[];
};

struct pln_intern {
	uint64_t seed;
	uint32_t *slots; /* id + 1, 0: empty; at most half of them are taken */
	size_t slot_count; /* a power of two */
	struct entry *entries;
	size_t count;
	size_t capacity;
	struct arena_block *blocks; /* newest first */
	uint8_t *arena; /* what is left of the newest common block */
	size_t arena_left;
};

/* Without random numbers from the kernel, what at least differs from run to run. */
static uint64_t draw_seed(void)
{
	struct timespec now;
	uint64_t seed = 0;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) == sizeof(seed) && seed)
		return seed;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return ((uint64_t)now.tv_sec << 32 ^ (uint64_t)now.tv_nsec ^ (uintptr_t)&now) | 1;
}

uint64_t pln_intern_seed(void)
{
	static _Atomic uint64_t drawn; /* 0: not yet */
	uint64_t seed = pln_load_relaxed(&drawn), fresh;

	if (seed)
		return seed;
	fresh = draw_seed();
	/* Of two threads that come first, one seed holds for both. */
	return pln_cas_acquire(&drawn, &seed, fresh) ? fresh : seed;
}

struct pln_intern *pln_intern_new(void)
{
	struct pln_intern *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->slots = calloc(FIRST_SLOTS, sizeof(*table->slots));
	if (!table->slots) {
		free(table);
		return NULL;
	}
	table->slot_count = FIRST_SLOTS;
	table->seed = pln_intern_seed();
	return table;
}

void pln_intern_free(struct pln_intern *table)
{
	if (!table)
		return;
	while (table->blocks) {
		struct arena_block *next = table->blocks->next;

		free(table->blocks);
		table->blocks = next;
	}
	free(table->slots);
	free(table->entries);
	free(table);
}

size_t pln_intern_count(const struct pln_intern *table)
{
	return table->count;
}

const void *pln_intern_key(const struct pln_intern *table, uint32_t id)
{
	return table->entries[id].key;
}

static uint8_t *new_block(struct pln_intern *table, size_t size)
{
	struct arena_block *block = malloc(sizeof(*block) + size);

	if (!block)
		return NULL;
	block->next = table->blocks;
	table->blocks = block;
	return block->bytes;
}

/* Large keys get a block of their own, so that they do not waste the common one. */
static uint8_t *arena_take(struct pln_intern *table, size_t size)
{
	uint8_t *taken;

	if (size > ARENA_BLOCK_SIZE / 8)
		return new_block(table, size);
	if (!table->arena || size > table->arena_left) {
		uint8_t *fresh = new_block(table, ARENA_BLOCK_SIZE);

		if (!fresh)
			return NULL;
		table->arena = fresh;
		table->arena_left = ARENA_BLOCK_SIZE;
	}
	taken = table->arena;
	table->arena += size;
	table->arena_left -= size;
	return taken;
}

/* The slot of the key, or the empty one where it belongs. */
static size_t find_slot(const struct pln_intern *table, const void *key, size_t size, uint32_t hash)
{
	size_t mask = table->slot_count - 1;
	size_t slot = hash & mask;

	for (; table->slots[slot]; slot = (slot + 1) & mask) {
		const struct entry *e = &table->entries[table->slots[slot] - 1];

		if (e->hash == hash && e->size == size && !memcmp(e->key, key, size))
			break;
	}
	return slot;
}

static bool grow_slots(struct pln_intern *table)
{
	size_t count = table->slot_count * 2;
	uint32_t *slots = calloc(count, sizeof(*slots));

	if (!slots)
		return false;
	for (size_t id = 0; id < table->count; id++) {
		size_t slot = table->entries[id].hash & (count - 1);

		while (slots[slot])
			slot = (slot + 1) & (count - 1);
		slots[slot] = (uint32_t)id + 1;
	}
	free(table->slots);
	table->slots = slots;
	table->slot_count = count;
	return true;
}

/* Room for one more entry and its slot. */
static bool make_room(struct pln_intern *table)
{
	if (table->count >= PLN_NONE - 1)
		return false;
	if (table->count == table->capacity) {
		size_t capacity = table->capacity ? table->capacity * 2 : FIRST_SLOTS / 2;
		struct entry *entries = realloc(table->entries, capacity * sizeof(*entries));

		if (!entries)
			return false;
		table->entries = entries;
		table->capacity = capacity;
	}
	return table->count * 2 < table->slot_count || grow_slots(table);
}

static uint32_t hash_key(const struct pln_intern *table, const void *key, size_t size)
{
	return (uint32_t)XXH3_64bits_withSeed(key, size, table->seed);
}

uint32_t pln_intern_find(const struct pln_intern *table, const void *key, size_t size)
{
	uint32_t found = table->slots[find_slot(table, key, size, hash_key(table, key, size))];

	return found ? found - 1 : PLN_NONE;
}

uint32_t pln_intern_add(struct pln_intern *table, const void *key, size_t size, bool *is_new)
{
	uint32_t hash = hash_key(table, key, size);
	size_t slot = find_slot(table, key, size, hash);
	uint8_t *copy;

	if (is_new)
		*is_new = false;
	if (table->slots[slot])
		return table->slots[slot] - 1;
	if (size > UINT32_MAX || !make_room(table))
		return PLN_NONE;
	copy = arena_take(table, size);
	if (!copy)
		return PLN_NONE;
	memcpy(copy, key, size);
	table->entries[table->count] = (struct entry){ copy, (uint32_t)size, hash };
	/* The slots may have grown since the key was looked for. */
	slot = find_slot(table, key, size, hash);
	table->slots[slot] = (uint32_t)++table->count;
	if (is_new)
		*is_new = true;
	return (uint32_t)table->count - 1;
}
