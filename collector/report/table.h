/* SPDX-License-Identifier: MIT */
/*
 * table.h - aligned columns that fit the terminal.
 *
 * Cells are collected first and laid out at the end: columns are as wide as what is in
 * them; when that is too much, the least important columns go, then the elastic ones are
 * elided. All text from the profile is made printable on its way in.
 */
#ifndef PILLION_COLLECTOR_TABLE_H
#define PILLION_COLLECTOR_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Where the text goes, and what it may use there. */
struct pln_screen {
	FILE *out;
	unsigned width; /* columns */
	bool color;
	bool utf8; /* a terminal that shows box drawing and the ellipsis */
};

enum pln_style {
	PLN_STYLE_PLAIN = 0,
	PLN_STYLE_HEADING,
	PLN_STYLE_DIM,
	PLN_STYLE_HOT, /* a large share */
	PLN_STYLE_WARM,
	PLN_STYLE_PYTHON,
	PLN_STYLE_NATIVE,
	PLN_STYLE_WARNING,
};

/* Escape sequences around text in a style; "" without colour. */
const char *pln_style_on(const struct pln_screen *screen, enum pln_style style);
const char *pln_style_off(const struct pln_screen *screen, enum pln_style style);

/* The style of a share of the whole, 0 to 1. */
enum pln_style pln_style_of_share(double share);

/* Whether a column may be narrower than what is in it, and what goes then. */
enum pln_elastic {
	PLN_RIGID = 0,
	PLN_ELIDE_MIDDLE,
	PLN_ELIDE_START, /* of places: file name and line are at the end */
	PLN_ELIDE_NAME, /* of functions: what is qualified goes before what it is qualified by */
	PLN_ELIDE_END, /* of code: it is told by how it begins */
	PLN_DROP_EXTRA, /* nothing but what pln_table_extra() added */
};

/* One without text in any row is left out, unless it is always shown. */
struct pln_column {
	const char *title;
	bool right; /* aligned */
	enum pln_elastic elastic;
	uint8_t drop_order; /* 0: always shown; the highest is left out first */
};

struct pln_table;

/* `columns` stays with the caller. NULL: out of memory, which the others accept. */
struct pln_table *pln_table_new(const struct pln_column *columns, unsigned count);

/* Fills the next cell, row by row. */
void pln_table_cell(struct pln_table *table, enum pln_style style, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Text behind that of the cell filled last, shown when there is room for both: a column that
 * is short of it shows the cell alone. Such a cell is elided in the middle, not at its start.
 */
void pln_table_extra(struct pln_table *table, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

void pln_table_free(struct pln_table *table);

/* Prints and frees; nothing when there is no row. */
void pln_table_print(struct pln_table *table, const struct pln_screen *screen);

/* Columns that the text takes. */
unsigned pln_text_width(const char *text);

/* Prints printable text elided in the middle to `width` columns; returns the columns used. */
unsigned pln_print_elided(const struct pln_screen *screen, const char *text, unsigned width);
/* The same at its start. */
unsigned pln_print_end(const struct pln_screen *screen, const char *text, unsigned width);
/* The same at its end. */
unsigned pln_print_start(const struct pln_screen *screen, const char *text, unsigned width);

/*
 * The same for a name, which may be behind blanks and "< ": "Class.method" or "space::function": as
 * many of its last parts as there is room for, and before them the start of the first. A last part
 * that is too long itself is elided in the middle.
 */
unsigned pln_print_name(const struct pln_screen *screen, const char *text, unsigned width);

/* ------------------------------------------------------------ quantities */

enum { PLN_QUANTITY_SIZE = 32 };

/* "12.3 s", "4.56 ms", "2 min 05 s": three digits that matter. */
const char *pln_duration_text(char buffer[PLN_QUANTITY_SIZE], uint64_t ns);
/* "12,034" */
const char *pln_count_text(char buffer[PLN_QUANTITY_SIZE], uint64_t count);
/* "3.4 MiB" */
const char *pln_bytes_text(char buffer[PLN_QUANTITY_SIZE], uint64_t bytes);
/* "41.2", "100", "0.0"; "-" of nothing */
const char *pln_percent_text(char buffer[PLN_QUANTITY_SIZE], uint64_t part, uint64_t whole);
/* "41.2 %", with two digits below 10 % */
const char *pln_share_text(char buffer[PLN_QUANTITY_SIZE], double part, double whole);

#endif
