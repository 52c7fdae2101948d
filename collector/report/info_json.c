/* SPDX-License-Identifier: MIT */
/*
 * info_json.c - `pillion info --json`, schema "pillion-info" version 1.
 */
#include <stdlib.h>

#include "report/report.h"

#define SCHEMA_VERSION 1

static void accounting(struct pln_json *json, const struct pln_report *r)
{
	const struct pln_accounting a = pln_summary_account(&r->summary, r->profile, PLN_NONE);

	/* A process's clock is that of all its threads. */
	if (r->options.filter.threads) {
		pln_json_null(json, "accounting");
		return;
	}
	pln_json_object(json, "accounting");
	pln_json_number(json, "process_cpu_ns", a.process_cpu_ns);
	pln_json_number(json, "sampled_cpu_ns", a.sampled_cpu_ns);
	pln_json_signed(json, "unsampled_cpu_ns", a.unsampled_cpu_ns);
	pln_json_number(json, "sampling_thread_cpu_ns", a.sampler_cpu_ns);
	pln_json_number(json, "stopped_cpu_ns", a.dormant_cpu_ns);
	pln_json_number(json, "outside_cpu_ns", a.outside_cpu_ns);
	pln_json_number(json, "thread_wall_ns", a.thread_wall_ns);
	pln_json_number(json, "sampled_wall_ns", a.sampled_wall_ns);
	pln_json_signed(json, "unsampled_wall_ns", a.unsampled_wall_ns);
	pln_json_object_end(json);
}

static void contents(struct pln_json *json, const struct pln_report *r)
{
	const struct pln_profile *p = r->profile;

	pln_json_object(json, "contents");
	pln_json_number(json, "samples", p->sample_count);
	pln_json_number(json, "processes", p->process_count);
	pln_json_number(json, "threads", p->thread_count);
	pln_json_number(json, "kept_processes", r->summary.process_count);
	pln_json_number(json, "kept_threads", r->summary.all.threads);
	pln_json_number(json, "modules", p->module_count);
	pln_json_number(json, "stack_nodes", p->stack_count);
	pln_json_number(json, "frames", p->frame_count);
	pln_json_number(json, "functions", p->function_count);
	pln_json_number(json, "notes", p->note_count);
	pln_json_number(json, "sampled_blocks", p->block_count);
	pln_json_number(json, "heap_points", p->heap_point_count);
	pln_json_real(json, "bytes_per_sample",
		      p->sample_count ? (double)p->file_size / (double)p->sample_count : 0);
	pln_json_object_end(json);
}

static void build_id(struct pln_json *json, const struct pln_module_info *module)
{
	char text[2 * sizeof(module->build_id) + 1] = "";

	for (unsigned i = 0; i < module->build_id_size && i < sizeof(module->build_id); i++)
		snprintf(text + 2 * i, 3, "%02x", module->build_id[i]);
	pln_json_text(json, "build_id", text);
}

static void modules(struct pln_json *json, const struct pln_profile *p)
{
	size_t count;
	struct pln_module_symbols *symbols = pln_module_symbols(p, &count);

	pln_json_array(json, "modules");
	for (size_t i = 0; i < count; i++) {
		pln_json_object(json, NULL);
		pln_json_text(json, "path", symbols[i].module->path);
		build_id(json, symbols[i].module);
		pln_json_number(json, "frames", symbols[i].frames);
		pln_json_number(json, "frames_with_symbol", symbols[i].named);
		pln_json_number(json, "frames_with_line", symbols[i].with_line);
		pln_json_object_end(json);
	}
	pln_json_array_end(json);
	free(symbols);
}

void pln_info_print_json(const struct pln_report *built, FILE *out)
{
	struct pln_json json = { .out = out, .pretty = true };

	pln_json_object(&json, NULL);
	pln_json_text(&json, "schema", "pillion-info");
	pln_json_number(&json, "schema_version", SCHEMA_VERSION);
	pln_json_text(&json, "profile", built->path);
	pln_json_recording(&json, built);
	contents(&json, built);
	pln_json_times(&json, "time", &built->summary.all);
	accounting(&json, built);
	pln_json_quality(&json, built);
	pln_json_costs(&json, built);
	pln_json_heap(&json, built);
	pln_json_processes(&json, built);
	pln_json_threads(&json, built);
	modules(&json, built->profile);
	pln_json_notes(&json, built);
	pln_json_object_end(&json);
}
