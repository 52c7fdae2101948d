/* SPDX-License-Identifier: MIT */
/*
 * text_i.h - what both kinds of annotated text have. Private to annotate/.
 */
#ifndef PILLION_COLLECTOR_ANNOTATE_TEXT_I_H
#define PILLION_COLLECTOR_ANNOTATE_TEXT_I_H

#include "annotate/annotate.h"
#include "report/text_i.h"

/* A share of the whole in percent; an empty cell for nothing. */
void pln_annotate_percent(struct pln_table *table, uint64_t part, uint64_t whole);

/* Marks entries [at - context, at + context] of shown[0 .. count). */
void pln_annotate_mark(bool *shown, size_t count, size_t at, uint64_t context);

/* The style of code with such a share of the whole. */
enum pln_style pln_annotate_style(uint64_t part, uint64_t whole);

#endif
