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

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <time.h>
#include <ucontext.h>

#include <pillion/atomic.h>
#include <pillion/syscall.h>

#include "export.h"
#include "next.h"
#include "sampling/timer.h"
#include "segment.h"

typedef void (*handler_fn)(int);
typedef void (*receiver_fn)(int, siginfo_t *, void *);

/* What the program believes is installed. Its threads may race to set it, as they always may. */
static struct {
	_Atomic uintptr_t handler; /* SIG_DFL at first */
	_Atomic int flags;
	_Atomic uint64_t mask;
} program;

/* Signals for whose handlers our signal is masked unasked, so that the program does not see it. */
static _Atomic bool masked[_NSIG];

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
	return PLN_NEXT(sigaction)(signo, action, old);
}

static struct sigaction noted_action(void)
{
	struct sigaction noted = { .sa_flags = pln_load_relaxed(&program.flags) };
	uint64_t mask = pln_load_relaxed(&program.mask);

	noted.sa_handler = (handler_fn)pln_load_relaxed(&program.handler);
	__builtin_memcpy(&noted.sa_mask, &mask, sizeof(mask));
	return noted;
}

void pln_signals_give_back(void)
{
	struct sigaction noted = noted_action();

	if (!pln_segment_is_ours_sigsafe() && pln_timer_handler_is_ours())
		(void)pln_signals_real_action(pln_timer_signal(), &noted, NULL);
}

static int note_action(const struct sigaction *action, struct sigaction *old)
{
	struct sigaction before = noted_action();
	uint64_t mask;

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

/*
 * Who jumps out of a handler with SA_NODEFER need not restore the mask: our signal would stay
 * blocked.
 */
static bool needs_its_stack(const struct sigaction *action)
{
	return action && (action->sa_flags & SA_ONSTACK) && !(action->sa_flags & SA_NODEFER) &&
	       has_handler((uintptr_t)action->sa_handler) && pln_segment_is_ours_sigsafe() &&
	       sigismember(&action->sa_mask, pln_timer_signal()) == 0;
}

/*
 * An alternate stack may be hardly larger than the kernel's frame of one signal. A sample in
 * the handler that runs there takes a second one, and the kernel ends the program where it
 * does not fit. So our signal waits until such a handler returns.
 */
static int set_action(int signo, const struct sigaction *action, struct sigaction *old)
{
	struct sigaction copy;
	bool mask = needs_its_stack(action);
	int result;

	if (mask) {
		copy = *action;
		sigaddset(&copy.sa_mask, pln_timer_signal());
	}
	result = pln_signals_real_action(signo, mask ? &copy : action, old);
	/* Else the number is in range. */
	if (result)
		return result;
	if (old && pln_load_relaxed(&masked[signo]))
		sigdelset(&old->sa_mask, pln_timer_signal());
	if (action)
		pln_store_relaxed(&masked[signo], mask);
	return 0;
}

PLN_EXPORT int sigaction(int signo, const struct sigaction *action, struct sigaction *old)
{
	if (is_hidden(signo))
		return note_action(action, old);
	return set_action(signo, action, old);
}

PLN_EXPORT handler_fn signal(int signo, handler_fn handler)
{
	struct sigaction action = { .sa_flags = SA_RESTART }, old;

	if (!is_hidden(signo) || handler == SIG_ERR)
		return PLN_NEXT(signal)(signo, handler);
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

	return PLN_NEXT(sigwait)(others(set, &copy), signo);
}

PLN_EXPORT int sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
	sigset_t copy;

	return PLN_NEXT(sigwaitinfo)(others(set, &copy), info);
}

PLN_EXPORT int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
	sigset_t copy;

	return PLN_NEXT(sigtimedwait)(others(set, &copy), info, timeout);
}

PLN_EXPORT int signalfd(int fd, const sigset_t *set, int flags)
{
	sigset_t copy;

	return PLN_NEXT(signalfd)(fd, others(set, &copy), flags);
}

/*
 * `mask` with our signal: one that a thread had blocked would come as the wait begins, and end it.
 * Left alone where the program has a handler for what others send.
 */
static const sigset_t *without_ours(const sigset_t *mask, sigset_t *copy)
{
	if (!mask || !pln_timer_signal() || !pln_segment_is_ours_sigsafe() ||
	    has_handler(pln_load_relaxed(&program.handler)))
		return mask;
	*copy = *mask;
	sigaddset(copy, pln_timer_signal());
	return copy;
}

PLN_EXPORT int sigsuspend(const sigset_t *mask)
{
	sigset_t copy;

	return PLN_NEXT(sigsuspend)(without_ours(mask, &copy));
}

PLN_EXPORT int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		     const sigset_t *mask)
{
	sigset_t copy;

	return PLN_NEXT(ppoll)(fds, count, timeout, without_ours(mask, &copy));
}

PLN_EXPORT int pselect(int count, fd_set *in, fd_set *out, fd_set *other,
		       const struct timespec *timeout, const sigset_t *mask)
{
	sigset_t copy;

	return PLN_NEXT(pselect)(count, in, out, other, timeout, without_ours(mask, &copy));
}

PLN_EXPORT int epoll_pwait(int fd, struct epoll_event *events, int count, int timeout,
			   const sigset_t *mask)
{
	sigset_t copy;

	return PLN_NEXT(epoll_pwait)(fd, events, count, timeout, without_ours(mask, &copy));
}

/* What waits for a thread that blocks it is ours, all but for certain. */
PLN_EXPORT int sigpending(sigset_t *set)
{
	int result = PLN_NEXT(sigpending)(set);

	if (!result && pln_timer_signal() && pln_segment_is_ours_sigsafe() &&
	    !has_handler(pln_load_relaxed(&program.handler)))
		sigdelset(set, pln_timer_signal());
	return result;
}
