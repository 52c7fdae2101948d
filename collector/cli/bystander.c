/* SPDX-License-Identifier: MIT */
/*
 * bystander.c - see bystander.h.
 *
 * Its word may come before our signal or after it. A signal whose word is not there yet waits,
 * and nothing else does: who sends us one every few milliseconds must neither keep us from
 * draining the targets nor from seeing that the command has ended.
 */
#include "cli/bystander.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <pillion/kernel_clock.h>

#define NAME "bystander"
#define PATIENCE_NS 50000000ull /* between our signal and its word */
#define STALE_NS 1000000000ull /* what it got before was about something else */

struct word {
	int signo;
	uint64_t time_ns;
};

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
		word.time_ns = pln_kernel_clock_ns(CLOCK_MONOTONIC);
		if (word.signo > 0 && write(fd, &word, sizeof(word)) != sizeof(word))
			_exit(0);
	}
}

void pln_bystander_start(struct pln_bystander *b, char *arguments, size_t size)
{
	pid_t parent = getpid();
	sigset_t all, old;
	int told[2];

	*b = (struct pln_bystander){ .words.fd = -1, .timer.fd = -1 };
	if (pipe2(told, O_CLOEXEC | O_NONBLOCK))
		return;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	b->pid = fork();
	if (!b->pid)
		stand_by(told[1], parent, arguments, size);
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(told[1]);
	b->words.fd = told[0];
	if (b->pid < 0)
		pln_bystander_stop(b);
}

/* ------------------------------------------------------------------ listening */

/* For the oldest of those that wait. */
static void arm_timer(const struct pln_bystander *b)
{
	uint64_t due_ns = b->asked_count ? b->asked[0].time_ns + PATIENCE_NS : 0;
	struct itimerspec spec = { .it_value = { (time_t)(due_ns / 1000000000u),
						 (long)(due_ns % 1000000000u) } };

	(void)timerfd_settime(b->timer.fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void forget(struct pln_bystander *b, unsigned index)
{
	b->asked_count--;
	memmove(&b->asked[index], &b->asked[index + 1],
		(b->asked_count - index) * sizeof(*b->asked));
	arm_timer(b);
}

/* Everybody around us got it, too: of those that wait it means the oldest. */
static void hear(struct pln_bystander *b, const struct word *word)
{
	for (unsigned i = 0; i < b->asked_count; i++) {
		if (b->asked[i].signo == word->signo) {
			forget(b, i);
			return;
		}
	}
	b->seen_ns[word->signo] = word->time_ns;
}

static void decide_oldest(struct pln_bystander *b)
{
	int signo = b->asked[0].signo;

	forget(b, 0);
	b->alone(signo, b->arg);
}

static void stop_listening(struct pln_bystander *b)
{
	if (b->loop) {
		pln_loop_remove(b->loop, &b->words);
		pln_loop_remove(b->loop, &b->timer);
	}
	b->loop = NULL;
}

static void on_words(struct pln_watch *watch)
{
	struct pln_bystander *b = pln_watch_owner(watch, struct pln_bystander, words);
	struct word word;
	ssize_t n;

	while ((n = read(watch->fd, &word, sizeof(word))) == sizeof(word))
		if (word.signo > 0 && word.signo < PLN_SIGNALS)
			hear(b, &word);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* An end of the pipe: it is gone, and says nothing of what we ask. */
	stop_listening(b);
	while (b->asked_count)
		decide_oldest(b);
}

static void on_overdue(struct pln_watch *watch)
{
	struct pln_bystander *b = pln_watch_owner(watch, struct pln_bystander, timer);
	uint64_t expired, now = pln_kernel_clock_ns(CLOCK_MONOTONIC);

	(void)!read(watch->fd, &expired, sizeof(expired));
	/* Its word may have come since, while we were busy with something else. */
	on_words(&b->words);
	while (b->asked_count && b->asked[0].time_ns + PATIENCE_NS <= now)
		decide_oldest(b);
}

int pln_bystander_listen(struct pln_bystander *b, struct pln_loop *loop,
			 void (*alone)(int signo, void *arg), void *arg)
{
	int error;

	b->alone = alone;
	b->arg = arg;
	if (b->pid <= 0)
		return 0;
	b->words.ready = on_words;
	b->timer = (struct pln_watch){ timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
				       on_overdue };
	if (b->timer.fd < 0)
		return -errno;
	error = pln_loop_add(loop, &b->words);
	if (!error)
		error = pln_loop_add(loop, &b->timer);
	if (!error)
		b->loop = loop;
	return error;
}

void pln_bystander_ask(struct pln_bystander *b, int signo)
{
	uint64_t now = pln_kernel_clock_ns(CLOCK_MONOTONIC), seen_ns = b->seen_ns[signo];

	b->seen_ns[signo] = 0;
	if (seen_ns && now - seen_ns < STALE_NS)
		return;
	if (!b->loop) {
		b->alone(signo, b->arg);
		return;
	}
	if (b->asked_count == PLN_SIGNALS_ASKED)
		decide_oldest(b);
	b->asked[b->asked_count++] = (struct pln_asked){ signo, now };
	if (b->asked_count == 1)
		arm_timer(b);
}

void pln_bystander_stop(struct pln_bystander *b)
{
	stop_listening(b);
	if (b->pid > 0) {
		kill(b->pid, SIGKILL);
		while (waitpid(b->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (b->words.fd >= 0)
		close(b->words.fd);
	if (b->timer.fd >= 0)
		close(b->timer.fd);
	b->pid = 0;
	b->words.fd = b->timer.fd = -1;
}
