/* SPDX-License-Identifier: MIT */
/*
 * instructions.c - see instructions.h.
 *
 * The JSON is a list of functions, each with its id in the page, its source files, and its
 * places as `pillion annotate --json` has them, but for the instructions. Of these there are the
 * ones around those with samples, as arrays: address, text, target, index of the source file, line
 * and, where there is any, nanoseconds and samples of its own, then of what is below. A number
 * instead of an array stands for as many that are left out.
 */
#include "html/instructions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "annotate/annotate.h"
#include "symbols/symbols.h"

#define CONTEXT 8u /* instructions before and behind one that has samples */

static bool has_any(const struct pln_instruction *i)
{
	return i->self.weight || i->below.weight;
}

static bool is_shown(const struct pln_code_place *place, size_t index)
{
	size_t first = index > CONTEXT ? index - CONTEXT : 0;

	for (size_t i = first; i < place->count && i <= index + CONTEXT; i++) {
		if (has_any(&place->instructions[i]))
			return true;
	}
	return false;
}

/* ------------------------------------------------------------------------ JSON */

static void put_amount(struct pln_json *json, const struct pln_amount *amount)
{
	pln_json_number(json, NULL, amount->weight);
	pln_json_number(json, NULL, amount->samples);
}

static void put_instruction(struct pln_json *json, const struct pln_instruction *i)
{
	pln_json_array(json, NULL);
	pln_json_number(json, NULL, i->address);
	pln_json_text(json, NULL, i->text);
	pln_json_text(json, NULL, i->target);
	pln_json_number(json, NULL, i->source);
	pln_json_number(json, NULL, i->line);
	if (has_any(i)) {
		put_amount(json, &i->self);
		put_amount(json, &i->below);
	}
	pln_json_array_end(json);
}

static void put_instructions(struct pln_json *json, const struct pln_code_place *place)
{
	size_t hidden = 0;

	pln_json_array(json, "instructions");
	for (size_t i = 0; i < place->count; i++) {
		if (!is_shown(place, i)) {
			hidden++;
			continue;
		}
		if (hidden)
			pln_json_number(json, NULL, hidden);
		hidden = 0;
		put_instruction(json, &place->instructions[i]);
	}
	if (hidden)
		pln_json_number(json, NULL, hidden);
	pln_json_array_end(json);
}

static void put_place(struct pln_json *json, const struct pln_code_place *place)
{
	pln_json_object(json, NULL);
	pln_json_text(json, "name", place->name);
	pln_json_bool(json, "inlined", place->inlined);
	pln_json_text(json, "library_path", place->module ? place->module->path : NULL);
	pln_json_number(json, "start", place->start);
	pln_json_number(json, "end", place->end);
	pln_json_text(json, "problem", place->problem);
	pln_json_number(json, "self_ns", place->self.weight);
	pln_json_number(json, "total_ns", place->total.weight);
	put_instructions(json, place);
	pln_json_object_end(json);
}

static void put_code(struct pln_json *json, const struct pln_native_code *code, uint32_t page_id)
{
	pln_json_object(json, NULL);
	pln_json_number(json, "fn", page_id);
	pln_json_array(json, "sources");
	for (size_t i = 0; i < code->source_count; i++)
		pln_json_text(json, NULL, code->sources[i]);
	pln_json_array_end(json);
	pln_json_array(json, "places");
	for (size_t i = 0; i < code->place_count; i++)
		put_place(json, &code->places[i]);
	pln_json_array_end(json);
	pln_json_object_end(json);
}

/* ---------------------------------------------------------------------- choice */

struct candidate {
	uint32_t function;
	uint64_t weight;
};

static int heavier_first(const void *pa, const void *pb)
{
	const struct candidate *a = pa, *b = pb;

	if (a->weight != b->weight)
		return a->weight < b->weight ? 1 : -1;
	return a->function < b->function ? -1 : a->function > b->function;
}

/* Native functions of the page with time of their own; malloc()ed, NULL: out of memory. */
static struct candidate *choose(const struct pln_report *report, const uint32_t *page_function,
				size_t *count)
{
	const struct pln_profile *p = report->profile;
	struct candidate *found = malloc((p->function_count + 1) * sizeof(*found));

	*count = 0;
	for (uint32_t f = 0; found && f < p->function_count; f++) {
		uint64_t weight = report->totals.functions[f].self.weight;

		if (p->functions[f].kind == PLN_FUNCTION_NATIVE && weight &&
		    page_function[f] != PLN_NONE)
			found[(*count)++] = (struct candidate){ f, weight };
	}
	if (found)
		qsort(found, *count, sizeof(*found), heavier_first);
	return found;
}

struct output {
	struct pln_html_instructions *to;
	const struct pln_report *report;
	const uint32_t *page_function;
	struct pln_symbolizer *symbolizer;
	struct pln_json json;
};

static int write_one(struct output *o, uint32_t function)
{
	struct pln_native_code code;
	int err = pln_native_code_build(&code, o->report, function, PLN_SYNTAX_ATT, o->symbolizer);

	if (!err)
		put_code(&o->json, &code, o->page_function[function]);
	pln_native_code_free(&code);
	return err;
}

static int write_all(struct output *o, const struct candidate *chosen, size_t count)
{
	size_t most = count < PLN_HTML_CODE_FUNCTIONS ? count : PLN_HTML_CODE_FUNCTIONS, n = 0;
	uint64_t all = o->report->totals.all.weight;
	int err = 0;

	pln_json_array(&o->json, NULL);
	while (!err && n < most && ftello(o->json.out) < (off_t)PLN_HTML_CODE_BYTES)
		err = write_one(o, chosen[n++].function);
	pln_json_array_end(&o->json);
	o->to->functions = n;
	o->to->left_out = count - n;
	if (n < count && all)
		o->to->share = (double)chosen[n].weight / (double)all;
	return err;
}

int pln_html_instructions_read(struct pln_html_instructions *instructions,
			       const struct pln_report *report, const uint32_t *page_function)
{
	struct output o = { .to = instructions, .report = report, .page_function = page_function };
	struct candidate *chosen;
	size_t count;
	int err = -ENOMEM;

	memset(instructions, 0, sizeof(*instructions));
	if (pln_disassembler_missing())
		return 0;
	chosen = choose(report, page_function, &count);
	o.symbolizer = pln_symbolizer_new(NULL);
	o.json.out = open_memstream(&instructions->json, &instructions->size);
	if (chosen && o.symbolizer && o.json.out)
		err = write_all(&o, chosen, count);
	if (o.json.out && fclose(o.json.out) && !err)
		err = -ENOMEM;
	pln_symbolizer_free(o.symbolizer);
	free(chosen);
	return err;
}

void pln_html_instructions_free(struct pln_html_instructions *instructions)
{
	free(instructions->json);
	memset(instructions, 0, sizeof(*instructions));
}

void pln_html_instructions_explain(const struct pln_html_instructions *instructions, bool no_source,
				   char *buffer, size_t size)
{
	if (no_source)
		snprintf(buffer, size,
			 "Instructions were left out of this page, as its source was.");
	else if (pln_disassembler_missing())
		snprintf(buffer, size, "Instructions were left out of this page: %s.",
			 pln_disassembler_missing());
	else if (instructions->left_out)
		snprintf(buffer, size,
			 "Instructions are those of the %zu native functions with the most CPU "
			 "time of their own; the other %zu have %.2g %% each at most.",
			 instructions->functions, instructions->left_out,
			 instructions->share * 100);
	else
		*buffer = '\0';
}
