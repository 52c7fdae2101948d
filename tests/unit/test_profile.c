/* SPDX-License-Identifier: MIT */
/*
 * A profile comes back as it was written, its newest values hold, and a disk that is full
 * for a while costs what was counted and nothing else.
 */
#include "small_profile.h"

/* ----------------------------------------------------------------- round trip */

static void check_recording(const struct pln_profile *p)
{
	CHECK_STR(p->recording.command, small_recording.command);
	CHECK_STR(p->recording.host, small_recording.host);
	CHECK_STR(p->recording.pillion_version, "0.1.0");
	CHECK_STR(p->recording.working_directory, "/srv");
	CHECK_EQ(p->recording.start_real_ns, small_recording.start_real_ns);
	CHECK_EQ(p->recording.start_ns, 1000);
	CHECK_EQ(p->recording.period_ns, 10000000);
	CHECK_EQ(p->recording.tick_ns, 9000000);
	CHECK_EQ(p->recording.exit_status, 0x100);
	CHECK_EQ(p->recording.collector_cpu_ns, 77);
	CHECK_EQ(p->recording.collector_peak_rss, 88);
	CHECK(p->recording.complete && p->recording.symbolized && !p->recording.truncated);
	CHECK_EQ(p->recording.end_ns, small_row(299).time_ns);
}

static void check_process(const struct pln_process *p)
{
	struct pln_process want = small_process();

	CHECK(p->pid == 10 && p->inner_pid == 1 && p->ppid == 9);
	CHECK_EQ(p->reason, want.reason);
	CHECK_STR(p->executable, want.executable);
	CHECK_STR(p->command, want.command);
	CHECK(p->start_ns == 1100 && p->end_ns == 0 && p->exit_status == -1);
	CHECK_EQ(p->python_version, want.python_version);
	CHECK(p->free_threaded == 1 && p->interpreter_status == PILLION_INTERPRETER_REFUSED);
	CHECK_STR(p->layout, want.layout);
	CHECK_STR(p->layout_detail, want.layout_detail);
	CHECK_EQ(p->engine, want.engine);
	CHECK(p->period_ns == 10000000 && p->tick_ns == 9000000);
	CHECK(!memcmp(p->drops, want.drops, sizeof(want.drops)));
}

static void check_thread(const struct pln_thread *t)
{
	CHECK(t->process == 0 && t->tid == 11 && t->serial == 3);
	CHECK_STR(t->name, "MainThread");
	CHECK(t->is_main && !t->has_python && !t->exited);
	CHECK(t->start_ns == 1200 && t->seen_ns == 5000 && t->cpu_ns == 300);
	CHECK(t->unsampled_cpu_ns == 4 && t->unsampled_wall_ns == 5);
}

static void check_definitions(const struct pln_profile *p)
{
	const struct pln_location *l = p->locations;
	const uint32_t *first = p->frame_first_location;

	CHECK(p->module_count == 1 && p->frame_count == 4 && p->stack_count == 3);
	CHECK_STR(p->modules[0].path, "/nowhere/libx.so.1");
	CHECK(p->modules[0].build_id_size == 20 && p->modules[0].build_id[2] == 3);
	CHECK(p->modules[0].lo == 0x7f0000001000 && p->modules[0].hi == 0x7f0000009000);
	CHECK_EQ(p->modules[0].bias, 0x7f0000000000);
	/* "run" was defined twice at line 3: one function; the one at line 9 is another. */
	CHECK_EQ(p->function_count, 4);
	CHECK_EQ(p->frames[0].function, p->frames[1].function);
	CHECK(p->frames[0].function != p->frames[2].function);
	CHECK_STR(p->functions[p->frames[2].function].name, "run");
	CHECK_EQ(p->functions[p->frames[2].function].first_line, 9);
	CHECK_STR(p->functions[0].module, "");
	CHECK(p->frames[3].kind == PLN_FRAME_NATIVE && p->frames[3].address == 0x1234);
	CHECK(p->frames[3].guessed && p->frames[3].is_leaf && p->frames[3].module == 0);
	CHECK(p->stacks[0].parent == PLN_NONE && p->stacks[1].parent == 0);
	CHECK(p->stacks[2].parent == 1 && p->stacks[2].frame == 3);
	CHECK(first[1] == 1 && first[3] == 3 && first[4] == 5 && p->location_count == 5);
	CHECK(l[0].function == p->frames[0].function && l[0].line == 5);
	CHECK_STR(p->functions[l[3].function].name, "x_inline");
	CHECK_STR(p->functions[l[4].function].name, "x_run(int)");
	CHECK_STR(p->functions[l[4].function].module, "libx.so.1");
	CHECK(l[3].line == 40 && l[4].line == 22);
}

static void everything_comes_back(void)
{
	struct tally tally = { 0 };
	struct pln_profile *p;

	small_write(3, 100);
	p = small_open();
	check_recording(p);
	CHECK(p->process_count == 1 && p->thread_count == 1);
	check_process(&p->processes[0]);
	check_thread(&p->threads[0]);
	check_definitions(p);
	CHECK_EQ(p->sample_count, 300);
	CHECK(!p->bad_bytes && p->file_size > 500);
	pln_profile_each_sample(p, small_tally_row, &tally);
	CHECK(tally.seen == 300 && !tally.invented);
	pln_profile_close(p);
}

static void newest_values_hold(void)
{
	int fd = small_open_output();
	struct pln_writer *w = small_start_writer(fd);
	struct pln_process process = small_process();
	struct pln_thread thread = small_thread(0, "python3");
	struct pln_note_row note = { 55, PLN_NONE, 1, "the signal handler was replaced" };
	struct pln_profile *p;
	uint64_t bytes;

	small_add_definitions(w);
	CHECK_EQ(pln_writer_flush(w), 0);
	process.end_ns = 9000;
	process.exit_status = 9;
	process.drops[PILLION_DROP_RECURSION] = 5;
	process.handler_ns = 123456;
	pln_writer_update_process(w, 0, &process);
	thread.exited = true;
	thread.cpu_ns = 999;
	pln_writer_update_thread(w, 0, &thread);
	pln_writer_add_note(w, &note);
	CHECK_EQ(pln_writer_flush(w), 0);
	/* What did not change costs nothing, however often it is told. */
	bytes = pln_writer_bytes(w);
	for (int i = 0; i < 100; i++) {
		pln_writer_update_process(w, 0, &process);
		pln_writer_update_thread(w, 0, &thread);
		CHECK_EQ(pln_writer_flush(w), 0);
	}
	CHECK_EQ(pln_writer_bytes(w), bytes);
	p = small_open();
	CHECK(p->processes[0].end_ns == 9000 && p->processes[0].exit_status == 9);
	CHECK_EQ(p->processes[0].drops[PILLION_DROP_RECURSION], 5);
	CHECK_EQ(p->processes[0].handler_ns, 123456);
	CHECK_STR(p->processes[0].layout, "debug-offsets 3.13");
	CHECK(p->threads[0].exited && p->threads[0].cpu_ns == 999);
	CHECK_STR(p->threads[0].name, "python3");
	CHECK(p->note_count == 1 && p->notes[0].process == PLN_NONE && p->notes[0].level == 1);
	CHECK_STR(p->notes[0].text, "the signal handler was replaced");
	/* Still being written: no END, and the end is the newest time known. */
	CHECK(!p->recording.complete && p->recording.exit_status == -1);
	CHECK_EQ(p->recording.end_ns, 9000);
	pln_profile_close(p);
	CHECK_EQ(pln_writer_close(w, &small_recording), 0);
	close(fd);
}

/* Its collector writes its samples each second, and its clocks at the end: which there was not. */
static void a_thread_that_waits_lasts_to_its_last_sample(void)
{
	int fd = small_open_output();
	struct pln_writer *w = small_start_writer(fd);
	struct pln_sample_row row = small_row(0);
	struct pln_thread gone = small_thread(0, "gone");
	struct pln_profile *p;

	small_add_definitions(w);
	gone.exited = true;
	CHECK_EQ(pln_writer_add_thread(w, &gone), 1);
	row.time_ns = 60000;
	pln_writer_add_sample(w, &row);
	row.thread = 1;
	pln_writer_add_sample(w, &row);
	CHECK_EQ(pln_writer_flush(w), 0);
	p = small_open();
	CHECK_EQ(p->threads[0].seen_ns, 60000);
	CHECK_EQ(p->threads[1].seen_ns, 5000);
	pln_profile_close(p);
	CHECK_EQ(pln_writer_close(w, &small_recording), 0);
	p = small_open();
	CHECK_EQ(p->threads[0].seen_ns, 5000);
	pln_profile_close(p);
	close(fd);
}

static void unsymbolized_frames_are_named(void)
{
	int fd = small_open_output();
	struct pln_writer *w = small_start_writer(fd);
	struct pln_module_info vdso = { .path = "[vdso]", .lo = 0x1000, .hi = 0x2000 };
	struct pln_frame frame = {
		.kind = PLN_FRAME_NATIVE, .function = PLN_NONE, .module = PLN_NONE, .address = 0x55
	};
	const struct pln_function *f;
	struct pln_profile *p;

	small_add_definitions(w);
	CHECK_EQ(pln_writer_add_module(w, &vdso), 1);
	CHECK_EQ(pln_writer_add_frame(w, &frame), 4);
	frame.address = 0x66;
	CHECK_EQ(pln_writer_add_frame(w, &frame), 5);
	frame.module = 1;
	CHECK_EQ(pln_writer_add_frame(w, &frame), 6);
	CHECK_EQ(pln_writer_close(w, &small_recording), 0);
	close(fd);
	p = small_open();
	CHECK(!p->recording.symbolized && p->recording.complete);
	f = &p->functions[p->locations[p->frame_first_location[3]].function];
	CHECK_STR(f->name, "libx.so.1+0x1234");
	CHECK_STR(f->module_path, "/nowhere/libx.so.1");
	CHECK(f->unknown && f->kind == PLN_FUNCTION_NATIVE);
	f = &p->functions[p->locations[p->frame_first_location[4]].function];
	CHECK_STR(f->name, "[unknown]");
	CHECK_STR(f->module, "");
	CHECK(f == &p->functions[p->locations[p->frame_first_location[5]].function]);
	f = &p->functions[p->locations[p->frame_first_location[6]].function];
	CHECK_STR(f->name, "[vdso]");
	pln_profile_close(p);
}

/* Two functions that follow each other without a gap, to be looked for in our own file. */
__asm__(".pushsection .text\n"
	"	.type pln_test_first, @function\n"
	"pln_test_first:\n"
	"	nop\n"
	"	.size pln_test_first, . - pln_test_first\n"
	"	.type pln_test_second, @function\n"
	"pln_test_second:\n"
	"	nop\n"
	"	ret\n"
	"	.size pln_test_second, . - pln_test_second\n"
	".popsection\n");
extern const char pln_test_second[], __executable_start[];

static const char *name_of_frame(const struct pln_profile *p, uint32_t frame)
{
	return p->functions[p->locations[p->frame_first_location[frame]].function].name;
}

static void missing_symbols_are_looked_up_here(void)
{
	int fd = small_open_output();
	struct pln_writer *w = small_start_writer(fd);
	struct pln_process process = small_process();
	char self[4096] = "";
	struct pln_module_info module = { .path = self, .lo = 1, .hi = UINT64_MAX };
	struct pln_frame frame = { .kind = PLN_FRAME_NATIVE, .function = PLN_NONE, .is_leaf = 1 };
	struct pln_profile *p;

	CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	frame.address = (uint64_t)(pln_test_second - __executable_start);
	pln_writer_add_process(w, &process);
	CHECK_EQ(pln_writer_add_module(w, &module), 0);
	CHECK_EQ(pln_writer_add_frame(w, &frame), 0);
	/* A return address there: the call was the last instruction of the function before. */
	frame.is_leaf = 0;
	CHECK_EQ(pln_writer_add_frame(w, &frame), 1);
	frame.address++;
	CHECK_EQ(pln_writer_add_frame(w, &frame), 2);
	/* Another file than the one that ran. */
	module.build_id_size = 20;
	CHECK_EQ(pln_writer_add_module(w, &module), 1);
	frame.module = 1;
	CHECK_EQ(pln_writer_add_frame(w, &frame), 3);
	CHECK_EQ(pln_writer_close(w, &small_recording), 0);
	close(fd);
	CHECK_EQ(pln_profile_open(&p, small_path, false), PLN_OPEN_OK);
	CHECK_STR(name_of_frame(p, 0), "pln_test_second");
	CHECK_STR(name_of_frame(p, 1), "pln_test_first");
	CHECK_STR(name_of_frame(p, 2), "pln_test_second");
	CHECK(!strncmp(name_of_frame(p, 3), strrchr(self, '/') + 1,
		       strlen(strrchr(self, '/') + 1)));
	CHECK(!p->functions[p->locations[0].function].unknown && !p->recording.symbolized);
	pln_profile_close(p);
}

static void texts_are_valid_utf8(void)
{
	int fd = small_open_output();
	struct pln_writer *w = small_start_writer(fd);
	struct pln_note_row note = {
		1, PLN_NONE, 0, "caf\xc3\xa9 \xff\xc3 \xed\xa0\x80 \xf0\x9f\x90\x8d \xe2\x82"
	};
	struct pln_profile *p;

	pln_writer_add_note(w, &note);
	CHECK_EQ(pln_writer_close(w, &small_recording), 0);
	close(fd);
	p = small_open();
	CHECK_STR(p->notes[0].text,
		  "café \xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd 🐍 "
		  "\xef\xbf\xbd\xef\xbf\xbd");
	pln_profile_close(p);
}

/* Whatever their order in the file: who asks for those of one process looks at no others. */
static void labels_are_found_by_their_process(void)
{
	static const struct pln_label labels[] = {
		{ 2, "service", "c" }, { 0, "service", "a" }, { 2, "zone", "y" }, { 0, "zone", "x" }
	};
	static const char *const values[] = { "a", "x", "c", "y" };
	int fd = small_open_output();
	struct pln_writer *w = small_start_writer(fd);
	struct pln_process process = small_process();
	struct pln_profile *p;

	for (unsigned i = 0; i < 3; i++)
		pln_writer_add_process(w, &process);
	for (unsigned i = 0; i < 4; i++)
		pln_writer_add_label(w, &labels[i]);
	CHECK_EQ(pln_writer_close(w, &small_recording), 0);
	close(fd);
	p = small_open();
	CHECK_EQ(p->label_count, 4);
	for (unsigned i = 0; i < 4; i++)
		CHECK_STR(p->labels[i].value, values[i]);
	CHECK_EQ(p->first_label[0], 0);
	CHECK_EQ(p->first_label[1], 2);
	CHECK_EQ(p->first_label[2], 2);
	CHECK_EQ(p->first_label[3], 4);
	pln_profile_close(p);
}

/* They change at once, as at the end of a file: more than one chunk may hold. */
static void threads_in_any_number_are_written(void)
{
	const uint32_t count = 500000;
	int fd = small_open_output();
	struct pln_writer *w = small_start_writer(fd);
	struct pln_thread thread = small_thread(0, "worker");
	struct pln_profile *p;

	for (unsigned i = 0; i < PILLION_HEAP_COUNT; i++)
		thread.heap[i] =
			(struct pln_heap_counts){ UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX };
	small_add_definitions(w);
	for (uint32_t i = 1; i < count; i++) {
		thread.tid = i;
		CHECK_EQ(pln_writer_add_thread(w, &thread), i);
	}
	pln_writer_add_sample(w, &(struct pln_sample_row){ .time_ns = 2000, .thread = count - 1 });
	CHECK_EQ(pln_writer_flush(w), 0);
	CHECK_EQ(pln_writer_close(w, &small_recording), 0);
	close(fd);
	p = small_open();
	CHECK_EQ(p->thread_count, count);
	CHECK_EQ(p->threads[count - 1].tid, count - 1);
	CHECK(p->sample_count == 1 && !p->bad_bytes && p->recording.complete);
	pln_profile_close(p);
}

/* ------------------------------------------------------------------ full disk */

#define ROWS_A_CHUNK 40

static void limit_file_size(rlim_t bytes)
{
	struct rlimit limit = { bytes, RLIM_INFINITY };

	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The disk fills up in the middle of a chunk, at each of many places, and has room again. */
static void short_writes_are_taken_back(void)
{
	for (rlim_t limit = 0; limit < 4000; limit += 97) {
		int fd = small_open_output();
		struct pln_writer *w = small_start_writer(fd);
		uint64_t row = 0;
		int64_t before;

		small_add_definitions(w);
		limit_file_size(pln_writer_bytes(w) + limit);
		for (unsigned i = 0; i < 5; i++) {
			for (unsigned k = 0; k < ROWS_A_CHUNK; k++) {
				struct pln_sample_row sample = small_row(row++);

				pln_writer_add_sample(w, &sample);
			}
			pln_writer_flush(w);
			/* Readable at every moment, no torn chunk in it. */
			before = small_samples();
			CHECK(before >= 0 && before <= (int64_t)row);
			CHECK_EQ(lseek(fd, 0, SEEK_END), pln_writer_bytes(w));
		}
		limit_file_size(RLIM_INFINITY);
		small_add_symbols(w);
		CHECK_EQ(pln_writer_lost_samples(w), 0);
		CHECK_EQ(pln_writer_close(w, &small_recording), 0);
		CHECK_EQ(small_samples(), 5 * ROWS_A_CHUNK);
		close(fd);
	}
}

static void what_a_full_disk_costs_is_counted(void)
{
	int fd = small_open_output();
	struct pln_writer *w = small_start_writer(fd);
	const uint64_t rows = 400000;
	struct pln_profile *p;
	uint64_t lost;

	small_add_definitions(w);
	limit_file_size(pln_writer_bytes(w));
	for (uint64_t i = 0; i < rows; i++) {
		struct pln_sample_row sample = small_row(i);

		pln_writer_add_sample(w, &sample);
	}
	CHECK(pln_writer_flush(w) < 0);
	lost = pln_writer_lost_samples(w);
	CHECK(lost > 0 && lost < rows / 2);
	limit_file_size(RLIM_INFINITY);
	CHECK_EQ(pln_writer_close(w, &small_recording), 0);
	close(fd);
	CHECK_EQ(small_samples(), rows - lost);
	p = small_open();
	CHECK_EQ(p->recording.lost_samples, lost);
	pln_profile_close(p);
}

/* Rows are counted by who adds them: from these alone may be taken what of them was lost. */
static void blocks_and_frees_are_lost_apart_from_samples(void)
{
	const struct pln_block_row block = { .time_ns = 3000, .size = 99, .interval = 4096 };
	const struct pln_block_row unknown = { .thread = 7, .size = 99, .interval = 4096 };
	const struct pln_sample_row sample = small_row(1);
	int fd = small_open_output();
	struct pln_writer *w = small_start_writer(fd);
	struct pln_profile *p;
	uint32_t id = 0;

	small_add_definitions(w);
	CHECK_EQ(pln_writer_flush(w), 0);
	limit_file_size(pln_writer_bytes(w));
	for (unsigned i = 0; i < 3; i++)
		pln_writer_add_sample(w, &sample);
	for (unsigned i = 0; i < 10; i++)
		id = pln_writer_add_block(w, &block);
	pln_writer_add_free(w, id, 4000);
	CHECK_EQ(pln_writer_add_block(w, &unknown), PLN_NONE);
	CHECK_EQ(pln_writer_lost_samples(w), 0);
	CHECK_EQ(pln_writer_lost_blocks(w), 1);
	CHECK(pln_writer_end(w, &small_recording) < 0);
	CHECK_EQ(pln_writer_lost_samples(w), 3);
	CHECK_EQ(pln_writer_lost_blocks(w), 1 + 10 + 1);
	limit_file_size(RLIM_INFINITY);
	CHECK_EQ(pln_writer_close(w, &small_recording), 0);
	close(fd);
	p = small_open();
	CHECK_EQ(p->recording.lost_samples, 3 + 12);
	CHECK_EQ(p->sample_count + p->block_count, 0);
	pln_profile_close(p);
}

/* More definitions than are kept: samples that need them are given up, the file stays right. */
static void definitions_are_bounded_too(void)
{
	int fd = small_open_output();
	struct pln_writer *w = small_start_writer(fd);
	static char name[2000];
	struct pln_thread thread = small_thread(0, name);
	struct pln_profile *p;
	uint32_t stack = 0;

	small_add_definitions(w);
	limit_file_size(pln_writer_bytes(w));
	memset(name, 'n', sizeof(name) - 1);
	for (uint32_t i = 0; i < 40000; i++) {
		struct pln_function function = { .name = name, .file = "f.py" };
		struct pln_frame frame = { .module = PLN_NONE };
		struct pln_sample_row sample = small_row(i);

		snprintf(name, 20, "%019u", i);
		name[19] = 'n';
		frame.function = pln_writer_add_function(w, &function);
		stack = pln_writer_add_stack(
			w, &(struct pln_stack_node){ 0, pln_writer_add_frame(w, &frame) });
		sample.stack = stack;
		/* Threads and processes are always kept; a name that cannot be is "". */
		thread.name = name;
		pln_writer_add_thread(w, &thread);
		if (i % 100 == 0)
			pln_writer_add_sample(w, &sample);
	}
	/* Ids go on; their samples do not. */
	CHECK_EQ(stack, 40002);
	CHECK(pln_writer_lost_samples(w) > 100 && pln_writer_lost_samples(w) < 300);
	limit_file_size(RLIM_INFINITY);
	CHECK_EQ(pln_writer_flush(w), 0);
	for (uint64_t i = 0; i < 10; i++) {
		struct pln_sample_row sample = small_row(i);

		pln_writer_add_sample(w, &sample);
	}
	CHECK_EQ(pln_writer_close(w, &small_recording), 0);
	close(fd);
	p = small_open();
	CHECK(p->sample_count > 110 && !p->bad_bytes && p->recording.complete);
	CHECK(p->stack_count > 20000 && p->stack_count < 40000);
	CHECK_EQ(p->thread_count, 40001);
	CHECK(strlen(p->threads[1].name) == sizeof(name) - 1);
	CHECK_STR(p->threads[40000].name, "");
	CHECK_EQ(p->sample_count + p->recording.lost_samples, 400 + 10);
	pln_profile_close(p);
}

/* What one target has for a path, say, must not end the definitions of all others. */
static void a_text_of_any_size_leaves_room_for_others(void)
{
	const size_t size = 60u << 20;
	int fd = small_open_output();
	struct pln_writer *w = small_start_writer(fd);
	struct pln_note_row note = { 1, PLN_NONE, 0, "" };
	struct pln_module_info module = { .lo = 1, .hi = 2 };
	char *text = malloc(size);
	struct pln_profile *p;

	memset(text, 'n', size);
	text[size - 1] = '\0';
	note.text = module.path = text;
	small_add_definitions(w);
	pln_writer_add_note(w, &note);
	pln_writer_add_module(w, &module);
	CHECK_EQ(pln_writer_add_stack(w, &(struct pln_stack_node){ 1, 2 }), 3);
	pln_writer_add_sample(w, &(struct pln_sample_row){ .time_ns = 2000, .stack = 3 });
	CHECK_EQ(pln_writer_lost_samples(w), 0);
	CHECK_EQ(pln_writer_close(w, &small_recording), 0);
	close(fd);
	p = small_open();
	CHECK(p->stack_count == 4 && p->sample_count == 1 && !p->bad_bytes);
	CHECK_EQ(strlen(p->notes[0].text), 1u << 20);
	CHECK_EQ(strlen(p->modules[1].path), 1u << 20);
	pln_profile_close(p);
	free(text);
}

int main(void)
{
	int fd = small_start();

	everything_comes_back();
	newest_values_hold();
	a_thread_that_waits_lasts_to_its_last_sample();
	unsymbolized_frames_are_named();
	missing_symbols_are_looked_up_here();
	texts_are_valid_utf8();
	labels_are_found_by_their_process();
	threads_in_any_number_are_written();
	a_text_of_any_size_leaves_room_for_others();
	short_writes_are_taken_back();
	what_a_full_disk_costs_is_counted();
	blocks_and_frees_are_lost_apart_from_samples();
	definitions_are_bounded_too();
	close(fd);
	return check_result();
}
