/* SPDX-License-Identifier: MIT */
/*
 * program.h - the file behind a command.
 */
#ifndef PILLION_COLLECTOR_PROGRAM_H
#define PILLION_COLLECTOR_PROGRAM_H

#include <limits.h>
#include <stdbool.h>

/* As execvp(3) finds it, by PATH. False: there is none. */
bool pln_program_find(const char *command, char path[PATH_MAX]);

bool pln_program_is_elf(const char *path);

#endif
