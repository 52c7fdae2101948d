/* SPDX-License-Identifier: MIT */
/*
 * What the user sees: the report of a known profile as text and as JSON, at every width,
 * hostile names made harmless, quantities in words.
 */
#include "check.h"
#include "tiny_profile.h"

#include <locale.h>

#include "report/names.h"
#include "report/text_i.h"

/* Closes the profile. */
static char *text_of_profile(struct pln_profile *profile, const struct pln_report_options *options,
			     unsigned width, bool utf8)
{
	struct pln_screen screen = { .width = width, .utf8 = utf8 };
	struct pln_report report;
	char *text = NULL;
	size_t size;

	screen.out = open_memstream(&text, &size);
	CHECK_EQ(pln_report_build(&report, profile, "tiny.pillion", options), 0);
	pln_report_print_text(&report, &screen);
	fclose(screen.out);
	pln_report_free(&report);
	pln_profile_close(profile);
	return text;
}

static char *text_of(const struct pln_report_options *options, bool with_samples, unsigned width,
		     bool utf8)
{
	return text_of_profile(tiny_open(with_samples), options, width, utf8);
}

static void check_has(const char *text, const char *line)
{
	if (!CHECK(strstr(text, line) != NULL))
		fprintf(stderr, "\tno \"%s\" in:\n%s\n", line, text);
}

static void check_hasnt(const char *text, const char *line)
{
	if (!CHECK(strstr(text, line) == NULL))
		fprintf(stderr, "\t\"%s\" in:\n%s\n", line, text);
}

static void test_text(void)
{
	const struct pln_report_options options = { .view = PLN_VIEW_CPU };
	char *text = text_of(&options, true, 120, false);

	check_has(text, "  command    python3 app.py\n");
	check_has(text, "  python     3.11.2, pid 100; layout 3.11 checked");
	check_has(text, "10 of 3 threads in 2 processes; 10.0 % with native frames cut off");
	check_has(text, "dropped    2: the collector did not keep up");
	check_has(text, "CPU 94.4 % of the 90.0 ms");
	check_has(text, "pid 100: be\\x1bware");
	check_has(text, "100 % is 85.0 ms of CPU time");
	check_has(text,
		  "    43.5     43.5  37.0 ms  native  micro              libnum gemm.c:69\n");
	check_has(text, "    36.5     80.0  31.0 ms  python  fact               app.py:10\n");
	check_has(text, "     3.5      3.5  3.00 ms          (no stack)\n");
	check_has(text, "    43.5               < fact                 app.py:12\n");
	check_has(text, "    36.5      43.5     80.0  app.py:12  fact       100.0  micro           "
			"libnum\n");
	check_has(text, "  200  python3 child.py  main  app.py:1  15.0 ms");
	check_has(text, "main  app.py:1  102  100  10.0 ms");
	check_has(text, "killed by SIGKILL");
	check_has(text, "GIL  one a process, held at least 5.50 % to 21.0 % of its time\n");
	check_has(text, "  held, running                 48.0 ms      20.6\n");
	check_has(text, "  not known, waiting for a CPU  3.00 ms       1.3\n");
	check_has(text, "   69.0   100 ms  epoll_wait            100.0  lib.py:21  wait;ing\n");
	check_has(text, "   27.6  40.0 ms  waiting for the GIL   100.0  lib.py:21  wait;ing\n");
	check_has(text, "    3.4  5.00 ms  futex (other locks)   100.0  lib.py:21  wait;ing\n");
	free(text);
}

/* Of a profile that `change` was made to. */
static char *changed_text(void (*change)(struct pln_profile *),
			  const struct pln_report_options *options)
{
	struct pln_profile *profile = tiny_open(true);

	change(profile);
	return text_of_profile(profile, options, 120, false);
}

static void refuse_layout(struct pln_profile *profile)
{
	profile->processes[0].layout = "";
	profile->processes[0].interpreter_status = PILLION_INTERPRETER_REFUSED;
}

static void change_version(struct pln_profile *profile)
{
	profile->processes[1].python_version = 0x030d01f0;
}

/* Of the processes only those are said to run another version that do. */
static void test_another_interpreter(void)
{
	const struct pln_report_options options = { .view = PLN_VIEW_CPU };
	char *text = changed_text(change_version, &options);

	check_has(text, "  100  python3 app.py    main  app.py:1          70.0 ms");
	check_has(text, "  200  python3 child.py  main  app.py:1  3.13.1  15.0 ms");
	free(text);
}

static void ask_for_much(struct pln_profile *profile)
{
	profile->recording.period_ns = profile->recording.tick_ns = 100000;
}

static void test_high_rates_are_told_in_full(void)
{
	const struct pln_report_options options = { .view = PLN_VIEW_CPU };
	char *text = changed_text(ask_for_much, &options);

	check_has(text, "samples per CPU second of 10000 asked");
	check_has(text, "ticks per second of 10000 asked");
	free(text);
}

static void forget_symbol(struct pln_profile *profile)
{
	struct pln_function *f = &profile->functions[tiny_function(profile, "micro")];

	f->name = "_num.cpython-311-x86_64-linux-gnu.so+0x12f0";
	f->unknown = 1;
}

static void test_a_function_without_a_symbol(void)
{
	const struct pln_report_options options = { .view = PLN_VIEW_CPU };
	char *text = changed_text(forget_symbol, &options);

	check_has(text, "  native  _num+0x12f0        libnum gemm.c:69\n");
	free(text);
}

static void test_an_interpreter_without_a_layout(void)
{
	const struct pln_report_options options = { .view = PLN_VIEW_CPU };
	char *text = changed_text(refuse_layout, &options);

	check_has(text, "pid 100; layout refused, native frames only");
	free(text);
}

/* Two that no sample met. */
static void add_threads(struct pln_profile *profile)
{
	struct pln_thread *threads = calloc(profile->thread_count + 2, sizeof(*threads));

	memcpy(threads, profile->threads, profile->thread_count * sizeof(*threads));
	free(profile->threads);
	profile->threads = threads;
	for (unsigned i = 0; i < 2; i++) {
		threads[profile->thread_count] = threads[1];
		threads[profile->thread_count].tid = 301 + i;
		threads[profile->thread_count++].cpu_ns = 2 * TINY_MS;
	}
}

/* A row of dashes for each says nothing. */
static void test_threads_without_a_sample(void)
{
	const struct pln_report_options options = { .view = PLN_VIEW_CPU, .limit = 2 };
	char *text = changed_text(add_threads, &options);

	check_has(text, "  1 more thread (--limit 0 shows all)\n"
			"  2 threads without a sample: 4.00 ms of CPU, 224 ms of wall time\n");
	check_hasnt(text, "301");
	free(text);
}

/* Two of one pool, and others that no sample met. */
static void name_a_pool(struct pln_profile *profile)
{
	add_threads(profile);
	profile->threads[0].name = "pool-1";
	profile->threads[0].is_main = false;
	profile->threads[1].name = "pool-23";
}

/* With less rows than threads, those that look alike are one row; with enough, none are. */
static void test_threads_that_look_alike(void)
{
	struct pln_report_options options = { .view = PLN_VIEW_CPU, .limit = 2 };
	char *text = changed_text(name_a_pool, &options);

	check_has(text, "  thread   runs            threads  tid  pid      CPU  off-CPU");
	check_has(text, "  pool-1   main  app.py:1        2       100  70.0 ms   145 ms");
	check_has(text, "  tid 201  main  app.py:1           201  200  15.0 ms        -");
	check_hasnt(text, "more thread");
	free(text);
	options.limit = 3;
	text = changed_text(name_a_pool, &options);
	check_has(text, "  thread   runs            tid  pid      CPU  off-CPU");
	check_has(text, "  pool-23  main  app.py:1  102  100  10.0 ms   100 ms");
	free(text);
	options = (struct pln_report_options){ .view = PLN_VIEW_OFFCPU, .limit = 3 };
	text = changed_text(name_a_pool, &options); /* most of what the view is about first */
	CHECK(strstr(text, "  pool-23  main") < strstr(text, "  pool-1   main"));
	free(text);
}

/* The functions that lead to others have much total time, whatever they are sorted by. */
static void test_callers_are_shown(void)
{
	struct pln_report_options options = { .view = PLN_VIEW_CPU, .limit = 1 };
	char *text = text_of(&options, true, 120, false);

	check_has(text, "    36.5      43.5     80.0  fact      app.py:10\n\n"
			"Python callers  more functions, by total time: what leads to the above\n"
			"  self %  native %  total %  function  file:line\n"
			"    11.8       0.0     91.8  main      app.py:1\n\n");
	free(text);
	options.limit = 2;
	text = text_of(&options, true, 120,
		       false); /* and of libraries; _start is the interpreter's */
	check_has(text, "Native callers  more functions of libraries, by total time\n"
			"  self %  total %  self  kind    function  file:line, library\n"
			"     0.0     43.5     -  native  dgemm     libnum gemm.c:98\n"
			"  4 more functions (");
	free(text);
	options.limit = 1;
	options.sort = PLN_SORT_TOTAL;
	text = text_of(&options, true, 120, false);
	check_hasnt(text, "callers");
	check_has(text, "  1 more Python function (");
	free(text);
	options = (struct pln_report_options){ .view = PLN_VIEW_OFFCPU, .limit = 4 };
	text = text_of(&options, true, 120, false); /* main() has no time of its own */
	check_has(text, "     0.0       0.0    100.0  main      app.py:1\n");
	check_hasnt(text, "Python callers");
	free(text);
}

/* A line has what it called of libraries, where that is not in the table of lines already. */
static void test_lines_of_the_program(void)
{
	struct pln_report_options options = { .view = PLN_VIEW_OFFCPU };
	char *text = text_of(&options, true, 120, false);

	check_has(text, "Lines of the program  spent: by the line, and in what it calls of "
			"libraries\n"
			"  spent %  self %  total %  file:line  function\n"
			"    100.0     0.0    100.0  app.py:3   main\n\n");
	free(text);
	options.part = PLN_REPORT_LINES;
	text = text_of(&options, true, 120, false);
	check_has(text, "    100.0     0.0    100.0  app.py:3   main\n");
	free(text);
	options = (struct pln_report_options){ .view = PLN_VIEW_CPU };
	text = text_of(&options, true, 120, false);
	check_hasnt(text, "Lines of the program");
	free(text);
}

/* At 80 columns a line still says which native function of which library it is slow in. */
static void test_lines_keep_their_library(void)
{
	const struct pln_report_options options = { .view = PLN_VIEW_CPU };
	char *text = text_of(&options, true, 72, false);

	check_has(text, "total %  file:line  native, mostly  of library\n");
	check_has(text, "80.0  app.py:12  micro           libnum\n");
	free(text);
}

static void test_info(void)
{
	const struct pln_report_options options = { .view = PLN_VIEW_CPU };
	struct pln_profile *profile = tiny_open(true);
	struct pln_screen screen = { .width = 120 };
	struct pln_report report;
	char *text = NULL;
	size_t size;

	screen.out = open_memstream(&text, &size);
	profile->threads[0].name = "python3";
	profile->threads[0].cpu_ns = 100 * TINY_MS;
	profile->processes[0].process_cpu_ns = 120 * TINY_MS;
	profile->processes[0].sampler_cpu_ns = 4 * TINY_MS;
	CHECK_EQ(pln_report_build(&report, profile, "tiny.pillion", &options), 0);
	pln_info_print_text(&report, &screen);
	fclose(screen.out);
	check_has(text, "CPU clock  200 ms = 85.0 ms sampled + 45.0 ms unsampled + 5.00 ms in the "
			"sampling thread + 65.0 ms before");
	check_has(text, "CPU clock  120 ms = 70.0 ms sampled + 40.0 ms unsampled");
	check_has(text, "wall clock 238 ms = 233 ms sampled + 5.00 ms unsampled");
	check_has(text, "  python3   main  app.py:1  101        5      60.0 ms    100 ms");
	check_hasnt(text, "(alive)"); /* its process is gone */
	/* The second process has the interpreter of the first. */
	CHECK(!strstr(strstr(text, "Process  200"), "executable"));
	check_hasnt(text, " 0 B");
	free(text);
	pln_report_free(&report);
	pln_profile_close(profile);
}

/* Of a process that took no time, and whose threads no sample met. */
static void test_info_of_nothing(void)
{
	const struct pln_report_options options = { .view = PLN_VIEW_CPU };
	struct pln_profile *profile = tiny_open(false);
	struct pln_screen screen = { .width = 60 };
	struct pln_report report;
	char *text = NULL;
	size_t size;

	screen.out = open_memstream(&text, &size);
	for (size_t i = 0; i < profile->process_count; i++)
		profile->processes[i].process_cpu_ns = profile->processes[i].sampler_cpu_ns = 0;
	for (size_t i = 0; i < profile->thread_count; i++)
		profile->threads[i].cpu_ns = profile->threads[i].unsampled_cpu_ns = 0;
	CHECK_EQ(pln_report_build(&report, profile, "tiny.pillion", &options), 0);
	pln_info_print_text(&report, &screen);
	fclose(screen.out);
	check_has(text, "  CPU clock  0 s\n");
	check_hasnt(text, "CPU sampled");
	check_has(text, "  2 threads without a sample: 0 s of CPU, ");
	free(text);
	pln_report_free(&report);
	pln_profile_close(profile);
}

/* Words are whole where they can be, and a number keeps its unit. */
static void test_lines_end_between_words(void)
{
	CHECK_EQ(pln_text_line_bytes("short", 10), 5);
	CHECK_EQ(pln_text_line_bytes("/usr/bin/python3 forks.py 300", 20), 16);
	CHECK_EQ(pln_text_line_bytes("it took 12 ms of them", 11), 7);
	CHECK_EQ(pln_text_line_bytes("of +0.6 sigma", 9), 2);
	CHECK_EQ(pln_text_line_bytes("it is 100 % of it", 10), 5);
	CHECK_EQ(pln_text_line_bytes("a_word_that_is_longer", 6), 6);
}

static void test_gil_view(void)
{
	const struct pln_report_options options = { .view = PLN_VIEW_GIL, .limit = 1 };
	char *text = text_of(&options, true, 120, false);

	check_has(text, "  self %  total %  holding  waiting  kind    function");
	check_has(text, "    48.4     48.4  5.00 ms  40.0 ms  native  futex_wait");
	check_has(text, "more functions (--limit 0 shows all)");
	free(text);
}

static void test_sort_and_filter(void)
{
	struct pln_report_options options = { .sort = PLN_SORT_NAME };
	char *text = text_of(&options, true, 100, false);

	CHECK(strstr(text, "(no stack)  ") < strstr(text, "python  fact"));
	CHECK(strstr(text, "python  fact") < strstr(text, "native  micro"));
	free(text);
	options.filter.threads = "worker";
	text = text_of(&options, true, 100, false);
	check_has(text, "only       threads matching worker");
	check_has(text, "100 % is 10.0 ms of CPU time");
	check_hasnt(text, "child.py");
	free(text);
	options.filter.threads = "app.py"; /* where what they run is */
	text = text_of(&options, true, 100, false);
	check_has(text, "100 % is 85.0 ms of CPU time");
	free(text);
	options.filter.threads = "nobody,mai"; /* all of them run main() */
	text = text_of(&options, true, 100, false);
	check_has(text, "100 % is 85.0 ms of CPU time");
	free(text);
}

static void test_tree(void)
{
	const struct pln_report_options options = { .view = PLN_VIEW_CPU, .part = PLN_REPORT_TREE };
	char *text = text_of(&options, true, 80, false);

	check_has(text, "    91.8     0.0  _start  python3.11\n"
			"    91.8    11.8  main  app.py:1\n"
			"    80.0     0.0  fact  app.py:10\n"
			"    43.5     0.0  +- dgemm  libnum gemm.c:98\n"
			"    43.5    43.5  |  micro  libnum gemm.c:69\n"
			"    36.5     0.0  `- fact  app.py:10\n"
			"    36.5    36.5     fact  app.py:10\n"
			"     4.7     4.7  [anon]+0x7fff0000  (no library)\n"
			"     3.5     3.5  (no stack)\n");
	check_hasnt(text, "native calls"); /* one is shorter than a line about it */
	free(text);
	text = text_of(&options, true, 80, true);
	check_has(text, "  43.5     0.0  ├─ dgemm");
	free(text);
}

/* A native function of /opt/libnum.so declared at line 10, inlined into itself at `outer`. */
static void sample_inlined(struct pln_writer *w, const char *name, uint32_t inner, uint32_t outer)
{
	const struct pln_function f = { .name = name,
					.file = "/src/num.c",
					.module = "libnum.so",
					.module_path = "/opt/libnum.so",
					.first_line = 10,
					.kind = PLN_FUNCTION_NATIVE };
	const struct pln_frame frame = { .kind = PLN_FRAME_NATIVE,
					 .module = PLN_NONE,
					 .address = 0x1000 + inner * 100 + outer,
					 .function = PLN_NONE };
	const uint32_t function = pln_writer_add_function(w, &f);
	const struct pln_location locations[] = { { function, inner }, { function, outer } };
	const struct pln_stack_node node = { PLN_NONE, pln_writer_add_frame(w, &frame) };
	const struct pln_sample_row row = { .stack = pln_writer_add_stack(w, &node),
					    .cpu_ns = 10 * TINY_MS,
					    .syscall_nr = -1 };

	pln_writer_add_locations(w, node.frame, locations, 2);
	pln_writer_add_sample(w, &row);
}

/* In Py_FinalizeEx: the check that it begins with and the rest of it. Recursion is recursion. */
static void test_a_split_function_is_one_call(void)
{
	const struct pln_report_options options = { .view = PLN_VIEW_CPU,
						    .part = PLN_REPORT_TREE,
						    .limit = 10 };
	struct tiny t = { .w = NULL };
	struct pln_recording recording = {
		.command = "", .host = "", .pillion_version = "", .working_directory = ""
	};
	char path[] = "/tmp/pillion-split-XXXXXX", *text = NULL;
	int fd = mkstemp(path);
	size_t size;
	struct pln_screen screen = { .width = 80 };
	struct pln_profile *profile;
	struct pln_report report;

	CHECK_EQ(pln_writer_open(&t.w, fd, &recording), 0);
	tiny_processes(&t);
	sample_inlined(t.w, "split", 30, 10);
	sample_inlined(t.w, "recursive", 30, 25);
	sample_inlined(t.w, "one_line", 10, 10); /* either */
	CHECK_EQ(pln_writer_close(t.w, &recording), 0);
	CHECK_EQ(pln_profile_open(&profile, path, true), 0);
	close(fd);
	unlink(path);
	screen.out = open_memstream(&text, &size);
	CHECK_EQ(pln_report_build(&report, profile, "split.pillion", &options), 0);
	pln_report_print_text(&report, &screen);
	fclose(screen.out);
	check_has(text, "    33.3    33.3  split  libnum num.c:10\n"
			"    33.3     0.0  recursive  libnum num.c:10\n"
			"    33.3    33.3  recursive  libnum num.c:10\n"
			"    33.3     0.0  one_line  libnum num.c:10\n"
			"    33.3    33.3  one_line  libnum num.c:10\n");
	free(text);
	pln_report_free(&report);
	pln_profile_close(profile);
}

/* No line but the title is wider than the screen, and none ends in a blank. */
static void test_every_width(void)
{
	for (unsigned part = 0; part <= PLN_REPORT_LINES; part++) {
		for (unsigned width = 60; width <= 240; width += 10) {
			const struct pln_report_options options = { .part = part };
			char *text = text_of(&options, true, width, false), *rest = text, *line;

			while ((line = strsep(&rest, "\n"))) {
				size_t size = strlen(line);

				if (!CHECK(size <= width))
					fprintf(stderr, "\t%u: %s\n", width, line);
				CHECK(!size || line[size - 1] != ' ');
			}
			free(text);
		}
	}
}

static void test_empty(void)
{
	const struct pln_report_options options = { .view = PLN_VIEW_CPU };
	struct pln_note_row notes[] = { { .text = "a note" }, { .level = 1, .text = "a warning" } };
	struct pln_profile *profile = tiny_open(false);
	struct pln_report report;
	char *text = text_of(&options, false, 100, false);
	char why[512];

	check_has(text, "0 of 3 threads");
	check_hasnt(text, "Functions");
	free(text);
	CHECK_EQ(pln_report_build(&report, profile, "tiny.pillion", &options), 0);
	CHECK_EQ(report.totals.all.ns, 0);
	pln_report_explain_empty(&report, why, sizeof(why));
	check_has(why, "no sample was recorded: the program may have ended");
	profile->notes = notes;
	profile->note_count = 2;
	pln_report_explain_empty(&report, why, sizeof(why));
	check_has(why, "no sample was recorded; a warning of it: a warning");
	profile->notes = NULL;
	profile->note_count = 0;
	pln_report_free(&report);
	pln_profile_close(profile);
}

static void test_json(void)
{
	const struct pln_report_options options = { .view = PLN_VIEW_CPU };
	struct pln_profile *profile = tiny_open(true);
	struct pln_report report;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	CHECK_EQ(pln_report_build(&report, profile, "tiny\"\x01\xff.pillion", &options), 0);
	pln_report_print_json(&report, out);
	fclose(out);
	check_has(text, "\"schema\": \"pillion-report\"");
	check_has(text, "\"profile\": \"tiny\\\"\\u0001\xef\xbf\xbd.pillion\"");
	check_has(text, "\"wall_ns\": 233000000");
	check_has(text, "\"lane_full\": 2");
	check_has(text, "\"text\": \"be\\u001bware\"");
	check_has(text, "\"self_ns\": 37000000");
	check_has(text, "\"program\": true,\n\t\t\t\"spent_ns\": ");
	check_has(text, "\"program\": false,\n\t\t\t\"spent_ns\": 0,\n");
	check_has(text, "\"entry\": {\n\t\t\t\t\"function\": \"main\"");
	free(text);
	pln_report_free(&report);
	pln_profile_close(profile);
}

static void check_printable(const char *in, const char *expected)
{
	char *out = pln_printable(in);

	CHECK_STR(out, expected);
	free(out);
}

static void test_printable(void)
{
	check_printable("plain", "plain");
	check_printable("a\nb\tc\x7f", "a\\nb\\tc\\x7f");
	check_printable("\x1b[31mred", "\\x1b[31mred");
	check_printable("\xc3\xa9\xe4\xb8\xad", "\xc3\xa9\xe4\xb8\xad");
	check_printable("\xff\xc0\xafx", "\\xff\\xc0\\xafx"); /* never UTF-8; overlong */
	check_printable("\xe2\x80\xae!", "\\u202e!"); /* right-to-left override */
	check_printable("\xc2\x9b", "\\x9b"); /* C1: an escape in one character */
	check_printable("\xe4\xb8", "\\xe4\\xb8"); /* cut */
}

static void check_command(const char *in, size_t same, const char *expected)
{
	char buffer[64];

	CHECK_STR(pln_short_command(in, same, buffer, sizeof(buffer)), expected);
}

/* Processes are told apart by their commands: what is common to them is what goes. */
static void test_commands(void)
{
	static const char spawn[] = "/v/bin/python3 -B -c 'from multiprocessing.spawn import spawn_"
				    "main; spawn_main(tracker_fd=6, pipe_handle=12)'";
	static const char script[] = "/v/bin/python3 -c 'import time; time.sleep(1); print(\"b\")'";

	check_command("/v/bin/python3 app.py", 20, "python3 app.py");
	check_command("python3", 3, "python3");
	check_command("python3 -c '\n\timport x\n'", 0, "python3 -c ' import x '");
	check_command(spawn, 99, "multiprocessing.spawn");
	check_command(script, 0, "python3 -c 'import time; time.sleep(1); print(\"b\")'");
	check_command(script, sizeof(script) - 5, "python3 .. print(\"b\")'");
	check_command("", 0, "");
	check_command("/a/very/long/path/to/a/program/that/hasnt/got/arguments", 50, "arguments");
	check_command("python3 012345678901234567890123456789012345678901234567890123456789", 0,
		      "python3 0123456789012345678901234567890123456789012345678901234");
}

static void check_symbol(const char *in, const char *expected)
{
	char buffer[64];

	CHECK_STR(pln_short_symbol(in, buffer, sizeof(buffer)), expected);
}

static void test_symbols(void)
{
	check_symbol("deflate_slow", "deflate_slow");
	check_symbol("void sort<int, std::less<int> >(int*, long)", "void sort<int, ..>(..)");
	check_symbol("partition<zmm_vector<double>, Less<double, false>, 8>",
		     "partition<zmm_vector<double>, ..>");
	check_symbol("unique<std::basic_string<char, std::less<char> > >()", "unique<..>()");
	check_symbol("nothing<>", "nothing<>");
	check_symbol("f<a->*b, (1<2)>::g(x)>", "f<a->*b, ..>");
	check_symbol("f<&operator<>(int)", "f<&operator<>(int)");
	check_symbol("f()", "f()");
	check_symbol("(anonymous namespace)::g(int)", "(anonymous namespace)::g(..)");
	check_symbol("A<B>::operator<<(int)", "A<B>::operator<<(..)");
	check_symbol("A::operator()(int) const", "A::operator()(..) const");
	check_symbol("auto h<(x)->y>()", "auto h<(x)->y>()");
	check_symbol("<T as core::fmt::Debug>::fmt", "<T>::fmt");
	check_symbol("<std::sys::thread::Thread>::new::thread_start",
		     "<Thread>::new::thread_start");
	check_symbol("<a::b::Lazy<c::Series>>::get::<d::e>", "<Lazy>::get::<d::e>");
	check_symbol("<a::Once<b::C>::x::Y as d::E>::f", "<Once>::f");
	check_symbol("<[u8] as a::very::long::path>::f", "<..>::f");
	check_symbol("<&mut a::B as core::iter::Iterator>::next", "<..>::next");
	check_symbol("<a::>::f", "<a::>::f");
	check_symbol("<lambda>::f", "<lambda>::f");
	check_symbol("not>balanced<", "not>balanced<");
	check_symbol("never(closed", "never(closed");
	check_symbol("", "");
}

static void test_quantities(void)
{
	char b[PLN_QUANTITY_SIZE];

	CHECK_STR(pln_duration_text(b, 0), "0 s");
	CHECK_STR(pln_duration_text(b, 999), "999 ns");
	CHECK_STR(pln_duration_text(b, 12345), "12.3 us");
	CHECK_STR(pln_duration_text(b, 999999), "1.00 ms");
	CHECK_STR(pln_duration_text(b, 9994999), "9.99 ms");
	CHECK_STR(pln_duration_text(b, 9996000), "10.0 ms");
	CHECK_STR(pln_duration_text(b, 999499999), "999 ms");
	CHECK_STR(pln_duration_text(b, 999600000), "1.00 s");
	CHECK_STR(pln_duration_text(b, 9999000000), "10.0 s");
	CHECK_STR(pln_duration_text(b, 3723000000000), "62 min 03 s");
	CHECK_STR(pln_duration_text(b, UINT64_MAX), "5124095 h 34 min");
	CHECK_STR(pln_count_text(b, 0), "0");
	CHECK_STR(pln_count_text(b, 999), "999");
	CHECK_STR(pln_count_text(b, 1234567), "1,234,567");
	CHECK_STR(pln_count_text(b, UINT64_MAX), "18,446,744,073,709,551,615");
	CHECK_STR(pln_bytes_text(b, 1023), "1023 B");
	CHECK_STR(pln_bytes_text(b, 3 << 20), "3.0 MiB");
	CHECK_STR(pln_percent_text(b, 1, 0), "-");
	CHECK_STR(pln_percent_text(b, 1, 8), "12.5");
}

static void test_names(void)
{
	char b[64];

	CHECK_STR(pln_short_file("/srv/app/pkg/a.py", "/srv/app"), "pkg/a.py");
	CHECK_STR(pln_short_file("/srv/apple/a.py", "/srv/app"), "/srv/apple/a.py");
	CHECK_STR(pln_short_file("/v/lib/python3.11/json/decoder.py", "/"), "json/decoder.py");
	CHECK_STR(pln_short_file("/v/lib/python3.11/site-packages/np/x.py", ""), "np/x.py");
	CHECK(!pln_is_library_file("/srv/app/pkg/a.py") && !pln_is_library_file("<string>"));
	CHECK(!pln_is_library_file("") && !pln_is_library_file("/srv/lib/python3.py"));
	CHECK(pln_is_library_file("/usr/lib/python3/dist-packages/six.py"));
	CHECK(pln_is_library_file("/v/lib/python3.11/site-packages/np/x.py"));
	CHECK(pln_is_library_file("/v/lib/python3.11/json/decoder.py"));
	CHECK(pln_is_library_file("<frozen importlib._bootstrap>"));
	CHECK_STR(pln_short_file("<frozen importlib._bootstrap>", "/srv"),
		  "<frozen importlib._bootstrap>");
	CHECK_STR(pln_short_library("libz-96fb9b2e.so.1", b, sizeof(b)), "libz");
	CHECK_STR(pln_short_library("lib-of-things.so", b, sizeof(b)), "lib-of-things");
	CHECK_STR(pln_short_library("_json.cpython-311-x86_64-linux-gnu.so", b, sizeof(b)),
		  "_json");
	CHECK_STR(pln_syscall_name(0), "read");
	CHECK_STR(pln_syscall_name(232), "epoll_wait");
	CHECK(!pln_syscall_name(-1));
	CHECK(!pln_syscall_name(1000000));
	CHECK_STR(pln_python_version(0x030b02f0, b, sizeof(b)), "3.11.2");
	CHECK_STR(pln_python_version(0x030f00a3, b, sizeof(b)), "3.15.0a3");
	CHECK_STR(pln_python_version(0x030e00c2, b, sizeof(b)), "3.14.0rc2");
	CHECK_STR(pln_exit_text(0x100, b, sizeof(b)), "exit 1");
	CHECK_STR(pln_exit_text(11, b, sizeof(b)), "killed by SIGSEGV");
	CHECK_STR(pln_exit_text(-1, b, sizeof(b)), "unknown");
}

int main(void)
{
	setlocale(LC_CTYPE, "C.UTF-8");
	test_text();
	test_another_interpreter();
	test_high_rates_are_told_in_full();
	test_a_function_without_a_symbol();
	test_an_interpreter_without_a_layout();
	test_threads_without_a_sample();
	test_threads_that_look_alike();
	test_callers_are_shown();
	test_lines_of_the_program();
	test_lines_keep_their_library();
	test_info();
	test_info_of_nothing();
	test_lines_end_between_words();
	test_gil_view();
	test_sort_and_filter();
	test_tree();
	test_a_split_function_is_one_call();
	test_every_width();
	test_empty();
	test_json();
	test_printable();
	test_commands();
	test_symbols();
	test_quantities();
	test_names();
	return check_result();
}
