/* SPDX-License-Identifier: MIT */
/*
 * grow.h - an array that doubles when it is full.
 */
#ifndef PILLION_COLLECTOR_GROW_H
#define PILLION_COLLECTOR_GROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define PLN_GROW_FIRST 64u

/*
 * Makes room for one more item behind `count` items of `size` bytes. `array` is the address of
 * the pointer to them. Returns false when memory ran out; the array is then as it was.
 */
static inline bool pln_grow(void *array, size_t *capacity, size_t count, size_t size)
{
	size_t more = *capacity ? *capacity * 2 : PLN_GROW_FIRST;
	void *items;

	if (count < *capacity)
		return true;
	/* Pointers of different types are copied, as none may be read through another. */
	memcpy(&items, array, sizeof(items));
	items = realloc(items, more * size);
	if (!items)
		return false;
	memcpy(array, &items, sizeof(items));
	*capacity = more;
	return true;
}

#endif
