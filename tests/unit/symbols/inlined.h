/* SPDX-License-Identifier: MIT */
/*
 * The innermost function of inlined.c lives in a header, so that files differ too.
 */
#define MARK(name) __asm__ volatile(".globl " #name "\n" #name ": nop")

static inline __attribute__((always_inline)) int inner(int x)
{
	MARK(mark_inner); /* line: inner */
	return x * 3;
}
