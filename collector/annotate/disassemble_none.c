/* SPDX-License-Identifier: MIT */
/*
 * disassemble_none.c - see disassemble.h; built where there is no Capstone.
 */
#include "annotate/disassemble.h"

const char *pln_disassembler_missing(void)
{
	return "this pillion was built without Capstone: install libcapstone-dev and build again";
}

struct pln_disassembler *pln_disassembler_new(enum pln_syntax syntax)
{
	(void)syntax;
	return NULL;
}

void pln_disassembler_free(struct pln_disassembler *d)
{
	(void)d;
}

void pln_disassemble(struct pln_disassembler *d, const uint8_t *code, size_t size, uint64_t address,
		     struct pln_decoded *decoded)
{
	(void)d;
	(void)code;
	(void)size;
	(void)address;
	*decoded = (struct pln_decoded){ .size = 1 };
}
