/* SPDX-License-Identifier: MIT */
/*
 * disassemble.c - see disassemble.h; by Capstone.
 */
#include "annotate/disassemble.h"

#include <capstone/capstone.h>
#include <stdio.h>
#include <stdlib.h>

struct pln_disassembler {
	csh handle;
	cs_insn *instruction; /* the newest */
};

const char *pln_disassembler_missing(void)
{
	return NULL;
}

struct pln_disassembler *pln_disassembler_new(enum pln_syntax syntax)
{
	struct pln_disassembler *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &d->handle) != CS_ERR_OK) {
		free(d);
		return NULL;
	}
	cs_option(d->handle, CS_OPT_DETAIL, CS_OPT_ON);
	if (syntax == PLN_SYNTAX_ATT)
		cs_option(d->handle, CS_OPT_SYNTAX, CS_OPT_SYNTAX_ATT);
	d->instruction = cs_malloc(d->handle);
	if (d->instruction)
		return d;
	pln_disassembler_free(d);
	return NULL;
}

void pln_disassembler_free(struct pln_disassembler *d)
{
	if (!d)
		return;
	if (d->instruction)
		cs_free(d->instruction, 1);
	cs_close(&d->handle);
	free(d);
}

/* Capstone gives immediate operands of direct branches as absolute addresses. */
static uint64_t branch_target(const struct pln_disassembler *d)
{
	const cs_insn *i = d->instruction;
	const cs_x86 *x86 = &i->detail->x86;

	if (!cs_insn_group(d->handle, i, CS_GRP_CALL) && !cs_insn_group(d->handle, i, CS_GRP_JUMP))
		return 0;
	if (x86->op_count != 1 || x86->operands[0].type != X86_OP_IMM)
		return 0;
	return (uint64_t)x86->operands[0].imm;
}

void pln_disassemble(struct pln_disassembler *d, const uint8_t *code, size_t size, uint64_t address,
		     struct pln_decoded *decoded)
{
	const uint8_t *at = code;

	decoded->target = 0;
	if (!cs_disasm_iter(d->handle, &at, &size, &address, d->instruction)) {
		decoded->size = 1;
		snprintf(decoded->text, sizeof(decoded->text), ".byte 0x%02x", *code);
		return;
	}
	decoded->size = d->instruction->size;
	decoded->target = branch_target(d);
	/* Operands of all stand below each other; what has none ends in no blank. */
	snprintf(decoded->text, sizeof(decoded->text), *d->instruction->op_str ? "%-7s %s" : "%s%s",
		 d->instruction->mnemonic, d->instruction->op_str);
}
