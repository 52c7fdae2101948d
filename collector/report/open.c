/* SPDX-License-Identifier: MIT */
/*
 * open.c - opens a profile for the user, and says in one line why it cannot.
 */
#include "report/report.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

/* What to do about an errno of opening. */
static const char *advice(int error)
{
	switch (error) {
	case ENOENT:
		return "; `pillion record -- COMMAND` makes one";
	case EACCES:
	case EPERM:
		return "; read it as its owner, or let them allow it with chmod";
	case EISDIR:
		return "; name a .pillion file in it";
	case EMFILE:
		return "; allow more open files with ulimit -n";
	default:
		return "";
	}
}

/* A device or a pipe keeps nothing, and cannot be read twice. */
static bool is_special(const char *path)
{
	struct stat st;

	return !stat(path, &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

static void explain(int err, int saved_errno, const char *path)
{
	if (err != PLN_OPEN_MEMORY && is_special(path)) {
		pln_cli_message("%s: not a file; give the .pillion file that `pillion record` "
				"wrote",
				path);
		return;
	}
	switch (err) {
	case PLN_OPEN_FOREIGN:
		pln_cli_message("%s: not a Pillion profile; give the .pillion file that `pillion "
				"record` wrote",
				path);
		break;
	case PLN_OPEN_NEWER:
		pln_cli_message(
			"%s: written by a newer Pillion, in a format that this one does not "
			"know; read it with that version",
			path);
		break;
	case PLN_OPEN_EMPTY:
		pln_cli_message(
			"%s: cut before anything whole was in it; nothing can be recovered, "
			"record again",
			path);
		break;
	case PLN_OPEN_MEMORY:
		pln_cli_message("%s: not enough memory to read it", path);
		break;
	default:
		pln_cli_message("%s: cannot read: %s%s", path, strerror(saved_errno),
				advice(saved_errno));
	}
}

struct pln_profile *pln_report_open(const char *path, bool no_symbolize, char *path_buffer,
				    size_t path_size)
{
	struct pln_profile *profile = NULL;
	int err;

	if (path) {
		if ((size_t)snprintf(path_buffer, path_size, "%s", path) >= path_size) {
			pln_cli_message("%s: %s", path, strerror(ENAMETOOLONG));
			return NULL;
		}
	} else if (pln_cli_newest_profile(path_buffer, path_size)) {
		pln_cli_message("no *.pillion file in this directory; name one, or make one with "
				"`pillion record -- COMMAND`");
		return NULL;
	} else {
		pln_cli_message("reading %s, the newest profile here", path_buffer);
	}
	errno = 0;
	err = pln_profile_open(&profile, path_buffer, no_symbolize);
	if (err == PLN_OPEN_OK)
		return profile;
	explain(err, errno, path_buffer);
	return NULL;
}

/* Behind a pipe there is no width to ask for; $COLUMNS is what the user wishes. */
static unsigned width_without_terminal(void)
{
	const char *columns = getenv("COLUMNS");
	unsigned long width = columns ? strtoul(columns, NULL, 10) : 0;

	return width >= 40 && width <= 1000 ? (unsigned)width : 100;
}

struct pln_screen pln_report_screen(unsigned color)
{
	bool terminal = isatty(STDOUT_FILENO);

	setlocale(LC_CTYPE, "");
	return (struct pln_screen){
		.out = stdout,
		.width = pln_cli_width(stdout, width_without_terminal()),
		.color = pln_cli_use_color(stdout, color),
		.utf8 = terminal && !strcmp(nl_langinfo(CODESET), "UTF-8"),
	};
}
