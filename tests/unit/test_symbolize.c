/* SPDX-License-Identifier: MIT */
/*
 * Native frames that no symbol names are called by where their function starts, so that
 * a function is one, wherever in it samples were taken; the vdso's functions have names.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "profile/symbolize.h"
#include "symbols/fixture.h"
#include "vdso.h"

/* A function that no symbol names, between code that nothing at all is known of. */
__asm__(".pushsection .text\n"
	"	.type pln_test_named, @function\n"
	"pln_test_named:\n"
	"	ret\n"
	"	.size pln_test_named, . - pln_test_named\n"
	"	ret\n"
	".Lnameless:\n"
	"	.cfi_startproc\n"
	"	nop\n"
	"	nop\n"
	"	ret\n"
	"	.cfi_endproc\n"
	"	ret\n"
	".popsection\n"
	".pushsection .data.rel.ro, \"aw\"\n"
	"	.globl pln_test_nameless\n"
	"pln_test_nameless:\n"
	"	.quad .Lnameless\n"
	".popsection\n");
extern const char *const pln_test_nameless;
extern const char __executable_start[];

#define FRAMES_MAX 8
#define NAME_MAX_SIZE 4200

/* What came of a job: functions are numbered as they were added. */
static struct {
	char names[FRAMES_MAX][NAME_MAX_SIZE];
	bool unknown[FRAMES_MAX];
	uint32_t function_count;
	uint32_t function_of[FRAMES_MAX];
	unsigned found_count;
	unsigned progress_count;
	unsigned problem_count;
	char problem[256];
} result;

static bool no_sockets;

/* In place of libc's: without it, there is no process that reads debug information. */
int socketpair(int domain, int type, int protocol, int pair[2])
{
	if (!no_sockets)
		return (int)syscall(SYS_socketpair, domain, type, protocol, pair);
	errno = EMFILE;
	return -1;
}

static uint32_t add_function(const struct pln_function *function, void *arg)
{
	(void)arg;
	if (!CHECK(result.function_count < FRAMES_MAX))
		return 0;
	CHECK_EQ(function->kind, PLN_FUNCTION_NATIVE);
	snprintf(result.names[result.function_count], NAME_MAX_SIZE, "%s", function->name);
	result.unknown[result.function_count] = function->unknown;
	return result.function_count++;
}

static void found(uint32_t frame, const struct pln_location *locations, unsigned count, void *arg)
{
	(void)arg;
	CHECK_EQ(count, 1);
	result.function_of[frame] = locations[0].function;
	result.found_count++;
}

static void progress(size_t done, size_t total, void *arg)
{
	(void)arg;
	CHECK(done <= total);
	result.progress_count++;
}

static void problem(const char *path, const char *text, void *arg)
{
	(void)arg;
	result.problem_count++;
	snprintf(result.problem, sizeof(result.problem), "%s: %s", strrchr(path, '/') + 1, text);
}

static void symbolize(const struct pln_module_info *modules, size_t module_count,
		      const struct pln_frame *frames, size_t frame_count, bool names_only)
{
	const struct pln_symbolize_job job = {
		.modules = modules,
		.module_count = module_count,
		.frames = frames,
		.frame_count = frame_count,
		.names_only = names_only,
		.add_function = add_function,
		.found = found,
		.progress = progress,
		.problem = problem,
	};

	memset(&result, 0, sizeof(result));
	CHECK_EQ(pln_symbolize(&job), 0);
	CHECK_EQ(result.found_count, frame_count);
}

static const char *name_of(uint32_t frame)
{
	return result.names[result.function_of[frame]];
}

static void check_unknown(uint32_t frame, const char *file, uint64_t address)
{
	char expected[NAME_MAX_SIZE];

	snprintf(expected, sizeof(expected), "%s+0x%" PRIx64, file, address);
	CHECK_STR(name_of(frame), expected);
	CHECK(result.unknown[result.function_of[frame]]);
}

static void nameless_functions_are_one_each(void)
{
	char self[PATH_MAX] = "";
	struct pln_module_info module = { .path = self };
	uint64_t start = (uint64_t)(pln_test_nameless - __executable_start);
	struct pln_frame frames[6];
	const char *file;

	if (!CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0))
		return;
	file = strrchr(self, '/') + 1;
	for (unsigned i = 0; i < 6; i++)
		frames[i] = (struct pln_frame){ .kind = PLN_FRAME_NATIVE,
						.address = start - 1 + i,
						.is_leaf = 1 };
	/* It returns to just behind the function, but was called from within. */
	frames[5].address = start + 3;
	frames[5].is_leaf = 0;
	symbolize(&module, 1, frames, 6, false);
	check_unknown(1, file, start);
	CHECK(result.function_of[2] == result.function_of[1]);
	CHECK(result.function_of[3] == result.function_of[1]);
	CHECK(result.function_of[5] == result.function_of[1]);
	check_unknown(0, file, start - 1);
	check_unknown(4, file, start + 3);
	CHECK_EQ(result.function_count, 3);
	/* No file is opened: nothing is known but the addresses. */
	symbolize(&module, 1, frames, 6, true);
	check_unknown(2, file, start + 1);
	CHECK_EQ(result.function_count, 5);
}

static void functions_of_the_vdso_have_names(void)
{
	uint8_t id[64] = { 0 };
	struct pln_module_info modules[3] = { { .path = "[vdso]" } };
	struct pln_frame frames[3];
	void *library = dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);
	char *code = library ? dlsym(library, "__vdso_clock_gettime") : NULL;

	modules[0].build_id_size = (uint8_t)vdso_build_id(id);
	memcpy(modules[0].build_id, id, sizeof(modules[0].build_id));
	if (!code || !modules[0].build_id_size) {
		printf("not tested: no vdso\n");
		return;
	}
	/* That of another kernel, and one that nothing is known of. */
	modules[1] = modules[0];
	modules[1].build_id[0] ^= 1;
	modules[2] = (struct pln_module_info){ .path = "[vdso]" };
	for (uint32_t i = 0; i < 3; i++)
		frames[i] =
			(struct pln_frame){ .kind = PLN_FRAME_NATIVE,
					    .module = i,
					    .address = (uint64_t)code - getauxval(AT_SYSINFO_EHDR),
					    .is_leaf = 1 };
	symbolize(modules, 3, frames, 3, false);
	CHECK_STR(name_of(0), "clock_gettime");
	CHECK(!result.unknown[result.function_of[0]]);
	CHECK_STR(name_of(1), "[vdso]");
	CHECK_STR(name_of(2), "[vdso]");
	CHECK(result.unknown[result.function_of[1]]);
	CHECK_EQ(result.function_count, 2);
}

/* Whoever waits for us is not kept waiting by more than one file. */
static void progress_is_told_at_each_module(void)
{
	const struct pln_module_info modules[3] = { { .path = "/nowhere/a.so" },
						    { .path = "/nowhere/b.so" },
						    { .path = "/nowhere/c.so" } };
	struct pln_frame frames[6];

	for (uint32_t i = 0; i < 6; i++)
		frames[i] = (struct pln_frame){ .kind = PLN_FRAME_NATIVE,
						.module = i % 3,
						.address = 0x10 * (i + 1),
						.is_leaf = 1 };
	symbolize(modules, 3, frames, 6, true);
	check_unknown(4, "b.so", 0x50);
	CHECK_EQ(result.progress_count, 3 + 1); /* and the end */
}

static void what_is_wrong_with_debug_information_is_told(void)
{
	struct pln_module_info modules[2] = { { .path = fixture_path("program") },
					      { .path = "/nowhere/b.so" } };
	struct pln_frame frames[2] = {
		{ .kind = PLN_FRAME_NATIVE, .is_leaf = 1 },
		{ .kind = PLN_FRAME_NATIVE, .is_leaf = 1, .module = 1 },
	};

	if (!fixture_has("gcc")) {
		printf("not tested: no gcc\n");
		return;
	}
	CHECK(fixture_run("gcc -O0 -g -o program $S/inlined.c"));
	frames[0].address = fixture_address("program", "main");
	symbolize(modules, 2, frames, 2, false);
	CHECK_EQ(result.problem_count, 0);
	no_sockets = true;
	symbolize(modules, 2, frames, 2, false);
	no_sockets = false;
	CHECK_EQ(result.problem_count, 1);
	CHECK_STR(result.problem, "program: no process to read the debug information");
	CHECK_STR(name_of(0), "main");
}

int main(void)
{
	nameless_functions_are_one_each();
	functions_of_the_vdso_have_names();
	progress_is_told_at_each_module();
	what_is_wrong_with_debug_information_is_told();
	return check_result();
}
