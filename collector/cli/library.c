/* SPDX-License-Identifier: MIT */
/*
 * library.c - see library.h.
 *
 * Always relative to the executable, so that an installed tree can be moved:
 *   <prefix>/bin/pillion  and  <prefix>/<libdir>/pillion/libpillion.so
 *   <build>/bin/pillion   and  <build>/preload/libpillion.so
 *   side by side, as in a container's volume
 */
#include "cli/library.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME "libpillion.so"

#ifndef PILLION_LIBDIR
#define PILLION_LIBDIR "lib"
#endif

static const char *const places[] = {
	"../" PILLION_LIBDIR "/pillion/" NAME,
	"../lib/pillion/" NAME,
	"../preload/" NAME,
	NAME,
};

static int own_directory(char *dir, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", dir, size - 1);

	if (n < 0)
		return -errno;
	dir[n] = '\0';
	*strrchr(dir, '/') = '\0';
	return 0;
}

static bool find_beside(const char *dir, char *path)
{
	char candidate[PATH_MAX];

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int n = snprintf(candidate, sizeof(candidate), "%s/%s", dir, places[i]);

		if (n < (int)sizeof(candidate) && realpath(candidate, path))
			return true;
	}
	return false;
}

/* The loader splits LD_PRELOAD at spaces and colons, expands dollars, and knows no quoting. */
static bool is_preloadable(const char *path)
{
	return !path[strcspn(path, " \t\n:$")];
}

/* A link in a directory of our own whose name has none of these. */
static int make_link(struct pln_library *library)
{
	const char *dirs[] = { getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"), "/tmp" };
	char link[sizeof(library->link_dir) + sizeof(NAME)];

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		int n;

		if (!dirs[i] || dirs[i][0] != '/' || !is_preloadable(dirs[i]))
			continue;
		n = snprintf(library->link_dir, sizeof(library->link_dir), "%s/pillion-XXXXXX",
			     dirs[i]);
		if (n >= (int)sizeof(library->link_dir) || !mkdtemp(library->link_dir))
			continue;
		snprintf(link, sizeof(link), "%s/" NAME, library->link_dir);
		if (!symlink(library->path, link)) {
			strcpy(library->path, link);
			return 0;
		}
		rmdir(library->link_dir);
	}
	library->link_dir[0] = '\0';
	return -ENOENT;
}

int pln_library_open(struct pln_library *library, char *why, size_t why_size)
{
	char dir[PATH_MAX];
	int error;

	*library = (struct pln_library){ "", "" };
	error = own_directory(dir, sizeof(dir));
	if (error || !find_beside(dir, library->path)) {
		snprintf(why, why_size,
			 "cannot find " NAME " near %s; install pillion as a whole (bin/ and "
			 "lib/pillion/)",
			 error ? "the executable" : dir);
		return -ENOENT;
	}
	if (is_preloadable(library->path))
		return 0;
	error = make_link(library);
	if (error)
		snprintf(why, why_size,
			 "cannot preload %s: its path has a space or colon, and no link could be "
			 "made in /tmp; move pillion to another directory",
			 library->path);
	return error;
}

bool pln_library_must_be_first(const char *name)
{
	static const char *const runtimes[] = { "libasan.so", "libclang_rt.asan" };

	for (size_t i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]); i++)
		if (!strncmp(name, runtimes[i], strlen(runtimes[i])))
			return true;
	return false;
}

/* As much of a list as must stay in front. */
static size_t first_part(const char *list)
{
	size_t end = 0;

	for (const char *name = list, *at = list;; at++) {
		if (*at == '/') {
			name = at + 1;
		} else if (!*at || *at == ':' || *at == ' ') {
			if (pln_library_must_be_first(name))
				end = (size_t)(at - list);
			name = at + 1;
		}
		if (!*at)
			return end;
	}
}

bool pln_library_is_behind_another(void)
{
	const char *before = getenv("LD_PRELOAD");

	return before && first_part(before);
}

int pln_library_preload(const struct pln_library *library)
{
	const char *before = getenv("LD_PRELOAD");
	size_t first;
	char *value;
	int error;

	if (!before || !*before)
		return setenv("LD_PRELOAD", library->path, 1) ? -errno : 0;
	first = first_part(before);
	if (asprintf(&value, "%.*s%s%s%s%s", (int)first, before, first ? ":" : "", library->path,
		     first ? "" : ":", before + first) < 0)
		return -ENOMEM;
	error = setenv("LD_PRELOAD", value, 1) ? -errno : 0;
	free(value);
	return error;
}

void pln_library_close(struct pln_library *library)
{
	if (!library->link_dir[0])
		return;
	unlink(library->path);
	rmdir(library->link_dir);
	library->link_dir[0] = '\0';
}
