/* SPDX-License-Identifier: MIT */
/*
 * utf8.h - text from a stranger made valid UTF-8, so that every output format can have it.
 */
#ifndef PILLION_COLLECTOR_UTF8_H
#define PILLION_COLLECTOR_UTF8_H

#include "profile/codec.h"

/* Appends `text`; each byte that is part of no character becomes U+FFFD. */
void pln_put_utf8(struct pln_buffer *b, const char *text, size_t size);

#endif
