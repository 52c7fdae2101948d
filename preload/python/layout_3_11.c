/* SPDX-License-Identifier: MIT */
/*
 * layout_3_11.c - CPython 3.11: frames lie in the data stack of their thread, several
 * per C eval call; the _PyCFrame on the C stack leads to the innermost one, is_entry
 * marks the outermost one.
 *
 * From Include/internal/pycore_runtime.h, pycore_interp.h, pycore_frame.h and
 * Include/cpython/pystate.h, code.h of 3.11.2 and 3.11.7.
 */
#include <pillion/wire.h>

#include "layout.h"

const struct pln_layout pln_layout_3_11 = {
	.name = "3.11",
	.version = 0x030b,
	.linetable_kind = PILLION_LINETABLE_LOCATIONS,
	.runtime = {
		.initialized = 16,
		.finalizing = 24,
		.interp_head = 40,
		.interp_main = 48,
		.main_thread = 80,
		.tss_key = 592,
		.gil = 360,
		.current = 576,
		.calls_refused = PLN_ABSENT,
	},
	.interp = { .next = 0, .threads = 16, .gil = PLN_ABSENT },
	.thread = {
		.size = 360,
		.next = 8,
		.interp = 16,
		.frame = PLN_ABSENT,
		.cframe = 56,
		.root_cframe = 336,
		.base_frame = PLN_ABSENT,
		.thread_id = 152,
		.native_id = 160,
		.chunk = 296,
		.chunk_top = 304,
		.status = PLN_ABSENT,
		.holds_gil = PLN_ABSENT,
	},
	.cframe = { .frame = 8, .previous = 16 },
	.frame = {
		.size = 72,
		.previous = 48,
		.code = 32,
		.instr = 56,
		.instr_unit = PLN_ABSENT,
		.owner = 69,
		.is_entry = 68,
		.tlbc_index = PLN_ABSENT,
	},
	.code = {
		.size = 184,
		.filename = 112,
		.name = 128,
		.linetable = 136,
		.first_line = 72,
		.body = 16,
		.bytecode = 184,
		.first_traceable = 168,
		.tlbc = PLN_ABSENT,
	},
	.object = {
		.type = 8,
		.str_length = 16,
		.str_state = 32,
		.str_kind_shift = 2,
		.str_ascii = 48,
		.str_compact = 72,
		.bytes_size = 16,
		.bytes_data = 32,
	},
	.gil = { .size = 208, .enabled = PLN_ABSENT, .last_holder = 8, .locked = 16 },
};
