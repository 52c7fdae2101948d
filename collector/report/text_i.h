/* SPDX-License-Identifier: MIT */
/*
 * text_i.h - cells that more than one section of the text has. Private to report/.
 */
#ifndef PILLION_COLLECTOR_TEXT_I_H
#define PILLION_COLLECTOR_TEXT_I_H

#include "report/report.h"

enum { PLACE_SIZE = 512 };

/* The nearest Python line (index of lines[]; PLN_NONE: none) as "app.py:12", or "". */
const char *pln_text_python_place(const struct pln_report *r, uint32_t line, char *buffer,
				  size_t size);
/* Its function, or "(no Python code)". */
const char *pln_text_python_name(const struct pln_report *r, uint32_t line);

/* Where a function is: a Python one's place; a native one's library and, with room, place. */
void pln_text_where_cell(struct pln_table *table, const struct pln_profile *profile,
			 uint32_t function);
/* What a thread runs and, with room, where that is; empty when no sample shows it, or
 * `thread` is PLN_NONE. */
void pln_text_entry_cell(struct pln_table *table, enum pln_style style, const struct pln_report *r,
			 uint32_t thread);
void pln_text_percent_cell(struct pln_table *table, uint64_t part, uint64_t whole);
void pln_text_duration_cell(struct pln_table *table, uint64_t ns);
/* Four cells of an amount of memory: bytes, interval, blocks, kinds. */
#define PLN_HEAP_CELLS 4
void pln_text_heap_cells(struct pln_table *table, const struct pln_amount *amount);
/*
 * "0.4 MiB": half of the 95 % confidence interval of the bytes; "n=3": so few samples that it says
 * nothing; "exact": no block was left out; "-" of nothing.
 */
const char *pln_interval_text(char buffer[PLN_QUANTITY_SIZE], const struct pln_amount *amount);
/* A duration or bytes, as the view counts. */
const char *pln_text_weight(const struct pln_report *r, char buffer[PLN_QUANTITY_SIZE],
			    const struct pln_amount *amount);
void pln_text_empty_cells(struct pln_table *table, unsigned count);

/* "3 threads without a sample: 12.0 ms of CPU, 1.50 s of wall time"; nothing when none are. */
void pln_text_unmet(const struct pln_screen *screen, const struct pln_times *unmet);

/*
 * Bytes of `text` that go on one line of `width` columns: whole words when possible, and
 * never a number without its unit.
 */
size_t pln_text_line_bytes(const char *text, unsigned width);

/* Printable text that begins behind `indent` columns; its further lines do, too. */
void pln_text_wrapped(const struct pln_screen *screen, const char *text, enum pln_style style,
		      unsigned indent);

/* "12 more functions (--limit 0 shows all)", nothing when none are left. */
void pln_text_more(const struct pln_screen *screen, size_t left, const char *one, const char *many);

#endif
