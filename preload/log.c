/* SPDX-License-Identifier: MIT */
/*
 * log.c - one writev(2) per line, however long: no stdio, no allocation.
 */
#include "log.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <sys/uio.h>

#include <pillion/syscall.h>
#include <pillion/values.h>

#include "text.h"

static enum pln_log_level level_now;

bool pln_log_set_level(const char *name)
{
	static const char *const names[] = { "", "error", "info", "debug" };
	bool asked_for = true;

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcasecmp(name, names[i]))
			continue;
		level_now = (enum pln_log_level)i;
		return true;
	}
	(void)pln_value_flag(name, &asked_for);
	level_now = asked_for ? PLN_LOG_ERROR : PLN_LOG_SILENT;
	return !asked_for;
}

bool pln_log_is_on(enum pln_log_level level)
{
	return level <= level_now && level != PLN_LOG_SILENT;
}

#define PARTS 4

static void write_line(const char *const parts[PARTS])
{
	struct iovec line[PARTS];

	for (unsigned i = 0; i < PARTS; i++)
		line[i] = (struct iovec){ (void *)parts[i], strlen(parts[i]) };
	(void)pln_syscall3(SYS_writev, 2, (long)line, PARTS);
}

void pln_log(enum pln_log_level level, const char *what, const char *detail)
{
	struct pln_text from = { .size = 0 };

	if (!pln_log_is_on(level))
		return;
	pln_text_add(&from, "pillion[");
	pln_text_add_number(&from, (uint64_t)pln_getpid_sigsafe());
	pln_text_add(&from, "]: ");
	write_line((const char *const[]){ from.bytes, what, detail ? detail : "", "\n" });
}
