/* SPDX-License-Identifier: MIT */
/*
 * dump_profile.c - the whole of a profile as JSON, for the tests.
 *
 *	dump_profile FILE > out.json
 *
 * Reads through profile/reader.h as report and export do, and leaves nothing out and
 * adds nothing up, so that a test can judge every sample. Exit status: 0, or the
 * negated enum pln_open_error.
 */
#include <inttypes.h>
#include <stdio.h>

#include "profile/reader.h"

static const char *separator = "";

static void put_string(const char *s)
{
	putchar('"');
	for (const unsigned char *p = (const unsigned char *)(s ? s : ""); *p; p++) {
		if (*p == '"' || *p == '\\')
			printf("\\%c", *p);
		else if (*p < 0x20)
			printf("\\u%04x", *p);
		else
			putchar(*p);
	}
	putchar('"');
}

static void put_text(const char *key, const char *value)
{
	printf("%s\"%s\":", separator, key);
	put_string(value);
	separator = ",";
}

static void put_number(const char *key, int64_t value)
{
	printf("%s\"%s\":%" PRId64, separator, key, value);
	separator = ",";
}

static void open_list(const char *key)
{
	printf("%s\"%s\":[\n", separator, key);
	separator = "";
}

static void open_item(size_t index)
{
	printf("%s{", index ? ",\n" : "");
	separator = "";
}

static void close_list(void)
{
	printf("]\n");
	separator = ",";
}

static void put_recording(const struct pln_profile *p)
{
	const struct pln_recording *r = &p->recording;

	put_text("command", r->command);
	put_text("pillion_version", r->pillion_version);
	put_text("working_directory", r->working_directory);
	put_number("start_ns", (int64_t)r->start_ns);
	put_number("end_ns", (int64_t)r->end_ns);
	put_number("period_ns", (int64_t)r->period_ns);
	put_number("tick_ns", (int64_t)r->tick_ns);
	put_number("complete", r->complete);
	put_number("symbolized", r->symbolized);
	put_number("truncated", r->truncated);
	put_number("exit_status", r->exit_status);
	put_number("collector_cpu_ns", (int64_t)r->collector_cpu_ns);
	put_number("collector_peak_rss", (int64_t)r->collector_peak_rss);
	put_number("sample_count", (int64_t)p->sample_count);
	put_number("file_size", (int64_t)p->file_size);
	put_number("bad_bytes", (int64_t)p->bad_bytes);
}

static void put_heap(const struct pln_heap_counts *heap)
{
	printf(",\"heap\":[");
	for (int i = 0; i < PILLION_HEAP_COUNT; i++)
		printf("%s[%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "]", i ? "," : "",
		       heap[i].alloc_calls, heap[i].alloc_bytes, heap[i].free_calls,
		       heap[i].free_bytes);
	printf("]");
}

static void put_process(const struct pln_process *p)
{
	put_number("pid", p->pid);
	put_number("ppid", p->ppid);
	put_number("reason", p->reason);
	put_text("executable", p->executable);
	put_text("command", p->command);
	put_number("start_ns", (int64_t)p->start_ns);
	put_number("end_ns", (int64_t)p->end_ns);
	put_number("exit_status", p->exit_status);
	put_number("python_version", p->python_version);
	put_number("interpreter_status", p->interpreter_status);
	put_text("layout", p->layout);
	put_text("layout_detail", p->layout_detail);
	put_number("engine", p->engine);
	put_number("ticks", (int64_t)p->ticks);
	put_number("handler_calls", (int64_t)p->handler_calls);
	put_number("handler_ns", (int64_t)p->handler_ns);
	put_number("sampler_cpu_ns", (int64_t)p->sampler_cpu_ns);
	put_number("process_cpu_ns", (int64_t)p->process_cpu_ns);
	put_number("table_bytes", (int64_t)p->table_bytes);
	put_number("private_bytes", (int64_t)p->private_bytes);
	put_number("dormant_ns", (int64_t)p->dormant_ns);
	put_heap(p->heap);
	put_number("heap_inherited_bytes", (int64_t)p->heap_inherited_bytes);
	put_number("heap_peak_bytes", (int64_t)p->heap_peak_bytes);
	put_number("heap_peak_ns", (int64_t)p->heap_peak_ns);
	put_number("brk_peak_bytes", (int64_t)p->brk_peak_bytes);
	put_number("finalizing_ns", (int64_t)p->finalizing_ns);
	put_number("lost_records", (int64_t)p->lost_records);
	printf(",\"drops\":[");
	for (int i = 0; i < PILLION_DROP_COUNT; i++)
		printf("%s%" PRIu64, i ? "," : "", p->drops[i]);
	printf("]");
}

static void put_thread(const struct pln_thread *t)
{
	put_number("process", t->process);
	put_number("tid", t->tid);
	put_number("serial", t->serial);
	put_text("name", t->name);
	put_number("is_main", t->is_main);
	put_number("has_python", t->has_python);
	put_number("exited", t->exited);
	put_number("start_ns", (int64_t)t->start_ns);
	put_number("seen_ns", (int64_t)t->seen_ns);
	put_number("cpu_ns", (int64_t)t->cpu_ns);
	put_number("dormant_cpu_ns", (int64_t)t->dormant_cpu_ns);
	put_number("dormant_wall_ns", (int64_t)t->dormant_wall_ns);
	put_number("unsampled_cpu_ns", (int64_t)t->unsampled_cpu_ns);
	put_number("unsampled_wall_ns", (int64_t)t->unsampled_wall_ns);
	put_heap(t->heap);
}

static void put_function(const struct pln_function *f)
{
	put_text("name", f->name);
	put_text("file", f->file);
	put_text("module", f->module);
	put_text("module_path", f->module_path);
	put_number("first_line", f->first_line);
	put_number("kind", f->kind);
	put_number("unknown", f->unknown);
}

static void put_frame(const struct pln_profile *p, size_t i)
{
	const struct pln_frame *f = &p->frames[i];

	put_number("kind", f->kind);
	put_number("guessed", f->guessed);
	put_number("module", f->module == PLN_NONE ? -1 : (int64_t)f->module);
	put_number("address", (int64_t)f->address);
	printf(",\"locations\":[");
	for (uint32_t l = p->frame_first_location[i]; l < p->frame_first_location[i + 1]; l++)
		printf("%s[%" PRIu32 ",%" PRIu32 "]", l == p->frame_first_location[i] ? "" : ",",
		       p->locations[l].function, p->locations[l].line);
	printf("]");
}

static int put_sample(const struct pln_sample_row *row, void *arg)
{
	size_t *count = arg;

	/* Order as in tests/lib/recording.py: Sample. */
	printf("%s[%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu32 ",%" PRId64 ",%" PRId32
	       ",%" PRIu32 ",%u,%u,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "]",
	       (*count)++ ? ",\n" : "", row->time_ns, row->cpu_ns, row->offcpu_ns, row->runnable_ns,
	       row->thread, row->stack == PLN_NONE ? -1 : (int64_t)row->stack, row->syscall_nr,
	       row->flags, row->cause, row->gil, row->alloc_calls, row->alloc_bytes,
	       row->free_calls, row->free_bytes);
	return 0;
}

static void put_block(const struct pln_block_row *b, size_t i)
{
	/* Order as in tests/lib/recording.py: Block. */
	printf("%s[%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu32 ",%" PRId64 ",%u,%d]",
	       i ? ",\n" : "", b->time_ns, b->freed_ns, b->size, b->interval, b->thread,
	       b->stack == PLN_NONE ? -1 : (int64_t)b->stack, b->kind, b->unfollowed);
}

static void put_definitions(const struct pln_profile *p)
{
	open_list("processes");
	for (size_t i = 0; i < p->process_count; i++, printf("}")) {
		open_item(i);
		put_process(&p->processes[i]);
	}
	close_list();
	open_list("threads");
	for (size_t i = 0; i < p->thread_count; i++, printf("}")) {
		open_item(i);
		put_thread(&p->threads[i]);
	}
	close_list();
	open_list("modules");
	for (size_t i = 0; i < p->module_count; i++, printf("}")) {
		open_item(i);
		put_text("path", p->modules[i].path);
		put_number("build_id_size", p->modules[i].build_id_size);
	}
	close_list();
	open_list("functions");
	for (size_t i = 0; i < p->function_count; i++, printf("}")) {
		open_item(i);
		put_function(&p->functions[i]);
	}
	close_list();
	open_list("frames");
	for (size_t i = 0; i < p->frame_count; i++, printf("}")) {
		open_item(i);
		put_frame(p, i);
	}
	close_list();
	open_list("notes");
	for (size_t i = 0; i < p->note_count; i++, printf("}")) {
		open_item(i);
		put_number("level", p->notes[i].level);
		put_text("text", p->notes[i].text);
	}
	close_list();
	open_list("blocks");
	for (size_t i = 0; i < p->block_count; i++)
		put_block(&p->blocks[i], i);
	close_list();
	open_list("heap_points");
	for (size_t i = 0; i < p->heap_point_count; i++, printf("}")) {
		open_item(i);
		put_number("time_ns", (int64_t)p->heap_points[i].time_ns);
		put_number("process", p->heap_points[i].process);
		put_heap(p->heap_points[i].heap);
		put_number("brk_bytes", (int64_t)p->heap_points[i].brk_bytes);
	}
	close_list();
	open_list("stacks");
	for (size_t i = 0; i < p->stack_count; i++)
		printf("%s[%" PRId64 ",%" PRIu32 "]", i ? "," : "",
		       p->stacks[i].parent == PLN_NONE ? -1 : (int64_t)p->stacks[i].parent,
		       p->stacks[i].frame);
	close_list();
}

int main(int argc, char **argv)
{
	struct pln_profile *profile;
	size_t rows = 0;
	int err;

	if (argc != 2) {
		fprintf(stderr, "usage: dump_profile FILE\n");
		return 64;
	}
	err = pln_profile_open(&profile, argv[1], false);
	if (err) {
		fprintf(stderr, "dump_profile: %s: cannot open (%d)\n", argv[1], err);
		return -err;
	}
	printf("{");
	put_recording(profile);
	put_definitions(profile);
	open_list("samples");
	err = pln_profile_each_sample(profile, put_sample, &rows);
	printf("]}\n");
	pln_profile_close(profile);
	return err ? 1 : 0;
}
