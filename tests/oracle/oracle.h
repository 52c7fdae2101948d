/* SPDX-License-Identifier: MIT */
/*
 * oracle.h - what the parts of the oracle share. See oracle.c.
 */
#ifndef PILLION_TESTS_ORACLE_H
#define PILLION_TESTS_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#include "native/native.h"

#define ORACLE_DEPTH 2048

/* One stack by one of the two walkers. sp[i] is the stack pointer of frame i's caller. */
struct oracle_stack {
	uint64_t pc[ORACLE_DEPTH];
	uint64_t sp[ORACLE_DEPTH];
	uint8_t guessed[ORACLE_DEPTH];
	unsigned count;
	enum pln_walk_end end;
	bool any_guessed;
};

/* ----------------------------------------------------------- verdict.c */

/* How ours differs from libunwind's. */
enum oracle_class {
	ORACLE_IDENTICAL,
	ORACLE_GUESSED_ON, /* equal up to a frame that we guess from; libunwind differs there */
	ORACLE_GUESSED_SAME, /* guessed, and equal all the same */
	ORACLE_NO_TABLE, /* equal up to a module whose table is not built: the collector finishes */
	ORACLE_NO_ROW, /* equal up to a rule outside of tables: the collector finishes */
	ORACLE_SHORTER, /* libunwind has more frames */
	ORACLE_ANONYMOUS, /* equal up to code in no module (a trampoline, a JIT), where libunwind
			     ends */
	ORACLE_LONGER, /* libunwind has fewer */
	ORACLE_DIFFERENT, /* another pc or stack pointer */
	ORACLE_CLASSES
};

/* Context: handler, one thread at a time. */
void oracle_judge(const struct oracle_stack *ours, const struct oracle_stack *theirs,
		  uint64_t walk_ns);
/* The same stack walked as that of a blocked thread: with pc and sp alone. */
void oracle_judge_blocked(const struct oracle_stack *ours, const struct oracle_stack *blocked);
void oracle_skip(void);

/* Writes everything as JSON. Context: exit. */
void oracle_report(const char *path);

/* ----------------------------------------------------------- stacks.c */

/* The stack that contains sp: from the last look at /proc/self/maps. */
bool oracle_stack_around(uintptr_t sp, struct pln_stack *stack);
/* Looks again. Context: the oracle's thread. */
void oracle_stacks_refresh(void);

#endif
