/* SPDX-License-Identifier: MIT */
/*
 * entries.c - see entries.h.
 *
 * A stack node's entry is that of its parent, or the node's own function when there is none
 * yet. Parents are older than their children, so one pass over the nodes finds them all.
 */
#include "report/entries.h"

#include <stdlib.h>
#include <string.h>

#include "report/names.h"
#include "stacks/intern.h"

enum role {
	ROLE_ENTRY = 0, /* may be what the thread runs */
	ROLE_FRAMEWORK, /* not by itself */
	ROLE_SERVICE, /* whatever called it */
	ROLE_POOL, /* only when no sample shows a task of the program's */
	ROLE_START, /* nor is anything that called it: the thread, or the process, begins here */
};

struct node_entry {
	uint32_t python;
	uint32_t native;
	bool is_pool; /* `python` is a pool's: the task is yet to come */
};

/* A thread, and how long it ran below an entry. */
struct claim {
	uint32_t thread;
	uint32_t function;
	uint64_t wall_ns;
	enum { RANK_NATIVE = 0, RANK_POOL, RANK_PYTHON } rank;
};
#define CLAIM_KEY_SIZE offsetof(struct claim, wall_ns)
static_assert(CLAIM_KEY_SIZE == 8, "no padding inside the key");

/* --------------------------------------------------------------------- roles */

static bool ends_with(const char *text, const char *end)
{
	size_t size = strlen(text), end_size = strlen(end);

	return size >= end_size && !strcmp(text + size - end_size, end);
}

/* The name without its class, which CPython 3.8 to 3.10 do not know. */
static const char *bare_name(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot ? dot + 1 : name;
}

static enum role python_role(const struct pln_function *f)
{
	static const struct {
		const char *file;
		const char *name; /* NULL: any */
		enum role role;
	} known[] = {
		{ "/threading.py", "_bootstrap", ROLE_START },
		{ "/threading.py", "_bootstrap_inner", ROLE_START },
		{ "/threading.py", "run", ROLE_FRAMEWORK },
		{ "/multiprocessing/process.py", "_bootstrap", ROLE_START },
		{ "/multiprocessing/process.py", "run", ROLE_FRAMEWORK },
		{ "/multiprocessing/spawn.py", NULL, ROLE_START },
		{ "/multiprocessing/forkserver.py", "main", ROLE_SERVICE },
		{ "/multiprocessing/forkserver.py", NULL, ROLE_START },
		{ "/multiprocessing/resource_tracker.py", "main", ROLE_SERVICE },
		{ "/concurrent/futures/thread.py", NULL, ROLE_POOL },
		{ "/concurrent/futures/process.py", NULL, ROLE_POOL },
		{ "/multiprocessing/pool.py", NULL, ROLE_POOL },
		{ "/socketserver.py", NULL, ROLE_POOL },
		{ "/runpy.py", NULL, ROLE_FRAMEWORK },
		{ "<frozen runpy>", NULL, ROLE_FRAMEWORK },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (ends_with(f->file, known[i].file) &&
		    (!known[i].name || !strcmp(bare_name(f->name), known[i].name)))
			return known[i].role;
	}
	return ROLE_ENTRY;
}

/* What is in front of every native thread's own function is libc's, named or not. */
static enum role native_role(const struct pln_function *f)
{
	static const char *const libraries[] = { "libc.so", "libpthread.so", "libpillion.so",
						 "ld-linux" };

	for (size_t i = 0; i < sizeof(libraries) / sizeof(*libraries); i++) {
		if (!strncmp(f->module, libraries[i], strlen(libraries[i])))
			return ROLE_FRAMEWORK;
	}
	return strcmp(f->name, "_start") ? ROLE_ENTRY : ROLE_FRAMEWORK;
}

static uint8_t *find_roles(const struct pln_profile *p)
{
	uint8_t *roles = malloc(p->function_count + 1);

	for (size_t f = 0; roles && f < p->function_count; f++) {
		const struct pln_function *function = &p->functions[f];

		roles[f] = (uint8_t)(function->kind == PLN_FUNCTION_PYTHON ? python_role(function)
									   : native_role(function));
	}
	return roles;
}

/* --------------------------------------------------------------------- nodes */

/* Locks, queues and selectors that a pool waits in are no task. */
static bool is_standard_library(const struct pln_function *f)
{
	return f->kind == PLN_FUNCTION_PYTHON &&
	       (*f->file == '<' ||
		(strstr(f->file, "/lib/python3.") && !strstr(f->file, "-packages/")));
}

static void meet_function(struct node_entry *entry, uint32_t id, const struct pln_function *f,
			  uint8_t role)
{
	bool is_python = f->kind == PLN_FUNCTION_PYTHON;
	uint32_t *own = is_python ? &entry->python : &entry->native;
	bool is_task = is_python && entry->is_pool && !is_standard_library(f);

	if (role == ROLE_START) {
		*own = PLN_NONE;
	} else if (role == ROLE_SERVICE || (role != ROLE_FRAMEWORK && *own == PLN_NONE)) {
		*own = id;
		entry->is_pool = role == ROLE_POOL;
	} else if (role == ROLE_ENTRY && is_task) {
		*own = id;
		entry->is_pool = false;
	}
}

static struct node_entry *find_node_entries(const struct pln_profile *p, const uint8_t *roles)
{
	struct node_entry *entries = malloc((p->stack_count + 1) * sizeof(*entries));

	for (size_t n = 0; entries && n < p->stack_count; n++) {
		const struct pln_stack_node *node = &p->stacks[n];
		uint32_t first = p->frame_first_location[node->frame];
		uint32_t end = p->frame_first_location[node->frame + 1];

		entries[n] = node->parent == PLN_NONE
				     ? (struct node_entry){ PLN_NONE, PLN_NONE, false }
				     : entries[node->parent];
		/* Innermost first: what was inlined into what. */
		for (uint32_t l = end; l-- > first;) {
			uint32_t id = p->locations[l].function;

			meet_function(&entries[n], id, &p->functions[id], roles[id]);
		}
	}
	return entries;
}

/* -------------------------------------------------------------------- threads */

/* Sums wall time by thread and entry; returns how many claims, or PLN_NONE: out of memory. */
static uint32_t sum_claims(struct claim *claims, const struct pln_aggregate *a,
			   const struct node_entry *nodes)
{
	struct pln_intern *keys = pln_intern_new();
	uint32_t count = 0, id = keys ? 0 : PLN_NONE;

	for (size_t i = 0; i < a->cell_count && id != PLN_NONE; i++) {
		const struct pln_cell *cell = &a->cells[i];
		struct claim claim = { .thread = cell->thread };
		struct node_entry entry;

		if (cell->stack == PLN_NONE)
			continue;
		entry = nodes[cell->stack];
		claim.rank = entry.python == PLN_NONE ? RANK_NATIVE
			     : entry.is_pool	      ? RANK_POOL
						      : RANK_PYTHON;
		claim.function = claim.rank == RANK_NATIVE ? entry.native : entry.python;
		if (claim.function == PLN_NONE)
			continue;
		id = pln_intern_add(keys, &claim, CLAIM_KEY_SIZE, NULL);
		if (id == PLN_NONE)
			break;
		if (id == count)
			claims[count++] = claim;
		claims[id].wall_ns += pln_cell_wall_ns(cell);
	}
	pln_intern_free(keys);
	return id == PLN_NONE ? PLN_NONE : count;
}

/* Python counts more than native code: that is where a Python thread is before and after. */
static bool beats(const struct claim *a, const struct claim *b)
{
	if (a->rank != b->rank)
		return a->rank > b->rank;
	return a->wall_ns > b->wall_ns;
}

static void choose(uint32_t *entries, const struct pln_profile *p, const struct claim *claims,
		   uint32_t count, uint32_t *best)
{
	for (size_t t = 0; t < p->thread_count; t++)
		best[t] = entries[t] = PLN_NONE;
	for (uint32_t c = 0; c < count; c++) {
		uint32_t thread = claims[c].thread;

		if (claims[c].rank == RANK_NATIVE && p->threads[thread].has_python)
			continue;
		if (best[thread] == PLN_NONE || beats(&claims[c], &claims[best[thread]])) {
			best[thread] = c;
			entries[thread] = claims[c].function;
		}
	}
}

uint32_t *pln_thread_entries(const struct pln_aggregate *aggregate)
{
	const struct pln_profile *p = aggregate->profile;
	uint32_t *entries = malloc((p->thread_count + 1) * sizeof(*entries));
	uint32_t *best = malloc((p->thread_count + 1) * sizeof(*best));
	struct claim *claims = calloc(aggregate->cell_count + 1, sizeof(*claims));
	uint8_t *roles = find_roles(p);
	struct node_entry *nodes = roles ? find_node_entries(p, roles) : NULL;
	uint32_t count = PLN_NONE;

	if (entries && best && claims && nodes)
		count = sum_claims(claims, aggregate, nodes);
	if (count != PLN_NONE) {
		choose(entries, p, claims, count, best);
	} else {
		free(entries);
		entries = NULL;
	}
	free(best);
	free(claims);
	free(roles);
	free(nodes);
	return entries;
}
