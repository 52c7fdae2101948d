/* SPDX-License-Identifier: MIT */
/*
 * sample.c - put a captured stack into a lane (record layout: wire.h).
 *
 * Context: handler (own lane, direct reads) and sampling thread (its lane, checked
 * reads). Only libc functions that never allocate or lock (memcpy) are called.
 */
#include "sample.h"

#include <string.h>

#include <pillion/lane.h>

#include "hot.h"
#include "segment.h"

#define CODE_RECORD_MAX (40u << 10) /* line table of 32 KiB, two names, header */
#define SNAPSHOT_STACK_MAX (16u << 10)
#define DWARF_RBX 3
#define DWARF_RBP 6
#define DWARF_RSP 7
#define DWARF_RIP 16

PLN_HOT struct pln_outlet pln_outlet_of_sigsafe(struct pln_thread *thread)
{
	return (struct pln_outlet){ .lane = pln_segment_lane_sigsafe(thread->index),
				    .data_size = pln_segment_own.lane_data_size,
				    .last_hash = &thread->last_hash };
}

PLN_HOT void pln_capture_init_sigsafe(struct pln_capture *capture,
				      const struct pln_scratch *scratch)
{
	capture->native = (struct pln_native_walk){
		.pc = scratch->pc,
		.cfa = scratch->cfa,
		.guessed = scratch->guessed,
		.max = scratch->depth,
	};
	capture->python = (struct pln_python_walk){
		.frames = scratch->python,
		.max = scratch->depth,
	};
}

/* ------------------------------------------------------------ identity */

static inline uint64_t mix(uint64_t hash, uint64_t word)
{
	unsigned __int128 product =
		(unsigned __int128)(hash ^ word ^ 0x9e3779b97f4a7c15ull) * 0xd6e8feb86659fd93ull;

	return (uint64_t)product ^ (uint64_t)(product >> 64) ^ (hash << 23 | hash >> 41);
}

/* What makes two stacks the same: the frames, not where on the C stack they lie. Never 0. */
static uint64_t hash_stack(const struct pln_capture *capture)
{
	const struct pln_native_walk *native = &capture->native;
	const struct pln_python_walk *python = &capture->python;
	uint64_t hash = native->count | (uint64_t)python->count << 32;

	for (unsigned i = 0; i < native->count; i++)
		hash = mix(hash, native->pc[i]);
	for (unsigned i = 0; i < python->count; i++)
		hash = mix(mix(hash, python->frames[i].code), python->frames[i].instr);
	hash = mix(hash, native->end);
	return hash ? hash : 1;
}

/* --------------------------------------------------------- code objects */

static bool describe_one(const struct pln_outlet *outlet, const struct pln_python_frame *frame)
{
	uint32_t max =
		outlet->data_size / 2 < CODE_RECORD_MAX ? outlet->data_size / 2 : CODE_RECORD_MAX;
	struct pln_record *rec = pln_lane_reserve_sigsafe(outlet->lane, outlet->data_size, max);
	uint32_t size;

	if (!rec)
		return false;
	size = pln_python_describe_sigsafe(frame, rec, max);
	if (!size) {
		/* Reserved but never committed: the lane is as it was. */
		pln_segment_drop_sigsafe(PILLION_DROP_CODE_UNREADABLE);
		return true;
	}
	rec->type = PILLION_RECORD_CODE;
	pln_lane_trim_sigsafe(rec, size);
	pln_lane_commit_sigsafe(outlet->lane, outlet->data_size, rec);
	/* After the commit: other lanes may refer to the code from now on. */
	pln_python_code_described_sigsafe(frame);
	return true;
}

static bool describe_new_codes(const struct pln_outlet *outlet, const struct pln_python_walk *walk)
{
	for (unsigned i = 0; i < walk->count; i++)
		if (pln_python_code_is_new_sigsafe(&walk->frames[i]) &&
		    !describe_one(outlet, &walk->frames[i]))
			return false;
	return true;
}

/* --------------------------------------------------------------- record */

struct parts {
	uint32_t cfa_at;
	uint32_t python_at;
	uint32_t snapshot_at;
	uint32_t stack_size;
	uint32_t total;
};

static bool needs_snapshot(const struct pln_capture *capture)
{
	return capture->native.end == PLN_WALK_NO_TABLE || capture->native.end == PLN_WALK_NO_ROW;
}

/* Of frame 0 with its red zone, which some rules look into. */
static uintptr_t snapshot_start(const struct pln_capture *capture)
{
	return capture->native.count > 1 ? capture->native.stop_regs.sp : capture->stack.lo;
}

static uint32_t snapshot_stack_size(const struct pln_capture *capture)
{
	uintptr_t from = snapshot_start(capture);

	if (from < capture->stack.lo || from >= capture->stack.hi)
		return 0;
	if (capture->stack.hi - from > SNAPSHOT_STACK_MAX)
		return SNAPSHOT_STACK_MAX;
	return (uint32_t)(capture->stack.hi - from) & ~7u;
}

static struct parts plan(const struct pln_capture *capture, bool snapshot)
{
	struct parts p = { .cfa_at = sizeof(struct pln_sample) + capture->native.count * 8 };

	p.python_at = (p.cfa_at + capture->native.count * 4 + 7) & ~7u;
	p.snapshot_at =
		p.python_at + capture->python.count * (uint32_t)sizeof(struct pln_wire_frame);
	p.total = p.snapshot_at;
	if (snapshot) {
		p.stack_size = snapshot_stack_size(capture);
		p.total += (uint32_t)sizeof(struct pln_snapshot) + p.stack_size;
	}
	return p;
}

/* Offset from sp as the wire has it; 0 when it does not fit. */
static uint32_t offset_of(uintptr_t address, uintptr_t sp)
{
	uint64_t offset = address - sp;

	return offset < PILLION_CFA_GUESSED ? (uint32_t)offset : 0;
}

static void put_native(unsigned char *rec, const struct parts *p, const struct pln_capture *capture)
{
	const struct pln_native_walk *native = &capture->native;
	uint32_t *cfa = (uint32_t *)(rec + p->cfa_at);

	memcpy(rec + sizeof(struct pln_sample), native->pc, native->count * sizeof(*native->pc));
	for (unsigned i = 0; i < native->count; i++) {
		cfa[i] = native->cfa[i] ? offset_of(native->cfa[i], capture->regs.sp) : 0;
		if (native->any_guessed && native->guessed[i])
			cfa[i] |= PILLION_CFA_GUESSED;
	}
	if (native->count % 2)
		cfa[native->count] = 0;
}

/* Of another stack, none: it may lie below this one, or anywhere above. */
static uint32_t marker_of(uintptr_t marker, uintptr_t sp)
{
	return marker >= sp && marker - sp < PILLION_CFA_GUESSED ? (uint32_t)(marker - sp)
								 : PILLION_NO_MARKER;
}

static void put_python(unsigned char *rec, const struct parts *p, const struct pln_capture *capture)
{
	struct pln_wire_frame *out = (struct pln_wire_frame *)(rec + p->python_at);

	for (unsigned i = 0; i < capture->python.count; i++) {
		const struct pln_python_frame *frame = &capture->python.frames[i];

		out[i].code = frame->code;
		out[i].instr = frame->instr;
		out[i].marker = marker_of(frame->marker, capture->regs.sp);
	}
}

/* All that the kernel saved: for rules that need any register. */
static void put_all_registers(struct pln_snapshot *snap, const greg_t *gregs)
{
	static const uint8_t order[17] = { REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
					   REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
					   REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP };

	for (unsigned i = 0; i < 17; i++)
		snap->regs[i] = (uint64_t)gregs[order[i]];
	snap->regs_valid = (1u << 17) - 1;
}

static void put_registers(struct pln_snapshot *snap, const struct pln_regs *regs)
{
	snap->regs[DWARF_RIP] = regs->pc;
	snap->regs[DWARF_RSP] = regs->sp;
	snap->regs[DWARF_RBP] = regs->bp;
	snap->regs[DWARF_RBX] = regs->bx;
	snap->regs_valid = 1u << DWARF_RIP | 1u << DWARF_RSP;
	snap->regs_valid |= regs->known & PLN_REG_BP ? 1u << DWARF_RBP : 0;
	snap->regs_valid |= regs->known & PLN_REG_BX ? 1u << DWARF_RBX : 0;
}

/* Not memcpy(): where that is AddressSanitizer's, it ends a program that reads between its
 * variables. */
static void copy_stack(void *to, const void *from, size_t size)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

static void put_snapshot(unsigned char *rec, const struct parts *p,
			 const struct pln_capture *capture)
{
	struct pln_snapshot *snap = (struct pln_snapshot *)(rec + p->snapshot_at);
	const struct pln_regs *regs = &capture->native.stop_regs;

	memset(snap, 0, sizeof(*snap));
	snap->from_frame = capture->native.count ? capture->native.count - 1 : 0;
	if (!snap->from_frame && capture->gregs)
		put_all_registers(snap, capture->gregs);
	else
		put_registers(snap, regs);
	snap->stack_addr = snapshot_start(capture);
	snap->stack_size = p->stack_size;
	copy_stack(snap + 1, capture->stack.bytes + (snap->stack_addr - capture->stack.lo),
		   p->stack_size);
}

static uint32_t walk_flags(const struct pln_capture *capture)
{
	const struct pln_native_walk *native = &capture->native;
	uint32_t flags = 0;

	if (!capture->want_native)
		flags |= PILLION_SAMPLE_NO_NATIVE;
	else if (native->end != PLN_WALK_ROOT)
		flags |= needs_snapshot(capture) ? PILLION_SAMPLE_SNAPSHOT
						 : PILLION_SAMPLE_NATIVE_TRUNCATED;
	if (native->any_guessed)
		flags |= PILLION_SAMPLE_GUESSED;
	if (capture->python.truncated)
		flags |= PILLION_SAMPLE_PYTHON_TRUNCATED;
	if (capture->python.failed)
		flags |= PILLION_SAMPLE_PYTHON_FAILED;
	if (capture->python.no_markers)
		flags |= PILLION_SAMPLE_NO_MARKERS;
	return flags;
}

/* Copies `head` but for the record header, which the reservation has filled in. */
static struct pln_sample *put_head(struct pln_record *rec, const struct pln_sample *head)
{
	memcpy(rec + 1, &head->rec + 1, sizeof(*head) - sizeof(*rec));
	rec->type = PILLION_RECORD_SAMPLE;
	return (struct pln_sample *)rec;
}

static bool write_frames(const struct pln_outlet *outlet, const struct pln_sample *head,
			 const struct pln_capture *capture)
{
	bool snapshot = head->flags & PILLION_SAMPLE_SNAPSHOT;
	struct parts p = plan(capture, snapshot);
	struct pln_record *rec = pln_lane_reserve_sigsafe(outlet->lane, outlet->data_size, p.total);
	struct pln_sample *sample;

	if (!rec)
		return false;
	sample = put_head(rec, head);
	sample->native_count = (uint16_t)capture->native.count;
	sample->python_count = (uint16_t)capture->python.count;
	put_native((unsigned char *)rec, &p, capture);
	put_python((unsigned char *)rec, &p, capture);
	if (snapshot)
		put_snapshot((unsigned char *)rec, &p, capture);
	pln_lane_commit_sigsafe(outlet->lane, outlet->data_size, rec);
	return true;
}

PLN_HOT bool pln_sample_repeat_sigsafe(const struct pln_outlet *outlet, struct pln_sample *head)
{
	struct pln_record *rec;

	head->stack_hash = *outlet->last_hash;
	head->flags |= head->stack_hash ? PILLION_SAMPLE_SAME_STACK : PILLION_SAMPLE_NO_STACK;
	head->native_count = head->python_count = 0;
	rec = pln_lane_reserve_sigsafe(outlet->lane, outlet->data_size, sizeof(*head));
	if (!rec) {
		pln_segment_drop_sigsafe(PILLION_DROP_LANE_FULL);
		return false;
	}
	(void)put_head(rec, head);
	pln_lane_commit_sigsafe(outlet->lane, outlet->data_size, rec);
	return true;
}

/*
 * Copies of stacks do not fill a lane. Where samples come that fast, the frames that are known
 * are better than a few more stacks to the root and then nothing. Allocations come fastest when
 * a program starts, before there are tables, and leave room for samples of time.
 */
static bool has_room_for_snapshot(const struct pln_outlet *outlet, uint8_t cause)
{
	/* relaxed: a hint; the reservation looks again */
	uint64_t used =
		pln_load_relaxed(&outlet->lane->head) - pln_load_relaxed(&outlet->lane->tail);

	return used <= outlet->data_size / 4 * (cause == PILLION_CAUSE_ALLOC ? 1 : 3);
}

PLN_HOT bool pln_sample_write_sigsafe(const struct pln_outlet *outlet, struct pln_sample *head,
				      const struct pln_capture *capture)
{
	uint64_t hash = hash_stack(capture);

	/* What lies beyond the stop is not in the hash: never the same as another. */
	if (needs_snapshot(capture))
		hash = mix(hash, head->time_ns) | 1;
	head->sp = capture->regs.sp;
	head->flags |= walk_flags(capture);
	if (head->flags & PILLION_SAMPLE_SNAPSHOT && !has_room_for_snapshot(outlet, head->cause))
		head->flags ^= PILLION_SAMPLE_SNAPSHOT | PILLION_SAMPLE_NATIVE_TRUNCATED;
	if (!capture->native.count && !capture->python.count)
		head->flags |= PILLION_SAMPLE_NO_STACK;
	else if (hash == *outlet->last_hash)
		return pln_sample_repeat_sigsafe(outlet, head);
	head->stack_hash = hash;
	if (!describe_new_codes(outlet, &capture->python) || !write_frames(outlet, head, capture)) {
		pln_segment_drop_sigsafe(PILLION_DROP_LANE_FULL);
		return false;
	}
	*outlet->last_hash = hash;
	return true;
}
