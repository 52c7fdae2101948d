/* SPDX-License-Identifier: MIT */
/*
 * symbolize.c - see symbolize.h.
 *
 * Frames are taken module by module and in the order of their addresses: a file is
 * opened once, and neighbours find what the lookup before them decoded. The same
 * function comes up at many frames; it is added once.
 */
#include "profile/symbolize.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/codec.h"
#include "stacks/intern.h"
#include "symbols/symbols.h"

#define INLINE_DEPTH_MAX 64u
#define PROGRESS_EVERY 256u

/* A native frame to be looked up. */
struct target {
	uint32_t module;
	uint32_t frame;
	uint64_t address;
};

struct run {
	const struct pln_symbolize_job *job;
	struct pln_symbolizer *symbolizer;
	struct target *targets;
	size_t target_count;
	struct pln_symbol_file *file; /* of the module at hand; NULL: nothing is known of it */
	const struct pln_module_info *module; /* NULL: in no module */
	struct pln_intern *functions; /* name, file, module path -> place in ids */
	struct pln_buffer key;
	struct pln_buffer ids; /* uint32_t, what add_function() returned */
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* The id of a function, asking the job for one when it is new. PLN_NONE: out of memory. */
static uint32_t function_id(struct run *run, const struct pln_function *function)
{
	bool is_new;
	uint32_t at;
	uint32_t id;

	pln_buffer_clear(&run->key);
	pln_put_string(&run->key, function->name);
	pln_put_string(&run->key, function->file);
	pln_put_string(&run->key, function->module_path);
	if (run->key.failed)
		return PLN_NONE;
	at = pln_intern_add(run->functions, run->key.data, run->key.size, &is_new);
	if (at == PLN_NONE)
		return PLN_NONE;
	if (is_new) {
		id = run->job->add_function(function, run->job->arg);
		pln_put_bytes(&run->ids, &id, sizeof(id));
	}
	return run->ids.failed ? PLN_NONE : ((const uint32_t *)(const void *)run->ids.data)[at];
}

/* A return address is the instruction behind the call, maybe another function's first. */
static uint64_t address_of(const struct run *run, const struct target *target)
{
	return target->address - !run->job->frames[target->frame].is_leaf;
}

/*
 * What a frame is called when no symbol covers it: by where its function starts, so that
 * all of a function is one; by its own address when that is not known either.
 */
static void unknown_name(const struct run *run, const struct target *target, char *name,
			 size_t size)
{
	const char *module = run->module ? base_name(run->module->path) : "[unknown]";
	uint64_t start = target->address, end;

	/* "[vdso]" and the like have no file that an offset could be looked up in. */
	if (*module == '[') {
		snprintf(name, size, "%s", module);
		return;
	}
	if (run->file)
		pln_symbolizer_function_range(run->symbolizer, run->file, address_of(run, target),
					      &start, &end);
	snprintf(name, size, "%s+0x%" PRIx64, module, start);
}

static struct pln_location locate(struct run *run, const struct pln_symbol *symbol,
				  const struct target *target)
{
	struct pln_function function = { .name = symbol->name,
					 .file = symbol->file,
					 .module = "",
					 .module_path = "",
					 .first_line = symbol->decl_line,
					 .kind = PLN_FUNCTION_NATIVE };
	char name[512];

	if (run->module) {
		function.module = base_name(run->module->path);
		function.module_path = run->module->path;
	}
	if (!*symbol->name) {
		unknown_name(run, target, name, sizeof(name));
		function.name = name;
		function.unknown = 1;
	}
	return (struct pln_location){ function_id(run, &function), symbol->line };
}

static int symbolize_frame(struct run *run, const struct target *target)
{
	static const struct pln_symbol nothing = { .name = "", .linkage_name = "", .file = "" };
	struct pln_symbol symbols[INLINE_DEPTH_MAX];
	struct pln_location locations[INLINE_DEPTH_MAX];
	unsigned count = 0;

	if (run->file)
		count = pln_symbolizer_lookup(run->symbolizer, run->file, address_of(run, target),
					      symbols, INLINE_DEPTH_MAX);
	if (!count)
		symbols[count++] = nothing;
	for (unsigned i = 0; i < count; i++) {
		locations[i] = locate(run, &symbols[i], target);
		if (locations[i].function == PLN_NONE)
			return -ENOMEM;
	}
	run->job->found(target->frame, locations, count, run->job->arg);
	return 0;
}

/* The vdso's is in our own memory. */
static bool has_file(const char *path)
{
	return path[0] == '/' || !strcmp(path, "[vdso]");
}

static void leave_module(struct run *run)
{
	const char *text = run->file ? pln_symbol_file_problem(run->file) : "";

	if (*text && run->job->problem)
		run->job->problem(run->module->path, text, run->job->arg);
	run->file = NULL;
}

/* A file that is missing, or is not the one that ran, leaves its frames without symbols. */
static void enter_module(struct run *run, uint32_t module)
{
	const struct pln_symbolize_job *job = run->job;
	const struct pln_module_info *m;
	const char *root;

	run->module = module < job->module_count ? &job->modules[module] : NULL;
	if (!run->module || !run->symbolizer || !has_file(run->module->path))
		return;
	m = run->module;
	root = job->root_of ? job->root_of(m->process, job->arg) : NULL;
	if (pln_symbolizer_file(run->symbolizer, root, m->path, m->build_id, m->build_id_size,
				&run->file))
		run->file = NULL;
}

static int compare_targets(const void *a, const void *b)
{
	const struct target *left = a;
	const struct target *right = b;

	if (left->module != right->module)
		return left->module < right->module ? -1 : 1;
	return (left->address > right->address) - (left->address < right->address);
}

static bool is_wanted(const struct pln_symbolize_job *job, uint32_t frame)
{
	return job->frames[frame].kind == PLN_FRAME_NATIVE &&
	       (!job->wanted || job->wanted(frame, job->arg));
}

static int collect_targets(struct run *run)
{
	const struct pln_symbolize_job *job = run->job;

	run->targets = calloc(job->frame_count + 1, sizeof(*run->targets));
	if (!run->targets)
		return -ENOMEM;
	for (uint32_t i = 0; i < job->frame_count; i++)
		if (is_wanted(job, i))
			run->targets[run->target_count++] =
				(struct target){ job->frames[i].module, i, job->frames[i].address };
	qsort(run->targets, run->target_count, sizeof(*run->targets), compare_targets);
	return 0;
}

static int symbolize_targets(struct run *run)
{
	const struct pln_symbolize_job *job = run->job;

	for (size_t i = 0; i < run->target_count; i++) {
		const struct target *target = &run->targets[i];
		bool is_first = !i || target->module != target[-1].module; /* of its module */
		int err;

		/* The first frame of a large file can take longer than all that follow. */
		if (job->progress && (is_first || i % PROGRESS_EVERY == 0))
			job->progress(i, run->target_count, job->arg);
		if (is_first) {
			leave_module(run);
			enter_module(run, target->module);
		}
		err = symbolize_frame(run, target);
		if (err)
			return err;
	}
	leave_module(run);
	if (job->progress)
		job->progress(run->target_count, run->target_count, job->arg);
	return 0;
}

int pln_symbolize(const struct pln_symbolize_job *job)
{
	struct run run = { .job = job, .functions = pln_intern_new() };
	int err = run.functions ? collect_targets(&run) : -ENOMEM;

	if (!err && !job->names_only && run.target_count) {
		run.symbolizer = pln_symbolizer_new(NULL);
		err = run.symbolizer ? 0 : -ENOMEM;
	}
	if (!err)
		err = symbolize_targets(&run);
	pln_symbolizer_free(run.symbolizer);
	pln_intern_free(run.functions);
	pln_buffer_free(&run.key);
	pln_buffer_free(&run.ids);
	free(run.targets);
	return err;
}
