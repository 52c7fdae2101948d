/* SPDX-License-Identifier: MIT */
/*
 * waits.c - see waits.h.
 */
#include "report/waits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "report/names.h"
#include "stacks/intern.h"

struct builder {
	struct pln_waits *waits;
	struct pln_intern *wait_keys;
	struct pln_intern *line_keys;
};

/* Room for one more in an array that doubles whenever `count` is a power of two. */
static void *make_room(void *array, size_t count, size_t size)
{
	if (count & (count - 1))
		return array;
	return realloc(array, (count ? 2 * count : 1) * size);
}

static int add_line(struct builder *b, uint32_t wait, uint32_t line, uint64_t ns)
{
	struct pln_waits *w = b->waits;
	const uint32_t key[2] = { wait, line };
	bool is_new;
	uint32_t id = pln_intern_add(b->line_keys, key, sizeof(key), &is_new);

	if (id == PLN_NONE)
		return -ENOMEM;
	if (is_new) {
		struct pln_wait_line *lines = make_room(w->lines, id, sizeof(*lines));

		if (!lines)
			return -ENOMEM;
		w->lines = lines;
		lines[id] = (struct pln_wait_line){ .wait = wait, .line = line };
		w->line_count = id + 1;
	}
	w->lines[id].ns += ns;
	return 0;
}

static int add_wait(struct builder *b, enum pln_wait_kind kind, const struct pln_cell *cell,
		    uint32_t line)
{
	struct pln_waits *w = b->waits;
	const int32_t key[2] = { (int32_t)kind, kind == PLN_WAIT_SYSCALL ? cell->syscall_nr : -1 };
	bool is_new;
	uint32_t id = pln_intern_add(b->wait_keys, key, sizeof(key), &is_new);

	if (id == PLN_NONE)
		return -ENOMEM;
	if (is_new) {
		struct pln_wait *waits = make_room(w->waits, id, sizeof(*waits));

		if (!waits)
			return -ENOMEM;
		w->waits = waits;
		waits[id] = (struct pln_wait){ .kind = kind, .syscall_nr = key[1] };
		w->count = id + 1;
	}
	w->waits[id].offcpu_ns += cell->offcpu_ns;
	w->waits[id].samples += cell->samples;
	return add_line(b, id, line, cell->offcpu_ns);
}

static int add_cell(struct builder *b, const struct pln_cell *cell, uint32_t line)
{
	enum pln_wait_kind kind = cell->gil == PILLION_GIL_WAITS ? PLN_WAIT_GIL
				  : cell->syscall_nr >= 0	 ? PLN_WAIT_SYSCALL
								 : PLN_WAIT_ELSEWHERE;
	int err = add_wait(b, kind, cell, line);

	if (!err && cell->gil == PILLION_GIL_HOLDS)
		err = add_wait(b, PLN_WAIT_HOLDING, cell, line);
	return err;
}

/* -------------------------------------------------------------------- order */

static int by_time(const void *a, const void *b)
{
	const struct pln_wait *wa = a, *wb = b;

	if (wa->offcpu_ns != wb->offcpu_ns)
		return wa->offcpu_ns > wb->offcpu_ns ? -1 : 1;
	return wa->syscall_nr < wb->syscall_nr ? -1 : wa->syscall_nr > wb->syscall_nr;
}

static int by_wait_then_time(const void *a, const void *b)
{
	const struct pln_wait_line *la = a, *lb = b;

	if (la->wait != lb->wait)
		return la->wait < lb->wait ? -1 : 1;
	if (la->ns != lb->ns)
		return la->ns > lb->ns ? -1 : 1;
	return la->line < lb->line ? -1 : la->line > lb->line;
}

static void sort(struct pln_waits *w)
{
	if (!w->count)
		return;
	qsort(w->lines, w->line_count, sizeof(*w->lines), by_wait_then_time);
	for (size_t i = 0; i < w->line_count; i++) {
		struct pln_wait *wait = &w->waits[w->lines[i].wait];

		if (!wait->line_count++)
			wait->first_line = i;
	}
	qsort(w->waits, w->count, sizeof(*w->waits), by_time);
	for (uint32_t i = 0; i < w->count; i++) {
		for (size_t l = 0; l < w->waits[i].line_count; l++)
			w->lines[w->waits[i].first_line + l].wait = i;
	}
}

int pln_waits_compute(struct pln_waits *waits, const struct pln_aggregate *aggregate,
		      const struct pln_totals *totals)
{
	struct builder b = { .waits = waits };
	int err = -ENOMEM;

	memset(waits, 0, sizeof(*waits));
	b.wait_keys = pln_intern_new();
	b.line_keys = pln_intern_new();
	if (!b.wait_keys || !b.line_keys)
		goto out;
	err = 0;
	for (size_t i = 0; !err && i < aggregate->cell_count; i++) {
		const struct pln_cell *cell = &aggregate->cells[i];
		bool has_stack = cell->stack != PLN_NONE;

		if (cell->offcpu_ns)
			err = add_cell(&b, cell,
				       has_stack ? totals->node_python_line[cell->stack]
						 : PLN_NONE);
	}
	if (!err)
		sort(waits);
out:
	pln_intern_free(b.wait_keys);
	pln_intern_free(b.line_keys);
	return err;
}

void pln_waits_free(struct pln_waits *waits)
{
	free(waits->waits);
	free(waits->lines);
	memset(waits, 0, sizeof(*waits));
}

const char *pln_wait_name(const struct pln_wait *wait, char *buffer, size_t size)
{
	const char *name = pln_syscall_name(wait->syscall_nr);

	switch (wait->kind) {
	case PLN_WAIT_GIL:
		return "waiting for the GIL";
	case PLN_WAIT_ELSEWHERE:
		return "(no system call)";
	case PLN_WAIT_HOLDING:
		return "blocked with the GIL";
	case PLN_WAIT_SYSCALL:
		break;
	}
	if (wait->syscall_nr == SYS_futex)
		return "futex (other locks)";
	if (name)
		return name;
	snprintf(buffer, size, "system call %d", (int)wait->syscall_nr);
	return buffer;
}

const char *pln_wait_kind_key(enum pln_wait_kind kind)
{
	static const char *const keys[] = { "syscall", "gil", "elsewhere", "holding_gil" };

	return keys[kind];
}
