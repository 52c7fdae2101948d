/* SPDX-License-Identifier: MIT */
/*
 * native.c - what each instruction of a native function costs.
 *
 * In four steps: the frames that are in the function, by the place in the code that they
 * are in; every stack walked, and its weight added to the spots on it; the code of each
 * place decoded; the spots laid over the instructions. A place that cannot be decoded has
 * its spots for instructions.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "annotate/annotate.h"
#include "annotate/code.h"
#include "report/names.h"
#include "symbols/symbols.h"

#define INLINED_MAX 64u

/* An address that samples have, one byte into the call for a frame that calls. */
struct spot {
	uint32_t place;
	uint32_t location; /* of the profile: where the sources are not here */
	uint64_t address;
	struct pln_amount self, below;
};

/* What tells spots apart. */
struct spot_key {
	uint64_t address;
	uint64_t place;
};

/* What tells places apart: the module for one without a known start. */
struct place_key {
	const void *file;
	uint64_t start;
};

struct build {
	struct pln_native_code *code;
	const struct pln_report *report;
	const struct pln_profile *profile;
	struct pln_symbol_file **files; /* by place */
	struct pln_intern *place_keys;
	struct pln_intern *spot_keys;
	struct spot *spots;
	uint32_t *frame_spot; /* by frame; PLN_NONE: not in the function */
	bool *stack_leads; /* by stack: the function is on it */
	uint64_t *spot_seen, *place_seen; /* the newest stack that it was on */
	struct pln_intern *source_keys;
};

/* -------------------------------------------------------------- places, spots */

static bool is_in_function(const struct build *b, uint32_t frame, uint32_t *location)
{
	const struct pln_profile *p = b->profile;

	if (p->frames[frame].kind != PLN_FRAME_NATIVE)
		return false;
	for (uint32_t i = p->frame_first_location[frame]; i < p->frame_first_location[frame + 1];
	     i++) {
		*location = i;
		if (p->locations[i].function == b->code->function)
			return true;
	}
	return false;
}

static struct pln_symbol_file *open_file(struct build *b, const struct pln_module_info *module)
{
	struct pln_symbol_file *file = NULL;

	if (!module || !b->code->symbolizer ||
	    pln_symbolizer_file(b->code->symbolizer, NULL, module->path, module->build_id,
				module->build_id_size, &file))
		return NULL;
	return file;
}

static int add_place(struct build *b, uint32_t frame, struct pln_symbol_file *file, uint64_t start,
		     uint64_t end)
{
	struct pln_native_code *code = b->code;
	const struct pln_profile *p = b->profile;
	const struct pln_frame *f = &p->frames[frame];
	size_t count = code->place_count + 1;
	uint32_t outermost = p->locations[p->frame_first_location[frame + 1] - 1].function;
	void *places = realloc(code->places, count * sizeof(*code->places));
	void *files;

	if (!places)
		return -ENOMEM;
	code->places = places;
	files = realloc(b->files, count * sizeof(*b->files));
	if (!files)
		return -ENOMEM;
	b->files = files;
	b->files[code->place_count] = file;
	code->places[code->place_count++] = (struct pln_code_place){
		.module = f->module < p->module_count ? &p->modules[f->module] : NULL,
		.name = p->functions[outermost].name,
		.inlined = outermost != code->function,
		.start = start,
		.end = end,
	};
	return 0;
}

/* The place that a frame is in, added when it is new; PLN_NONE: out of memory. */
static uint32_t place_of(struct build *b, uint32_t frame, uint64_t address)
{
	const struct pln_profile *p = b->profile;
	uint32_t module = p->frames[frame].module;
	const struct pln_module_info *m = module < p->module_count ? &p->modules[module] : NULL;
	struct pln_symbol_file *file = open_file(b, m);
	struct place_key key = { .file = file ? (const void *)file : (const void *)m };
	uint64_t start = 0, end = 0;
	bool is_new;
	uint32_t id;

	if (file)
		pln_symbolizer_function_range(b->code->symbolizer, file, address, &start, &end);
	key.start = start;
	id = pln_intern_add(b->place_keys, &key, sizeof(key), &is_new);
	if (id == PLN_NONE || (is_new && add_place(b, frame, file, start, end)))
		return PLN_NONE;
	return id;
}

static int add_frame(struct build *b, uint32_t frame, uint32_t location)
{
	const struct pln_frame *f = &b->profile->frames[frame];
	struct spot_key key = { .address = f->address - !f->is_leaf };
	uint32_t place = place_of(b, frame, key.address), id;
	bool is_new;
	void *more;

	if (place == PLN_NONE)
		return -ENOMEM;
	key.place = place;
	id = pln_intern_add(b->spot_keys, &key, sizeof(key), &is_new);
	if (id == PLN_NONE)
		return -ENOMEM;
	b->frame_spot[frame] = id;
	if (!is_new)
		return 0;
	more = realloc(b->spots, (id + 1) * sizeof(*b->spots));
	if (!more)
		return -ENOMEM;
	b->spots = more;
	b->spots[id] = (struct spot){
		.place = place,
		.location = location,
		.address = key.address,
	};
	return 0;
}

static int find_spots(struct build *b)
{
	const struct pln_profile *p = b->profile;
	int err = 0;

	b->frame_spot = malloc((p->frame_count + 1) * sizeof(*b->frame_spot));
	if (!b->frame_spot)
		return -ENOMEM;
	for (uint32_t f = 0; f < p->frame_count && !err; f++) {
		uint32_t location;

		b->frame_spot[f] = PLN_NONE;
		if (is_in_function(b, f, &location))
			err = add_frame(b, f, location);
	}
	return err;
}

/* ---------------------------------------------------------------------- stacks */

/* Most stacks have nothing of one function: a parent has a lower id, so one pass tells. */
static int find_stacks(struct build *b)
{
	const struct pln_profile *p = b->profile;

	b->stack_leads = malloc((p->stack_count + 1) * sizeof(*b->stack_leads));
	if (!b->stack_leads)
		return -ENOMEM;
	for (size_t n = 0; n < p->stack_count; n++) {
		uint32_t parent = p->stacks[n].parent;

		b->stack_leads[n] = b->frame_spot[p->stacks[n].frame] != PLN_NONE ||
				    (parent != PLN_NONE && b->stack_leads[parent]);
	}
	return 0;
}

static void add_stack(struct build *b, const struct pln_part *part, uint64_t stamp)
{
	const struct pln_profile *p = b->profile;

	for (uint32_t n = part->stack; n != PLN_NONE; n = p->stacks[n].parent) {
		uint32_t id = b->frame_spot[p->stacks[n].frame];
		struct pln_code_place *place;
		bool innermost = n == part->stack;

		if (id == PLN_NONE)
			continue;
		place = &b->code->places[b->spots[id].place];
		if (innermost) {
			pln_amount_add(&b->spots[id].self, &part->amount);
			pln_amount_add(&place->self, &part->amount);
		} else if (b->spot_seen[id] != stamp) {
			pln_amount_add(&b->spots[id].below, &part->amount);
		}
		if (b->place_seen[b->spots[id].place] != stamp)
			pln_amount_add(&place->total, &part->amount);
		b->spot_seen[id] = stamp;
		b->place_seen[b->spots[id].place] = stamp;
	}
}

static int add_stacks(struct build *b)
{
	enum pln_view view = b->report->options.view;
	size_t count = pln_part_count(&b->report->aggregate, view);

	b->spot_seen = calloc(pln_intern_count(b->spot_keys) + 1, sizeof(*b->spot_seen));
	b->place_seen = calloc(b->code->place_count + 1, sizeof(*b->place_seen));
	if (!b->spot_seen || !b->place_seen)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct pln_part part = pln_part_at(&b->report->aggregate, view, i);

		if (part.stack != PLN_NONE && part.amount.weight && b->stack_leads[part.stack])
			add_stack(b, &part, i + 1);
	}
	return 0;
}

/* ---------------------------------------------------------------- instructions */

static uint32_t source_id(struct build *b, const char *file)
{
	struct pln_native_code *code = b->code;
	bool is_new;
	uint32_t id = pln_intern_add(b->source_keys, file, strlen(file) + 1, &is_new);
	void *more;

	if (id == PLN_NONE || !is_new)
		return id == PLN_NONE ? 0 : id;
	more = realloc(code->sources, (id + 1) * sizeof(*code->sources));
	if (!more)
		return 0;
	code->sources = more;
	code->sources[id] = pln_code_text(code->texts, file);
	if (!code->sources[id])
		code->sources[id] = "";
	code->source_count = id + 1;
	return id;
}

/* The line of the function itself where it has one there, else the innermost. */
static void find_line(struct build *b, struct pln_symbol_file *file, struct pln_instruction *i)
{
	const char *name = b->profile->functions[b->code->function].name;
	struct pln_symbol symbols[INLINED_MAX];
	const struct pln_symbol *shown = symbols;
	unsigned count = file ? pln_symbolizer_lookup(b->code->symbolizer, file, i->address,
						      symbols, INLINED_MAX)
			      : 0;

	if (!count)
		return;
	for (unsigned s = 0; s < count; s++) {
		if (!strcmp(symbols[s].name, name))
			shown = &symbols[s];
	}
	i->source = source_id(b, shown->file);
	i->line = shown->line;
}

static int compare_spots(const void *pa, const void *pb)
{
	const struct spot *a = pa, *b = pb;

	if (a->place != b->place)
		return a->place < b->place ? -1 : 1;
	return a->address < b->address ? -1 : a->address > b->address;
}

/* Adds spots [first, end), by address, to the instructions that they lie in. */
static void lay_over(struct build *b, struct pln_code_place *place, size_t first, size_t end)
{
	size_t at = 0;

	for (size_t s = first; s < end; s++) {
		const struct spot *spot = &b->spots[s];

		while (at + 1 < place->count &&
		       place->instructions[at + 1].address <= spot->address)
			at++;
		pln_amount_add(&place->instructions[at].self, &spot->self);
		pln_amount_add(&place->instructions[at].below, &spot->below);
	}
}

/* Of code that could not be decoded, the profile knows the lines. */
static int show_spots(struct build *b, struct pln_code_place *place, size_t first, size_t end)
{
	const struct pln_profile *p = b->profile;

	free(place->instructions);
	place->count = 0;
	place->instructions = calloc(end - first + 1, sizeof(*place->instructions));
	if (!place->instructions)
		return -ENOMEM;
	for (size_t s = first; s < end; s++) {
		const struct pln_location *at = &p->locations[b->spots[s].location];

		place->instructions[place->count++] = (struct pln_instruction){
			.address = b->spots[s].address,
			.source = source_id(b, p->functions[at->function].file),
			.line = at->line,
			.self = b->spots[s].self,
			.below = b->spots[s].below,
		};
	}
	return 0;
}

static int fill_place(struct build *b, uint32_t id, enum pln_syntax syntax, size_t first,
		      size_t end)
{
	struct pln_code_place *place = &b->code->places[id];
	struct pln_symbol_file *file = b->files[id];
	int err = pln_code_decode(place, syntax, b->code->texts, b->code->symbolizer, file);

	if (err == -ENOMEM)
		return err;
	if (err || !place->count) {
		place->problem = pln_code_error_text(err ? err : -ENODATA);
		return show_spots(b, place, first, end);
	}
	for (size_t i = 0; i < place->count; i++)
		find_line(b, file, &place->instructions[i]);
	lay_over(b, place, first, end);
	return 0;
}

static int fill_places(struct build *b, enum pln_syntax syntax)
{
	size_t count = pln_intern_count(b->spot_keys), first = 0;
	int err = 0;

	if (count)
		qsort(b->spots, count, sizeof(*b->spots), compare_spots);
	for (size_t s = 0; s < count && !err; s++) {
		uint32_t place = b->spots[s].place;

		if (s + 1 < count && b->spots[s + 1].place == place)
			continue;
		if (b->code->places[place].total.weight)
			err = fill_place(b, place, syntax, first, s + 1);
		first = s + 1;
	}
	return err;
}

static int heavier_first(const void *pa, const void *pb)
{
	const struct pln_code_place *a = pa, *b = pb;

	if (a->total.weight != b->total.weight)
		return a->total.weight < b->total.weight ? 1 : -1;
	return a->start < b->start ? -1 : a->start > b->start;
}

/* Places that no stack with any weight leads to are left out. */
static void order_places(struct pln_native_code *code)
{
	if (code->place_count)
		qsort(code->places, code->place_count, sizeof(*code->places), heavier_first);
	while (code->place_count && !code->places[code->place_count - 1].total.weight)
		free(code->places[--code->place_count].instructions);
}

/* ------------------------------------------------------------------- the whole */

int pln_native_code_build(struct pln_native_code *code, const struct pln_report *report,
			  uint32_t function, enum pln_syntax syntax,
			  struct pln_symbolizer *symbolizer)
{
	struct build b = { .code = code, .report = report, .profile = report->profile };
	int err = -ENOMEM;

	memset(code, 0, sizeof(*code));
	code->function = function;
	code->texts = pln_intern_new();
	code->owns_symbolizer = !symbolizer;
	code->symbolizer = symbolizer ? symbolizer : pln_symbolizer_new(NULL);
	b.place_keys = pln_intern_new();
	b.spot_keys = pln_intern_new();
	b.source_keys = pln_intern_new();
	if (!code->texts || !code->symbolizer || !b.place_keys || !b.spot_keys || !b.source_keys)
		goto out;
	source_id(&b, "");
	if (!code->source_count)
		goto out;
	err = find_spots(&b);
	if (!err)
		err = find_stacks(&b);
	if (!err)
		err = add_stacks(&b);
	if (!err)
		err = fill_places(&b, syntax);
	order_places(code);
out:
	pln_intern_free(b.place_keys);
	pln_intern_free(b.spot_keys);
	pln_intern_free(b.source_keys);
	free(b.files);
	free(b.spots);
	free(b.frame_spot);
	free(b.stack_leads);
	free(b.spot_seen);
	free(b.place_seen);
	return err;
}

void pln_native_code_free(struct pln_native_code *code)
{
	for (size_t i = 0; i < code->place_count; i++)
		free(code->places[i].instructions);
	free(code->places);
	free(code->sources);
	if (code->owns_symbolizer)
		pln_symbolizer_free(code->symbolizer);
	pln_intern_free(code->texts);
	memset(code, 0, sizeof(*code));
}
