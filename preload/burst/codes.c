/* SPDX-License-Identifier: MIT */
/*
 * codes.c - from the address of a code object to its key, and from a frame's instruction to
 * an offset.
 *
 * A code object may be freed and another one be made in its place. So all that were met in
 * a slice of some milliseconds are looked at again at its end: samples are counted only if
 * their code objects are then what they were.
 */
#include "burst_i.h"

#include <string.h>

#include <pillion/lane.h>

#include "checked_read.h"
#include "python/python_i.h"
#include "segment.h"

#define STALE 64 /* more at one time: none is to be trusted */
#define RECORD_MAX (40u << 10) /* line table of 32 KiB, two names, header */
#define CODES 8192 /* a power of two */
#define PROBES 16 /* places where one may be */

static struct pln_burst_code codes[CODES];
static uint16_t met[CODES]; /* in this slice: indices of codes[] */
static unsigned met_count;
static uint64_t stale[STALE]; /* keys that were something else in the end */
static unsigned stale_count; /* may be more than are remembered */
static uint32_t slice = 1, changes;

void pln_burst_codes_reset(void)
{
	memset(codes, 0, sizeof(codes));
	met_count = stale_count = 0;
}

uint32_t pln_burst_codes_slice(void)
{
	return slice;
}

uint32_t pln_burst_codes_changes(void)
{
	return changes;
}

/*
 * The thread runs on, and may have freed it. Memory that is free keeps its contents for a
 * while, but for the first word: the count of references was 0 in the end, or a link of the
 * allocator's has taken its place. (From 3.14 on, flags stand above the low 48 bits.)
 */
static bool is_alive(const unsigned char *bytes)
{
	uint64_t references = pln_word_at(bytes, 0) & ((1ull << 48) - 1);

	return references && references <= UINT32_MAX;
}

static uint64_t read_code(const struct pln_layout *l, struct pln_burst_code *code)
{
	unsigned char bytes[PLN_CODE_BYTES];
	uint64_t units;

	if (!pln_checked_read_sigsafe(code->address, bytes, l->code.size) || !is_alive(bytes) ||
	    !pln_python_is_code_sigsafe(l, bytes))
		return 0;
	if (pln_has(l->code.bytecode)) {
		units = pln_word_at(bytes, l->code.body);
		code->start = code->address + l->code.bytecode;
		code->size = units < UINT32_MAX / 2 ? (uint32_t)units * 2 : 0;
		code->first = 2 * pln_int_at(bytes, l->code.first_traceable);
	}
	return pln_python_code_key_sigsafe(l, code->address, bytes);
}

static void note_stale(uint64_t key)
{
	changes++;
	if (stale_count < STALE)
		stale[stale_count] = key;
	stale_count++;
}

static void look_at(const struct pln_layout *layout, struct pln_burst_code *code)
{
	uint64_t key = read_code(layout, code);

	if (code->key && key != code->key)
		note_stale(code->key);
	code->key = key;
}

/* Where it is, or may be: rather in the place of one that is not of this slice. */
static struct pln_burst_code *find_place(uintptr_t address)
{
	uint32_t index = (address >> 4) * 0x9e3779b97f4a7c15ull >> 51 & (CODES - 1);
	struct pln_burst_code *old = NULL;

	for (uint32_t i = 0; i < PROBES; i++) {
		struct pln_burst_code *code = &codes[(index + i) & (CODES - 1)];

		if (code->address == address)
			return code;
		if (!old && code->slice != slice)
			old = code;
	}
	return old ? old : &codes[index];
}

/* Whether it stays what it is, nobody will see; cells of this slice alone depend on that. */
static void forget(const struct pln_burst_code *code)
{
	if (!code->key)
		return;
	if (code->slice == slice)
		note_stale(code->key);
	else
		changes++;
}

const struct pln_burst_code *pln_burst_code(const struct pln_layout *layout, uintptr_t address)
{
	struct pln_burst_code *code = find_place(address);

	if (code->address == address && code->slice == slice)
		return code->key ? code : NULL;
	if (code->address != address) {
		forget(code);
		*code = (struct pln_burst_code){ .address = address };
	}
	if (!code->key)
		look_at(layout, code);
	if (code->slice != slice && met_count < CODES)
		met[met_count++] = (uint16_t)(code - codes);
	code->slice = slice;
	return code->key ? code : NULL;
}

unsigned pln_burst_codes_end_slice(const struct pln_layout *layout)
{
	unsigned count;

	for (unsigned i = 0; i < met_count; i++)
		look_at(layout, &codes[met[i]]);
	count = stale_count;
	met_count = 0;
	slice++;
	return count;
}

bool pln_burst_code_is_stale(uint64_t key)
{
	for (unsigned i = 0; i < stale_count && i < STALE; i++)
		if (stale[i] == key)
			return true;
	return stale_count > STALE;
}

void pln_burst_codes_forget_stale(void)
{
	stale_count = 0;
}

enum pln_frame_verdict pln_burst_code_instr(const struct pln_layout *layout,
					    const struct pln_burst_code *code,
					    const struct pln_burst_step *step, uint32_t *instr)
{
	if (pln_has(layout->frame.instr_unit)) {
		*instr = pln_instruction_of_index(layout, (int64_t)step->instr);
		return PLN_FRAME_KEEP;
	}
	return pln_instruction_of_pointer((int64_t)(step->instr - code->start), code->size,
					  code->first, step->code & PLN_BURST_GENERATOR, instr);
}

/* Whether what was read of it, names and all, was read while it was there. */
static bool is_still(const struct pln_layout *l, const struct pln_burst_code *code)
{
	struct pln_burst_code now = { .address = code->address };

	return read_code(l, &now) == code->key;
}

static bool describe(const struct pln_burst_code *code, const struct pln_python_frame *frame)
{
	struct pln_lane *lane = pln_segment_sampler();
	uint32_t data_size = pln_segment_own.sampler_data_size, size;
	struct pln_record *rec = pln_lane_reserve_sigsafe(lane, data_size, RECORD_MAX);

	if (!rec)
		return false;
	size = pln_python_describe_sigsafe(frame, rec, RECORD_MAX);
	/* Reserved but never committed: the lane is as it was. */
	if (!size || !is_still(pln_load_relaxed(&pln_python.layout), code))
		return true;
	rec->type = PILLION_RECORD_CODE;
	pln_lane_trim_sigsafe(rec, size);
	pln_lane_commit_sigsafe(lane, data_size, rec);
	pln_python_code_described_sigsafe(frame);
	return true;
}

enum pln_burst_counted pln_burst_code_describe(const struct pln_burst_code *code)
{
	struct pln_python_frame frame = { .code = code->key, .code_addr = code->address };

	if (!pln_python_code_is_new_sigsafe(&frame))
		return PLN_BURST_COUNTED;
	if (!describe(code, &frame))
		return PLN_BURST_FULL;
	/* It was freed before it could be described: nor does the stack exist any more. */
	return pln_python_code_is_new_sigsafe(&frame) ? PLN_BURST_IMPLAUSIBLE : PLN_BURST_COUNTED;
}
