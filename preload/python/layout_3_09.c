/* SPDX-License-Identifier: MIT */
/*
 * layout_3_09.c - CPython 3.9: frames are heap objects, one per C eval call.
 *
 * From Include/internal/pycore_runtime.h, pycore_interp.h, Include/cpython/pystate.h,
 * frameobject.h and code.h of 3.9.18.
 */
#include <pillion/wire.h>

#include "layout.h"

const struct pln_layout pln_layout_3_09 = {
	.name = "3.9",
	.version = 0x0309,
	.linetable_kind = PILLION_LINETABLE_LNOTAB,
	.runtime = {
		.initialized = 12,
		.finalizing = 16,
		.interp_head = 32,
		.interp_main = 40,
		.main_thread = 72,
		.tss_key = 584,
		.gil = 352,
		.current = 568,
		.calls_refused = PLN_ABSENT,
	},
	.interp = { .next = 0, .threads = 8, .gil = PLN_ABSENT },
	.thread = {
		.size = 184,
		.next = 8,
		.interp = 16,
		.frame = 24,
		.cframe = PLN_ABSENT,
		.root_cframe = PLN_ABSENT,
		.base_frame = PLN_ABSENT,
		.thread_id = 176,
		.native_id = PLN_ABSENT,
		.chunk = PLN_ABSENT,
		.chunk_top = PLN_ABSENT,
		.status = PLN_ABSENT,
		.holds_gil = PLN_ABSENT,
	},
	.cframe = { .frame = PLN_ABSENT, .previous = PLN_ABSENT },
	.frame = {
		.size = 112,
		.previous = 24,
		.code = 32,
		.instr = 104,
		.instr_unit = 1,
		.owner = PLN_ABSENT,
		.is_entry = PLN_ABSENT,
		.tlbc_index = PLN_ABSENT,
	},
	.code = {
		.size = 128,
		.filename = 104,
		.name = 112,
		.linetable = 120,
		.first_line = 40,
		.body = 48,
		.bytecode = PLN_ABSENT,
		.first_traceable = PLN_ABSENT,
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
