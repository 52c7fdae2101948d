/* SPDX-License-Identifier: MIT */
/*
 * pending.c - calls that the interpreter makes for us: on its main thread, between two
 * instructions, holding the GIL.
 *
 * The sampling thread leaves them by Py_AddPendingCall(). Before 3.13 a main thread that runs
 * alone does not notice a call that another thread leaves: CPython works out whether to
 * look for the thread that leaves it. So the handler, on the main thread, then does what
 * CPython's own signal handler does there: it says that a signal may have come. The
 * interpreter looks, finds none, and makes the call.
 *
 * All functions are looked up by name: nothing of CPython is linked.
 */
#include "python_i.h"

#include "checked_read.h"

static struct {
	int (*add)(int (*)(void *), void *);
	/* 3.9 to 3.12 */
	void (*signal_received)(void *interpreter);
	void *(*main_interpreter)(void);
} api;

static _Atomic uint32_t nudge_wanted;
static void *main_interpreter;

static bool resolve_symbols(void)
{
	if (!api.add) {
		*(void **)&api.signal_received = pln_python_symbol("_PyEval_SignalReceived");
		*(void **)&api.main_interpreter = pln_python_symbol("PyInterpreterState_Main");
		*(void **)&api.add = pln_python_symbol("Py_AddPendingCall");
	}
	return api.add;
}

static int make(void *argument)
{
	const struct pln_python_call *call = argument;

	pln_store_relaxed(&nudge_wanted, 0);
	call->make();
	return 0;
}

static void want_nudge(void)
{
	uint32_t minor = pln_python.version_hex >> 16;

	if (minor < 0x0309 || minor > 0x030c || !api.signal_received || !api.main_interpreter)
		return;
	main_interpreter = api.main_interpreter();
	/* release: pairs with the exchange in pln_python_nudge_sigsafe() */
	pln_store_release(&nudge_wanted, 1);
}

/* Another may have come in its place (Py_Finalize(), Py_Initialize()). */
static bool is_main_interpreter_sigsafe(void)
{
	const struct pln_layout *layout = pln_load_relaxed(&pln_python.layout);
	const unsigned char *runtime = (const unsigned char *)pln_load_relaxed(&pln_python.runtime);

	return main_interpreter &&
	       pln_word_at(runtime, layout->runtime.interp_main) == (uintptr_t)main_interpreter;
}

void pln_python_nudge_sigsafe(void)
{
	if (pln_load_relaxed(&nudge_wanted) && pln_swap_acquire(&nudge_wanted, 0) &&
	    is_main_interpreter_sigsafe())
		api.signal_received(main_interpreter);
}

/*
 * Up to 3.11 CPython goes by the state of who runs Python in that moment, and not by who leaves
 * the call. A subinterpreter's would lie in a queue of its own, at which the main thread may never
 * look. And 3.8 raises an error in that state once it ends: in another thread's, or in none.
 */
static bool is_taken_now(void)
{
	const struct pln_layout *layout = pln_load_relaxed(&pln_python.layout);
	const unsigned char *runtime = (const unsigned char *)pln_load_relaxed(&pln_python.runtime);
	uintptr_t current, interp;

	if (pln_has(layout->runtime.calls_refused) &&
	    *(const volatile int *)(runtime + layout->runtime.calls_refused))
		return false;
	if (!pln_has(layout->runtime.current))
		return true;
	current = pln_word_at(runtime, layout->runtime.current);
	return !current || (pln_checked_read_sigsafe(current + layout->thread.interp, &interp,
						     sizeof(interp)) &&
			    interp == pln_word_at(runtime, layout->runtime.interp_main));
}

bool pln_python_ask(struct pln_python_call *call)
{
	if (!resolve_symbols())
		return false;
	if (call->state == PLN_CALL_ASKED) {
		call->state = PLN_CALL_NUDGED;
		want_nudge();
	} else if (call->state == PLN_CALL_NONE && is_taken_now() && api.add(make, call) == 0) {
		call->state = PLN_CALL_ASKED;
	}
	return true;
}

void pln_python_pending_after_fork(void)
{
	pln_store_relaxed(&nudge_wanted, 0);
}
