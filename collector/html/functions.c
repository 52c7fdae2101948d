/* SPDX-License-Identifier: MIT */
/*
 * functions.c - see functions.h.
 */
#include "html/functions.h"

#include <string.h>

#include "report/names.h"

/* The collector's outermost functions, and those that it is in most of its time. */
static bool is_collector(const struct pln_function *f)
{
	static const char *const names[] = {
		"gc_collect_main",
		"gc_collect_region",
		"gc_collect_young",
		"gc_collect_full",
		"gc_collect_increment",
		"gc_collect_with_callback",
		"gc_collect",
		"gc_collect_generations",
		"collect_generations",
		"collect",
		"collect_with_callback",
		"_PyGC_Collect",
		"PyGC_Collect",
		"_PyGC_CollectNoFail",
		"gc_collect_internal",
		"gc_alloc",
		"deduce_unreachable",
		"update_refs",
		"subtract_refs",
		"visit_decref",
		"visit_reachable",
		"move_unreachable",
		"mark_stacks",
		"mark_all_reachable",
		"delete_garbage",
		"untrack_tuples",
		"handle_weakrefs",
	};

	if (strncmp(f->module, "python", 6) && strncmp(f->module, "libpython", 9))
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!strcmp(f->name, names[i]))
			return true;
	}
	return false;
}

static const struct {
	const char *name;
	enum pln_html_kind kind;
} places[] = {
	[PLN_HTML_NO_STACK] = { "(no stack)", PLN_HTML_KIND_NO_STACK },
	[PLN_HTML_SMALL] = { "(small calls)", PLN_HTML_KIND_SMALL },
	[PLN_HTML_RUNNABLE] = { "waiting for a CPU", PLN_HTML_KIND_RUNNABLE },
	[PLN_HTML_GIL] = { "waiting for the GIL", PLN_HTML_KIND_GIL },
	[PLN_HTML_ELSEWHERE] = { "blocked outside of system calls", PLN_HTML_KIND_BLOCKED },
};

static const char *place_name(uint32_t place, char *buffer, size_t size)
{
	const char *call;

	if (place < PLN_HTML_SYSCALL)
		return places[place].name;
	call = pln_syscall_name((int32_t)(place - PLN_HTML_SYSCALL));
	if (!call)
		snprintf(buffer, size, "system call %u", place - PLN_HTML_SYSCALL);
	return call ? call : buffer;
}

void pln_html_place_function(struct pln_html_function *f, uint32_t place)
{
	const char *name = place_name(place, f->buffer, sizeof(f->buffer));

	f->name = f->short_name = name;
	f->file = f->short_file = f->library = f->library_path = "";
	f->line = 0;
	f->kind = place < PLN_HTML_SYSCALL ? places[place].kind : PLN_HTML_KIND_BLOCKED;
}

void pln_html_function(struct pln_html_function *f, const struct pln_profile *profile, uint32_t id)
{
	const struct pln_function *from;

	if (id >= profile->function_count) {
		pln_html_place_function(f, id - (uint32_t)profile->function_count);
		return;
	}
	from = &profile->functions[id];
	f->name = from->name;
	f->short_name = pln_short_function_name(profile, id, f->buffer, sizeof(f->buffer));
	f->file = from->file;
	f->short_file = pln_short_file(from->file, profile->recording.working_directory);
	f->library = from->module;
	f->library_path = from->module_path;
	f->line = from->first_line;
	f->kind = from->kind == PLN_FUNCTION_PYTHON ? PLN_HTML_KIND_PYTHON
		  : is_collector(from)		    ? PLN_HTML_KIND_GC
						    : PLN_HTML_KIND_NATIVE;
}

void pln_html_put_function(struct pln_json *json, const struct pln_html_function *f)
{
	pln_json_array(json, NULL);
	pln_json_text(json, NULL, f->name);
	pln_json_text(json, NULL, f->short_name);
	pln_json_text(json, NULL, f->file);
	pln_json_text(json, NULL, f->short_file);
	pln_json_text(json, NULL, f->library);
	pln_json_text(json, NULL, f->library_path);
	pln_json_number(json, NULL, f->line);
	pln_json_number(json, NULL, f->kind);
	pln_json_array_end(json);
}
