/* SPDX-License-Identifier: MIT */
/*
 * log.h - lines on stderr, only when PILLION_LOG asks for them.
 */
#ifndef PILLION_PRELOAD_LOG_H
#define PILLION_PRELOAD_LOG_H

#include <stdbool.h>

enum pln_log_level {
	PLN_LOG_SILENT = 0,
	PLN_LOG_ERROR = 1,
	PLN_LOG_INFO = 2,
	PLN_LOG_DEBUG = 3,
};

/*
 * "error", "info" or "debug"; "", 0, no, off and false are silent. False: it is another word. Who
 * sets it wants to hear something, and gets errors.
 */
bool pln_log_set_level(const char *name);

bool pln_log_is_on(enum pln_log_level level);

/* One line "pillion[pid]: <what><detail>". Async-signal-safe; never called from the handler all the
 * same. */
void pln_log(enum pln_log_level level, const char *what, const char *detail);

#endif
