/* SPDX-License-Identifier: MIT */
/*
 * linetable.h - from an instruction in a code object to its line.
 */
#ifndef PILLION_COLLECTOR_LINETABLE_H
#define PILLION_COLLECTOR_LINETABLE_H

#include <stddef.h>
#include <stdint.h>

/*
 * The line of the instruction at byte offset `instr` of a code object whose table is
 * of `kind` (enum pln_linetable). 0: the table gives it none, or does not reach it.
 * PILLION_NO_INSTR (the frame has not started yet): first_line.
 */
uint32_t pln_linetable_line(uint8_t kind, const uint8_t *table, size_t size, uint32_t first_line,
			    uint32_t instr);

#endif
