/* SPDX-License-Identifier: MIT */
/*
 * demangle.h - from a linkage name to the name that is shown.
 */
#ifndef PILLION_COLLECTOR_SYMBOLS_DEMANGLE_H
#define PILLION_COLLECTOR_SYMBOLS_DEMANGLE_H

#include "symbols/arena.h"

#include <stdbool.h>
#include <stddef.h>

/* Longer than any real name; what is longer is cut. The demangler's memory grows with it. */
#define PLN_NAME_MAX_BYTES 16384

/* Ends the name of a stub in the procedure linkage table: "memcpy@plt". */
#define PLN_STUB_SUFFIX "@plt"

/*
 * Length of a symbol's name without its version ("@GLIBC_2.2.5") and without what the
 * compiler appended (".cold", ".part.0", ".constprop.0", ".isra.0", ...).
 */
size_t pln_symbol_base_length(const char *name);

bool pln_is_mangled(const char *name);

/* The base of the name, demangled when it is mangled; interned. */
const char *pln_shown_name(struct pln_arena *arena, const char *linkage_name);

#endif
