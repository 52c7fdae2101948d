/* SPDX-License-Identifier: MIT */
/*
 * json.c - annotations as JSON, schema "pillion-annotate" version 1.
 *
 * Addresses are of the file, as disassemblers show them. Time is in nanoseconds; in views of
 * memory, weights are estimated bytes. Keys are only ever added within a schema version.
 */
#include <stdlib.h>

#include "annotate/annotate.h"
#include "report/names.h"

#define SCHEMA_VERSION 1

static void weight(struct pln_json *json, const struct pln_report *r, const char *name,
		   const struct pln_amount *amount)
{
	bool heap = pln_view_is_heap(r->options.view);
	char key[64];

	snprintf(key, sizeof(key), "%s_%s", name, heap ? "bytes" : "ns");
	pln_json_number(json, key, amount->weight);
	snprintf(key, sizeof(key), "%s_samples", name);
	pln_json_number(json, key, amount->samples);
}

static void begin(struct pln_json *json, const struct pln_report *r)
{
	pln_json_object(json, NULL);
	pln_json_text(json, "schema", "pillion-annotate");
	pln_json_number(json, "schema_version", SCHEMA_VERSION);
	pln_json_text(json, "profile", r->path);
	pln_json_text(json, "view", pln_report_view_names[r->options.view]);
}

/* ----------------------------------------------------------------------- lines */

static void line_costs(struct pln_json *json, const struct pln_line_cost *c)
{
	pln_json_number(json, "self_ns", c->self);
	pln_json_number(json, "native_ns", c->native);
	pln_json_number(json, "total_ns", c->total);
	pln_json_number(json, "samples", c->samples);
	pln_json_number(json, "wait_ns", c->wait_ns);
	pln_json_number(json, "memory_bytes", c->memory.bytes);
	pln_json_real(json, "memory_bytes_interval", pln_amount_interval(&c->memory));
	pln_json_number(json, "memory_samples", c->memory.samples);
}

static void one_line(struct pln_json *json, const struct pln_file_lines *l, uint32_t number,
		     const struct pln_source *source)
{
	char *text = pln_source_line(source, number);

	pln_json_object(json, NULL);
	pln_json_number(json, "line", number);
	pln_json_text(json, "source", number && number <= source->count ? text : NULL);
	line_costs(json, &l->lines[number]);
	pln_json_object_end(json);
	free(text);
}

void pln_annotate_lines_json(const struct pln_report *report, const struct pln_choice *choice,
			     const struct pln_file_lines *lines, FILE *out)
{
	struct pln_json json = { .out = out, .pretty = true };
	const struct pln_recording *rec = &report->profile->recording;
	struct pln_source source;
	int err = pln_source_read(&source, choice->file, rec->working_directory);

	begin(&json, report);
	pln_json_text(&json, "memory_view", pln_report_view_names[lines->heap_view]);
	if (choice->kind == PLN_CHOICE_PYTHON) {
		pln_json_function(&json, report->profile, choice->function);
	} else {
		pln_json_text(&json, "kind", "python");
		pln_json_text(&json, "file", choice->file);
	}
	pln_json_bool(&json, "source_found", !err);
	pln_json_bool(&json, "source_changed", source.changed_ns > rec->start_real_ns);
	pln_json_number(&json, "whole_ns", lines->whole_time);
	pln_json_number(&json, "whole_wait_ns", lines->whole_wait_ns);
	pln_json_number(&json, "whole_memory_bytes", lines->whole_memory);
	pln_json_object(&json, "file_costs");
	line_costs(&json, &lines->all);
	pln_json_object_end(&json);
	pln_json_array(&json, "lines");
	/* Line 0, of which the number is not known, belongs to the file alone. */
	for (uint32_t n = lines->first > 1 ? lines->first : 0; n <= lines->last && n < lines->count;
	     n++) {
		if (pln_line_has_any(&lines->lines[n]))
			one_line(&json, lines, n, &source);
	}
	pln_json_array_end(&json);
	pln_json_object_end(&json);
	pln_source_free(&source);
}

/* ---------------------------------------------------------------- instructions */

static void instruction(struct pln_json *json, const struct pln_report *r,
			const struct pln_native_code *code, const struct pln_instruction *i)
{
	pln_json_object(json, NULL);
	pln_json_number(json, "address", i->address);
	pln_json_number(json, "size", i->size);
	pln_json_text(json, "text", i->text);
	pln_json_text(json, "target", i->target);
	pln_json_text(json, "file", code->sources[i->source]);
	pln_json_number(json, "line", i->line);
	weight(json, r, "self", &i->self);
	weight(json, r, "below", &i->below);
	pln_json_object_end(json);
}

static void place(struct pln_json *json, const struct pln_report *r,
		  const struct pln_native_code *code, const struct pln_code_place *p)
{
	pln_json_object(json, NULL);
	pln_json_text(json, "name", p->name);
	pln_json_bool(json, "inlined", p->inlined);
	pln_json_text(json, "library_path", p->module ? p->module->path : NULL);
	pln_json_number(json, "start", p->start);
	pln_json_number(json, "end", p->end);
	pln_json_text(json, "problem", p->problem);
	weight(json, r, "self", &p->self);
	weight(json, r, "total", &p->total);
	pln_json_array(json, "instructions");
	for (size_t i = 0; i < p->count; i++) {
		const struct pln_instruction *in = &p->instructions[i];

		if (in->self.weight || in->below.weight)
			instruction(json, r, code, in);
	}
	pln_json_array_end(json);
	pln_json_object_end(json);
}

void pln_annotate_native_json(const struct pln_report *report, const struct pln_native_code *code,
			      FILE *out)
{
	struct pln_json json = { .out = out, .pretty = true };
	const struct pln_cost *cost = &report->totals.functions[code->function];

	begin(&json, report);
	pln_json_function(&json, report->profile, code->function);
	weight(&json, report, "self", &cost->self);
	weight(&json, report, "total", &cost->total);
	weight(&json, report, "whole", &report->totals.all);
	pln_json_array(&json, "places");
	for (size_t i = 0; i < code->place_count; i++)
		place(&json, report, code, &code->places[i]);
	pln_json_array_end(&json);
	pln_json_object_end(&json);
}
