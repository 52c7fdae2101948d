/* SPDX-License-Identifier: MIT */
/*
 * arena.h - memory that lives as long as the symbolizer, and strings kept once.
 *
 * Function and file names repeat in every unit of every module; interning them keeps
 * one copy. Nothing is freed before the whole arena is.
 */
#ifndef PILLION_COLLECTOR_SYMBOLS_ARENA_H
#define PILLION_COLLECTOR_SYMBOLS_ARENA_H

#include <stddef.h>

struct pln_arena;

struct pln_arena *pln_arena_new(void);
void pln_arena_free(struct pln_arena *arena);

/* A copy that ends in NUL, or NULL without memory. */
const char *pln_arena_copy(struct pln_arena *arena, const char *string, size_t length);

/* The one copy of this string; "" without memory: a name is never worth a failure. */
const char *pln_arena_intern(struct pln_arena *arena, const char *string);

/* Bytes taken from the system. */
size_t pln_arena_size(const struct pln_arena *arena);

#endif
