/* SPDX-License-Identifier: MIT */
/*
 * test_native_cfi.c - call frame programs become the right rows, whatever their form,
 * and broken ones become no wrong ones: hand-made sections, then mutated real ones.
 */
#include <link.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "check.h"
#include "native/eh_frame_i.h"

#define TEXT 0x10000000ul
#define FRAMES 0x20000000ul
#define HDR 0x20100000ul

/* A section under construction. */
struct section {
	uint8_t bytes[4096];
	size_t size;
};

static void put(struct section *s, uint64_t value, unsigned size)
{
	memcpy(s->bytes + s->size, &value, size);
	s->size += size;
}

static void put_bytes(struct section *s, const uint8_t *bytes, size_t size)
{
	memcpy(s->bytes + s->size, bytes, size);
	s->size += size;
}

static void close_entry(struct section *s, size_t start)
{
	while ((s->size - start) % 8 != 4)
		put(s, 0, 1);
	uint32_t length = (uint32_t)(s->size - start - 4);

	memcpy(s->bytes + start, &length, 4);
}

/* CFA = rsp + 8, return address at CFA - 8: the start of every function. */
static size_t put_cie(struct section *s, const char *augmentation, uint8_t encoding)
{
	static const uint8_t program[] = { 0x0c, 7, 8, 0x90, 1 };
	size_t start = s->size;

	put(s, 0, 4);
	put(s, 0, 4);
	put(s, 1, 1);
	put_bytes(s, (const uint8_t *)augmentation, strlen(augmentation) + 1);
	put(s, 1, 1); /* code alignment */
	put(s, 0x78, 1); /* data alignment: -8 */
	put(s, 16, 1);
	if (*augmentation) {
		put(s, 1, 1);
		put(s, encoding, 1);
	}
	put_bytes(s, program, sizeof(program));
	close_entry(s, start);
	return start;
}

static void put_pointer(struct section *s, uint8_t encoding, uintptr_t value, bool is_size)
{
	uintptr_t base = is_size ? 0 : FRAMES + s->size;

	switch (encoding) {
	case 0x1b: /* pcrel sdata4 */
		put(s, value - base, 4);
		return;
	case 0x1c: /* pcrel sdata8 */
		put(s, value - base, 8);
		return;
	case 0x3b: /* datarel sdata4 */
		put(s, is_size ? value : value - HDR, 4);
		return;
	case 0x03: /* udata4 */
		put(s, value, 4);
		return;
	default: /* absolute */
		put(s, value, 8);
	}
}

static void put_fde(struct section *s, size_t cie, uint8_t encoding, uintptr_t start, size_t size,
		    const uint8_t *program, size_t program_size)
{
	size_t at = s->size;

	put(s, 0, 4);
	put(s, s->size - cie, 4);
	put_pointer(s, encoding, start, false);
	put_pointer(s, encoding, size, true);
	if (s->bytes[cie + 9])
		put(s, 0, 1);
	put_bytes(s, program, program_size);
	close_entry(s, at);
}

/* .eh_frame_hdr without a table: the frames are walked. */
static struct pln_table *build(const struct section *s)
{
	uint8_t hdr[8] = { 1, 0x1b, 0xff, 0xff };
	int32_t distance = (int32_t)(FRAMES - (HDR + 4));
	struct pln_eh_image image = { .hdr = hdr,
				      .hdr_size = sizeof(hdr),
				      .hdr_addr = HDR,
				      .frames = s->bytes,
				      .frames_size = s->size,
				      .frames_addr = FRAMES };

	memcpy(hdr + 4, &distance, 4);
	return pln_table_build(&image, TEXT, TEXT + 0x10000);
}

static void drop(struct pln_table *table)
{
	if (table)
		munmap(table, table->block.size_bytes);
}

static struct pln_row row_at(const struct pln_table *table, uint32_t offset)
{
	return table->list.rows[pln_table_find_sigsafe(&table->list, offset)];
}

static void check_row(const struct pln_table *table, uint32_t offset, enum pln_row_kind kind,
		      unsigned cfa, int rbp, unsigned rbx)
{
	struct pln_row row = row_at(table, offset);

	CHECK_EQ(pln_row_kind_sigsafe(row), kind);
	CHECK_EQ(row.cfa, cfa);
	CHECK_EQ((uint64_t)row.rbp, (uint64_t)rbp);
	CHECK_EQ(pln_row_rbx_sigsafe(row), rbx);
}

static struct pln_table *build_one(const uint8_t *program, size_t size)
{
	struct section s = { .size = 0 };
	size_t cie = put_cie(&s, "zR", 0x1b);

	put_fde(&s, cie, 0x1b, TEXT + 0x100, 0x100, program, size);
	return build(&s);
}

static void pushes_move_the_cfa(void)
{
	static const uint8_t program[] = {
		0x41, 0x0e, 16,	  0x86, 2, /* +1: push rbp */
		0x41, 0x0e, 24,	  0x83, 3, /* +2: push rbx */
		0x02, 0x10, 0x0e, 0x80, 0x01, /* +0x12: sub; CFA = rsp + 128 */
		0x03, 0x20, 0x00, 0x0a, 0x0e, 24, /* +0x32: remember; epilogue */
		0x41, 0x0e, 16,	  0xc3, /* +0x33: pop rbx */
		0x41, 0x0e, 8,	  0xc6, /* +0x34: pop rbp */
		0x41, 0x0b /* +0x35: restore state */
	};
	struct pln_table *table = build_one(program, sizeof(program));

	if (!CHECK(table != NULL))
		return;
	check_row(table, 0x50, PLN_ROW_GAP, 0, 0, 0);
	check_row(table, 0x100, PLN_ROW_RSP, 1, 0, 0);
	check_row(table, 0x101, PLN_ROW_RSP, 2, -2, 0);
	check_row(table, 0x102, PLN_ROW_RSP, 3, -2, 3);
	check_row(table, 0x131, PLN_ROW_RSP, 16, -2, 3);
	check_row(table, 0x132, PLN_ROW_RSP, 3, -2, 3);
	check_row(table, 0x133, PLN_ROW_RSP, 2, -2, 0);
	check_row(table, 0x134, PLN_ROW_RSP, 1, 0, 0);
	check_row(table, 0x1ff, PLN_ROW_RSP, 16, -2, 3);
	check_row(table, 0x200, PLN_ROW_GAP, 0, 0, 0);
	check_row(table, 0xffff, PLN_ROW_GAP, 0, 0, 0);
	CHECK(row_at(table, 0x100).kind & PLN_ROW_STARTS_FUNCTION);
	CHECK(!(row_at(table, 0x101).kind & PLN_ROW_STARTS_FUNCTION));
	drop(table);
}

static void frame_pointers_and_other_registers(void)
{
	/* clang-format off */
	static const uint8_t program[] = {
		0x41, 0x0e, 16, 0x86, 2, 0x43, 0x0d, 6, /* +4: CFA = rbp + 16 */
		0x44, 0x0c, 10, 0, /* +8: r10 (a realigned prologue) */
		0x44, 0x10, 6, 2, 0x76, 0, 0x0f, 3, 0x76, 0x78, 0x06, /* +12: *(rbp - 8) */
		0x44, 0x0c, 3, 24, /* +16: rbx + 24 */
		0x44, 0x0f, 6, 0x77, 0xd8, 0, 0x06, 0x23, 8, /* +20: *(rsp + 88) + 8 */
		0x44, 0x0c, 0, 16, /* +24: rax: not known to walks */
		0x44, 0x0c, 7, 9, /* +28: not a multiple of 8 */
		0x44, 0x0c, 11, 0xa8, 0x80, 0x01, /* +32: r11 + 16424 (probing a large frame) */
		0x44, 0x0e, 8, 0x07, 16 /* +36: no return address */
	};
	/* clang-format on */
	struct pln_table *table = build_one(program, sizeof(program));

	if (!CHECK(table != NULL))
		return;
	check_row(table, 0x104, PLN_ROW_RBP, 2, -2, 0);
	check_row(table, 0x108, PLN_ROW_R10, 0, -2, 0);
	check_row(table, 0x10c, PLN_ROW_RBP_DEREF, (uint16_t)-8, PLN_ROW_RBP_AT_RBP, 0);
	check_row(table, 0x110, PLN_ROW_RBX, 3, PLN_ROW_RBP_AT_RBP, 0);
	check_row(table, 0x114, PLN_ROW_RSP_DEREF, 88, PLN_ROW_RBP_AT_RBP, 0);
	CHECK_EQ(pln_row_kind_sigsafe(row_at(table, 0x118)), PLN_ROW_UNSUPPORTED);
	CHECK_EQ(pln_row_kind_sigsafe(row_at(table, 0x11c)), PLN_ROW_UNSUPPORTED);
	check_row(table, 0x120, PLN_ROW_R11, 2053, PLN_ROW_RBP_AT_RBP, 0);
	CHECK_EQ(pln_row_kind_sigsafe(row_at(table, 0x124)), PLN_ROW_END);
	drop(table);
}

static void plt_expressions(void)
{
	static const uint8_t lazy[] = { 0x0f, 11,   0x77, 8,	0x80, 0,   0x3f,
					0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22 };
	struct pln_table *table = build_one(lazy, sizeof(lazy));

	if (CHECK(table != NULL))
		check_row(table, 0x110, PLN_ROW_PLT, 11, 0, 0);
	drop(table);
}

static void broken_programs_are_unsupported(void)
{
	static const uint8_t unknown_op[] = { 0x44, 0x3e };
	static const uint8_t cut[] = { 0x44, 0x0c, 7 }; /* fills its entry: no padding behind */
	static const uint8_t no_state[] = { 0x44, 0x0b };
	static const uint8_t same_ra[] = { 0x44, 0x08, 16 };
	static const struct {
		const uint8_t *program;
		size_t size;
	} cases[] = {
		{ unknown_op, sizeof(unknown_op) },
		{ cut, sizeof(cut) },
		{ no_state, sizeof(no_state) },
		{ same_ra, sizeof(same_ra) },
	};
	struct pln_table *table;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		table = build_one(cases[i].program, cases[i].size);
		if (!CHECK(table != NULL))
			continue;
		check_row(table, 0x103, PLN_ROW_RSP, 1, 0, 0);
		CHECK_EQ(pln_row_kind_sigsafe(row_at(table, 0x104)), PLN_ROW_UNSUPPORTED);
		CHECK_EQ(pln_row_kind_sigsafe(row_at(table, 0x200)), PLN_ROW_GAP);
		drop(table);
	}
}

/* Functions given out of order, in all encodings that linkers and compilers use. */
static void encodings_and_order(void)
{
	static const uint8_t encodings[] = { 0x1b, 0x1c, 0x3b, 0x03, 0x00 };
	struct section s = { .size = 0 };
	struct pln_table *table;

	for (unsigned i = 0; i < sizeof(encodings); i++) {
		uint8_t program[] = { 0x0e, (uint8_t)(16 + 8 * i) };
		size_t cie = put_cie(&s, "zR", encodings[i]);

		put_fde(&s, cie, encodings[i], TEXT + 0x1000 * (8 - i), 0x40, program,
			sizeof(program));
	}
	put_fde(&s, put_cie(&s, "", 0), 0x00, TEXT + 0x9000, 0x40, (const uint8_t *)"", 0);
	put(&s, 0, 4);
	table = build(&s);
	if (!CHECK(table != NULL))
		return;
	for (unsigned i = 0; i < sizeof(encodings); i++)
		check_row(table, 0x1000 * (8 - i) + 0x3f, PLN_ROW_RSP, 2 + i, 0, 0);
	check_row(table, 0x9000, PLN_ROW_RSP, 1, 0, 0);
	check_row(table, 0x9040, PLN_ROW_GAP, 0, 0, 0);
	drop(table);
}

/* ------------------------------------------------------ mutated real sections */

struct real {
	struct pln_eh_image image;
	uintptr_t lo, hi;
};

static int take_largest(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct real *real = arg;
	struct real found = { .lo = 0 };
	uintptr_t end = 0;

	(void)size;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uintptr_t lo = info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X)) {
			found.lo = lo;
			found.hi = lo + segment->p_memsz;
		} else if (segment->p_type == PT_GNU_EH_FRAME) {
			found.image.hdr = (const uint8_t *)lo;
			found.image.hdr_addr = lo;
			found.image.hdr_size = segment->p_memsz;
		}
	}
	if (!found.image.hdr || found.image.hdr_size < real->image.hdr_size)
		return 0;
	found.image.frames_addr =
		pln_eh_frame_address(found.image.hdr, found.image.hdr_size, found.image.hdr_addr);
	found.image.frames = (const uint8_t *)found.image.frames_addr;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uintptr_t lo = info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type == PT_LOAD && found.image.frames_addr - lo < segment->p_memsz)
			end = lo + segment->p_memsz;
	}
	found.image.frames_size = end - found.image.frames_addr;
	*real = found;
	return 0;
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static unsigned count_bad_rows(const struct pln_table *table, uintptr_t size)
{
	unsigned bad = table->list.rows[0].pc != 0;

	for (uint32_t i = 1; i < table->row_count; i++)
		bad += table->list.rows[i].pc <= table->list.rows[i - 1].pc ||
		       table->list.rows[i].pc >= size ||
		       pln_row_kind_sigsafe(table->list.rows[i]) >= PLN_ROW_ANONYMOUS;
	for (uint32_t offset = 0; offset < size; offset += 509) {
		uint32_t row = pln_table_find_sigsafe(&table->list, offset);

		bad += table->list.rows[row].pc > offset;
		bad += row + 1 < table->row_count && table->list.rows[row + 1].pc <= offset;
	}
	return bad;
}

/* Heap copies of exactly the right size, so that a sanitizer sees any read behind them. */
static void survive_mutation(const struct real *real, uint64_t *random, unsigned *bad)
{
	size_t hdr_size = real->image.hdr_size, frames_size = real->image.frames_size;
	struct pln_eh_image image = real->image;
	struct pln_table *table;
	uint8_t *hdr, *frames;

	if (next_random(random) % 4 == 0)
		frames_size = next_random(random) % frames_size;
	if (next_random(random) % 8 == 0)
		hdr_size = next_random(random) % hdr_size;
	hdr = malloc(hdr_size + 1);
	frames = malloc(frames_size + 1);
	hdr = realloc(memcpy(hdr, image.hdr, hdr_size), hdr_size ? hdr_size : 1);
	frames = realloc(memcpy(frames, image.frames, frames_size), frames_size ? frames_size : 1);
	for (unsigned i = next_random(random) % 2000; i-- && frames_size;)
		frames[next_random(random) % frames_size] = (uint8_t)next_random(random);
	for (unsigned i = next_random(random) % 3; i-- && hdr_size;)
		hdr[next_random(random) % (i % 2 && hdr_size > 12 ? 12 : hdr_size)] =
			(uint8_t)next_random(random);
	image.hdr = hdr;
	image.hdr_size = hdr_size;
	image.frames = frames;
	image.frames_size = frames_size;
	table = pln_table_build(&image, real->lo, real->hi);
	if (CHECK(table != NULL))
		*bad += count_bad_rows(table, real->hi - real->lo);
	drop(table);
	free(hdr);
	free(frames);
}

static void mutated_sections_are_survived(void)
{
	struct real real = { .lo = 0 };
	struct pln_table *table;
	uint64_t random = 0x5eed;
	unsigned bad = 0;

	dl_iterate_phdr(take_largest, &real);
	table = pln_table_build(&real.image, real.lo, real.hi);
	if (!CHECK(table != NULL))
		return;
	CHECK(table->row_count > 100);
	CHECK_EQ(count_bad_rows(table, real.hi - real.lo), 0);
	drop(table);
	for (unsigned i = 0; i < 300; i++)
		survive_mutation(&real, &random, &bad);
	CHECK_EQ(bad, 0);
}

int main(void)
{
	pushes_move_the_cfa();
	frame_pointers_and_other_registers();
	plt_expressions();
	broken_programs_are_unsupported();
	encodings_and_order();
	mutated_sections_are_survived();
	return check_result();
}
