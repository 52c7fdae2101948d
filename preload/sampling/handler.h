/* SPDX-License-Identifier: MIT */
/*
 * handler.h - the signal handler: one sample of the thread that it runs on.
 */
#ifndef PILLION_PRELOAD_HANDLER_H
#define PILLION_PRELOAD_HANDLER_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "sampling/stack_bounds.h"

/* Whether the calling thread has room for a walk on the stack that it runs on. */
bool pln_handler_has_room_sigsafe(const stack_t *alternate);

/*
 * The stack to walk from `sp`, of the calling thread: itself where it is sure to stay mapped, else
 * a copy, which is returned to be given back.
 */
struct pln_stack_copy *pln_handler_take_stack_sigsafe(uintptr_t sp, struct pln_stack *stack,
						      uint32_t *flags);

void pln_handler_on_signal(int signo, siginfo_t *info, void *context);

#endif
