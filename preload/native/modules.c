/* SPDX-License-Identifier: MIT */
/*
 * modules.c - the list of loaded modules, and when their tables are built.
 *
 * Modules come from dl_iterate_phdr(), which tells cheaply when nothing came or went.
 * It takes the loader's lock: so only the sampling thread calls it, and calls nothing
 * back from under it. A module may be unmapped at any moment outside of that lock;
 * its unwind sections are therefore copied by checked reads, or, where those are
 * forbidden, under the lock.
 * Context: sampling thread only, but for functions that say otherwise.
 */
#include "native/native.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "checked_read.h"
#include "native/memo_i.h"
#include "native/module_set_i.h"
#include "native/modules_i.h"
#include "pages.h"

#define FIRST_CAPACITY 64
/* Building a large table takes milliseconds, and ticks wait meanwhile. */
#define BUILDS_PER_REFRESH 4
#define MOST_DOUBLINGS 12 /* of the looks between attempts to build a table */

static struct {
	struct pln_loaded *modules; /* own mapping, in no order */
	unsigned count;
	unsigned capacity;
	unsigned long long adds; /* the loader's counters when `modules` was made */
	unsigned long long subs;
	uint32_t epoch;
	bool dirty; /* `modules` differs from what is published */
	bool incomplete; /* memory was short during the last scan */
	bool put_off; /* tables that were wanted have not been built */
	bool failed; /* the same, as building failed */
	uint64_t looks; /* how often it was looked what is loaded */
} list;

static bool grow(void)
{
	size_t old_size = list.capacity * sizeof(struct pln_loaded);
	unsigned capacity = list.capacity ? 2 * list.capacity : FIRST_CAPACITY;
	size_t size = capacity * sizeof(struct pln_loaded);
	void *memory;

	if (list.capacity)
		memory = pln_pages_resize(list.modules, old_size, size);
	else
		memory = pln_pages_map(size, 0);
	if (memory == MAP_FAILED)
		return false;
	list.modules = memory;
	list.capacity = capacity;
	return true;
}

static struct pln_loaded *find_loaded(uintptr_t pc)
{
	for (unsigned i = 0; i < list.count; i++) {
		struct pln_loaded *m = &list.modules[i];

		if (pc >= m->module.lo && pc < m->module.hi)
			return m;
	}
	return NULL;
}

/* Under the loader's lock: notes that the range is there, adding it when it is new. */
static void note_range(const struct dl_phdr_info *info, const ElfW(Phdr) * segment)
{
	struct pln_loaded found;

	pln_loaded_describe(info, segment, &found);
	for (unsigned i = 0; i < list.count; i++) {
		if (pln_loaded_is_same(&list.modules[i], &found)) {
			list.modules[i].seen = true;
			return;
		}
	}
	if (list.count == list.capacity && !grow()) {
		list.incomplete = true;
		return;
	}
	found.seen = true;
	list.modules[list.count++] = found;
	list.dirty = true;
}

static int note_module(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];

		if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X) && segment->p_memsz)
			note_range(info, segment);
	}
	list.adds = info->dlpi_adds;
	list.subs = info->dlpi_subs;
	return 0;
}

static int compare_counters(struct dl_phdr_info *info, size_t size, void *arg)
{
	bool *same = arg;

	(void)size;
	*same = info->dlpi_adds == list.adds && info->dlpi_subs == list.subs;
	return 1;
}

/* Removes what is no longer loaded. Returns how many. */
static int sweep(const struct pln_module_events *events)
{
	int gone = 0;

	for (unsigned i = 0; i < list.count;) {
		struct pln_loaded *m = &list.modules[i];

		if (m->seen) {
			m->seen = false;
			i++;
			continue;
		}
		if (m->announced && events)
			events->gone(&m->module, events->arg);
		if (m->table)
			pln_module_set_drop(&m->table->block);
		*m = list.modules[--list.count];
		gone++;
	}
	if (gone)
		list.dirty = true;
	return gone;
}

static int announce(const struct pln_module_events *events)
{
	int added = 0;

	for (unsigned i = 0; i < list.count; i++) {
		struct pln_loaded *m = &list.modules[i];

		if (m->announced)
			continue;
		m->announced = true;
		if (events)
			events->added(&m->module, events->arg);
		added++;
	}
	return added;
}

/*
 * Under the loader's lock: nothing is unmapped before it returns. If something was before, another
 * module may be in this one's place.
 */
static int copy_under_lock(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct pln_loaded_copy *copy = arg;

	(void)size;
	if (info->dlpi_subs != list.subs)
		return 1;
	if (info->dlpi_addr != copy->module->module.bias)
		return 0;
	pln_loaded_copy_plainly(copy);
	return 1;
}

/* NULL when memory is short, or the module is gone: to be tried again. */
static struct pln_table *make_table(const struct pln_loaded *m)
{
	struct pln_loaded_copy copy = { .module = m };
	size_t size = m->eh_frame ? m->module.eh_frame_hdr_size + m->eh_frame_size : 0;
	struct pln_table *table = NULL;

	if (!size)
		return pln_table_build(&copy.image, m->module.lo, m->module.hi);
	copy.bytes = pln_pages_map(size, 0);
	if (copy.bytes == MAP_FAILED)
		return NULL;
	if (pln_checked_read_works_sigsafe())
		pln_loaded_copy_checked(&copy);
	else
		dl_iterate_phdr(copy_under_lock, &copy);
	if (copy.image.hdr)
		table = pln_table_build(&copy.image, m->module.lo, m->module.hi);
	pln_pages_unmap(copy.bytes, size);
	return table;
}

static void build(struct pln_loaded *m)
{
	m->table = make_table(m);
	m->hopeless = !m->table;
	list.dirty = true;
	if (m->table)
		return;
	list.failed = true;
	if (m->failures < MOST_DOUBLINGS)
		m->failures++;
	m->again = list.looks + (1u << m->failures);
}

static bool is_wanted(const struct pln_loaded *m)
{
	struct pln_module_set *set = pln_module_set_current();
	struct pln_module_view *view = set ? pln_module_set_find_sigsafe(set, m->module.lo) : NULL;

	return m->eager || m->hopeless || (view && pln_load_relaxed(&view->wanted));
}

static void build_wanted(void)
{
	unsigned built = 0;

	list.put_off = list.failed = false;
	for (unsigned i = 0; i < list.count; i++) {
		struct pln_loaded *m = &list.modules[i];

		if (m->table || !is_wanted(m))
			continue;
		if (m->hopeless && list.looks < m->again) {
			list.failed = true;
			continue;
		}
		if (!m->eager && ++built > BUILDS_PER_REFRESH) {
			pln_module_set_missed_sigsafe(); /* come back for the rest */
			return;
		}
		build(m);
	}
}

/* Views are kept in order by insertion: there are some dozens, seldom some hundreds. */
static void insert_view(struct pln_module_set *set, uint32_t used, const struct pln_loaded *m)
{
	uint32_t at = used;

	while (at && set->views[at - 1].lo > m->module.lo) {
		set->views[at] = set->views[at - 1];
		at--;
	}
	set->views[at] = (struct pln_module_view){ .lo = m->module.lo,
						   .hi = m->module.hi,
						   .table = m->table,
						   .hopeless = m->hopeless,
						   .wanted = is_wanted(m) };
	if (m->table)
		set->views[at].list = m->table->list;
}

static bool publish(void)
{
	struct pln_module_set *set;

	if (!list.dirty)
		return true;
	set = pln_module_set_new(list.count);
	if (!set)
		return false;
	set->epoch = list.epoch;
	for (uint32_t i = 0; i < list.count; i++)
		insert_view(set, i, &list.modules[i]);
	pln_module_set_publish(set);
	list.dirty = false;
	return true;
}

int pln_native_init(void)
{
	pln_loaded_init();
	pln_module_set_init();
	list.dirty = true;
	if (!grow() || !publish())
		return -ENOMEM;
	return 0;
}

int pln_native_refresh(const struct pln_module_events *events)
{
	bool same = false;
	int changes = 0;

	list.looks++;
	dl_iterate_phdr(compare_counters, &same);
	if (!same || list.incomplete) {
		list.incomplete = false;
		dl_iterate_phdr(note_module, NULL);
		changes = sweep(events);
		list.epoch++; /* after a change only: what walks have cached may be stale */
	}
	changes += announce(events);
	if (events && events->no_tables) {
		list.put_off = true;
	} else if (pln_module_set_take_hint() || list.dirty || list.put_off || list.failed) {
		build_wanted();
	}
	if (!publish() || list.incomplete)
		return -ENOMEM;
	pln_module_set_reclaim();
	return changes;
}

bool pln_native_refresh_is_due(void)
{
	return pln_module_set_has_hint();
}

void pln_native_want(uintptr_t pc)
{
	struct pln_loaded *m = find_loaded(pc);

	if (!m || m->table || m->hopeless)
		return;
	build(m);
	publish();
}

size_t pln_native_table_bytes(void)
{
	size_t size = pln_module_set_dropped_bytes();

	for (unsigned i = 0; i < list.count; i++)
		if (list.modules[i].table)
			size += list.modules[i].table->block.size_bytes;
	return size;
}

void pln_native_after_fork(void)
{
	pln_module_set_after_fork();
	pln_memo_after_fork();
	for (unsigned i = 0; i < list.count; i++)
		list.modules[i].announced = false;
}
