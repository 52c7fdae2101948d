/* SPDX-License-Identifier: MIT */
/*
 * state.c - which PyThreadState belongs to a thread.
 *
 * Of the calling thread, in a handler: CPython keeps it in thread-specific storage up
 * to 3.14 (pthread_getspecific never allocates) and in a TLS variable from 3.15 on.
 * That variable is never reached by calling CPython: in a shared libpython the call
 * goes through __tls_get_addr, which may allocate (in a dlopen'ed one at the first
 * use on a thread, in any after enough modules were loaded). Its distance from the
 * thread pointer is read out of the accessor's instructions once instead; where that
 * fails, the interpreter's list of threads is searched, as for other threads.
 *
 * Of another thread, on the sampling thread: by the list of threads, through checked
 * reads, remembered between ticks.
 */
#include "python_i.h"

#include <pthread.h>

#include "checked_read.h"
#include "glibc.h"
#include "hot.h"

#define MAX_INTERPRETERS 256
#define MAX_STATES 16384
#define STATUS_BOUND_GILSTATE (1u << 3) /* 3.12+: the state that its thread used last */

static bool has_tls_offset;
static intptr_t tls_offset;

/* One thread state as the sampling thread last saw it. */
struct known_state {
	uintptr_t address;
	uintptr_t thread_id;
	uint32_t native_id;
};

static struct known_state known[MAX_STATES]; /* 384 KiB of BSS, touched as threads come */
static unsigned known_count;
static bool known_whole; /* the list had been read to its end */
static uint64_t known_mark; /* of the list when it was remembered */
static bool scanned_this_tick;

/* ---------------------------------------------------------- the accessor's instructions */

static bool starts(const unsigned char *code, const char *bytes, size_t size)
{
	return memcmp(code, bytes, size) == 0;
}

static const unsigned char *skip(const unsigned char *code, const char *bytes, size_t size)
{
	return starts(code, bytes, size) ? code + size : code;
}

/* What the displacement at `at` points to, when the instruction ends with it. */
static uintptr_t rip_relative(const unsigned char *at)
{
	return (uintptr_t)at + 4 + (uintptr_t)(intptr_t)pln_int_at(at, 0);
}

/*
 * A module loaded at start has its TLS at one distance from every thread's thread
 * pointer, a dlopen'ed one in a block from malloc. In a thread of our own, what lies
 * between its stack and its thread pointer is of the first kind.
 */
static bool general_dynamic(const unsigned char *index_operand, intptr_t *offset)
{
	uintptr_t variable = (uintptr_t)__tls_get_addr((void *)rip_relative(index_operand));

	*offset = (intptr_t)(variable - pln_python_thread_pointer_sigsafe());
	return variable > (uintptr_t)__builtin_frame_address(0) &&
	       variable < pln_python_thread_pointer_sigsafe();
}

/* Context: sampling thread. The three forms in which compilers return a TLS variable. */
bool pln_python_tls_offset(const unsigned char *code, intptr_t *offset)
{
	code = skip(code, "\xf3\x0f\x1e\xfa", 4); /* endbr64 */
	code = skip(code, "\x55\x48\x89\xe5", 4); /* push %rbp; mov %rsp,%rbp */
	code = skip(code, "\x48\x83\xec\x08", 4); /* sub $8,%rsp */
	if (starts(code, "\x64\x48\x8b\x04\x25", 5)) { /* mov %fs:x,%rax */
		*offset = pln_int_at(code, 5);
		return true;
	}
	if (starts(code, "\x48\x8b\x05", 3) && starts(code + 7, "\x64\x48\x8b\x00", 4)) {
		/* mov x@gottpoff(%rip),%rax; mov %fs:(%rax),%rax */
		*offset = (intptr_t)pln_word_at((const unsigned char *)rip_relative(code + 3), 0);
		return true;
	}
	if (starts(code, "\x66\x48\x8d\x3d", 4) && starts(code + 8, "\x66", 1))
		/* lea x@tlsgd(%rip),%rdi; call __tls_get_addr */
		return general_dynamic(code + 4, offset);
	return false;
}

void pln_python_states_init(void)
{
	const unsigned char *code = pln_python_symbol("PyGILState_GetThisThreadState");

	has_tls_offset = code && pln_python_tls_offset(code, &tls_offset);
}

/* ---------------------------------------------------------- the list of threads */

/* What a search looks for, and the best that it found. */
struct search {
	uintptr_t thread_id; /* 0: any */
	uint32_t native_id; /* 0: any */
	uintptr_t found;
	int rank; /* of what was found: 0 nothing, 1 idle, 2 has frames, 3 last used */
};

static int rank_of_sigsafe(const struct pln_layout *layout, const unsigned char *thread,
			   uintptr_t address)
{
	uintptr_t frame;

	if (pln_has(layout->thread.status)) {
		uint32_t status = (uint32_t)pln_int_at(thread, layout->thread.status);

		return status & STATUS_BOUND_GILSTATE ? 3 : 1;
	}
	if (pln_has(layout->thread.frame))
		frame = pln_word_at(thread, layout->thread.frame);
	else
		frame = pln_word_at(thread, layout->thread.cframe) ^
			(address + layout->thread.root_cframe);
	return frame ? 2 : 1;
}

static void consider_sigsafe(const struct pln_layout *layout, struct search *search,
			     uintptr_t address, const unsigned char *thread)
{
	int rank;

	if (search->thread_id && pln_word_at(thread, layout->thread.thread_id) != search->thread_id)
		return;
	if (search->native_id &&
	    (uint32_t)pln_word_at(thread, layout->thread.native_id) != search->native_id)
		return;
	rank = rank_of_sigsafe(layout, thread, address);
	if (rank > search->rank) {
		search->rank = rank;
		search->found = address;
	}
}

static void remember_sigsafe(const struct pln_layout *layout, uintptr_t address,
			     const unsigned char *thread)
{
	struct known_state *state = &known[known_count];

	if (known_count == MAX_STATES)
		return;
	known_count++;
	state->address = address;
	state->thread_id = pln_word_at(thread, layout->thread.thread_id);
	state->native_id = pln_has(layout->thread.native_id)
				   ? (uint32_t)pln_word_at(thread, layout->thread.native_id)
				   : 0;
}

/*
 * Context: any. Visits the thread states of all interpreters through checked reads:
 * newest interpreters, newest threads first. With `search` NULL they are remembered.
 * The list may change meanwhile: what is read is checked, and the walk is bounded. False:
 * it did not get to the end.
 */
static bool scan_sigsafe(const struct pln_layout *layout, struct search *search)
{
	uintptr_t interp = 0, address;
	unsigned char thread[PLN_THREAD_BYTES];
	unsigned budget = MAX_STATES;
	bool whole = true;

	if (!pln_checked_read_sigsafe(pln_load_relaxed(&pln_python.runtime) +
					      layout->runtime.interp_head,
				      &interp, sizeof(interp)))
		return false;
	for (unsigned i = 0; interp && i < MAX_INTERPRETERS; i++) {
		if (!pln_checked_read_sigsafe(interp + layout->interp.threads, &address,
					      sizeof(address)))
			return false;
		for (; address && budget; budget--) {
			if (!pln_checked_read_sigsafe(address, thread, layout->thread.size) ||
			    pln_word_at(thread, layout->thread.interp) != interp) {
				whole = false;
				break;
			}
			if (search)
				consider_sigsafe(layout, search, address, thread);
			else
				remember_sigsafe(layout, address, thread);
			address = pln_word_at(thread, layout->thread.next);
		}
		if (!pln_checked_read_sigsafe(interp + layout->interp.next, &interp,
					      sizeof(interp)))
			return false;
	}
	return whole && !interp && budget;
}

/* ---------------------------------------------------------- the calling thread */

/* Py_tss_t: whether there is a key, and the key. The runtime itself is static memory. */
static uintptr_t stored_state_sigsafe(const struct pln_layout *layout)
{
	const unsigned char *tss = (const unsigned char *)pln_load_relaxed(&pln_python.runtime) +
				   layout->runtime.tss_key;

	if (pln_int_at(tss, 0) != 1)
		return 0;
	return (uintptr_t)pthread_getspecific((pthread_key_t)pln_int_at(tss, 4));
}

/*
 * Up to 3.11 the storage knows the state of the first interpreter only, whatever the
 * thread does now. Of several interpreters' states of one thread, the running one is
 * that which has frames, and that of the newer interpreter runs on top of the older.
 */
static bool needs_search_sigsafe(const struct pln_layout *layout)
{
	const unsigned char *runtime = (const unsigned char *)pln_load_relaxed(&pln_python.runtime);

	if (!pln_has(layout->runtime.current))
		return !pln_has(layout->runtime.tss_key) && !has_tls_offset;
	return pln_word_at(runtime, layout->runtime.interp_head) !=
	       pln_word_at(runtime, layout->runtime.interp_main);
}

PLN_HOT uintptr_t pln_python_own_state_sigsafe(const struct pln_layout *layout, bool *certain)
{
	struct search search = { .thread_id = pln_python_thread_pointer_sigsafe() };

	if (needs_search_sigsafe(layout)) {
		*certain &= scan_sigsafe(layout, &search);
		return search.found;
	}
	if (pln_has(layout->runtime.tss_key))
		return stored_state_sigsafe(layout);
	return *(const uintptr_t *)(pln_python_thread_pointer_sigsafe() + (uintptr_t)tls_offset);
}

/* ---------------------------------------------------------- other threads */

void pln_python_states_tick(void)
{
	scanned_this_tick = false;
}

/*
 * New states come to the head of their interpreter's list. Where every list begins, and for
 * whom, tells whether one came since: an address alone may have been freed and used again.
 */
static uint64_t mark_of_lists(const struct pln_layout *layout)
{
	uint32_t id = pln_has(layout->thread.native_id) ? layout->thread.native_id
							: layout->thread.thread_id;
	uintptr_t interp = 0, head[2];
	uint64_t mark = 1;

	pln_checked_read_sigsafe(pln_load_relaxed(&pln_python.runtime) +
					 layout->runtime.interp_head,
				 &interp, sizeof(interp));
	for (unsigned i = 0; interp && i < MAX_INTERPRETERS; i++) {
		if (!pln_checked_read_sigsafe(interp + layout->interp.threads, &head[0],
					      sizeof(head[0])) ||
		    !pln_checked_read_sigsafe(interp + layout->interp.next, &interp,
					      sizeof(interp)))
			return 0;
		head[1] = 0;
		if (head[0] && !pln_checked_read_sigsafe(head[0] + id, &head[1], sizeof(head[1])))
			return 0;
		mark = (mark ^ head[0]) * 0x9e3779b97f4a7c15ull;
		mark = (mark ^ head[1]) * 0x9e3779b97f4a7c15ull;
	}
	return mark;
}

static uintptr_t look_up(const struct pln_layout *layout, struct search *search)
{
	unsigned char thread[PLN_THREAD_BYTES];

	search->rank = 0;
	search->found = 0;
	for (unsigned i = 0; i < known_count; i++) {
		if (search->native_id ? known[i].native_id != search->native_id
				      : known[i].thread_id != search->thread_id)
			continue;
		if (pln_checked_read_sigsafe(known[i].address, thread, layout->thread.size))
			consider_sigsafe(layout, search, known[i].address, thread);
	}
	return search->found;
}

bool pln_python_state_of(const struct pln_layout *layout, uint32_t tid,
			 uintptr_t pthread_self_value, uintptr_t *state, bool *certain)
{
	struct search search = { .thread_id = pthread_self_value };
	uint64_t mark;

	if (pln_has(layout->thread.native_id))
		search.native_id = tid;
	*state = 0;
	if (!search.native_id && !search.thread_id) {
		*certain = false;
		return true;
	}
	*state = look_up(layout, &search);
	/* A state without frames may be a leftover of one that was freed and made anew. */
	if (search.rank > 1)
		return true;
	mark = mark_of_lists(layout);
	if (mark && mark == known_mark) {
		*certain &= known_whole;
		return true;
	}
	/* A long list is not read more than once in a tick. */
	if (scanned_this_tick)
		return false;
	scanned_this_tick = true;
	known_count = 0;
	known_mark = mark;
	known_whole = scan_sigsafe(layout, NULL) && known_count < MAX_STATES;
	*certain &= known_whole;
	*state = look_up(layout, &search);
	return true;
}

bool pln_python_states_plausible(const struct pln_layout *layout)
{
	struct search search = { 0 };
	uintptr_t runtime = pln_load_relaxed(&pln_python.runtime);

	if (!pln_checked_read_sigsafe(runtime + layout->runtime.main_thread, &search.thread_id,
				      sizeof(search.thread_id)))
		return false;
	if (search.thread_id)
		(void)scan_sigsafe(layout, &search);
	return search.found != 0;
}
