/* SPDX-License-Identifier: MIT */
/*
 * gil.c - who holds the GIL, and who waits for it.
 *
 * Holding: `locked`, and `last_holder` names the thread state (last_holder alone is
 * sticky: it keeps naming the last one after a release); 3.14 and later have a flag in
 * the thread state. Waiting: a thread blocked in futex on an address inside of a GIL's
 * structure, which ends in the two conditions and mutexes that it sleeps on: exact, and
 * without a symbol or a native stack.
 */
#include "python_i.h"

#include "checked_read.h"
#include "hot.h"

#define MAX_INTERPRETERS 32
#define TICKS_BETWEEN_LOOKS 16 /* interpreters come and go seldom */

/* Sampling thread only. Grows by interpreters with a GIL of their own (3.12+). */
static uintptr_t gils[MAX_INTERPRETERS];
static unsigned gil_count;

static uintptr_t gil_of_thread_sigsafe(const struct pln_layout *layout, const unsigned char *thread,
				       bool direct)
{
	uintptr_t interp, copy;
	const unsigned char *at;

	if (pln_has(layout->runtime.gil))
		return pln_load_relaxed(&pln_python.runtime) + layout->runtime.gil;
	interp = pln_word_at(thread, layout->thread.interp);
	at = pln_python_peek_sigsafe(interp + layout->interp.gil, &copy, sizeof(copy), direct);
	return at ? pln_word_at(at, 0) : 0;
}

PLN_HOT uint8_t pln_python_gil_of_sigsafe(const struct pln_layout *layout, uintptr_t address,
					  const unsigned char *thread, bool direct)
{
	unsigned char copy[PLN_GIL_BYTES];
	const unsigned char *gil;
	bool enabled, holds;

	if (pln_has(layout->thread.holds_gil) && !layout->free_threaded) {
		holds = pln_int_at(thread, layout->thread.holds_gil) == 1;
		return holds ? PILLION_GIL_HOLDS : PILLION_GIL_NONE;
	}
	gil = pln_python_peek_sigsafe(gil_of_thread_sigsafe(layout, thread, direct), copy,
				      sizeof(copy), direct);
	if (!gil)
		return PILLION_GIL_UNKNOWN;
	enabled = !pln_has(layout->gil.enabled) || pln_int_at(gil, layout->gil.enabled) != 0;
	if (!enabled)
		return PILLION_GIL_UNKNOWN; /* nothing to hold: the thread just runs */
	holds = pln_int_at(gil, layout->gil.locked) == 1 &&
		pln_word_at(gil, layout->gil.last_holder) == address;
	return holds ? PILLION_GIL_HOLDS : PILLION_GIL_NONE;
}

/*
 * The finalizing thread is known by its state, which is the last one of the main interpreter
 * to go; as long as the runtime has that interpreter, and the state says that it is of it,
 * it is there. While that thread holds the GIL no other one does.
 */
uint8_t pln_python_gil_at_end_sigsafe(uintptr_t pthread_self_value)
{
	/* acquire: pairs with the store in pln_python_poll() */
	const struct pln_layout *layout = pln_load_acquire(&pln_python.layout);
	const unsigned char *runtime = (const unsigned char *)pln_load_relaxed(&pln_python.runtime);
	unsigned char thread[PLN_THREAD_BYTES];
	uintptr_t finalizing, interp;
	uint8_t gil;

	if (!layout || !pln_load_relaxed(&pln_python.trusted))
		return PILLION_GIL_UNKNOWN;
	finalizing = pln_word_at(runtime, layout->runtime.finalizing);
	interp = pln_word_at(runtime, layout->runtime.interp_main);
	if (!finalizing || !interp ||
	    !pln_checked_read_sigsafe(finalizing, thread, layout->thread.size) ||
	    pln_word_at(thread, layout->thread.interp) != interp)
		return PILLION_GIL_UNKNOWN;
	gil = pln_python_gil_of_sigsafe(layout, finalizing, thread, false);
	if (pln_word_at(thread, layout->thread.thread_id) == pthread_self_value)
		return gil;
	return gil == PILLION_GIL_HOLDS ? PILLION_GIL_NONE : PILLION_GIL_UNKNOWN;
}

static void note_gil(uintptr_t gil)
{
	for (unsigned i = 0; i < gil_count; i++) {
		if (gils[i] == gil)
			return;
	}
	if (gil && gil_count < MAX_INTERPRETERS)
		gils[gil_count++] = gil;
}

void pln_python_gil_tick(const struct pln_layout *layout)
{
	static unsigned ticks;
	uintptr_t runtime = pln_load_relaxed(&pln_python.runtime), interp = 0, gil;

	if (ticks++ % TICKS_BETWEEN_LOOKS)
		return;
	gil_count = 0;
	if (pln_has(layout->runtime.gil)) {
		note_gil(runtime + layout->runtime.gil);
		return;
	}
	pln_checked_read_sigsafe(runtime + layout->runtime.interp_head, &interp, sizeof(interp));
	for (unsigned i = 0; interp && i < MAX_INTERPRETERS; i++) {
		if (!pln_checked_read_sigsafe(interp + layout->interp.gil, &gil, sizeof(gil)))
			return;
		note_gil(gil);
		if (!pln_checked_read_sigsafe(interp + layout->interp.next, &interp,
					      sizeof(interp)))
			return;
	}
}

bool pln_python_is_gil_futex(uintptr_t addr)
{
	/* acquire: pairs with the store in pln_python_poll(); the tables came before */
	const struct pln_layout *layout = pln_load_acquire(&pln_python.layout);

	for (unsigned i = 0; layout && i < gil_count; i++) {
		if (addr - gils[i] < layout->gil.size)
			return true;
	}
	return false;
}
