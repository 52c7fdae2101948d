/* SPDX-License-Identifier: MIT */
/*
 * code.c - code objects: their keys, their descriptions, which were described already.
 *
 * A key stands for one code object at one place: addresses are reused, so the fields
 * that identify a code object go into it. Descriptions are made once per key; they
 * read names through checked reads, also on the thread that runs the code: a frame
 * that is being torn down may have given its code object back already.
 *
 * Context: handlers and the sampling thread, but for init and forget.
 */
#include "python_i.h"

#include "checked_read.h"
#include "hot.h"
#include "keyset.h"

#define NAME_MAX_BYTES 1000u
#define LINETABLE_MAX_BYTES (32u << 10)
#define CHUNK_UNITS 64 /* characters converted at a time */

/* Addresses that were seen to be code objects, and keys that the collector knows. */
static struct pln_keyset seen, described;

bool pln_python_codes_init(void)
{
	return pln_keyset_init(&seen) && pln_keyset_init(&described);
}

void pln_python_forget_codes(void)
{
	pln_keyset_clear(&described);
}

PLN_HOT bool pln_python_code_known_sigsafe(uintptr_t address)
{
	return pln_keyset_has_sigsafe(&seen, address);
}

void pln_python_code_seen_sigsafe(uintptr_t address)
{
	pln_keyset_add_sigsafe(&seen, address);
}

PLN_HOT bool pln_python_code_is_new_sigsafe(const struct pln_python_frame *frame)
{
	return !pln_keyset_has_sigsafe(&described, frame->code);
}

void pln_python_code_described_sigsafe(const struct pln_python_frame *frame)
{
	pln_keyset_add_sigsafe(&described, frame->code);
}

PLN_HOT void pln_python_code_prefetch_sigsafe(const struct pln_layout *layout,
					      const struct pln_python_frame *frame)
{
	for (uint32_t at = 0; at < layout->code.size; at += PLN_CACHE_LINE)
		__builtin_prefetch((const char *)frame->code_addr + at);
	pln_keyset_prefetch_sigsafe(&seen, frame->code_addr);
	pln_keyset_prefetch_sigsafe(&described, frame->code);
}

/* ---------------------------------------------------------- identity */

/*
 * A stripped static interpreter exports no PyCode_Type: then it is the type called
 * "code" (tp_name is the first field behind the header of a variable-size object).
 */
static bool adopt_code_type_sigsafe(const struct pln_layout *layout, uintptr_t type)
{
	uint32_t tp_name = layout->object.bytes_size + 8; /* ob_size stands at the same place */
	uintptr_t name, none = 0;
	char text[5] = "";

	if (!pln_checked_read_sigsafe(type + tp_name, &name, sizeof(name)) ||
	    !pln_checked_read_sigsafe(name, text, sizeof(text)) || memcmp(text, "code", 5) != 0)
		return false;
	atomic_compare_exchange_strong(&pln_python.code_type, &none, type);
	return true;
}

PLN_HOT bool pln_python_is_code_sigsafe(const struct pln_layout *layout, const unsigned char *bytes)
{
	uintptr_t type = pln_word_at(bytes, layout->object.type);
	uintptr_t code_type = pln_load_relaxed(&pln_python.code_type);

	return code_type ? type == code_type : adopt_code_type_sigsafe(layout, type);
}

static uint64_t fold_sigsafe(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 29;
}

PLN_HOT uint64_t pln_python_code_key_sigsafe(const struct pln_layout *layout, uintptr_t address,
					     const unsigned char *bytes)
{
	uint64_t key = fold_sigsafe(address, (uint64_t)pln_int_at(bytes, layout->code.first_line));

	key = fold_sigsafe(key, pln_word_at(bytes, layout->code.name));
	key = fold_sigsafe(key, pln_word_at(bytes, layout->code.filename));
	key = fold_sigsafe(key, pln_word_at(bytes, layout->code.linetable));
	key = fold_sigsafe(key, pln_word_at(bytes, layout->code.body));
	return key ? key : 1;
}

/* ---------------------------------------------------------- description */

/* A string: where its characters are, and of how many bytes each is. */
struct text {
	uintptr_t data;
	uint64_t length; /* characters */
	unsigned width;
	bool ascii;
};

/* The record as it grows: [0, size) is written. */
struct record {
	unsigned char *bytes;
	uint32_t size;
	uint32_t max;
	bool truncated;
};

static bool find_text_sigsafe(const struct pln_layout *layout, uintptr_t object, struct text *text)
{
	unsigned char head[PLN_OBJECT_BYTES];
	uint32_t state;

	if (!pln_checked_read_sigsafe(object, head, layout->object.str_ascii))
		return false;
	state = (uint32_t)pln_int_at(head, layout->object.str_state) >>
		layout->object.str_kind_shift;
	text->length = pln_word_at(head, layout->object.str_length);
	text->width = state & 7; /* kind: 1, 2, 4 */
	text->ascii = (state >> 4) & 1;
	if (text->width != 1 && text->width != 2 && text->width != 4)
		return false;
	text->data = object + (text->ascii ? layout->object.str_ascii : layout->object.str_compact);
	if ((state >> 3) & 1)
		return true;
	/* Not compact: of a subclass of str, as template engines name their files. A pointer leads
	 * to the characters. */
	return pln_checked_read_sigsafe(object + layout->object.str_compact, &text->data,
					sizeof(text->data));
}

/* Appends `wanted` bytes at `address`, or as many as there is room for. Returns how many. */
static uint32_t append_bytes_sigsafe(struct record *record, uintptr_t address, uint64_t wanted,
				     uint32_t limit)
{
	uint32_t room = record->max - record->size, size = limit < room ? limit : room;

	if (wanted > size)
		record->truncated = true;
	else
		size = (uint32_t)wanted;
	if (!size || !pln_checked_read_sigsafe(address, record->bytes + record->size, size))
		return 0;
	record->size += size;
	return size;
}

/* Returns the number of bytes written, 0 when they would pass `limit`. */
static unsigned encode_sigsafe(uint32_t c, unsigned char *dst, unsigned limit)
{
	unsigned char bytes[4];
	unsigned size;

	if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		c = 0xfffd; /* lone surrogates are not UTF-8: undecodable bytes of a file name */
	if (c < 0x80) {
		bytes[0] = (unsigned char)c;
		size = 1;
	} else if (c < 0x800) {
		bytes[0] = (unsigned char)(0xc0 | c >> 6);
		bytes[1] = (unsigned char)(0x80 | (c & 0x3f));
		size = 2;
	} else if (c < 0x10000) {
		bytes[0] = (unsigned char)(0xe0 | c >> 12);
		bytes[1] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
		bytes[2] = (unsigned char)(0x80 | (c & 0x3f));
		size = 3;
	} else {
		bytes[0] = (unsigned char)(0xf0 | c >> 18);
		bytes[1] = (unsigned char)(0x80 | (c >> 12 & 0x3f));
		bytes[2] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
		bytes[3] = (unsigned char)(0x80 | (c & 0x3f));
		size = 4;
	}
	if (size > limit)
		return 0;
	memcpy(dst, bytes, size);
	return size;
}

static uint32_t character_sigsafe(const unsigned char *units, unsigned width, unsigned i)
{
	uint16_t two;

	if (width == 1)
		return units[i];
	if (width == 4)
		return (uint32_t)pln_int_at(units, 4 * i);
	memcpy(&two, units + 2 * i, sizeof(two));
	return two;
}

/* Appends the whole string as UTF-8, or what fits of it. Returns the number of bytes. */
static uint32_t append_utf8_sigsafe(struct record *record, const struct text *text, uint32_t limit)
{
	unsigned char units[CHUNK_UNITS * 4];
	uint32_t start = record->size;

	if (limit > record->max - start)
		limit = record->max - start;
	for (uint64_t done = 0; done < text->length; done += CHUNK_UNITS) {
		uint64_t left = text->length - done;
		unsigned count = left < CHUNK_UNITS ? (unsigned)left : CHUNK_UNITS;

		if (!pln_checked_read_sigsafe(text->data + done * text->width, units,
					      count * text->width))
			return record->size - start;
		for (unsigned i = 0; i < count; i++) {
			uint32_t used = record->size - start;
			unsigned size = encode_sigsafe(character_sigsafe(units, text->width, i),
						       record->bytes + record->size, limit - used);

			if (!size) {
				record->truncated = true;
				return used;
			}
			record->size += size;
		}
	}
	return record->size - start;
}

static bool append_name_sigsafe(const struct pln_layout *layout, struct record *record,
				uintptr_t object, uint16_t *size)
{
	struct text text;

	if (!find_text_sigsafe(layout, object, &text))
		return false;
	if (text.ascii)
		*size = (uint16_t)append_bytes_sigsafe(record, text.data, text.length,
						       NAME_MAX_BYTES);
	else
		*size = (uint16_t)append_utf8_sigsafe(record, &text, NAME_MAX_BYTES);
	return *size || !text.length || record->truncated;
}

static bool append_linetable_sigsafe(const struct pln_layout *layout, struct record *record,
				     uintptr_t object, uint32_t *size)
{
	unsigned char head[PLN_OBJECT_BYTES];
	uint64_t length;

	if (!pln_checked_read_sigsafe(object, head, layout->object.bytes_data))
		return false;
	length = pln_word_at(head, layout->object.bytes_size);
	*size = append_bytes_sigsafe(record, object + layout->object.bytes_data, length,
				     LINETABLE_MAX_BYTES);
	return *size || !length || record->truncated;
}

uint32_t pln_python_describe_sigsafe(const struct pln_python_frame *frame, void *dst, uint32_t max)
{
	const struct pln_layout *layout = pln_load_relaxed(&pln_python.layout);
	struct pln_wire_code head = { .key = frame->code };
	struct record record = { .bytes = dst, .size = sizeof(head), .max = max & ~7u };
	unsigned char code[PLN_CODE_BYTES];

	if (!layout || record.max < sizeof(head) ||
	    !pln_checked_read_sigsafe(frame->code_addr, code, layout->code.size) ||
	    !pln_python_is_code_sigsafe(layout, code) ||
	    pln_python_code_key_sigsafe(layout, frame->code_addr, code) != frame->code)
		return 0;
	if (!append_name_sigsafe(layout, &record, pln_word_at(code, layout->code.name),
				 &head.qualname_size) ||
	    !append_name_sigsafe(layout, &record, pln_word_at(code, layout->code.filename),
				 &head.filename_size) ||
	    !append_linetable_sigsafe(layout, &record, pln_word_at(code, layout->code.linetable),
				      &head.linetable_size))
		return 0;
	head.first_line = (uint32_t)pln_int_at(code, layout->code.first_line);
	head.linetable_kind = layout->linetable_kind;
	head.truncated = record.truncated;
	head.rec.type = PILLION_RECORD_CODE;
	head.rec.size = (record.size + 7) & ~7u;
	memcpy(dst, &head, sizeof(head));
	return head.rec.size;
}
