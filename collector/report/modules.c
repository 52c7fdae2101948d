/* SPDX-License-Identifier: MIT */
/*
 * modules.c - what is known of the files that were loaded, and by which means a process
 * was sampled, for info.
 */
#include <stdlib.h>
#include <string.h>

#include "report/report.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

/* ------------------------------------------------------------------ engine */

static const struct {
	uint32_t bit;
	const char *with;
	const char *without; /* NULL: nothing worth saying */
} engine_words[] = {
	{ PILLION_ENGINE_CPU_TIMER, "CPU-clock timers", "no CPU-clock timers" },
	{ PILLION_ENGINE_FORCED, "forced samples of running threads", NULL },
	{ PILLION_ENGINE_BLOCKED, "blocked threads read without a signal",
	  "blocked threads not read" },
	{ PILLION_ENGINE_SCHEDSTAT, "run-queue wait measured", "run-queue wait not measured" },
	{ PILLION_ENGINE_NATIVE, "native stacks by own unwind tables", "no native stacks" },
	{ PILLION_ENGINE_CHECKED_READ, "checked reads", "no checked reads" },
	{ PILLION_ENGINE_BURST, "burst: Python frames only", NULL },
};

const char *pln_engine_text(uint32_t engine, char *buffer, size_t size)
{
	size_t used = 0;

	*buffer = '\0';
	for (size_t i = 0; i < COUNT_OF(engine_words); i++) {
		const char *words = engine & engine_words[i].bit ? engine_words[i].with
								 : engine_words[i].without;

		if (words && used < size)
			used += (size_t)snprintf(buffer + used, size - used, "%s%s",
						 used ? ", " : "", words);
	}
	return buffer;
}

/* ----------------------------------------------------------------- modules */

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct pln_module_symbols *)a)->module->path,
		      ((const struct pln_module_symbols *)b)->module->path);
}

/* How much of the frames met in each module has a name, and a line. */
static void count_frames(const struct pln_profile *p, struct pln_module_symbols *modules)
{
	for (uint32_t f = 0; f < p->frame_count; f++) {
		const struct pln_frame *frame = &p->frames[f];
		const struct pln_location *at = &p->locations[p->frame_first_location[f]];

		if (frame->kind != PLN_FRAME_NATIVE || frame->module >= p->module_count)
			continue;
		modules[frame->module].frames++;
		modules[frame->module].named += !p->functions[at->function].unknown;
		modules[frame->module].with_line += at->line != 0;
	}
}

/* Merges the mappings of one file, in all processes; returns how many files are left. */
static size_t merge_paths(struct pln_module_symbols *modules, size_t count)
{
	size_t kept = 0;

	qsort(modules, count, sizeof(*modules), by_path);
	for (size_t i = 0; i < count; i++) {
		if (!i || strcmp(modules[kept - 1].module->path, modules[i].module->path)) {
			modules[kept++] = modules[i];
			continue;
		}
		modules[kept - 1].frames += modules[i].frames;
		modules[kept - 1].named += modules[i].named;
		modules[kept - 1].with_line += modules[i].with_line;
	}
	return kept;
}

struct pln_module_symbols *pln_module_symbols(const struct pln_profile *profile, size_t *count)
{
	struct pln_module_symbols *modules;

	*count = 0;
	if (!profile->module_count)
		return NULL;
	modules = calloc(profile->module_count, sizeof(*modules));
	if (!modules)
		return NULL;
	for (size_t m = 0; m < profile->module_count; m++)
		modules[m].module = &profile->modules[m];
	count_frames(profile, modules);
	*count = merge_paths(modules, profile->module_count);
	return modules;
}
