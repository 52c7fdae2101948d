/* SPDX-License-Identifier: MIT */
/*
 * log.c - one write(2) per line, no stdio, no allocation.
 */
#include "log.h"

#include <stdint.h>
#include <string.h>

#include "syscall.h"
#include "text.h"

static enum pln_log_level level_now;

void pln_log_set_level(const char *name)
{
	static const char *const names[] = { "", "error", "info", "debug" };

	level_now = PLN_LOG_SILENT;
	for (unsigned i = 1; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(name, names[i]))
			level_now = (enum pln_log_level)i;
}

void pln_log(enum pln_log_level level, const char *what, const char *detail)
{
	struct pln_text line = { .size = 0 };

	if (level > level_now || level == PLN_LOG_SILENT)
		return;
	pln_text_add(&line, "pillion[");
	pln_text_add_number(&line, (uint64_t)pln_getpid_sigsafe());
	pln_text_add(&line, "]: ");
	pln_text_add(&line, what);
	pln_text_add(&line, detail ? detail : "");
	pln_text_add(&line, "\n");
	(void)pln_syscall3(SYS_write, 2, (long)line.bytes, (long)line.size);
}
