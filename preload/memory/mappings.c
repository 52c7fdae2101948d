/* SPDX-License-Identifier: MIT */
/*
 * mappings.c - mmap and its family, interposed: what the program maps without a file is counted
 * as a class of its own, by pages.
 *
 * Context: any thread at any time, inside of signal handlers too.
 *
 * The kernel unmaps by ranges: a part of a mapping, or several at once. So each one is known
 * by its ends, in a table without locks: an entry is claimed by its low end, and nobody
 * else changes it until it is put back; who needs it then looks again, for a while. Ranges leave
 * the table before they leave the process, as their place may be somebody else's at once; what they
 * were is kept until the call is known to have worked, and comes back if it has not. Reserved
 * address space (PROT_NONE, or MAP_NORESERVE: the 1 GiB that a free-threaded CPython begins with)
 * is no memory yet, and is not counted; nor are files, stacks and libraries, which libc maps by
 * itself. Past MAPPINGS that live at one time, more are passed through uncounted.
 */
#include "mappings.h"

#include <stdarg.h>
#include <sys/mman.h>

#include <pillion/atomic.h>
#include <pillion/syscall.h>

#include "burst/burst.h"
#include "export.h"
#include "memory/counters.h"
#include "memory/real.h"
#include "sampling/announce.h"
#include "segment.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4 /* Linux 5.7, glibc 2.32 */
#endif

#define MAPPINGS 16384u
#define PASSES 100u /* until what is claimed is left to itself */
#define PASSES_OVER_SPLITS 4u
/* Bits of a low end: */
#define CLAIMED ((uintptr_t)1) /* somebody is changing the entry */
#define TAKEN ((uintptr_t)2) /* see struct range */
#define PAGE 4096u
#define ADDRESSES_END (1ull << 56) /* more than a program can have */

struct mapping {
	_Atomic uintptr_t lo; /* 0: no mapping */
	_Atomic uintptr_t hi;
	uint64_t id; /* of the sample, 0: it is none */
	struct mapping *next; /* of the same range, while it is TAKEN */
};

static struct mapping mappings[MAPPINGS];
static _Atomic uint32_t high_water; /* entries behind were never used */
static _Atomic uint32_t splits; /* entries that became two */
static _Atomic bool missed; /* a mapping did not fit in */

/* How often this thread is where entries are claimed: more than once in a handler of its own. */
static __thread unsigned inside;

struct part {
	uintptr_t lo;
	uintptr_t hi;
};

/*
 * A range that was taken out of the table. Mappings that lie in it as a whole keep their
 * entries, which are nobody else's. Besides, it has a part of one at most at each of its ends,
 * as mappings do not overlap.
 */
struct range {
	uintptr_t lo;
	uintptr_t hi;
	uint64_t bytes; /* of it that were in the table */
	struct mapping *taken;
	struct part at_lo;
	struct part at_hi;
};

/* ---------------------------------------------------------------- the table */

static struct mapping *claim_free(void)
{
	uint32_t used = pln_load_relaxed(&high_water);

	for (uint32_t i = 0; i < MAPPINGS; i++) {
		uintptr_t none = 0;

		if (pln_load_relaxed(&mappings[i].lo) ||
		    !pln_cas_acquire(&mappings[i].lo, &none, CLAIMED))
			continue;
		while (used <= i && !pln_cas_acquire(&high_water, &used, i + 1))
			;
		return &mappings[i];
	}
	return NULL;
}

static bool add(uintptr_t lo, uintptr_t hi, uint64_t id)
{
	struct mapping *m = claim_free();

	if (!m) {
		pln_store_relaxed(&missed, true);
		return false;
	}
	pln_store_relaxed(&m->hi, hi);
	m->id = id;
	/* release: its end before its beginning; pairs with claim() */
	pln_store_release(&m->lo, lo);
	return true;
}

enum claim {
	CLAIM_APART, /* it has nothing of the range */
	CLAIM_BUSY, /* it may have, and is somebody's for the moment */
	CLAIM_OURS,
};

static bool overlaps(const struct mapping *m, uintptr_t lo, const struct range *range)
{
	/* acquire: pairs with split() */
	return lo && lo < range->hi && pln_load_acquire(&m->hi) > range->lo;
}

/* *lo: the low end of an entry that is ours. */
static enum claim claim(struct mapping *m, const struct range *range, uintptr_t *lo)
{
	/* acquire: pairs with add() */
	uintptr_t seen = pln_load_acquire(&m->lo);

	*lo = seen & ~CLAIMED;
	if (seen & TAKEN || !overlaps(m, *lo, range))
		return CLAIM_APART;
	if (seen & CLAIMED || !pln_cas_acquire(&m->lo, &seen, seen | CLAIMED))
		return CLAIM_BUSY;
	/* The end may be another mapping's: looked at again now that it is ours. */
	if (overlaps(m, *lo, range))
		return CLAIM_OURS;
	pln_store_release(&m->lo, *lo);
	return CLAIM_APART;
}

/*
 * The first part of an entry stays, what is behind the range gets its own. Whoever sees the end
 * of the one sees the other, or that it must look once more: a locked addition keeps its place
 * among all other accesses.
 */
static void split(struct mapping *m, uintptr_t hi, const struct range *range)
{
	if (hi > range->hi) {
		(void)add(range->hi, hi, 0);
		pln_signal_fence();
		(void)pln_add_relaxed(&splits, 1);
	}
	/* release: pairs with overlaps() */
	pln_store_release(&m->hi, range->lo);
}

/* Cuts the range out of one entry, whose low end was `lo`, and puts the rest back. */
static void cut(struct mapping *m, uintptr_t lo, struct range *range)
{
	uintptr_t hi = pln_load_relaxed(&m->hi);
	struct part part = { .lo = lo > range->lo ? lo : range->lo,
			     .hi = hi < range->hi ? hi : range->hi };

	range->bytes += part.hi - part.lo;
	if (lo < range->lo) {
		range->at_lo = part;
		split(m, hi, range);
		pln_store_release(&m->lo, lo);
	} else if (hi > range->hi) {
		range->at_hi = part;
		pln_store_release(&m->lo, range->hi);
	} else {
		m->next = range->taken;
		range->taken = m;
		pln_store_relaxed(&m->lo, lo | TAKEN);
	}
}

/* It has not gone. Parts are mappings of their own from now on. */
static void put_back(struct range *range)
{
	for (struct mapping *m = range->taken, *next; m; m = next) {
		next = m->next;
		/* release: as in add() */
		pln_store_release(&m->lo, pln_load_relaxed(&m->lo) & ~TAKEN);
	}
	if (range->at_lo.hi)
		(void)add(range->at_lo.lo, range->at_lo.hi, 0);
	if (range->at_hi.hi)
		(void)add(range->at_hi.lo, range->at_hi.hi, 0);
}

/* What the kernel refuses without a look at its mappings takes nothing. */
static bool is_range(uintptr_t lo, size_t size)
{
	return !(lo % PAGE) && size && lo < ADDRESSES_END && size <= ADDRESSES_END - lo;
}

/* False: something of it was somebody's, or has moved where we had looked before. */
static bool take_all(struct range *range, bool *busy)
{
	/* acquire: what is split from now on may be missed; before high_water, which may grow */
	uint32_t before = pln_load_acquire(&splits);
	uint32_t used = pln_load_relaxed(&high_water);

	*busy = false;
	for (uint32_t i = 0; i < used; i++) {
		uintptr_t lo;
		enum claim claimed = claim(&mappings[i], range, &lo);

		if (claimed == CLAIM_OURS)
			cut(&mappings[i], lo, range);
		*busy |= claimed == CLAIM_BUSY;
	}
	return !*busy && pln_load_relaxed(&splits) == before;
}

/*
 * Another thread has an entry for less than a microsecond, if it runs. One that we have
 * interrupted, as a handler, has it until we return.
 */
static bool take_in_time(struct range *range)
{
	bool busy;

	for (unsigned i = 0; i < PASSES; i++) {
		if (take_all(range, &busy) || (!busy && i >= PASSES_OVER_SPLITS))
			return true;
		if (busy && inside > 1)
			return false;
		if (busy)
			(void)pln_syscall3(SYS_sched_yield, 0, 0, 0);
	}
	return false;
}

static struct range take(uintptr_t lo, size_t size)
{
	struct range range = { .lo = lo, .hi = lo + ((size + PAGE - 1) & ~(size_t)(PAGE - 1)) };

	if (!is_range(lo, size))
		return (struct range){ 0 };
	inside++;
	pln_signal_fence();
	if (!take_in_time(&range) && pln_segment_is_ours_sigsafe())
		pln_segment_drop_sigsafe(PILLION_DROP_FREE_LOST);
	pln_signal_fence();
	inside--;
	return range;
}

static bool follow(uintptr_t lo, uint64_t id)
{
	uint32_t used = pln_load_relaxed(&high_water);

	for (uint32_t i = 0; i < used; i++) {
		uintptr_t seen = lo;

		if (pln_load_relaxed(&mappings[i].lo) != lo ||
		    !pln_cas_acquire(&mappings[i].lo, &seen, lo | CLAIMED))
			continue;
		mappings[i].id = id;
		pln_store_release(&mappings[i].lo, lo);
		return true;
	}
	return false;
}

bool pln_mapping_follow_sigsafe(uintptr_t lo, uint64_t id)
{
	bool found;

	inside++;
	pln_signal_fence();
	found = follow(lo, id);
	pln_signal_fence();
	inside--;
	return found;
}

void pln_mappings_forget_samples(void)
{
	for (uint32_t i = 0; i < pln_load_relaxed(&high_water); i++) {
		uintptr_t lo = pln_load_relaxed(&mappings[i].lo);

		mappings[i].id = 0;
		/* By a thread that is not here: the fork came before its call. */
		pln_store_relaxed(&mappings[i].lo, lo & ~(CLAIMED | TAKEN));
	}
}

/* ---------------------------------------------------------------- counting */

/* The call has worked. */
static void count_free(struct range *range)
{
	for (struct mapping *m = range->taken, *next; m; m = next) {
		uint64_t id = m->id;

		next = m->next;
		/* release: it is read before it is free; pairs with claim_free() */
		pln_store_release(&m->lo, 0);
		if (id)
			pln_memory_tell_free(id);
	}
	if (range->bytes)
		pln_memory_count_free(PILLION_HEAP_MAPPING, range->bytes);
}

static void count_mapping(uintptr_t lo, size_t size)
{
	uint64_t bytes = (size + PAGE - 1) & ~(uint64_t)(PAGE - 1);

	if (add(lo, lo + bytes, 0))
		(void)pln_memory_count_block((void *)lo, bytes, PILLION_BLOCK_MAPPING);
}

void pln_mappings_tick(void)
{
	/* Of the segment that was told: a child's is at the same place, mostly. */
	static uint64_t told_ns;

	if (!pln_load_relaxed(&missed) || told_ns == pln_segment->start_mono_ns)
		return;
	told_ns = pln_segment->start_mono_ns;
	pln_announce_note(1, "more mappings at one time than can be followed (16,384): "
			     "what came after them is not counted");
}

static bool is_counted(void)
{
	return pln_memory_mode != PLN_MEMORY_OFF;
}

/* ------------------------------------------------------------------- hooks */

static inline void *map(void *hint, size_t size, int prot, int flags, int fd, off_t offset)
{
	struct range range = { 0 };
	bool replaces;
	void *p;

	if (!is_counted())
		return pln_real.mmap(hint, size, prot, flags, fd, offset);
	/* What lies there goes. */
	replaces = flags & MAP_FIXED && !(flags & MAP_FIXED_NOREPLACE);
	if (replaces)
		range = take((uintptr_t)hint, size);
	p = pln_real.mmap(hint, size, prot, flags, fd, offset);
	if (p == MAP_FAILED) {
		put_back(&range);
		return p;
	}
	/* Or it was unmapped where we cannot see, else its place would not be given again. */
	if (!replaces)
		range = take((uintptr_t)p, size);
	count_free(&range);
	if (flags & MAP_ANONYMOUS && !(flags & MAP_NORESERVE) && prot != PROT_NONE)
		count_mapping((uintptr_t)p, size);
	return p;
}

PLN_EXPORT void *mmap(void *hint, size_t size, int prot, int flags, int fd, off_t offset)
{
	return map(hint, size, prot, flags, fd, offset);
}

PLN_EXPORT void *mmap64(void *hint, size_t size, int prot, int flags, int fd, off64_t offset)
{
	return map(hint, size, prot, flags, fd, offset);
}

static int unmap(void *address, size_t size)
{
	if (pln_burst_chunk_retire((uintptr_t)address, size))
		return 0;
	return pln_real.munmap(address, size);
}

PLN_EXPORT int munmap(void *address, size_t size)
{
	struct range range;
	int result;

	if (!is_counted())
		return unmap(address, size);
	range = take((uintptr_t)address, size);
	result = unmap(address, size);
	if (!result)
		count_free(&range);
	else
		put_back(&range);
	return result;
}

/*
 * Frees the old and maps the new, whether it moves or not. With MREMAP_DONTUNMAP the old one
 * stays mapped, too, without its pages: as much as one that is new.
 */
PLN_EXPORT void *mremap(void *address, size_t old_size, size_t size, int flags, ...)
{
	bool replaces = flags & MREMAP_FIXED, stays = flags & MREMAP_DONTUNMAP;
	struct range range, replaced = { 0 };
	void *to = NULL, *p;
	va_list arguments;

	if (replaces || stays) {
		va_start(arguments, flags);
		to = va_arg(arguments, void *);
		va_end(arguments);
	}
	if (!is_counted())
		return pln_real.mremap(address, old_size, size, flags, to);
	range = take((uintptr_t)address, old_size);
	if (replaces)
		replaced = take((uintptr_t)to, size);
	p = pln_real.mremap(address, old_size, size, flags, to);
	if (p == MAP_FAILED || stays)
		put_back(&range);
	if (p == MAP_FAILED) {
		put_back(&replaced);
		return p;
	}
	if (!replaces)
		replaced = take((uintptr_t)p, size);
	count_free(&replaced);
	if (!range.bytes)
		return p;
	if (!stays)
		count_free(&range);
	count_mapping((uintptr_t)p, size);
	return p;
}
