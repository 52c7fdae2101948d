/* SPDX-License-Identifier: MIT */
/*
 * arena.c - a bump allocator in growing chunks, and an open-addressing set over it.
 *
 * The set holds pointers only; it is rehashed at three quarters, so that a probe
 * stays short. Hashes are recomputed on growth: strings are short and growth is rare.
 */
#include "symbols/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE ((size_t)64 * 1024)
#define SET_START ((size_t)1024)

struct chunk {
	struct chunk *next;
	size_t used;
	size_t size;
	char data[];
};

struct pln_arena {
	struct chunk *chunks; /* the newest first; only that one has room */
	size_t total_bytes;
	const char **set; /* set_size slots, a power of two; NULL: free */
	size_t set_size;
	size_t set_used;
};

struct pln_arena *pln_arena_new(void)
{
	return calloc(1, sizeof(struct pln_arena));
}

void pln_arena_free(struct pln_arena *arena)
{
	struct chunk *chunk, *next;

	if (!arena)
		return;
	for (chunk = arena->chunks; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free(arena->set);
	free(arena);
}

static struct chunk *chunk_add(struct pln_arena *arena, size_t need)
{
	size_t size = need > CHUNK_SIZE ? need : CHUNK_SIZE;
	struct chunk *chunk = malloc(sizeof(*chunk) + size);

	if (!chunk)
		return NULL;
	chunk->next = arena->chunks;
	chunk->used = 0;
	chunk->size = size;
	arena->chunks = chunk;
	arena->total_bytes += sizeof(*chunk) + size;
	return chunk;
}

const char *pln_arena_copy(struct pln_arena *arena, const char *string, size_t length)
{
	struct chunk *chunk = arena->chunks;
	char *copy;

	if (!chunk || chunk->size - chunk->used <= length)
		chunk = chunk_add(arena, length + 1);
	if (!chunk)
		return NULL;
	copy = chunk->data + chunk->used;
	chunk->used += length + 1;
	memcpy(copy, string, length);
	copy[length] = '\0';
	return copy;
}

/* FNV-1a. */
static uint64_t hash_string(const char *string)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *string; string++)
		hash = (hash ^ (unsigned char)*string) * UINT64_C(0x100000001b3);
	return hash ^ (hash >> 32);
}

/* The slot that holds `string`, or the free one where it belongs. */
static const char **set_find(const char **set, size_t size, const char *string)
{
	size_t i = hash_string(string) & (size - 1);

	while (set[i] && strcmp(set[i], string) != 0)
		i = (i + 1) & (size - 1);
	return &set[i];
}

static bool set_grow(struct pln_arena *arena)
{
	size_t size = arena->set_size ? 2 * arena->set_size : SET_START;
	const char **set = calloc(size, sizeof(*set));

	if (!set)
		return false;
	for (size_t i = 0; i < arena->set_size; i++) {
		if (arena->set[i])
			*set_find(set, size, arena->set[i]) = arena->set[i];
	}
	free(arena->set);
	arena->set = set;
	arena->set_size = size;
	return true;
}

const char *pln_arena_intern(struct pln_arena *arena, const char *string)
{
	const char **slot;

	if (!*string)
		return "";
	if (4 * arena->set_used >= 3 * arena->set_size && !set_grow(arena))
		return "";
	slot = set_find(arena->set, arena->set_size, string);
	if (*slot)
		return *slot;
	*slot = pln_arena_copy(arena, string, strlen(string));
	if (!*slot)
		return "";
	arena->set_used++;
	return *slot;
}

size_t pln_arena_size(const struct pln_arena *arena)
{
	return arena->total_bytes + arena->set_size * sizeof(*arena->set);
}
