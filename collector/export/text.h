/* SPDX-License-Identifier: MIT */
/*
 * text.h - names and numbers as the formats that are text want them.
 *
 * Names come from the program that was recorded: they may hold any byte but zero. What is not
 * UTF-8 becomes U+FFFD everywhere.
 */
#ifndef PILLION_COLLECTOR_EXPORT_TEXT_H
#define PILLION_COLLECTOR_EXPORT_TEXT_H

#include <stdint.h>
#include <stdio.h>

enum pln_text_form {
	PLN_TEXT_LINE, /* control characters are blanks: it stays on its line */
	PLN_TEXT_XML, /* text or a quoted attribute; what XML has no place for is U+FFFD */
	PLN_TEXT_CSV, /* inside quotes, which are doubled */
	PLN_TEXT_URL_PATH, /* percent-encoded, but for what a path may hold */
	/* Inside a string of JSON, for readers that put it into a page's script as it is: an
	 * invisible U+2060 stands between the signs that would end or hide the script, "</" and
	 * "<!". */
	PLN_TEXT_SCRIPT,
};

void pln_text_put(FILE *out, const char *text, enum pln_text_form form);

/* A malloc()ed copy in UTF-8; NULL: out of memory. */
char *pln_text_clean(const char *text);

/* Decimal; faster than printf(), for what there is a million of. */
void pln_text_put_number(FILE *out, uint64_t value);
/* value / 10^digits, exactly, without zeros at its end: (1234500, 6) is "1.2345". */
void pln_text_put_scaled(FILE *out, uint64_t value, unsigned digits);

#endif
