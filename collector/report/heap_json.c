/* SPDX-License-Identifier: MIT */
/*
 * heap_json.c - memory in the JSON of report and info: see report_json.c.
 */
#include <math.h>

#include "report/names.h"
#include "report/report.h"

static const char *key_of(char *buffer, size_t size, const char *prefix, const char *suffix)
{
	snprintf(buffer, size, "%s%s%s", prefix, *prefix ? "_" : "", suffix);
	return buffer;
}

void pln_json_heap_amount(struct pln_json *json, const char *prefix, const struct pln_amount *a)
{
	char key[64];

	pln_json_number(json, key_of(key, sizeof(key), prefix, "bytes"), a->bytes);
	pln_json_real(json, key_of(key, sizeof(key), prefix, "bytes_variance"), a->variance);
	pln_json_real(json, key_of(key, sizeof(key), prefix, "bytes_interval_95"),
		      pln_amount_interval(a));
	pln_json_real(json, key_of(key, sizeof(key), prefix, "blocks"), a->blocks);
	pln_json_number(json, key_of(key, sizeof(key), prefix, "samples"), a->samples);
	pln_json_array(json, key_of(key, sizeof(key), prefix, "kinds"));
	for (unsigned kind = 0; kind < PILLION_BLOCK_KINDS; kind++) {
		if (a->kinds & 1u << kind)
			pln_json_text(json, NULL, pln_block_kind_name(kind));
	}
	pln_json_array_end(json);
}

void pln_json_heap_counts(struct pln_json *json, const struct pln_heap_counts *counts)
{
	static const char *const keys[PILLION_HEAP_COUNT] = {
		[PILLION_HEAP_MALLOC] = "malloc",
		[PILLION_HEAP_MAPPING] = "mmap",
		[PILLION_HEAP_OBJECT] = "objects",
		[PILLION_HEAP_NESTED] = "below_objects",
	};

	pln_json_object(json, "heap");
	for (unsigned c = 0; c < PILLION_HEAP_COUNT; c++) {
		pln_json_object(json, keys[c]);
		pln_json_number(json, "alloc_calls", counts[c].alloc_calls);
		pln_json_number(json, "alloc_bytes", counts[c].alloc_bytes);
		pln_json_number(json, "free_calls", counts[c].free_calls);
		if (c == PILLION_HEAP_OBJECT)
			pln_json_null(json, "free_bytes");
		else
			pln_json_number(json, "free_bytes", counts[c].free_bytes);
		pln_json_object_end(json);
	}
	pln_json_object_end(json);
}

static void checks(struct pln_json *json, const struct pln_heap_summary *h)
{
	pln_json_array(json, "checks");
	for (unsigned c = 0; c < h->check_count; c++) {
		const struct pln_heap_check *check = &h->checks[c];

		pln_json_object(json, NULL);
		pln_json_text(json, "of", check->name);
		pln_json_number(json, "counted_bytes", check->counted_bytes);
		pln_json_real(json, "sampled_bytes", check->sampled_bytes);
		pln_json_real(json, "sampled_bytes_variance", check->variance);
		pln_json_number(json, "samples", check->samples);
		pln_json_real(json, "difference_share", pln_heap_check_share(check));
		pln_json_real(json, "difference_sigma", pln_heap_check_sigma(check));
		pln_json_object_end(json);
	}
	pln_json_array_end(json);
}

void pln_json_heap(struct pln_json *json, const struct pln_report *report)
{
	const struct pln_heap_summary *h = &report->heap;

	if (!pln_heap_is_counted(h)) {
		pln_json_null(json, "memory");
		return;
	}
	pln_json_object(json, "memory");
	pln_json_heap_counts(json, h->counts);
	pln_json_number(json, "processes", h->processes);
	pln_json_number(json, "live_bytes", h->live_bytes);
	pln_json_number(json, "forked_bytes", h->forked_bytes);
	pln_json_number(json, "peak_bytes", h->peak_bytes);
	pln_json_number(json, "peak_after_ns", h->peak_after_ns);
	pln_json_number(json, "sum_of_peaks_bytes", h->peaks_bytes);
	pln_json_number(json, "brk_peak_bytes", h->brk_peak_bytes);
	pln_json_number(json, "timeline_points", h->points);
	pln_json_number(json, "samples", h->samples);
	pln_json_number(json, "unfollowed_samples", h->unfollowed);
	pln_json_number(json, "stopped_ns", h->dormant_ns);
	checks(json, h);
	pln_json_object_end(json);
}

static void leak(struct pln_json *json, const struct pln_report *r, const struct pln_leak *l)
{
	pln_json_object(json, NULL);
	pln_json_text(json, "trend", pln_leak_trend_names[l->trend]);
	pln_json_object(json, "python_line");
	pln_json_python_line(json, r, l->line);
	pln_json_object_end(json);
	pln_json_object(json, "native");
	pln_json_function(json, r->profile, l->function);
	pln_json_object_end(json);
	pln_json_heap_amount(json, "live", &l->live);
	pln_json_number(json, "old_samples", l->old);
	pln_json_number(json, "came_samples", l->came);
	pln_json_number(json, "went_samples", l->went);
	pln_json_real(json, "kept_share", l->kept);
	pln_json_real(json, "chance", l->chance);
	pln_json_real(json, "grown_bytes", l->grown_bytes);
	pln_json_real(json, "grown_bytes_variance", l->grown_variance);
	pln_json_real(json, "grown_bytes_per_s", l->bytes_per_s);
	pln_json_real(json, "flat_since_share", l->flat_since);
	pln_json_bool(json, "has_gap", pln_leak_has_gap(l));
	pln_json_array(json, "live_bytes_over_time");
	for (size_t i = 0; i < PLN_LEAK_POINTS; i++)
		pln_json_real(json, NULL, l->live_at[i]);
	pln_json_array_end(json);
	pln_json_object_end(json);
}

void pln_json_leaks(struct pln_json *json, const struct pln_report *report)
{
	const struct pln_leaks *leaks = &report->leaks;
	size_t shown = pln_report_limited(report, leaks->count);

	pln_json_real(json, "leak_chance", leaks->largest_chance);
	pln_json_number(json, "leak_places_tested", leaks->tested);
	pln_json_number(json, "leak_places_capped", leaks->capped);
	pln_json_real(json, "leak_claimed_bytes", leaks->claimed_bytes);
	pln_json_real(json, "leak_counted_bytes", leaks->counted_bytes);
	pln_json_array(json, "leaks");
	for (size_t i = 0; i < shown; i++)
		leak(json, report, &leaks->leaks[i]);
	pln_json_array_end(json);
}
