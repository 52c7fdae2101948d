/* SPDX-License-Identifier: MIT */
/*
 * buffer.h - an array that grows. Zero is an empty one.
 */
#ifndef PILLION_COLLECTOR_SYMBOLS_BUFFER_H
#define PILLION_COLLECTOR_SYMBOLS_BUFFER_H

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct pln_buffer {
	void *data;
	size_t size; /* bytes in use */
	size_t capacity;
};

/* Returns 0 or -ENOMEM. */
static inline int pln_buffer_append(struct pln_buffer *buffer, const void *item, size_t size)
{
	if (buffer->capacity - buffer->size < size) {
		size_t capacity = 2 * (buffer->size + size) + 256;
		void *data = realloc(buffer->data, capacity);

		if (!data)
			return -ENOMEM;
		buffer->data = data;
		buffer->capacity = capacity;
	}
	memcpy((char *)buffer->data + buffer->size, item, size);
	buffer->size += size;
	return 0;
}

static inline void pln_buffer_free(struct pln_buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct pln_buffer){ 0 };
}

#endif
