/* SPDX-License-Identifier: MIT */
/*
 * test_native_chain_plain.c - shapes without frame pointers, and assembly without
 * unwind information.
 */
#include <alloca.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "test_native_chain.h"

static void (*volatile leaf)(void) = chain_leaf;
static volatile int sink;
static jmp_buf way_out;

static __attribute__((noinline)) void plain(int depth)
{
	if (depth)
		plain(depth - 1);
	else
		leaf();
	sink++;
}

static __attribute__((noinline)) void big(int depth)
{
	volatile char room[30000];

	room[depth] = 1;
	if (depth)
		big(depth - 1);
	else
		leaf();
	sink += room[depth];
}

static __attribute__((noinline)) void variable(int depth)
{
	char *room = alloca(64 + 24 * (unsigned)depth);

	memset(room, depth, 64);
	if (depth)
		variable(depth - 1);
	else
		leaf();
	sink += room[5];
}

static __attribute__((noinline)) void realigned(int depth)
{
	_Alignas(64) volatile char room[128];

	room[depth] = 1;
	if (depth)
		realigned(depth - 1);
	else
		leaf();
	sink += room[depth];
}

static int compare(const void *a, const void *b)
{
	static volatile int once;

	if (!once++)
		leaf();
	if (once == 3)
		once = 0;
	return *(const int *)a - *(const int *)b;
}

/* Through the C library, by way of the PLT and a callback. */
static void callback(int depth)
{
	int values[] = { 3, 1, 2 };

	qsort(values, 3, sizeof(*values), compare);
	sink += depth;
}

static __attribute__((noinline, noreturn)) void leave(void)
{
	leaf();
	longjmp(way_out, 1);
}

/* Its last instruction is the call: the return address belongs to the next function. */
static __attribute__((noinline)) void ends_in_call(int depth)
{
	sink += depth;
	leave();
}

static void no_return(int depth)
{
	if (!setjmp(way_out))
		ends_in_call(depth);
}

static void mixed(int depth)
{
	if (depth)
		fp_plain(0);
	fp_realigned(1);
	sink++;
}

const struct chain chains[] = {
	{ "plain", plain, false },
	{ "big", big, false },
	{ "alloca", variable, true },
	{ "realigned", realigned, true },
	{ "callback", callback, true },
	{ "noreturn", no_return, false },
	{ "mixed", mixed, true },
	{ "fp plain", fp_plain, false },
	{ "fp big", fp_big, false },
	{ "fp alloca", fp_alloca, true },
	{ "fp realigned", fp_realigned, true },
};
const unsigned chain_count = sizeof(chains) / sizeof(*chains);

/*
 * As a matrix kernel of OpenBLAS does: pushes, keeps rsp in rbx, takes pages of room and
 * aligns. Dead words in that room look like return addresses.
 */
__asm__(".text\n"
	".globl asm_realigned, asm_framed, asm_frameless\n"
	".type asm_realigned,@function\n"
	"asm_realigned:\n"
	"	push %rbp\n"
	"	push %rbx\n"
	"	push %r12\n"
	"	mov %rsp, %rbx\n"
	"	sub $0x7080, %rsp\n"
	"	and $-4096, %rsp\n"
	"	xor %ebp, %ebp\n"
	"	lea chain_leaf+5(%rip), %rax\n"
	"	mov %rax, 8(%rsp)\n"
	"	int3\n"
	"	nop\n"
	"	mov %rbx, %rsp\n"
	"	pop %r12\n"
	"	pop %rbx\n"
	"	pop %rbp\n"
	"	ret\n"
	".skip 32\n"
	".type asm_framed,@function\n"
	"asm_framed:\n"
	"	push %rbp\n"
	"	mov %rsp, %rbp\n"
	"	push %rbx\n"
	"	sub $0x2000, %rsp\n"
	"	mov $1, %ebx\n"
	"	int3\n"
	"	nop\n"
	"	add $0x2000, %rsp\n"
	"	pop %rbx\n"
	"	pop %rbp\n"
	"	ret\n"
	".skip 32\n"
	".type asm_frameless,@function\n"
	"asm_frameless:\n"
	"	int3\n"
	"	nop\n"
	"	ret\n"
	".skip 32\n");
