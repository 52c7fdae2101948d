/* SPDX-License-Identifier: MIT */
/*
 * A library without debug information: aliases, a resolver, calls through the PLT.
 */
#include <stdlib.h>
#include <string.h>

#define MARK(name) __asm__ volatile(".globl " #name "\n" #name ": nop")

int __work_internal(int x);
int work(int x) __attribute__((weak, alias("__work_internal")));
int work_the_old_way(int x) __attribute__((weak, alias("__work_internal")));

__attribute__((noinline)) int __work_internal(int x)
{
	return x * 7 + 1;
}

/* Not exported: in a stripped library nothing names it, least of all its neighbour. */
static __attribute__((noinline, used, section(".text.zz"))) int secret(int x)
{
	MARK(mark_secret); /* line: secret */
	return x - 3;
}

static int chosen(int x)
{
	return x + 9;
}

static void *choose(void)
{
	return (void *)chosen;
}

int by_cpu(int x) __attribute__((ifunc("choose")));

int call_out(const char *text)
{
	char *copy = strdup(text);
	int length = (int)strlen(copy);

	free(copy);
	return by_cpu(secret(work(length)));
}
