/* SPDX-License-Identifier: MIT */
/*
 * eh_frame.c - finds and parses the entries of .eh_frame (LSB 5, "Exception Frames").
 *
 * Functions are listed from the sorted table of .eh_frame_hdr where there is one of
 * the usual form, else by walking .eh_frame from its start.
 * Context: sampling thread, on private copies; any input must be survived.
 */
#include "native/eh_frame_i.h"

#define ENCODING_OMIT 0xff
#define ENCODING_TABLE 0x3b /* data-relative, 4 bytes signed: what every linker writes */
#define REG_RA 16
#define LENGTH_64BIT 0xffffffffu /* followed by an 8-byte length: no linker writes it */

struct hdr {
	uintptr_t frames_addr;
	uint64_t count;
	struct pln_bytes table; /* pairs of function start and entry; empty: none */
};

static bool parse_hdr(const uint8_t *bytes, size_t size, uintptr_t addr, struct hdr *out)
{
	struct pln_bytes b = pln_bytes_at(bytes, size, addr);
	uint8_t version = pln_bytes_u8(&b);
	uint8_t frames_encoding = pln_bytes_u8(&b);
	uint8_t count_encoding = pln_bytes_u8(&b);
	uint8_t table_encoding = pln_bytes_u8(&b);

	out->count = 0;
	out->table = b;
	if (b.bad || version != 1 || frames_encoding == ENCODING_OMIT)
		return false;
	out->frames_addr = pln_cfi_pointer(&b, frames_encoding, addr);
	if (b.bad)
		return false;
	if (count_encoding == ENCODING_OMIT || table_encoding != ENCODING_TABLE)
		return true;
	out->count = pln_cfi_pointer(&b, count_encoding, addr);
	if (b.bad || out->count > pln_bytes_left(&b) / 8)
		out->count = 0;
	out->table = b;
	return true;
}

uintptr_t pln_eh_frame_address(const uint8_t *hdr, size_t size, uintptr_t hdr_addr)
{
	struct hdr parsed;

	return parse_hdr(hdr, size, hdr_addr, &parsed) ? parsed.frames_addr : 0;
}

static struct pln_bytes entry_at(const struct pln_eh_image *image, uint32_t offset)
{
	struct pln_bytes b = pln_bytes_at(image->frames, image->frames_size, image->frames_addr);
	uint32_t length;

	pln_bytes_skip(&b, offset);
	length = (uint32_t)pln_bytes_unsigned(&b, 4);
	if (!length || length == LENGTH_64BIT || length > pln_bytes_left(&b))
		pln_bytes_fail(&b);
	else
		b.end = b.pos + length;
	return b;
}

static bool parse_augmentation(struct pln_bytes *b, const char *letters, struct pln_cie *cie)
{
	uint64_t size;
	struct pln_bytes data;

	if (!*letters)
		return true;
	if (*letters != 'z')
		return false;
	cie->has_augmentation_data = true;
	size = pln_bytes_uleb(b);
	data = *b;
	pln_bytes_skip(b, size);
	if (b->bad)
		return false;
	data.end = b->pos;
	while (*++letters) {
		uint8_t encoding;

		switch (*letters) {
		case 'R':
			cie->pointer_encoding = pln_bytes_u8(&data);
			break;
		case 'P': /* the personality routine: only its size matters */
			encoding = pln_bytes_u8(&data);
			if (encoding != ENCODING_OMIT)
				pln_cfi_pointer(&data, encoding & 0x0f, 0);
			break;
		case 'L':
			pln_bytes_u8(&data);
			break;
		case 'S':
			cie->signal_frame = true;
			break;
		default:
			return false;
		}
	}
	return !data.bad;
}

static bool parse_cie_fields(struct pln_bytes *b, struct pln_cie *cie)
{
	uint32_t id = (uint32_t)pln_bytes_unsigned(b, 4);
	uint8_t version = pln_bytes_u8(b);
	const char *letters = (const char *)b->pos;
	const uint8_t *end = memchr(b->pos, 0, pln_bytes_left(b));

	if (!end || id || (version != 1 && version != 3))
		return false;
	b->pos = end + 1;
	cie->factors.code_align = pln_bytes_uleb(b);
	cie->factors.data_align = pln_bytes_sleb(b);
	if ((version == 1 ? pln_bytes_u8(b) : pln_bytes_uleb(b)) != REG_RA || b->bad)
		return false;
	return parse_augmentation(b, letters, cie);
}

static void parse_cie(const struct pln_eh_image *image, uint32_t offset, struct pln_cie *cie)
{
	struct pln_bytes b = entry_at(image, offset);
	struct pln_cfi_run run;

	*cie = (struct pln_cie){ .offset = offset };
	if (b.bad || !parse_cie_fields(&b, cie))
		return;
	cie->factors.pointer_encoding = cie->pointer_encoding;
	cie->initial.cfa_kind = PLN_ROW_UNSUPPORTED;
	run = (struct pln_cfi_run){ .program = b, .factors = cie->factors, .limit = UINTPTR_MAX };
	cie->valid = pln_cfi_run(&run, &cie->initial);
}

/* Finds the entry's CIE; false: the entry is a CIE itself, or its CIE is outside. */
static bool cie_of(const struct pln_eh_image *image, struct pln_bytes *b, struct pln_cie *cie)
{
	uintptr_t place = pln_bytes_addr(b);
	uint32_t back = (uint32_t)pln_bytes_unsigned(b, 4);
	uint32_t offset = (uint32_t)(place - image->frames_addr - back);

	if (b->bad || !back || back > place - image->frames_addr)
		return false;
	if (!cie->valid || cie->offset != offset)
		parse_cie(image, offset, cie);
	return cie->valid;
}

bool pln_eh_frame_parse(const struct pln_eh_image *image, uint32_t offset, struct pln_cie *cie,
			struct pln_fde *fde)
{
	struct pln_bytes b = entry_at(image, offset);
	uint64_t size;

	if (b.bad || !cie_of(image, &b, cie))
		return false;
	fde->lo = pln_cfi_pointer(&b, cie->pointer_encoding, image->hdr_addr);
	size = pln_cfi_pointer(&b, cie->pointer_encoding & 0x0f, 0);
	if (cie->has_augmentation_data)
		pln_bytes_skip(&b, pln_bytes_uleb(&b));
	if (b.bad || !size || size > UINTPTR_MAX - fde->lo)
		return false;
	fde->hi = fde->lo + size;
	fde->program = b;
	return true;
}

/* What the two ways of listing add to. */
struct list {
	struct pln_fde_place *places;
	size_t max;
	size_t count;
	uintptr_t lo;
	uintptr_t hi;
};

static void list_add(struct list *list, uintptr_t start, uint32_t offset)
{
	if (start < list->lo || start >= list->hi)
		return;
	if (list->count < list->max)
		list->places[list->count] =
			(struct pln_fde_place){ (uint32_t)(start - list->lo), offset };
	list->count++;
}

static void list_from_hdr(const struct pln_eh_image *image, struct hdr *hdr, struct list *list)
{
	for (uint64_t i = 0; i < hdr->count; i++) {
		uintptr_t start = image->hdr_addr + (uintptr_t)pln_bytes_signed(&hdr->table, 4);
		uintptr_t entry = image->hdr_addr + (uintptr_t)pln_bytes_signed(&hdr->table, 4);

		if (entry - image->frames_addr < image->frames_size)
			list_add(list, start, (uint32_t)(entry - image->frames_addr));
	}
}

static void list_from_frames(const struct pln_eh_image *image, struct list *list)
{
	struct pln_cie cie = { .valid = false };
	uint32_t offset = 0;

	while (offset < image->frames_size) {
		struct pln_bytes b = entry_at(image, offset);
		struct pln_fde fde;

		if (b.bad) /* the terminator, or behind the section's end */
			return;
		if (pln_eh_frame_parse(image, offset, &cie, &fde))
			list_add(list, fde.lo, offset);
		offset = (uint32_t)(b.end - image->frames);
	}
}

/* Heap sort: glibc's qsort() allocates. Lists are sorted already as a rule. */
static void sift_down(struct pln_fde_place *places, size_t root, size_t count)
{
	struct pln_fde_place moved = places[root];
	size_t child;

	while ((child = 2 * root + 1) < count) {
		if (child + 1 < count && places[child + 1].start > places[child].start)
			child++;
		if (places[child].start <= moved.start)
			break;
		places[root] = places[child];
		root = child;
	}
	places[root] = moved;
}

static void sort_places(struct pln_fde_place *places, size_t count)
{
	size_t sorted = 1;

	while (sorted < count && places[sorted - 1].start <= places[sorted].start)
		sorted++;
	if (sorted >= count)
		return;
	for (size_t i = count / 2; i--;)
		sift_down(places, i, count);
	for (size_t i = count - 1; i; i--) {
		struct pln_fde_place largest = places[0];

		places[0] = places[i];
		places[i] = largest;
		sift_down(places, 0, i);
	}
}

size_t pln_eh_frame_list(const struct pln_eh_image *image, uintptr_t lo, uintptr_t hi,
			 struct pln_fde_place *places, size_t max)
{
	struct list list = { places, max, 0, lo, hi };
	struct hdr hdr;

	if (!image->frames_size || !parse_hdr(image->hdr, image->hdr_size, image->hdr_addr, &hdr))
		return 0;
	if (hdr.count)
		list_from_hdr(image, &hdr, &list);
	else
		list_from_frames(image, &list);
	sort_places(places, list.count < max ? list.count : max);
	return list.count;
}
