/* SPDX-License-Identifier: MIT */
/*
 * embed.c - a program that is not Python and loads an interpreter, as plugins do: it starts
 * it, runs a script, ends it, and begins again.
 *
 *	embed LIBPYTHON first|other|beside ROUNDS SCRIPT
 *
 * `first` runs it on the program's first thread, `other` on one of its own; `beside` on the first
 * one, while a thread that is older than the interpreter allocates and frees. The script
 * finds the number of the round as `round`. Prints each round's results: of the script and
 * of Py_FinalizeEx(), both 0 when all is well.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void (*initialize)(int);
static int (*run)(const char *, void *);
static int (*finalize)(void);

static const char *script;
static int rounds;
static atomic_bool over;

static int find(void *library, const char *name, void *function)
{
	*(void **)function = dlsym(library, name);
	return *(void **)function ? 0 : -1;
}

static void *run_rounds(void *unused)
{
	char line[32];

	for (int i = 0; i < rounds; i++) {
		int failed;

		initialize(0);
		snprintf(line, sizeof(line), "round = %d\n", i);
		failed = run(line, NULL) || run(script, NULL);
		printf("%d %d\n", failed, finalize());
		fflush(stdout);
	}
	return unused;
}

static void *allocate_beside(void *unused)
{
	while (!over) {
		char *volatile block = malloc(64 << 10);

		free(block);
	}
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread, beside;
	bool is_beside = argc > 2 && !strcmp(argv[2], "beside");
	void *library;

	if (argc != 5 || (is_beside && pthread_create(&beside, NULL, allocate_beside, NULL)))
		return 2;
	library = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
	if (!library || find(library, "Py_InitializeEx", &initialize) ||
	    find(library, "PyRun_SimpleStringFlags", &run) ||
	    find(library, "Py_FinalizeEx", &finalize)) {
		fprintf(stderr, "embed: %s\n", dlerror());
		return 1;
	}
	rounds = atoi(argv[3]);
	script = argv[4];
	if (is_beside || !strcmp(argv[2], "first"))
		run_rounds(NULL);
	else if (pthread_create(&thread, NULL, run_rounds, NULL) || pthread_join(thread, NULL))
		return 1;
	over = true;
	return is_beside ? pthread_join(beside, NULL) : 0;
}
