/* SPDX-License-Identifier: MIT */
/*
 * totals.h - what functions, lines and libraries cost in one view.
 *
 *   self   time or bytes with it innermost on the stack
 *   total  the same with it anywhere on the stack, once per stack however deep it recurses
 *
 * Sums of self over all functions (and over all libraries) equal `all`.
 */
#ifndef PILLION_COLLECTOR_TOTALS_H
#define PILLION_COLLECTOR_TOTALS_H

#include "report/aggregate.h"

struct pln_cost {
	struct pln_amount self;
	struct pln_amount total;
};

struct pln_line {
	uint32_t function;
	uint32_t line; /* 0 unknown */
	struct pln_cost cost;
	struct pln_amount native; /* Python lines: native time with this the nearest Python line */
	/* Lines of the program: time with this the nearest one of them, be it in libraries. */
	struct pln_amount spent;
};

struct pln_library {
	const char *name; /* NULL: Python code; "": native code of no known library */
	const char *path;
	struct pln_cost cost;
};

/* Native self time of a function by the Python line that leads to it. */
struct pln_caller {
	uint32_t function;
	uint32_t line; /* index of lines[]; PLN_NONE: no Python frame on the stack */
	struct pln_amount amount;
};

struct pln_totals {
	struct pln_profile *profile;
	enum pln_view view;
	struct pln_amount all;
	/* By function id; the one behind the last is time without a stack. */
	struct pln_cost *functions;
	struct pln_amount *function_native; /* Python: native time with it the nearest Python one */
	uint32_t *function_library; /* by function id */
	bool *function_program; /* by function id: Python code that is no library's */
	struct pln_library *libraries;
	size_t library_count;
	struct pln_line *lines;
	size_t line_count;
	uint32_t *location_line; /* by location: index of lines[] */
	uint32_t *node_python_line; /* by stack node: nearest Python line, or PLN_NONE */
	struct pln_caller *callers; /* by function, then most time first */
	size_t caller_count;
};

/* Returns 0 or -errno. pln_totals_free() is due in either case. */
int pln_totals_compute(struct pln_totals *totals, const struct pln_aggregate *aggregate,
		       enum pln_view view);
void pln_totals_free(struct pln_totals *totals);

void pln_amount_add(struct pln_amount *to, const struct pln_amount *what);
/* What a cell amounts to in a view of time. */
struct pln_amount pln_cell_amount(const struct pln_cell *cell, enum pln_view view);

/* The cells of any view, one after the other. */
struct pln_part {
	uint32_t stack; /* PLN_NONE: none */
	struct pln_amount amount;
};
size_t pln_part_count(const struct pln_aggregate *aggregate, enum pln_view view);
struct pln_part pln_part_at(const struct pln_aggregate *aggregate, enum pln_view view,
			    size_t index);

/* The callers of one function: callers[return value .. *end). */
size_t pln_totals_callers(const struct pln_totals *totals, uint32_t function, size_t *end);

#endif
