/* SPDX-License-Identifier: MIT */
/*
 * frames.c - walks the Python frames of a thread, by the layout.
 *
 * In two steps. First the chain: every frame leads to its caller; what can be said
 * without its code object is written down. Then the code objects: is it one, is the
 * frame complete, which instruction is it at.
 *
 * One walker serves the running thread (in its handler; memory is read in place) and
 * blocked threads (on the sampling thread; everything is a copy). They differ only in
 * peek(): where the bytes of an address come from. Read in place is only what lies in
 * the thread's own stack or its own data-stack chunks, and objects that the chain of
 * frames keeps alive. A frame that was being pushed or popped when the signal came may
 * lead anywhere: all else goes through a checked read, and what makes no sense ends
 * the walk.
 *
 * `instr` is the offset in bytes, from the first instruction of the code object, of the
 * instruction that the frame executes: in a frame that waits for a callee, of its call.
 * A decoder looks up the entry of the line table that covers this very offset, without
 * stepping back, in all versions. (3.8, 3.9: the last lnotab entry that starts at or
 * before it.) PILLION_NO_INSTR: no instruction was started yet; the line is first_line.
 */
#include "python_i.h"

#include "checked_read.h"
#include "far_frames.h"
#include "hot.h"
#include "instruction.h"

#define WINDOW_MAX 6
#define CHUNK_HOPS 4 /* a frame is in the chunk of its callee, or in one of the next */
#define CHUNK_BYTES_MAX (1u << 30)
#define COPY_BYTES (64u << 10) /* of the data stack of a blocked thread */
#define CFRAME_BYTES 24
#define CODE_BATCH 64
#define ODD_SHIMS 2
#define TAG_BITS 3 /* of references in frames, from 3.14 on; objects are aligned to 8 */

/* Steps of a chain: shims do not count as frames, and the last marker may lie further out. */
#define STEP_LIMIT(max) (4 * (max) + 64)

struct walker {
	const struct pln_layout *layout;
	struct pln_python_walk *out;
	bool direct; /* own thread, and the layout is trusted */
	const unsigned char *thread; /* the PyThreadState's bytes */
	uintptr_t thread_address;
	struct pln_stack windows[WINDOW_MAX]; /* what may be read without asking */
	unsigned window_count;
	unsigned chunk_window; /* direct: the window that moves along the data stack, 0: none */
	uintptr_t cframe; /* C eval call of the frame at hand, 0: none or lost */
	uintptr_t first_cframe; /* the one that the walk starts with */
	bool torn; /* the walk started in a C eval call that was not set up yet */
	unsigned segment_start; /* first collected frame of the C eval call at hand */
	bool copied; /* the last peek_sigsafe() had to go through a checked read */
	unsigned odd_shims; /* in a row, neither on the known stack nor in the data stack */
	struct pln_far_frames *far; /* copies of frames in no window */
	unsigned char *codes; /* blocked: room for CODE_BATCH code objects, else NULL */
	unsigned char frame_copy[PLN_FRAME_BYTES]; /* what peek_sigsafe() read last */
};

/* ---------------------------------------------------------- reading */

static bool is_plausible_sigsafe(uintptr_t address)
{
	return address >= 4096 && address % sizeof(uintptr_t) == 0 && address < 1ull << 47;
}

PLN_HOT const unsigned char *pln_python_peek_sigsafe(uintptr_t address, void *copy, size_t size,
						     bool direct)
{
	if (!is_plausible_sigsafe(address))
		return NULL;
	if (direct)
		return (const unsigned char *)address;
	return pln_checked_read_sigsafe(address, copy, size) ? copy : NULL;
}

static const unsigned char *in_window_sigsafe(const struct pln_stack *window, uintptr_t address,
					      size_t size)
{
	if (address < window->lo || address >= window->hi || window->hi - address < size)
		return NULL;
	return window->bytes + (address - window->lo);
}

/* The chunk at `address`, in place. Its header is live: it is the thread's own, on its list. */
static bool set_chunk_window_sigsafe(struct walker *w, uintptr_t address)
{
	const struct pln_stack_chunk *chunk = (const void *)address;

	if (!is_plausible_sigsafe(address) || chunk->size <= sizeof(*chunk) ||
	    chunk->size > CHUNK_BYTES_MAX)
		return false;
	w->windows[w->chunk_window].lo = address;
	w->windows[w->chunk_window].hi = address + chunk->size;
	w->windows[w->chunk_window].bytes = (const unsigned char *)address;
	return true;
}

/* Frames lie ever deeper in the data stack: moves the window to the chunk that has it. */
static const unsigned char *in_next_chunks_sigsafe(struct walker *w, uintptr_t address, size_t size)
{
	struct pln_stack *window = &w->windows[w->chunk_window];
	const struct pln_stack before = *window;

	for (unsigned i = 0; i < CHUNK_HOPS; i++) {
		const struct pln_stack_chunk *chunk = (const void *)window->lo;
		const unsigned char *bytes;

		if (!chunk->previous || !set_chunk_window_sigsafe(w, chunk->previous))
			break;
		bytes = in_window_sigsafe(window, address, size);
		if (bytes)
			return bytes;
	}
	*window = before; /* a generator's frame, or a shim: not in any chunk */
	return NULL;
}

/* `size` bytes at `address`; NULL when they cannot be had. Valid until the next call. */
static PLN_HOT const unsigned char *peek_sigsafe(struct walker *w, uintptr_t address, size_t size)
{
	const unsigned char *bytes;

	w->copied = false;
	if (!is_plausible_sigsafe(address))
		return NULL;
	for (unsigned i = 0; i < w->window_count; i++) {
		bytes = in_window_sigsafe(&w->windows[i], address, size);
		if (bytes)
			return bytes;
	}
	if (w->chunk_window) {
		bytes = in_next_chunks_sigsafe(w, address, size);
		if (bytes)
			return bytes;
	}
	if (size > sizeof(w->frame_copy))
		return NULL;
	/*
	 * Up to 3.10 a frame is an object that its callee's frame, or the thread, owns. (The C
	 * calls of 3.10 are on a stack, and nobody's: what links them may be written after they
	 * are.)
	 */
	if (w->direct && !pln_has(w->layout->thread.chunk) && size == w->layout->frame.size)
		return (const unsigned char *)address;
	w->copied = true;
	if (size == w->layout->frame.size)
		return pln_far_frame_sigsafe(w->far, address);
	return pln_checked_read_sigsafe(address, w->frame_copy, size) ? w->frame_copy : NULL;
}

/* In place where the address was seen as a code object before, else by a checked read. */
static PLN_HOT const unsigned char *peek_code_sigsafe(const struct walker *w, uintptr_t address,
						      void *copy)
{
	const unsigned char *code;

	if (w->direct && pln_python_code_known_sigsafe(address))
		return pln_python_peek_sigsafe(address, NULL, 0, true);
	code = pln_python_peek_sigsafe(address, copy, w->layout->code.size, false);
	if (code && pln_python_is_code_sigsafe(w->layout, code))
		pln_python_code_seen_sigsafe(address);
	return code;
}

/*
 * A frame that is neither in the data stack nor on the stack may be anything: a stray
 * link leads through garbage for as long as it is readable. So it is asked for its code
 * object at once. A shim has none to ask for; but a C eval call runs a frame, or has just
 * done so: garbage that looks like shims has no frames in between.
 */
static bool is_credible_sigsafe(struct walker *w, const unsigned char *frame)
{
	const struct pln_layout *l = w->layout;
	unsigned char copy[PLN_CODE_BYTES];
	const unsigned char *code;
	uintptr_t address;

	if (!pln_has(l->frame.owner))
		return true;
	if (frame[l->frame.owner] >= PLN_OWNER_SHIM)
		return !w->copied || ++w->odd_shims <= ODD_SHIMS;
	w->odd_shims = 0;
	if (!w->copied)
		return true;
	address = pln_word_at(frame, l->frame.code) & ~(uintptr_t)TAG_BITS;
	if (pln_python_code_known_sigsafe(address))
		return true;
	code = peek_code_sigsafe(w, address, copy);
	return code && pln_python_is_code_sigsafe(l, code);
}

/* ---------------------------------------------------------- C eval calls */

/* Moves outwards, to 0 at the end. False when the list leads nowhere. */
static PLN_HOT bool next_cframe_sigsafe(struct walker *w)
{
	const unsigned char *bytes = peek_sigsafe(w, w->cframe, CFRAME_BYTES);

	w->cframe = bytes ? pln_word_at(bytes, w->layout->cframe.previous) : 0;
	if (w->cframe != w->thread_address + w->layout->thread.root_cframe)
		return is_plausible_sigsafe(w->cframe);
	w->cframe = 0;
	return true;
}

static uintptr_t frame_of_cframe_sigsafe(struct walker *w, uintptr_t cframe)
{
	const unsigned char *bytes = peek_sigsafe(w, cframe, CFRAME_BYTES);

	return bytes ? pln_word_at(bytes, w->layout->cframe.frame) : 0;
}

/* Everything collected since the last call belongs to the C eval call with this marker. */
static void end_segment_sigsafe(struct walker *w, uintptr_t marker)
{
	struct pln_python_walk *out = w->out;

	if (out->count > w->segment_start)
		out->frames[out->count - 1].marker = marker;
	w->segment_start = out->count;
}

/*
 * 3.11, 3.12: leaves a C eval call by its outermost frame, or by its shim. The next call
 * outwards must be at the frame that comes next. It is not when the signal came while
 * the innermost call was being set up: its CFrame is on the list, but still says what
 * was on the C stack before, often an earlier frame. Or a generator was being entered,
 * and has no link to its caller yet.
 */
static PLN_HOT void leave_cframe_sigsafe(struct walker *w, uintptr_t previous)
{
	bool innermost = w->cframe == w->first_cframe, good;

	if (!w->cframe)
		return;
	good = next_cframe_sigsafe(w);
	if (good && (!w->cframe || frame_of_cframe_sigsafe(w, w->cframe) == previous))
		return;
	if (innermost)
		w->torn = true;
	else if (!previous)
		w->out->truncated = true;
	w->cframe = 0; /* the two chains are out of step */
}

/*
 * 3.10: frame and CFrame were counted off against each other from the innermost on. A
 * signal between the push (or pop) of one and of the other leaves one too many or too
 * few inside: seen at the outer end, where both must end together.
 */
static void align_cframes_sigsafe(struct walker *w)
{
	struct pln_python_frame *frames = w->out->frames;
	unsigned count = w->out->count;
	uintptr_t extra;

	if (!count || (!w->cframe && frames[count - 1].marker))
		return;
	extra = w->cframe;
	if (extra && next_cframe_sigsafe(w) && !w->cframe) {
		for (unsigned i = 0; i + 1 < count; i++)
			frames[i].marker = frames[i + 1].marker;
		frames[count - 1].marker = extra;
	} else if (!extra && (count == 1 || frames[count - 2].marker)) {
		for (unsigned i = count - 1; i > 0; i--)
			frames[i].marker = frames[i - 1].marker;
		frames[0].marker = 0;
	} else {
		for (unsigned i = 0; i < count; i++)
			frames[i].marker = 0;
	}
}

/* ---------------------------------------------------------- the chain */

/*
 * Notes a frame. Until resolve_sigsafe(), `code` is the instruction (pointer or index)
 * and `instr` is the owner, with the number of the bytecode copy above it.
 */
static void collect_sigsafe(struct walker *w, const unsigned char *bytes)
{
	const struct pln_layout *l = w->layout;
	struct pln_python_frame *frame = &w->out->frames[w->out->count++];

	frame->code_addr = pln_word_at(bytes, l->frame.code) & ~(uintptr_t)TAG_BITS;
	frame->marker = 0;
	if (pln_has(l->frame.instr_unit)) {
		frame->code = (uint64_t)(int64_t)pln_int_at(bytes, l->frame.instr);
		frame->instr = 0;
		return;
	}
	frame->code = pln_word_at(bytes, l->frame.instr);
	frame->instr = bytes[l->frame.owner];
	if (pln_has(l->frame.tlbc_index))
		frame->instr |= (uint32_t)pln_int_at(bytes, l->frame.tlbc_index) << 8;
}

/* Takes one frame in, and what it says about C eval calls. Returns the next frame. */
static uintptr_t visit_sigsafe(struct walker *w, uintptr_t address, const unsigned char *bytes)
{
	const struct pln_layout *l = w->layout;
	uintptr_t previous = pln_word_at(bytes, l->frame.previous);
	bool room = w->out->count < w->out->max;

	if (pln_has(l->frame.owner) && bytes[l->frame.owner] >= PLN_OWNER_SHIM) {
		end_segment_sigsafe(w, address);
		leave_cframe_sigsafe(w, previous);
		return previous;
	}
	if (room)
		collect_sigsafe(w, bytes);
	else
		w->out->truncated = true;
	if (pln_has(l->frame.is_entry)) {
		if (bytes[l->frame.is_entry]) {
			end_segment_sigsafe(w, w->cframe);
			leave_cframe_sigsafe(w, previous);
		}
	} else if (w->cframe && pln_has(l->frame.instr_unit) && room) {
		w->out->frames[w->out->count - 1].marker = w->cframe;
		if (!next_cframe_sigsafe(w))
			w->cframe = 0;
	}
	return previous;
}

static bool is_done_sigsafe(const struct walker *w)
{
	/* Without room for more, only the marker of the last segment is still of interest. */
	return w->out->truncated &&
	       (w->segment_start == w->out->count || pln_has(w->layout->frame.instr_unit));
}

/*
 * The outermost frame is always entered from C. If the chain ends elsewhere, it does at a
 * generator that is being suspended: its link goes before it is off the chain. And below
 * a generator there is nobody only if nobody is on the data stack either (whose first
 * word is never used).
 */
static bool ends_early_sigsafe(const struct walker *w)
{
	const struct pln_layout *l = w->layout;
	const struct pln_python_walk *out = w->out;
	uintptr_t empty = pln_word_at(w->thread, l->thread.chunk) + sizeof(struct pln_stack_chunk) +
			  sizeof(uintptr_t);

	if (w->segment_start != out->count)
		return true;
	return out->count && (out->frames[out->count - 1].instr & 0xff) == PLN_OWNER_GENERATOR &&
	       pln_word_at(w->thread, l->thread.chunk_top) > empty;
}

static void walk_chain_sigsafe(struct walker *w, uintptr_t frame)
{
	const struct pln_layout *l = w->layout;
	unsigned steps = STEP_LIMIT(w->out->max);
	uintptr_t end = 0;

	if (pln_has(l->thread.base_frame))
		end = pln_word_at(w->thread, l->thread.base_frame);
	while (frame && frame != end && !is_done_sigsafe(w)) {
		const unsigned char *bytes = peek_sigsafe(w, frame, l->frame.size);

		if (!bytes || !steps-- || !is_credible_sigsafe(w, bytes)) {
			w->out->truncated = true;
			return;
		}
		frame = visit_sigsafe(w, frame, bytes);
	}
	if (w->out->truncated)
		return;
	if (pln_has(l->frame.instr_unit) && pln_has(l->thread.cframe))
		align_cframes_sigsafe(w);
	if (pln_has(l->frame.owner) && ends_early_sigsafe(w))
		w->out->truncated = true;
}

/* ---------------------------------------------------------- code objects */

/* Address of the bytecode that the frame runs: the code object's own, or a thread's copy. */
static uintptr_t bytecode_sigsafe(const struct pln_layout *l, const struct pln_python_frame *frame,
				  const unsigned char *code)
{
	uint32_t index = frame->instr >> 8;
	uintptr_t entry;

	if (!index)
		return frame->code_addr + l->code.bytecode;
	/* _PyCodeArray: the size, then the entries */
	if (!pln_checked_read_sigsafe(pln_word_at(code, l->code.tlbc) + 8 + 8ul * index, &entry,
				      sizeof(entry)))
		return 0;
	return entry;
}

static enum pln_frame_verdict resolve_pointer_sigsafe(const struct pln_layout *l,
						      struct pln_python_frame *frame,
						      const unsigned char *code)
{
	uintptr_t start = bytecode_sigsafe(l, frame, code);
	bool generator = (frame->instr & 0xff) == PLN_OWNER_GENERATOR;

	if (!start)
		return PLN_FRAME_REFUSE;
	return pln_instruction_of_pointer((int64_t)((uintptr_t)frame->code - start),
					  (int64_t)(pln_word_at(code, l->code.body) * 2),
					  2ll * pln_int_at(code, l->code.first_traceable),
					  generator, &frame->instr);
}

static enum pln_frame_verdict resolve_sigsafe(const struct pln_layout *l,
					      struct pln_python_frame *frame,
					      const unsigned char *code)
{
	enum pln_frame_verdict verdict = PLN_FRAME_KEEP;

	if (!code || !pln_python_is_code_sigsafe(l, code))
		return PLN_FRAME_REFUSE;
	if (pln_has(l->frame.instr_unit))
		frame->instr = pln_instruction_of_index(l, (int64_t)frame->code);
	else
		verdict = resolve_pointer_sigsafe(l, frame, code);
	if (verdict == PLN_FRAME_KEEP)
		frame->code = pln_python_code_key_sigsafe(l, frame->code_addr, code);
	return verdict;
}

/* The result of a walk, as it is put together: frames [0, kept) are final. */
struct result {
	struct pln_python_walk *out;
	unsigned kept;
	bool closed; /* the last kept frame ends its segment */
};

/* Returns false when the walk ends here. */
static bool settle_sigsafe(struct result *r, const struct pln_python_frame *frame,
			   enum pln_frame_verdict verdict)
{
	struct pln_python_frame *frames = r->out->frames;

	if (verdict == PLN_FRAME_REFUSE)
		return false;
	if (verdict == PLN_FRAME_KEEP) {
		frames[r->kept++] = *frame;
		r->closed = frame->marker != 0;
	} else if (frame->marker) {
		/* The outermost frame is hidden: the marker goes to the next one inwards. */
		if (r->kept && !r->closed)
			frames[r->kept - 1].marker = frame->marker;
		r->closed = true;
	}
	return true;
}

static void finish_sigsafe(struct result *r, bool whole)
{
	r->out->count = r->kept;
	if (whole)
		return;
	r->out->truncated = true;
	r->out->failed = r->kept == 0;
}

/* Blocked threads: one system call for up to CODE_BATCH code objects. Returns how many. */
static unsigned read_codes_sigsafe(const struct walker *w, unsigned first)
{
	struct pln_read_part parts[CODE_BATCH];
	unsigned count = w->out->count - first;

	if (count > CODE_BATCH)
		count = CODE_BATCH;
	for (unsigned i = 0; i < count; i++) {
		parts[i].addr = w->out->frames[first + i].code_addr;
		parts[i].dst = w->codes + i * PLN_CODE_BYTES;
		parts[i].size = w->layout->code.size;
	}
	return pln_checked_read_parts_sigsafe(parts, count);
}

static PLN_HOT void resolve_all_sigsafe(struct walker *w)
{
	struct result result = { .out = w->out, .closed = true };
	unsigned char copy[PLN_CODE_BYTES];
	bool going = true;
	unsigned whole = 0;

	for (unsigned i = 0; going && i < w->out->count; i++) {
		struct pln_python_frame frame = w->out->frames[i];
		const unsigned char *code = NULL;

		if (!w->codes)
			code = peek_code_sigsafe(w, frame.code_addr, copy);
		else if (i % CODE_BATCH == 0)
			whole = read_codes_sigsafe(w, i);
		if (w->codes && i % CODE_BATCH < whole)
			code = w->codes + i % CODE_BATCH * PLN_CODE_BYTES;
		going = settle_sigsafe(&result, &frame, resolve_sigsafe(w->layout, &frame, code));
	}
	finish_sigsafe(&result, going);
}

/* ---------------------------------------------------------- the walk */

static void start_sigsafe(struct pln_python_walk *out)
{
	out->count = 0;
	out->has_tstate = false;
	out->truncated = false;
	out->failed = false;
	out->no_markers = false;
	out->gil = PILLION_GIL_UNKNOWN;
}

/* Innermost frame, and the C eval call that it is in. */
static uintptr_t first_frame_sigsafe(struct walker *w)
{
	const struct pln_layout *l = w->layout;
	uintptr_t cframe = 0;

	if (pln_has(l->thread.cframe))
		cframe = pln_word_at(w->thread, l->thread.cframe);
	if (cframe == w->thread_address + l->thread.root_cframe)
		cframe = 0;
	w->cframe = cframe;
	if (pln_has(l->thread.frame))
		return pln_word_at(w->thread, l->thread.frame);
	return cframe ? frame_of_cframe_sigsafe(w, cframe) : 0;
}

/*
 * A frame at or above the top of the data stack is no longer, or not yet, a frame: what
 * led to it is stale. Only the thread itself can see that.
 */
static bool is_dead_sigsafe(const struct walker *w, uintptr_t frame)
{
	const struct pln_stack *chunk = &w->windows[w->chunk_window];

	return w->chunk_window && frame >= pln_word_at(w->thread, w->layout->thread.chunk_top) &&
	       frame < chunk->hi;
}

/* Walks from `frame`, in the C eval call `cframe`. False: that cannot be the stack. */
static PLN_HOT bool walk_from_sigsafe(struct walker *w, uintptr_t cframe, uintptr_t frame)
{
	struct pln_python_walk *out = w->out;

	out->count = 0;
	out->truncated = false;
	/* A C eval call runs a frame: if it seems to run none, it is not set up yet. */
	out->failed = is_dead_sigsafe(w, frame) || (cframe && !frame);
	w->segment_start = 0;
	w->odd_shims = 0;
	w->torn = false;
	w->cframe = w->first_cframe = cframe;
	if (out->failed)
		return false;
	walk_chain_sigsafe(w, frame);
	resolve_all_sigsafe(w);
	if (w->torn || (!out->count && out->truncated))
		out->failed = true;
	return !out->failed;
}

/*
 * A C eval call puts its CFrame on the list before it says which frame it runs (3.11,
 * 3.12). Where that shows, the walk starts once more one call further out, if the list
 * got that far: the new call's frame runs nothing yet. Whether the link outwards is the
 * new one or an old one cannot be told: such a stack is never called whole.
 */
static PLN_HOT void walk_frames_sigsafe(struct walker *w)
{
	const struct pln_layout *l = w->layout;
	const struct pln_stack chunk = w->windows[w->chunk_window];
	uintptr_t first = first_frame_sigsafe(w), cframe = w->cframe;

	if (walk_from_sigsafe(w, cframe, first))
		return;
	if (cframe && pln_has(l->cframe.frame)) {
		w->cframe = cframe;
		cframe = next_cframe_sigsafe(w) ? w->cframe : 0;
		w->windows[w->chunk_window] = chunk;
		if (cframe && walk_from_sigsafe(w, cframe, frame_of_cframe_sigsafe(w, cframe))) {
			w->out->truncated = true;
			return;
		}
	}
	w->out->count = 0;
}

static void walk_all_sigsafe(struct walker *w)
{
	struct pln_far_frames far;

	pln_far_frames_begin_sigsafe(&far, w->thread_address, w->layout->frame.size);
	w->far = &far;
	walk_frames_sigsafe(w);
	pln_far_frames_end_sigsafe(&far);
}

/* The state's own fields vouch for it: it is the calling thread's, and of an interpreter. */
static bool is_own_state_sigsafe(const struct pln_layout *l, const unsigned char *thread,
				 uintptr_t thread_id)
{
	return pln_word_at(thread, l->thread.thread_id) == thread_id &&
	       is_plausible_sigsafe(pln_word_at(thread, l->thread.interp));
}

static void walk_own_state_sigsafe(struct walker *w, const struct pln_stack *stack)
{
	const struct pln_layout *l = w->layout;

	w->out->has_tstate = true;
	w->out->no_markers = !pln_has(l->frame.owner) && !pln_has(l->thread.cframe);
	w->out->gil = pln_python_gil_of_sigsafe(l, w->thread_address, w->thread, w->direct);
	w->windows[0] = *stack; /* mapped, whatever the layout says about it */
	w->window_count = 1;
	if (w->direct && pln_has(l->thread.chunk)) {
		w->chunk_window = 1;
		if (set_chunk_window_sigsafe(w, pln_word_at(w->thread, l->thread.chunk)))
			w->window_count = 2;
		else
			w->chunk_window = 0;
	}
	walk_all_sigsafe(w);
}

/* A thread without a state can neither hold a GIL nor wait for one. */
static uint8_t gil_without_state_sigsafe(bool certain)
{
	return certain ? PILLION_GIL_NONE : PILLION_GIL_UNKNOWN;
}

PLN_HOT void pln_python_prefetch_sigsafe(const struct pln_python_frame *frames, unsigned max)
{
	/* acquire: pairs with the store in pln_python_poll() */
	const struct pln_layout *layout = pln_load_acquire(&pln_python.layout);
	const char *runtime = (const char *)pln_load_relaxed(&pln_python.runtime);

	if (!layout)
		return;
	__builtin_prefetch(runtime + layout->runtime.initialized);
	__builtin_prefetch(runtime + layout->runtime.finalizing);
	__builtin_prefetch(runtime + layout->runtime.tss_key);
	__builtin_prefetch(runtime + layout->runtime.interp_head);
	for (unsigned i = 0; i < max && frames[i].code_addr; i++)
		pln_python_code_prefetch_sigsafe(layout, &frames[i]);
}

PLN_HOT void pln_python_walk_self_sigsafe(const struct pln_stack *stack,
					  struct pln_python_walk *out)
{
	/* acquire: pairs with the store in pln_python_poll() */
	const struct pln_layout *layout = pln_load_acquire(&pln_python.layout);
	struct walker w = { .layout = layout, .out = out };
	unsigned char copy[PLN_THREAD_BYTES];
	bool certain;

	start_sigsafe(out);
	if (!layout)
		return;
	w.direct = certain = pln_load_relaxed(&pln_python.trusted);
	w.thread_address = pln_python_own_state_sigsafe(layout, &certain);
	if (!w.thread_address) {
		out->gil = gil_without_state_sigsafe(certain);
		return;
	}
	w.thread = pln_python_peek_sigsafe(w.thread_address, copy, layout->thread.size, w.direct);
	if (!w.thread ||
	    !is_own_state_sigsafe(layout, w.thread, pln_python_thread_pointer_sigsafe())) {
		out->failed = true;
		return;
	}
	walk_own_state_sigsafe(&w, stack);
}

/* ---------------------------------------------------------- blocked threads */

/* Copies the newest `limit` bytes at most of [lo, hi); returns how many. */
static size_t copy_window(struct walker *w, uintptr_t lo, uintptr_t hi, unsigned char *dst,
			  size_t limit)
{
	size_t size = hi - lo;

	if (size > limit) {
		lo = hi - limit;
		size = limit;
	}
	if (!size || !pln_checked_read_sigsafe(lo, dst, size))
		return 0;
	w->windows[w->window_count].lo = lo;
	w->windows[w->window_count].hi = hi;
	w->windows[w->window_count].bytes = dst;
	w->window_count++;
	return size;
}

/* The used parts of the newest chunks of the data stack; frames beyond are read one by one. */
static void copy_chunks(struct walker *w)
{
	static unsigned char bytes[COPY_BYTES];
	const struct pln_layout *l = w->layout;
	uintptr_t chunk = pln_word_at(w->thread, l->thread.chunk);
	uintptr_t top = pln_word_at(w->thread, l->thread.chunk_top);
	size_t used = 0;

	while (is_plausible_sigsafe(chunk) && w->window_count < WINDOW_MAX) {
		struct pln_stack_chunk header;
		size_t copied;

		if (top <= chunk + sizeof(header) || top - chunk > CHUNK_BYTES_MAX)
			return;
		copied = copy_window(w, chunk, top, bytes + used, sizeof(bytes) - used);
		if (copied != top - chunk) /* no room for more */
			return;
		memcpy(&header, bytes + used, sizeof(header));
		used += copied;
		chunk = header.previous;
		if (!chunk || !pln_checked_read_sigsafe(chunk, &header, sizeof(header)))
			return;
		top = chunk + sizeof(header) + header.top * sizeof(uintptr_t);
	}
}

bool pln_python_walk_blocked(uint32_t tid, uintptr_t pthread_self_value,
			     const struct pln_stack *stack, struct pln_python_walk *out)
{
	static unsigned char thread[PLN_THREAD_BYTES], codes[CODE_BATCH * PLN_CODE_BYTES];
	const struct pln_layout *layout = pln_load_relaxed(&pln_python.layout);
	struct walker w = { .layout = layout, .out = out, .thread = thread, .codes = codes };
	bool certain = pln_load_relaxed(&pln_python.trusted);

	start_sigsafe(out);
	if (!layout)
		return true;
	if (!pln_python_state_of(layout, tid, pthread_self_value, &w.thread_address, &certain))
		return false;
	if (!w.thread_address) {
		out->gil = gil_without_state_sigsafe(certain);
		return true;
	}
	out->has_tstate = true;
	out->no_markers = !pln_has(layout->frame.owner) && !pln_has(layout->thread.cframe);
	if (!pln_checked_read_sigsafe(w.thread_address, thread, layout->thread.size)) {
		out->failed = true;
		return true;
	}
	out->gil = pln_python_gil_of_sigsafe(layout, w.thread_address, thread, false);
	w.windows[0] = *stack;
	w.window_count = 1;
	if (pln_has(layout->thread.chunk))
		copy_chunks(&w);
	walk_all_sigsafe(&w);
	return true;
}
