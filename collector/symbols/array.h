/* SPDX-License-Identifier: MIT */
/*
 * array.h - an array that grows. Zero is an empty one.
 */
#ifndef PILLION_COLLECTOR_SYMBOLS_ARRAY_H
#define PILLION_COLLECTOR_SYMBOLS_ARRAY_H

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct pln_array {
	void *data;
	size_t size; /* bytes in use */
	size_t capacity;
};

/* Returns 0 or -ENOMEM. */
static inline int pln_array_append(struct pln_array *array, const void *item, size_t size)
{
	if (array->capacity - array->size < size) {
		size_t capacity = 2 * (array->size + size) + 256;
		void *data = realloc(array->data, capacity);

		if (!data)
			return -ENOMEM;
		array->data = data;
		array->capacity = capacity;
	}
	memcpy((char *)array->data + array->size, item, size);
	array->size += size;
	return 0;
}

static inline void pln_array_free(struct pln_array *array)
{
	free(array->data);
	*array = (struct pln_array){ 0 };
}

#endif
