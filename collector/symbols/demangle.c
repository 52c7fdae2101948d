/* SPDX-License-Identifier: MIT */
/*
 * demangle.c - readable names for C++ (Itanium) and Rust (legacy and v0), by libiberty.
 *
 * Names are shown without parameter lists: in a profile the name is what a reader
 * looks for, the parameters of a template-heavy function fill whole lines, and the
 * profile tells overloads apart by file and line anyway. The full linkage name is
 * kept beside the shown one. Rust's ::h<hash> goes for the same reason.
 */
#include "symbols/demangle.h"
#include "symbols/symbols.h"

#include <demangle.h>

#include <ctype.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What compilers append to a function that they split or cloned. */
static const char *const clone_suffixes[] = {
	".cold", ".part", ".constprop", ".isra", ".lto_priv", ".llvm", ".clone", ".localalias",
};

/* Whether [suffix, end) is one of them, alone or followed by numbers: ".part.0", ".cold.12". */
static bool is_clone_suffix(const char *suffix, size_t length)
{
	for (size_t i = 0; i < sizeof(clone_suffixes) / sizeof(clone_suffixes[0]); i++) {
		size_t n = strlen(clone_suffixes[i]);

		if (length == n && !memcmp(suffix, clone_suffixes[i], n))
			return true;
	}
	return false;
}

static size_t last_dot(const char *name, size_t length)
{
	while (length && name[length - 1] != '.')
		length--;
	return length ? length - 1 : 0;
}

static size_t without_number(const char *name, size_t length)
{
	size_t end = length;

	while (end && isdigit((unsigned char)name[end - 1]))
		end--;
	return end && end < length && name[end - 1] == '.' ? end - 1 : length;
}

size_t pln_symbol_base_length(const char *name)
{
	const char *version = strchr(name, '@');
	size_t length = version ? (size_t)(version - name) : strlen(name);

	for (;;) {
		size_t end = without_number(name, length);
		size_t dot = last_dot(name, end);

		if (!dot || !is_clone_suffix(name + dot, end - dot))
			return length;
		length = dot;
	}
}

bool pln_is_mangled(const char *name)
{
	return name[0] == '_' && (name[1] == 'Z' || name[1] == 'R');
}

/* What the demangler has written so far. */
struct written {
	char text[PLN_NAME_MAX_BYTES + 1];
	size_t length;
	jmp_buf full;
};

static void write_part(const char *part, size_t length, void *opaque)
{
	struct written *out = opaque;
	size_t room = PLN_NAME_MAX_BYTES - out->length;

	memcpy(out->text + out->length, part, length < room ? length : room);
	out->length += length < room ? length : room;
	if (length > room)
		longjmp(out->full, 1);
}

/*
 * Each part of a name can stand for two of the one before it: forty such parts, in 400
 * bytes, are terabytes to be written. The demangler cannot be told to stop, but left.
 */
static bool write_demangled(const char *name, struct written *out)
{
	if (setjmp(out->full))
		return true;
	out->length = 0;
	if (rust_demangle_callback(name, DMGL_AUTO | DMGL_ANSI, write_part, out))
		return true;
	out->length = 0;
	return cplus_demangle_v3_callback(name, DMGL_AUTO | DMGL_ANSI, write_part, out);
}

char *pln_demangle(const char *name)
{
	struct written out;

	if (!pln_is_mangled(name) || strlen(name) > PLN_NAME_MAX_BYTES ||
	    !write_demangled(name, &out))
		return NULL;
	return strndup(out.text, out.length);
}

/* "name@plt" -> length of "name"; 0 when the name has no such end. */
static size_t stub_target_length(const char *name)
{
	size_t length = strlen(name), end = strlen(PLN_STUB_SUFFIX);

	return length > end && !strcmp(name + length - end, PLN_STUB_SUFFIX) ? length - end : 0;
}

/* The name without what the compiler added, demangled; malloc. */
static char *readable(const char *name, size_t length)
{
	char *copy = strndup(name, length);
	char *demangled;

	if (!copy)
		return NULL;
	copy[pln_symbol_base_length(copy)] = '\0';
	demangled = pln_demangle(copy);
	if (!demangled)
		return copy;
	free(copy);
	return demangled;
}

const char *pln_shown_name(struct pln_arena *arena, const char *linkage_name)
{
	size_t target = stub_target_length(linkage_name);
	char *name = readable(linkage_name, target ? target : strlen(linkage_name));
	char *stub = NULL;
	const char *shown;

	if (name && target && asprintf(&stub, "%s" PLN_STUB_SUFFIX, name) < 0)
		stub = NULL;
	shown = pln_arena_intern(arena, stub ? stub : name ? name : linkage_name);
	free(stub);
	free(name);
	return shown;
}
