/* SPDX-License-Identifier: MIT */
/*
 * objects.c - CPython's object and memory domains, wrapped: count, sample, and pass through.
 *
 * Context: the wrappers run on any thread, mostly with the GIL; install() on the interpreter's main
 * thread; the rest on the sampling thread. Pointers, sizes, results and whatever
 * allocator is found there stay as they are; nothing of CPython is called from a wrapper.
 *
 * PyMem_SetAllocator() copies a structure, which others may read at that moment where there
 * is no GIL. So a wrapper gets the context of the one that it wraps, and passes it on: any mix of
 * the old functions and the new works. What is wrapped is written once, and never taken
 * back. Who puts back what was there before us (tracemalloc, started before us, when it
 * stops) takes us out.
 *
 * To serve a request, pymalloc may call malloc() or mmap(). That is counted as ever, once
 * more as nested, and not sampled: the request is. While pymalloc serves small requests, only
 * its arenas can be meant, which have an allocator of their own, wrapped as well; so the
 * wrappers of what is small, and of frees, end in a jump.
 */
#include "memory/objects.h"

#include <stddef.h>
#include <string.h>

#include <pillion/atomic.h>

#include "memory/counters.h"
#include "memory/live.h"
#include "options.h"
#include "python/python.h"
#include "sampling/announce.h"

#define ARENA_LEAST ((size_t)256 << 10) /* pymalloc's, up to 3.9; later ones are larger */

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* As PyMemAllocatorEx, PyObjectArenaAllocator and PyMemAllocatorDomain, in all versions. */
struct allocator {
	void *context;
	void *(*malloc)(void *context, size_t size);
	void *(*calloc)(void *context, size_t count, size_t size);
	void *(*realloc)(void *context, void *p, size_t size);
	void (*free)(void *context, void *p);
};

struct arena_allocator {
	void *context;
	void *(*alloc)(void *context, size_t size);
	void (*free)(void *context, void *p, size_t size);
};

enum {
	DOMAIN_MEMORY = 1,
	DOMAIN_OBJECT = 2,
};

/* Written before the wrapper can be called, and never again. */
struct domain {
	struct allocator real;
	size_t small; /* requests of up to this many bytes ask nobody but pymalloc's arenas */
};

static struct domain object_domain, memory_domain;
static struct arena_allocator real_arena;

/* ----------------------------------------------------------- the wrappers */

/* From here on, what the thread asks malloc and mmap for is nested. NULL: it was already. */
static struct pln_alloc_counters *begin_serving(struct pln_memory_thread *self)
{
	struct pln_alloc_counters *heap = self->heap;

	if (!heap)
		return NULL;
	self->nested = heap;
	pln_signal_fence();
	pln_memory_count_at(self, NULL);
	return heap;
}

static void end_serving(struct pln_memory_thread *self, struct pln_alloc_counters *heap)
{
	if (!heap)
		return;
	pln_signal_fence();
	pln_memory_count_at(self, heap);
	self->nested = NULL;
}

/* CPython makes one byte of none. */
static void *count(void *p, size_t size, enum pln_block_kind kind)
{
	return LIKELY(p) ? pln_memory_count_block(p, size ? size : 1, kind) : NULL;
}

static void *allocate_slowly(const struct domain *domain, void *context, size_t size,
			     enum pln_block_kind kind)
{
	struct pln_memory_thread *self = &pln_memory_self;
	struct pln_alloc_counters *heap;
	void *p;

	if (pln_memory_mode == PLN_MEMORY_OFF)
		return domain->real.malloc(context, size);
	(void)pln_memory_can_count(self);
	heap = begin_serving(self);
	p = domain->real.malloc(context, size);
	end_serving(self, heap);
	return count(p, size, kind);
}

static void *allocate_zeros_slowly(const struct domain *domain, void *context, size_t number,
				   size_t size, enum pln_block_kind kind)
{
	struct pln_memory_thread *self = &pln_memory_self;
	struct pln_alloc_counters *heap;
	void *p;

	if (pln_memory_mode == PLN_MEMORY_OFF)
		return domain->real.calloc(context, number, size);
	(void)pln_memory_can_count(self);
	heap = begin_serving(self);
	p = domain->real.calloc(context, number, size);
	end_serving(self, heap);
	return count(p, number * size, kind);
}

/*
 * It frees and allocates, whether the block moves or not; what did not work did neither. With
 * p NULL it is malloc().
 */
static void *resize_slowly(const struct domain *domain, void *context, void *p, size_t size,
			   enum pln_block_kind kind)
{
	struct pln_memory_thread *self = &pln_memory_self;
	struct pln_alloc_counters *heap;
	uint64_t id;
	void *moved;

	if (pln_memory_mode == PLN_MEMORY_OFF)
		return domain->real.realloc(context, p, size);
	(void)pln_memory_can_count(self);
	/* Before: its place may be somebody else's by the time that realloc returns. */
	id = p && pln_live_may_hold(p) ? pln_live_remove_sigsafe((uintptr_t)p) : 0;
	heap = begin_serving(self);
	moved = domain->real.realloc(context, p, size);
	end_serving(self, heap);
	if (id && moved)
		pln_memory_tell_free(id);
	else if (id)
		(void)pln_live_add_sigsafe((uintptr_t)p, id);
	if (p && moved)
		pln_memory_count_free(PILLION_HEAP_OBJECT, 0);
	return count(moved, size, kind);
}

static void release_slowly(const struct domain *domain, void *context, void *p)
{
	uint64_t id;

	if (p && pln_memory_mode != PLN_MEMORY_OFF) {
		id = pln_live_may_hold(p) ? pln_live_remove_sigsafe((uintptr_t)p) : 0;
		if (id)
			pln_memory_tell_free(id);
		pln_memory_count_free(PILLION_HEAP_OBJECT, 0);
	}
	domain->real.free(context, p);
}

/* Where a small request fails, memory is used up: it was counted all the same. */
static inline __attribute__((always_inline)) bool
count_small(const struct domain *domain, const struct pln_memory_thread *self, size_t size)
{
	struct pln_alloc_counters *counters = self->heap + PILLION_HEAP_OBJECT;
	uint64_t bytes;

	/* None at all is not small, either: see count(). */
	if (UNLIKELY(size - 1 >= domain->small || !self->heap))
		return false;
	bytes = pln_load_relaxed(&counters->alloc_bytes) + size;
	if (UNLIKELY(bytes >= self->look_at[PILLION_HEAP_OBJECT]))
		return false;
	pln_store_relaxed(&counters->alloc_bytes, bytes);
	pln_count(&counters->alloc_calls, 1);
	return true;
}

/* What is too much for a word is not small, either. */
static inline size_t product(size_t number, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(number, size, &bytes) ? SIZE_MAX : bytes;
}

/* It is no sample, and the thread has its place to count in. */
static inline bool is_simple(const void *p)
{
	return LIKELY(p && pln_memory_self.heap && !pln_live_may_hold(p));
}

/* The domains do not tell how large the block was. */
static inline __attribute__((always_inline)) bool count_release(const void *p)
{
	if (!is_simple(p))
		return false;
	pln_count(&pln_memory_self.heap[PILLION_HEAP_OBJECT].free_calls, 1);
	return true;
}

/* Where is_simple(p). */
static inline __attribute__((always_inline)) void *
resize(const struct domain *domain, void *context, void *p, size_t size, enum pln_block_kind kind)
{
	struct pln_memory_thread *self = &pln_memory_self;
	struct pln_alloc_counters *heap = begin_serving(self);
	struct pln_alloc_counters *counters = heap + PILLION_HEAP_OBJECT;
	void *moved = domain->real.realloc(context, p, size);

	end_serving(self, heap);
	if (UNLIKELY(!moved))
		return NULL;
	size += !size;
	pln_count(&counters->free_calls, 1);
	pln_count(&counters->alloc_calls, 1);
	pln_count(&counters->alloc_bytes, size);
	if (UNLIKELY(pln_load_relaxed(&counters->alloc_bytes) >=
		     self->look_at[PILLION_HEAP_OBJECT]))
		return pln_memory_look(moved, size, kind);
	return moved;
}

static void *object_malloc(void *context, size_t size)
{
	if (count_small(&object_domain, &pln_memory_self, size))
		return object_domain.real.malloc(context, size);
	return allocate_slowly(&object_domain, context, size, PILLION_BLOCK_OBJECT);
}

static void *object_calloc(void *context, size_t number, size_t size)
{
	if (count_small(&object_domain, &pln_memory_self, product(number, size)))
		return object_domain.real.calloc(context, number, size);
	return allocate_zeros_slowly(&object_domain, context, number, size, PILLION_BLOCK_OBJECT);
}

static void *object_realloc(void *context, void *p, size_t size)
{
	if (!p && count_small(&object_domain, &pln_memory_self, size))
		return object_domain.real.realloc(context, NULL, size);
	if (is_simple(p))
		return resize(&object_domain, context, p, size, PILLION_BLOCK_OBJECT);
	return resize_slowly(&object_domain, context, p, size, PILLION_BLOCK_OBJECT);
}

static void object_free(void *context, void *p)
{
	if (count_release(p))
		object_domain.real.free(context, p);
	else
		release_slowly(&object_domain, context, p);
}

static void *memory_malloc(void *context, size_t size)
{
	if (count_small(&memory_domain, &pln_memory_self, size))
		return memory_domain.real.malloc(context, size);
	return allocate_slowly(&memory_domain, context, size, PILLION_BLOCK_MEMORY);
}

static void *memory_calloc(void *context, size_t number, size_t size)
{
	if (count_small(&memory_domain, &pln_memory_self, product(number, size)))
		return memory_domain.real.calloc(context, number, size);
	return allocate_zeros_slowly(&memory_domain, context, number, size, PILLION_BLOCK_MEMORY);
}

static void *memory_realloc(void *context, void *p, size_t size)
{
	if (!p && count_small(&memory_domain, &pln_memory_self, size))
		return memory_domain.real.realloc(context, NULL, size);
	if (is_simple(p))
		return resize(&memory_domain, context, p, size, PILLION_BLOCK_MEMORY);
	return resize_slowly(&memory_domain, context, p, size, PILLION_BLOCK_MEMORY);
}

static void memory_free(void *context, void *p)
{
	if (count_release(p))
		memory_domain.real.free(context, p);
	else
		release_slowly(&memory_domain, context, p);
}

static void *arena_alloc(void *context, size_t size)
{
	struct pln_alloc_counters *heap;
	void *p;

	/* A part of the stack that frames are on (3.11+): no request is behind it. */
	if (size < ARENA_LEAST)
		return real_arena.alloc(context, size);
	heap = begin_serving(&pln_memory_self);
	p = real_arena.alloc(context, size);
	end_serving(&pln_memory_self, heap);
	return p;
}

/* ----------------------------------------------------------- installation */

#define PYMALLOC_SMALL 512u
#define LATE_TICKS 100 /* after so many the user shall know what is waited for */
#define PYMALLOC_DEBUG_SMALL (PYMALLOC_SMALL - 4 * sizeof(size_t)) /* it puts guards around */

static struct {
	void (*get)(int domain, struct allocator *allocator);
	void (*set)(int domain, struct allocator *allocator);
	void (*get_arena)(struct arena_allocator *allocator);
	void (*set_arena)(struct arena_allocator *allocator);
	const char *(*name)(void); /* may be missing; of all domains, NULL: it has none */
} api;

/* acquire and release: what install() has written before */
static _Atomic enum {
	NOT_INSTALLED,
	INSTALLED,
	TAKEN, /* since it was installed, somebody else's are there: ours may be below */
} installed;

static bool was_ready;
static bool is_settled; /* nothing more to do, as long as this interpreter lives */
static unsigned ticks;

static bool resolve_symbols(void)
{
	if (api.get)
		return true;
	*(void **)&api.set = pln_python_symbol("PyMem_SetAllocator");
	*(void **)&api.get_arena = pln_python_symbol("PyObject_GetArenaAllocator");
	*(void **)&api.set_arena = pln_python_symbol("PyObject_SetArenaAllocator");
	*(void **)&api.name = pln_python_symbol("_PyMem_GetCurrentAllocatorName");
	if (api.set && api.get_arena && api.set_arena)
		*(void **)&api.get = pln_python_symbol("PyMem_GetAllocator");
	return api.get;
}

/* Which requests are small: for any allocator but CPython's own, none. */
static size_t find_small(void)
{
	const char *name = api.name ? api.name() : NULL;

	if (name && !strcmp(name, "pymalloc"))
		return PYMALLOC_SMALL;
	return name && !strcmp(name, "pymalloc_debug") ? PYMALLOC_DEBUG_SMALL : 0;
}

static bool is_same(const struct allocator *a, const struct allocator *b)
{
	return a->malloc == b->malloc && a->context == b->context;
}

/*
 * Wraps what is there. An interpreter that begins anew may have put back what we have
 * wrapped before; anything else may call us from below, and is left alone.
 */
static bool wrap(int number, struct domain *domain, struct allocator *ours, size_t small)
{
	struct allocator there;

	api.get(number, &there);
	if (there.malloc == ours->malloc)
		return true;
	if (!domain->real.malloc) {
		domain->small = small;
		domain->real = there;
	} else if (!is_same(&there, &domain->real)) {
		return false;
	}
	ours->context = there.context;
	api.set(number, ours);
	return true;
}

static void wrap_arenas(void)
{
	struct arena_allocator ours, there;

	api.get_arena(&there);
	if (there.alloc == arena_alloc || (real_arena.alloc && there.alloc != real_arena.alloc))
		return;
	real_arena = there;
	ours = there;
	ours.alloc = arena_alloc;
	api.set_arena(&ours);
}

static void install(void)
{
	struct allocator object = { .malloc = object_malloc,
				    .calloc = object_calloc,
				    .realloc = object_realloc,
				    .free = object_free };
	struct allocator memory = { .malloc = memory_malloc,
				    .calloc = memory_calloc,
				    .realloc = memory_realloc,
				    .free = memory_free };
	size_t small = find_small();
	bool whole;

	wrap_arenas();
	whole = wrap(DOMAIN_OBJECT, &object_domain, &object, small);
	whole = wrap(DOMAIN_MEMORY, &memory_domain, &memory, small) && whole;
	/* release: pairs with pln_objects_tick() */
	pln_store_release(&installed, whole ? INSTALLED : TAKEN);
}

static struct pln_python_call call = { .make = install };

static void give_up(const char *note)
{
	is_settled = true;
	pln_announce_note(1, note);
}

/* An interpreter that ended, and began anew, may have forgotten us. */
static void look_for_new_interpreter(void)
{
	bool ready = pln_python_ready_sigsafe();

	if (ready && !was_ready) {
		call.state = PLN_CALL_NONE;
		is_settled = false;
		ticks = 0;
		pln_store_relaxed(&installed, NOT_INSTALLED);
	}
	was_ready = ready;
}

static void ask(void)
{
	if (!resolve_symbols() || !pln_python_ask(&call))
		give_up("Python's objects are not followed: the interpreter hides its allocators");
	else if (++ticks == LATE_TICKS)
		pln_announce_note(1, "Python's objects are followed only once the main thread runs "
				     "Python code");
}

void pln_objects_tick(void)
{
	if (!pln_options.objects)
		return;
	look_for_new_interpreter();
	if (is_settled)
		return;
	/* acquire: pairs with install() */
	switch (pln_load_acquire(&installed)) {
	case INSTALLED:
		is_settled = true;
		break;
	case TAKEN:
		give_up("Python's objects are not followed any more: its allocators were replaced");
		break;
	case NOT_INSTALLED:
		if (pln_memory_mode == PLN_MEMORY_OFF)
			give_up("Python's objects are not followed: memory is off");
		else if (pln_python_is_refused())
			give_up("Python's objects are not followed: unknown interpreter");
		else if (was_ready)
			ask();
		break;
	}
}

void pln_objects_after_fork(void)
{
	call.state = PLN_CALL_NONE;
	is_settled = false;
	ticks = 0;
}
