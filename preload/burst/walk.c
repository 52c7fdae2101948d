/* SPDX-License-Identifier: MIT */
/*
 * walk.c - one look at the thread that holds the GIL, while it runs.
 *
 *   upper    the FAST innermost links: the first has the look's time (owed.c)
 *   rest     all others: are they what an earlier look has left, the chain?
 *   rounds   upper twice more: is it still as it was?
 *   rest     once more, and the thread state
 *
 * Where upper does not lead into the chain, or the rest is another one, the chain is read anew, and
 * then upper, rest and so on. The rest was there before and after the rounds, so it was there
 * meanwhile. Upper changes within tens of nanoseconds, so it is read in one go: it must last for
 * that, not for all of the look. A stack counts only if thread state, frames, links, code objects
 * and waiting instructions were the same each time, if the chain ends where chains end, and if the
 * thread still holds the GIL. Anything else is torn.
 *
 * From 3.11 on, all calls of one depth lie in one place, and stay there when they have returned. Of
 * ping and pong, which take turns at our own pace, ping's callee may be read at every first step,
 * and pong at every second. Without rounds a hundredth of what such programs run was mixed up like
 * that, with one round one look in a million, with two none in 10^7. Two recursions that take turns
 * need a microsecond for that, which a look does, too, as all that it reads has just been written:
 * so what takes long is torn as well. Of them it was one look in 10^7, and is none.
 *
 * What a look costs the program is the cache lines that it takes from its CPU. The one with the
 * instruction of the innermost frame is written all the time; from 3.12 on the rest of the frame
 * mostly lies in another one, and it is read once.
 *
 * Where bytes come from: see peek().
 */
#include "burst_i.h"

#include <limits.h>
#include <string.h>

#include <pillion/syscall.h>

#include "clock.h"
#include "options.h"
#include "python/python_i.h"
#include "sampling/announce.h"
#include "sampling/stack_bounds.h"
#include "sampling/threads.h"
#include "segment.h"

#define CFRAME_BYTES 24
#define CHUNK_HOPS 4 /* a frame is in the chunk of its callee, or in one of the next */
#define LEARN_AT_ONCE 8
#define TAG_BITS 3 /* of references in frames, from 3.14 on */
#define OWNERS 64 /* a power of two */
#define ROUNDS 2
#define RECOVERY_NS 3000
#define FAST 8 /* links: to change the next one, as many calls must end */
#define NOWHERE UINT_MAX
/* In readings of the clock, which take 25 ns or more: if nobody has written to what they read. */
#define ROUNDS_CLOCKS 12
#define REST_CLOCKS 6
#define CLOCK_LEAST_NS 25
/* What a look takes then, and its links: three times what was measured. */
#define CLEAN_CLOCKS 12
#define LINKS_IN_CLOCK 2
#define NEAR 64 /* links of a chain among which the joint is looked for */

/* The thread state, as far as it says where the frames are. */
struct state {
	uintptr_t frame; /* innermost, 0: none */
	uintptr_t cframe; /* innermost C eval call, 0: none, or not kept in a list */
	uintptr_t outer_frame; /* innermost frame of the C eval call around that one */
	bool has_outer;
	uintptr_t chunk;
	uintptr_t chunk_top;
	uintptr_t base; /* ends the chain, besides 0 */
	uint64_t thread_id; /* what the layout has: gettid() or pthread_self() */
};

/* Whose thread state it was when last seen. */
struct owner {
	uintptr_t state;
	uint64_t thread_id;
	uint32_t serial; /* 0: it has no slot (yet) */
	uint32_t tid;
};

/* Fields of a frame that is neither a generator's, nor a shim, nor an entry: where they are. */
struct plain {
	size_t size; /* SIZE_MAX: there are none, frames lie elsewhere (<= 3.10) */
	size_t code, instr, previous;
	size_t kind; /* owner, or is_entry and owner: all 0; even */
	uintptr_t kind_mask;
};

static const struct pln_layout *layout;
static struct plain plain;
static struct pln_burst_window fixed; /* the interpreter's own data: mapped for good */
static bool was_searched; /* for `fixed` */
static struct pln_burst_window main_stack; /* lo: the lowest address that was seen to be of it */
static struct pln_burst_window chunk; /* the one that frames were last found in */
static uintptr_t gil; /* 0: `current` of the runtime tells (<= 3.11) */
static uintptr_t to_learn; /* a chunk that is not known yet, 0: none */
static struct owner owners[OWNERS];
static uint64_t clock_takes_ns; /* how fast this machine is; 0: not known yet */

/* ---------------------------------------------------------- reading */

/* The thread runs on: read exactly once, and in this order. */
static inline uintptr_t word(const unsigned char *bytes, size_t offset)
{
	return *(const volatile uintptr_t *)(bytes + offset);
}

static inline unsigned char byte(const unsigned char *bytes, uint32_t offset)
{
	return *(const volatile unsigned char *)(bytes + offset);
}

static inline uint16_t half(const unsigned char *bytes, size_t offset)
{
	return *(const volatile uint16_t *)(bytes + offset);
}

static inline bool lies_in(const struct pln_burst_window *window, uintptr_t address, size_t size)
{
	return address - window->lo < window->hi - window->lo && window->hi - address >= size;
}

/* The kernel never gives the main thread's stack back; it ends where its mapping ends. */
static bool lies_in_main_stack(uintptr_t address, size_t size)
{
	if (lies_in(&main_stack, address, size))
		return true;
	if (address >= main_stack.lo || pln_stack_end_sigsafe(address) != main_stack.hi)
		return false;
	main_stack.lo = address;
	return true;
}

/* Frames lie ever deeper in the data stack: moves the window to the chunk that has it. */
static bool lies_in_next_chunks(uintptr_t address, size_t size)
{
	struct pln_burst_window next = chunk;

	for (unsigned i = 0; i < CHUNK_HOPS && next.lo; i++) {
		uintptr_t previous = word((const unsigned char *)next.lo,
					  offsetof(struct pln_stack_chunk, previous));

		if (!previous)
			break;
		if (!pln_burst_chunk_find(previous, &next)) {
			to_learn = previous;
			break;
		}
		if (lies_in(&next, address, size)) {
			chunk = next;
			return true;
		}
	}
	return false;
}

static const unsigned char *peek_elsewhere(uintptr_t address, size_t size)
{
	if (address % sizeof(uintptr_t))
		return NULL;
	if (lies_in(&fixed, address, size) || lies_in_main_stack(address, size) ||
	    lies_in_next_chunks(address, size))
		return (const unsigned char *)address;
	return to_learn ? NULL : pln_burst_mirror_peek(address, size);
}

/* `size` bytes at `address`: themselves or a copy, valid until the next call; NULL: no. */
static inline const unsigned char *peek(uintptr_t address, size_t size)
{
	if (lies_in(&chunk, address, size) && address % sizeof(uintptr_t) == 0)
		return (const unsigned char *)address;
	return peek_elsewhere(address, size);
}

/* ---------------------------------------------------------- the thread state */

/* Its PyThreadState, 0: nobody's. Static memory, in all versions. */
static uintptr_t holder_of_gil(void)
{
	const unsigned char *at = (const unsigned char *)gil;

	if (!at)
		return word((const unsigned char *)pln_load_relaxed(&pln_python.runtime),
			    layout->runtime.current);
	if (*(const volatile int32_t *)(at + layout->gil.locked) != 1)
		return 0;
	return word(at, layout->gil.last_holder);
}

static bool read_cframe(uintptr_t cframe, uintptr_t *frame, uintptr_t *previous)
{
	const unsigned char *bytes = peek(cframe, CFRAME_BYTES);

	if (!bytes)
		return false;
	*frame = word(bytes, layout->cframe.frame);
	*previous = word(bytes, layout->cframe.previous);
	return true;
}

/* 3.11, 3.12: frames hang on C eval calls, the newest first; the last one runs nothing. */
static bool read_cframes(uintptr_t address, struct state *s)
{
	uintptr_t root = address + layout->thread.root_cframe, outer, ignored;

	if (s->cframe == root)
		return true;
	if (!read_cframe(s->cframe, &s->frame, &outer))
		return false;
	s->has_outer = outer != root;
	return !s->has_outer || read_cframe(outer, &s->outer_frame, &ignored);
}

static bool read_state(uintptr_t address, struct state *s)
{
	const struct pln_layout *l = layout;
	const unsigned char *bytes = peek(address, l->thread.size);

	*s = (struct state){ 0 };
	if (!bytes)
		return false;
	if (pln_has(l->thread.native_id))
		s->thread_id = (uint32_t)word(bytes, l->thread.native_id);
	else
		s->thread_id = word(bytes, l->thread.thread_id);
	if (pln_has(l->thread.chunk)) {
		s->chunk = word(bytes, l->thread.chunk);
		s->chunk_top = word(bytes, l->thread.chunk_top);
	}
	if (pln_has(l->thread.base_frame))
		s->base = word(bytes, l->thread.base_frame);
	if (pln_has(l->thread.frame)) {
		s->frame = word(bytes, l->thread.frame);
		return true;
	}
	s->cframe = word(bytes, l->thread.cframe);
	return read_cframes(address, s);
}

static struct pln_thread *find_thread(uint64_t thread_id)
{
	if (pln_has(layout->thread.native_id))
		return pln_threads_find((uint32_t)thread_id);
	for (uint32_t i = 0; i < pln_threads_high_water_sigsafe(); i++) {
		struct pln_thread *thread = pln_thread_sigsafe(i);

		if (pln_load_relaxed(&thread->pthread_self) == thread_id &&
		    pln_threads_find(thread->tid) == thread)
			return thread;
	}
	return NULL;
}

static const struct owner *owner_of(uintptr_t state, uint64_t thread_id)
{
	struct owner *owner = &owners[state / 64 & (OWNERS - 1)];
	const struct pln_thread *thread;

	if (owner->state == state && owner->thread_id == thread_id && owner->serial)
		return owner;
	thread = find_thread(thread_id);
	*owner = (struct owner){ state, thread_id, thread ? thread->serial : 0,
				 thread ? thread->tid : 0 };
	return owner;
}

/* ---------------------------------------------------------- the chain */

static void start_stack(struct pln_burst_stack *stack)
{
	stack->count = stack->frames = 0;
	stack->innermost = (struct pln_burst_step){ 0 };
	stack->is_chain = false;
}

/* Frames start in the newest chunk. False: it must be made known first. */
static bool start_in_chunk(uintptr_t address)
{
	chunk = (struct pln_burst_window){ 0 };
	if (!address || pln_burst_chunk_find(address, &chunk))
		return true;
	to_learn = address;
	return false;
}

static inline struct pln_burst_step read_step(const unsigned char *bytes, bool *ends)
{
	const struct pln_layout *l = layout;
	struct pln_burst_step step;
	unsigned char owner = pln_has(l->frame.owner) ? byte(bytes, l->frame.owner) : 0;

	if (owner >= PLN_OWNER_SHIM) {
		*ends = true;
		return (struct pln_burst_step){ PLN_BURST_SHIM, 0 };
	}
	step.code = word(bytes, l->frame.code) & ~(uintptr_t)TAG_BITS;
	if (pln_has(l->frame.instr_unit)) {
		step.instr =
			(uint64_t)(int64_t) * (const volatile int32_t *)(bytes + l->frame.instr);
		*ends = true;
		return step;
	}
	step.instr = word(bytes, l->frame.instr);
	step.code |= owner == PLN_OWNER_GENERATOR ? PLN_BURST_GENERATOR : 0;
	*ends = pln_has(l->frame.is_entry) && byte(bytes, l->frame.is_entry);
	step.code |= *ends ? PLN_BURST_ENTRY : 0;
	return step;
}

/* Nobody is below a generator that is being suspended only if the data stack is empty, too. */
static bool is_suspending(const struct pln_burst_stack *stack, const struct state *s)
{
	uintptr_t empty = s->chunk + sizeof(struct pln_stack_chunk) + sizeof(uintptr_t);

	return pln_has(layout->frame.is_entry) && stack->count &&
	       stack->steps[stack->count - 1].code & PLN_BURST_GENERATOR && s->chunk_top > empty;
}

static bool is_at_end(uintptr_t at, const struct state *s)
{
	return !at || at == s->base;
}

static void add_link(struct pln_burst_stack *stack, uintptr_t at, struct pln_burst_step step)
{
	stack->address[stack->count] = at;
	stack->steps[stack->count++] = step;
	if (step.code & PLN_BURST_SHIM)
		return;
	if (!stack->frames++)
		stack->innermost = (struct pln_burst_step){ step.code & ~(uintptr_t)PLN_BURST_ENTRY,
							    step.instr };
}

/* At most `limit` links. False: they do not go together. */
static bool collect(struct pln_burst_stack *stack, const struct state *s, unsigned limit)
{
	uintptr_t at = s->frame;
	bool is_over, ends = true;

	start_stack(stack);
	if (!start_in_chunk(s->chunk))
		return false;
	is_over = lies_in(&chunk, at, 1) && at >= s->chunk_top;
	while (!is_at_end(at, s) && stack->count < limit) {
		const unsigned char *bytes = peek(at, layout->frame.size);

		if (!bytes)
			return false;
		if (stack->frames == (unsigned)pln_options.max_depth)
			break;
		add_link(stack, at, read_step(bytes, &ends));
		if (is_over)
			return false; /* no longer a frame, or not yet */
		at = word(bytes, layout->frame.previous);
	}
	stack->address[stack->count] = at;
	stack->truncated = !is_at_end(at, s);
	stack->is_chain = stack->truncated || (ends && !is_suspending(stack, s));
	return stack->is_chain;
}

/* ---------------------------------------------------------- once more */

static bool is_same_link(const struct pln_burst_stack *stack, unsigned i)
{
	const unsigned char *bytes = peek(stack->address[i], layout->frame.size);
	struct pln_burst_step step;
	bool ends;

	if (!bytes)
		return false;
	step = read_step(bytes, &ends);
	return step.code == stack->steps[i].code && step.instr == stack->steps[i].instr &&
	       word(bytes, layout->frame.previous) == stack->address[i + 1];
}

/*
 * The first link from `i` on, `by` at a time, up to `end`, that is not a plain frame in the chunk
 * which is the same. Nearly all are, and a look takes its time for them: each link is five words,
 * and nothing else. (Its address was found to be aligned when it was read first.)
 */
static unsigned skip_same_plain(const struct pln_burst_stack *stack, unsigned i, unsigned end,
				int by)
{
	const struct plain at = plain;
	uintptr_t lo = chunk.lo, span = chunk.hi - lo;

	span = span > at.size ? span - at.size : 0;
	for (; i != end && stack->address[i] - lo < span; i += (unsigned)by) {
		const unsigned char *bytes = (const unsigned char *)stack->address[i];
		uintptr_t differs = half(bytes, at.kind) & at.kind_mask;

		differs |= (word(bytes, at.code) & ~(uintptr_t)TAG_BITS) ^ stack->steps[i].code;
		differs |= word(bytes, at.instr) ^ stack->steps[i].instr;
		differs |= word(bytes, at.previous) ^ stack->address[i + 1];
		if (differs)
			break;
	}
	return i;
}

/* One that was not skipped. A plain one has changed, even if it was for a moment. */
static bool is_same_though_not_skipped(const struct pln_burst_stack *stack, unsigned i)
{
	bool is_plain = !(stack->steps[i].code & PLN_BURST_TAGS);

	if (is_plain && lies_in(&chunk, stack->address[i], plain.size))
		return false;
	return is_same_link(stack, i);
}

/* All links from `from` on. */
static bool are_same_steps(const struct pln_burst_stack *stack, unsigned from)
{
	unsigned i = from;

	while ((i = skip_same_plain(stack, i, stack->count, 1)) != stack->count)
		if (!is_same_though_not_skipped(stack, i++))
			return false;
	return true;
}

/* The innermost frame runs: where it is, is not read again. */
static bool is_same_running(const struct pln_burst_stack *stack)
{
	const unsigned char *bytes;

	if (!stack->count)
		return true;
	if (stack->steps[0].code & PLN_BURST_SHIM)
		return is_same_link(stack, 0);
	bytes = peek(stack->address[0], layout->frame.size);
	return bytes &&
	       (word(bytes, layout->frame.code) ^ stack->steps[0].code) <= PLN_BURST_TAGS &&
	       word(bytes, layout->frame.previous) == stack->address[1];
}

/* Frames that were left lie in memory as they were: only the state says that they are in use. */
static bool is_same_state(uintptr_t address, const struct state *s)
{
	struct state now;

	return read_state(address, &now) && now.frame == s->frame && now.cframe == s->cframe &&
	       now.chunk == s->chunk && now.thread_id == s->thread_id;
}

static bool is_same(const struct pln_burst_stack *stack, uintptr_t address, const struct state *s)
{
	(void)pln_burst_mirror_refresh();
	return is_same_state(address, s) && start_in_chunk(s->chunk) && is_same_running(stack) &&
	       are_same_steps(stack, 1);
}

/* ---------------------------------------------------------- upper and chain */

/* Where the chain of `stack` is that `upper` leads to. */
static unsigned find_joint(const struct pln_burst_stack *stack, const struct pln_burst_stack *upper)
{
	uintptr_t at = upper->address[upper->count];
	unsigned i = upper->count;

	if (i <= stack->count && stack->address[i] == at)
		return i;
	for (i = 0; i <= stack->count && i < NEAR; i++)
		if (stack->address[i] == at)
			return i;
	return NOWHERE;
}

static unsigned frames_from(const struct pln_burst_stack *stack, unsigned from)
{
	unsigned frames = 0;

	for (unsigned i = from; i < stack->count; i++)
		frames += !(stack->steps[i].code & PLN_BURST_SHIM);
	return frames;
}

/* Puts `upper` in the place of all links before `joint`. */
static void replace_upper(struct pln_burst_stack *stack, const struct pln_burst_stack *upper,
			  unsigned joint)
{
	unsigned count = upper->count, rest = stack->count - joint;

	if (count != joint) {
		memmove(stack->steps + count, stack->steps + joint, rest * sizeof(*stack->steps));
		memmove(stack->address + count, stack->address + joint,
			(rest + 1) * sizeof(*stack->address));
		stack->count = count + rest;
	}
	memcpy(stack->steps, upper->steps, count * sizeof(*stack->steps));
	memcpy(stack->address, upper->address, count * sizeof(*stack->address));
}

/*
 * A C eval call is put on the list before it says which frame it runs: until then its place
 * on the C stack says what was there before, often an earlier frame. The call around it tells.
 */
static bool is_in_step(const struct pln_burst_stack *stack, const struct state *s)
{
	if (!s->has_outer)
		return true;
	for (unsigned i = 0; i < stack->count; i++)
		if (stack->steps[i].code & (PLN_BURST_SHIM | PLN_BURST_ENTRY))
			return stack->address[i + 1] == s->outer_frame;
	return true;
}

/* The joint of a stack that is no deeper than it may be, or nowhere. */
static unsigned fitting_joint(const struct pln_burst_stack *stack,
			      const struct pln_burst_stack *upper)
{
	unsigned joint = stack->is_chain ? find_joint(stack, upper) : NOWHERE;
	unsigned max_depth = (unsigned)pln_options.max_depth, links;

	if (joint > stack->count || (stack->truncated && joint != upper->count))
		return NOWHERE;
	links = stack->count - joint + upper->count;
	if (links > PLN_BURST_STEPS)
		return NOWHERE;
	if (links > max_depth && upper->frames + frames_from(stack, joint) > max_depth)
		return NOWHERE;
	return joint;
}

static bool hold_rounds(const struct pln_burst_stack *upper, uintptr_t address,
			const struct state *s)
{
	for (unsigned i = 0; i < ROUNDS; i++)
		if (!is_same(upper, address, s))
			return false;
	return true;
}

/*
 * All links from `joint` on, and those next to upper, which change most, as late as can be: from
 * the outside in, where we begin anew in the newest chunk for each that is not in the last one's.
 */
static bool held_before(const struct pln_burst_stack *stack, unsigned joint, const struct state *s)
{
	unsigned near = stack->count - joint < NEAR ? stack->count : joint + NEAR;
	unsigned i = near - 1;

	if (near < stack->count && !are_same_steps(stack, near))
		return false;
	while ((i = skip_same_plain(stack, i, joint - 1, -1)) != joint - 1) {
		bool is_near = lies_in(&chunk, stack->address[i], 1);

		if (!is_near && !start_in_chunk(s->chunk))
			return false;
		if (is_near ? !is_same_though_not_skipped(stack, i) : !is_same_link(stack, i))
			return false;
		i--;
	}
	return true;
}

/* The chain, and upper, anew. */
static unsigned join_anew(struct pln_burst_stack *stack, struct pln_burst_stack *upper,
			  uintptr_t address, struct state *s)
{
	uint64_t thread_id = s->thread_id;
	unsigned joint;

	if (!collect(stack, s, PLN_BURST_STEPS))
		return NOWHERE;
	(void)pln_burst_mirror_refresh();
	if (!read_state(address, s) || s->thread_id != thread_id || !collect(upper, s, FAST))
		return NOWHERE;
	joint = fitting_joint(stack, upper);
	return joint != NOWHERE && held_before(stack, joint, s) ? joint : NOWHERE;
}

/*
 * Rounds, rest and state: in less time than it takes to return from all of upper and one more, to
 * call something else, and the same again. (If the kernel copies, pages are of one moment anyhow.)
 */
static bool hold_in_time(struct pln_burst_stack *stack, const struct pln_burst_stack *upper,
			 unsigned joint, uintptr_t address, const struct state *s)
{
	uint64_t start_ns = pln_now_ns_sigsafe(), rounds_ns, rest_ns;
	unsigned rest = stack->count - joint;

	if (!hold_rounds(upper, address, s))
		return false;
	rounds_ns = pln_now_ns_sigsafe() - start_ns;
	if (!are_same_steps(stack, joint) || !is_same_state(address, s))
		return false;
	stack->read_ns = pln_now_ns_sigsafe();
	rest_ns = stack->read_ns - start_ns - rounds_ns;
	return pln_burst_mirror_is_used() || (rounds_ns <= ROUNDS_CLOCKS * clock_takes_ns &&
					      rest_ns <= (REST_CLOCKS + rest / 2) * clock_takes_ns);
}

/* All of it, as told above. */
static bool hold_upper(struct pln_burst_stack *stack, uintptr_t address, struct state *s)
{
	static struct pln_burst_stack upper;
	bool holds = collect(&upper, s, FAST);
	struct pln_burst_step first = upper.innermost;
	unsigned joint = holds ? fitting_joint(stack, &upper) : NOWHERE;

	if (holds && (joint == NOWHERE || !held_before(stack, joint, s)))
		joint = join_anew(stack, &upper, address, s);
	stack->innermost = first;
	stack->running = upper.innermost;
	if (joint == NOWHERE || !hold_in_time(stack, &upper, joint, address, s))
		return false;
	replace_upper(stack, &upper, joint);
	return is_in_step(stack, s);
}

/* Up to 3.10 all links are copies of one moment, or nearly: once more is enough. */
static bool hold_copy(struct pln_burst_stack *stack, uintptr_t address, const struct state *s)
{
	bool holds = collect(stack, s, PLN_BURST_STEPS);

	stack->running = stack->innermost;
	return holds && is_same(stack, address, s);
}

/*
 * What was just copied is gone from the program's cache. Where it needs that, it is slower for
 * a moment, and would be found too often. (Generators that take turns in less than a microsecond
 * still are: each look slows them again.)
 */
static void let_recover(void)
{
	uint64_t start_ns = pln_now_ns_sigsafe();

	while (pln_now_ns_sigsafe() - start_ns < RECOVERY_NS)
		__builtin_ia32_pause();
}

static enum pln_burst_outcome look(struct pln_burst_stack *stack, bool politely)
{
	uintptr_t address = holder_of_gil();
	const struct owner *owner;
	struct state s;
	bool holds;

	if (!address)
		return PLN_BURST_IDLE;
	chunk = (struct pln_burst_window){ 0 };
	stack->thread = 0;
	stack->innermost = (struct pln_burst_step){ 0 };
	if (pln_burst_mirror_refresh() && politely)
		let_recover();
	if (!read_state(address, &s))
		return PLN_BURST_TORN;
	owner = owner_of(address, s.thread_id);
	stack->thread = owner->serial;
	stack->tid = owner->tid;
	if (!stack->thread)
		return holder_of_gil() == address ? PLN_BURST_STRANGER : PLN_BURST_TORN;
	holds = pln_has(layout->thread.chunk) ? hold_upper(stack, address, &s)
					      : hold_copy(stack, address, &s);
	return holds && holder_of_gil() == address ? PLN_BURST_WHOLE : PLN_BURST_TORN;
}

enum pln_burst_outcome pln_burst_walk(struct pln_burst_stack *stack, bool politely)
{
	enum pln_burst_outcome outcome = PLN_BURST_TORN;

	for (unsigned i = 0; i < LEARN_AT_ONCE; i++) {
		to_learn = 0;
		stack->read_ns = 0;
		pln_burst_chunks_enter();
		outcome = look(stack, politely);
		pln_burst_chunks_leave();
		if (!to_learn)
			break;
		pln_burst_chunk_learn(to_learn);
	}
	if (!stack->read_ns)
		stack->read_ns = pln_now_ns_sigsafe();
	return outcome;
}

/* ---------------------------------------------------------- what it stands on */

void pln_burst_walk_stand_on(const struct pln_burst_window *data)
{
	fixed = *data;
	was_searched = true;
}

static bool find_gil(void)
{
	uintptr_t runtime = pln_load_relaxed(&pln_python.runtime), interp;

	gil = 0;
	if (pln_has(layout->runtime.current))
		return true;
	interp = word((const unsigned char *)runtime, layout->runtime.interp_main);
	if (!lies_in(&fixed, interp, layout->interp.gil + sizeof(gil)))
		return false;
	gil = word((const unsigned char *)interp, layout->interp.gil);
	return lies_in(&fixed, gil, layout->gil.size);
}

static void time_clock(void)
{
	uint64_t last_ns = pln_now_ns_sigsafe(), least_ns = PLN_SECOND_NS;

	for (unsigned i = 0; i < 64; i++) {
		uint64_t now_ns = pln_now_ns_sigsafe();

		if (now_ns - last_ns < least_ns)
			least_ns = now_ns - last_ns;
		last_ns = now_ns;
	}
	clock_takes_ns = least_ns > CLOCK_LEAST_NS ? least_ns : CLOCK_LEAST_NS;
}

uint64_t pln_burst_walk_clean_ns(uint64_t looks, uint64_t links)
{
	/* That is the kernel's copying, mostly. */
	if (pln_burst_mirror_is_used())
		return UINT64_MAX;
	return (CLEAN_CLOCKS * looks + links / LINKS_IN_CLOCK) * clock_takes_ns;
}

static void find_plain(void)
{
	const struct pln_layout *l = layout;
	bool with_entry = pln_has(l->frame.is_entry);
	uint32_t kind = with_entry ? l->frame.is_entry : l->frame.owner;

	plain = (struct plain){ .size = SIZE_MAX };
	if (!pln_has(kind) || kind % 2 || (with_entry && l->frame.owner != kind + 1))
		return;
	plain = (struct plain){ .size = l->frame.size,
				.code = l->frame.code,
				.instr = l->frame.instr,
				.previous = l->frame.previous,
				.kind = kind,
				.kind_mask = with_entry ? 0xffff : 0xff };
}

static void find_main_stack(void)
{
	struct pln_thread *thread = pln_threads_find((uint32_t)pln_getpid_sigsafe());

	if (thread && thread->stack_hi && main_stack.hi != thread->stack_hi)
		main_stack = (struct pln_burst_window){ thread->stack_hi, thread->stack_hi };
}

/* Once per segment; a child's is at the same place, mostly. */
static void refuse(const char *why)
{
	static uint64_t told_ns;

	if (told_ns != pln_segment->start_mono_ns)
		pln_announce_note(1, why);
	told_ns = pln_segment->start_mono_ns;
}

bool pln_burst_walk_prepare(void)
{
	/* acquire: pairs with the store in runtime.c */
	layout = pln_load_acquire(&pln_python.layout);
	if (!layout || !was_searched || !pln_python_ready_sigsafe())
		return false;
	if (layout->free_threaded) {
		refuse("burst mode does not support free-threaded builds: nothing was sampled");
		return false;
	}
	if (!fixed.hi || !find_gil()) {
		refuse("burst mode cannot find the GIL here: nothing was sampled");
		return false;
	}
	find_plain();
	find_main_stack();
	if (!clock_takes_ns)
		time_clock();
	__builtin_memset(owners, 0, sizeof(owners));
	return true;
}
