/* SPDX-License-Identifier: MIT */
/*
 * join.c - puts Python frames in the place of the C eval calls that run them.
 *
 *   native, innermost first         Python, innermost first
 *     0  dgemm_kernel                 f   no marker         called from g inside one
 *     1  array_matmul                 g   marker in [1,2)   eval call, frame 2
 *     2  eval    <--- f, g            main  marker in [4,5)
 *     3  vectorcall
 *     4  eval    <--- main            joined: 0 1 f g 3 main 5
 *     5  _start
 *
 * Native frame i covers the stack from its SP (the CFA of frame i - 1) up to its own
 * CFA, so the frames tile the walked part of the stack and a marker, which is an address
 * in it, lies in exactly one of them. Python frames up to and with one that has a marker
 * are a segment: they go in the place of that frame. Python frames whose marker cannot be
 * placed wait for the next one that can: that keeps them in order, outside of the native
 * leaf, and inside of what surely called them.
 */
#include "stacks/stacks.h"

#define NOT_FOUND UINT32_MAX
/*
 * Native frames that are looked at for markers in none of them. As many as stacks of 1024 frames of
 * each kind can cost: a target that lies must not take more time than one that does not.
 */
#define LOOKS_IN_VAIN (1u << 20)

struct joiner {
	const struct pln_raw_stack *raw;
	struct pln_joined_frame *out;
	unsigned count;
	unsigned next_native; /* first native frame not yet copied or replaced */
	unsigned next_python; /* first Python frame not yet copied */
	bool placed; /* a segment found its native frame */
	bool mismatch;
};

static uint32_t cfa_of(const struct pln_raw_stack *raw, unsigned i)
{
	return raw->cfa[i] & ~PILLION_CFA_GUESSED;
}

static void copy_natives(struct joiner *j, unsigned end)
{
	for (; j->next_native < end; j->next_native++) {
		unsigned i = j->next_native;

		j->out[j->count++] = (struct pln_joined_frame){
			.guessed = !!(j->raw->cfa[i] & PILLION_CFA_GUESSED),
			.is_leaf = i == 0,
			.value = j->raw->pc[i],
		};
	}
}

static void copy_pythons(struct joiner *j, unsigned end)
{
	for (; j->next_python < end; j->next_python++) {
		const struct pln_wire_frame *frame = &j->raw->python[j->next_python];

		j->out[j->count++] = (struct pln_joined_frame){
			.is_python = true,
			.value = frame->code,
			.instr = frame->instr,
		};
	}
}

/* Python frames before `python_end` stand in for native frame `native`. */
static void replace(struct joiner *j, unsigned native, unsigned python_end)
{
	if (native >= j->next_native) {
		copy_natives(j, native);
		j->next_native = native + 1;
	}
	copy_pythons(j, python_end);
	j->placed = true;
}

/*
 * Python frames that no native frame claimed. When the native walk stopped short, their
 * eval calls are further out than what it saw. When it did not, they are put next to the
 * segment they follow rather than outside of the thread's first frame.
 */
static unsigned finish(struct joiner *j, bool *mismatch)
{
	if (!j->raw->native_complete || !j->placed)
		copy_natives(j, j->raw->native_count);
	copy_pythons(j, j->raw->python_count);
	copy_natives(j, j->raw->native_count);
	*mismatch = j->mismatch;
	return j->count;
}

/* -------------------------------------------------------------- by markers */

/* Where the walked part of the stack ends. */
static uint32_t walked_size(const struct pln_raw_stack *raw)
{
	uint32_t size = 0;

	for (unsigned i = 0; i < raw->native_count; i++)
		if (cfa_of(raw, i) > size)
			size = cfa_of(raw, i);
	return size;
}

/* The native frame, from `from` on, that holds `marker`. */
static unsigned frame_of_marker(const struct pln_raw_stack *raw, unsigned from, uint32_t marker)
{
	uint32_t sp = from ? cfa_of(raw, from - 1) : 0;

	for (unsigned i = from; i < raw->native_count; i++) {
		uint32_t cfa = cfa_of(raw, i);

		if (marker >= sp && marker < cfa)
			return i;
		if (cfa)
			sp = cfa;
	}
	return NOT_FOUND;
}

/* Python frames before this one were called from within the walked part of the stack. */
static unsigned pythons_within(const struct pln_raw_stack *raw)
{
	uint32_t size = walked_size(raw);
	unsigned end = raw->python_count;

	while (end && (raw->python[end - 1].marker == PILLION_NO_MARKER ||
		       raw->python[end - 1].marker >= size))
		end--;
	return end;
}

static void join_by_markers(struct joiner *j)
{
	const struct pln_raw_stack *raw = j->raw;
	unsigned within = pythons_within(raw);
	unsigned last = 0; /* two markers may lie in one native frame */
	unsigned looks_left = LOOKS_IN_VAIN;

	for (unsigned i = 0; i < raw->python_count; i++) {
		unsigned native;

		if (raw->python[i].marker == PILLION_NO_MARKER)
			continue;
		if (i >= within) {
			j->mismatch |= raw->native_complete;
			continue;
		}
		native = frame_of_marker(raw, last, raw->python[i].marker);
		if (native == NOT_FOUND) {
			unsigned looks = raw->native_count - last;

			j->mismatch = true;
			if (looks > looks_left)
				break;
			looks_left -= looks;
			continue;
		}
		replace(j, native, i + 1);
		last = native;
	}
}

/* ---------------------------------------------- by address range (3.8, 3.9) */

static bool is_eval(const struct pln_raw_stack *raw, unsigned i)
{
	/* A return address may be the first one behind the function that called. */
	uint64_t pc = i ? raw->pc[i] - 1 : raw->pc[i];

	return pc >= raw->eval_lo && pc < raw->eval_hi;
}

static unsigned count_evals(const struct pln_raw_stack *raw)
{
	unsigned count = 0;

	for (unsigned i = 0; i < raw->native_count; i++)
		count += is_eval(raw, i);
	return count;
}

/*
 * One Python frame for each eval call. An eval call that was just entered, or is about
 * to return, has no Python frame (yet, any more): one call too many is the innermost.
 */
static void join_by_range(struct joiner *j)
{
	const struct pln_raw_stack *raw = j->raw;
	unsigned evals = count_evals(raw);
	bool skip = evals == raw->python_count + 1;

	j->mismatch = evals > raw->python_count + 1 ||
		      (evals < raw->python_count && raw->native_complete);
	for (unsigned i = 0; i < raw->native_count && j->next_python < raw->python_count; i++) {
		if (!is_eval(raw, i))
			continue;
		if (!skip)
			replace(j, i, j->next_python + 1);
		skip = false;
	}
}

unsigned pln_join(const struct pln_raw_stack *raw, struct pln_joined_frame *out, bool *mismatch)
{
	struct joiner j = { .raw = raw, .out = out };

	if (raw->native_count && raw->python_count) {
		if (raw->no_markers)
			join_by_range(&j);
		else
			join_by_markers(&j);
	}
	return finish(&j, mismatch);
}
