/* SPDX-License-Identifier: MIT */
/*
 * utf8.c - see utf8.h. Characters as RFC 3629 has them: the shortest form, no
 * surrogates, nothing above U+10FFFF.
 */
#include "profile/utf8.h"

static const char replacement[] = "\xef\xbf\xbd";

/* Bytes of the character at `at`, 0 when there is none. */
static size_t character_size(const uint8_t *at, size_t left)
{
	/* Least value of characters of 0, 1, 2, 3 and 4 bytes. */
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t size = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	uint32_t value = at[0] & (0xffu >> (size + 1));

	if (size < 2)
		return size;
	if (size > left || at[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < size; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (at[i] & 0x3f);
	}
	if (value < least[size] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
		return 0;
	return size;
}

void pln_put_utf8(struct pln_buffer *b, const char *text, size_t size)
{
	const uint8_t *at = (const uint8_t *)text;
	size_t start = 0;

	for (size_t i = 0; i < size;) {
		size_t step = character_size(at + i, size - i);

		if (!step) {
			pln_put_bytes(b, at + start, i - start);
			pln_put_bytes(b, replacement, sizeof(replacement) - 1);
			start = i + 1;
		}
		i += step ? step : 1;
	}
	pln_put_bytes(b, at + start, size - start);
}
