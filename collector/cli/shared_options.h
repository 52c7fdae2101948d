/* SPDX-License-Identifier: MIT */
/*
 * shared_options.h - options that several verbs have, as rows of their tables: they mean the
 * same everywhere, and have the same words. `to` is as struct pln_option has it.
 */
#ifndef PILLION_COLLECTOR_CLI_SHARED_OPTIONS_H
#define PILLION_COLLECTOR_CLI_SHARED_OPTIONS_H

#include "cli/cli.h"

/* clang-format off */
#define PLN_OPTION_THREADS_SAYING(to_, help_)                                                      \
	{ .type = PLN_OPTION_TEXT, .name = "thread", .letter = 't', .metavar = "NAME|TID",         \
	  .help = help_, .to = (to_) }
#define PLN_OPTION_THREADS(to_)                                                                    \
	PLN_OPTION_THREADS_SAYING(to_,                                                             \
		"only these threads: parts of the names of threads or of what they run, or "       \
		"numbers; comma-separated")
/* Where the help has no room for more. */
#define PLN_OPTION_THREADS_IN_SHORT(to_)                                                           \
	PLN_OPTION_THREADS_SAYING(to_, "only these threads, as report has it")
#define PLN_OPTION_PROCESSES(to_)                                                                  \
	{ .type = PLN_OPTION_TEXT, .name = "process", .letter = 'p', .metavar = "NAME|PID",        \
	  .help = "only these processes: parts of commands, or numbers", .to = (to_) }
#define PLN_OPTION_COLOR(to_)                                                                      \
	{ .type = PLN_OPTION_CHOICE, .name = "color", .rare = true, .metavar = "WHEN",             \
	  .help = "auto (default), always or never", .to = (to_), .choices = pln_color_choices }
#define PLN_OPTION_PAGER(to_)                                                                      \
	{ .type = PLN_OPTION_NO, .name = "no-pager", .rare = true,                                 \
	  .help = "write to the terminal itself, however long it gets", .to = (to_) }
#define PLN_OPTION_NO_SYMBOLIZE(to_)                                                               \
	{ .type = PLN_OPTION_FLAG, .name = "no-symbolize", .rare = true,                           \
	  .help = "do not look for symbols that the profile lacks", .to = (to_) }
#define PLN_OPTION_OUTPUT(to_)                                                                     \
	{ .type = PLN_OPTION_TEXT, .name = "output", .letter = 'o', .metavar = "OUT",              \
	  .help = "where it goes, - for stdout; default: next to the profile, named after it",     \
	  .to = (to_) }
#define PLN_OPTION_FORCE(to_)                                                                      \
	{ .type = PLN_OPTION_FLAG, .name = "force",                                                \
	  .help = "replace the output when it is there already", .to = (to_) }
#define PLN_OPTION_ROWS(to_)                                                                       \
	{ .type = PLN_OPTION_NUMBER, .name = "limit", .letter = 'n', .metavar = "N",               \
	  .help = "rows of each table (default 10), 0: all", .to = (to_), .max = UINT32_MAX }
/* clang-format on */

#endif
