# SPDX-License-Identifier: MIT
# A line table written by hand, with what readers of DWARF 5 get wrong: the first row
# comes before any file is set (file 1, not 0), and a row begins an epilogue (it does
# not end the sequence).
	.file 0 "/dir" "zero.c"
	.file 1 "/dir/sub/../one.c"
	.file 2 "two.c"
	.text
	.globl rows
	.type rows, @function
rows:
	.loc 1 10 0
	nop
	.loc 1 11 0 epilogue_begin
	nop
	nop
	.loc 2 12 0
	nop
	.loc 2 13 0
	ret
	.size rows, . - rows

	.globl main
	.type main, @function
main:
	.loc 1 20 0
	ret
	.size main, . - main
	.section .note.GNU-stack,"",@progbits

	.section .debug_abbrev,"",@progbits
.Labbrev:
	.uleb128 1	# DW_TAG_compile_unit, no children
	.uleb128 0x11
	.byte 0
	.uleb128 0x10	# stmt_list, sec_offset
	.uleb128 0x17
	.uleb128 0x11	# low_pc, addr
	.uleb128 0x01
	.uleb128 0x12	# high_pc, data8
	.uleb128 0x07
	.uleb128 0x1b	# comp_dir, string
	.uleb128 0x08
	.byte 0, 0, 0

	.section .debug_info,"",@progbits
	.long .Lend - .Lstart
.Lstart:
	.value 5
	.byte 1, 8
	.long .Labbrev
	.uleb128 1
	.long .Lline
	.quad rows
	.quad .Ltext_end - rows
	.string "/dir"
.Lend:
	.text
.Ltext_end:
	.section .debug_line,"",@progbits
.Lline:
