/* SPDX-License-Identifier: MIT */
/*
 * early_blocks.c - a dlsym() that allocates, as glibc's has done: Pillion, which asks it for the
 * real allocator, gets calls of malloc and its family in the middle of that search.
 *
 * Preloaded behind Pillion. What is kept of each call is looked at, resized and freed by
 * early_blocks(), with the allocator that was found since.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS 64
#define EACH 3

typedef void *(*dlsym_fn)(void *, const char *);

size_t malloc_usable_size(void *p);

static unsigned char *kept[BLOCKS];
static size_t sizes[BLOCKS];
static int count;

static void *image_of(const void *address)
{
	Dl_info found;

	return dladdr(address, &found) ? found.dli_fbase : NULL;
}

static void *pillion(dlsym_fn real)
{
	return image_of(real(RTLD_DEFAULT, "pillion_is_sampling"));
}

static void keep(unsigned char *p, size_t size)
{
	for (size_t i = 0; p && i < size; i++)
		p[i] = (unsigned char)(size + i);
	kept[count] = p;
	sizes[count++] = size;
}

static void allocate(void)
{
	unsigned char *p = calloc(3, 37), *moved;

	if (p && (p[0] || p[110]))
		_Exit(98);
	keep(p, 111);
	p = malloc(50);
	__asm__ volatile("" : "+r"(p)); /* not left out with its free */
	free(p);
	p = malloc(20);
	memset(p, 7, 20);
	moved = realloc(p, 90);
	if (moved && (moved[0] != 7 || moved[19] != 7))
		_Exit(98);
	keep(moved, 90);
	keep(realloc(NULL, 24), 24);
}

/* Called by dlsym() below, with its caller; returns what it is to go on to. */
__attribute__((used)) dlsym_fn early_blocks_begin(const void *caller)
{
	static dlsym_fn real;
	static int inside;

	if (!real)
		*(void **)&real = dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
	if (!inside && count + EACH <= BLOCKS && image_of(caller) == pillion(real)) {
		inside = 1;
		allocate();
		inside = 0;
	}
	return real;
}

/* What it goes on to finds its caller, for RTLD_NEXT, by the return address: that stays. */
__asm__(".pushsection .text\n"
	".globl dlsym\n"
	".type dlsym, @function\n"
	"dlsym:\n"
	"push %rdi\n"
	"push %rsi\n"
	"sub $8, %rsp\n"
	"mov 24(%rsp), %rdi\n"
	"call early_blocks_begin@PLT\n"
	"add $8, %rsp\n"
	"pop %rsi\n"
	"pop %rdi\n"
	"jmp *%rax\n"
	".size dlsym, . - dlsym\n"
	".popsection\n");

static int is_whole(const unsigned char *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (p[i] != (unsigned char)(size + i))
			return 0;
	return 1;
}

/* How many lay in Pillion's own memory; -1: one has not kept what was in it. All are gone then. */
int early_blocks(void)
{
	int early = 0;

	for (int i = 0; i < count; i++) {
		unsigned char *p = kept[i];

		early += p && image_of(p) == image_of(dlsym(RTLD_DEFAULT, "pillion_is_sampling"));
		if (!p || malloc_usable_size(p) < sizes[i] || !is_whole(p, sizes[i]))
			return -1;
		if (i % EACH == 1)
			p = realloc(p, sizes[i] + 1000);
		if (!p || !is_whole(p, sizes[i]))
			return -1;
		free(p);
	}
	count = 0;
	return early;
}
