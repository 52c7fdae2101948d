/* SPDX-License-Identifier: MIT */
/*
 * target_file.c - see target_file.h.
 */
#include "symbols/target_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OPEN_FILES "/proc/self/fd/"
#define AGAIN 8 /* when directories were moved on the way */

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

/* As in linux/openat2.h, which older systems do not have. */
struct how {
	uint64_t flags, mode, resolve;
};
#define IN_ROOT 0x10u

/* The root directory that the path is in, and the rest of it; -1: none. */
static int split(const char *path, const char **rest)
{
	char *end;
	long root;

	if (strncmp(path, OPEN_FILES, strlen(OPEN_FILES)) != 0)
		return -1;
	path += strlen(OPEN_FILES);
	root = strtol(path, &end, 10);
	if (end == path || *end != '/' || root < 0 || root > INT_MAX)
		return -1;
	*rest = end;
	return (int)root;
}

static int find_in_root(int root, const char *path)
{
	struct how how = { .flags = O_PATH | O_CLOEXEC, .resolve = IN_ROOT };
	long fd = -1;

	errno = EAGAIN;
	for (int i = 0; i < AGAIN && fd < 0 && errno == EAGAIN; i++)
		fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
}

static int find(const char *path)
{
	const char *rest;
	int root = split(path, &rest);
	int fd = root < 0 ? -ENOSYS : find_in_root(root, rest);

	/* Before Linux 5.6, or where it is filtered, absolute links lead into our own root. */
	if (fd == -ENOSYS || fd == -EPERM)
		fd = open(path, O_PATH | O_CLOEXEC);
	return fd == -1 ? -errno : fd;
}

int pln_target_file_find(const char *path, struct stat *st)
{
	int fd = find(path);

	if (fd >= 0 && (fstat(fd, st) || !S_ISREG(st->st_mode))) {
		close(fd);
		return -ENOEXEC;
	}
	return fd;
}

/*
 * To open a device can do harm: it is looked at first, and through /proc it is then the very file
 * that was looked at. Not blocking, as it may be leased to who would be waited for.
 */
int pln_target_file_open(const char *path, struct stat *st)
{
	int handle = pln_target_file_find(path, st), fd;
	const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	char link[sizeof(OPEN_FILES) + 10];

	if (handle < 0)
		return handle;
	snprintf(link, sizeof(link), OPEN_FILES "%d", handle);
	fd = open(link, flags);
	if (fd < 0 && errno == ENOENT) /* no /proc */
		fd = open(path, flags);
	if (fd < 0)
		fd = -errno;
	close(handle);
	return fd;
}
