/* SPDX-License-Identifier: MIT */
/*
 * alloc_driver.c - a known number of allocations of every kind, on threads of its own.
 *
 * Loaded with ctypes. Each thread counts what it asks for, and the bytes by
 * malloc_usable_size(), in the words that Pillion uses: alloc calls and bytes, free calls and
 * bytes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

static volatile size_t too_much = SIZE_MAX / 2;

struct counts {
	uint64_t alloc_calls, alloc_bytes, free_calls, free_bytes;
};

static void *got(struct counts *c, void *p)
{
	if (p) {
		c->alloc_calls++;
		c->alloc_bytes += malloc_usable_size(p);
	}
	return p;
}

static void let_go(struct counts *c, void *p)
{
	if (p) {
		c->free_calls++;
		c->free_bytes += malloc_usable_size(p);
	}
	free(p);
}

/* C23's, which libc may not have. */
static void let_go_sized(struct counts *c, void *p, size_t size)
{
	static void (*sized)(void *p, size_t size);

	if (!sized)
		*(void **)&sized = dlsym(RTLD_DEFAULT, "free_sized");
	if (!sized)
		*(void **)&sized = dlsym(RTLD_DEFAULT, "free");
	c->free_calls++;
	c->free_bytes += malloc_usable_size(p);
	sized(p, size);
}

static void *resized(struct counts *c, void *p, size_t size)
{
	size_t before = p ? malloc_usable_size(p) : 0;
	void *moved = realloc(p, size);

	if (p && (moved || !size)) {
		c->free_calls++;
		c->free_bytes += before;
	}
	return got(c, moved);
}

static void every_kind(struct counts *c, unsigned round)
{
	size_t size = 1 + round * 7919u % 5000;
	void *p = got(c, malloc(size)), *q = NULL;

	let_go(c, got(c, malloc(0)));
	let_go(c, got(c, calloc(3, size)));
	p = resized(c, p, 2 * size);
	p = resized(c, p, size / 2 + 1);
	p = resized(c, p, round % 50 ? 3 * size : 300000 + size); /* with a mapping of its own */
	p = resized(c, p, 0);
	let_go(c, p);
	let_go(c, resized(c, NULL, size));
	q = got(c, malloc(size));
	c->free_calls++;
	c->free_bytes += malloc_usable_size(q);
	p = got(c, reallocarray(q, 3, size));
	let_go(c, p);
	/* Kept: a compiler may take it that an allocation whose block is not used worked. */
	for (unsigned i = 0; i < 3; i++) {
		void *volatile none = i == 0   ? reallocarray(NULL, too_much, 4)
				      : i == 1 ? malloc(too_much)
					       : calloc(too_much, 3);

		if (none)
			abort();
	}
	if (!posix_memalign(&q, 256, size))
		let_go(c, got(c, q));
	let_go(c, got(c, aligned_alloc(64, size + 64 - size % 64)));
	let_go(c, got(c, memalign(4096, size)));
	let_go(c, got(c, valloc(size)));
	/* jemalloc has none, and libc's cannot be freed by it. */
	if (!getenv("ALLOC_NO_PVALLOC"))
		let_go(c, got(c, pvalloc(size)));
	let_go_sized(c, got(c, malloc(size)), size);
	free(NULL);
}

/* ------------------------------------------------------------------ threads */

struct job {
	pthread_t thread;
	unsigned number;
	unsigned rounds;
	uint64_t tid;
	struct counts counts;
	void **exchange; /* blocks that another thread frees */
	unsigned blocks;
	int frees;
};

static void *thread_main(void *arg)
{
	struct job *job = arg;

	job->tid = (uint64_t)gettid();
	for (unsigned i = 0; i < job->rounds; i++)
		every_kind(&job->counts, i);
	for (unsigned i = 0; i < job->blocks; i++)
		if (job->frees)
			let_go(&job->counts, job->exchange[i]);
		else
			job->exchange[i] = got(&job->counts, malloc(100 + i % 900));
	return NULL;
}

static int run_threads(void *(*main)(void *), unsigned threads, unsigned rounds, uint64_t *out)
{
	struct job jobs[64] = { { 0 } };

	for (unsigned i = 0; i < threads; i++) {
		jobs[i].number = i;
		jobs[i].rounds = rounds;
		if (pthread_create(&jobs[i].thread, NULL, main, &jobs[i]))
			return -1;
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(jobs[i].thread, NULL);
		out[5 * i] = jobs[i].tid;
		memcpy(out + 5 * i + 1, &jobs[i].counts, sizeof(jobs[i].counts));
	}
	return 0;
}

/* out: five numbers a thread: tid, then its counts. */
int alloc_threads(unsigned threads, unsigned rounds, uint64_t *out)
{
	return run_threads(thread_main, threads, rounds, out);
}

/* One thread allocates, the next one frees. */
int alloc_across(unsigned blocks, uint64_t *out)
{
	void **exchange = malloc(blocks * sizeof(*exchange));
	struct job jobs[2] = { { .exchange = exchange, .blocks = blocks },
			       { .exchange = exchange, .blocks = blocks, .frees = 1 } };

	for (int i = 0; i < 2; i++) {
		if (pthread_create(&jobs[i].thread, NULL, thread_main, &jobs[i]))
			return -1;
		pthread_join(jobs[i].thread, NULL);
		out[5 * i] = jobs[i].tid;
		memcpy(out + 5 * i + 1, &jobs[i].counts, sizeof(jobs[i].counts));
	}
	free(exchange);
	return 0;
}

/* ----------------------------------------------------------------- mappings */

#define PAGE ((size_t)4096)

static char *mapped(struct counts *c, void *at, size_t pages, int prot, int flags)
{
	char *p = mmap(at, pages * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	if (p == MAP_FAILED)
		abort();
	if (prot != PROT_NONE && !(flags & MAP_NORESERVE)) {
		c->alloc_calls++;
		c->alloc_bytes += pages * PAGE;
	}
	return p;
}

/* `known`: pages of the range that were counted. */
static void unmapped(struct counts *c, char *p, size_t pages, size_t known)
{
	if (munmap(p, pages * PAGE))
		abort();
	c->free_calls += known > 0;
	c->free_bytes += known * PAGE;
}

static char *remapped(struct counts *c, char *p, size_t before, size_t pages, int flags, char *to)
{
	p = mremap(p, before * PAGE, pages * PAGE, flags, to);
	if (p == MAP_FAILED)
		abort();
	c->free_calls++;
	c->free_bytes += before * PAGE;
	c->alloc_calls++;
	c->alloc_bytes += pages * PAGE;
	return p;
}

static void map_in_parts(struct counts *c)
{
	char *p = mapped(c, NULL, 8, PROT_READ | PROT_WRITE, 0);

	unmapped(c, p, 2, 2); /* at the front, the end, in the middle */
	unmapped(c, p + 6 * PAGE, 2, 2);
	unmapped(c, p + 3 * PAGE, 1, 1);
	/* Not at once: what is gone may be another thread's by now. */
	unmapped(c, p + 2 * PAGE, 1, 1);
	unmapped(c, p + 4 * PAGE, 2, 2);
}

static void map_over(struct counts *c)
{
	char *p = mapped(c, NULL, 16, PROT_NONE, 0); /* reserved: not counted */

	mapped(c, p + 4 * PAGE, 4, PROT_READ | PROT_WRITE, MAP_FIXED);
	c->free_calls++; /* what lay there */
	c->free_bytes += 2 * PAGE;
	mapped(c, p + 5 * PAGE, 2, PROT_READ | PROT_WRITE, MAP_FIXED);
	c->free_calls++;
	c->free_bytes += PAGE;
	mapped(c, p + 4 * PAGE, 1, PROT_NONE, MAP_FIXED);
	c->free_calls++;
	c->free_bytes += PAGE;
	mapped(c, p + 5 * PAGE, 1, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_NORESERVE);
	unmapped(c, p, 16, 2);
}

/* An arena: pieces of a reservation come one by one, and go together. */
static void map_pieces(struct counts *c)
{
	char *p = mapped(c, NULL, 64, PROT_NONE, 0);

	for (unsigned i = 0; i < 64; i += 8)
		mapped(c, p + i * PAGE, 4, PROT_READ | PROT_WRITE, MAP_FIXED);
	/* No such file: neither what is there goes, nor is all of it memory now. */
	if (mmap(p, 64 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, 1 << 30, 0) != MAP_FAILED)
		abort();
	unmapped(c, p, 64, 32);
}

static void map_again(struct counts *c)
{
	char *p = mapped(c, NULL, 4, PROT_READ | PROT_WRITE, 0), *to;

	p = remapped(c, p, 4, 300, MREMAP_MAYMOVE, NULL);
	p = remapped(c, p, 300, 8, 0, NULL);
	to = mapped(c, NULL, 8, PROT_READ | PROT_WRITE, 0);
	c->free_calls++; /* it is taken away by what moves there */
	c->free_bytes += 8 * PAGE;
	p = remapped(c, p, 8, 8, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	unmapped(c, p, 8, 8);
}

/* Its pages go elsewhere, and it stays: from Linux 5.7 on. */
static void map_and_leave(struct counts *c)
{
	char *p = mapped(c, NULL, 8, PROT_READ | PROT_WRITE, 0);
	char *moved = mremap(p, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);

	if (moved != MAP_FAILED) {
		c->alloc_calls++;
		c->alloc_bytes += 8 * PAGE;
		unmapped(c, moved, 8, 8);
	}
	unmapped(c, p, 8, 8);
}

/* Where a caller would like it to go is passed on. */
int mremap_follows_hint(void)
{
	char *p = mmap(NULL, 8 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *hint = mmap(NULL, 64 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *moved;

	munmap(hint, 64 * PAGE);
	hint += 16 * PAGE;
	moved = mremap(p, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, hint);
	return moved == hint;
}

/* Nothing of this changes anything, and none of it may be counted. */
static void map_in_vain(struct counts *c)
{
	char *p = mapped(c, NULL, 4, PROT_READ | PROT_WRITE, 0);

	if (mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED ||
	    mmap(NULL, too_much, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED ||
	    !munmap(p + 1, PAGE) || !munmap(p, 0) || !munmap(p, too_much) ||
	    mremap(p, 4 * PAGE, too_much, MREMAP_MAYMOVE) != MAP_FAILED)
		abort();
	unmapped(c, p, 4, 4);
}

static void map_file(void)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	void *p;

	if (fd < 0 || ftruncate(fd, 2 * PAGE))
		abort();
	p = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED || munmap(p, 2 * PAGE))
		abort();
	close(fd);
}

/* Memory without a file, though others may share it; its size is no whole number of pages. */
static void map_shared(struct counts *c)
{
	void *p = mmap(NULL, 5000, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || munmap(p, 5000))
		abort();
	c->alloc_calls++;
	c->alloc_bytes += 2 * PAGE;
	c->free_calls++;
	c->free_bytes += 2 * PAGE;
}

static void *mapping_main(void *arg)
{
	struct job *job = arg;

	job->tid = (uint64_t)gettid();
	for (unsigned i = 0; i < job->rounds; i++) {
		map_in_parts(&job->counts);
		map_over(&job->counts);
		map_pieces(&job->counts);
		map_again(&job->counts);
		map_and_leave(&job->counts);
		map_in_vain(&job->counts);
		map_file();
		map_shared(&job->counts);
	}
	return NULL;
}

/* As alloc_threads(), of mappings. */
int alloc_mappings(unsigned threads, unsigned rounds, uint64_t *out)
{
	return run_threads(mapping_main, threads, rounds, out);
}

#define NEIGHBOURS 4
#define PIECES 16u /* of each */

static char *common;
static pthread_barrier_t common_step;

/* One maps for all; then each gives back its own pieces, which lie between the others'. */
static void *neighbour_main(void *arg)
{
	struct job *job = arg;

	job->tid = (uint64_t)gettid();
	for (unsigned i = 0; i < job->rounds; i++) {
		if (pthread_barrier_wait(&common_step) == PTHREAD_BARRIER_SERIAL_THREAD)
			common = mapped(&job->counts, NULL, NEIGHBOURS * PIECES,
					PROT_READ | PROT_WRITE, 0);
		pthread_barrier_wait(&common_step);
		for (unsigned k = job->number; k < NEIGHBOURS * PIECES; k += NEIGHBOURS)
			unmapped(&job->counts, common + k * PAGE, 1, 1);
	}
	return NULL;
}

/* As alloc_threads(), of NEIGHBOURS threads. */
int alloc_neighbours(unsigned rounds, uint64_t *out)
{
	return pthread_barrier_init(&common_step, NULL, NEIGHBOURS) ||
	       run_threads(neighbour_main, NEIGHBOURS, rounds, out);
}

/* ---------------------------------------------------------- signal handlers */

/* No thread-local ones: a library's are allocated at their first use. */
static struct counts in_handler;
static volatile sig_atomic_t may_allocate;

/*
 * malloc is no function for handlers: the driver lets one in only where its thread is not inside of
 * the allocator, but just before or after, where a profiler counts.
 */
static void on_alarm(int signo)
{
	(void)signo;
	if (may_allocate)
		let_go(&in_handler, got(&in_handler, malloc(40)));
}

static void *signalled_main(void *arg)
{
	struct job *job = arg;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	job->tid = (uint64_t)gettid();
	for (unsigned i = 0; i < job->rounds; i++) {
		void *p = got(&job->counts, malloc(50));

		may_allocate = 1;
		for (volatile int spin = 0; spin < 20; spin++)
			;
		may_allocate = 0;
		let_go(&job->counts, p);
	}
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	job->counts.alloc_calls += in_handler.alloc_calls;
	job->counts.alloc_bytes += in_handler.alloc_bytes;
	job->counts.free_calls += in_handler.free_calls;
	job->counts.free_bytes += in_handler.free_bytes;
	return NULL;
}

/* out: tid, counts, and how many allocations a handler made. The caller's threads block SIGALRM. */
int alloc_signalled(unsigned rounds, uint64_t *out)
{
	struct itimerval often = { { 0, 500 }, { 0, 500 } }, never = { { 0, 0 }, { 0, 0 } };
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART }, old;
	struct job job = { .rounds = rounds };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGALRM, &action, &old);
	setitimer(ITIMER_REAL, &often, NULL);
	if (pthread_create(&job.thread, NULL, signalled_main, &job))
		return -1;
	pthread_join(job.thread, NULL);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &old, NULL);
	out[0] = job.tid;
	memcpy(out + 1, &job.counts, sizeof(job.counts));
	out[5] = job.counts.alloc_calls - rounds;
	return 0;
}

/* ------------------------------------------------------------- blocks alone */

struct kept {
	struct kept *next;
};

/* Returns the bytes that they had room for. */
size_t alloc_and_free(size_t size, unsigned count)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < count; i++) {
		void *volatile p = malloc(size);

		bytes += malloc_usable_size(p);
		free(p);
	}
	return bytes;
}

/* 0: what works leaves errno alone. */
int alloc_changes_errno(unsigned count)
{
	int changed = 0;

	for (unsigned i = 0; i < count; i++) {
		void *volatile p;

		errno = 77;
		p = malloc(100 + i);
		changed += errno != 77;
		p = realloc(p, 200 + i);
		changed += errno != 77;
		free(p);
		changed += errno != 77;
	}
	return changed;
}

/* Puts blocks of `size`, a pointer's at least, on a list; returns its new beginning. */
struct kept *alloc_and_keep(struct kept *list, size_t size, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct kept *block = malloc(size);

		block->next = list;
		list = block;
	}
	return list;
}

void free_kept(struct kept *list)
{
	while (list) {
		struct kept *next = list->next;

		free(list);
		list = next;
	}
}

/* As a library's own allocator would get its memory. */
void *alloc_mapping(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

int free_mapping(void *p, size_t size)
{
	return munmap(p, size);
}
