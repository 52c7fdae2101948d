/* SPDX-License-Identifier: MIT */
/*
 * test_native_chain.h - functions of many shapes for test_native_walk.c to stand in.
 *
 * The sources of the two sets are compiled with and without frame pointers.
 */
#ifndef PILLION_TEST_NATIVE_CHAIN_H
#define PILLION_TEST_NATIVE_CHAIN_H

#include <stdbool.h>

struct chain {
	const char *name;
	void (*run)(int depth); /* recurses, then calls chain_leaf() */
	bool variable; /* its frames have no fixed size: without rbp they can only be guessed */
};

extern const struct chain chains[];
extern const unsigned chain_count;

void chain_leaf(void);

/* test_native_chain_fp.c: with frame pointers */
void fp_plain(int depth);
void fp_big(int depth);
void fp_alloca(int depth);
void fp_realigned(int depth);

/* Code without unwind information that traps, and a function that calls it. */
void asm_realigned(void);
void asm_framed(void);
void asm_frameless(void);
void call_kernel(void (*kernel)(void));

#endif
