/* SPDX-License-Identifier: MIT */
/*
 * quote.c - see quote.h.
 */
#include "ingest/quote.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_plain(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_@%+=:,./-";

	return *word && word[strspn(word, plain)] == '\0';
}

/* 'word', with each quote inside written as '\''. */
static char *append_quoted(char *at, const char *word)
{
	*at++ = '\'';
	for (; *word; word++) {
		if (*word == '\'') {
			memcpy(at, "'\\''", 4);
			at += 4;
		} else {
			*at++ = *word;
		}
	}
	*at++ = '\'';
	return at;
}

char *pln_quote_words(const char *const *words, size_t count)
{
	size_t size = 1;
	char *text, *at;

	for (size_t i = 0; i < count; i++)
		size += 4 * strlen(words[i]) + 3;
	at = text = malloc(size);
	if (!text)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		if (i)
			*at++ = ' ';
		if (is_plain(words[i]))
			at = stpcpy(at, words[i]);
		else
			at = append_quoted(at, words[i]);
	}
	*at = '\0';
	return text;
}
