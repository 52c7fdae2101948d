/* SPDX-License-Identifier: MIT */
/*
 * fuzz_names.c - names of functions, files and commands on their way to the terminal:
 * what any program may be called, and no terminal may be told to do.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "profile/reader.h"
#include "report/names.h"
#include "symbols/symbols.h"

/* No control character, and UTF-8 only. */
static bool is_harmless(const char *text)
{
	while (*text) {
		uint32_t c;
		unsigned size = pln_utf8_size(text, &c);

		if (!size || c < ' ' || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
		    (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069))
			return false;
		text += size;
	}
	return true;
}

static bool check_printable(const char *text)
{
	char *printable = pln_printable(text);
	bool ok = printable && is_harmless(printable);

	free(printable);
	return ok;
}

/* Small buffers, too: everything that is cut must end. */
static bool shorten(const char *text, size_t room)
{
	size_t same = room / 2; /* bytes that it has in common with another one */
	char *buffer = malloc(room);
	bool ok = buffer != NULL;

	if (!buffer)
		abort();
	if (same > strlen(text))
		same = strlen(text);
	ok = ok && strlen(pln_short_library(text, buffer, room)) <= strlen(text);
	(void)pln_short_symbol(text, buffer, room);
	(void)pln_short_command(text, same, buffer, room);
	(void)pln_short_file(text, "/srv/app");
	(void)pln_base_name(text);
	free(buffer);
	return ok;
}

bool fuzz_names(const uint8_t *data, size_t size)
{
	char *text, *demangled;
	bool ok;

	if (!size)
		return true;
	text = malloc(size);
	if (!text)
		abort();
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	ok = check_printable(text) && shorten(text, 1 + data[0]);
	demangled = pln_demangle(text);
	ok = ok && (!demangled || check_printable(demangled));
	free(demangled);
	free(text);
	return ok;
}
