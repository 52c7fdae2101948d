/* SPDX-License-Identifier: MIT */
/*
 * live.c - a set of blocks that any thread adds to and removes from, without locks.
 *
 * Each block has two buckets of a cache line, by two hashes, and lies in either. An entry is
 * claimed, filled, and then shows its block; a block is in at most one entry, since it is added
 * before the program knows it and removed before the allocator may give it out again. There is no
 * search beyond the two lines and no tombstone: a full pair of buckets takes no more, which is
 * counted.
 */
#include "live.h"

#include <errno.h>
#include <string.h>

#include "pages.h"

#define PAGE 4096u
#define BUCKET 8u
#define ENTRIES_MIN (1u << 15) /* 10 GiB of heap at the default interval fill it by two thirds */
#define ENTRIES_MAX (1u << 22)
#define FILL_BYTES (16ull << 30)
#define CLAIMED 1u /* no block's address */

_Atomic uint16_t pln_live_on_page[PLN_LIVE_PAGES];

static _Atomic uintptr_t *blocks;
static uint64_t *ids;
static uint32_t bucket_mask;

static uint32_t choose_entries(uint64_t interval)
{
	uint64_t wanted = FILL_BYTES / interval;
	uint32_t entries = ENTRIES_MIN;

	while (entries < wanted && entries < ENTRIES_MAX)
		entries *= 2;
	return entries;
}

int pln_live_init(uint64_t interval)
{
	uint32_t entries = choose_entries(interval);
	void *memory;

	if (blocks)
		return 0;
	memory = pln_pages_map(entries * (sizeof(*blocks) + sizeof(*ids)), MAP_NORESERVE);
	if (memory == MAP_FAILED)
		return -errno;
	ids = (uint64_t *)((_Atomic uintptr_t *)memory + entries);
	bucket_mask = entries / BUCKET - 1;
	blocks = memory;
	return 0;
}

/* Blocks are multiples of 16; the halves of the product are as good as two hashes. */
static uint64_t hash(uintptr_t block)
{
	return (block >> 4) * 0x9e3779b97f4a7c15ull;
}

static _Atomic uintptr_t *bucket(uint64_t hash, unsigned which)
{
	return blocks + BUCKET * ((uint32_t)(which ? hash >> 13 : hash >> 40) & bucket_mask);
}

static _Atomic uintptr_t *claim(_Atomic uintptr_t *entries)
{
	for (unsigned i = 0; i < BUCKET; i++) {
		uintptr_t none = 0;

		if (!pln_load_relaxed(&entries[i]) && pln_cas_acquire(&entries[i], &none, CLAIMED))
			return &entries[i];
	}
	return NULL;
}

static _Atomic uint16_t *page_of(uintptr_t block)
{
	return &pln_live_on_page[(block >> 12) % PLN_LIVE_PAGES];
}

bool pln_live_add_sigsafe(uintptr_t block, uint64_t id)
{
	uint64_t h = hash(block);
	_Atomic uintptr_t *entry = claim(bucket(h, 0));

	if (!entry)
		entry = claim(bucket(h, 1));
	if (!entry)
		return false;
	pln_add_relaxed(page_of(block), 1);
	ids[entry - blocks] = id;
	/* release: the id before the block; pairs with pln_live_remove_sigsafe() */
	pln_store_release(entry, block);
	return true;
}

static uint64_t remove_from(_Atomic uintptr_t *entries, uintptr_t block)
{
	for (unsigned i = 0; i < BUCKET; i++) {
		uint64_t id;

		/* acquire: pairs with pln_live_add_sigsafe() */
		if (pln_load_acquire(&entries[i]) != block)
			continue;
		id = ids[entries + i - blocks];
		/*
		 * A program that frees twice may come here twice: once is enough. release: the
		 * id is read before the entry is free; pairs with claim().
		 */
		if (!pln_cas_release(&entries[i], &block, 0))
			return 0;
		(void)pln_add_relaxed(page_of(block), (uint16_t)-1);
		return id;
	}
	return 0;
}

uint64_t pln_live_remove_sigsafe(uintptr_t block)
{
	uint64_t h = hash(block), id;

	if (!blocks)
		return 0;
	id = remove_from(bucket(h, 0), block);
	return id ? id : remove_from(bucket(h, 1), block);
}

/* In a forked child a page that is written is copied first: what is zero stays as it is. */
static void clear(char *memory, size_t size)
{
	static const char zeros[PAGE];

	for (; size; memory += PAGE, size -= PAGE)
		if (memcmp(memory, zeros, PAGE))
			memset(memory, 0, PAGE);
}

void pln_live_forget(void)
{
	size_t size = (bucket_mask + 1) * BUCKET * sizeof(*blocks);

	if (!blocks)
		return;
	clear((char *)pln_live_on_page, sizeof(pln_live_on_page));
	/* Zeros again, without a page; not where all memory is locked. */
	if (madvise((void *)blocks, size, MADV_DONTNEED))
		clear((char *)blocks, size);
}
