/* SPDX-License-Identifier: MIT */
/*
 * terminal.c - one-line messages, and what a stream can show.
 */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "report/names.h"

const char *const pln_color_choices[] = { "auto", "always", "never", NULL };

void pln_cli_message(const char *format, ...)
{
	char *text = NULL, *printable = NULL;
	va_list args;
	int size;

	va_start(args, format);
	size = vasprintf(&text, format, args);
	va_end(args);
	/* Names out of a profile may have what a terminal obeys. */
	if (size >= 0)
		printable = pln_printable(text);
	/* At once, so that no other writer gets in between. */
	fprintf(stderr, "pillion: %s\n", printable ? printable : strerror(ENOMEM));
	free(printable);
	if (size >= 0)
		free(text);
}

int pln_cli_cannot_print(int err)
{
	pln_cli_message("cannot write to stdout: %s; send it to another place", strerror(-err));
	return PLN_EXIT_FAILURE;
}

int pln_cli_end_output(void)
{
	errno = 0;
	if (!fflush(stdout) && !ferror(stdout))
		return PLN_EXIT_OK;
	return pln_cli_cannot_print(-(errno ? errno : EIO));
}

static bool is_set(const char *name)
{
	const char *value = getenv(name);

	return value && *value;
}

bool pln_cli_use_color(FILE *stream, enum pln_color when)
{
	const char *term = getenv("TERM");
	const char *force = getenv("CLICOLOR_FORCE");

	if (when != PLN_COLOR_AUTO)
		return when == PLN_COLOR_ALWAYS;
	if (is_set("NO_COLOR"))
		return false;
	if (is_set("FORCE_COLOR") || (force && *force && strcmp(force, "0")))
		return true;
	return isatty(fileno(stream)) && term && strcmp(term, "dumb");
}

unsigned pln_cli_width(FILE *stream, unsigned otherwise)
{
	struct winsize size;

	if (ioctl(fileno(stream), TIOCGWINSZ, &size) || !size.ws_col)
		return otherwise;
	return size.ws_col;
}
