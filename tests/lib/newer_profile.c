/* SPDX-License-Identifier: MIT */
/*
 * newer_profile.c - makes a profile claim to be written by a newer Pillion.
 *
 *	newer_profile FILE		raises the major version, in place
 *
 * The major version is the first byte of the first chunk; its checksum is made good.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdio.h>
#include <stdlib.h>

#include "profile/format.h"

int main(int argc, char **argv)
{
	struct pln_chunk_header header;
	unsigned char payload[65536];
	uint64_t seed;
	FILE *f;

	if (argc != 2 || !(f = fopen(argv[1], "r+b")))
		return 1;
	if (fread(&header, sizeof(header), 1, f) != 1 || header.stored_size > sizeof(payload) ||
	    header.type != PILLION_CHUNK_FILE || fread(payload, header.stored_size, 1, f) != 1 ||
	    payload[0] != PILLION_FILE_VERSION_MAJOR)
		return 1;
	payload[0]++;
	seed = header.type | (uint64_t)header.flags << 16 | (uint64_t)header.raw_size << 32;
	header.checksum = XXH3_64bits_withSeed(payload, header.stored_size, seed);
	rewind(f);
	fwrite(&header, sizeof(header), 1, f);
	fwrite(payload, header.stored_size, 1, f);
	return fclose(f) ? 1 : 0;
}
