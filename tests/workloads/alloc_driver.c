/* SPDX-License-Identifier: MIT */
/*
 * alloc_driver.c - a known number of allocations of every kind, on threads of its own.
 *
 * Loaded with ctypes. Each thread counts what it asks for, and the bytes by
 * malloc_usable_size(), in the words that Pillion uses: alloc calls and bytes, free calls and
 * bytes.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

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
	if (reallocarray(NULL, too_much, 4) || malloc(too_much) || calloc(too_much, 3))
		abort();
	if (!posix_memalign(&q, 256, size))
		let_go(c, got(c, q));
	let_go(c, got(c, aligned_alloc(64, size + 64 - size % 64)));
	let_go(c, got(c, memalign(4096, size)));
	let_go(c, got(c, valloc(size)));
	let_go(c, got(c, pvalloc(size)));
	free(NULL);
}

/* ------------------------------------------------------------------ threads */

struct job {
	pthread_t thread;
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

/* out: five numbers a thread: tid, then its counts. */
int alloc_threads(unsigned threads, unsigned rounds, uint64_t *out)
{
	struct job jobs[64] = { { 0 } };

	for (unsigned i = 0; i < threads; i++) {
		jobs[i].rounds = rounds;
		if (pthread_create(&jobs[i].thread, NULL, thread_main, &jobs[i]))
			return -1;
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(jobs[i].thread, NULL);
		out[5 * i] = jobs[i].tid;
		memcpy(out + 5 * i + 1, &jobs[i].counts, sizeof(jobs[i].counts));
	}
	return 0;
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
