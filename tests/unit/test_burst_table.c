/* SPDX-License-Identifier: MIT */
/*
 * Stacks are counted where they are found: equal ones in one cell, at the end of a slice,
 * and only if their code objects are then what they were. A full table takes no more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "burst/burst_i.h"
#include "check.h"
#include "python/python_i.h"

#define NODES 16u
#define CELLS 8u

/* ---------------------------------------------------------- code objects, as told */

struct pln_python pln_python;
static struct pln_layout layout;
static uint32_t slice = 1;
static uint64_t stale_key, missing;

uint32_t pln_burst_codes_slice(void)
{
	return slice;
}

uint32_t pln_burst_codes_changes(void)
{
	return 0;
}

/* The key of code object n at n * 64 is n. */
const struct pln_burst_code *pln_burst_code(const struct pln_layout *l, uintptr_t address)
{
	static struct pln_burst_code code;

	(void)l;
	code = (struct pln_burst_code){ .address = address, .key = address / 64 };
	return code.key == missing ? NULL : &code;
}

enum pln_frame_verdict pln_burst_code_instr(const struct pln_layout *l,
					    const struct pln_burst_code *code,
					    const struct pln_burst_step *step, uint32_t *instr)
{
	(void)l;
	(void)code;
	*instr = (uint32_t)step->instr;
	return step->instr == 99 ? PLN_FRAME_SKIP : PLN_FRAME_KEEP;
}

enum pln_burst_counted pln_burst_code_describe(const struct pln_burst_code *code)
{
	(void)code;
	return PLN_BURST_COUNTED;
}

unsigned pln_burst_codes_end_slice(const struct pln_layout *l)
{
	(void)l;
	slice++;
	return stale_key != 0;
}

bool pln_burst_code_is_stale(uint64_t key)
{
	return key == stale_key;
}

void pln_burst_codes_forget_stale(void)
{
	stale_key = 0;
}

/* ---------------------------------------------------------- a table and stacks */

static struct {
	struct pln_burst header;
	struct pln_burst_node nodes[NODES];
	struct pln_burst_cell cells[CELLS];
} area;

static void set_up(void)
{
	memset(&area, 0, sizeof(area));
	area.header.nodes_off = offsetof(typeof(area), nodes);
	area.header.cells_off = offsetof(typeof(area), cells);
	area.header.node_max = NODES;
	area.header.cell_max = CELLS;
	pln_burst_table_place(&area.header);
	CHECK(pln_burst_table_reset());
	missing = stale_key = 0;
}

/* Code objects 1 (outermost) to `depth`, the innermost one at instruction `instr`. */
static struct pln_burst_stack *stack_of(unsigned depth, uint64_t instr, uint32_t thread)
{
	static struct pln_burst_stack stack;

	stack = (struct pln_burst_stack){ .count = depth + 1, .thread = thread };
	for (unsigned i = 0; i < depth; i++)
		stack.steps[i] = (struct pln_burst_step){ (depth - i) * 64, i ? 4 : instr };
	stack.steps[depth] = (struct pln_burst_step){ PLN_BURST_SHIM, 0 };
	return &stack;
}

static void count(const struct pln_burst_stack *stack, uint64_t cpu_ns, uint64_t wait_ns)
{
	uint32_t cell;

	CHECK(pln_burst_table_find(stack, &cell) == PLN_BURST_COUNTED);
	pln_burst_table_add(cell, cpu_ns, wait_ns);
	area.header.samples++;
}

static void test_equal_stacks_share_a_cell(void)
{
	set_up();
	count(stack_of(3, 8, 1), 10, 1);
	count(stack_of(3, 8, 1), 20, 2);
	CHECK_EQ(area.cells[0].count, 0); /* kept back */
	pln_burst_table_end_slice();
	CHECK_EQ(area.cells[0].count, 2);
	CHECK_EQ(area.cells[0].cpu_ns, 30);
	CHECK_EQ(area.cells[0].wait_ns, 3);
	CHECK_EQ(area.header.cell_count, 1);
	CHECK_EQ(area.header.node_count, 4); /* and the empty one */
	count(stack_of(3, 8, 1), 5, 0);
	pln_burst_table_end_slice();
	CHECK_EQ(area.cells[0].cpu_ns, 35);
	CHECK_EQ(area.header.cell_count, 1);
}

static void test_stacks_differ_by_instruction_and_thread(void)
{
	const struct pln_burst_node *node = &area.nodes[3];

	set_up();
	count(stack_of(3, 8, 1), 1, 0);
	count(stack_of(3, 10, 1), 2, 0);
	count(stack_of(3, 8, 2), 4, 0);
	pln_burst_table_end_slice();
	CHECK_EQ(area.header.cell_count, 3);
	CHECK_EQ(area.header.node_count, 5); /* the callers are the same */
	CHECK(node->code == 3 && node->instr == 8 && area.nodes[node->parent].code == 2);
	CHECK(area.cells[0].thread == 1 && area.cells[2].thread == 2);
	CHECK_EQ(area.cells[0].node, area.cells[2].node);
}

static void test_a_frame_that_is_being_set_up_is_left_out(void)
{
	set_up();
	count(stack_of(2, 99, 1), 1, 0);
	count(stack_of(1, 4, 1), 2, 0);
	pln_burst_table_end_slice();
	CHECK_EQ(area.header.cell_count, 1);
	CHECK_EQ(area.cells[0].cpu_ns, 3);
}

static void test_samples_of_a_code_object_that_changed_are_torn(void)
{
	set_up();
	count(stack_of(2, 8, 1), 10, 0);
	count(stack_of(3, 8, 1), 20, 5);
	stale_key = 3;
	pln_burst_table_end_slice();
	CHECK_EQ(area.cells[0].cpu_ns, 10);
	CHECK_EQ(area.cells[1].cpu_ns, 0);
	CHECK_EQ(area.header.dropped_ns, 25);
	CHECK_EQ(area.header.torn, 1);
	CHECK_EQ(area.header.samples, 1);
}

static void test_what_is_no_code_object_is_no_stack(void)
{
	uint32_t cell;

	set_up();
	missing = 2;
	CHECK(pln_burst_table_find(stack_of(3, 8, 1), &cell) == PLN_BURST_IMPLAUSIBLE);
	missing = 0;
	CHECK(pln_burst_table_find(stack_of(3, 8, 1), &cell) == PLN_BURST_COUNTED);
}

static void test_a_full_table_takes_no_more_and_keeps_counting(void)
{
	unsigned full = 0;
	uint32_t cell;

	set_up();
	for (unsigned i = 0; i < 50; i++)
		full += pln_burst_table_find(stack_of(1, 100 + i, 1), &cell) == PLN_BURST_FULL;
	CHECK_EQ(full, 50 - CELLS);
	CHECK_EQ(area.header.cell_count, CELLS);
	count(stack_of(1, 100, 1), 7, 0);
	pln_burst_table_end_slice();
	CHECK_EQ(area.cells[0].cpu_ns, 7);
	set_up();
	CHECK(pln_burst_table_find(stack_of(NODES, 8, 1), &cell) == PLN_BURST_FULL);
	CHECK_EQ(area.header.node_count, NODES);
}

/* Then the kernel does not empty pages that are given back to it. */
static void test_any_number_of_stacks_is_told_apart_in_locked_memory(void)
{
	if (mlockall(MCL_FUTURE) || !pln_burst_table_reset()) {
		munlockall();
		printf("skipped: memory cannot be locked here\n");
		return;
	}
	(void)alarm(20); /* a table that is never emptied is searched forever */
	test_a_full_table_takes_no_more_and_keeps_counting();
	(void)alarm(0);
	munlockall();
}

int main(void)
{
	pln_store_relaxed(&pln_python.layout, &layout);
	test_equal_stacks_share_a_cell();
	test_stacks_differ_by_instruction_and_thread();
	test_a_frame_that_is_being_set_up_is_left_out();
	test_samples_of_a_code_object_that_changed_are_torn();
	test_what_is_no_code_object_is_no_stack();
	test_a_full_table_takes_no_more_and_keeps_counting();
	test_any_number_of_stacks_is_told_apart_in_locked_memory();
	return check_result();
}
