/* SPDX-License-Identifier: MIT */
/*
 * layout_3_12.c - CPython 3.12: as 3.11, but the outermost frame of a C eval call is
 * a shim frame on the C stack, and each interpreter may have a GIL of its own.
 *
 * From Include/internal/pycore_runtime.h, pycore_interp.h, pycore_frame.h and
 * Include/cpython/pystate.h, code.h of 3.12.1.
 */
#include <pillion/wire.h>

#include "layout.h"

const struct pln_layout pln_layout_3_12 = {
	.name = "3.12",
	.version = 0x030c,
	.linetable_kind = PILLION_LINETABLE_LOCATIONS,
	.runtime = {
		.initialized = 16,
		.finalizing = 24,
		.interp_head = 40,
		.interp_main = 48,
		.main_thread = 64,
		.tss_key = 1544,
		.gil = PLN_ABSENT,
		.current = PLN_ABSENT,
		.calls_refused = PLN_ABSENT,
	},
	.interp = { .next = 0, .threads = 72, .gil = 384 },
	.thread = {
		.size = 288,
		.next = 8,
		.interp = 16,
		.frame = PLN_ABSENT,
		.cframe = 56,
		.root_cframe = 272,
		.base_frame = PLN_ABSENT,
		.thread_id = 136,
		.native_id = 144,
		.chunk = 232,
		.chunk_top = 240,
		.status = 24,
		.holds_gil = PLN_ABSENT,
	},
	.cframe = { .frame = 0, .previous = 8 },
	.frame = {
		.size = 72,
		.previous = 8,
		.code = 0,
		.instr = 56,
		.instr_unit = PLN_ABSENT,
		.owner = 70,
		.is_entry = PLN_ABSENT,
		.tlbc_index = PLN_ABSENT,
	},
	.code = {
		.size = 192,
		.filename = 112,
		.name = 128,
		.linetable = 136,
		.first_line = 68,
		.body = 16,
		.bytecode = 192,
		.first_traceable = 176,
		.tlbc = PLN_ABSENT,
	},
	.object = {
		.type = 8,
		.str_length = 16,
		.str_state = 32,
		.str_kind_shift = 2,
		.str_ascii = 40,
		.str_compact = 56,
		.bytes_size = 16,
		.bytes_data = 32,
	},
	.gil = { .size = 208, .enabled = PLN_ABSENT, .last_holder = 8, .locked = 16 },
};
