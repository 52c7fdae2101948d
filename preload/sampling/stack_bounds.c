/* SPDX-License-Identifier: MIT */
/*
 * stack_bounds.c - a sorted copy of the writable mappings, for stacks whose end is not
 * known otherwise.
 *
 * Two tables take turns: the sampling thread fills the one that is not published, then
 * publishes it. A handler that still reads the older one finishes long before that one
 * is filled again (refreshes are at least a tick apart, and a handler runs for
 * microseconds); were it overtaken, it would read a wrong end, and the walk's loads
 * outside of real stack memory are excluded because ends only ever come from mappings
 * that existed around a running stack pointer.
 */
#include "stack_bounds.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>

#include <pillion/atomic.h>

#include "syscall.h"
#include "text.h"

#define MAX_RANGES 2048
#define PAGE 4096ul

struct range {
	uintptr_t lo;
	uintptr_t hi;
};

struct ranges {
	unsigned count;
	struct range at[MAX_RANGES];
};

static struct ranges tables[2];
static _Atomic(struct ranges *) published;
static _Atomic uint32_t wanted;

/* Calls fn for each line of /proc/self/maps, without stdio. */
static void each_mapping(void (*fn)(const char *line, void *arg), void *arg)
{
	char buffer[8192];
	size_t kept = 0;
	long fd = pln_syscall4(SYS_openat, AT_FDCWD, (long)"/proc/self/maps", O_RDONLY | O_CLOEXEC,
			       0);
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
static bool parse(const char *line, struct range *range)
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

struct search {
	uintptr_t sp;
	uintptr_t end;
};

static void match_range(const char *line, void *arg)
{
	struct search *search = arg;
	struct range range;

	if (parse(line, &range) && search->sp >= range.lo && search->sp < range.hi)
		search->end = range.hi;
}

uintptr_t pln_stack_end_now(uintptr_t sp)
{
	struct search search = { .sp = sp };

	each_mapping(match_range, &search);
	return search.end;
}
