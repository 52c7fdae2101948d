/* SPDX-License-Identifier: MIT */
/*
 * selfcheck.c - CPython's own word on what we read.
 *
 * The sampling thread asks for a call (pending.c); the interpreter makes it on its main
 * thread, between two instructions, holding the GIL. There our walk of that very stack
 * is compared with the public API: every frame's code object, name, file and line. What
 * differs each time it is asked makes the layout a wrong one, and nothing of this
 * interpreter is read any more. Once may be of the moment: several interpreters take
 * turns on one thread, a debugger sets line numbers. And a walk that was cut, however
 * often, says nothing against what it did find: then it is asked again later.
 *
 * All functions are looked up by name: nothing of CPython is linked. The call changes
 * nothing that a program sees: no exception set or lost, no reference kept.
 */
#include "python_i.h"

#define MAX_FRAMES 256
#define DESCRIPTION_BYTES 4096
#define ENOUGH_FRAMES 32 /* that agree: as good as a whole stack */
#define EVIDENCE 4 /* frames, of one check or of several: garbage, too, can name a first line */
#define FAULTS_MAX 4 /* checks in a row that found a difference */
#define PROOFS 8 /* checks in a row that agree, after one that did not: a chance would not last */
#define PAUSE_MAX 256 /* ticks between checks; a check of a deep stack takes a while */

/* An object of the interpreter. Never looked into here. */
struct object;

static struct {
	struct object *(*get_frame)(void); /* borrowed */
	int (*line_of_frame)(struct object *);
	int (*line_of_code)(struct object *, int);
	struct object *(*get_attribute)(struct object *, const char *);
	const char *(*utf8)(struct object *, intptr_t *);
	void (*drop)(struct object *);
	void (*fetch_error)(struct object **, struct object **, struct object **);
	void (*restore_error)(struct object *, struct object *, struct object *);
	/* 3.9+; before, the attributes f_code and f_back are asked for */
	struct object *(*code_of_frame)(struct object *);
	struct object *(*back_of_frame)(struct object *);
} api;

static const struct {
	const char *name;
	size_t at;
	bool needed;
} symbols[] = {
	{ "PyEval_GetFrame", offsetof(__typeof__(api), get_frame), true },
	{ "PyFrame_GetLineNumber", offsetof(__typeof__(api), line_of_frame), true },
	{ "PyCode_Addr2Line", offsetof(__typeof__(api), line_of_code), true },
	{ "PyObject_GetAttrString", offsetof(__typeof__(api), get_attribute), true },
	{ "PyUnicode_AsUTF8AndSize", offsetof(__typeof__(api), utf8), true },
	{ "Py_DecRef", offsetof(__typeof__(api), drop), true },
	{ "PyErr_Fetch", offsetof(__typeof__(api), fetch_error), true },
	{ "PyErr_Restore", offsetof(__typeof__(api), restore_error), true },
	{ "PyFrame_GetCode", offsetof(__typeof__(api), code_of_frame), false },
	{ "PyFrame_GetBack", offsetof(__typeof__(api), back_of_frame), false },
};

enum outcome {
	AGREES,
	UNDECIDED, /* nothing to compare, or cut before there was enough */
	DIFFERS,
};

#define ASK_AGAIN 3 /* as a result: what the sampling thread makes WAITING of */

static _Atomic int result; /* enum pln_selfcheck or ASK_AGAIN; release: `failure` before it */
static const char *failure;
static bool agreed; /* with `result`: this check did, and more are to follow */
static bool cannot_ask; /* without these symbols (a stripped static interpreter) */
static unsigned ticks_to_wait, next_pause = 1; /* sampling thread */

/* Main thread, GIL held: only one check runs at a time. */
static unsigned faults, doubts, evidence;
static struct pln_python_frame frames[MAX_FRAMES];
static unsigned char description[DESCRIPTION_BYTES];

static bool resolve_symbols(void)
{
	for (unsigned i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *symbol = pln_python_symbol(symbols[i].name);

		if (!symbol && symbols[i].needed)
			return false;
		memcpy((char *)&api + symbols[i].at, &symbol, sizeof(symbol));
	}
	return true;
}

static struct object *frame_code(struct object *frame)
{
	return api.code_of_frame ? api.code_of_frame(frame) : api.get_attribute(frame, "f_code");
}

/* New reference, NULL at the outermost frame. */
static struct object *frame_back(struct object *frame)
{
	struct object *back;

	if (api.back_of_frame)
		return api.back_of_frame(frame);
	back = api.get_attribute(frame, "f_back");
	if (back && back == pln_python_symbol("_Py_NoneStruct")) {
		api.drop(back);
		back = NULL;
	}
	return back;
}

/* Whether the attribute of the code object is this text. What is not UTF-8 passes. */
static bool is_text(struct object *code, const char *attribute, const unsigned char *text,
		    size_t size, bool cut)
{
	struct object *value = api.get_attribute(code, attribute);
	intptr_t length = 0;
	const char *utf8;
	bool same;

	if (!value)
		return false;
	utf8 = api.utf8(value, &length);
	same = !utf8 || ((cut ? (size_t)length >= size : (size_t)length == size) &&
			 memcmp(utf8, text, size) == 0);
	api.drop(value);
	return same;
}

static const char *compare_names(struct object *code, const struct pln_python_frame *frame)
{
	const struct pln_wire_code *head = (const void *)description;
	const unsigned char *names = description + sizeof(*head);
	const struct pln_layout *layout = pln_load_relaxed(&pln_python.layout);
	const char *name = layout->version >= 0x030b ? "co_qualname" : "co_name";

	if (!pln_python_describe_sigsafe(frame, description, sizeof(description)))
		return "a code object could not be read";
	if (!is_text(code, name, names, head->qualname_size, head->truncated))
		return "names of code objects differ from what CPython says";
	if (!is_text(code, "co_filename", names + head->qualname_size, head->filename_size,
		     head->truncated))
		return "file names of code objects differ from what CPython says";
	return NULL;
}

/* Its line is what the trace function was told last, or what a debugger set. */
static bool is_traced(struct object *frame)
{
	struct object *trace = api.get_attribute(frame, "f_trace");
	bool traced = trace && trace != pln_python_symbol("_Py_NoneStruct");

	if (trace)
		api.drop(trace);
	return traced;
}

static const char *compare_frame(struct object *frame, const struct pln_python_frame *ours)
{
	int address = ours->instr == PILLION_NO_INSTR ? -1 : (int)ours->instr;
	struct object *code = frame_code(frame);
	const char *difference = NULL;

	if (!code)
		return "a frame without code";
	if ((uintptr_t)code != ours->code_addr)
		difference = "frames differ from what CPython says";
	else if (api.line_of_code(code, address) != api.line_of_frame(frame) && !is_traced(frame))
		difference = "lines differ from what CPython says";
	else
		difference = compare_names(code, ours);
	api.drop(code);
	return difference;
}

/* Against CPython's chain of frames from `frame` on, which is borrowed. */
static const char *compare_frames(struct object *frame, const struct pln_python_walk *walk)
{
	const char *difference = NULL;
	struct object *outer;
	bool more;
	unsigned i;

	for (i = 0; frame && i < walk->count && !difference; i++) {
		difference = compare_frame(frame, &walk->frames[i]);
		outer = frame_back(frame);
		if (i)
			api.drop(frame);
		frame = outer;
	}
	more = frame != NULL;
	if (more && i)
		api.drop(frame);
	if (difference)
		return difference;
	if (!walk->truncated && (more || i != walk->count))
		return "the number of frames differs from what CPython says";
	/* Cut at the first link: it never led to a frame. */
	return walk->truncated && i < 2 && more ? "frames do not lead to their callers" : NULL;
}

static enum outcome compare_stack(const char **difference)
{
	struct pln_python_walk walk = { .frames = frames, .max = MAX_FRAMES };
	const struct pln_stack no_stack = { 0 };
	struct object *frame = api.get_frame();

	if (!frame) /* Py_MakePendingCalls() outside of any Python code */
		return UNDECIDED;
	pln_python_walk_self_sigsafe(&no_stack, &walk);
	if (!walk.has_tstate || walk.failed)
		*difference = "the stack could not be walked";
	else if (walk.gil != PILLION_GIL_HOLDS && walk.gil != PILLION_GIL_UNKNOWN)
		*difference = "the GIL is not where this version has it";
	else
		*difference = compare_frames(frame, &walk);
	if (*difference)
		return DIFFERS;
	if (walk.truncated && walk.count < ENOUGH_FRAMES)
		return UNDECIDED;
	evidence += walk.count;
	return AGREES;
}

/* Context: main thread of the interpreter, GIL held, between two instructions. */
static void check(void)
{
	struct object *type, *value, *traceback;
	const char *difference = NULL;
	enum outcome outcome;
	int now = ASK_AGAIN;

	api.fetch_error(&type, &value, &traceback);
	outcome = compare_stack(&difference);
	api.restore_error(type, value, traceback); /* and forgets what the comparison raised */
	faults = outcome == DIFFERS ? faults + 1 : 0;
	if (outcome == DIFFERS) {
		doubts = PROOFS;
		evidence = 0;
	} else if (outcome == AGREES && doubts) {
		doubts--;
	}
	agreed = outcome == AGREES;
	if (outcome == AGREES && !doubts && evidence >= EVIDENCE) {
		now = PLN_SELFCHECK_PASSED;
		pln_store_relaxed(&pln_python.trusted, true);
	} else if (faults == FAULTS_MAX) {
		now = PLN_SELFCHECK_FAILED;
		failure = difference;
	}
	/* release: pairs with the load in pln_python_selfcheck() */
	pln_store_release(&result, now);
}

static struct pln_python_call call = { .make = check };

static void ask(void)
{
	cannot_ask = (!api.get_frame && !resolve_symbols()) || !pln_python_ask(&call);
}

/* Soon at first, seldom if it goes on like this. */
static void ask_again_later(void)
{
	pln_store_relaxed(&result, PLN_SELFCHECK_WAITING);
	call.state = PLN_CALL_NONE;
	ticks_to_wait = agreed ? 1 : next_pause;
	if (!agreed && next_pause < PAUSE_MAX)
		next_pause *= 2;
}

enum pln_selfcheck pln_python_selfcheck(const char **detail)
{
	/* acquire: pairs with the store in check() */
	int now = pln_load_acquire(&result);

	if (now == ASK_AGAIN) {
		ask_again_later();
		return PLN_SELFCHECK_WAITING;
	}
	if (now == PLN_SELFCHECK_FAILED)
		*detail = failure;
	if (now != PLN_SELFCHECK_WAITING)
		return (enum pln_selfcheck)now;
	/* Without being asked, it stays at FOUND. */
	if (ticks_to_wait)
		ticks_to_wait--;
	else if (!cannot_ask)
		ask();
	return PLN_SELFCHECK_WAITING;
}

void pln_python_selfcheck_after_fork(void)
{
	call.state = PLN_CALL_NONE;
}
