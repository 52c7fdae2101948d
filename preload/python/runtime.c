/* SPDX-License-Identifier: MIT */
/*
 * runtime.c - finds the interpreter, and follows it from its start to its end.
 *
 * pln_python_find() runs early (constructor, or a thread that starts an interpreter)
 * and only looks. Everything else is the state machine that the sampling thread drives
 * by pln_python_poll():
 *
 *   LOOKING      no _PyRuntime yet
 *   STARTING     found, Py_Initialize() not far enough
 *   SETTLING     layout chosen; its structures must appear where it says
 *   CHECKING     published as FOUND; CPython was asked to compare (selfcheck.c)
 *   CHECKED, REFUSED
 *
 * Whether frames may be read at this moment is looked up in the runtime itself at each
 * sample: finalization is not waited for but seen.
 */
#include "python_i.h"

#include <elf.h>
#include <stdio.h>

#include "checked_read.h"
#include "far_frames.h"
#include "glibc.h"
#include "hot.h"
#include "text.h"

/* Ticks that an initialized interpreter gets to show the structures of its layout. */
#define SETTLING_TICKS 100

struct pln_python pln_python;

static enum {
	LOOKING,
	STARTING,
	SETTLING,
	CHECKING,
	CHECKED,
	REFUSED,
} state;

static unsigned settling_ticks;
static _Atomic bool has_run; /* an interpreter was once seen as it should be */
static bool repeat; /* tell again: the segment is new */
static const char *refused_because = "";
static struct pln_layout run_time_layout;

/* ---------------------------------------------------------- finding */

void *pln_python_symbol(const char *name)
{
	return dlsym(pln_python.module, name);
}

/* The handle of the module around `address`; the module stays loaded from now on. */
static void *pin_module(uintptr_t address)
{
	Dl_info info;

	if (!dladdr((void *)address, &info) || !info.dli_fname)
		return NULL;
	return dlopen(info.dli_fname, RTLD_LAZY | RTLD_LOCAL | RTLD_NOLOAD);
}

static void *find_in_module(uintptr_t hint, void **module)
{
	void *runtime = NULL;

	*module = pin_module(hint);
	if (*module)
		runtime = dlsym(*module, "_PyRuntime");
	return runtime ? runtime : (void *)pln_python_runtime_section(hint);
}

bool pln_python_find(uintptr_t hint)
{
	void *module = RTLD_DEFAULT, *runtime;

	if (pln_python_runtime())
		return true;
	runtime = dlsym(RTLD_DEFAULT, "_PyRuntime");
	if (!runtime && hint)
		runtime = find_in_module(hint, &module);
	if (!runtime)
		return false;
	pln_python.module = module;
	/* release: `module` comes before; pairs with pln_python_runtime() */
	pln_store_release(&pln_python.runtime, (uintptr_t)runtime);
	return true;
}

uintptr_t pln_python_runtime(void)
{
	/* acquire: pairs with the store in pln_python_find() */
	return pln_load_acquire(&pln_python.runtime);
}

/* ---------------------------------------------------------- version and layout */

/* "3.9.18 (main, ...": PY_VERSION_HEX of the release, without its kind. */
static uint32_t parse_version(const char *text)
{
	uint32_t version = 0xf0;

	for (int shift = 24; text && shift; shift -= 8) {
		const char *digits = text;

		version |= (uint32_t)pln_parse_decimal(&text) << shift;
		if (text == digits || (shift > 8 && *text++ != '.'))
			return 0;
	}
	return text ? version : 0;
}

static uint32_t find_version(void)
{
	const unsigned long *symbol = pln_python_symbol("Py_Version"); /* 3.11+ */
	const char *(*get_version)(void);
	uint32_t version = pln_layout_debug_version(pln_python_runtime()); /* 3.13+ */

	if (version || symbol)
		return version ? version : (uint32_t)*symbol;
	*(void **)&get_version = pln_python_symbol("Py_GetVersion"); /* returns static text */
	return get_version ? parse_version(get_version()) : 0;
}

/*
 * Those of a program that is, or is linked to, an interpreter: else NULL. Not by dlsym(), which
 * allocates to say that there is none, in each `ls` of a script.
 */
__attribute__((weak)) extern const char *Py_GetVersion(void);
__attribute__((weak)) extern void PyConfig_InitPythonConfig(void *); /* 3.8+ */

bool pln_python_is_linked(void)
{
	return Py_GetVersion != NULL;
}

bool pln_python_find_too_old(void)
{
	if (!Py_GetVersion || PyConfig_InitPythonConfig)
		return false;
	pln_python.version_hex = parse_version(Py_GetVersion());
	pln_store_relaxed(&pln_python.refused, true);
	refused_because = "it is older than CPython 3.8";
	state = REFUSED;
	repeat = true;
	return true;
}

/* NULL with *layout set, or why there is no layout. */
static const char *choose_layout(const struct pln_layout **layout)
{
	static const struct pln_layout *const fixed[] = { &pln_layout_3_08, &pln_layout_3_09,
							  &pln_layout_3_10, &pln_layout_3_11,
							  &pln_layout_3_12 };
	uint32_t version = pln_python.version_hex;

	if (!version)
		return "its version cannot be told";
	if ((version & 0xf0) != 0xf0)
		return "it is a pre-release of CPython";
	for (unsigned i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		if (fixed[i]->version == version >> 16) {
			*layout = fixed[i];
			return NULL;
		}
	}
	if (version >> 16 < 0x0308)
		return "CPython before 3.8 is not supported";
	*layout = &run_time_layout;
	return pln_layout_from_debug_offsets(pln_python_runtime(), &run_time_layout);
}

/* ---------------------------------------------------------- state of the runtime */

static int32_t runtime_int_sigsafe(uint32_t offset)
{
	const uintptr_t runtime = pln_load_relaxed(&pln_python.runtime);

	return *(const volatile int32_t *)(runtime + offset);
}

static bool is_initialized_sigsafe(const struct pln_layout *layout)
{
	return runtime_int_sigsafe(layout->runtime.initialized) != 0;
}

static bool is_finalizing_sigsafe(const struct pln_layout *layout)
{
	const uintptr_t runtime = pln_load_relaxed(&pln_python.runtime);

	return *(const volatile uintptr_t *)(runtime + layout->runtime.finalizing) != 0;
}

PLN_HOT bool pln_python_ready_sigsafe(void)
{
	/* acquire: pairs with the store in publish_layout() */
	const struct pln_layout *layout = pln_load_acquire(&pln_python.layout);

	return layout && !pln_load_relaxed(&pln_python.refused) && is_initialized_sigsafe(layout) &&
	       !is_finalizing_sigsafe(layout);
}

bool pln_python_is_refused(void)
{
	return pln_load_relaxed(&pln_python.refused);
}

bool pln_python_finalizing_sigsafe(void)
{
	const struct pln_layout *layout = pln_load_acquire(&pln_python.layout);

	return layout && pln_load_relaxed(&has_run) && !pln_load_relaxed(&pln_python.refused) &&
	       (is_finalizing_sigsafe(layout) || !is_initialized_sigsafe(layout));
}

/* ---------------------------------------------------------- the state machine */

static void fill_eval_range(struct pln_wire_interpreter *info)
{
	void *eval = pln_python_symbol("_PyEval_EvalFrameDefault");
	const Elf64_Sym *symbol = NULL;
	Dl_info found;

	if (!eval || !dladdr1(eval, &found, (void **)&symbol, RTLD_DL_SYMENT) || !symbol)
		return;
	info->eval_lo = (uintptr_t)eval;
	info->eval_hi = (uintptr_t)eval + symbol->st_size;
}

static void fill_info(struct pln_wire_interpreter *info, uint32_t status, const char *detail)
{
	const struct pln_layout *layout = pln_load_relaxed(&pln_python.layout);

	memset(info, 0, sizeof(*info));
	info->rec.size = sizeof(*info);
	info->rec.type = PILLION_RECORD_INTERPRETER;
	info->version_hex = pln_python.version_hex;
	info->status = (uint8_t)status;
	snprintf(info->detail, sizeof(info->detail), "%s", detail);
	if (!layout)
		return;
	info->free_threaded = layout->free_threaded;
	snprintf(info->layout, sizeof(info->layout), "%s", layout->name);
	if (layout->version <= 0x0309)
		fill_eval_range(info);
}

static bool refuse(struct pln_wire_interpreter *info, const char *detail)
{
	state = REFUSED;
	refused_because = detail;
	pln_store_relaxed(&pln_python.refused, true);
	fill_info(info, PILLION_INTERPRETER_REFUSED, detail);
	return true;
}

/* The layout's `initialized` is not to be believed before the layout is. */
static bool has_started(void)
{
	int (*is_initialized)(void);

	*(void **)&is_initialized = pln_python_symbol("Py_IsInitialized");
	return !is_initialized || is_initialized();
}

static bool poll_starting(struct pln_wire_interpreter *info)
{
	const struct pln_layout *layout = NULL;
	const char *detail;

	if (!has_started())
		return false;
	if (!pln_checked_read_works_sigsafe())
		return refuse(info, "process_vm_readv is refused here (seccomp?)");
	pln_python.version_hex = find_version();
	detail = choose_layout(&layout);
	if (detail)
		return refuse(info, detail);
	if (!pln_python_codes_init())
		return refuse(info, "no memory for the table of code objects");
	pln_python.code_type = (uintptr_t)pln_python_symbol("PyCode_Type");
	pln_python_states_init();
	/* release: everything above comes before; pairs with the handlers' loads */
	pln_store_release(&pln_python.layout, layout);
	settling_ticks = 0;
	state = SETTLING;
	return false;
}

static bool poll_settling(struct pln_wire_interpreter *info, const struct pln_layout *layout)
{
	if (is_finalizing_sigsafe(layout))
		return false;
	if (is_initialized_sigsafe(layout) && pln_python_states_plausible(layout)) {
		state = CHECKING;
		pln_store_relaxed(&has_run, true);
		fill_info(info, PILLION_INTERPRETER_FOUND, "");
		return true;
	}
	if (has_started() && ++settling_ticks > SETTLING_TICKS)
		return refuse(info, "its thread states are not where this version has them");
	return false;
}

static bool poll_checking(struct pln_wire_interpreter *info)
{
	const char *detail = "";

	if (!pln_python_ready_sigsafe())
		return false;
	switch (pln_python_selfcheck(&detail)) {
	case PLN_SELFCHECK_PASSED:
		state = CHECKED;
		fill_info(info, PILLION_INTERPRETER_CHECKED, "");
		return true;
	case PLN_SELFCHECK_FAILED:
		return refuse(info, detail);
	case PLN_SELFCHECK_WAITING:
		break;
	}
	return false;
}

/* A forked child has a segment of its own, in which nothing has been said yet. */
static bool poll_repeating(struct pln_wire_interpreter *info)
{
	repeat = false;
	if (state == CHECKING)
		fill_info(info, PILLION_INTERPRETER_FOUND, "");
	else if (state == CHECKED)
		fill_info(info, PILLION_INTERPRETER_CHECKED, "");
	else if (state == REFUSED)
		fill_info(info, PILLION_INTERPRETER_REFUSED, refused_because);
	else
		return false;
	return true;
}

bool pln_python_poll(struct pln_wire_interpreter *info)
{
	const struct pln_layout *layout = pln_load_relaxed(&pln_python.layout);

	if (repeat)
		return poll_repeating(info);
	if (state == LOOKING && pln_python_runtime())
		state = STARTING;
	if (state == STARTING)
		return poll_starting(info);
	if (state == LOOKING || state == REFUSED)
		return false;
	if (state == SETTLING)
		return poll_settling(info, layout);
	return state == CHECKING && poll_checking(info);
}

void pln_python_tick(void)
{
	const struct pln_layout *layout = pln_load_relaxed(&pln_python.layout);

	if (!layout)
		return;
	pln_python_states_tick();
	pln_python_gil_tick(layout);
}

void pln_python_after_fork(void)
{
	repeat = true;
	pln_python_states_tick();
	pln_far_frames_after_fork();
	pln_python_pending_after_fork();
	pln_python_selfcheck_after_fork();
}
