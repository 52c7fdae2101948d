/* SPDX-License-Identifier: MIT */
/*
 * stacks.c - the bounds of stacks, read from /proc/self/maps now and then.
 *
 * Two copies: the handler reads the one that is not being written. A mapping may be a
 * stack and its neighbour in one, and the neighbour may go away: the thread's own
 * descriptor, which lies above its frames, is taken as the end where it is in the range.
 */
#include "oracle.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include <pillion/atomic.h>

#define MAX_RANGES 4096
#define RED_ZONE 128

struct ranges {
	unsigned count;
	struct {
		uintptr_t lo;
		uintptr_t hi;
	} at[MAX_RANGES];
};

static struct ranges copies[2];
static _Atomic(struct ranges *) current = &copies[0];

bool oracle_stack_around(uintptr_t sp, struct pln_stack *stack)
{
	struct ranges *ranges = pln_load_acquire(&current);
	uintptr_t self = (uintptr_t)pthread_self(), lo;

	for (unsigned i = 0; i < ranges->count; i++) {
		if (sp < ranges->at[i].lo || sp >= ranges->at[i].hi)
			continue;
		lo = sp - RED_ZONE > ranges->at[i].lo ? sp - RED_ZONE : ranges->at[i].lo;
		*stack = (struct pln_stack){ lo, ranges->at[i].hi, (const unsigned char *)lo };
		if (self > sp && self < stack->hi)
			stack->hi = self & ~(uintptr_t)7;
		return true;
	}
	return false;
}

void oracle_stacks_refresh(void)
{
	struct ranges *next = pln_load_relaxed(&current) == copies ? &copies[1] : &copies[0];
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long lo, hi;
	char line[512], flags[8];

	if (!maps)
		return;
	next->count = 0;
	while (next->count < MAX_RANGES && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %7s", &lo, &hi, flags) != 3 || flags[1] != 'w')
			continue;
		next->at[next->count].lo = lo;
		next->at[next->count++].hi = hi;
	}
	fclose(maps);
	pln_store_release(&current, next);
}
