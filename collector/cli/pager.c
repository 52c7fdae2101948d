/* SPDX-License-Identifier: MIT */
/*
 * pager.c - see pager.h.
 */
#include "cli/pager.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHELL_FOUND_NONE 127

/* NULL: none. */
static const char *pager_command(void)
{
	const char *command = getenv("PILLION_PAGER");

	if (!command)
		command = getenv("PAGER");
	if (!command)
		command = "less -FRX";
	return *command ? command : NULL;
}

/* Lines of the terminal that stdout is; 0: it is none, or one that cannot page. */
static unsigned screen_lines(void)
{
	const char *term = getenv("TERM");
	struct winsize size;

	if (!isatty(STDOUT_FILENO) || !term || !strcmp(term, "dumb") ||
	    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		return 0;
	return size.ws_row;
}

void pln_pager_open(struct pln_pager *pager, bool wanted)
{
	memset(pager, 0, sizeof(*pager));
	if (wanted && screen_lines() && pager_command())
		pager->out = open_memstream(&pager->text, &pager->size);
	if (!pager->out)
		pager->out = stdout;
}

static size_t count_lines(const struct pln_pager *pager)
{
	size_t lines = 0;

	for (size_t i = 0; i < pager->size; i++)
		lines += pager->text[i] == '\n';
	return lines;
}

/* Returns false when there is no such pager. */
static bool page(const struct pln_pager *pager)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, interrupt, broken_pipe;
	FILE *to;
	int status;

	/* One that is given without options should show colours and end with the text. */
	setenv("LESS", "FRX", 0);
	to = popen(pager_command(), "w");
	if (!to)
		return false;
	/* It is the pager that an interrupt is for, and it may be left before the end. */
	sigaction(SIGINT, &ignore, &interrupt);
	sigaction(SIGPIPE, &ignore, &broken_pipe);
	fwrite(pager->text, 1, pager->size, to);
	status = pclose(to);
	sigaction(SIGINT, &interrupt, NULL);
	sigaction(SIGPIPE, &broken_pipe, NULL);
	return !(WIFEXITED(status) && WEXITSTATUS(status) == SHELL_FOUND_NONE);
}

static int flush_stdout(void)
{
	errno = 0;
	return fflush(stdout) || ferror(stdout) ? -(errno ? errno : EIO) : 0;
}

int pln_pager_close(struct pln_pager *pager)
{
	int err;

	if (pager->out == stdout)
		return flush_stdout();
	err = fclose(pager->out) ? -ENOMEM : 0;
	/* The prompt takes a line, too. */
	if (!err && (count_lines(pager) < screen_lines() || !page(pager))) {
		fwrite(pager->text, 1, pager->size, stdout);
		err = flush_stdout();
	}
	free(pager->text);
	return err;
}
