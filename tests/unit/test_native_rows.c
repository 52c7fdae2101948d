/* SPDX-License-Identifier: MIT */
/*
 * test_native_rows.c - one step from every row of libc, libm, the loader and this
 * program gives what libunwind gives: caller's pc, stack pointer, rbp and rbx.
 * Libraries given as arguments are loaded and compared too.
 *
 * The stack is made up: every word holds a value of its own, so that a load from a
 * wrong place shows.
 */
#define UNW_LOCAL_ONLY
#include <dlfcn.h>
#include <libunwind.h>
#include <link.h>
#include <stdlib.h>
#include <ucontext.h>

#include "check.h"
#include "checked_read.h"
#include "native/module_set_i.h"
#include "native/native.h"

#define STACK_WORDS (256 * 1024)
#define SP_AT (STACK_WORDS / 8)
#define BP_AT (STACK_WORDS / 2)
#define BX_AT (3 * STACK_WORDS / 4)

static uintptr_t stack_words[STACK_WORDS];

struct tally {
	unsigned compared, ended, left, different;
};

static void fill_stack(void)
{
	for (size_t i = 0; i < STACK_WORDS; i++)
		stack_words[i] = (uintptr_t)&stack_words[i] + 0x1000000001ul;
	/* Where realigned functions and assembly keep an older stack pointer. */
	for (size_t i = BP_AT - 64; i < BP_AT + 64; i++)
		stack_words[i] = (uintptr_t)&stack_words[i + 4096];
	for (size_t i = SP_AT - 16; i < SP_AT + 128; i++)
		stack_words[i] = (uintptr_t)&stack_words[i + 2048];
}

static struct pln_regs start_at(uintptr_t pc)
{
	return (struct pln_regs){ .pc = pc,
				  .sp = (uintptr_t)&stack_words[SP_AT],
				  .bp = (uintptr_t)&stack_words[BP_AT],
				  .bx = (uintptr_t)&stack_words[BX_AT],
				  .r10 = (uintptr_t)&stack_words[BX_AT + 512],
				  .r11 = (uintptr_t)&stack_words[BX_AT + 1024],
				  .known = PLN_REG_BP | PLN_REG_BX | PLN_REG_R10 | PLN_REG_R11 };
}

static int step_theirs(const struct pln_regs *regs, unw_word_t after[4])
{
	ucontext_t uc;
	unw_cursor_t cursor;
	int result;

	memset(&uc, 0, sizeof(uc));
	uc.uc_mcontext.gregs[REG_RIP] = (greg_t)regs->pc;
	uc.uc_mcontext.gregs[REG_RSP] = (greg_t)regs->sp;
	uc.uc_mcontext.gregs[REG_RBP] = (greg_t)regs->bp;
	uc.uc_mcontext.gregs[REG_RBX] = (greg_t)regs->bx;
	uc.uc_mcontext.gregs[REG_R10] = (greg_t)regs->r10;
	uc.uc_mcontext.gregs[REG_R11] = (greg_t)regs->r11;
	unw_init_local2(&cursor, (unw_context_t *)&uc, UNW_INIT_SIGNAL_FRAME);
	result = unw_step(&cursor);
	unw_get_reg(&cursor, UNW_REG_IP, &after[0]);
	unw_get_reg(&cursor, UNW_REG_SP, &after[1]);
	unw_get_reg(&cursor, UNW_X86_64_RBP, &after[2]);
	unw_get_reg(&cursor, UNW_X86_64_RBX, &after[3]);
	return result;
}

static void compare_at(uintptr_t pc, struct tally *tally)
{
	struct pln_stack stack = { (uintptr_t)stack_words, (uintptr_t)(stack_words + STACK_WORDS),
				   (const unsigned char *)stack_words };
	struct pln_regs regs = start_at(pc), after;
	uint64_t pcs[2], cfas[2];
	uint8_t guessed[2];
	struct pln_native_walk walk = { .pc = pcs, .cfa = cfas, .guessed = guessed, .max = 2 };
	unw_word_t theirs[4];
	int result;

	pln_native_walk_sigsafe(&stack, &regs, &walk);
	result = step_theirs(&regs, theirs);
	if (walk.end == PLN_WALK_NO_ROW) {
		tally->left++;
		return;
	}
	if (walk.end == PLN_WALK_ROOT) {
		tally->ended++;
		tally->different += result > 0 && theirs[0];
		return;
	}
	after = walk.stop_regs;
	tally->compared++;
	if (after.pc == theirs[0] && after.sp == theirs[1] &&
	    (!(after.known & PLN_REG_BP) || after.bp == theirs[2]) &&
	    (!(after.known & PLN_REG_BX) || after.bx == theirs[3]))
		return;
	if (tally->different++ < 10)
		fprintf(stderr,
			"pc %#lx: pc %lx sp %lx bp %lx bx %lx known %u, libunwind %d: %lx %lx %lx "
			"%lx\n",
			pc, after.pc, after.sp, after.bp, after.bx, after.known, result, theirs[0],
			theirs[1], theirs[2], theirs[3]);
}

/* Signal frames need a real one on the stack: test_native_walk.c has it. */
static bool is_comparable(struct pln_row row)
{
	return pln_row_is_function_sigsafe(row) && pln_row_kind_sigsafe(row) != PLN_ROW_SIGNAL;
}

static int wanted_count;
static char **wanted; /* the program's arguments */

static bool is_wanted(const char *path)
{
	for (int i = 1; i < wanted_count; i++)
		if (strstr(path, wanted[i]))
			return true;
	return strstr(path, "/libc.so") || strstr(path, "/libm.so") || strstr(path, "/ld-linux") ||
	       strstr(path, "test_native_rows");
}

static void compare_module(const struct pln_module *module, void *arg)
{
	struct tally *total = arg, tally = { 0, 0, 0, 0 };
	struct pln_module_set *set;
	const struct pln_table *table;

	if (!is_wanted(module->path))
		return;
	pln_native_want(module->lo);
	set = pln_module_set_current();
	table = pln_module_set_find_sigsafe(set, module->lo)->table;
	if (!CHECK(table != NULL))
		return;
	for (uint32_t i = 0; i < table->row_count; i++)
		if (is_comparable(table->list.rows[i]))
			compare_at(module->lo + table->list.rows[i].pc, &tally);
	printf("%s: %u rows, %u steps compared, %u ends, %u left to others, %u different\n",
	       module->path, table->row_count, tally.compared, tally.ended, tally.left,
	       tally.different);
	CHECK_EQ(tally.different, 0);
	CHECK(tally.compared > 10);
	CHECK(tally.left * 100 < tally.compared);
	total->compared += tally.compared;
}

static void unused(const struct pln_module *module, void *arg)
{
	(void)module;
	(void)arg;
}

/* Modules are announced before they are published: remember, and look later. */
static struct pln_module seen[64];
static unsigned seen_count;

static void remember(const struct pln_module *module, void *arg)
{
	(void)arg;
	if (seen_count < sizeof(seen) / sizeof(*seen))
		seen[seen_count++] = *module;
}

int main(int argc, char **argv)
{
	struct pln_module_events events = { .added = remember, .gone = unused };
	struct tally total = { 0, 0, 0, 0 };

	wanted_count = argc;
	wanted = argv;
	for (int i = 1; i < argc; i++)
		CHECK(dlopen(argv[i], RTLD_NOW | RTLD_GLOBAL) != NULL);
	dlopen("libm.so.6", RTLD_NOW);
	fill_stack();
	pln_checked_read_init();
	CHECK_EQ(pln_native_init(), 0);
	CHECK(pln_native_refresh(&events) > 3);
	for (unsigned i = 0; i < seen_count; i++)
		compare_module(&seen[i], &total);
	CHECK(total.compared > 10000);
	return check_result();
}
