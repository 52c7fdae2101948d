/* SPDX-License-Identifier: MIT */
/*
 * annotate.h - `pillion annotate`: one function or file, and what was sampled at each place.
 *
 *   choose.c                   what the user means
 *   lines.c                    a Python file: costs by line
 *   native.c, code.c           a native function: costs by instruction; its bytes, decoded
 *   text.c, text_native.c, json.c   print either
 *
 * A sample is at the innermost frame of its stack; for the frames below, at the line or the
 * instruction that calls. The address of an innermost frame is that of the instruction to be
 * executed next, so a slow instruction is found by the one behind it (skid). Return addresses
 * are behind their call, which may end a function: they are looked up one byte before.
 */
#ifndef PILLION_COLLECTOR_ANNOTATE_H
#define PILLION_COLLECTOR_ANNOTATE_H

#include "annotate/disassemble.h"
#include "annotate/source.h"
#include "report/report.h"

/* ------------------------------------------------------------------- choose.c */

enum pln_choice_kind {
	PLN_CHOICE_NONE = 0,
	PLN_CHOICE_FILE, /* a Python file, whole */
	PLN_CHOICE_PYTHON, /* the lines of one Python function */
	PLN_CHOICE_NATIVE,
};

struct pln_choice {
	enum pln_choice_kind kind;
	const char *file; /* FILE, PYTHON: as the profile has it */
	uint32_t function; /* PYTHON, NATIVE */
	/*
	 * Other functions that the name fits as well and that have any weight, for a FILE those of
	 * other files: how many, and the heaviest.
	 */
	uint32_t others;
	uint32_t other;
};

/*
 * The file or function that `name` means: a path, the end of one, or a file's name; a
 * function's whole name, its last parts, or any part of it. Of several, the heaviest in
 * the report's view.
 */
struct pln_choice pln_choose(const struct pln_report *report, const char *name);

/* -------------------------------------------------------------------- lines.c */

/* A line of a Python file; weights in the views of struct pln_file_lines. */
struct pln_line_cost {
	uint64_t samples; /* of the time view, with it anywhere on the stack */
	uint64_t self; /* in Python code of the line itself */
	uint64_t native; /* in native code, this being the nearest Python line */
	uint64_t total; /* with what it called, once per stack */
	uint64_t wait_ns; /* blocked, this being the nearest Python line */
	struct pln_amount memory; /* the same of memory */
};

struct pln_file_lines {
	enum pln_view time_view;
	enum pln_view heap_view;
	struct pln_line_cost *lines; /* [0]: the line is not known; [1 .. count) */
	uint32_t count;
	struct pln_line_cost all; /* of the file, once per stack */
	/* Of everything in the profile. */
	uint64_t whole_time;
	uint64_t whole_wait_ns;
	uint64_t whole_memory;
	uint32_t first, last; /* what the choice is about; 1 .. count - 1 for a file */
};

/*
 * `report` is built with the time view, and its aggregate has the blocks of `heap_view` if
 * there are any. Returns 0 or -errno; pln_file_lines_free() is due in either case.
 */
int pln_file_lines_build(struct pln_file_lines *lines, const struct pln_report *report,
			 const struct pln_choice *choice, enum pln_view heap_view);
void pln_file_lines_free(struct pln_file_lines *lines);

static inline bool pln_line_has_any(const struct pln_line_cost *cost)
{
	return cost->total || cost->wait_ns || cost->memory.weight;
}

/* Whether any of the lines that the choice is about has a cost. */
bool pln_file_lines_have_any(const struct pln_file_lines *lines);

/* ------------------------------------------------------------------- native.c */

struct pln_instruction {
	uint64_t address; /* in the file */
	uint8_t size; /* 0: not decoded, known by its samples alone */
	const char *text; /* NULL: not decoded */
	const char *target; /* of a call or jump that leaves the place: a name, or NULL */
	uint32_t source; /* index of sources[] */
	uint32_t line; /* 0 unknown */
	struct pln_amount self; /* innermost here */
	struct pln_amount below; /* in what is called here, once per stack */
};

/* The code between two addresses that samples of the function lie in: it, a cold part of it, or
 * a function that it was inlined into. */
struct pln_code_place {
	const struct pln_module_info *module; /* NULL: in none */
	const char *name; /* of what the code was compiled as */
	bool inlined; /* the function is a part of it only */
	uint64_t start, end; /* start == end: not known */
	const char *problem; /* why there is no disassembly, or NULL */
	struct pln_instruction *instructions; /* by address */
	size_t count;
	struct pln_amount self;
	struct pln_amount total; /* once per stack */
};

struct pln_native_code {
	uint32_t function;
	struct pln_code_place *places; /* heaviest first */
	size_t place_count;
	const char **sources; /* source files; [0] is "" */
	size_t source_count;
	struct pln_symbolizer *symbolizer;
	bool owns_symbolizer;
	struct pln_intern *texts; /* owner of the texts above */
};

/*
 * `symbolizer`: what reads the files, for those who ask for many functions of them; NULL: one
 * of its own. Returns 0 or -errno; pln_native_code_free() is due in either case.
 */
int pln_native_code_build(struct pln_native_code *code, const struct pln_report *report,
			  uint32_t function, enum pln_syntax syntax,
			  struct pln_symbolizer *symbolizer);
void pln_native_code_free(struct pln_native_code *code);

/* --------------------------------------------------------------------- output */

struct pln_annotate_print {
	uint64_t context; /* lines or instructions shown around those with samples */
	bool all; /* shows every one */
};

void pln_annotate_lines_text(const struct pln_report *report, const struct pln_choice *choice,
			     const struct pln_file_lines *lines, const struct pln_screen *screen,
			     const struct pln_annotate_print *print);
void pln_annotate_native_text(const struct pln_report *report, const struct pln_native_code *code,
			      const struct pln_screen *screen,
			      const struct pln_annotate_print *print);

/* JSON, schema "pillion-annotate" version 1: every line or instruction with any weight. */
void pln_annotate_lines_json(const struct pln_report *report, const struct pln_choice *choice,
			     const struct pln_file_lines *lines, FILE *out);
void pln_annotate_native_json(const struct pln_report *report, const struct pln_native_code *code,
			      FILE *out);

#endif
