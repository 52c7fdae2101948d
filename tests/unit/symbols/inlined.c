/* SPDX-License-Identifier: MIT */
/*
 * A chain of three inlined functions in a file of its own, and a split one.
 *
 * Built by the tests in many ways (compiler, DWARF version, compression, split files);
 * the marks are where the address and the line of each frame are known.
 */
#include "inlined.h"

#include <stdlib.h>

static int middle(int x)
{
	return inner(x) + 1; /* line: middle */
}

static inline __attribute__((always_inline)) int outer(int x)
{
	x ^= 5;
	return middle(x) * 2; /* line: outer */
}

__attribute__((noinline)) int chain(int x) /* line: chain_decl */
{
	MARK(mark_chain); /* line: chain */
	return outer(x) ^ 77; /* line: chain_call */
}

__attribute__((cold, noinline)) void complain(int code)
{
	if (code > 1)
		exit(code);
}

/* gcc puts what leads to a cold function into unlikely.cold, far away. */
__attribute__((noinline)) void unlikely(int x)
{
	if (x == 12345) {
		complain(x);
		MARK(mark_cold); /* line: cold */
		return;
	}
	MARK(mark_hot); /* line: hot */
}

int main(int argc, char **argv)
{
	(void)argv;
	unlikely(argc);
	return chain(argc);
}
