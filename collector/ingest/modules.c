/* SPDX-License-Identifier: MIT */
/*
 * modules.c - see modules.h.
 *
 * The target reports a mapping some time after it was made and some time after it
 * went, so a sample can be older than the report of the module that it hit: between
 * two candidates the time decides, a single one is taken whatever its time. A program may
 * load and unload all its life: those that went long ago are forgotten.
 */
#include "ingest/modules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profile/grow.h"

#define MAX_MODULES 65536u
#define GONE_FEW 512u
#define GONE_MANY 16384u /* looked through one by one for a sample that is older */
#define GONE_KEPT_NS 10000000000ull /* samples that hit one have been taken by then */

/* Index of the first live module that ends behind `address`. */
static size_t first_ending_behind(const struct pln_module_list *list, uint64_t address)
{
	size_t lo = 0, hi = list->live_count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (list->live[mid].hi > address)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static bool is_long_gone(const struct pln_module *m, uint64_t time_ns)
{
	return m->gone_ns < time_ns && time_ns - m->gone_ns > GONE_KEPT_NS;
}

/* Half of them or more at a time: the others move up. */
static void forget_long_gone(struct pln_module_list *list, uint64_t time_ns)
{
	size_t half = list->gone_count / 2;
	size_t count = list->gone_count < GONE_MANY ? 0 : half;

	if (list->gone_count < GONE_FEW || (!count && !is_long_gone(&list->gone[half], time_ns)))
		return;
	while (count < list->gone_count && is_long_gone(&list->gone[count], time_ns))
		count++;
	for (size_t i = 0; i < count; i++)
		free((char *)list->gone[i].unwind.path);
	list->gone_count -= count;
	memmove(list->gone, list->gone + count, list->gone_count * sizeof(*list->gone));
}

static void bury(struct pln_module_list *list, size_t index, uint64_t time_ns)
{
	struct pln_module m = list->live[index];

	forget_long_gone(list, time_ns);
	memmove(&list->live[index], &list->live[index + 1],
		(list->live_count - index - 1) * sizeof(m));
	list->live_count--;
	m.gone_ns = time_ns;
	if (pln_grow(&list->gone, &list->gone_capacity, list->gone_count, sizeof(m)))
		list->gone[list->gone_count++] = m;
	else
		free((char *)m.unwind.path);
}

static void note_change(struct pln_module_list *list, uint64_t time_ns)
{
	if (list->changed_ns < time_ns)
		list->changed_ns = time_ns;
}

void pln_modules_remove(struct pln_module_list *list, uint64_t lo, uint64_t hi, uint64_t time_ns)
{
	size_t i = first_ending_behind(list, lo);

	while (i < list->live_count && list->live[i].lo < hi) {
		bury(list, i, time_ns);
		note_change(list, time_ns);
	}
}

static bool is_same(const struct pln_module *a, const struct pln_module *b)
{
	return a->lo == b->lo && a->hi == b->hi && a->bias == b->bias &&
	       !strcmp(a->unwind.path, b->unwind.path);
}

int pln_modules_check(const struct pln_module_list *list, const struct pln_module *m)
{
	size_t at = first_ending_behind(list, m->lo);

	if (m->lo >= m->hi || list->live_count + list->gone_count >= MAX_MODULES)
		return -EINVAL;
	return at < list->live_count && is_same(&list->live[at], m) ? -EEXIST : 0;
}

int pln_modules_add(struct pln_module_list *list, const struct pln_module *m)
{
	size_t at = first_ending_behind(list, m->lo);

	if (!pln_grow(&list->live, &list->live_capacity, list->live_count, sizeof(*m)))
		return -ENOMEM;
	pln_modules_remove(list, m->lo, m->hi, m->from_ns);
	memmove(&list->live[at + 1], &list->live[at], (list->live_count - at) * sizeof(*m));
	list->live[at] = *m;
	list->live[at].gone_ns = UINT64_MAX;
	list->live_count++;
	note_change(list, m->from_ns);
	return 0;
}

static bool holds(const struct pln_module *m, uint64_t pc)
{
	return pc >= m->lo && pc < m->hi;
}

/* The one that was there at the time; of those that went later, the first to go. */
static const struct pln_module *find_gone(const struct pln_module_list *list, uint64_t pc,
					  uint64_t time_ns)
{
	const struct pln_module *found = NULL;

	for (size_t i = list->gone_count; i-- > 0 && list->gone[i].gone_ns >= time_ns;)
		if (holds(&list->gone[i], pc))
			found = &list->gone[i];
	return found;
}

const struct pln_module *pln_modules_find(const struct pln_module_list *list, uint64_t pc,
					  uint64_t time_ns)
{
	size_t i = first_ending_behind(list, pc);
	const struct pln_module *live = NULL, *gone;

	if (i < list->live_count && holds(&list->live[i], pc))
		live = &list->live[i];
	if (live && (live->from_ns <= time_ns || !list->gone_count))
		return live;
	gone = find_gone(list, pc, time_ns);
	return gone ? gone : live;
}

void pln_modules_free(struct pln_module_list *list)
{
	for (size_t i = 0; i < list->live_count; i++)
		free((char *)list->live[i].unwind.path);
	for (size_t i = 0; i < list->gone_count; i++)
		free((char *)list->gone[i].unwind.path);
	free(list->live);
	free(list->gone);
	memset(list, 0, sizeof(*list));
}
