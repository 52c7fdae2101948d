/* SPDX-License-Identifier: MIT */
/*
 * layout.h - where CPython keeps what a sampler reads, as data.
 *
 * One struct pln_layout per minor version: constant tables for 3.8 to 3.12, whose
 * structures did not change within a minor (layout_3_XX.c), and one filled in at
 * run time from the interpreter's own _Py_DebugOffsets for 3.13 and later
 * (layout_debug_offsets.c). All numbers are byte offsets on x86-64. How a version
 * works follows from which fields it has.
 */
#ifndef PILLION_PRELOAD_PYTHON_LAYOUT_H
#define PILLION_PRELOAD_PYTHON_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* This version has no such field. */
#define PLN_ABSENT 0xffffffffu

/* The largest structures that any layout describes: sizes of the copies. */
#define PLN_THREAD_BYTES 512
#define PLN_FRAME_BYTES 128
#define PLN_CODE_BYTES 256
#define PLN_GIL_BYTES 64 /* from the start of the structure to what is read of it */
#define PLN_OBJECT_BYTES 64 /* of a str or bytes object, up to its characters */

/* Values of frame.owner. From PLN_OWNER_SHIM on a frame runs no Python code. */
#define PLN_OWNER_GENERATOR 1
#define PLN_OWNER_SHIM 3

struct pln_layout {
	char name[32]; /* as shown to the user */
	uint16_t version; /* major << 8 | minor */
	bool free_threaded;
	uint8_t linetable_kind; /* enum pln_linetable */

	struct {
		uint32_t initialized; /* int: Py_IsInitialized() */
		uint32_t finalizing; /* PyThreadState *: who finalizes */
		uint32_t interp_head;
		uint32_t interp_main;
		uint32_t main_thread; /* unsigned long: pthread_self() of the main thread */
		uint32_t tss_key; /* Py_tss_t: the thread state that a thread used last */
		uint32_t gil; /* struct _gil_runtime_state, one for all (<= 3.11) */
		uint32_t current; /* PyThreadState *: who runs Python now (<= 3.11) */
		uint32_t calls_refused; /* int: Py_AddPendingCall() raises an error (3.8) */
	} runtime;

	struct {
		uint32_t next;
		uint32_t threads; /* first PyThreadState, newest first */
		uint32_t gil; /* struct _gil_runtime_state * (3.12+) */
	} interp;

	struct {
		uint32_t size; /* bytes that hold every field below */
		uint32_t next;
		uint32_t interp;
		uint32_t frame; /* innermost frame; absent: behind cframe */
		uint32_t cframe; /* innermost C eval call (3.10 to 3.12) */
		uint32_t root_cframe; /* embedded end of the cframe chain */
		uint32_t base_frame; /* frame that ends the chain (3.15+) */
		uint32_t thread_id; /* pthread_self() */
		uint32_t native_id; /* gettid() (3.11+) */
		uint32_t chunk; /* newest chunk of the data stack (3.11+) */
		uint32_t chunk_top; /* end of what is used of it */
		uint32_t status; /* bit field (3.12+) */
		uint32_t holds_gil; /* int (3.14+) */
	} thread;

	struct {
		uint32_t frame; /* innermost frame of this C eval call (3.11, 3.12) */
		uint32_t previous;
	} cframe;

	/* PyFrameObject up to 3.10, _PyInterpreterFrame from 3.11 on. */
	struct {
		uint32_t size;
		uint32_t previous;
		uint32_t code; /* pointer, from 3.14 on with tag bits */
		uint32_t instr; /* int index up to 3.10, pointer from 3.11 on */
		uint32_t instr_unit; /* bytes per index (<= 3.10) */
		uint32_t owner; /* char (3.11+) */
		uint32_t is_entry; /* bool: outermost frame of its C eval call (3.11) */
		uint32_t tlbc_index; /* int32: which copy of the bytecode (free-threaded 3.14+) */
	} frame;

	struct {
		uint32_t size; /* bytes that hold every field below */
		uint32_t filename;
		uint32_t name; /* the best one: co_qualname where there is one */
		uint32_t linetable;
		uint32_t first_line;
		uint32_t body; /* co_code (<= 3.10), or the number of code units */
		uint32_t bytecode; /* the instructions themselves (3.11+) */
		uint32_t first_traceable; /* int, in code units (3.11+) */
		uint32_t tlbc; /* _PyCodeArray * (free-threaded 3.14+) */
	} code;

	struct {
		uint32_t type; /* ob_type in every object */
		uint32_t str_length;
		uint32_t str_state;
		uint32_t str_kind_shift; /* within the state word: kind, then compact, then ascii */
		uint32_t str_ascii; /* characters of a compact ASCII string */
		uint32_t str_compact; /* characters of any other compact string */
		uint32_t bytes_size;
		uint32_t bytes_data;
	} object;

	struct {
		uint32_t size;
		uint32_t enabled; /* int (free-threaded) */
		uint32_t last_holder;
		uint32_t locked; /* int */
	} gil;
};

/* _PyStackChunk, the same in 3.11 to 3.15. `top` counts words and is set when a chunk is left. */
struct pln_stack_chunk {
	uintptr_t previous;
	uint64_t size; /* bytes, this header included */
	uint64_t top;
};

extern const struct pln_layout pln_layout_3_08;
extern const struct pln_layout pln_layout_3_09;
extern const struct pln_layout pln_layout_3_10;
extern const struct pln_layout pln_layout_3_11;
extern const struct pln_layout pln_layout_3_12;

/* PY_VERSION_HEX when a _Py_DebugOffsets table stands at `runtime`, else 0. */
uint32_t pln_layout_debug_version(uintptr_t runtime);

/*
 * Fills `layout` from the _Py_DebugOffsets at `runtime`. Returns NULL, or why not
 * in a few words. Reads through checked reads.
 */
const char *pln_layout_from_debug_offsets(uintptr_t runtime, struct pln_layout *layout);

static inline bool pln_has(uint32_t offset)
{
	return offset != PLN_ABSENT;
}

static inline uintptr_t pln_word_at(const unsigned char *bytes, uint32_t offset)
{
	uintptr_t value;

	memcpy(&value, bytes + offset, sizeof(value));
	return value;
}

static inline int32_t pln_int_at(const unsigned char *bytes, uint32_t offset)
{
	int32_t value;

	memcpy(&value, bytes + offset, sizeof(value));
	return value;
}

#endif
