/* SPDX-License-Identifier: MIT */
/*
 * firefox_i.h - what the files that write the Firefox Profiler's format share.
 *
 *   firefox.c          the document: threads and their samples, memory over time
 *   firefox_markers.c  intervals of a thread: the GIL, waits, garbage collection
 *   firefox_tables.c   stacks, frames, functions, libraries: those that samples use
 *
 * Tables are columns there, which column() writes.
 */
#ifndef PILLION_COLLECTOR_EXPORT_FIREFOX_I_H
#define PILLION_COLLECTOR_EXPORT_FIREFOX_I_H

#include "export/export.h"
#include "profile/groups.h"
#include "report/json.h"
#include "stacks/intern.h"

/* Indices of meta.categories[]; what they are called is in firefox.c. */
enum pln_firefox_category {
	PLN_FIREFOX_OTHER,
	PLN_FIREFOX_PYTHON,
	PLN_FIREFOX_NATIVE,
	PLN_FIREFOX_INTERPRETER,
	PLN_FIREFOX_GC,
	PLN_FIREFOX_GIL,
	PLN_FIREFOX_WAIT,
	PLN_FIREFOX_CATEGORIES,
};

/* What is kept of a sample. */
struct pln_firefox_sample {
	uint64_t time_ns;
	uint64_t weight_ns; /* in the view */
	uint64_t cpu_ns;
	uint64_t offcpu_ns;
	uint32_t thread;
	uint32_t stack; /* PLN_NONE: none */
	int32_t syscall_nr;
	uint8_t gil; /* enum pln_gil */
};

struct pln_firefox_marker {
	uint64_t start_ns;
	uint64_t end_ns;
	uint32_t type; /* index of pln_firefox_marker_types[] */
	uint32_t text; /* string of its field, where it has one */
};

/* An allocation or a free. */
struct pln_firefox_event {
	uint64_t time_ns;
	uint32_t block;
	bool is_free;
};

struct pln_firefox {
	const struct pln_export *export;
	const struct pln_profile *profile;
	struct pln_json json;
	FILE *out; /* of the JSON */

	struct pln_firefox_sample *samples; /* by thread, then time */
	size_t sample_count, sample_capacity;
	struct pln_export_blocks blocks; /* sampled allocations: their bytes */
	struct pln_groups process_blocks; /* those with any, by process */
	struct pln_groups process_points; /* points of memory, by process */
	uint32_t *pid_use; /* by process: 1 for the first one with its pid, 2 for the second... */
	struct pln_firefox_event *events; /* of one process, by time */
	size_t event_count;
	struct pln_firefox_marker *markers; /* of one thread */
	size_t marker_count, marker_capacity;
	const struct pln_firefox_sample *row; /* of the thread that is written */
	size_t row_count;

	struct pln_intern *strings; /* texts with their ends */
	struct pln_intern *sources; /* the same */
	struct pln_intern *module_paths; /* the same */
	uint32_t *path_module; /* by id of module_paths: the first module of it */
	uint32_t *path_lib; /* by id of module_paths: index of libs[], PLN_NONE: not used */
	uint32_t *lib_path; /* by library: id of module_paths */
	size_t lib_count;
	bool *node_used; /* by stack node */
	bool *node_collects; /* the same: garbage is collected there */
	uint32_t *node_stack; /* by stack node: the innermost entry of stackTable */
	uint32_t *frame_index; /* by frame: its outermost entry of frameTable, PLN_NONE: not used */
	uint32_t *function_index; /* by function, the one behind the last included */
	uint32_t *functions; /* by index of funcTable */
	size_t function_count;
	struct pln_location *frames; /* by index of frameTable: what it shows */
	uint32_t *frame_origin; /* the frame that it is of; PLN_NONE: "(no stack)" */
	uint32_t *frame_depth; /* inlined so deep there */
	size_t frame_count;
	uint32_t *stack_frame; /* by index of stackTable */
	uint32_t *stack_prefix;
	size_t stack_count;
	uint32_t no_stack; /* entry of stackTable */
	bool failed; /* out of memory */
};

typedef void pln_firefox_put(struct pln_firefox *w, size_t index);

/* One column of a table. */
void pln_firefox_column(struct pln_firefox *w, const char *key, size_t count, pln_firefox_put *put);
/* Columns whose values are all the same. */
void pln_firefox_put_null(struct pln_firefox *w, size_t index);
void pln_firefox_put_zero(struct pln_firefox *w, size_t index);
void pln_firefox_put_false(struct pln_firefox *w, size_t index);

/* Milliseconds since the recording began. */
void pln_firefox_put_time(struct pln_firefox *w, uint64_t time_ns);
/* A time with its digits to the nanosecond, as milliseconds. */
void pln_firefox_put_ms(struct pln_firefox *w, uint64_t ns);

/* The index of a string. */
uint32_t pln_firefox_string(struct pln_firefox *w, const char *text);

/* Whether it is what CPython collects garbage with. */
bool pln_firefox_is_gc(const struct pln_function *function);

/* Marks the stack nodes in which it runs. Returns 0 or -errno. */
int pln_firefox_find_collections(struct pln_firefox *w);

/* meta.markerSchema, and the markers of the thread that is written. */
void pln_firefox_write_schemas(struct pln_firefox *w);
void pln_firefox_write_markers(struct pln_firefox *w);

/* Fills the tables with what the marked stack nodes need. Returns 0 or -errno. */
int pln_firefox_build_tables(struct pln_firefox *w);
void pln_firefox_write_libs(struct pln_firefox *w);
void pln_firefox_write_tables(struct pln_firefox *w);
void pln_firefox_free_tables(struct pln_firefox *w);

#endif
