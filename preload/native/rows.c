/* SPDX-License-Identifier: MIT */
/*
 * rows.c - from a pc to its row, through a cache that all threads share.
 *
 * An entry is two words, stored without a lock:
 *
 *   value = epoch << 32 | row's rules      key = pc ^ value * MIX
 *
 * An entry is taken only when the key fits the value, so that one torn by two writers
 * is a miss; and only when its epoch is that of the module set in use, so that nothing
 * outlives a change of modules. Real programs run in few places: nearly every lookup
 * of a warm program is answered here, without a search.
 */
#include "native/walk_i.h"

#define BUCKET_BITS 9
#define WAYS 4
#define PAGE 4096
#define MIX 0x9e3779b97f4a7c15ull

/*
 * Relaxed everywhere: key and value prove each other, and a miss costs a search only.
 * Small on purpose: a handler finds it in a far cache or in none, and what is not there
 * costs more than a search now and then (2,048 entries beat 8,192 by a tenth).
 */
struct entry {
	_Atomic uint64_t key;
	_Atomic uint64_t value;
};

/* A bucket is one cache line. */
static _Alignas(64) struct entry cache[1u << BUCKET_BITS][WAYS];

static struct entry *bucket_of_sigsafe(uintptr_t pc)
{
	return cache[pc * MIX >> (64 - BUCKET_BITS)];
}

PLN_HOT void pln_rows_prefetch_sigsafe(uintptr_t pc)
{
	__builtin_prefetch(bucket_of_sigsafe(pc));
	/* Which of the others will be asked for nobody knows yet, but where their pages are. */
	for (size_t at = 0; at < sizeof(cache); at += PAGE)
		__builtin_prefetch((const char *)cache + at);
}

/* The newest entry comes first, the oldest one drops out. */
PLN_HOT void pln_rows_remember_sigsafe(struct pln_walker *w, uintptr_t pc, struct pln_row row)
{
	struct entry *bucket = bucket_of_sigsafe(pc);
	uint64_t value = (uint64_t)w->set->epoch << 32 | pln_row_pack_sigsafe(row);

	for (unsigned i = WAYS - 1; i; i--) {
		pln_store_relaxed(&bucket[i].value, pln_load_relaxed(&bucket[i - 1].value));
		pln_store_relaxed(&bucket[i].key, pln_load_relaxed(&bucket[i - 1].key));
	}
	pln_store_relaxed(&bucket[0].value, value);
	pln_store_relaxed(&bucket[0].key, pc ^ value * MIX);
}

PLN_HOT bool pln_rows_recall_sigsafe(const struct pln_walker *w, uintptr_t pc, struct pln_row *row)
{
	struct entry *bucket = bucket_of_sigsafe(pc);

	for (unsigned i = 0; i < WAYS; i++) {
		uint64_t value = pln_load_relaxed(&bucket[i].value);
		uint64_t key = pln_load_relaxed(&bucket[i].key);

		if ((key ^ value * MIX) == pc && value >> 32 == w->set->epoch) {
			*row = pln_row_unpack_sigsafe((uint32_t)value);
			return true;
		}
	}
	return false;
}

static struct pln_module_view *view_of_sigsafe(struct pln_walker *w, uintptr_t pc)
{
	if (!w->view || pc < w->view->lo || pc >= w->view->hi)
		w->view = pln_module_set_find_sigsafe(w->set, pc);
	return w->view;
}

static __attribute__((noinline)) enum pln_lookup search_sigsafe(struct pln_walker *w, uintptr_t pc,
								struct pln_row *row)
{
	struct pln_module_view *view = view_of_sigsafe(w, pc);

	if (!view)
		return PLN_LOOKUP_NO_MODULE;
	if (!view->table) {
		if (view->hopeless)
			return PLN_LOOKUP_HOPELESS;
		pln_module_set_want_sigsafe(view);
		return PLN_LOOKUP_NO_TABLE;
	}
	*row = view->list.rows[pln_table_find_sigsafe(&view->list, (uint32_t)(pc - view->lo))];
	pln_rows_remember_sigsafe(w, pc, *row);
	return PLN_LOOKUP_ROW;
}

PLN_HOT enum pln_lookup pln_rows_find_sigsafe(struct pln_walker *w, uintptr_t pc,
					      struct pln_row *row)
{
	if (pln_rows_recall_sigsafe(w, pc, row))
		return PLN_LOOKUP_ROW;
	return search_sigsafe(w, pc, row);
}

bool pln_rows_function_start_sigsafe(struct pln_walker *w, uintptr_t pc, uintptr_t *start)
{
	struct pln_module_view *view = view_of_sigsafe(w, pc);
	uint32_t i;

	if (!view || !view->table)
		return false;
	i = pln_table_find_sigsafe(&view->list, (uint32_t)(pc - view->lo));
	while (i && !(view->list.rows[i].kind & PLN_ROW_STARTS_FUNCTION))
		i--;
	*start = view->lo + view->list.rows[i].pc;
	return view->list.rows[i].kind & PLN_ROW_STARTS_FUNCTION;
}
