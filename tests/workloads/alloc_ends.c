/* SPDX-License-Identifier: MIT */
/*
 * alloc_ends.c - allocates where a profiler is easily not there yet, or not any more: in a
 * constructor, a destructor, at exit, in a thread's key destructors, and for threads that
 * have ended.
 *
 * Loaded with ctypes, or preloaded.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCKS 300

static void *kept[BLOCKS];
static pthread_key_t key;

/* Frees every second one, and keeps the others for the next round. */
static void churn(void)
{
	for (int i = 0; i < BLOCKS; i++) {
		free(kept[i]);
		kept[i] = malloc(10 + 37 * (size_t)i);
		memset(kept[i], 1, 10);
		if (i % 2) {
			free(kept[i]);
			kept[i] = NULL;
		}
	}
}

static void at_key(void *value)
{
	free(value);
	for (int i = 1; i < BLOCKS; i++)
		free(malloc((size_t)i));
	/* glibc calls again, up to four times. */
	pthread_setspecific(key, strlen(value = strdup("more")) ? value : NULL);
}

__attribute__((constructor)) static void begin(void)
{
	churn();
	pthread_key_create(&key, at_key);
	atexit(churn);
}

__attribute__((destructor)) static void end(void)
{
	churn();
}

static void *thread_main(void *arg)
{
	void **blocks = arg;

	pthread_setspecific(key, strdup("value"));
	for (int i = 0; i < BLOCKS; i++)
		blocks[i] = realloc(NULL, 1000);
	return NULL;
}

/* In the parent's memory, which must go on counting. */
int alloc_in_vfork_child(unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		pid_t child = vfork();

		if (!child) {
			free(malloc(100));
			_exit(0);
		}
		if (child < 0 || waitpid(child, NULL, 0) != child)
			return -1;
	}
	return 0;
}

/* Each round: threads end, and somebody else frees what they had. */
int alloc_ends(unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		void *blocks[4][BLOCKS];
		pthread_t threads[4];

		for (int t = 0; t < 4; t++)
			if (pthread_create(&threads[t], NULL, thread_main, blocks[t]))
				return -1;
		for (int t = 0; t < 4; t++) {
			pthread_join(threads[t], NULL);
			for (int b = 0; b < BLOCKS; b++)
				free(blocks[t][b]);
		}
	}
	return 0;
}
