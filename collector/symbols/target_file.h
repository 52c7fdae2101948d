/* SPDX-License-Identifier: MIT */
/*
 * target_file.h - opens files that a target names.
 *
 * Whoever names them is not trusted: nothing but a regular file is opened, and none in a way that
 * could wait for somebody. A path that begins with "/proc/self/fd/N/" is one in the root directory
 * of the target, which is open as N: links in it lead to where they lead for the target.
 */
#ifndef PILLION_COLLECTOR_SYMBOLS_TARGET_FILE_H
#define PILLION_COLLECTOR_SYMBOLS_TARGET_FILE_H

#include <sys/stat.h>

/* A descriptor to name it by (O_PATH), or -errno; -ENOEXEC: it is no regular file. */
int pln_target_file_find(const char *path, struct stat *st);

/* A descriptor to read from, or -errno. */
int pln_target_file_open(const char *path, struct stat *st);

#endif
