/* SPDX-License-Identifier: MIT */
/*
 * alloc_oracle.c - to be preloaded in front of Pillion: sees every call of malloc and its family
 * that the process makes, from the loader's on, and passes it on.
 *
 * What it counts lies in a file, ORACLE_FILE.PID, so that it is there whatever ends the process:
 * alloc calls and bytes, free calls and bytes, in the words that Pillion uses. A forked child
 * begins a file of its own, at 0.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

struct counts {
	atomic_uint_fast64_t alloc_calls, alloc_bytes, free_calls, free_bytes;
};

static struct counts before_file; /* of the loader, mostly */
static struct counts *counts = &before_file;

/* Pillion, or what comes after us. */
static void *next(void **cache, const char *name)
{
	if (!*cache)
		*cache = dlsym(RTLD_NEXT, name);
	if (!*cache)
		_exit(99);
	return *cache;
}

#define NEXT(name)                                                                                 \
	__extension__({                                                                            \
		static void *cache;                                                                \
		(__typeof__(&name))next(&cache, #name);                                            \
	})

size_t malloc_usable_size(void *p);
void *memalign(size_t alignment, size_t size);
void *pvalloc(size_t size);

/* Pillion's own thread calls libc, too; it is not the program's. Only it has this name. */
static int is_the_programs(void)
{
	static __thread int known __attribute__((tls_model("initial-exec"))); /* 1: yes */
	char name[16] = "";

	if (!known) {
		prctl(PR_GET_NAME, name);
		known = strcmp(name, "pillion") ? 1 : -1;
	}
	return known > 0;
}

static void *got(void *p)
{
	if (p && is_the_programs()) {
		counts->alloc_calls++;
		counts->alloc_bytes += NEXT(malloc_usable_size)(p);
	}
	return p;
}

static void lost(size_t size)
{
	if (!is_the_programs())
		return;
	counts->free_calls++;
	counts->free_bytes += size;
}

void *malloc(size_t size)
{
	return got(NEXT(malloc)(size));
}

void *calloc(size_t count, size_t size)
{
	return got(NEXT(calloc)(count, size));
}

void free(void *p)
{
	if (p)
		lost(NEXT(malloc_usable_size)(p));
	NEXT(free)(p);
}

void *realloc(void *p, size_t size)
{
	size_t before = p ? NEXT(malloc_usable_size)(p) : 0;
	void *moved = NEXT(realloc)(p, size);

	if (p && (moved || !size))
		lost(before);
	return got(moved);
}

void *reallocarray(void *p, size_t count, size_t size)
{
	size_t before = p ? NEXT(malloc_usable_size)(p) : 0;
	void *moved = NEXT(reallocarray)(p, count, size);

	if (p && (moved || !(count && size)))
		lost(before);
	return got(moved);
}

int posix_memalign(void **p, size_t alignment, size_t size)
{
	int error = NEXT(posix_memalign)(p, alignment, size);

	if (!error)
		got(*p);
	return error;
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return got(NEXT(aligned_alloc)(alignment, size));
}

void *memalign(size_t alignment, size_t size)
{
	return got(NEXT(memalign)(alignment, size));
}

void *valloc(size_t size)
{
	return got(NEXT(valloc)(size));
}

void *pvalloc(size_t size)
{
	return got(NEXT(pvalloc)(size));
}

/* No stdio: what it allocates is not the program's. */
static void open_file(void)
{
	const char *base = getenv("ORACLE_FILE");
	char path[4096];
	int fd;

	if (!base || snprintf(path, sizeof(path), "%s.%d", base, (int)getpid()) < 0)
		return;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(*counts)))
		_exit(98);
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (counts == MAP_FAILED)
		_exit(97);
}

static void in_child(void)
{
	open_file();
}

__attribute__((constructor)) static void begin(void)
{
	/* Its mmap() may be what makes Pillion look for the allocator: that may allocate. */
	open_file();
	counts->alloc_calls += before_file.alloc_calls;
	counts->alloc_bytes += before_file.alloc_bytes;
	counts->free_calls += before_file.free_calls;
	counts->free_bytes += before_file.free_bytes;
	pthread_atfork(NULL, NULL, in_child);
}
