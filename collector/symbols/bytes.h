/* SPDX-License-Identifier: MIT */
/*
 * bytes.h - reading the numbers that DWARF and unwind tables are made of.
 *
 * A reader never leaves its bytes, whatever the file says: behind the end there are
 * zeros. Numbers are little-endian.
 */
#ifndef PILLION_COLLECTOR_SYMBOLS_BYTES_H
#define PILLION_COLLECTOR_SYMBOLS_BYTES_H

#include <stdint.h>

struct pln_reader {
	const uint8_t *at;
	const uint8_t *end;
};

/* An unsigned number of `size` bytes; of more than 8, the lowest 8. */
uint64_t pln_read_fixed(struct pln_reader *reader, unsigned size);
uint64_t pln_read_uleb(struct pln_reader *reader);
int64_t pln_read_sleb(struct pln_reader *reader);
/* Never NULL; "" when it does not end within the bytes. */
const char *pln_read_string(struct pln_reader *reader);
void pln_reader_skip(struct pln_reader *reader, uint64_t size);

#endif
