/* SPDX-License-Identifier: MIT */
/*
 * bystander.c - see bystander.h.
 */
#include "cli/bystander.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NAME "bystander"
#define PATIENCE_MS 50 /* between our signal and its word */
#define STALE_NS 1000000000ull /* what it got before was about something else */

struct word {
	int signo;
	uint64_t time_ns;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Holds nothing of the command's: a pipe's reader would wait for us. Returns the new `fd`. */
static int keep_only(int fd)
{
	if (dup2(fd, 0) < 0)
		_exit(1);
	/* Before Linux 5.9 those that there commonly are. */
	if (syscall(SYS_close_range, 1u, ~0u, 0u))
		for (int other = 1; other < 256; other++)
			close(other);
	return 0;
}

/* In the child, with all signals blocked. Those to stop and to kill are not told. */
static _Noreturn void stand_by(int fd, pid_t parent, char *arguments, size_t size)
{
	struct word word;
	sigset_t all;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	prctl(PR_SET_NAME, NAME);
	memset(arguments, 0, size);
	memcpy(arguments, NAME, size < sizeof(NAME) ? 0 : sizeof(NAME));
	fd = keep_only(fd);
	sigfillset(&all);
	for (;;) {
		word.signo = sigwaitinfo(&all, NULL);
		word.time_ns = now_ns();
		if (word.signo > 0 && write(fd, &word, sizeof(word)) != sizeof(word))
			_exit(0);
	}
}

void pln_bystander_start(struct pln_bystander *b, char *arguments, size_t size)
{
	pid_t parent = getpid();
	sigset_t all, old;
	int told[2];

	*b = (struct pln_bystander){ .fd = -1 };
	if (pipe2(told, O_CLOEXEC | O_NONBLOCK))
		return;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	b->pid = fork();
	if (!b->pid)
		stand_by(told[1], parent, arguments, size);
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(told[1]);
	b->fd = told[0];
	if (b->pid < 0)
		pln_bystander_stop(b);
}

static void listen_to(struct pln_bystander *b)
{
	struct word word;

	while (read(b->fd, &word, sizeof(word)) == sizeof(word))
		if (word.signo > 0 && word.signo < PLN_SIGNALS)
			b->seen_ns[word.signo] = word.time_ns;
}

bool pln_bystander_saw(struct pln_bystander *b, int signo)
{
	uint64_t until_ns = now_ns() + PATIENCE_MS * 1000000ull, now = 0;

	while (b->pid > 0 && now < until_ns) {
		struct pollfd word = { .fd = b->fd, .events = POLLIN };

		listen_to(b);
		now = now_ns();
		if (b->seen_ns[signo] && now - b->seen_ns[signo] < STALE_NS) {
			b->seen_ns[signo] = 0;
			return true;
		}
		/* An end of the pipe: it is gone. */
		if (poll(&word, 1, PATIENCE_MS) > 0 && !(word.revents & POLLIN))
			return false;
		now = now_ns();
	}
	return false;
}

void pln_bystander_stop(struct pln_bystander *b)
{
	if (b->pid > 0) {
		kill(b->pid, SIGKILL);
		while (waitpid(b->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (b->fd >= 0)
		close(b->fd);
	b->pid = 0;
	b->fd = -1;
}
