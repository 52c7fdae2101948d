/* SPDX-License-Identifier: MIT */
/*
 * handler.h - the signal handler: one sample of the thread that it runs on.
 */
#ifndef PILLION_PRELOAD_HANDLER_H
#define PILLION_PRELOAD_HANDLER_H

#include <signal.h>

void pln_handler_on_signal(int signo, siginfo_t *info, void *context);

#endif
