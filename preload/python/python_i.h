/* SPDX-License-Identifier: MIT */
/*
 * python_i.h - what the files of this folder share. Private to preload/python/, and to
 * preload/burst/, which reads the same structures without stopping to ask the thread.
 *
 * struct pln_python is written by the sampling thread (and by pln_python_find, before
 * there is one) and read by handlers: everything but the atomics is constant once
 * `layout` is set (release; handlers load it with acquire).
 */
#ifndef PILLION_PRELOAD_PYTHON_I_H
#define PILLION_PRELOAD_PYTHON_I_H

#include <pillion/atomic.h>

#include "export.h"
#include "layout.h"
#include "python.h"

struct pln_python {
	_Atomic uintptr_t runtime; /* &_PyRuntime, 0: not found */
	void *module; /* dlopen handle that has it, RTLD_DEFAULT for the global scope */
	uint32_t version_hex;
	const struct pln_layout *_Atomic layout; /* NULL until chosen */
	_Atomic uintptr_t code_type; /* &PyCode_Type, 0: not known yet */
	_Atomic bool refused; /* the self-check failed, or there is no layout */

	/*
	 * The self-check passed. Before that, the layout is only believed: nothing that it
	 * leads to is read directly, everything goes through checked reads.
	 */
	_Atomic bool trusted;
};

extern PLN_OWN struct pln_python pln_python;

/* Address of section .PyRuntime of the module around `address`, 0: none. section.c */
uintptr_t pln_python_runtime_section(uintptr_t address);

/* ---------------------------------------------------------- state.c: thread states */

/* Sampling thread, when the layout is known and the interpreter initialized. */
void pln_python_states_init(void);

/* Sampling thread, each tick: what was remembered of the list of threads may be stale. */
void pln_python_states_tick(void);

/*
 * The calling thread's PyThreadState, 0: none, or (but for `*certain`, a false of which is
 * never made true) none could be found.
 */
uintptr_t pln_python_own_state_sigsafe(const struct pln_layout *layout, bool *certain);

/*
 * Sampling thread: the PyThreadState of another thread in *state, 0: it has none, or none could
 * be found, as above. False: new ones came since the list was read, which is not done again
 * before the next tick.
 */
bool pln_python_state_of(const struct pln_layout *layout, uint32_t tid,
			 uintptr_t pthread_self_value, uintptr_t *state, bool *certain);

/* Sampling thread: a state of the main interpreter belongs to the runtime's main thread. */
bool pln_python_states_plausible(const struct pln_layout *layout);

/* Offset from the thread pointer of the TLS variable that the function at `code` returns. */
bool pln_python_tls_offset(const unsigned char *code, intptr_t *offset);

/* ---------------------------------------------------------- code.c: code objects */

/* Reads that the caller may do without asking: the address was seen as a code object. */
bool pln_python_code_known_sigsafe(uintptr_t address);
void pln_python_code_seen_sigsafe(uintptr_t address);
bool pln_python_codes_init(void);
void pln_python_code_prefetch_sigsafe(const struct pln_layout *layout,
				      const struct pln_python_frame *frame);

/* Key of the code object at `address` with the contents `bytes` (layout->code.size of them). */
uint64_t pln_python_code_key_sigsafe(const struct pln_layout *layout, uintptr_t address,
				     const unsigned char *bytes);

/* Whether `bytes` are those of a code object. */
bool pln_python_is_code_sigsafe(const struct pln_layout *layout, const unsigned char *bytes);

/* ---------------------------------------------------------- gil.c */

/* `thread` holds the layout->thread.size bytes of the PyThreadState at `address`. */
uint8_t pln_python_gil_of_sigsafe(const struct pln_layout *layout, uintptr_t address,
				  const unsigned char *thread, bool direct);

/* Sampling thread, each tick: notes where the GILs are. */
void pln_python_gil_tick(const struct pln_layout *layout);

/* ---------------------------------------------------------- selfcheck.c */

enum pln_selfcheck {
	PLN_SELFCHECK_WAITING = 0, /* asked for, or could not be asked for yet */
	PLN_SELFCHECK_PASSED = 1,
	PLN_SELFCHECK_FAILED = 2,
};

/* Sampling thread, each tick. `detail`: why it failed, a constant string. */
enum pln_selfcheck pln_python_selfcheck(const char **detail);

/* In a forked child: what was asked for in the parent is asked for again. */
void pln_python_selfcheck_after_fork(void);

/* ---------------------------------------------------------- pending.c */

/* In a forked child: nothing that was asked for in the parent is waited for. */
void pln_python_pending_after_fork(void);

/* ---------------------------------------------------------- frames.c */

/* Context: any. Memory at `address`: itself when `direct`, else a copy in `copy`, else NULL. */
const unsigned char *pln_python_peek_sigsafe(uintptr_t address, void *copy, size_t size,
					     bool direct);

#endif
