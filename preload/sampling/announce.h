/* SPDX-License-Identifier: MIT */
/*
 * announce.h - records of the control lane: what the collector must know besides samples.
 */
#ifndef PILLION_PRELOAD_ANNOUNCE_H
#define PILLION_PRELOAD_ANNOUNCE_H

#include "python/python.h"
#include "sampling/threads.h"

/* The sampling thread only, or who finds that there is none. All are kept small: the lane holds
 * thousands of them. */
void pln_announce_thread(const struct pln_thread *thread, uint16_t type);
void pln_announce_interpreter(const struct pln_wire_interpreter *interpreter);
void pln_announce_note(uint32_t level, const char *text);

/* Modules that came or went since the last call. `tables`: builds those that walks asked for. */
void pln_announce_modules(bool tables);

#endif
