/* SPDX-License-Identifier: MIT */
/*
 * signals.h - the program's view of the signal that samples use.
 */
#ifndef PILLION_PRELOAD_SIGNALS_H
#define PILLION_PRELOAD_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/* The kernel's disposition, not what the program is told. */
int pln_signals_real_action(int signo, const struct sigaction *action, struct sigaction *old);

/*
 * Where this process is not sampled, and will not be: the kernel has what the program believes that
 * it has. No timer is armed.
 */
void pln_signals_give_back(void);

/*
 * Context: our handler, as its last act. A signal that is not ours goes to the handler that
 * the program has set, which may not return. False: it has none.
 */
bool pln_signals_forward_sigsafe(int signo, siginfo_t *info, void *context);

#endif
