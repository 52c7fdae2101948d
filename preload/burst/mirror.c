/* SPDX-License-Identifier: MIT */
/*
 * mirror.c - copies of the pages that a stack leads through, and that may go away: frames of
 * generators, the states and C stacks of threads, and all frames up to CPython 3.10.
 *
 * The pages that were used lately are copied anew for each look, in one system call: what
 * costs is the page, hardly the bytes of it.
 */
#include "burst_i.h"

#include <string.h>

#include "checked_read.h"

#define PAGE 4096u
#define PAGES 48
#define KEPT_FOR 32 /* refreshes without a use */
#define OBJECT_MAX 512u

static uintptr_t at[PAGES];
static uint32_t used[PAGES]; /* round of the last use */
static unsigned char copies[PAGES][PAGE];
static unsigned count, hint;
static uint32_t round_now;

void pln_burst_mirror_reset(void)
{
	count = 0;
}

static void forget(unsigned i)
{
	count--;
	at[i] = at[count];
	used[i] = used[count];
	memcpy(copies[i], copies[count], PAGE);
}

static void forget_unused(void)
{
	for (unsigned i = 0; i < count;) {
		if (round_now - used[i] > KEPT_FOR)
			forget(i);
		else
			i++;
	}
}

bool pln_burst_mirror_is_used(void)
{
	return count != 0;
}

bool pln_burst_mirror_refresh(void)
{
	struct pln_read_part parts[PAGES];
	unsigned done = 0;

	if (!count)
		return false;
	round_now++;
	forget_unused();
	while (done < count) {
		for (unsigned i = done; i < count; i++)
			parts[i - done] = (struct pln_read_part){ at[i], copies[i], PAGE };
		done += pln_checked_read_parts_sigsafe(parts, count - done);
		if (done < count) /* it stopped at a page that is gone */
			forget(done);
	}
	return true;
}

/* The page's place, or PAGES. */
static unsigned find(uintptr_t page)
{
	if (hint < count && at[hint] == page)
		return hint;
	for (unsigned i = 0; i < count; i++)
		if (at[i] == page)
			return hint = i;
	return PAGES;
}

static unsigned longest_unused(void)
{
	unsigned oldest = 0;

	for (unsigned i = 1; i < count; i++)
		if (round_now - used[i] > round_now - used[oldest])
			oldest = i;
	return oldest;
}

static const unsigned char *page_at(uintptr_t page)
{
	unsigned i = find(page);

	if (i == PAGES) {
		i = count < PAGES ? count : longest_unused();
		at[i] = 0;
		if (!pln_checked_read_sigsafe(page, copies[i], PAGE))
			return NULL;
		at[i] = page;
		count += i == count;
	}
	used[i] = round_now;
	return copies[i];
}

const unsigned char *pln_burst_mirror_peek(uintptr_t address, size_t size)
{
	static unsigned char joined[OBJECT_MAX];
	uintptr_t page = address & ~(uintptr_t)(PAGE - 1);
	size_t first = PAGE - (address - page);
	const unsigned char *bytes;

	if (address < PAGE || address >= 1ull << 47 || size > sizeof(joined))
		return NULL;
	bytes = page_at(page);
	if (!bytes || size <= first)
		return bytes ? bytes + (address - page) : NULL;
	memcpy(joined, bytes + (address - page), first);
	bytes = page_at(page + PAGE);
	if (!bytes)
		return NULL;
	memcpy(joined + first, bytes, size - first);
	return joined;
}
