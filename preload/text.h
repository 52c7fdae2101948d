/* SPDX-License-Identifier: MIT */
/*
 * text.h - short texts put together without stdio (which may allocate or lock).
 */
#ifndef PILLION_PRELOAD_TEXT_H
#define PILLION_PRELOAD_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Always terminated; what does not fit is cut. */
struct pln_text {
	size_t size;
	char bytes[256];
};

static inline void pln_text_add(struct pln_text *text, const char *more)
{
	while (*more && text->size < sizeof(text->bytes) - 1)
		text->bytes[text->size++] = *more++;
	text->bytes[text->size] = '\0';
}

static inline void pln_text_add_number(struct pln_text *text, uint64_t value)
{
	char digits[21];
	unsigned at = sizeof(digits) - 1;

	digits[at] = '\0';
	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	pln_text_add(text, digits + at);
}

/* Parses hexadecimal digits at *p ("0x" allowed), moving it behind them. */
static inline uint64_t pln_parse_hex(const char **p)
{
	uint64_t value = 0;
	const char *s = *p;

	if (s[0] == '0' && s[1] == 'x')
		s += 2;
	for (;; s++) {
		if (*s >= '0' && *s <= '9')
			value = value << 4 | (uint64_t)(*s - '0');
		else if (*s >= 'a' && *s <= 'f')
			value = value << 4 | (uint64_t)(*s - 'a' + 10);
		else
			break;
	}
	*p = s;
	return value;
}

static inline uint64_t pln_parse_decimal(const char **p)
{
	uint64_t value = 0;

	for (; **p >= '0' && **p <= '9'; (*p)++)
		value = value * 10 + (uint64_t)(**p - '0');
	return value;
}

#endif
