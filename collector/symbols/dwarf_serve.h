/* SPDX-License-Identifier: MIT */
/*
 * dwarf_serve.h - what the worker process runs.
 */
#ifndef PILLION_COLLECTOR_SYMBOLS_DWARF_SERVE_H
#define PILLION_COLLECTOR_SYMBOLS_DWARF_SERVE_H

#include "symbols/dwarf_worker.h"

/* Answers requests until the other end closes. Never returns. */
_Noreturn void pln_dwarf_serve(int socket, const struct pln_dwarf_source *source);

#endif
