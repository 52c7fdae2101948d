/* SPDX-License-Identifier: MIT */
/*
 * page.c - the page around its data.
 *
 * What stands before and behind the data is made by bundle.cmake and comes into the program as it
 * is. The data is gzipped and in base64, in a script element that no browser runs: nothing
 * of a profile is ever part of the page's own text, so there is nothing to escape.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "export/gzip.h"
#include "html/html.h"

/* A file of the bundle as bytes, from `name` up to `name`_end. */
#define BUNDLED(name, file)                                                                        \
	__asm__(".pushsection .rodata\n"                                                           \
		".global " #name ", " #name "_end\n" #name ": .incbin \"" file "\"\n" #name        \
		"_end:\n"                                                                          \
		".popsection\n");                                                                  \
	extern const char name[], name##_end[]

BUNDLED(pln_html_head, PLN_HTML_BUNDLES "page_head.html");
BUNDLED(pln_html_tail, PLN_HTML_BUNDLES "page_tail.html");
BUNDLED(pln_html_diff_head, PLN_HTML_BUNDLES "diff_head.html");
BUNDLED(pln_html_diff_tail, PLN_HTML_BUNDLES "diff_tail.html");

/* What stands around the data. */
struct shell {
	const char *head, *head_end;
	const char *tail, *tail_end;
};

#define LINE 18999u /* bytes that make one line, a multiple of 3 */

static int write_all(FILE *out, const void *bytes, size_t size)
{
	errno = 0;
	return fwrite(bytes, 1, size, out) == size ? 0 : -(errno ? errno : EIO);
}

static size_t encode(char *to, const unsigned char *from, size_t size)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *start = to;

	for (size_t i = 0; i < size; i += 3) {
		uint32_t bits = (uint32_t)from[i] << 16;

		bits |= i + 1 < size ? (uint32_t)from[i + 1] << 8 : 0;
		bits |= i + 2 < size ? from[i + 2] : 0;
		*to++ = digits[bits >> 18];
		*to++ = digits[bits >> 12 & 63];
		*to++ = i + 1 < size ? digits[bits >> 6 & 63] : '=';
		*to++ = i + 2 < size ? digits[bits & 63] : '=';
	}
	return (size_t)(to - start);
}

static int write_base64(FILE *out, const char *bytes, size_t size)
{
	char *line = malloc(LINE / 3 * 4 + 8);
	int err = line ? 0 : -ENOMEM;

	for (size_t at = 0; !err && at < size; at += LINE) {
		size_t part = size - at < LINE ? size - at : LINE;
		size_t used = encode(line, (const unsigned char *)bytes + at, part);

		line[used++] = '\n';
		err = write_all(out, line, used);
	}
	free(line);
	return err;
}

/* Returns 0 or -errno; *bytes is to be freed in either case. */
static int compress_data(const struct pln_buffer *data, char **bytes, size_t *size)
{
	FILE *out = open_memstream(bytes, size);
	struct pln_gzip *gzip = out ? pln_gzip_open(out) : NULL;
	int err = gzip ? pln_gzip_write(gzip, data->data, data->size) : -ENOMEM, end = 0;

	if (gzip)
		end = pln_gzip_close(gzip, !err);
	if (out && fclose(out) && !end)
		end = -ENOMEM;
	return err ? err : end;
}

static int write_page(FILE *out, const struct shell *shell, const struct pln_buffer *data)
{
	char *bytes = NULL;
	size_t size = 0;
	int err = compress_data(data, &bytes, &size);

	if (!err)
		err = write_all(out, shell->head, (size_t)(shell->head_end - shell->head));
	if (!err)
		err = write_base64(out, bytes, size);
	if (!err)
		err = write_all(out, shell->tail, (size_t)(shell->tail_end - shell->tail));
	free(bytes);
	return err;
}

int pln_html_write(const struct pln_report *report, const struct pln_html_options *options,
		   FILE *out)
{
	const struct shell shell = { pln_html_head, pln_html_head_end, pln_html_tail,
				     pln_html_tail_end };
	struct pln_buffer data = { 0 };
	int err = pln_html_data(&data, report, options);

	if (!err)
		err = write_page(out, &shell, &data);
	pln_buffer_free(&data);
	return err;
}

int pln_html_diff_write(const struct pln_diff *diff, const char *title, FILE *out)
{
	const struct shell shell = { pln_html_diff_head, pln_html_diff_head_end, pln_html_diff_tail,
				     pln_html_diff_tail_end };
	struct pln_buffer data = { 0 };
	int err = pln_html_diff_data(&data, diff, title);

	if (!err)
		err = write_page(out, &shell, &data);
	pln_buffer_free(&data);
	return err;
}
