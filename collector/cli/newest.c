/* SPDX-License-Identifier: MIT */
/*
 * newest.c - which profile is meant when none is named.
 */
#include "cli/cli.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static bool is_profile_name(const char *name)
{
	size_t length = strlen(name);

	return length > 8 && name[0] != '.' && !strcmp(name + length - 8, ".pillion");
}

static bool is_newer(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec > b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

int pln_cli_newest_profile(char *path, size_t size)
{
	struct timespec newest = { 0 };
	struct dirent *entry;
	struct stat st;
	bool found = false;
	DIR *dir = opendir(".");

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (!is_profile_name(entry->d_name) || stat(entry->d_name, &st) ||
		    !S_ISREG(st.st_mode) || strlen(entry->d_name) >= size)
			continue;
		if (found && !is_newer(&st.st_mtim, &newest))
			continue;
		found = true;
		newest = st.st_mtim;
		strcpy(path, entry->d_name);
	}
	closedir(dir);
	return found ? 0 : -ENOENT;
}
