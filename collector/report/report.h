/* SPDX-License-Identifier: MIT */
/*
 * report.h - `pillion report`, from an open profile to text or JSON.
 *
 *   build (report.c)  cells, then every table, for one view and one filter
 *   print             text_header.c, text_tables.c, text_tree.c, text_heap.c;
 *                     report_json.c, heap_json.c
 */
#ifndef PILLION_COLLECTOR_REPORT_H
#define PILLION_COLLECTOR_REPORT_H

#include "report/calltree.h"
#include "report/entries.h"
#include "report/heap_leaks.h"
#include "report/heap_summary.h"
#include "report/json.h"
#include "report/killed.h"
#include "report/summary.h"
#include "report/table.h"
#include "report/totals.h"
#include "report/waits.h"

enum pln_sort {
	PLN_SORT_SELF = 0,
	PLN_SORT_TOTAL = 1,
	PLN_SORT_NAME = 2,
};
extern const char *const pln_sort_names[]; /* in the order of enum pln_sort; ends with NULL */
/* Time and memory, in the order of enum pln_view; ends with NULL. */
extern const char *const pln_report_view_names[];
/* Those of amounts, which all verbs have: not leaks, a judgement of one profile's places. */
extern const char *const pln_amount_view_names[];

enum pln_report_part {
	PLN_REPORT_ALL = 0,
	PLN_REPORT_TREE, /* the call tree alone */
	PLN_REPORT_LINES, /* the lines alone */
};

struct pln_report_options {
	struct pln_filter filter;
	enum pln_view view;
	enum pln_sort sort;
	enum pln_report_part part;
	uint64_t limit; /* rows of a table, 0: all */
};

struct pln_report {
	const char *path;
	struct pln_profile *profile;
	struct pln_report_options options;
	struct pln_aggregate aggregate;
	struct pln_summary summary;
	struct pln_totals totals;
	struct pln_waits waits;
	struct pln_heap_summary heap;
	struct pln_heap_moments *moments; /* by process; NULL in views of time */
	uint32_t *thread_entries; /* by thread id: function id, or PLN_NONE */
	struct pln_last_run *last_runs; /* by process id; NULL: a signal ended none */
	struct pln_calltree tree; /* empty unless it is asked for */
	struct pln_leaks leaks; /* the same */
};

/* `path`: NULL, it has none to be told. Returns 0 or -errno. pln_report_free() is due in either
 * case; the profile stays open. */
int pln_report_build(struct pln_report *report, struct pln_profile *profile, const char *path,
		     const struct pln_report_options *options);
void pln_report_free(struct pln_report *report);

void pln_report_print_text(const struct pln_report *report, const struct pln_screen *screen);
void pln_report_print_json(const struct pln_report *report, FILE *out);

/* Whether the view has anything to show; nothing that leaks is something. */
bool pln_report_has_any(const struct pln_report *report);
/* Why there is nothing to show, in one sentence. */
void pln_report_explain_empty(const struct pln_report *report, char *buffer, size_t size);

/* `pillion info`: what the profile holds. `built` with the view CPU. */
void pln_info_print_text(const struct pln_report *built, const struct pln_screen *screen);
void pln_info_print_json(const struct pln_report *built, FILE *out);

/*
 * Opens a profile, or says on stderr what is wrong with it. NULL `path`: the newest one of
 * the current directory. Returns NULL, or the profile, and the path in `path_buffer`.
 */
struct pln_profile *pln_report_open(const char *path, bool no_symbolize, char *path_buffer,
				    size_t path_size);

/* Locale and terminal behind stdout. `color`: enum pln_color. */
struct pln_screen pln_report_screen(unsigned color);

/* ------------------------------------------------- for the printing files */

/*
 * Ids in the order to show them, and how many (those with any weight): malloc()ed, NULL when
 * there are none or memory is short.
 */
uint32_t *pln_report_order_functions(const struct pln_report *report, size_t *count);
/* Python ones alone; by self and native time together where the others go by self. */
uint32_t *pln_report_order_python(const struct pln_report *report, size_t *count);
uint32_t *pln_report_order_lines(const struct pln_report *report, size_t *count);
/* Lines of the program that have any `spent`; by that where the others go by self. */
uint32_t *pln_report_order_program_lines(const struct pln_report *report, size_t *count);
uint32_t *pln_report_order_libraries(const struct pln_report *report, size_t *count);
uint32_t *pln_report_order_threads(const struct pln_report *report, size_t *count);

/* Of threads: less than 0 when `a` has more time in the report's view. */
int pln_report_compare_times(const struct pln_report *report, const struct pln_times *a,
			     const struct pln_times *b);

/* Self and native weight of a line: what is spent there and in the native code below it. */
static inline uint64_t pln_line_own(const struct pln_line *line)
{
	return line->cost.self.weight + line->native.weight;
}

/* `count`, or the limit when that is less. */
size_t pln_report_limited(const struct pln_report *report, size_t count);

/* Parts of the header that info shows as well. */
void pln_text_title(const struct pln_report *report, const struct pln_screen *screen);
void pln_text_recording(const struct pln_report *report, const struct pln_screen *screen);
void pln_text_header(const struct pln_report *report, const struct pln_screen *screen);
void pln_text_tree(const struct pln_report *report, const struct pln_screen *screen);
void pln_text_tables(const struct pln_report *report, const struct pln_screen *screen);
void pln_text_threads(const struct pln_report *report, const struct pln_screen *screen);
void pln_text_lines(const struct pln_report *report, const struct pln_screen *screen);

/* Memory: counts and their check, in the header; by kind and by thread; what grows. */
void pln_text_heap_counts(const struct pln_report *report, const struct pln_screen *screen);
void pln_text_heap_explained(const struct pln_report *report, const struct pln_screen *screen);
void pln_text_heap_next(const struct pln_report *report, const struct pln_screen *screen);
void pln_text_heap_tables(const struct pln_report *report, const struct pln_screen *screen);
void pln_text_leaks(const struct pln_report *report, const struct pln_screen *screen);
/* "1,234 calls, 3.2 GiB; mmap: ..." of one process. */
void pln_text_heap_process(const struct pln_process *process, const struct pln_screen *screen);

/* "name   text", the text wrapped to the width and made printable. */
void pln_text_field(const struct pln_screen *screen, const char *name, enum pln_style style,
		    const char *format, ...) __attribute__((format(printf, 4, 5)));
void pln_text_heading(const struct pln_screen *screen, const char *title, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void pln_text_notes(const struct pln_report *report, const struct pln_screen *screen);

/* "app.py:12", "app.py" when the line is unknown. */
const char *pln_place_text(const struct pln_profile *profile, uint32_t function, uint32_t line,
			   char *buffer, size_t size);
/* Behind a function in a table: place of a Python one, library of a native one, and source. */
const char *pln_where_text(const struct pln_profile *profile, uint32_t function, bool with_source,
			   char *buffer, size_t size);
const char *pln_library_name(const struct pln_library *library);
/* The same without versions and platforms. */
const char *pln_library_text(const struct pln_library *library, char *buffer, size_t size);
/* "malloc", "mmap", "objects", "pymem" by enum pln_block_kind; "unknown". */
const char *pln_block_kind_name(unsigned kind);
/* "CPU time" and so on. */
const char *pln_view_text(enum pln_view view);

/* Names of the modules' files, once each, and how many of their frames have symbols. */
struct pln_module_symbols {
	const struct pln_module_info *module;
	uint64_t frames;
	uint64_t named;
	uint64_t with_line;
};
/* By path; malloc()ed, NULL when there are none or memory is short. */
struct pln_module_symbols *pln_module_symbols(const struct pln_profile *profile, size_t *count);

/* Engine bits in words, separated by ", ". */
const char *pln_engine_text(uint32_t engine, char *buffer, size_t size);

/* Parts that both JSON documents have. */
void pln_json_recording(struct pln_json *json, const struct pln_report *report);
void pln_json_processes(struct pln_json *json, const struct pln_report *report);
void pln_json_threads(struct pln_json *json, const struct pln_report *report);
void pln_json_quality(struct pln_json *json, const struct pln_report *report);
void pln_json_costs(struct pln_json *json, const struct pln_report *report);
void pln_json_times(struct pln_json *json, const char *key, const struct pln_times *times);
void pln_json_notes(struct pln_json *json, const struct pln_report *report);
void pln_json_function(struct pln_json *json, const struct pln_profile *profile, uint32_t function);
/* "function", "file" and "line" of a Python line, null for PLN_NONE. */
void pln_json_python_line(struct pln_json *json, const struct pln_report *report, uint32_t line);

/* Memory: heap_json.c. */
void pln_json_heap(struct pln_json *json, const struct pln_report *report);
void pln_json_heap_counts(struct pln_json *json, const struct pln_heap_counts *counts);
void pln_json_heap_amount(struct pln_json *json, const char *prefix,
			  const struct pln_amount *amount);
void pln_json_leaks(struct pln_json *json, const struct pln_report *report);

#endif
