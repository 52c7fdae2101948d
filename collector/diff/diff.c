/* SPDX-License-Identifier: MIT */
/*
 * diff.c - see diff.h.
 */
#include "diff/diff.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "profile/codec.h"
#include "report/names.h"
#include "stacks/intern.h"

/* With fewer samples on both sides together, no difference is beyond noise. */
#define LEAST_SAMPLES 10u
/* Changes of the total that differ by less than one in so many of the largest are alike. */
#define ALIKE_SHARE 20

/* A table being filled. */
struct build {
	struct pln_diff *diff;
	struct pln_diff_table *table;
	struct pln_intern *keys;
	struct pln_buffer key;
	bool by_line;
	uint32_t *location_row; /* by location of the side at hand */
	uint64_t *seen_at; /* by row: the newest stack that it was on */
	uint32_t *depths; /* by stack node of the side at hand: how many nodes are above it */
	uint64_t stamp;
};

/* ------------------------------------------------------------------------ rows */

static void put_function(struct build *b, const struct pln_profile *p, uint32_t id)
{
	const struct pln_function *f = &p->functions[id];
	char library[128];

	if (f->kind == PLN_FUNCTION_PYTHON) {
		pln_put_string(&b->key, f->name);
		pln_put_string(&b->key, pln_short_file(f->file, p->recording.working_directory));
		return;
	}
	pln_put_string(&b->key, f->unknown ? "" : f->name);
	pln_put_string(&b->key,
		       *f->module ? pln_short_library(f->module, library, sizeof(library)) : "");
}

static void put_line(struct build *b, const struct pln_function *f, uint32_t line)
{
	bool counted = f->first_line && line >= f->first_line;

	pln_put_byte(&b->key, counted);
	pln_put_varint(&b->key, counted ? line - f->first_line : line);
}

/* Grown whenever the count is a power of two. */
static bool add_row(struct pln_diff_table *table)
{
	size_t count = table->count;

	if (!(count & (count - 1))) {
		size_t capacity = count ? 2 * count : 1;
		void *rows = realloc(table->rows, capacity * sizeof(*table->rows));

		if (!rows)
			return false;
		table->rows = rows;
	}
	table->rows[count] = (struct pln_diff_row){
		.function = { PLN_NONE, PLN_NONE },
		.met = (uint32_t)count,
		.depth = UINT32_MAX,
	};
	table->count++;
	return true;
}

/* The row of a function at a line, added when it is new; PLN_NONE: out of memory. */
static uint32_t row_of(struct build *b, unsigned side, uint32_t function, uint32_t line)
{
	const struct pln_profile *p = b->diff->side[side]->profile;
	bool has_stack = function < p->function_count, is_new;
	const struct pln_function *f = has_stack ? &p->functions[function] : NULL;
	struct pln_diff_row *row;
	uint32_t id;

	pln_buffer_clear(&b->key);
	pln_put_byte(&b->key, f ? 1 + f->kind : 0);
	if (f)
		put_function(b, p, function);
	if (f && b->by_line)
		put_line(b, f, line);
	id = b->key.failed ? PLN_NONE : pln_intern_add(b->keys, b->key.data, b->key.size, &is_new);
	if (id == PLN_NONE)
		return PLN_NONE;
	if (is_new) {
		if (!add_row(b->table))
			return PLN_NONE;
		b->table->rows[id].unnamed = f && f->unknown;
		b->table->rows[id].python = f && f->kind == PLN_FUNCTION_PYTHON;
		b->table->rows[id].program =
			b->table->rows[id].python && !pln_is_library_file(f->file);
	}
	row = &b->table->rows[id];
	if (!b->by_line)
		b->diff->function_row[side][function] = id;
	if (row->function[side] == PLN_NONE) {
		row->function[side] = function;
		row->line[side] = b->by_line ? line : 0;
	}
	return id;
}

/* The table of functions tells which row a function has got. */
static int expect_functions(struct build *b, unsigned side)
{
	size_t size = (b->diff->side[side]->profile->function_count + 1) * sizeof(uint32_t);

	b->diff->function_row[side] = malloc(size);
	if (!b->diff->function_row[side])
		return -ENOMEM;
	memset(b->diff->function_row[side], 0xff, size);
	return 0;
}

static int find_rows(struct build *b, unsigned side)
{
	const struct pln_profile *p = b->diff->side[side]->profile;

	b->location_row = malloc((p->location_count + 1) * sizeof(*b->location_row));
	if (!b->location_row || (!b->by_line && expect_functions(b, side)))
		return -ENOMEM;
	for (size_t i = 0; i < p->location_count; i++) {
		b->location_row[i] =
			row_of(b, side, p->locations[i].function, p->locations[i].line);
		if (b->location_row[i] == PLN_NONE)
			return -ENOMEM;
	}
	/* The last one is time without a stack. */
	b->location_row[p->location_count] = row_of(b, side, (uint32_t)p->function_count, 0);
	return b->location_row[p->location_count] == PLN_NONE ? -ENOMEM : 0;
}

/* --------------------------------------------------------------------- amounts */

/* What was met on the way from a stack's innermost frame. */
struct met {
	bool any, python, program;
};

/* Time is the own of the nearest Python code, and of the nearest that is the program's. */
static bool is_own(const struct pln_diff_row *row, const struct met *met)
{
	return row->python && (!met->python || (row->program && !met->program));
}

static void add_location(struct build *b, unsigned side, uint32_t location,
			 const struct pln_amount *amount, struct met *met)
{
	uint32_t id = b->location_row[location];
	struct pln_diff_row *row = &b->table->rows[id];

	if (!met->any)
		pln_amount_add(&row->self_amount[side], amount);
	if (is_own(row, met))
		pln_amount_add(&row->own_amount[side], amount);
	met->any = true;
	met->python |= row->python;
	met->program |= row->program;
	if (b->seen_at[id] == b->stamp)
		return;
	b->seen_at[id] = b->stamp;
	pln_amount_add(&row->total_amount[side], amount);
}

static void add_part(struct build *b, unsigned side, const struct pln_part *part)
{
	const struct pln_profile *p = b->diff->side[side]->profile;
	struct met met = { .any = false };

	b->stamp++;
	if (part->stack == PLN_NONE)
		add_location(b, side, (uint32_t)p->location_count, &part->amount, &met);
	for (uint32_t n = part->stack; n != PLN_NONE; n = p->stacks[n].parent) {
		uint32_t frame = p->stacks[n].frame;

		for (uint32_t i = p->frame_first_location[frame];
		     i < p->frame_first_location[frame + 1]; i++) {
			uint32_t *depth = &b->table->rows[b->location_row[i]].depth;

			add_location(b, side, i, &part->amount, &met);
			*depth = b->depths[n] < *depth ? b->depths[n] : *depth;
		}
	}
}

/* A parent has a lower id than its children. */
static uint32_t *find_depths(const struct pln_profile *p)
{
	uint32_t *depths = malloc((p->stack_count + 1) * sizeof(*depths));

	for (uint32_t n = 0; depths && n < p->stack_count; n++) {
		uint32_t parent = p->stacks[n].parent;

		depths[n] = parent == PLN_NONE ? 0 : depths[parent] + 1;
	}
	return depths;
}

static int add_side(struct build *b, unsigned side)
{
	const struct pln_report *r = b->diff->side[side];
	size_t count = pln_part_count(&r->aggregate, r->options.view);
	int err = find_rows(b, side);

	b->seen_at = err ? NULL : calloc(b->table->count, sizeof(*b->seen_at));
	b->depths = err ? NULL : find_depths(r->profile);
	if (!err && (!b->seen_at || !b->depths))
		err = -ENOMEM;
	b->stamp = 0;
	for (size_t i = 0; !err && i < count; i++) {
		struct pln_part part = pln_part_at(&r->aggregate, r->options.view, i);

		if (part.amount.weight)
			add_part(b, side, &part);
	}
	free(b->location_row);
	free(b->seen_at);
	free(b->depths);
	return err;
}

/* --------------------------------------------------------------------- changes */

static bool is_compared(const struct pln_amount *amount)
{
	return amount[PLN_DIFF_A].samples + amount[PLN_DIFF_B].samples >= LEAST_SAMPLES;
}

static struct pln_change change_of(const struct pln_diff *diff, const struct pln_amount *amount,
				   double limit)
{
	bool absolute = diff->options.absolute;
	struct pln_change change;

	for (unsigned side = 0; side < PLN_DIFF_SIDES; side++) {
		double whole = absolute ? 1 : diff->whole[side].weight;

		change.side[side] = whole > 0 ? (double)amount[side].weight / whole : 0;
	}
	change.noise = limit * sqrt(pln_noise_of_change(diff->whole, amount, absolute));
	return change;
}

enum rank {
	RANK_SELF = 0, /* beyond noise by itself */
	RANK_OWN, /* Python that is, with what it called of native code or of libraries */
	RANK_CALLER, /* Python that leads to such */
	RANK_NATIVE_CALLER, /* the same of native code: many functions that every program has */
	RANK_NOISE,
};

/* Where to look first. */
static enum rank rank_of(const struct pln_diff_row *row)
{
	if (pln_change_is_real(&row->self))
		return RANK_SELF;
	if (!pln_change_is_real(&row->total))
		return RANK_NOISE;
	if (!row->python)
		return RANK_NATIVE_CALLER;
	return pln_change_is_real(&row->own) ? RANK_OWN : RANK_CALLER;
}

static int compare_sizes(const struct pln_change *a, const struct pln_change *b)
{
	double ca = fabs(pln_change_of(a)), cb = fabs(pln_change_of(b));

	return ca > cb ? -1 : ca < cb;
}

/* Callers in a chain have nearly the same change: the innermost is the nearest to its cause. */
static int compare_callers(const struct pln_diff_row *a, const struct pln_diff_row *b,
			   double largest)
{
	double alike = largest / ALIKE_SHARE;
	double ca = round(fabs(pln_change_of(&a->total)) / alike);
	double cb = round(fabs(pln_change_of(&b->total)) / alike);

	if (ca != cb)
		return ca > cb ? -1 : 1;
	return a->depth > b->depth ? -1 : a->depth < b->depth;
}

/* `largest`: double *, the largest change of a total. */
static int by_change(const void *pa, const void *pb, void *largest)
{
	const struct pln_diff_row *a = pa, *b = pb;
	enum rank rank = rank_of(a);
	int order = 0;

	if (rank != rank_of(b))
		return rank < rank_of(b) ? -1 : 1;
	if (rank == RANK_CALLER)
		order = compare_callers(a, b, *(const double *)largest);
	else if (rank == RANK_OWN)
		order = compare_sizes(&a->own, &b->own);
	else
		order = compare_sizes(&a->self, &b->self);
	order = order ? order : compare_sizes(&a->total, &b->total);
	if (order)
		return order;
	return a->function[PLN_DIFF_B] < b->function[PLN_DIFF_B]
		       ? -1
		       : a->function[PLN_DIFF_B] > b->function[PLN_DIFF_B];
}

/* Leaves out what neither side has any weight of, which symbols alone brought in. */
static void find_changes(struct pln_diff *diff, struct pln_diff_table *table)
{
	double largest = 0;
	size_t kept = 0;

	for (size_t i = 0; i < table->count; i++) {
		const struct pln_diff_row *row = &table->rows[i];

		if (!row->total_amount[PLN_DIFF_A].weight && !row->total_amount[PLN_DIFF_B].weight)
			continue;
		table->comparisons +=
			is_compared(row->self_amount) + is_compared(row->total_amount);
		table->rows[kept++] = *row;
	}
	table->count = kept;
	table->limit = pln_noise_limit(table->comparisons);
	for (size_t i = 0; i < kept; i++) {
		struct pln_diff_row *row = &table->rows[i];

		row->self = change_of(diff, row->self_amount, table->limit);
		row->total = change_of(diff, row->total_amount, table->limit);
		row->own = change_of(diff, row->own_amount, table->limit);
		largest = fmax(largest, fabs(pln_change_of(&row->total)));
	}
	if (kept)
		qsort_r(table->rows, kept, sizeof(*table->rows), by_change, &largest);
}

/* Rows were left out and moved since they were met. */
static int follow_rows(struct pln_diff *diff, size_t met)
{
	const struct pln_diff_table *table = &diff->functions;
	uint32_t *now = malloc((met + 1) * sizeof(*now));

	if (!now)
		return -ENOMEM;
	memset(now, 0xff, (met + 1) * sizeof(*now));
	for (size_t i = 0; i < table->count; i++)
		now[table->rows[i].met] = (uint32_t)i;
	for (unsigned side = 0; side < PLN_DIFF_SIDES; side++) {
		uint32_t *rows = diff->function_row[side];

		for (size_t f = 0; f <= diff->side[side]->profile->function_count; f++)
			rows[f] = rows[f] == PLN_NONE ? PLN_NONE : now[rows[f]];
	}
	free(now);
	return 0;
}

static int build_table(struct pln_diff *diff, struct pln_diff_table *table, bool by_line)
{
	struct build b = { .diff = diff, .table = table, .by_line = by_line };
	size_t met = 0;
	int err = -ENOMEM;

	b.keys = pln_intern_new();
	if (b.keys)
		err = add_side(&b, PLN_DIFF_A);
	if (!err)
		err = add_side(&b, PLN_DIFF_B);
	if (!err) {
		met = table->count;
		find_changes(diff, table);
	}
	if (!err && !by_line)
		err = follow_rows(diff, met);
	pln_intern_free(b.keys);
	pln_buffer_free(&b.key);
	return err;
}

/* ------------------------------------------------------------------- the whole */

bool pln_change_fails(const struct pln_diff *diff, const struct pln_change *change)
{
	double whole = diff->options.absolute ? diff->whole[PLN_DIFF_A].weight : 1;

	return diff->options.fails &&
	       pln_change_of(change) - change->noise > diff->options.fail_on * whole;
}

static void judge(struct pln_diff *diff)
{
	for (size_t i = 0; i < diff->functions.count; i++) {
		const struct pln_diff_row *row = &diff->functions.rows[i];
		const struct pln_change *told =
			pln_change_is_real(&row->self) ? &row->self : &row->total;

		diff->failed +=
			pln_change_fails(diff, &row->self) || pln_change_fails(diff, &row->total);
		if (!pln_change_is_real(told))
			continue;
		*(pln_change_of(told) > 0 ? &diff->grew : &diff->shrank) += 1;
	}
	diff->whole_failed = diff->options.absolute && pln_change_fails(diff, &diff->all);
}

/* One comparison, of what clocks (or all samples) tell. */
static void compare_wholes(struct pln_diff *diff)
{
	double variance = 0;

	for (unsigned side = 0; side < PLN_DIFF_SIDES; side++) {
		const struct pln_report *r = diff->side[side];

		diff->whole[side] = pln_noise_whole(
			&r->totals.all, pln_view_is_heap(r->options.view), r->summary.all.threads);
		diff->all.side[side] = diff->whole[side].weight;
		variance += diff->whole[side].own_variance;
	}
	diff->all.noise = pln_noise_limit(1) * sqrt(variance);
}

int pln_diff_build(struct pln_diff *diff, const struct pln_report *a, const struct pln_report *b,
		   const struct pln_diff_options *options)
{
	int err;

	memset(diff, 0, sizeof(*diff));
	diff->side[PLN_DIFF_A] = a;
	diff->side[PLN_DIFF_B] = b;
	diff->options = *options;
	compare_wholes(diff);
	err = build_table(diff, &diff->functions, false);
	if (!err)
		err = build_table(diff, &diff->lines, true);
	if (!err)
		judge(diff);
	return err;
}

void pln_diff_free(struct pln_diff *diff)
{
	free(diff->functions.rows);
	free(diff->lines.rows);
	for (unsigned side = 0; side < PLN_DIFF_SIDES; side++)
		free(diff->function_row[side]);
	memset(diff, 0, sizeof(*diff));
}

const char *pln_diff_name(const struct pln_diff *diff, const struct pln_diff_row *row, char *buffer,
			  size_t size)
{
	unsigned side = pln_diff_shown_side(row);
	const struct pln_profile *p = diff->side[side]->profile;
	char library[128];

	if (!row->unnamed)
		return pln_short_function_name(p, row->function[side], buffer, size);
	pln_short_library(p->functions[row->function[side]].module, library, sizeof(library));
	snprintf(buffer, size, "(%s without symbols)", *library ? library : "code");
	return buffer;
}
