/* SPDX-License-Identifier: MIT */
/*
 * verdict.c - compares two walks of one stack, and counts.
 *
 * Counters are plain: oracle.c lets one handler in at a time.
 */
#include "oracle.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "native/module_set_i.h"

#define MAX_CAUSES 512
#define MAX_TIMES (1u << 20)

/* By enum oracle_class; the last one is for walks with pc and sp alone. */
static const char *const class_names[ORACLE_CLASSES + 1] = {
	"identical", "guessed_on", "guessed_same", "no_table",	"no_row",
	"shorter",   "anonymous",  "longer",	   "different", "blocked",
};

static const char *const end_names[] = { "root",   "depth",	"no_table",
					 "no_row", "bad_stack", "unknown_pc" };

/* The frame whose step went apart, and how often. */
struct cause {
	uint64_t pc;
	unsigned long count;
	unsigned frame;
	enum oracle_class class;
	enum pln_walk_end end;
	uint64_t ours;
	uint64_t theirs;
};

static struct {
	unsigned long samples;
	unsigned long skipped;
	unsigned long by_class[ORACLE_CLASSES];
	unsigned long root;
	unsigned long guessed;
	unsigned long guessed_root;
	unsigned long their_root; /* libunwind ended where we end at the root */
	unsigned long frames;
	unsigned long blocked, blocked_same, blocked_guessed, blocked_root;
	struct cause causes[MAX_CAUSES];
	unsigned cause_count;
	uint32_t times[MAX_TIMES];
	unsigned time_count;
	uint32_t guess_times[MAX_TIMES]; /* of those, the walks that guessed */
	unsigned guess_time_count;
} stats;

static unsigned first_difference(const struct oracle_stack *a, const struct oracle_stack *b)
{
	unsigned i = 0;

	while (i < a->count && i < b->count && a->pc[i] == b->pc[i] &&
	       (i + 1 >= a->count || i + 1 >= b->count || a->sp[i] == b->sp[i]))
		i++;
	return i;
}

static unsigned first_guessed(const struct oracle_stack *stack)
{
	unsigned i = 0;

	while (i < stack->count && !stack->guessed[i])
		i++;
	return i;
}

static bool ends_in_no_module(const struct oracle_stack *stack)
{
	uintptr_t pc = stack->count ? stack->pc[stack->count - 1] : 0;
	struct pln_module_set *set = pln_module_set_enter_sigsafe(pc);
	bool found = set && pln_module_set_find_sigsafe(set, pc);

	pln_module_set_leave_sigsafe(pc);
	return stack->count && !found;
}

static enum oracle_class classify(const struct oracle_stack *ours,
				  const struct oracle_stack *theirs, unsigned at)
{
	bool equal = at == ours->count && at == theirs->count;

	if (ours->any_guessed && (at >= first_guessed(ours) || at + 1 == first_guessed(ours)))
		return equal ? ORACLE_GUESSED_SAME : ORACLE_GUESSED_ON;
	if (equal)
		return ORACLE_IDENTICAL;
	if (at == ours->count && ours->end == PLN_WALK_NO_TABLE)
		return ORACLE_NO_TABLE;
	if (at == ours->count && ours->end == PLN_WALK_NO_ROW)
		return ORACLE_NO_ROW;
	if (at == ours->count)
		return ORACLE_SHORTER;
	if (at == theirs->count || at + 1 == theirs->count)
		return ends_in_no_module(theirs) ? ORACLE_ANONYMOUS : ORACLE_LONGER;
	return ORACLE_DIFFERENT;
}

static void note_cause(const struct oracle_stack *ours, const struct oracle_stack *theirs,
		       unsigned at, enum oracle_class class)
{
	struct cause cause = { .pc = ours->pc[at ? at - 1 : 0],
			       .count = 1,
			       .frame = at,
			       .class = class,
			       .end = ours->end,
			       .ours = at < ours->count ? ours->pc[at] : 0,
			       .theirs = at < theirs->count ? theirs->pc[at] : 0 };

	for (unsigned i = 0; i < stats.cause_count; i++) {
		if (stats.causes[i].pc != cause.pc || stats.causes[i].class != class)
			continue;
		stats.causes[i].count++;
		return;
	}
	if (stats.cause_count < MAX_CAUSES)
		stats.causes[stats.cause_count++] = cause;
}

void oracle_judge(const struct oracle_stack *ours, const struct oracle_stack *theirs,
		  uint64_t walk_ns)
{
	unsigned at = first_difference(ours, theirs);
	enum oracle_class class = classify(ours, theirs, at);

	stats.samples++;
	stats.frames += ours->count;
	stats.by_class[class]++;
	stats.root += ours->end == PLN_WALK_ROOT;
	stats.guessed += ours->any_guessed;
	stats.guessed_root += ours->any_guessed && ours->end == PLN_WALK_ROOT;
	stats.their_root += ours->end == PLN_WALK_ROOT && theirs->count &&
			    theirs->pc[theirs->count - 1] == ours->pc[ours->count - 1];
	if (stats.time_count < MAX_TIMES)
		stats.times[stats.time_count++] = (uint32_t)walk_ns;
	if (stats.guess_time_count < MAX_TIMES && ours->any_guessed)
		stats.guess_times[stats.guess_time_count++] = (uint32_t)walk_ns;
	if (class != ORACLE_IDENTICAL && class != ORACLE_GUESSED_SAME)
		note_cause(ours, theirs, at, class);
}

void oracle_judge_blocked(const struct oracle_stack *ours, const struct oracle_stack *blocked)
{
	unsigned at = first_difference(ours, blocked);

	stats.blocked++;
	stats.blocked_same += at == ours->count && at == blocked->count;
	stats.blocked_guessed += blocked->any_guessed;
	stats.blocked_root += blocked->end == PLN_WALK_ROOT;
	if (at != ours->count || at != blocked->count)
		note_cause(blocked, ours, at, ORACLE_CLASSES);
}

void oracle_skip(void)
{
	stats.skipped++;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static int by_count(const void *a, const void *b)
{
	const struct cause *x = a, *y = b;

	return x->count < y->count ? 1 : x->count > y->count ? -1 : 0;
}

static void print_place(FILE *out, const char *key, uint64_t pc)
{
	Dl_info info = { .dli_fname = NULL };
	const char *base;

	if (!pc || !dladdr((void *)pc, &info) || !info.dli_fname) {
		fprintf(out, "\"%s\": \"%#lx\"", key, (unsigned long)pc);
		return;
	}
	base = strrchr(info.dli_fname, '/');
	fprintf(out, "\"%s\": \"%s+%#lx %s\"", key, base ? base + 1 : info.dli_fname,
		(unsigned long)(pc - (uintptr_t)info.dli_fbase),
		info.dli_sname ? info.dli_sname : "");
}

static void print_causes(FILE *out)
{
	qsort(stats.causes, stats.cause_count, sizeof(*stats.causes), by_count);
	fprintf(out, " \"causes\": [");
	for (unsigned i = 0; i < stats.cause_count; i++) {
		const struct cause *cause = &stats.causes[i];

		fprintf(out,
			"%s\n  {\"class\": \"%s\", \"count\": %lu, \"frame\": %u, \"end\": "
			"\"%s\", ",
			i ? "," : "", class_names[cause->class], cause->count, cause->frame,
			end_names[cause->end]);
		print_place(out, "at", cause->pc);
		fputs(", ", out);
		print_place(out, "ours", cause->ours);
		fputs(", ", out);
		print_place(out, "theirs", cause->theirs);
		fputs("}", out);
	}
	fprintf(out, "]\n");
}

static uint32_t quantile(const uint32_t *times, unsigned n, double q)
{
	return n ? times[(unsigned)(q * (n - 1))] : 0;
}

static void print_times(FILE *out, const char *prefix, uint32_t *times, unsigned n)
{
	qsort(times, n, sizeof(*times), by_value);
	fprintf(out, " \"%smedian_ns\": %u, \"%sp99_ns\": %u, \"%smax_ns\": %u,\n", prefix,
		quantile(times, n, 0.5), prefix, quantile(times, n, 0.99), prefix,
		quantile(times, n, 1));
}

void oracle_report(const char *path)
{
	FILE *out = fopen(path, "we");

	if (!out)
		return;
	fprintf(out, "{\"samples\": %lu, \"skipped\": %lu, \"frames\": %lu,\n", stats.samples,
		stats.skipped, stats.frames);
	for (unsigned i = 0; i < ORACLE_CLASSES; i++)
		fprintf(out, " \"%s\": %lu,", class_names[i], stats.by_class[i]);
	fprintf(out,
		"\n \"root\": %lu, \"guessed\": %lu, \"guessed_root\": %lu, \"their_root\": %lu,\n",
		stats.root, stats.guessed, stats.guessed_root, stats.their_root);
	fprintf(out,
		" \"blocked\": %lu, \"blocked_same\": %lu, \"blocked_guessed\": %lu, "
		"\"blocked_root\": %lu,\n",
		stats.blocked, stats.blocked_same, stats.blocked_guessed, stats.blocked_root);
	print_times(out, "", stats.times, stats.time_count);
	print_times(out, "guess_", stats.guess_times, stats.guess_time_count);
	fprintf(out, " \"table_bytes\": %zu,\n", pln_native_table_bytes());
	print_causes(out);
	fprintf(out, "}\n");
	fclose(out);
}
