/* SPDX-License-Identifier: MIT */
/*
 * firefox.c - the Firefox Profiler's processed format, gzipped; see firefox_i.h.
 *
 * Version 62 of it: the viewer upgrades older versions step by step, and refuses newer ones. A
 * sample weighs its time in the view, and has the CPU time since the one before, whatever the
 * view, for the graphs. Sampled allocations are in the first thread of their process, with
 * an address each by which a free finds its allocation; bytes are estimates of all that was
 * allocated. The memory track is exact. Times are milliseconds, to the nanosecond. Threads
 * without any sample are left out.
 */
#include "export/export.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <pillion/pillion.h>

#include "export/firefox_i.h"
#include "export/gzip.h"
#include "export/text.h"
#include "profile/grow.h"
#include "report/names.h"

#define FORMAT_VERSION 62u
#define GECKO_VERSION 24u /* not looked at, but has to be there */
#define MS_DIGITS 6u /* of nanoseconds behind the point */

static const struct {
	const char *name;
	const char *color; /* one of those that the viewer knows */
} categories[PLN_FIREFOX_CATEGORIES] = {
	[PLN_FIREFOX_OTHER] = { "Other", "grey" },
	[PLN_FIREFOX_PYTHON] = { "Python", "yellow" },
	[PLN_FIREFOX_NATIVE] = { "Native", "blue" },
	[PLN_FIREFOX_INTERPRETER] = { "Interpreter", "lightblue" },
	[PLN_FIREFOX_GC] = { "GC", "orange" },
	[PLN_FIREFOX_GIL] = { "GIL", "green" },
	[PLN_FIREFOX_WAIT] = { "Blocked", "purple" },
};

/* ------------------------------------------------------------------ columns */

void pln_firefox_column(struct pln_firefox *w, const char *key, size_t count, pln_firefox_put *put)
{
	pln_json_array(&w->json, key);
	for (size_t i = 0; i < count; i++) {
		if (i)
			putc_unlocked(',', w->out);
		put(w, i);
	}
	pln_json_array_end(&w->json);
}

void pln_firefox_put_null(struct pln_firefox *w, size_t index)
{
	(void)index;
	fputs("null", w->out);
}

void pln_firefox_put_zero(struct pln_firefox *w, size_t index)
{
	(void)index;
	putc_unlocked('0', w->out);
}

void pln_firefox_put_false(struct pln_firefox *w, size_t index)
{
	(void)index;
	fputs("false", w->out);
}

void pln_firefox_put_ms(struct pln_firefox *w, uint64_t ns)
{
	pln_text_put_scaled(w->out, ns, MS_DIGITS);
}

static uint64_t since_start(const struct pln_firefox *w, uint64_t time_ns)
{
	uint64_t start_ns = w->profile->recording.start_ns;

	return time_ns > start_ns ? time_ns - start_ns : 0;
}

void pln_firefox_put_time(struct pln_firefox *w, uint64_t time_ns)
{
	pln_firefox_put_ms(w, since_start(w, time_ns));
}

static void time_member(struct pln_firefox *w, const char *key, uint64_t time_ns)
{
	pln_json_real(&w->json, key, (double)since_start(w, time_ns) / 1e6);
}

/* ------------------------------------------------------------------ samples */

static int add_sample(const struct pln_sample_row *row, void *arg)
{
	struct pln_firefox *w = arg;
	bool has_stack = row->stack < w->profile->stack_count;

	if (row->thread >= w->profile->thread_count ||
	    !w->export->aggregate->thread_kept[row->thread])
		return 0;
	if (!pln_grow(&w->samples, &w->sample_capacity, w->sample_count, sizeof(*w->samples)))
		return -ENOMEM;
	w->samples[w->sample_count++] = (struct pln_firefox_sample){
		.time_ns = row->time_ns,
		.weight_ns = pln_sample_weight(row, w->export->view),
		.cpu_ns = row->cpu_ns,
		.offcpu_ns = row->offcpu_ns,
		.thread = row->thread,
		.stack = has_stack ? row->stack : PLN_NONE,
		.syscall_nr = row->syscall_nr,
		.gil = row->gil,
	};
	if (has_stack)
		w->node_used[row->stack] = true;
	return 0;
}

static int by_thread_then_time(const void *a, const void *b)
{
	const struct pln_firefox_sample *sa = a, *sb = b;

	if (sa->thread != sb->thread)
		return sa->thread < sb->thread ? -1 : 1;
	return sa->time_ns < sb->time_ns ? -1 : sa->time_ns > sb->time_ns;
}

static uint32_t process_of_block(size_t block, const void *arg)
{
	const struct pln_firefox *w = arg;

	return w->blocks.weight[block]
		       ? w->profile->threads[w->profile->blocks[block].thread].process
		       : PLN_NONE;
}

static uint32_t process_of_point(size_t point, const void *arg)
{
	return ((const struct pln_firefox *)arg)->profile->heap_points[point].process;
}

static int group_by_process(struct pln_firefox *w)
{
	const struct pln_profile *p = w->profile;
	int err = pln_groups_make(&w->process_blocks, p->process_count, p->block_count,
				  process_of_block, w);

	return err ? err
		   : pln_groups_make(&w->process_points, p->process_count, p->heap_point_count,
				     process_of_point, w);
}

static int by_pid(const void *a, const void *b, void *processes)
{
	uint32_t pa = *(const uint32_t *)a, pb = *(const uint32_t *)b;
	const struct pln_process *all = processes;

	if (all[pa].pid != all[pb].pid)
		return all[pa].pid < all[pb].pid ? -1 : 1;
	return pa < pb ? -1 : pa > pb;
}

static int tell_pids_apart(struct pln_firefox *w)
{
	const struct pln_profile *p = w->profile;
	uint32_t *order = malloc((p->process_count + 1) * sizeof(*order));

	w->pid_use = malloc((p->process_count + 1) * sizeof(*w->pid_use));
	if (!order || !w->pid_use) {
		free(order);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < p->process_count; i++)
		order[i] = i;
	qsort_r(order, p->process_count, sizeof(*order), by_pid, p->processes);
	for (size_t i = 0; i < p->process_count; i++) {
		bool again = i && p->processes[order[i]].pid == p->processes[order[i - 1]].pid;

		w->pid_use[order[i]] = again ? w->pid_use[order[i - 1]] + 1 : 1;
	}
	free(order);
	return 0;
}

static int collect(struct pln_firefox *w)
{
	const struct pln_profile *p = w->profile;
	int err;

	w->strings = pln_intern_new();
	w->node_used = calloc(p->stack_count + 1, sizeof(bool));
	w->events = malloc((2 * p->block_count + 1) * sizeof(*w->events));
	if (!w->strings || !w->node_used || !w->events)
		return -ENOMEM;
	err = pln_profile_each_sample(w->export->profile, add_sample, w);
	if (!err)
		err = pln_export_blocks_sum(&w->blocks, w->export->aggregate, PLN_HEAP_ALLOCATED,
					    false);
	if (!err)
		err = group_by_process(w);
	if (!err)
		err = tell_pids_apart(w);
	if (err)
		return err;
	if (w->sample_count)
		qsort(w->samples, w->sample_count, sizeof(*w->samples), by_thread_then_time);
	for (size_t b = 0; b < p->block_count; b++)
		if (w->blocks.weight[b] && p->blocks[b].stack < p->stack_count)
			w->node_used[p->blocks[b].stack] = true;
	err = pln_firefox_build_tables(w);
	return err ? err : pln_firefox_find_collections(w);
}

static uint32_t stack_entry(const struct pln_firefox *w, uint32_t node)
{
	return node < w->profile->stack_count ? w->node_stack[node] : w->no_stack;
}

static void put_stack(struct pln_firefox *w, size_t index)
{
	pln_text_put_number(w->out, stack_entry(w, w->row[index].stack));
}

static void put_delta(struct pln_firefox *w, size_t index)
{
	uint64_t before = index ? since_start(w, w->row[index - 1].time_ns) : 0;

	pln_firefox_put_ms(w, since_start(w, w->row[index].time_ns) - before);
}

static void put_weight(struct pln_firefox *w, size_t index)
{
	pln_firefox_put_ms(w, w->row[index].weight_ns);
}

static void put_cpu(struct pln_firefox *w, size_t index)
{
	pln_text_put_number(w->out, w->row[index].cpu_ns);
}

static void write_samples(struct pln_firefox *w)
{
	pln_json_object(&w->json, "samples");
	pln_json_number(&w->json, "length", w->row_count);
	pln_json_text(&w->json, "weightType", "tracing-ms");
	pln_firefox_column(w, "stack", w->row_count, put_stack);
	pln_firefox_column(w, "timeDeltas", w->row_count, put_delta);
	pln_firefox_column(w, "weight", w->row_count, put_weight);
	pln_firefox_column(w, "threadCPUDelta", w->row_count, put_cpu);
	pln_json_object_end(&w->json);
}

/* -------------------------------------------------------------- allocations */

static int by_time(const void *a, const void *b)
{
	const struct pln_firefox_event *ea = a, *eb = b;

	if (ea->time_ns != eb->time_ns)
		return ea->time_ns < eb->time_ns ? -1 : 1;
	if (ea->block != eb->block)
		return ea->block < eb->block ? -1 : 1;
	return (int)ea->is_free - (int)eb->is_free;
}

static void find_events(struct pln_firefox *w, uint32_t process)
{
	const uint32_t *blocks;
	size_t count = pln_groups_of(&w->process_blocks, process, &blocks);

	w->event_count = 0;
	for (size_t i = 0; i < count; i++) {
		const struct pln_block_row *block = &w->profile->blocks[blocks[i]];

		w->events[w->event_count++] =
			(struct pln_firefox_event){ block->time_ns, blocks[i], false };
		if (block->freed_ns)
			w->events[w->event_count++] =
				(struct pln_firefox_event){ block->freed_ns, blocks[i], true };
	}
	if (w->event_count)
		qsort(w->events, w->event_count, sizeof(*w->events), by_time);
}

static void put_event_time(struct pln_firefox *w, size_t index)
{
	pln_firefox_put_time(w, w->events[index].time_ns);
}

static void put_event_bytes(struct pln_firefox *w, size_t index)
{
	if (w->events[index].is_free)
		putc('-', w->out);
	pln_text_put_number(w->out, w->blocks.weight[w->events[index].block]);
}

/* Where something was freed is not known. */
static void put_event_stack(struct pln_firefox *w, size_t index)
{
	const struct pln_firefox_event *event = &w->events[index];

	if (event->is_free)
		pln_firefox_put_null(w, index);
	else
		pln_text_put_number(w->out, stack_entry(w, w->profile->blocks[event->block].stack));
}

static void put_event_address(struct pln_firefox *w, size_t index)
{
	pln_text_put_number(w->out, (uint64_t)w->events[index].block + 1);
}

static void put_event_thread(struct pln_firefox *w, size_t index)
{
	const struct pln_profile *p = w->profile;

	pln_text_put_number(w->out, p->threads[p->blocks[w->events[index].block].thread].tid);
}

static void write_allocations(struct pln_firefox *w, uint32_t process)
{
	find_events(w, process);
	if (!w->event_count)
		return;
	pln_json_object(&w->json, "nativeAllocations");
	pln_json_number(&w->json, "length", w->event_count);
	pln_json_text(&w->json, "weightType", "bytes");
	pln_firefox_column(w, "time", w->event_count, put_event_time);
	pln_firefox_column(w, "weight", w->event_count, put_event_bytes);
	pln_firefox_column(w, "stack", w->event_count, put_event_stack);
	pln_firefox_column(w, "memoryAddress", w->event_count, put_event_address);
	pln_firefox_column(w, "threadId", w->event_count, put_event_thread);
	pln_json_object_end(&w->json);
}

/* ------------------------------------------------------------------ threads */

/* The viewer takes all of one pid for one process; here containers, and an exec, have it again. */
static void pid_member(struct pln_firefox *w, uint32_t process)
{
	uint32_t pid = w->profile->processes[process].pid, use = w->pid_use[process];
	char text[32];

	if (use > 1)
		snprintf(text, sizeof(text), "%" PRIu32 ".%" PRIu32, pid, use);
	else
		snprintf(text, sizeof(text), "%" PRIu32, pid);
	pln_json_text(&w->json, "pid", text);
}

static void write_thread_head(struct pln_firefox *w, const struct pln_thread *thread, bool is_first)
{
	const struct pln_process *process = &w->profile->processes[thread->process];
	char name[32];

	pln_json_text(&w->json, "name", pln_thread_name(thread, name, sizeof(name)));
	pln_json_bool(&w->json, "isMainThread", is_first);
	pln_json_text(&w->json, "processType", "default");
	pln_json_text(&w->json, "processName", process->command);
	pid_member(w, thread->process);
	pln_json_number(&w->json, "tid", thread->tid);
	time_member(w, "processStartupTime", process->start_ns);
	if (process->end_ns)
		time_member(w, "processShutdownTime", process->end_ns);
	else
		pln_json_null(&w->json, "processShutdownTime");
	time_member(w, "registerTime", thread->start_ns);
	if (thread->exited)
		time_member(w, "unregisterTime", thread->seen_ns);
	else
		pln_json_null(&w->json, "unregisterTime");
	pln_json_array(&w->json, "pausedRanges");
	pln_json_array_end(&w->json);
	pln_json_bool(&w->json, "showMarkersInTimeline", true);
}

/*
 * The thread of sample `at`, number `index` in the document. Returns where the samples of the
 * next one begin. `first`: by process, its first thread; filled in here.
 */
static size_t write_thread(struct pln_firefox *w, size_t at, uint32_t *first, uint32_t index)
{
	const struct pln_thread *thread = &w->profile->threads[w->samples[at].thread];
	bool is_first = first[thread->process] == PLN_NONE;

	w->row = &w->samples[at];
	w->row_count = 0;
	while (at + w->row_count < w->sample_count && w->row[w->row_count].thread == w->row->thread)
		w->row_count++;
	pln_json_object(&w->json, NULL);
	write_thread_head(w, thread, is_first);
	write_samples(w);
	pln_firefox_write_markers(w);
	if (is_first) {
		first[thread->process] = index;
		write_allocations(w, thread->process);
	}
	pln_json_object_end(&w->json);
	return at + w->row_count;
}

static void write_threads(struct pln_firefox *w, uint32_t *first)
{
	uint32_t index = 0;

	pln_json_array(&w->json, "threads");
	for (size_t at = 0; at < w->sample_count;)
		at = write_thread(w, at, first, index++);
	pln_json_array_end(&w->json);
}

/* ----------------------------------------------------------------- counters */

static uint64_t calls(const struct pln_heap_point *point)
{
	const struct pln_heap_counts *m = &point->heap[PILLION_HEAP_MALLOC];
	const struct pln_heap_counts *a = &point->heap[PILLION_HEAP_MAPPING];

	return m->alloc_calls + m->free_calls + a->alloc_calls + a->free_calls;
}

static void write_display(struct pln_firefox *w)
{
	pln_json_object(&w->json, "display");
	pln_json_text(&w->json, "color", "orange");
	pln_json_text(&w->json, "graphType", "line-accumulated");
	pln_json_text(&w->json, "label", "Memory");
	pln_json_text(&w->json, "markerSchemaLocation", "timeline-memory");
	pln_json_number(&w->json, "sortWeight", 20);
	pln_json_text(&w->json, "unit", "bytes");
	pln_json_object_end(&w->json);
}

enum counter_column { COUNTER_TIMES, COUNTER_BYTES, COUNTER_CALLS };

/* What is written are differences to the point before. */
static size_t write_points(struct pln_firefox *w, const char *key, uint32_t process,
			   enum counter_column column)
{
	static const struct pln_heap_point nothing;
	const struct pln_heap_point *before = &nothing;
	uint64_t inherited = w->profile->processes[process].heap_inherited_bytes;
	uint64_t live_bytes, live_bytes_before = 0;
	const uint32_t *points;
	size_t count = pln_groups_of(&w->process_points, process, &points);

	pln_json_array(&w->json, key);
	for (size_t i = 0; i < count; i++) {
		const struct pln_heap_point *point = &w->profile->heap_points[points[i]];

		if (i)
			putc(',', w->out);
		live_bytes = pln_heap_live_bytes(point->heap, inherited);
		if (column == COUNTER_TIMES)
			pln_firefox_put_ms(w, since_start(w, point->time_ns) -
						      since_start(w, before->time_ns));
		else if (column == COUNTER_BYTES)
			fprintf(w->out, "%" PRId64, (int64_t)(live_bytes - live_bytes_before));
		else
			pln_text_put_number(w->out, calls(point) - calls(before));
		before = point;
		live_bytes_before = live_bytes;
	}
	pln_json_array_end(&w->json);
	return count;
}

static void write_counter(struct pln_firefox *w, uint32_t process, uint32_t first_thread)
{
	size_t count;

	pln_json_object(&w->json, NULL);
	pln_json_text(&w->json, "name", "malloc");
	pln_json_text(&w->json, "category", "Memory");
	pln_json_text(&w->json, "description", "malloc and anonymous mappings, counted exactly");
	pid_member(w, process);
	pln_json_number(&w->json, "mainThreadIndex", first_thread);
	write_display(w);
	pln_json_object(&w->json, "samples");
	write_points(w, "timeDeltas", process, COUNTER_TIMES);
	write_points(w, "number", process, COUNTER_CALLS);
	count = write_points(w, "count", process, COUNTER_BYTES);
	pln_json_number(&w->json, "length", count);
	pln_json_object_end(&w->json);
	pln_json_object_end(&w->json);
}

static void write_counters(struct pln_firefox *w, const uint32_t *first)
{
	const uint32_t *points;

	pln_json_array(&w->json, "counters");
	for (uint32_t p = 0; p < w->profile->process_count; p++)
		if (first[p] != PLN_NONE && pln_groups_of(&w->process_points, p, &points))
			write_counter(w, p, first[p]);
	pln_json_array_end(&w->json);
}

/* --------------------------------------------------------------------- meta */

static void write_categories(struct pln_firefox *w)
{
	pln_json_array(&w->json, "categories");
	for (unsigned c = 0; c < PLN_FIREFOX_CATEGORIES; c++) {
		pln_json_object(&w->json, NULL);
		pln_json_text(&w->json, "name", categories[c].name);
		pln_json_text(&w->json, "color", categories[c].color);
		pln_json_array(&w->json, "subcategories");
		pln_json_text(&w->json, NULL, "Other");
		pln_json_array_end(&w->json);
		pln_json_object_end(&w->json);
	}
	pln_json_array_end(&w->json);
}

static void write_empty_array(struct pln_firefox *w, const char *key)
{
	pln_json_array(&w->json, key);
	pln_json_array_end(&w->json);
}

static void write_units(struct pln_firefox *w)
{
	pln_json_object(&w->json, "sampleUnits");
	pln_json_text(&w->json, "time", "ms");
	pln_json_text(&w->json, "eventDelay", "ms");
	pln_json_text(&w->json, "threadCPUDelta", "ns");
	pln_json_object_end(&w->json);
}

static void write_meta(struct pln_firefox *w)
{
	const struct pln_recording *r = &w->profile->recording;
	char product[512];

	snprintf(product, sizeof(product), "%s (%s)", w->export->name,
		 pln_export_view_name(w->export));
	pln_json_object(&w->json, "meta");
	pln_json_number(&w->json, "version", GECKO_VERSION);
	pln_json_number(&w->json, "preprocessedProfileVersion", FORMAT_VERSION);
	pln_json_text(&w->json, "product", product);
	pln_json_text(&w->json, "importedFrom", "Pillion " PILLION_VERSION);
	pln_json_text(&w->json, "arguments", r->command);
	pln_json_text(&w->json, "oscpu", "Linux x86_64");
	pln_json_number(&w->json, "startTime", r->start_real_ns / 1000000);
	pln_json_real(&w->json, "interval", (double)pln_profile_period_ns(w->profile) / 1e6);
	pln_json_number(&w->json, "processType", 0);
	pln_json_number(&w->json, "stackwalk", 1);
	pln_json_bool(&w->json, "debug", false);
	pln_json_bool(&w->json, "symbolicated", true);
	pln_json_bool(&w->json, "usesOnlyOneStackType", true);
	pln_json_bool(&w->json, "sourceCodeIsNotOnSearchfox", true);
	write_empty_array(w, "pausedRanges");
	pln_json_object(&w->json, "extensions");
	pln_json_number(&w->json, "length", 0);
	write_empty_array(w, "baseURL");
	write_empty_array(w, "id");
	write_empty_array(w, "name");
	pln_json_object_end(&w->json);
	write_units(w);
	write_categories(w);
	pln_firefox_write_schemas(w);
	pln_json_object_end(&w->json);
}

/* Tables come behind the threads, whose markers add strings to them. */
static int write_document(struct pln_firefox *w)
{
	uint32_t *first = malloc((w->profile->process_count + 1) * sizeof(*first));

	if (!first)
		return -ENOMEM;
	memset(first, 0xff, (w->profile->process_count + 1) * sizeof(*first));
	pln_json_object(&w->json, NULL);
	write_meta(w);
	pln_firefox_write_libs(w);
	write_empty_array(w, "pages");
	write_empty_array(w, "profilerOverhead");
	write_threads(w, first);
	write_counters(w, first);
	pln_firefox_write_tables(w);
	pln_json_object_end(&w->json);
	free(first);
	return w->failed ? -ENOMEM : 0;
}

static int write_gzipped(struct pln_firefox *w, FILE *out)
{
	struct pln_gzip *gzip = pln_gzip_open(out);
	int err = -ENOMEM, closed;

	if (!gzip)
		return -ENOMEM;
	w->out = w->json.out = pln_gzip_stream(gzip);
	if (w->out) {
		err = write_document(w);
		closed = ferror(w->out) ? EOF : 0;
		if ((fclose(w->out) || closed) && !err)
			err = -(errno ? errno : EIO);
	}
	closed = pln_gzip_close(gzip, !err);
	return err ? err : closed;
}

int pln_export_firefox(const struct pln_export *export, FILE *out)
{
	struct pln_firefox w = { .export = export, .profile = export->profile };
	int err = collect(&w);

	if (!err)
		err = write_gzipped(&w, out);
	pln_firefox_free_tables(&w);
	pln_export_blocks_free(&w.blocks);
	pln_groups_free(&w.process_blocks);
	pln_groups_free(&w.process_points);
	pln_intern_free(w.strings);
	free(w.samples);
	free(w.events);
	free(w.markers);
	free(w.node_used);
	free(w.node_collects);
	free(w.pid_use);
	return err;
}
