/* SPDX-License-Identifier: MIT */
/*
 * module_set.c - publishes the modules to walks, and knows when memory can go.
 *
 * Walks count themselves in and out (of one of several counters, so that threads do
 * not share a cache line), the sampling thread unmaps what it has dropped only when
 * it has seen every counter at zero after the drop. Why that is enough: counting in
 * comes before the load of the pointer, replacing the pointer comes before the loads
 * of the counters, all four are sequentially consistent; so a walk that a counter's
 * zero does not show loads the pointer after it was replaced. Counters need not be
 * zero at the same time. Walks last about a microsecond: they nearly always are.
 * A thread that leaves a walk by longjmp() out of a nested handler leaves its counter
 * up for good: then dropped memory stays mapped, and nothing else happens.
 */
#include "native/module_set_i.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>

#include "pages.h"

#define COUNTERS 16

static struct {
	_Alignas(64) atomic_uint inside;
} walks[COUNTERS];

/* Written by the sampling thread; never NULL after the first publish. */
static _Atomic(struct pln_module_set *) current;
static struct pln_block *dropped;
static _Atomic bool hint;

/* struct dl_find_object of glibc >= 2.35 and what may be added to it. */
struct found_object {
	uint64_t words[32];
};
/* Documented as async-signal-safe. Looked up: older C libraries do not have it. */
static int (*find_object)(void *pc, struct found_object *result);

void pln_module_set_init(void)
{
	*(void **)&find_object = dlsym(RTLD_DEFAULT, "_dl_find_object");
}

bool pln_module_set_is_loaded_sigsafe(uintptr_t pc)
{
	struct found_object result;

	return find_object && !find_object((void *)pc, &result);
}

/* Stacks are some pages apart: neighbours get different counters. */
static atomic_uint *counter_of_sigsafe(uintptr_t key)
{
	return &walks[key >> 12 & (COUNTERS - 1)].inside;
}

PLN_HOT void pln_module_set_prefetch_sigsafe(uintptr_t key)
{
	__builtin_prefetch(counter_of_sigsafe(key), 1);
	__builtin_prefetch(&current);
}

PLN_HOT struct pln_module_set *pln_module_set_enter_sigsafe(uintptr_t key)
{
	atomic_fetch_add(counter_of_sigsafe(key), 1);
	return atomic_load(&current); /* pairs with pln_module_set_publish() */
}

PLN_HOT void pln_module_set_leave_sigsafe(uintptr_t key)
{
	/* release: our reads of the set come before; pairs with the loads in reclaim */
	atomic_fetch_sub_explicit(counter_of_sigsafe(key), 1, memory_order_release);
}

PLN_HOT struct pln_module_view *pln_module_set_find_sigsafe(struct pln_module_set *set,
							    uintptr_t pc)
{
	uint32_t low = 0, high = set->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (set->views[middle].lo <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || pc >= set->views[low - 1].hi)
		return NULL;
	return &set->views[low - 1];
}

void pln_module_set_missed_sigsafe(void)
{
	/* The load first: the line stays shared while nothing changes. */
	if (!pln_load_relaxed(&hint))
		pln_store_relaxed(&hint, true);
}

void pln_module_set_want_sigsafe(struct pln_module_view *view)
{
	pln_store_relaxed(&view->wanted, true);
	pln_module_set_missed_sigsafe();
}

struct pln_module_set *pln_module_set_new(uint32_t count)
{
	size_t size = sizeof(struct pln_module_set) + count * sizeof(struct pln_module_view);
	struct pln_module_set *set = pln_pages_map(size, 0);

	if (set == MAP_FAILED)
		return NULL;
	set->block.size_bytes = size;
	set->count = count;
	return set;
}

struct pln_module_set *pln_module_set_current(void)
{
	return pln_load_relaxed(&current);
}

void pln_module_set_publish(struct pln_module_set *set)
{
	struct pln_module_set *old = atomic_exchange(&current, set);

	if (old)
		pln_module_set_drop(&old->block);
}

void pln_module_set_drop(struct pln_block *block)
{
	block->next = dropped;
	dropped = block;
}

void pln_module_set_reclaim(void)
{
	if (!dropped)
		return;
	for (unsigned i = 0; i < COUNTERS; i++)
		if (atomic_load(&walks[i].inside))
			return;
	while (dropped) {
		struct pln_block *block = dropped;

		dropped = block->next;
		pln_pages_unmap(block, block->size_bytes);
	}
}

size_t pln_module_set_dropped_bytes(void)
{
	size_t size = 0;

	for (const struct pln_block *block = dropped; block; block = block->next)
		size += block->size_bytes;
	return size;
}

bool pln_module_set_take_hint(void)
{
	return pln_load_relaxed(&hint) && pln_swap_relaxed(&hint, false);
}

bool pln_module_set_has_hint(void)
{
	return pln_load_relaxed(&hint);
}

void pln_module_set_after_fork(void)
{
	for (unsigned i = 0; i < COUNTERS; i++)
		atomic_store(&walks[i].inside, 0);
}
