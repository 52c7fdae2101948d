/* SPDX-License-Identifier: MIT */
/*
 * A walk that is finished from a snapshot equals libunwind's own walk of the live
 * stack, frame by frame and with the same CFAs: from the leaf and from every frame on
 * the way, on the main thread and on another, through libc's qsort and a signal frame.
 * Registers, stack copies and files that are cut or wrong end the walk, nothing else.
 */
#define UNW_LOCAL_ONLY
#include <dlfcn.h>
#include <fcntl.h>
#include <libunwind.h>
#include <link.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <ucontext.h>
#include <unistd.h>

#include "check.h"
#include "stacks/elf_image.h"
#include "stacks/stacks.h"

#define MAX_FRAMES 200
#define MAX_MODULES 64
#define STACK_COPY (256u << 10)
#define REG_COUNT 17

/* ------------------------------------------------------- modules of this program */

struct module {
	struct pln_unwind_module m;
	char path[4096];
};

static struct module modules[MAX_MODULES];
static unsigned module_count;

static int add_module(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct module *module = &modules[module_count];
	const char *name = info->dlpi_name;

	(void)size;
	(void)arg;
	if (module_count == MAX_MODULES)
		return 1;
	if (!*name)
		name = "/proc/self/exe";
	snprintf(module->path, sizeof(module->path), "%s", strstr(name, "vdso") ? "[vdso]" : name);
	module->m = (struct pln_unwind_module){ .bias = info->dlpi_addr, .path = module->path };
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];

		if (ph->p_type == PT_LOAD && ph->p_flags & PF_X) {
			module->m.lo = info->dlpi_addr + ph->p_vaddr;
			module->m.hi = module->m.lo + ph->p_memsz;
		}
		if (ph->p_type == PT_GNU_EH_FRAME)
			module->m.eh_frame_hdr = info->dlpi_addr + ph->p_vaddr;
	}
	module_count++;
	return 0;
}

static const struct pln_unwind_module *find_module(uint64_t pc, void *arg)
{
	const struct module *list = arg;

	for (unsigned i = 0; i < module_count; i++)
		if (pc >= list[i].m.lo && pc < list[i].m.hi)
			return &list[i].m;
	return NULL;
}

/* ---------------------------------------------------------- a moment to unwind */

struct frame {
	uint64_t pc, sp;
	uint64_t regs[REG_COUNT];
};

/* What a handler saw: its thread's stack from the interrupted SP up, and libunwind's walk. */
struct moment {
	struct frame frame[MAX_FRAMES];
	unsigned count;
	_Alignas(8) uint8_t stack[STACK_COPY];
	uint32_t stack_size;
};

static struct moment moment;
static uint64_t stack_end;

static void read_frame(unw_cursor_t *cursor, struct frame *frame)
{
	unw_word_t value;

	for (int reg = 0; reg < REG_COUNT; reg++)
		frame->regs[reg] = unw_get_reg(cursor, reg, &value) ? 0 : value;
	frame->pc = frame->regs[16];
	frame->sp = frame->regs[7];
}

/* Word by word: a stack holds the red zones of AddressSanitizer, which memcpy() would mind. */
static __attribute__((no_sanitize("address"))) void copy_stack(uint64_t sp, uint32_t size)
{
	const volatile uint64_t *from = (const volatile uint64_t *)sp;

	for (uint32_t i = 0; i < size / 8; i++)
		((uint64_t *)(void *)moment.stack)[i] = from[i];
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	uint64_t sp = (uint64_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RSP];
	unw_cursor_t cursor;

	(void)number;
	(void)info;
	moment.stack_size = stack_end - sp < STACK_COPY ? (uint32_t)(stack_end - sp) : STACK_COPY;
	copy_stack(sp, moment.stack_size);
	moment.count = 0;
	if (unw_init_local2(&cursor, context, UNW_INIT_SIGNAL_FRAME))
		return;
	do {
		read_frame(&cursor, &moment.frame[moment.count]);
		if (moment.frame[moment.count].pc)
			moment.count++;
	} while (moment.count < MAX_FRAMES && unw_step(&cursor) > 0);
}

/*
 * pln_test_trap() faults at its first instruction: the row of the instruction before it,
 * which is another function's, says something else. So do the rows behind the call that
 * ends call_no_return(), which never comes back.
 */
__asm__(".pushsection .text\n"
	"	.cfi_startproc\n"
	"	.cfi_def_cfa_offset 4096\n"
	"	nop\n"
	"	.cfi_endproc\n"
	"	.type pln_test_trap, @function\n"
	"pln_test_trap:\n"
	"	.cfi_startproc\n"
	"	ud2\n"
	"	ret\n"
	"	.cfi_endproc\n"
	"	.size pln_test_trap, . - pln_test_trap\n"
	".popsection\n");
extern void pln_test_trap(void);

/* A handler below our own: its sigreturn frame is then in the middle of the stack. */
static void on_trap(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	raise(SIGUSR1);
	((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += 2; /* behind ud2 */
}

static __thread jmp_buf way_back;

static __attribute__((noinline, noreturn)) void no_return(int value)
{
	pln_test_trap();
	longjmp(way_back, value);
}

static __attribute__((noinline, noreturn)) void call_no_return(void)
{
	volatile char room[120] = { 1 };

	no_return(room[0]);
}

static int interrupt_on_first(const void *a, const void *b)
{
	static __thread bool done;

	if (!done && !setjmp(way_back))
		call_no_return();
	done = true;
	return *(const int *)a - *(const int *)b;
}

static __attribute__((noinline)) unsigned descend(unsigned depth)
{
	volatile char room[200] = { (char)depth };
	int numbers[] = { 3, 1, 2 };

	if (depth)
		return descend(depth - 1) + (unsigned)room[0];
	qsort(numbers, 3, sizeof(*numbers), interrupt_on_first);
	return (unsigned)numbers[0] + (unsigned)room[0];
}

static void *take_moment(void *arg)
{
	pthread_attr_t attr;
	void *lowest = NULL;
	size_t size = 0;

	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, &lowest, &size);
	pthread_attr_destroy(&attr);
	stack_end = (uint64_t)lowest + size;
	CHECK(descend(20) > 0);
	return arg;
}

/* --------------------------------------------------------------------- checks */

struct walk {
	uint64_t pc[MAX_FRAMES];
	uint32_t cfa[MAX_FRAMES];
	unsigned count;
	bool root;
};

static struct pln_snapshot snapshot_at(unsigned from)
{
	struct pln_snapshot snap = { .regs_valid = 0x1ffff,
				     .from_frame = from,
				     .stack_addr = moment.frame[0].sp,
				     .stack_size = moment.stack_size };

	memcpy(snap.regs, moment.frame[from].regs, sizeof(snap.regs));
	return snap;
}

/* Frames before `from` are known, as the target's own walk left them. */
static void finish(struct pln_unwinder *u, const struct pln_snapshot *snap, struct walk *w)
{
	for (unsigned i = 0; i <= snap->from_frame; i++) {
		w->pc[i] = moment.frame[i].pc;
		w->cfa[i] = i < snap->from_frame
				    ? (uint32_t)(moment.frame[i + 1].sp - moment.frame[0].sp)
				    : 0;
	}
	w->root = false;
	w->count = pln_unwinder_finish(u, snap, moment.stack, moment.frame[0].sp, w->pc, w->cfa,
				       snap->from_frame + 1, MAX_FRAMES, &w->root);
}

/* How many frames are as libunwind has them. */
static unsigned agreeing(const struct walk *w)
{
	unsigned i = 0;

	while (i < w->count && i < moment.count && w->pc[i] == moment.frame[i].pc &&
	       (i + 1 >= moment.count ||
		w->cfa[i] == (uint32_t)(moment.frame[i + 1].sp - moment.frame[0].sp)))
		i++;
	return i;
}

static void walk_from_every_frame(struct pln_unwinder *u)
{
	static struct walk w;

	CHECK(moment.count > 25);
	for (unsigned from = 0; from < moment.count; from++) {
		struct pln_snapshot snap = snapshot_at(from);

		finish(u, &snap, &w);
		CHECK_EQ(w.count, moment.count);
		CHECK_EQ(agreeing(&w), moment.count);
		CHECK(w.root);
	}
}

/* Returns whether what was found is a prefix of the truth: frames may end early, never differ. */
static bool is_prefix(const struct walk *w)
{
	for (unsigned i = 0; i < w->count; i++)
		if (i >= moment.count || w->pc[i] != moment.frame[i].pc)
			return false;
	return true;
}

static void short_copies_give_short_walks(struct pln_unwinder *u)
{
	static struct walk w;
	unsigned longest = 0;

	for (uint32_t size = 0; size < moment.stack_size && size < 8192; size += 7) {
		struct pln_snapshot snap = snapshot_at(0);

		snap.stack_size = size;
		finish(u, &snap, &w);
		CHECK(is_prefix(&w) && w.count >= longest && !w.root);
		longest = w.count;
	}
	CHECK(longest > 3);
}

static void missing_registers_end_the_walk(struct pln_unwinder *u)
{
	static struct walk w;
	struct pln_snapshot snap = snapshot_at(0);

	snap.regs_valid = 1u << 7 | 1u << 16;
	finish(u, &snap, &w);
	CHECK(w.count >= 1 && is_prefix(&w));
	snap.regs_valid = 0;
	finish(u, &snap, &w);
	CHECK_EQ(w.count, 1);
	CHECK(!w.root);
}

static void limits_hold(struct pln_unwinder *u)
{
	struct pln_snapshot snap = snapshot_at(0);
	uint64_t pc[4] = { moment.frame[0].pc, 0, 0, 77 };
	uint32_t cfa[4] = { 0, 0, 0, 77 };
	bool root = true;

	CHECK_EQ(pln_unwinder_finish(u, &snap, moment.stack, moment.frame[0].sp, pc, cfa, 1, 3,
				     &root),
		 3);
	CHECK(pc[2] == moment.frame[2].pc && pc[3] == 77 && cfa[3] == 77 && !root);
	/* No frame yet: the registers' own is the first. */
	pc[0] = 0;
	CHECK_EQ(pln_unwinder_finish(u, &snap, moment.stack, moment.frame[0].sp, pc, cfa, 0, 3,
				     &root),
		 3);
	CHECK_EQ(pc[0], moment.frame[0].pc);
	/* A frame number that makes no sense changes nothing. */
	snap.from_frame = 3;
	CHECK_EQ(pln_unwinder_finish(u, &snap, moment.stack, moment.frame[0].sp, pc, cfa, 1, 4,
				     &root),
		 1);
	snap.from_frame = UINT32_MAX;
	CHECK_EQ(pln_unwinder_finish(u, &snap, moment.stack, moment.frame[0].sp, pc, cfa, 1, 4,
				     &root),
		 1);
}

static void noise_in_the_stack_is_survived(struct pln_unwinder *u)
{
	static struct walk w;
	uint64_t random = 7;
	uint8_t saved[4096];

	memcpy(saved, moment.stack, sizeof(saved));
	for (int round = 0; round < 300; round++) {
		struct pln_snapshot snap = snapshot_at(0);

		for (int i = 0; i < 20; i++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			moment.stack[random >> 33 & 4095] = (uint8_t)(random >> 56);
		}
		snap.regs[random >> 40 & 15] = random;
		finish(u, &snap, &w);
		CHECK(w.count >= 1 && w.count <= MAX_FRAMES);
		memcpy(moment.stack, saved, sizeof(saved));
	}
}

/* As if the leaf had just called into the vdso. */
static void vdso_is_walked_through(struct pln_unwinder *u)
{
	static uint8_t stack[sizeof(moment.stack) + 8];
	struct pln_snapshot snap = snapshot_at(0);
	void *vdso = dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);
	void *entry = vdso ? dlsym(vdso, "__vdso_clock_gettime") : NULL;
	uint64_t pc[MAX_FRAMES] = { (uint64_t)entry };
	uint32_t cfa[MAX_FRAMES] = { 0 };
	bool root = false;

	if (!entry)
		return;
	memcpy(stack, &moment.frame[0].pc, 8);
	memcpy(stack + 8, moment.stack, moment.stack_size);
	snap.stack_addr -= 8;
	snap.stack_size += 8;
	snap.regs[7] -= 8;
	snap.regs[16] = (uint64_t)entry;
	CHECK_EQ(pln_unwinder_finish(u, &snap, stack, snap.regs[7], pc, cfa, 1, MAX_FRAMES, &root),
		 moment.count + 1);
	CHECK(root && pc[1] == moment.frame[0].pc && cfa[0] == 8);
	/* By its table, not by a guess of libunwind's. */
	CHECK(!(cfa[1] & PILLION_CFA_GUESSED));
	dlclose(vdso);
}

/* ------------------------------------------------------------- damaged files */

static bool copy_file(const char *from, const char *to, off_t keep, uint64_t seed)
{
	static char bytes[64u << 20];
	int in = open(from, O_RDONLY);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t size = in < 0 ? -1 : read(in, bytes, sizeof(bytes));
	bool ok = size > 0 && out >= 0;

	if (ok && size > keep)
		size = keep;
	for (int i = 0; ok && i < 2000 && seed; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		/* The first page, with the headers, in one of four; else anywhere. */
		bytes[(seed >> 20) % (size_t)(seed >> 62    ? size
					      : 4096 < size ? 4096
							    : size)] ^= (char)(seed >> 56);
	}
	ok = ok && write(out, bytes, (size_t)size) == size;
	close(in);
	close(out);
	return ok;
}

/* The modules of this program, its own file being that at `path`. */
static void point_own_file_at(struct module *to, const char *path)
{
	memcpy(to, modules, sizeof(modules));
	for (unsigned i = 0; i < module_count; i++)
		to[i].m.path = strcmp(to[i].path, "/proc/self/exe") ? to[i].path : path;
}

/* This program's own file is cut, or has bytes flipped: walks end, or differ; nothing more. */
static void damaged_files_are_survived(void)
{
	static struct module damaged[MAX_MODULES];
	static struct walk w;
	char path[] = "/tmp/pillion-test-XXXXXX";
	struct pln_snapshot snap = snapshot_at(0);
	struct stat st;
	int fd = mkstemp(path);

	CHECK(fd >= 0 && !stat("/proc/self/exe", &st));
	close(fd);
	point_own_file_at(damaged, path);
	for (unsigned round = 0; round < 80; round++) {
		off_t keep = round < 30 ? st.st_size * round / 30 : st.st_size;
		struct pln_unwinder *u = pln_unwinder_new(find_module, damaged);

		if (CHECK(copy_file("/proc/self/exe", path, keep, round < 30 ? 0 : round))) {
			finish(u, &snap, &w);
			CHECK(w.count >= 1);
		}
		pln_unwinder_free(u);
	}
	unlink(path);
}

/* Whether bytes that the file had when it was opened cannot be read. */
static bool has_gaps(const struct pln_elf_image *image)
{
	unsigned loads = UINT32_MAX;
	uint8_t byte;

	for (unsigned i = 0; i < image->segment_count; i++)
		for (uint64_t at = 0; at < image->segment[i].size; at += 4096)
			if (!pln_elf_image_read(image, image->segment[i].vaddr + at, &byte, 1,
						&loads))
				return true;
	return false;
}

/* A target may cut its files at any time; what was read of them before may be known still. */
static void files_that_are_cut_meanwhile_are_survived(void)
{
	static struct module cut[MAX_MODULES];
	static struct walk w;
	char path[] = "/tmp/pillion-test-XXXXXX";
	struct pln_snapshot snap = snapshot_at(0);
	struct pln_unwinder *u = pln_unwinder_new(find_module, cut), *other;
	struct pln_elf_image image;
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	close(fd);
	point_own_file_at(cut, path);
	CHECK(copy_file("/proc/self/exe", path, INT32_MAX, 0));
	CHECK_EQ(pln_elf_image_open(&image, path), 0);
	finish(u, &snap, &w);
	CHECK(w.count == moment.count && w.root);
	CHECK(!truncate(path, 4096));
	CHECK(has_gaps(&image));
	for (unsigned from = 0; from < moment.count; from++) {
		snap = snapshot_at(from);
		finish(u, &snap, &w);
		CHECK(w.count > from);
	}
	other = pln_unwinder_new(find_module, cut);
	snap = snapshot_at(0);
	finish(other, &snap, &w);
	CHECK(w.count >= 1 && !w.root);
	pln_unwinder_free(other);
	pln_unwinder_free(u);
	unlink(path);
}

static void missing_files_end_the_walk(void)
{
	static struct module missing[MAX_MODULES];
	static struct walk w;
	struct pln_snapshot snap = snapshot_at(0);
	struct pln_unwinder *u;

	memcpy(missing, modules, sizeof(modules));
	for (unsigned i = 0; i < module_count; i++)
		missing[i].m.path = "/nowhere/lib.so (deleted)";
	u = pln_unwinder_new(find_module, missing);
	finish(u, &snap, &w);
	CHECK(w.count < moment.count && !w.root);
	pln_unwinder_free(u);
}

/* The file is another one than was loaded: its table is elsewhere, so it is not believed. */
static void other_files_are_not_believed(void)
{
	static struct module other[MAX_MODULES];
	static struct walk w;
	struct pln_snapshot snap = snapshot_at(0);
	struct pln_unwinder *u;

	memcpy(other, modules, sizeof(modules));
	for (unsigned i = 0; i < module_count; i++) {
		other[i].m.path = other[i].path;
		other[i].m.eh_frame_hdr += 64;
	}
	u = pln_unwinder_new(find_module, other);
	finish(u, &snap, &w);
	CHECK(!w.root);
	pln_unwinder_free(u);
}

int main(void)
{
	struct sigaction inner = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	struct sigaction outer = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
	struct pln_unwinder *u = pln_unwinder_new(find_module, modules);
	pthread_t thread;

	sigaction(SIGUSR1, &inner, NULL);
	sigaction(SIGILL, &outer, NULL);
	dl_iterate_phdr(add_module, NULL);
	pthread_create(&thread, NULL, take_moment, NULL);
	pthread_join(thread, NULL);
	walk_from_every_frame(u);
	take_moment(NULL);
	walk_from_every_frame(u);
	short_copies_give_short_walks(u);
	missing_registers_end_the_walk(u);
	limits_hold(u);
	vdso_is_walked_through(u);
	noise_in_the_stack_is_survived(u);
	files_that_are_cut_meanwhile_are_survived();
	damaged_files_are_survived();
	missing_files_end_the_walk();
	other_files_are_not_believed();
	pln_unwinder_free(u);
	printf("%u frames on the main thread\n", moment.count);
	return check_result();
}
