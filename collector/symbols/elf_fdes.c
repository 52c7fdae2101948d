/* SPDX-License-Identifier: MIT */
/*
 * elf_fdes.c - .eh_frame read from its start to its end (LSB 5, "Exception Frames").
 *
 * .eh_frame_hdr could be searched without reading all of .eh_frame, but it says where
 * functions start and not where they end, so both would have to be kept; a walk costs
 * little next to reading the symbols of the same file, and needs no second way for
 * files whose header has no table. The header serves where the section headers are gone.
 */
#include "symbols/elf_fdes.h"

#include "symbols/bytes.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

/* How an address is written (DW_EH_PE_*): its format, and what it is relative to. */
enum {
	FORMAT_MASK = 0x0f,
	FORMAT_ADDRESS = 0x00,
	FORMAT_ULEB = 0x01,
	FORMAT_U16 = 0x02,
	FORMAT_U32 = 0x03,
	FORMAT_U64 = 0x04,
	FORMAT_SLEB = 0x09,
	FORMAT_S16 = 0x0a,
	FORMAT_S32 = 0x0b,
	FORMAT_S64 = 0x0c,
	RELATIVE_MASK = 0xf0,
	RELATIVE_TO_NOTHING = 0x00,
	RELATIVE_TO_ITSELF = 0x10,
	ENCODING_OMIT = 0xff,
};

/* Of a CIE's bytes; real ones have some 20. Every FDE could name another one. */
#define CIE_MAX_BYTES 256

/* Of all entries; those of the largest browsers are a tenth of this. */
#define FRAMES_MAX_BYTES ((uint64_t)256 << 20)

#define LENGTH_64BIT 0xffffffffu /* an 8-byte length follows: no linker writes it */

struct frames {
	const uint8_t *data;
	size_t size;
	uint64_t address;
};

/* One entry, and where it is. */
struct entry {
	struct pln_reader bytes; /* behind the length */
	size_t id_offset; /* of the first of them in .eh_frame */
};

/* What FDEs share. Neighbours share the same one as a rule. */
struct cie {
	size_t offset;
	uint8_t encoding; /* of addresses; ENCODING_OMIT: of a kind not known here */
	bool valid;
};

/* --------------------------------------------------------------- the section */

static bool read_chunk(const struct pln_elf *file, uint64_t offset, uint64_t size, uint64_t address,
		       struct frames *frames)
{
	Elf_Data *data;

	if (offset > INT64_MAX || !size || size > FRAMES_MAX_BYTES)
		return false;
	/* NULL when it is not within the file. */
	data = elf_getdata_rawchunk(file->elf, (int64_t)offset, size, ELF_T_BYTE);
	if (!data || !data->d_buf)
		return false;
	*frames = (struct frames){ data->d_buf, data->d_size, address };
	return true;
}

/* The first segment of a type that holds the address; any address: UINT64_MAX. */
static bool find_segment(const struct pln_elf *file, uint32_t type, uint64_t address,
			 GElf_Phdr *segment)
{
	size_t count = 0;

	if (elf_getphdrnum(file->elf, &count))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (gelf_getphdr(file->elf, (int)i, segment) && segment->p_type == type &&
		    (address == UINT64_MAX || address - segment->p_vaddr < segment->p_filesz))
			return true;
	}
	return false;
}

/* An address in one of the two tables. False: of an encoding that no toolchain for x86-64 uses. */
static bool read_address(const struct frames *frames, struct pln_reader *reader, uint8_t encoding,
			 uint64_t *value)
{
	uint64_t place = frames->address + (uint64_t)(reader->at - frames->data);

	switch (encoding & FORMAT_MASK) {
	case FORMAT_ADDRESS:
	case FORMAT_U64:
	case FORMAT_S64:
		*value = pln_read_fixed(reader, 8);
		break;
	case FORMAT_U32:
		*value = pln_read_fixed(reader, 4);
		break;
	case FORMAT_S32:
		*value = (uint64_t)(int64_t)(int32_t)pln_read_fixed(reader, 4);
		break;
	case FORMAT_U16:
		*value = pln_read_fixed(reader, 2);
		break;
	case FORMAT_S16:
		*value = (uint64_t)(int64_t)(int16_t)pln_read_fixed(reader, 2);
		break;
	case FORMAT_ULEB:
		*value = pln_read_uleb(reader);
		break;
	case FORMAT_SLEB:
		*value = (uint64_t)pln_read_sleb(reader);
		break;
	default:
		return false;
	}
	if ((encoding & RELATIVE_MASK) == RELATIVE_TO_ITSELF)
		*value += place;
	else if ((encoding & RELATIVE_MASK) != RELATIVE_TO_NOTHING)
		return false;
	return true;
}

/* By .eh_frame_hdr, which a segment of its own tells of; where it ends is not known then. */
static bool find_by_segments(const struct pln_elf *file, struct frames *frames)
{
	struct frames hdr;
	struct pln_reader reader;
	GElf_Phdr segment;
	uint64_t address, skipped, size;
	uint8_t version, encoding;

	if (!find_segment(file, PT_GNU_EH_FRAME, UINT64_MAX, &segment) ||
	    !read_chunk(file, segment.p_offset, segment.p_filesz, segment.p_vaddr, &hdr))
		return false;
	reader = (struct pln_reader){ hdr.data, hdr.data + hdr.size };
	version = (uint8_t)pln_read_fixed(&reader, 1);
	encoding = (uint8_t)pln_read_fixed(&reader, 1);
	pln_reader_skip(&reader, 2); /* the encodings of its own table */
	if (version != 1 || !read_address(&hdr, &reader, encoding, &address) ||
	    !find_segment(file, PT_LOAD, address, &segment))
		return false;
	skipped = address - segment.p_vaddr;
	size = segment.p_filesz - skipped;
	return read_chunk(file, segment.p_offset + skipped,
			  size < FRAMES_MAX_BYTES ? size : FRAMES_MAX_BYTES, address, frames);
}

static bool find_frames(const struct pln_elf *file, struct frames *frames)
{
	GElf_Shdr header;

	if (!pln_elf_section(file, ".eh_frame", &header))
		return find_by_segments(file, frames);
	/* A debug file has the header of the section alone. */
	return header.sh_type != SHT_NOBITS &&
	       read_chunk(file, header.sh_offset, header.sh_size, header.sh_addr, frames);
}

/* --------------------------------------------------------------- its entries */

/* False: the terminator, the end, or damage. */
static bool entry_at(const struct frames *frames, size_t offset, struct entry *entry)
{
	struct pln_reader *bytes = &entry->bytes;
	uint64_t length;

	if (offset >= frames->size)
		return false;
	*bytes = (struct pln_reader){ frames->data + offset, frames->data + frames->size };
	length = pln_read_fixed(bytes, 4);
	if (!length || length == LENGTH_64BIT || length > (size_t)(bytes->end - bytes->at))
		return false;
	bytes->end = bytes->at + length;
	entry->id_offset = (size_t)(bytes->at - frames->data);
	return true;
}

/* Past the address of a personality routine, which is of no interest. */
static bool skip_personality(const struct frames *frames, struct pln_reader *reader)
{
	uint8_t encoding = (uint8_t)pln_read_fixed(reader, 1);
	uint64_t ignored;

	return encoding == ENCODING_OMIT ||
	       read_address(frames, reader, encoding & FORMAT_MASK, &ignored);
}

/* By the letters of the augmentation, whose data come next. */
static uint8_t read_augmentation(const struct frames *frames, const char *letters,
				 struct pln_reader *reader)
{
	if (!*letters)
		return FORMAT_ADDRESS;
	if (*letters != 'z')
		return ENCODING_OMIT;
	pln_read_uleb(reader); /* size */
	while (*++letters) {
		if (*letters == 'R')
			return (uint8_t)pln_read_fixed(reader, 1);
		if (*letters == 'L')
			pln_reader_skip(reader, 1);
		else if (*letters == 'P' ? !skip_personality(frames, reader) : *letters != 'S')
			return ENCODING_OMIT;
	}
	return FORMAT_ADDRESS;
}

static uint8_t read_encoding(const struct frames *frames, size_t offset)
{
	struct entry entry;
	struct pln_reader *bytes = &entry.bytes;
	const char *letters;
	uint8_t version;

	if (!entry_at(frames, offset, &entry) || pln_read_fixed(bytes, 4))
		return ENCODING_OMIT;
	if (bytes->end - bytes->at > CIE_MAX_BYTES)
		bytes->end = bytes->at + CIE_MAX_BYTES;
	version = (uint8_t)pln_read_fixed(bytes, 1);
	if (version != 1 && version != 3)
		return ENCODING_OMIT;
	letters = pln_read_string(bytes);
	pln_read_uleb(bytes); /* alignment of code */
	pln_read_sleb(bytes); /* alignment of data */
	if (version == 1)
		pln_reader_skip(bytes, 1); /* return address register */
	else
		pln_read_uleb(bytes);
	return read_augmentation(frames, letters, bytes);
}

/* False: the entry is no FDE, or says nothing usable. */
static bool read_fde(const struct frames *frames, struct entry *entry, struct cie *cie,
		     struct pln_fde *fde)
{
	struct pln_reader *bytes = &entry->bytes;
	uint64_t back = pln_read_fixed(bytes, 4), size;

	/* 0: a CIE */
	if (!back || back > entry->id_offset)
		return false;
	if (!cie->valid || cie->offset != entry->id_offset - back) {
		cie->valid = true;
		cie->offset = entry->id_offset - back;
		cie->encoding = read_encoding(frames, cie->offset);
	}
	if (!read_address(frames, bytes, cie->encoding, &fde->start) ||
	    !read_address(frames, bytes, cie->encoding & FORMAT_MASK, &size))
		return false;
	fde->end = fde->start + size;
	return fde->end > fde->start;
}

static int compare_fdes(const void *left, const void *right)
{
	const struct pln_fde *a = left, *b = right;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return (a->end > b->end) - (a->end < b->end);
}

int pln_fdes_read(const struct pln_elf *file, struct pln_array *fdes)
{
	struct cie cie = { .valid = false };
	struct frames frames;
	struct entry entry;
	struct pln_fde fde;
	size_t at = 0;

	if (!find_frames(file, &frames))
		return -ENOENT;
	while (entry_at(&frames, at, &entry)) {
		at = (size_t)(entry.bytes.end - frames.data);
		/* Of functions that the linker dropped, nothing is in the code. */
		if (!read_fde(&frames, &entry, &cie, &fde) || fde.start < file->code_low ||
		    fde.end > file->code_high)
			continue;
		if (pln_array_append(fdes, &fde, sizeof(fde)))
			return -ENOMEM;
	}
	if (fdes->size)
		qsort(fdes->data, fdes->size / sizeof(fde), sizeof(fde), compare_fdes);
	return 0;
}

const struct pln_fde *pln_fdes_find(const struct pln_array *fdes, uint64_t address)
{
	const struct pln_fde *fde = fdes->data;
	size_t low = 0, high = fdes->size / sizeof(*fde);

	/* The last one that starts at or before it. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (fde[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low && address < fde[low - 1].end ? &fde[low - 1] : NULL;
}
