/* SPDX-License-Identifier: MIT */
/*
 * pairs.c - what one malloc with its free takes, in threads that share nothing.
 *
 * Loaded with ctypes into a Python program: others are not recorded.
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define THREADS_MAX 64
#define SIZE 64

/* For callgrind, which counts what happens in here. */
__attribute__((noinline)) void pairs_run(unsigned long count)
{
	for (unsigned long i = 0; i < count; i++) {
		void *volatile p = malloc(SIZE);

		free(p);
	}
}

static unsigned long per_thread;
static pthread_barrier_t all;

/* Its own CPU time: with fewer CPUs than threads, waiting for one is not malloc's. */
static double cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void *thread_main(void *arg)
{
	double *ns = arg, start;

	pairs_run(1000);
	pthread_barrier_wait(&all);
	start = cpu();
	pairs_run(per_thread);
	*ns = (cpu() - start) / (double)per_thread;
	return NULL;
}

/* Nanoseconds of CPU time for a pair, on average over the threads. */
double pairs_ns(unsigned threads, unsigned long count)
{
	pthread_t ids[THREADS_MAX];
	double ns[THREADS_MAX], sum = 0;

	per_thread = count;
	if (threads > THREADS_MAX || pthread_barrier_init(&all, NULL, threads))
		return -1;
	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&ids[i], NULL, thread_main, &ns[i]))
			return -1;
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(ids[i], NULL);
		sum += ns[i];
	}
	pthread_barrier_destroy(&all);
	return sum / threads;
}
