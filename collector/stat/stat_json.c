/* SPDX-License-Identifier: MIT */
/*
 * stat_json.c - the figures as JSON, schema "pillion-stat" version 1.
 *
 * Every key of a quantity ends in its unit; objects that `report --json` has as well are the same
 * here. Keys are only ever added within a schema version.
 */
#include "report/names.h"
#include "stat/stat.h"

#define SCHEMA_VERSION 1

static void waits(struct pln_json *json, const struct pln_report *r)
{
	char name[64];

	pln_json_array(json, "off_cpu");
	for (size_t i = 0; i < r->waits.count; i++) {
		const struct pln_wait *wait = &r->waits.waits[i];

		pln_json_object(json, NULL);
		pln_json_text(json, "kind", pln_wait_kind_key(wait->kind));
		pln_json_text(json, "name", pln_wait_name(wait, name, sizeof(name)));
		pln_json_number(json, "offcpu_ns", wait->offcpu_ns);
		pln_json_object_end(json);
	}
	pln_json_array_end(json);
}

static void memory(struct pln_json *json, const struct pln_heap_summary *h)
{
	pln_json_object(json, "memory");
	pln_json_bool(json, "counted", pln_heap_is_counted(h));
	pln_json_number(json, "peak_bytes", h->peak_bytes);
	pln_json_number(json, "peak_after_ns", h->peak_after_ns);
	pln_json_number(json, "live_bytes", h->live_bytes);
	pln_json_heap_counts(json, h->counts);
	pln_json_object_end(json);
}

static void functions(struct pln_json *json, const struct pln_stat *stat)
{
	const struct pln_report *r = stat->report;

	pln_json_array(json, "functions");
	for (size_t i = 0; i < stat->function_count; i++) {
		const struct pln_cost *cost = &r->totals.functions[stat->functions[i]];

		pln_json_object(json, NULL);
		pln_json_function(json, r->profile, stat->functions[i]);
		pln_json_number(json, "self_ns", cost->self.ns);
		pln_json_number(json, "self_samples", cost->self.samples);
		pln_json_number(json, "total_ns", cost->total.ns);
		pln_json_number(json, "total_samples", cost->total.samples);
		pln_json_object_end(json);
	}
	pln_json_array_end(json);
}

void pln_stat_json(const struct pln_stat *stat, FILE *out)
{
	struct pln_json json = { .out = out, .pretty = true };
	const struct pln_report *r = stat->report;

	pln_json_object(&json, NULL);
	pln_json_text(&json, "schema", "pillion-stat");
	pln_json_number(&json, "schema_version", SCHEMA_VERSION);
	pln_json_text(&json, "profile", r->path);
	pln_json_recording(&json, r);
	pln_json_number(&json, "processes", r->summary.process_count);
	pln_json_number(&json, "threads", r->summary.all.threads);
	pln_json_times(&json, "time", &r->summary.all);
	pln_json_real(&json, "gil_most_held", r->summary.most_held);
	pln_json_real(&json, "gil_least_held", r->summary.least_held);
	waits(&json, r);
	memory(&json, &r->heap);
	pln_json_quality(&json, r);
	pln_json_costs(&json, r);
	functions(&json, stat);
	pln_json_array(&json, "warnings");
	for (size_t i = 0; i < stat->warning_count; i++)
		pln_json_text(&json, NULL, stat->warnings[i]);
	pln_json_array_end(&json);
	pln_json_object_end(&json);
}
