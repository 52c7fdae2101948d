/* SPDX-License-Identifier: MIT */
/*
 * text.c - see text.h.
 */
#include "export/text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "report/names.h"

#define REPLACEMENT "\xef\xbf\xbd"
#define WORD_JOINER "\xe2\x81\xa0"

/* Characters are one to four bytes at `at`; `c` is their code point. */
static void put_xml(FILE *out, const char *at, unsigned size, uint32_t c)
{
	static const char *const names[] = {
		['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;", ['"'] = "&quot;", ['\''] = "&#39;",
	};

	if (c < sizeof(names) / sizeof(*names) && names[c])
		fputs(names[c], out);
	else if (c < 0x20 || c == 0x7f || c == 0xfffe || c == 0xffff)
		fputs(REPLACEMENT, out);
	else
		fwrite_unlocked(at, 1, size, out);
}

static void put_url(FILE *out, const char *at, unsigned size, uint32_t c)
{
	bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		     (c && c < 0x80 && strchr("/-._~+@:,=", (int)c));

	if (plain)
		putc((int)c, out);
	else
		for (unsigned i = 0; i < size; i++)
			fprintf(out, "%%%02X", (unsigned char)at[i]);
}

static void put_script(FILE *out, const char *at, unsigned size, uint32_t c)
{
	if (c < 0x20 || c == 0x7f) {
		fprintf(out, "\\u%04x", c);
		return;
	}
	if (c == '"' || c == '\\')
		putc('\\', out);
	fwrite_unlocked(at, 1, size, out);
	if (c == '<' && (at[1] == '/' || at[1] == '!'))
		fputs(WORD_JOINER, out);
}

static void put_character(FILE *out, const char *at, unsigned size, uint32_t c,
			  enum pln_text_form form)
{
	switch (form) {
	case PLN_TEXT_LINE:
		if (c < 0x20 || c == 0x7f)
			putc(' ', out);
		else
			fwrite_unlocked(at, 1, size, out);
		break;
	case PLN_TEXT_XML:
		put_xml(out, at, size, c);
		break;
	case PLN_TEXT_CSV:
		if (c == '"')
			putc('"', out);
		fwrite_unlocked(at, 1, size, out);
		break;
	case PLN_TEXT_URL_PATH:
		put_url(out, at, size, c);
		break;
	case PLN_TEXT_SCRIPT:
		put_script(out, at, size, c);
		break;
	}
}

void pln_text_put(FILE *out, const char *text, enum pln_text_form form)
{
	while (*text) {
		uint32_t c;
		unsigned size = pln_utf8_size(text, &c);

		if (size)
			put_character(out, text, size, c, form);
		else
			put_character(out, REPLACEMENT, 3, 0xfffd, form);
		text += size ? size : 1;
	}
}

char *pln_text_clean(const char *text)
{
	char *copy = malloc(3 * strlen(text) + 1), *out = copy;

	while (copy && *text) {
		uint32_t c;
		unsigned size = pln_utf8_size(text, &c);

		memcpy(out, size ? text : REPLACEMENT, size ? size : 3);
		out += size ? size : 3;
		text += size ? size : 1;
	}
	if (copy)
		*out = '\0';
	return copy;
}

enum { DIGITS_MAX = 20 }; /* of 2^64 - 1 */

void pln_text_put_number(FILE *out, uint64_t value)
{
	char digits[DIGITS_MAX], *at = digits + DIGITS_MAX;

	do {
		*--at = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	fwrite_unlocked(at, 1, (size_t)(digits + DIGITS_MAX - at), out);
}

void pln_text_put_scaled(FILE *out, uint64_t value, unsigned digits)
{
	char fraction[DIGITS_MAX];
	uint64_t unit = 1;
	unsigned count = digits;

	for (unsigned i = 0; i < digits; i++)
		unit *= 10;
	pln_text_put_number(out, value / unit);
	value %= unit;
	if (!value)
		return;
	for (; value % 10 == 0; value /= 10)
		count--;
	for (unsigned i = count; i-- > 0; value /= 10)
		fraction[i] = (char)('0' + value % 10);
	putc('.', out);
	fwrite_unlocked(fraction, 1, count, out);
}
