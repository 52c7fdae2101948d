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

#include "options.h"
#include "process/process.h"
#include "syscall.h"

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

/* `patterns`: with commas between them. */
static bool matches_any(const struct command *c, const char *patterns)
{
	char one[PLN_OPTION_TEXT_MAX];

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

bool pln_process_is_chosen(char **argv)
{
	struct command command;
	int saved = errno;
	bool chosen;

	if (!pln_options.include[0] && !pln_options.exclude[0])
		return true;
	read_command(&command, argv);
	chosen = (!pln_options.include[0] || matches_any(&command, pln_options.include)) &&
		 !matches_any(&command, pln_options.exclude);
	errno = saved;
	return chosen;
}
