/* SPDX-License-Identifier: MIT */
/*
 * code.h - the instructions of a piece of an ELF file.
 */
#ifndef PILLION_COLLECTOR_CODE_H
#define PILLION_COLLECTOR_CODE_H

#include "annotate/annotate.h"
#include "stacks/intern.h"
#include "symbols/symbols.h"

/*
 * Decodes [start, end) of the place's module into its instructions. Returns 0, or -errno: -ESTALE
 * when the file is not the one that ran, -ENOTSUP when this build decodes nothing.
 */
int pln_code_decode(struct pln_code_place *place, enum pln_syntax syntax, struct pln_intern *texts,
		    struct pln_symbolizer *symbolizer, struct pln_symbol_file *file);

/* Why not, for the user. */
const char *pln_code_error_text(int error);

/* The table's own copy of a text, or NULL. */
const char *pln_code_text(struct pln_intern *texts, const char *text);

#endif
