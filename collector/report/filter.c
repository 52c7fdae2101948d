/* SPDX-License-Identifier: MIT */
/*
 * filter.c - words of --thread and --process against threads and processes.
 */
#include "report/filter.h"

#include <stdlib.h>
#include <string.h>

#include "report/names.h"

static bool is_number(const char *word, size_t size)
{
	return size && strspn(word, "0123456789") >= size;
}

static bool contains(const char *text, const char *word, size_t size)
{
	return text && size && memmem(text, strlen(text), word, size);
}

/* Calls match() for each word of a list until one says yes. */
static bool any_word(const char *list, bool (*match)(const char *, size_t, const void *),
		     const void *what)
{
	while (*list) {
		size_t size = strcspn(list, ",");

		if (match(list, size, what))
			return true;
		list += size + (list[size] == ',');
	}
	return false;
}

struct named_thread {
	const struct pln_thread *thread;
	const struct pln_function *runs;
};

static bool is_word(const char *word, size_t size, const char *text)
{
	return text && size == strlen(text) && !memcmp(word, text, size);
}

/* What the first thread is called, whatever its name: not what lies in main.py. */
static bool names_main(const char *word, size_t size)
{
	return is_word(word, size, "main") || is_word(word, size, "MainThread");
}

/* What lies in /home/worker is not all called "worker". */
static const char *file_for(const struct pln_function *runs, const char *word, size_t size)
{
	return memchr(word, '/', size) ? runs->file : pln_base_name(runs->file);
}

static bool thread_matches(const char *word, size_t size, const void *what)
{
	const struct named_thread *named = what;
	const struct pln_function *runs = named->runs;

	if (is_number(word, size))
		return strtoull(word, NULL, 10) == named->thread->tid;
	if (names_main(word, size))
		return named->thread->is_main || is_word(word, size, named->thread->name);
	return contains(named->thread->name, word, size) ||
	       (named->thread->is_main && contains("MainThread", word, size)) ||
	       (runs && (contains(runs->name, word, size) ||
			 contains(file_for(runs, word, size), word, size)));
}

static bool process_matches(const char *word, size_t size, const void *what)
{
	const struct pln_process *process = what;

	if (is_number(word, size)) {
		uint64_t pid = strtoull(word, NULL, 10);

		return pid == process->pid || pid == process->inner_pid;
	}
	return contains(process->executable, word, size) || contains(process->command, word, size);
}

bool pln_filter_keeps_process(const struct pln_filter *filter, const struct pln_process *process)
{
	return !filter->processes || any_word(filter->processes, process_matches, process);
}

bool pln_filter_keeps_thread(const struct pln_filter *filter, const struct pln_profile *profile,
			     uint32_t thread, const struct pln_function *runs)
{
	const struct pln_thread *t = &profile->threads[thread];
	const struct named_thread named = { t, runs };

	if (filter->threads && !any_word(filter->threads, thread_matches, &named))
		return false;
	return t->process >= profile->process_count ||
	       pln_filter_keeps_process(filter, &profile->processes[t->process]);
}
