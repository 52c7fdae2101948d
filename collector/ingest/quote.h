/* SPDX-License-Identifier: MIT */
/*
 * quote.h - words as a shell would need them typed.
 */
#ifndef PILLION_COLLECTOR_QUOTE_H
#define PILLION_COLLECTOR_QUOTE_H

#include <stddef.h>

/* The words joined by spaces, each quoted when it needs it. malloc'ed; NULL: no memory. */
char *pln_quote_words(const char *const *words, size_t count);

#endif
