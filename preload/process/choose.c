/* SPDX-License-Identifier: MIT */
/*
 * choose.c - PILLION_INCLUDE and PILLION_EXCLUDE: which processes are recorded.
 *
 * Context: constructor, of every program in the tree: without patterns nothing is looked at.
 * A pattern is held against the path of the executable, its base name, each argument, and
 * all of them in one line, so that "celery", "*manage.py" and "*celery*beat*" all work.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <string.h>

#include <pillion/syscall.h>

#include "log.h"
#include "options.h"
#include "process/process.h"

#define LINE_SIZE 4096

struct command {
	char executable[LINE_SIZE];
	char line[LINE_SIZE]; /* the arguments, with blanks between them, cut */
	char **argv;
};

static void read_command(struct command *c, char **argv)
{
	size_t used = 0;

	c->argv = argv;
	memset(c->executable, 0, sizeof(c->executable));
	(void)pln_syscall3(SYS_readlink, (long)"/proc/self/exe", (long)c->executable,
			   sizeof(c->executable) - 1);
	c->line[0] = '\0';
	for (; argv && *argv && used + strlen(*argv) + 2 <= sizeof(c->line); argv++) {
		if (used)
			c->line[used++] = ' ';
		strcpy(c->line + used, *argv);
		used += strlen(*argv);
	}
}

static bool matches(const struct command *c, const char *pattern)
{
	const char *slash = strrchr(c->executable, '/');

	if (!fnmatch(pattern, c->executable, 0) || !fnmatch(pattern, c->line, 0) ||
	    (slash && !fnmatch(pattern, slash + 1, 0)))
		return true;
	for (char **word = c->argv; word && *word; word++)
		if (!fnmatch(pattern, *word, 0))
			return true;
	return false;
}

/* `patterns`: with commas between them. The first that matches is in `one`. */
static bool matches_any(const struct command *c, const char *patterns, char one[PILLION_TEXT_MAX])
{
	while (*patterns) {
		size_t size = strcspn(patterns, ",");

		memcpy(one, patterns, size);
		one[size] = '\0';
		if (size && matches(c, one))
			return true;
		patterns += size + (patterns[size] == ',');
	}
	return false;
}

static bool is_chosen(const struct command *c)
{
	char pattern[PILLION_TEXT_MAX];

	if (pln_options.include[0] && !matches_any(c, pln_options.include, pattern)) {
		pln_log(PLN_LOG_DEBUG,
			"not sampling: nothing matches PILLION_INCLUDE=", pln_options.include);
		return false;
	}
	if (matches_any(c, pln_options.exclude, pattern)) {
		pln_log(PLN_LOG_DEBUG, "not sampling: it matches in PILLION_EXCLUDE: ", pattern);
		return false;
	}
	return true;
}

bool pln_process_is_chosen(char **argv)
{
	struct command command;
	int saved = errno;
	bool chosen;

	if (!pln_options.include[0] && !pln_options.exclude[0])
		return true;
	read_command(&command, argv);
	chosen = is_chosen(&command);
	errno = saved;
	return chosen;
}
