/* SPDX-License-Identifier: MIT */
/*
 * parts.c - see parts.h.
 */
#include "html/parts.h"

#include <errno.h>
#include <stdlib.h>

void pln_html_put_magic(struct pln_buffer *data)
{
	pln_put_bytes(data, "PLNH", 4);
}

static void put_size(struct pln_buffer *data, size_t size)
{
	for (unsigned i = 0; i < 4; i++)
		pln_put_byte(data, (uint8_t)(size >> 8 * i));
}

int pln_html_put_part(struct pln_buffer *data, const struct pln_buffer *part)
{
	if (part->failed)
		return -ENOMEM;
	if (part->size > UINT32_MAX)
		return -EFBIG;
	put_size(data, part->size);
	pln_put_bytes(data, part->data, part->size);
	return data->failed ? -ENOMEM : 0;
}

int pln_html_put_text(struct pln_buffer *data, int (*write)(const void *arg, FILE *out),
		      const void *arg)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	int err = out ? write(arg, out) : -ENOMEM;

	if (out && fclose(out) && !err)
		err = -ENOMEM;
	if (!err && size > UINT32_MAX)
		err = -EFBIG;
	if (!err) {
		put_size(data, size);
		pln_put_bytes(data, text, size);
	}
	free(text);
	return err ? err : data->failed ? -ENOMEM : 0;
}

void pln_html_put_depths(struct pln_buffer *part, const struct pln_html_pruned *pruned)
{
	const struct pln_html_page_node *nodes = pruned->nodes;

	pln_put_varint(part, pruned->count);
	for (size_t n = 0; n < pruned->count; n++)
		pln_put_varint(part, n ? nodes[n - 1].depth + 1 - nodes[n].depth : 0);
}
