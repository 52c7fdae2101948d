/* SPDX-License-Identifier: MIT */
/*
 * burn.c - native threads that spend a known CPU time, for truth_native_threads.py.
 *
 * Loaded with ctypes. Each thread measures its own CPU clock; burn_join() returns what
 * they spent. The two parts are functions of their own, so that stacks tell them apart.
 */
#include <pthread.h>
#include <stdint.h>
#include <time.h>

struct job {
	pthread_t thread;
	double seconds;
	double spent;
};

void burn_start(double one, double two);
void burn_join(double *spent);

static struct job jobs[2];
static volatile uint64_t sink;

static double thread_cpu(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

__attribute__((noinline)) static void part_native_one(struct job *job)
{
	while (thread_cpu() < job->seconds)
		for (int i = 0; i < 20000; i++)
			sink += (uint64_t)i;
	job->spent = thread_cpu();
}

__attribute__((noinline)) static void part_native_two(struct job *job)
{
	while (thread_cpu() < job->seconds)
		for (int i = 0; i < 20000; i++)
			sink ^= (uint64_t)i;
	job->spent = thread_cpu();
}

static void *run_one(void *arg)
{
	part_native_one(arg);
	return NULL;
}

static void *run_two(void *arg)
{
	part_native_two(arg);
	return NULL;
}

void burn_start(double one, double two)
{
	jobs[0].seconds = one;
	jobs[1].seconds = two;
	pthread_create(&jobs[0].thread, NULL, run_one, &jobs[0]);
	pthread_create(&jobs[1].thread, NULL, run_two, &jobs[1]);
}

void burn_join(double *spent)
{
	for (int i = 0; i < 2; i++) {
		pthread_join(jobs[i].thread, NULL);
		spent[i] = jobs[i].spent;
	}
}
