/* SPDX-License-Identifier: MIT */
/*
 * signals.c - the program does not meet our signal.
 *
 * Context: the program's own calls, in any context that they allow; the forwarding in our
 * handler. Programs reset all signals to their defaults (children between fork and exec,
 * daemons), look at all dispositions (CPython does at its start), or block all signals and
 * take whichever comes. With our timers running the first would kill them, and the last be
 * handed a signal that nobody sent. So what the program sets for our signal is only noted:
 * it reads that back, and its handler gets the signals that are not ours.
 */
#include "process/signals.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <time.h>
#include <ucontext.h>

#include <pillion/atomic.h>

#include "export.h"
#include "sampling/timer.h"
#include "segment.h"
#include "syscall.h"

typedef void (*handler_fn)(int);
typedef void (*receiver_fn)(int, siginfo_t *, void *);

/* A function that is interposed, found when it is first called: others' constructors may. */
#define REAL(name)                                                                                 \
	({                                                                                         \
		static _Atomic(void *) found;                                                      \
		if (!pln_load_relaxed(&found))                                                     \
			pln_store_relaxed(&found, dlsym(RTLD_NEXT, #name));                        \
		(__typeof__(&name))pln_load_relaxed(&found);                                       \
	})

/* What the program believes is installed. Its threads may race to set it, as they always may. */
static struct {
	_Atomic uintptr_t handler; /* SIG_DFL at first */
	_Atomic int flags;
	_Atomic uint64_t mask;
} program;

static bool is_hidden(int signo)
{
	return signo && signo == pln_timer_signal() && pln_segment_is_ours_sigsafe();
}

static bool has_handler(uintptr_t handler)
{
	return handler != (uintptr_t)SIG_DFL && handler != (uintptr_t)SIG_IGN;
}

int pln_signals_real_action(int signo, const struct sigaction *action, struct sigaction *old)
{
	return REAL(sigaction)(signo, action, old);
}

static int note_action(const struct sigaction *action, struct sigaction *old)
{
	struct sigaction before = { .sa_flags = pln_load_relaxed(&program.flags) };
	uint64_t mask = pln_load_relaxed(&program.mask);

	before.sa_handler = (handler_fn)pln_load_relaxed(&program.handler);
	__builtin_memcpy(&before.sa_mask, &mask, sizeof(mask));
	if (action) {
		__builtin_memcpy(&mask, &action->sa_mask, sizeof(mask));
		pln_store_relaxed(&program.mask, mask);
		pln_store_relaxed(&program.flags, action->sa_flags);
		pln_store_relaxed(&program.handler, (uintptr_t)action->sa_handler);
		/* Whether its signals interrupt system calls is the program's to say. */
		pln_timer_set_restart(!has_handler((uintptr_t)action->sa_handler) ||
				      action->sa_flags & SA_RESTART);
	}
	if (old)
		*old = before;
	return 0;
}

bool pln_signals_forward_sigsafe(int signo, siginfo_t *info, void *context)
{
	uintptr_t handler = pln_load_relaxed(&program.handler);
	receiver_fn receiver = (receiver_fn)handler;
	int flags = pln_load_relaxed(&program.flags);
	uint64_t mask = pln_load_relaxed(&program.mask), interrupted;

	if (!has_handler(handler))
		return false;
	if (flags & SA_RESETHAND)
		pln_store_relaxed(&program.handler, (uintptr_t)SIG_DFL);
	if (!(flags & SA_NODEFER))
		mask |= 1ull << (signo - 1);
	__builtin_memcpy(&interrupted, &((ucontext_t *)context)->uc_sigmask, sizeof(interrupted));
	mask |= interrupted;
	/* Undone by the return from the signal. */
	(void)pln_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, 0, sizeof(mask));
	/* One that takes the number alone does not see the others. */
	(*receiver)(signo, info, context);
	return true;
}

/* ------------------------------------------------------------ dispositions */

PLN_EXPORT int sigaction(int signo, const struct sigaction *action, struct sigaction *old)
{
	if (is_hidden(signo))
		return note_action(action, old);
	return pln_signals_real_action(signo, action, old);
}

PLN_EXPORT handler_fn signal(int signo, handler_fn handler)
{
	struct sigaction action = { .sa_flags = SA_RESTART }, old;

	if (!is_hidden(signo) || handler == SIG_ERR)
		return REAL(signal)(signo, handler);
	action.sa_handler = handler;
	(void)note_action(&action, &old);
	return old.sa_handler;
}

/* ------------------------------------------------------------------ waiting */

/* `set` without our signal; as it is when the program waits for nothing else. */
static const sigset_t *others(const sigset_t *set, sigset_t *copy)
{
	int signo = pln_timer_signal();

	if (!set || !signo || sigismember(set, signo) != 1 || !pln_segment_is_ours_sigsafe())
		return set;
	*copy = *set;
	sigdelset(copy, signo);
	return sigisemptyset(copy) ? set : copy;
}

PLN_EXPORT int sigwait(const sigset_t *set, int *signo)
{
	sigset_t copy;

	return REAL(sigwait)(others(set, &copy), signo);
}

PLN_EXPORT int sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
	sigset_t copy;

	return REAL(sigwaitinfo)(others(set, &copy), info);
}

PLN_EXPORT int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
	sigset_t copy;

	return REAL(sigtimedwait)(others(set, &copy), info, timeout);
}

PLN_EXPORT int signalfd(int fd, const sigset_t *set, int flags)
{
	sigset_t copy;

	return REAL(signalfd)(fd, others(set, &copy), flags);
}
