/* SPDX-License-Identifier: MIT */
/*
 * program.c - see program.h.
 */
#include "cli/program.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool pln_program_find(const char *command, char path[PATH_MAX])
{
	const char *dirs = getenv("PATH");

	if (strchr(command, '/'))
		return snprintf(path, PATH_MAX, "%s", command) < PATH_MAX;
	for (dirs = dirs ? dirs : "/bin:/usr/bin"; dirs; dirs = strchr(dirs, ':')) {
		int length;

		dirs += *dirs == ':';
		length = (int)strcspn(dirs, ":");
		if (snprintf(path, PATH_MAX, "%.*s%s%s", length, dirs, length ? "/" : "", command) <
			    PATH_MAX &&
		    !access(path, X_OK))
			return true;
	}
	return false;
}

bool pln_program_is_elf(const char *path)
{
	char magic[SELFMAG];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool is_elf;

	if (fd < 0)
		return false;
	is_elf = read(fd, magic, sizeof(magic)) == SELFMAG && !memcmp(magic, ELFMAG, SELFMAG);
	close(fd);
	return is_elf;
}
