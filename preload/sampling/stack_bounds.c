/* SPDX-License-Identifier: MIT */
/*
 * stack_bounds.c - own stacks by their size; a sorted copy of the writable mappings, for
 * stacks whose end is not known otherwise; and room to copy these to.
 *
 * Two tables take turns: the sampling thread fills the one that is not published, then
 * publishes it. A handler that still reads the older one finishes long before that one
 * is filled again (refreshes are at least a tick apart, and a handler runs for
 * microseconds). Were it overtaken, it would get a wrong end; so it would from a table
 * that was made before a mapping went. So an end only says where to stop copying.
 */
#include "stack_bounds.h"

#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>

#include <pillion/atomic.h>
#include <pillion/syscall.h>

#include "checked_read.h"
#include "text.h"

#define MAX_RANGES 2048
#define PAGE 4096ul
#define COPIES 16 /* handlers on such stacks at the same time */
#define COPY_SIZE (64u << 10)
#define LARGEST_STACK (1ul << 30)

struct ranges {
	unsigned count;
	struct pln_stack_range at[MAX_RANGES];
};

struct pln_stack_copy {
	_Atomic bool taken;
	_Alignas(64) unsigned char bytes[COPY_SIZE];
};

static struct pln_stack_copy copies[COPIES];
static struct ranges tables[2];
static _Atomic(struct ranges *) published;
static _Atomic uint32_t wanted;

/* Calls fn for each line of /proc/thread-self/maps, without stdio. */
static void each_mapping(void (*fn)(const char *line, void *arg), void *arg)
{
	char buffer[8192];
	size_t kept = 0;
	long fd = pln_syscall4(SYS_openat, AT_FDCWD, (long)"/proc/thread-self/maps",
			       O_RDONLY | O_CLOEXEC, 0);
	long n;

	if (fd < 0)
		return;
	while ((n = pln_syscall3(SYS_read, fd, (long)(buffer + kept),
				 (long)(sizeof(buffer) - 1 - kept))) > 0) {
		char *line = buffer, *end;

		buffer[kept + (size_t)n] = '\0';
		for (; (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			fn(line, arg);
		}
		kept = strlen(line);
		if (kept >= sizeof(buffer) - 1) /* a path longer than the buffer: not a stack */
			kept = 0;
		memmove(buffer, line, kept);
	}
	(void)pln_syscall3(SYS_close, fd, 0, 0);
}

/* "lo-hi perms ..." of a readable and writable mapping. */
static bool parse(const char *line, struct pln_stack_range *range)
{
	range->lo = pln_parse_hex(&line);
	if (*line++ != '-')
		return false;
	range->hi = pln_parse_hex(&line);
	return line[0] == ' ' && line[1] == 'r' && line[2] == 'w';
}

static void add_range(const char *line, void *arg)
{
	struct ranges *table = arg;

	if (table->count < MAX_RANGES && parse(line, &table->at[table->count]))
		table->count++;
}

void pln_stack_bounds_refresh(void)
{
	struct ranges *now = pln_load_relaxed(&published);
	struct ranges *next = now == &tables[0] ? &tables[1] : &tables[0];

	if (!pln_swap_relaxed(&wanted, 0))
		return;
	next->count = 0;
	each_mapping(add_range, next);
	/* release: the ranges before the pointer; pairs with pln_stack_end_sigsafe() */
	pln_store_release(&published, next);
}

uintptr_t pln_stack_end_sigsafe(uintptr_t sp)
{
	/* acquire: pairs with pln_stack_bounds_refresh() */
	const struct ranges *table = pln_load_acquire(&published);
	unsigned lo = 0, hi = table ? table->count : 0;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (sp < table->at[mid].lo)
			hi = mid;
		else if (sp >= table->at[mid].hi)
			lo = mid + 1;
		else
			return table->at[mid].hi;
	}
	pln_store_relaxed(&wanted, 1);
	return (sp | (PAGE - 1)) + 1;
}

/* ------------------------------------------------------------- copies */

static struct pln_stack_copy *find_copy_sigsafe(void)
{
	for (unsigned i = 0; i < COPIES; i++)
		/* acquire: pairs with giving back */
		if (!pln_swap_acquire(&copies[i].taken, true))
			return &copies[i];
	return NULL;
}

/* Mappings merge with their neighbours, but no stack goes on behind a thread's descriptor. */
static uintptr_t end_to_copy_sigsafe(uintptr_t sp)
{
	uintptr_t hi = pln_stack_end_sigsafe(sp), descriptor = (uintptr_t)pthread_self();

	return sp < descriptor && descriptor < hi ? descriptor : hi;
}

/* Without checked reads: the page that the thread has just used. */
static struct pln_stack in_place_sigsafe(uintptr_t lo, uintptr_t sp)
{
	uintptr_t page = (sp - 1) & ~(PAGE - 1);

	if (lo < page)
		lo = page;
	return (struct pln_stack){ .lo = lo,
				   .hi = page + PAGE,
				   .bytes = (const unsigned char *)lo };
}

struct pln_stack_copy *pln_stack_copy_take_sigsafe(uintptr_t lo, uintptr_t sp,
						   struct pln_stack *stack)
{
	struct pln_stack_copy *copy;
	size_t size, got;

	if (!pln_checked_read_works_sigsafe()) {
		*stack = in_place_sigsafe(lo, sp);
		return NULL;
	}
	copy = find_copy_sigsafe();
	*stack = (struct pln_stack){ .lo = sp, .hi = sp, .bytes = (const unsigned char *)sp };
	if (!copy)
		return NULL;
	size = end_to_copy_sigsafe(sp) - lo;
	if (size > COPY_SIZE)
		size = COPY_SIZE;
	got = pln_checked_read_some_sigsafe(lo, copy->bytes, size) & ~(size_t)7;
	if (got > sp - lo)
		*stack = (struct pln_stack){ .lo = lo, .hi = lo + got, .bytes = copy->bytes };
	return copy;
}

void pln_stack_copy_give_back_sigsafe(struct pln_stack_copy *copy)
{
	/* release: our reads come before the next one's writes */
	if (copy)
		pln_store_release(&copy->taken, false);
}

void pln_stack_copy_after_fork(void)
{
	/* A page that is not written is not copied. */
	for (unsigned i = 0; i < COPIES; i++)
		if (pln_load_relaxed(&copies[i].taken))
			pln_store_relaxed(&copies[i].taken, false);
}

/* --------------------------------------------------------- own stacks */

struct pln_stack_range pln_stack_of_descriptor(uintptr_t descriptor, size_t size)
{
	/* The size counts from the descriptor's own end, which is less than a page away. */
	if (size <= PLN_STACK_DOUBT)
		return (struct pln_stack_range){ 0, 0 };
	if (size > LARGEST_STACK)
		size = LARGEST_STACK;
	return (struct pln_stack_range){ (descriptor - size + PLN_STACK_DOUBT + 15) & ~15ul,
					 descriptor };
}

struct search {
	uintptr_t sp;
	struct pln_stack_range found;
	bool grows; /* the first thread's: what is below its mapping is kept free for it */
};

static void match_range(const char *line, void *arg)
{
	struct search *search = arg;
	struct pln_stack_range range;

	if (!parse(line, &range) || search->sp < range.lo || search->sp >= range.hi)
		return;
	search->found = range;
	search->grows = strstr(line, "[stack]");
}

static uintptr_t lowest_of_growing(const struct pln_stack_range *now)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_STACK, &limit))
		return now->lo;
	if (limit.rlim_cur > LARGEST_STACK)
		limit.rlim_cur = LARGEST_STACK;
	return now->hi - limit.rlim_cur < now->lo ? now->hi - limit.rlim_cur : now->lo;
}

struct pln_stack_range pln_stack_range_now(void)
{
	uintptr_t descriptor = (uintptr_t)pthread_self();
	char here;
	struct search search = { .sp = (uintptr_t)&here };

	each_mapping(match_range, &search);
	if (search.grows)
		search.found.lo = lowest_of_growing(&search.found);
	else if (descriptor > search.sp && descriptor < search.found.hi)
		search.found.hi = descriptor;
	else /* a fiber: who knows for how long */
		search.found = (struct pln_stack_range){ 0, 0 };
	return search.found;
}
