/* SPDX-License-Identifier: MIT */
/*
 * test_native_chain_fp.c - shapes with frame pointers (-fno-omit-frame-pointer).
 */
#include <alloca.h>
#include <string.h>

#include "test_native_chain.h"

/* What the compiler must not see through. */
static void (*volatile leaf)(void) = chain_leaf;
static volatile int sink;

__attribute__((noinline)) void fp_plain(int depth)
{
	if (depth)
		fp_plain(depth - 1);
	else
		leaf();
	sink++;
}

__attribute__((noinline)) void fp_big(int depth)
{
	volatile char room[20000];

	room[depth] = 1;
	if (depth)
		fp_big(depth - 1);
	else
		leaf();
	sink += room[depth];
}

__attribute__((noinline)) void fp_alloca(int depth)
{
	char *room = alloca(100 + 40 * (unsigned)depth);

	memset(room, depth, 100);
	if (depth)
		fp_alloca(depth - 1);
	else
		leaf();
	sink += room[5];
}

__attribute__((noinline)) void fp_realigned(int depth)
{
	_Alignas(64) volatile char room[128];

	room[depth] = 1;
	if (depth)
		fp_realigned(depth - 1);
	else
		leaf();
	sink += room[depth];
}

__attribute__((noinline)) void call_kernel(void (*kernel)(void))
{
	kernel();
	sink++;
}
