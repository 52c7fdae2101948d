/* SPDX-License-Identifier: MIT */
/*
 * names.h - what things are called in front of the user.
 */
#ifndef PILLION_COLLECTOR_NAMES_H
#define PILLION_COLLECTOR_NAMES_H

#include "profile/reader.h"

/* Of x86-64 Linux, as this build's kernel headers know them; NULL when they do not. */
const char *pln_syscall_name(int32_t number);

/*
 * A source file without what every reader knows already: the part behind site-packages/,
 * behind the standard library's folder, or behind the recording's working directory. Points
 * into `file`.
 */
const char *pln_short_file(const char *file, const char *working_directory);

/*
 * Whether Python code of this file belongs to CPython or to an installed package, and not to the
 * program itself: below site-packages/, dist-packages/ or the standard library's folder, or
 * in angle brackets, but for those of -c, of standard input and of IPython.
 */
bool pln_is_library_file(const char *file);

/*
 * "libc" of "libc.so.6", "_json" of "_json.cpython-311-x86_64-linux-gnu.so", "libz" of a
 * wheel's "libz-96fb9b2e.so.1"; in `buffer`.
 */
const char *pln_short_library(const char *name, char *buffer, size_t size);

/* Name of function `id`, which may be the one behind the last: "(no stack)". */
const char *pln_function_name(const struct pln_profile *profile, uint32_t id);

/*
 * A C++ or Rust name without what its brackets hold, but for the first argument of a
 * template: "sort<int, ..>(..)", and the type that a method of Rust's is of: "<Cell>::get".
 * Operators and "(anonymous namespace)" stay. Points to `name` when there is nothing to shorten.
 */
const char *pln_short_symbol(const char *name, char *buffer, size_t size);

/* pln_function_name(), a long native one shortened. */
const char *pln_short_function_name(const struct pln_profile *profile, uint32_t id, char *buffer,
				    size_t size);

/* "python" or "native"; "" for time without a stack. */
const char *pln_function_kind_name(const struct pln_profile *profile, uint32_t id);

/*
 * A command without the folder of its program, and without what hides what it is about: the
 * code by which multiprocessing starts a process, and the start that it has in common with
 * others (its first `same` bytes) when it is long. In `buffer`.
 */
const char *pln_short_command(const char *command, size_t same, char *buffer, size_t size);

/* The process's program: base name of its executable. */
const char *pln_base_name(const char *path);

/* Name of a thread, or "tid 4711" in `buffer` when it has none. */
const char *pln_thread_name(const struct pln_thread *thread, char *buffer, size_t size);

/* "3.13.1", "3.14.0rc2" out of PY_VERSION_HEX; "none" for 0. */
const char *pln_python_version(uint32_t hex, char *buffer, size_t size);

/* "exit 1", "killed by SIGKILL", "unknown" out of wait(2)'s form. */
const char *pln_exit_text(int32_t status, char *buffer, size_t size);

/* The same of a process, which may be running, or have run on when the recording ended. */
const char *pln_process_end_text(const struct pln_process *process, bool recording_ended,
				 char *buffer, size_t size);

/* Why samples were dropped, in words for the user; by enum pln_drop. */
const char *pln_drop_text(unsigned drop);
/* The same as a JSON key: "lane_full". */
const char *pln_drop_key(unsigned drop);

/*
 * A malloc()ed copy that is safe to print on one line of a terminal: control characters,
 * direction overrides and malformed UTF-8 as escapes. NULL: out of memory.
 */
char *pln_printable(const char *text);

/* Bytes of the well-formed UTF-8 sequence at `s` (at least one byte left), 0: malformed. */
unsigned pln_utf8_size(const char *s, uint32_t *code_point);

#endif
