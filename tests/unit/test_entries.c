/* SPDX-License-Identifier: MIT */
/*
 * Threads are told apart by what they run: the outermost function that is not one of those
 * that start every thread, process or module.
 */
#include "check.h"

#include <stdlib.h>
#include <unistd.h>

#include "profile/writer.h"
#include "report/entries.h"

#define MS 1000000u
#define MAX_DEPTH 8

/* "name file", a native one as "name !library"; outermost first. */
static uint32_t add_frame(struct pln_writer *w, const char *text)
{
	const char *blank = strchr(text, ' ');
	bool native = blank[1] == '!';
	char name[64];
	struct pln_function f = { .name = name,
				  .file = native ? "" : blank + 1,
				  .module = native ? blank + 2 : "",
				  .module_path = native ? blank + 2 : "",
				  .kind = native ? PLN_FUNCTION_NATIVE : PLN_FUNCTION_PYTHON };
	struct pln_frame frame = { .kind = native ? PLN_FRAME_NATIVE : PLN_FRAME_PYTHON,
				   .module = PLN_NONE,
				   .address = (uint64_t)(uintptr_t)text,
				   .function = PLN_NONE };
	struct pln_location location = { .line = 0 };
	uint32_t id;

	snprintf(name, sizeof(name), "%.*s", (int)(blank - text), text);
	location.function = pln_writer_add_function(w, &f);
	if (!native)
		frame.function = location.function;
	id = pln_writer_add_frame(w, &frame);
	if (native)
		pln_writer_add_locations(w, id, &location, 1);
	return id;
}

struct stack {
	const char *frames[MAX_DEPTH];
	unsigned ms;
};

static void add_samples(struct pln_writer *w, const struct stack *stacks, unsigned count)
{
	for (unsigned s = 0; s < count; s++) {
		struct pln_sample_row row = { .stack = PLN_NONE,
					      .syscall_nr = -1,
					      .offcpu_ns = stacks[s].ms * (uint64_t)MS };

		for (unsigned f = 0; f < MAX_DEPTH && stacks[s].frames[f]; f++) {
			const struct pln_stack_node node = { row.stack,
							     add_frame(w, stacks[s].frames[f]) };

			row.stack = pln_writer_add_stack(w, &node);
		}
		pln_writer_add_sample(w, &row);
	}
}

static struct pln_profile *one_thread(bool has_python, const struct stack *stacks, unsigned count)
{
	static const struct pln_recording recording = {
		.command = "", .host = "", .pillion_version = "", .working_directory = ""
	};
	const struct pln_process process = {
		.executable = "", .command = "", .layout = "", .layout_detail = ""
	};
	const struct pln_thread thread = { .name = "python3", .has_python = has_python };
	char path[] = "/tmp/pillion-entries-XXXXXX";
	int fd = mkstemp(path);
	struct pln_profile *profile = NULL;
	struct pln_writer *w = NULL;

	CHECK_EQ(pln_writer_open(&w, fd, &recording), 0);
	pln_writer_add_process(w, &process);
	pln_writer_add_thread(w, &thread);
	add_samples(w, stacks, count);
	CHECK_EQ(pln_writer_close(w, &recording), 0);
	CHECK_EQ(pln_profile_open(&profile, path, true), PLN_OPEN_OK);
	close(fd);
	unlink(path);
	return profile;
}

static void check_entry(bool has_python, const struct stack *stacks, unsigned count,
			const char *expected)
{
	struct pln_profile *profile = one_thread(has_python, stacks, count);
	const struct pln_filter no_filter = { NULL, NULL };
	struct pln_aggregate a;
	uint32_t *entries;

	CHECK_EQ(pln_aggregate_samples(&a, profile, &no_filter), 0);
	entries = pln_thread_entries(&a);
	if (!expected)
		CHECK_EQ(entries[0], PLN_NONE);
	else if (CHECK(entries[0] < profile->function_count))
		CHECK_STR(profile->functions[entries[0]].name, expected);
	free(entries);
	pln_aggregate_free(&a);
	pln_profile_close(profile);
}

#define BOOTSTRAP "Thread._bootstrap /lib/python3.11/threading.py"
#define INNER "Thread._bootstrap_inner /lib/python3.11/threading.py"
#define RUN "Thread.run /lib/python3.11/threading.py"

static void test_threads(void)
{
	static const struct stack target = { { "start_thread !libc.so.6",
					       "thread_run !libpython3.11.so", BOOTSTRAP, INNER,
					       RUN, "worker /app.py", "get /queue.py" },
					     5 };
	static const struct stack subclass = { { BOOTSTRAP, INNER, "Ticker.run /app.py" }, 5 };
	static const struct stack bare = { { "_bootstrap /lib/python3.8/threading.py",
					     "_bootstrap_inner /lib/python3.8/threading.py",
					     "run /lib/python3.8/threading.py", "job /app.py" },
					   5 };
	static const struct stack early = { { "thread_run !python3.11", BOOTSTRAP, INNER }, 5 };

	check_entry(true, &target, 1, "worker");
	check_entry(true, &subclass, 1, "Ticker.run");
	check_entry(true, &bare, 1, "job");
	check_entry(true, &early, 1, NULL);
}

static void test_processes_and_modules(void)
{
	static const struct stack forked = {
		{ "<module> /app.py", "Process.start /lib/python3.11/multiprocessing/process.py",
		  "BaseProcess._bootstrap /lib/python3.11/multiprocessing/process.py",
		  "BaseProcess.run /lib/python3.11/multiprocessing/process.py", "child /app.py" },
		5
	};
	static const struct stack module = {
		{ "_run_module_as_main <frozen runpy>", "_run_code <frozen runpy>",
		  "<module> /lib/python3.11/json/tool.py", "main /lib/python3.11/json/tool.py" },
		5
	};

	static const struct stack server = {
		{ "<module> <string>", "main /lib/python3.11/multiprocessing/forkserver.py",
		  "EpollSelector.select /lib/python3.11/selectors.py" },
		5
	};
	static const struct stack served = {
		{ "<module> <string>", "main /lib/python3.11/multiprocessing/forkserver.py",
		  "_serve_one /lib/python3.11/multiprocessing/forkserver.py", "job /app.py" },
		5
	};

	check_entry(true, &server, 1, "main");
	check_entry(true, &served, 1, "job");
	check_entry(true, &forked, 1, "child");
	check_entry(true, &module, 1, "<module>");
}

#define POOL "_worker /lib/python3.11/concurrent/futures/thread.py"
#define ITEM "_WorkItem.run /lib/python3.11/concurrent/futures/thread.py"
#define REQUEST "ThreadingMixIn.process_request_thread /lib/python3.11/socketserver.py"

/* All threads of a pool run the pool: what tells them apart is the task, if there was any. */
static void test_pools(void)
{
	static const struct stack idle = {
		{ BOOTSTRAP, INNER, RUN, POOL, "get /lib/python3.11/queue.py" }, 90
	};
	static const struct stack works[] = {
		{ { BOOTSTRAP, INNER, RUN, POOL, "get /lib/python3.11/queue.py" }, 90 },
		{ { BOOTSTRAP, INNER, RUN, POOL, ITEM, "task /app.py", "part /app.py" }, 5 },
		{ { BOOTSTRAP, INNER, RUN, POOL, ITEM, "other /lib/python3.11/site-packages/o.py" },
		  2 },
	};
	static const struct stack request = { { BOOTSTRAP, INNER, RUN, REQUEST,
						"handle /lib/python3.11/http/server.py",
						"Handler.do_GET /app.py" },
					      5 };
	static const struct stack again = {
		{ POOL, ITEM, "start /app.py", BOOTSTRAP, INNER, RUN, "own /app.py" }, 5
	};

	check_entry(true, &idle, 1, "_worker");
	check_entry(true, works, 3, "task");
	check_entry(true, works + 2, 1, "other");
	check_entry(true, &request, 1, "Handler.do_GET");
	check_entry(true, &again, 1, "own");
}

/* Before its first Python frame and after its last one a thread is in native code alone. */
static void test_the_most_time_decides(void)
{
	static const struct stack stacks[] = {
		{ { "main !python3.11", "init !python3.11" }, 90 },
		{ { "main !python3.11", "_find_and_load <frozen importlib._bootstrap>" }, 10 },
		{ { "main !python3.11", "<module> /app.py" }, 4 },
		{ { "main !python3.11", "<module> /app.py", "f /app.py" }, 8 },
	};

	check_entry(true, stacks, 4, "<module>");
}

static void test_native_threads(void)
{
	static const struct stack stacks[] = {
		{ { "clone3 !libc.so.6", "start_thread !libc.so.6", "blas_server !libblas.so" },
		  5 },
		{ { "libc.so.6+0x89044 !libc.so.6", "futex !libc.so.6" }, 50 },
	};

	check_entry(false, stacks, 2, "blas_server");
	check_entry(true, stacks, 2, NULL);
}

int main(void)
{
	test_threads();
	test_processes_and_modules();
	test_pools();
	test_the_most_time_decides();
	test_native_threads();
	return check_result();
}
