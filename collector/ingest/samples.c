/* SPDX-License-Identifier: MIT */
/*
 * samples.c - one sample to one row of the profile.
 *
 *   wire record -> parts -> finished native walk -> joined frames -> frame ids
 *   -> a path in the tree of stacks -> row
 *
 * Most samples stop early: the same stack as before in the same lane, or pcs and
 * instructions that were resolved before.
 */
#include "ingest/target.h"

#include <stdlib.h>
#include <string.h>

#include "ingest/scratch.h"
#include "profile/grow.h"
#include "profile/linetable.h"

#define WIRE_FLAGS ((2u * PILLION_SAMPLE_NO_STACK) - 1) /* those that this version knows */
/*
 * The library takes 1024 frames of a kind at most, and 16 KiB of a stack. What is done for a sample
 * grows faster than its frames do.
 */
#define MAX_FRAMES 4096u
#define MAX_STACK (64u << 10)
#define MAX_SPAN_NS (1ull << 62) /* so that sums of a few stay in 64 bits */

/* The parts behind a struct pln_sample, all inside the record. */
struct parts {
	const uint64_t *pc;
	const uint32_t *cfa;
	const struct pln_wire_frame *python;
	const struct pln_snapshot *snapshot; /* NULL: none */
	const uint8_t *stack; /* snapshot->stack_size bytes */
	unsigned native_count;
	unsigned python_count;
};

/* ------------------------------------------------------------------ scratch */

struct pln_scratch *pln_scratch_new(void)
{
	struct pln_scratch *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->pc = malloc(PLN_SCRATCH_NATIVE * sizeof(*s->pc));
	s->cfa = malloc(PLN_SCRATCH_NATIVE * sizeof(*s->cfa));
	s->joined = malloc((PLN_SCRATCH_NATIVE + UINT16_MAX) * sizeof(*s->joined));
	if (!s->pc || !s->cfa || !s->joined) {
		pln_scratch_free(s);
		return NULL;
	}
	return s;
}

void pln_scratch_free(struct pln_scratch *s)
{
	if (!s)
		return;
	free(s->record);
	free(s->passes);
	free(s->pc);
	free(s->cfa);
	free(s->joined);
	free(s);
}

static void *at_least(void **memory, size_t *size, size_t wanted)
{
	if (*size < wanted) {
		free(*memory);
		*size = 0;
		*memory = malloc(wanted);
		if (*memory)
			*size = wanted;
	}
	return *memory;
}

struct pln_record *pln_scratch_record(struct pln_scratch *s, size_t size)
{
	return at_least(&s->record, &s->record_size, size);
}

void *pln_scratch_passes(struct pln_scratch *s, size_t size)
{
	return at_least(&s->passes, &s->passes_size, size);
}

/* ------------------------------------------------------------------ parsing */

static size_t align8(size_t size)
{
	return (size + 7) & ~(size_t)7;
}

/* Takes `size` bytes off the record, NULL when they are not there. */
static const void *take_part(const unsigned char **at, size_t *left, size_t size)
{
	const unsigned char *part = *at;

	size = align8(size);
	if (size > *left)
		return NULL;
	*at += size;
	*left -= size;
	return part;
}

static bool take_snapshot(struct parts *p, const unsigned char **at, size_t *left)
{
	p->snapshot = take_part(at, left, sizeof(*p->snapshot));
	if (!p->snapshot || p->snapshot->from_frame >= p->native_count ||
	    p->snapshot->stack_size > MAX_STACK)
		return false;
	p->stack = take_part(at, left, p->snapshot->stack_size);
	return p->stack != NULL;
}

static bool split(const struct pln_sample *rec, struct parts *p)
{
	const unsigned char *at = (const unsigned char *)(rec + 1);
	size_t left = rec->rec.size - sizeof(*rec);

	memset(p, 0, sizeof(*p));
	if (rec->flags & PILLION_SAMPLE_SAME_STACK)
		return true;
	p->native_count = rec->native_count;
	p->python_count = rec->python_count;
	if (p->native_count > MAX_FRAMES || p->python_count > MAX_FRAMES)
		return false;
	p->pc = take_part(&at, &left, p->native_count * sizeof(*p->pc));
	p->cfa = take_part(&at, &left, p->native_count * sizeof(*p->cfa));
	p->python = take_part(&at, &left, p->python_count * sizeof(*p->python));
	if (!p->pc || !p->cfa || !p->python)
		return false;
	return !(rec->flags & PILLION_SAMPLE_SNAPSHOT) || take_snapshot(p, &at, &left);
}

/* ---------------------------------------------------------- finish and join */

static const struct pln_unwind_module *find_unwind_module(uint64_t pc, void *arg)
{
	const struct pln_target *t = arg;
	const struct pln_module *m = pln_modules_find(&t->modules, pc, t->sample_time_ns);

	return m ? &m->unwind : NULL;
}

/* Appends what the target could not walk. Returns the new count of native frames. */
static unsigned finish_walk(struct pln_target *t, const struct pln_sample *rec,
			    const struct parts *p, uint32_t *row_flags)
{
	struct pln_scratch *s = t->scratch;
	bool root = false;
	unsigned count;

	if (!t->unwinder)
		t->unwinder = pln_unwinder_new(find_unwind_module, t);
	if (!t->unwinder) {
		*row_flags |= PILLION_SAMPLE_NATIVE_TRUNCATED;
		return p->native_count;
	}
	t->sample_time_ns = rec->time_ns;
	memcpy(s->pc, p->pc, p->native_count * sizeof(*s->pc));
	memcpy(s->cfa, p->cfa, p->native_count * sizeof(*s->cfa));
	count = pln_unwinder_finish(t->unwinder, p->snapshot, p->stack, rec->sp, s->pc, s->cfa,
				    p->native_count, PLN_SCRATCH_NATIVE, &root);
	*row_flags |= PLN_ROW_FINISHED;
	if (!root)
		*row_flags |= PILLION_SAMPLE_NATIVE_TRUNCATED;
	return count;
}

/* Joined frames in scratch, innermost first. */
static unsigned join(struct pln_target *t, const struct pln_sample *rec, const struct parts *p,
		     uint32_t *row_flags)
{
	struct pln_raw_stack raw = {
		.pc = p->pc,
		.cfa = p->cfa,
		.native_count = p->native_count,
		.python = p->python,
		.python_count = p->python_count,
		.eval_lo = t->eval_lo,
		.eval_hi = t->eval_hi,
		.no_markers = rec->flags & PILLION_SAMPLE_NO_MARKERS,
	};
	bool mismatch = false;
	unsigned count;

	if (p->snapshot) {
		raw.native_count = finish_walk(t, rec, p, row_flags);
		raw.pc = t->scratch->pc;
		raw.cfa = t->scratch->cfa;
	}
	raw.native_complete =
		!(*row_flags & (PILLION_SAMPLE_NATIVE_TRUNCATED | PILLION_SAMPLE_NO_NATIVE));
	count = pln_join(&raw, t->scratch->joined, &mismatch);
	if (mismatch)
		*row_flags |= PLN_ROW_JOIN_MISMATCH;
	return count;
}

/* ------------------------------------------------------------------ resolve */

/* Same key, same frame, as long as the modules do not change. */
struct resolved_key {
	uint64_t value;
	uint32_t instr;
	uint8_t is_python;
	uint8_t guessed;
	uint8_t is_leaf;
	uint8_t zero;
};
static_assert(sizeof(struct resolved_key) == 16, "no padding in keys");

/* In place of a frame id: the frame is the library's own and not part of the program. */
#define OWN_FRAME (PLN_NONE - 1)

void pln_target_forget_resolved(struct pln_target *t)
{
	pln_intern_free(t->resolved_keys);
	t->resolved_keys = NULL;
	t->resolved_count = 0;
}

static uint32_t line_of(const struct pln_target_code *code, uint32_t instr)
{
	if (!code->described)
		return 0;
	/* A frame that has not begun, or a line table that was cut. */
	if (instr == PILLION_NO_INSTR || !code->linetable)
		return code->first_line;
	return pln_linetable_line(code->linetable_kind, code->linetable, code->linetable_size,
				  code->first_line, instr);
}

uint32_t pln_target_python_frame(struct pln_target *t, uint64_t key, uint32_t instr)
{
	struct pln_target_code *code = pln_target_code(t, key);
	struct pln_frame frame = { .kind = PLN_FRAME_PYTHON, .module = PLN_NONE };

	if (!code)
		return PLN_NONE;
	frame.function = pln_target_function(t, code);
	frame.line = line_of(code, instr);
	return frame.function == PLN_NONE ? PLN_NONE : pln_tables_frame(t->tables, &frame);
}

static uint32_t native_frame(struct pln_target *t, const struct pln_joined_frame *joined,
			     uint64_t time_ns)
{
	/* A return address can lie behind the last instruction of its module. */
	uint64_t pc = joined->is_leaf ? joined->value : joined->value - 1;
	const struct pln_module *m = pln_modules_find(&t->modules, pc, time_ns);
	struct pln_frame frame = {
		.kind = PLN_FRAME_NATIVE,
		.guessed = joined->guessed,
		.is_leaf = joined->is_leaf,
		.module = PLN_NONE,
		.address = joined->value,
		.function = PLN_NONE,
	};

	if (m && m->is_own)
		return OWN_FRAME;
	if (m) {
		frame.module = m->id;
		frame.address = joined->value - m->bias;
	}
	return pln_tables_frame(t->tables, &frame);
}

static uint32_t resolve(struct pln_target *t, const struct pln_joined_frame *joined,
			uint64_t time_ns)
{
	if (joined->is_python)
		return pln_target_python_frame(t, joined->value, joined->instr);
	return native_frame(t, joined, time_ns);
}

static uint32_t resolve_cached(struct pln_target *t, const struct pln_joined_frame *joined,
			       uint64_t time_ns)
{
	struct resolved_key key = { joined->value,     joined->is_python ? joined->instr : 0,
				    joined->is_python, joined->guessed,
				    joined->is_leaf,   0 };
	uint32_t at, frame;

	/* Taken before the last change: the maps of its time may have been others. */
	if (time_ns < t->modules.changed_ns && !joined->is_python)
		return resolve(t, joined, time_ns);
	if (!t->resolved_keys)
		t->resolved_keys = pln_intern_new();
	if (!t->resolved_keys)
		return resolve(t, joined, time_ns);
	at = pln_intern_find(t->resolved_keys, &key, sizeof(key));
	if (at != PLN_NONE)
		return t->resolved[at];
	frame = resolve(t, joined, time_ns);
	if (frame != PLN_NONE &&
	    pln_grow(&t->resolved, &t->resolved_capacity, t->resolved_count,
		     sizeof(*t->resolved)) &&
	    pln_intern_add(t->resolved_keys, &key, sizeof(key), NULL) != PLN_NONE)
		t->resolved[t->resolved_count++] = frame;
	return frame;
}

static uint32_t intern_stack(struct pln_target *t, unsigned count, uint64_t time_ns)
{
	const struct pln_joined_frame *joined = t->scratch->joined;
	uint32_t stack = PLN_NONE;

	for (unsigned i = count; i-- > 0;) {
		uint32_t frame = resolve_cached(t, &joined[i], time_ns);

		if (frame == OWN_FRAME)
			continue;
		if (frame == PLN_NONE)
			break;
		stack = pln_tables_stack(t->tables, stack, frame);
		if (stack == PLN_NONE)
			break;
	}
	return stack;
}

/* ---------------------------------------------------------------------- row */

/* Sets *last to the sample's stack. Returns false when it refers to one that we do not have. */
static bool find_stack(struct pln_target *t, const struct pln_sample *rec, const struct parts *p,
		       struct pln_last_stack *last)
{
	uint32_t flags = rec->flags & WIRE_FLAGS;
	unsigned count;

	if (rec->flags & PILLION_SAMPLE_SAME_STACK)
		return last->valid && last->hash == rec->stack_hash;
	last->stack = PLN_NONE;
	if (!(rec->flags & PILLION_SAMPLE_NO_STACK)) {
		count = join(t, rec, p, &flags);
		last->stack = intern_stack(t, count, rec->time_ns);
	}
	last->hash = rec->stack_hash;
	last->syscall_nr = rec->syscall_nr;
	last->gil = rec->gil;
	last->row_flags = flags & ~(uint32_t)PILLION_SAMPLE_SAME_STACK;
	last->valid = true;
	return true;
}

/* What an earlier file was charged with already. */
static void take_off(uint64_t *ns, uint64_t *prepaid_ns)
{
	uint64_t paid = *ns < *prepaid_ns ? *ns : *prepaid_ns;

	*ns -= paid;
	*prepaid_ns -= paid;
}

static void write_row(struct pln_target *t, struct pln_target_thread *thread,
		      const struct pln_sample *rec, const struct pln_last_stack *last)
{
	struct pln_sample_row row = {
		.time_ns = rec->time_ns,
		.cpu_ns = rec->cpu_ns,
		.offcpu_ns = rec->offcpu_ns,
		.runnable_ns = rec->runnable_ns,
		.thread = thread->id,
		.stack = last ? last->stack : PLN_NONE,
		.syscall_nr = rec->syscall_nr,
		.flags = last ? last->row_flags : (uint32_t)PILLION_SAMPLE_NO_STACK,
		.cause = rec->cause,
		.gil = rec->gil,
		.alloc_calls = rec->deltas.alloc_calls,
		.alloc_bytes = rec->deltas.alloc_bytes,
		.free_calls = rec->deltas.free_calls,
		.free_bytes = rec->deltas.free_bytes,
	};

	take_off(&row.offcpu_ns, &thread->prepaid_offcpu_ns);
	take_off(&row.runnable_ns, &thread->prepaid_runnable_ns);
	pln_writer_add_sample(t->writer, &row);
	thread->sampled_cpu_ns += rec->cpu_ns;
	t->samples++;
}

static void write_block(struct pln_target *t, struct pln_target_thread *thread,
			const struct pln_sample *rec, const struct pln_last_stack *last)
{
	struct pln_block_row row = {
		.time_ns = rec->time_ns,
		.size = rec->block.size,
		.interval = rec->block.interval,
		.thread = thread->id,
		.stack = last ? last->stack : PLN_NONE,
		.kind = (uint8_t)rec->block.kind,
		.unfollowed = rec->block.unfollowed != 0,
	};

	if (!row.size || !row.interval || !rec->block.id ||
	    rec->block.kind >= PILLION_BLOCK_KINDS) {
		t->row.lost_records++;
		return;
	}
	pln_target_add_block(t, rec->block.id, &row);
}

/* A reader refuses values that it has no name for, and a time to come would stretch the recording.
 */
static bool is_plausible(const struct pln_target *t, const struct pln_sample *rec)
{
	return rec->cause <= PILLION_CAUSE_ALLOC && rec->gil <= PILLION_GIL_WAITS && rec->thread &&
	       rec->time_ns <= t->drain_ns + PLN_TARGET_AHEAD_NS && rec->cpu_ns < MAX_SPAN_NS &&
	       rec->offcpu_ns < MAX_SPAN_NS && rec->runnable_ns < MAX_SPAN_NS;
}

bool pln_target_sample_is_early(const struct pln_target *t, const struct pln_record *record,
				uint64_t at_most_ns)
{
	const struct pln_sample *rec = (const void *)record;
	struct parts p;

	if (record->size < sizeof(*rec) || rec->time_ns <= t->told_until_ns ||
	    !is_plausible(t, rec) || rec->time_ns + at_most_ns < t->drain_ns || !split(rec, &p))
		return false;
	for (unsigned i = 0; i < p.native_count; i++)
		if (!pln_modules_find(&t->modules, p.pc[i], rec->time_ns))
			return true;
	return false;
}

void pln_target_take_sample(struct pln_target *t, const struct pln_record *record,
			    bool from_sampler)
{
	const struct pln_sample *rec = (const void *)record;
	struct pln_target_thread *thread;
	struct pln_last_stack *last;
	struct parts p;

	if (record->size < sizeof(*rec) || !is_plausible(t, rec) || !split(rec, &p)) {
		t->row.lost_records++;
		return;
	}
	thread = pln_target_thread(t, rec->thread);
	if (!thread)
		return;
	last = &thread->last[from_sampler];
	if (!find_stack(t, rec, &p, last)) {
		/* The time is kept even so. */
		t->row.lost_records++;
		last = NULL;
	}
	if (p.python_count && !thread->row.has_python) {
		thread->row.has_python = true;
		thread->dirty = true;
	}
	if (rec->cause == PILLION_CAUSE_ALLOC)
		write_block(t, thread, rec, last);
	else
		write_row(t, thread, rec, last);
}

/* ------------------------------------------------------------------ the end */

static void charge(struct pln_target *t, struct pln_target_thread *thread,
		   const struct pln_last_stack *last, uint64_t offcpu_ns, uint64_t runnable_ns)
{
	struct pln_sample_row row = {
		.time_ns = thread->row.seen_ns,
		.offcpu_ns = offcpu_ns,
		.runnable_ns = runnable_ns,
		.thread = thread->id,
		.stack = last->stack,
		.syscall_nr = last->syscall_nr,
		.flags = last->row_flags,
		.cause = PILLION_CAUSE_EXIT,
		.gil = last->gil,
	};

	pln_writer_add_sample(t->writer, &row);
	thread->prepaid_offcpu_ns += offcpu_ns;
	thread->prepaid_runnable_ns += runnable_ns;
	t->samples++;
}

void pln_target_charge_pending(struct pln_target *t)
{
	for (size_t i = 0; i < t->thread_count; i++) {
		struct pln_target_thread *thread = &t->threads[i];
		const struct pln_last_stack *running = &thread->last[0],
					    *waiting = &thread->last[1];

		if (thread->row.exited)
			continue;
		if (thread->row.unsampled_wall_ns && waiting->valid) {
			charge(t, thread, waiting, thread->row.unsampled_wall_ns, 0);
			thread->row.unsampled_wall_ns = 0;
		}
		if (thread->pending_runnable_ns && running->valid) {
			charge(t, thread, running, 0, thread->pending_runnable_ns);
			thread->pending_runnable_ns = 0;
		}
		thread->row.unsampled_wall_ns += thread->pending_runnable_ns;
	}
}
