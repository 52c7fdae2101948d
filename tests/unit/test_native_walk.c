/* SPDX-License-Identifier: MIT */
/*
 * test_native_walk.c - stacks of many shapes, walked in a signal handler, equal
 * libunwind's; walked without rbp, as for a blocked thread, they stay the same; and
 * code without unwind tables is crossed.
 */
#define UNW_LOCAL_ONLY
#include "test_native_chain.h"

#include <libunwind.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "check.h"
#include "checked_read.h"
#include "native/native.h"

#define MAX_FRAMES 256

/* What the handler found. */
static struct pln_stack stack;
static uint64_t pcs[MAX_FRAMES], cfas[MAX_FRAMES];
static uint8_t guessed[MAX_FRAMES];
static struct pln_native_walk walk;
static unw_word_t their_pcs[MAX_FRAMES], their_sps[MAX_FRAMES];
static unsigned their_count;
static bool without_bp, from_handler;

static void walk_theirs(unw_cursor_t *cursor)
{
	their_count = 0;
	do {
		unw_get_reg(cursor, UNW_REG_IP, &their_pcs[their_count]);
		unw_get_reg(cursor, UNW_REG_SP, &their_sps[their_count]);
		if (their_pcs[their_count])
			their_count++;
	} while (their_count < MAX_FRAMES && unw_step(cursor) > 0);
}

static void walk_ours(struct pln_regs regs)
{
	if (without_bp)
		regs.bp = regs.bx = regs.r10 = regs.known = 0;
	walk = (struct pln_native_walk){ pcs, cfas, guessed, MAX_FRAMES, 0, 0, 0, { 0 } };
	pln_native_walk_sigsafe(&stack, &regs, &walk);
}

static void walk_here(void)
{
	unw_context_t context;
	unw_cursor_t cursor;
	struct pln_regs regs = { .known = PLN_REG_BP | PLN_REG_BX };
	unw_word_t value;

	unw_getcontext(&context);
	unw_init_local(&cursor, &context);
	/* unw_getcontext() is ahead of what follows: both start from the caller. */
	unw_step(&cursor);
	unw_get_reg(&cursor, UNW_REG_IP, &value);
	regs.pc = value;
	unw_get_reg(&cursor, UNW_REG_SP, &value);
	regs.sp = value;
	unw_get_reg(&cursor, UNW_X86_64_RBP, &value);
	regs.bp = value;
	unw_get_reg(&cursor, UNW_X86_64_RBX, &value);
	regs.bx = value;
	walk_theirs(&cursor);
	walk_ours(regs);
}

static void on_signal(int signal, siginfo_t *info, void *arg)
{
	ucontext_t *uc = arg;
	const greg_t *gregs = uc->uc_mcontext.gregs;
	unw_cursor_t cursor;

	(void)signal;
	(void)info;
	if (from_handler) {
		walk_here();
		return;
	}
	unw_init_local2(&cursor, (unw_context_t *)uc, UNW_INIT_SIGNAL_FRAME);
	walk_theirs(&cursor);
	walk_ours((struct pln_regs){ .pc = (uintptr_t)gregs[REG_RIP],
				     .sp = (uintptr_t)gregs[REG_RSP],
				     .bp = (uintptr_t)gregs[REG_RBP],
				     .bx = (uintptr_t)gregs[REG_RBX],
				     .r10 = (uintptr_t)gregs[REG_R10],
				     .known = PLN_REG_BP | PLN_REG_BX | PLN_REG_R10 });
}

static void find_stack(void)
{
	pthread_attr_t attr;
	void *lo = NULL;
	size_t size = 0;

	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, &lo, &size);
	pthread_attr_destroy(&attr);
	stack = (struct pln_stack){ (uintptr_t)lo, (uintptr_t)lo + size, lo };
}

/* The leaf of all chains: tgkill, with pc right behind the system call. */
void chain_leaf(void)
{
	raise(SIGUSR1);
}

static void build_tables(void)
{
	for (unsigned i = 0; i < walk.count; i++)
		pln_native_want(pcs[i]);
}

static bool equals_theirs(void)
{
	bool equal = walk.count == their_count;

	for (unsigned i = 0; i < walk.count && i < their_count; i++)
		equal &= pcs[i] == their_pcs[i] &&
			 (i + 1 >= their_count || cfas[i] == their_sps[i + 1]);
	return equal;
}

static void check_chain(const char *name, void (*chain)(int))
{
	chain(3);
	build_tables();
	chain(3);
	if (!CHECK(equals_theirs()) || !CHECK_EQ(walk.end, PLN_WALK_ROOT))
		fprintf(stderr, "\tchain %s: %u frames, libunwind %u, end %d\n", name, walk.count,
			their_count, walk.end);
	CHECK(walk.count > 8);
	CHECK(!walk.any_guessed);
}

/* With pc and sp alone, as of a blocked thread. */
static void check_blocked(const char *name, void (*chain)(int), bool may_guess)
{
	without_bp = true;
	chain(3);
	without_bp = false;
	if (!CHECK(equals_theirs()) || !CHECK_EQ(walk.end, PLN_WALK_ROOT))
		fprintf(stderr, "\tblocked %s: %u frames, libunwind %u, end %d\n", name, walk.count,
			their_count, walk.end);
	CHECK(may_guess || !walk.any_guessed);
}

static void chains_equal_libunwind(void)
{
	for (unsigned i = 0; i < chain_count; i++) {
		check_chain(chains[i].name, chains[i].run);
		check_blocked(chains[i].name, chains[i].run, chains[i].variable);
	}
}

static void signal_frames_are_crossed(void)
{
	from_handler = true;
	for (unsigned i = 0; i < chain_count; i++)
		check_chain(chains[i].name, chains[i].run);
	from_handler = false;
}

static bool has_frame_in(uintptr_t lo, uintptr_t hi)
{
	for (unsigned i = 0; i < walk.count; i++)
		if (pcs[i] >= lo && pcs[i] < hi)
			return true;
	return false;
}

/* Assembly in this program's text, without unwind information. */
static void gaps_are_crossed(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} kernels[] = { { "realigned on rbx", asm_realigned },
			{ "frame pointer", asm_framed },
			{ "frameless", asm_frameless } };

	for (unsigned i = 0; i < sizeof(kernels) / sizeof(*kernels); i++) {
		walk.count = 0;
		call_kernel(kernels[i].run);
		printf("%s: %u frames, end %d\n", kernels[i].name, walk.count, walk.end);
		CHECK_EQ(walk.end, PLN_WALK_ROOT);
		CHECK(walk.any_guessed && guessed[1] && !guessed[0]);
		CHECK(has_frame_in((uintptr_t)call_kernel, (uintptr_t)call_kernel + 64));
#ifndef __SANITIZE_ADDRESS__
		/* Sanitized frames are so large that old return addresses survive in the
		 * kernel's own: one of those may come first, marked as guessed. */
		CHECK(pcs[1] >= (uintptr_t)call_kernel && pcs[1] < (uintptr_t)call_kernel + 64);
#endif
	}
}

static unsigned char *map_code(const unsigned char *code, size_t size)
{
	unsigned char *page =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memcpy(page, code, size);
	mprotect(page, 4096, PROT_READ | PROT_EXEC);
	return page;
}

/* The shapes that CPython's -X perf makes, and a JIT's with a frame pointer. */
static void anonymous_code_is_crossed(void)
{
	static const unsigned char plain[] = { 0x48, 0x83, 0xec, 0x08, 0xff, 0xd1,
					       0x48, 0x83, 0xc4, 0x08, 0xc3 };
	static const unsigned char framed[] = { 0x55, 0x48, 0x89, 0xe5, 0xff, 0xd1, 0x5d, 0xc3 };
	static const unsigned char jit[] = { 0x55, 0x48, 0x89, 0xe5, 0x48, 0x83,
					     0xec, 0x20, 0xff, 0xd1, 0xc9, 0xc3 };
	static const struct {
		const unsigned char *code;
		size_t size;
		bool guessed;
	} cases[] = { { plain, sizeof(plain), false },
		      { framed, sizeof(framed), false },
		      { jit, sizeof(jit), true } };

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		unsigned char *page = map_code(cases[i].code, cases[i].size);

		for (unsigned turn = 0; turn < 2; turn++) {
			walk.count = 0;
			((void (*)(int, int, int, void (*)(void)))(uintptr_t)page)(0, 0, 0,
										   chain_leaf);
			CHECK_EQ(walk.end, PLN_WALK_ROOT);
			CHECK(has_frame_in((uintptr_t)page, (uintptr_t)page + 16));
			CHECK_EQ(walk.any_guessed, cases[i].guessed);
		}
		/* Stays mapped: what is known of anonymous code is not forgotten with it. */
	}
}

static void garbage_ends_the_walk(void)
{
	uintptr_t words[64] = { 0 };
	struct pln_stack small = { (uintptr_t)words, (uintptr_t)(words + 64), (void *)words };
	struct pln_regs regs = { .pc = 0x1234, .sp = (uintptr_t)words };

	walk = (struct pln_native_walk){ pcs, cfas, guessed, MAX_FRAMES, 0, 0, 0, { 0 } };
	pln_native_walk_sigsafe(&small, &regs, &walk);
	CHECK_EQ(walk.count, 1);
	CHECK_EQ(walk.end, PLN_WALK_UNKNOWN_PC);
	regs.sp = (uintptr_t)(words + 64); /* outside */
	pln_native_walk_sigsafe(&small, &regs, &walk);
	CHECK_EQ(walk.count, 1);
	CHECK_EQ(walk.end, PLN_WALK_BAD_STACK);
	regs.sp = (uintptr_t)words;
	regs.pc = (uintptr_t)chain_leaf; /* rsp + 8: the return address is 0 */
	pln_native_walk_sigsafe(&small, &regs, &walk);
	CHECK_EQ(walk.count, 1);
	CHECK_EQ(walk.end, PLN_WALK_ROOT);
	walk.max = 1;
	words[0] = (uintptr_t)chain_leaf + 1;
	pln_native_walk_sigsafe(&small, &regs, &walk);
	CHECK_EQ(walk.end, PLN_WALK_DEPTH);
	CHECK_EQ(walk.stop_regs.pc, regs.pc);
}

/* The `ret` of a function with a frame pointer, 0: not found. */
static uintptr_t find_epilogue(const void *function)
{
	const unsigned char *text = function;

	for (unsigned i = 0; i < 256; i++)
		if ((text[i] == 0x5d || text[i] == 0xc9) && text[i + 1] == 0xc3)
			return (uintptr_t)text + i + 1; /* pop %rbp or leave; ret */
	return 0;
}

/* In an epilogue a table may still name a slot below sp: unreadable, but not needed any more. */
static void popped_registers_are_kept(void)
{
	uintptr_t words[64] = { (uintptr_t)chain_leaf + 1 };
	struct pln_stack small = { (uintptr_t)words, (uintptr_t)(words + 64), (void *)words };
	struct pln_regs regs = { .pc = find_epilogue((const void *)(uintptr_t)fp_plain),
				 .sp = (uintptr_t)words,
				 .bp = 0x5555,
				 .bx = 0x6666,
				 .known = PLN_REG_BP | PLN_REG_BX };

	if (!CHECK(regs.pc != 0))
		return;
	walk = (struct pln_native_walk){ pcs, cfas, guessed, 2, 0, 0, 0, { 0 } };
	pln_native_walk_sigsafe(&small, &regs, &walk);
	CHECK_EQ(walk.count, 2);
	CHECK_EQ(walk.stop_regs.pc, (uintptr_t)chain_leaf + 1);
	CHECK(walk.stop_regs.known & PLN_REG_BP);
	CHECK_EQ(walk.stop_regs.bp, 0x5555);
	CHECK(walk.stop_regs.known & PLN_REG_BX);
	CHECK_EQ(walk.stop_regs.bx, 0x6666);
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	pln_checked_read_init();
	CHECK_EQ(pln_native_init(), 0);
	CHECK(pln_native_refresh(NULL) > 3);
	find_stack();
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGTRAP, &action, NULL);
	chains_equal_libunwind();
	signal_frames_are_crossed();
	gaps_are_crossed();
	anonymous_code_is_crossed();
	garbage_ends_the_walk();
	popped_registers_are_kept();
	return check_result();
}
