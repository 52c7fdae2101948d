/* SPDX-License-Identifier: MIT */
/*
 * instruction.h - which instruction a frame is at, from what CPython keeps of it, and whether the
 * frame is to be shown.
 */
#ifndef PILLION_PRELOAD_INSTRUCTION_H
#define PILLION_PRELOAD_INSTRUCTION_H

#include <stdbool.h>
#include <stdint.h>

#include <pillion/wire.h>

#include "python/layout.h"

enum pln_frame_verdict {
	PLN_FRAME_KEEP,
	PLN_FRAME_SKIP, /* still being set up: Python itself would not show it */
	PLN_FRAME_REFUSE, /* makes no sense: nothing behind it can be believed */
};

/* Up to 3.10: an index, in the layout's units. */
static inline uint32_t pln_instruction_of_index(const struct pln_layout *l, int64_t index)
{
	return index < 0 ? PILLION_NO_INSTR : (uint32_t)index * l->frame.instr_unit;
}

/*
 * From 3.11 on: a pointer, here as its distance from the bytecode, of `size` bytes. It starts one
 * unit before the bytecode (3.11, 3.12) or at its start; before `first`, the first traceable
 * instruction, the frame is still being set up. Generators are shown from their creation on.
 */
static inline enum pln_frame_verdict pln_instruction_of_pointer(int64_t offset, int64_t size,
								int64_t first, bool generator,
								uint32_t *instr)
{
	if (offset < -2 || offset >= size)
		return PLN_FRAME_REFUSE;
	if (!generator && offset < first)
		return PLN_FRAME_SKIP;
	*instr = offset < 0 ? PILLION_NO_INSTR : (uint32_t)offset;
	return PLN_FRAME_KEEP;
}

#endif
