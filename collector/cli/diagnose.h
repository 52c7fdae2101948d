/* SPDX-License-Identifier: MIT */
/*
 * diagnose.h - why no process of a command could be recorded.
 */
#ifndef PILLION_COLLECTOR_DIAGNOSE_H
#define PILLION_COLLECTOR_DIAGNOSE_H

#include <stdbool.h>
#include <stddef.h>

/* One line, "what; what to do", about the program that `command` names. */
void pln_diagnose(const char *command, char *text, size_t size);

/* Whether the command's program is linked to AddressSanitizer's shared runtime. */
bool pln_diagnose_has_sanitizer(const char *command);

#endif
