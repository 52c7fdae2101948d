/* SPDX-License-Identifier: MIT */
/*
 * gzip.c - see gzip.h.
 */
#include "export/gzip.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* Location ids repeat so much that the fastest level is nearly as small as the best. */
#define LEVEL 1
#define GZIP_FORMAT (MAX_WBITS + 16)

struct pln_gzip {
	z_stream stream;
	FILE *out;
	unsigned char buffer[64 << 10];
};

struct pln_gzip *pln_gzip_open(FILE *out)
{
	struct pln_gzip *gzip = calloc(1, sizeof(*gzip));

	if (!gzip)
		return NULL;
	gzip->out = out;
	if (deflateInit2(&gzip->stream, LEVEL, Z_DEFLATED, GZIP_FORMAT, 9, Z_DEFAULT_STRATEGY) !=
	    Z_OK) {
		free(gzip);
		return NULL;
	}
	return gzip;
}

static int feed(struct pln_gzip *gzip, const void *bytes, size_t size, int flush)
{
	z_stream *z = &gzip->stream;

	z->next_in = (unsigned char *)(uintptr_t)bytes;
	z->avail_in = (unsigned)size;
	do {
		size_t made;

		z->next_out = gzip->buffer;
		z->avail_out = sizeof(gzip->buffer);
		deflate(z, flush);
		made = sizeof(gzip->buffer) - z->avail_out;
		errno = 0;
		if (fwrite(gzip->buffer, 1, made, gzip->out) != made)
			return -(errno ? errno : EIO);
	} while (!z->avail_out);
	return 0;
}

int pln_gzip_write(struct pln_gzip *gzip, const void *bytes, size_t size)
{
	const unsigned char *at = bytes;
	int err = 0;

	/* zlib counts in unsigned int. */
	while (!err && size) {
		size_t part = size < (1u << 30) ? size : 1u << 30;

		err = feed(gzip, at, part, Z_NO_FLUSH);
		at += part;
		size -= part;
	}
	return err;
}

static ssize_t write_stream(void *gzip, const char *bytes, size_t size)
{
	int err = pln_gzip_write(gzip, bytes, size);

	errno = -err;
	return err ? 0 : (ssize_t)size; /* 0 is how such a stream fails */
}

FILE *pln_gzip_stream(struct pln_gzip *gzip)
{
	FILE *stream = fopencookie(gzip, "w", (cookie_io_functions_t){ .write = write_stream });

	if (stream)
		setvbuf(stream, NULL, _IOFBF, 1 << 16);
	return stream;
}

int pln_gzip_close(struct pln_gzip *gzip, int whole)
{
	int err = whole ? feed(gzip, NULL, 0, Z_FINISH) : 0;

	deflateEnd(&gzip->stream);
	free(gzip);
	return err;
}
