/* SPDX-License-Identifier: MIT */
/*
 * prologue_i.h - how far rsp is below rbp, by a function's first instructions.
 */
#ifndef PILLION_PRELOAD_NATIVE_PROLOGUE_I_H
#define PILLION_PRELOAD_NATIVE_PROLOGUE_I_H

#include <stddef.h>
#include <stdint.h>

#define PLN_PROLOGUE_DISTANCES 12
/* Text to give, and bytes of any value behind it: an instruction may reach over the end. */
#define PLN_PROLOGUE_BYTES 192
#define PLN_PROLOGUE_PADDING 16

/* Bytes from rbp down to rsp, as they grow from instruction to instruction. */
struct pln_prologue {
	uint32_t distances[PLN_PROLOGUE_DISTANCES];
	unsigned count; /* 0: the function sets up no frame pointer, or not first of all */
};

void pln_prologue_read_sigsafe(const uint8_t *text, size_t size, struct pln_prologue *prologue);

#endif
