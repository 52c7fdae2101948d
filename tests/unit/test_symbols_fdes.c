/* SPDX-License-Identifier: MIT */
/*
 * Unwind tables tell where the functions of a stripped file begin and end, in each of
 * the ways that they are written; damaged ones neither crash nor hang the collector.
 */
#include "symbols/fixture.h"

#include "symbols/elf_fdes.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

/* ------------------------------------------------------------- compiled files */

static void test_stripped(void)
{
	struct fixture f;
	uint64_t mark, start, end, again, again_end;

	if (!CHECK(fixture_run("printf '{ global: call_out; local: *; };' > map && gcc -O2 -fPIC "
			       "-shared -Wl,--version-script=map -o full.so $S/exports.c && "
			       "cp full.so lib.so && strip lib.so")) ||
	    !fixture_open(&f, "lib.so"))
		return;
	mark = fixture_address("full.so", "mark_secret");
	CHECK_EQ(pln_symbolizer_lookup(f.symbolizer, f.file, mark, f.symbols, 16), 0);
	if (CHECK(pln_symbolizer_function_range(f.symbolizer, f.file, mark, &start, &end))) {
		CHECK_EQ(start, fixture_address("full.so", "secret"));
		CHECK(pln_symbolizer_function_range(f.symbolizer, f.file, start, &again,
						    &again_end));
		CHECK(again == start && again_end == end);
		CHECK(pln_symbolizer_function_range(f.symbolizer, f.file, end - 1, &again,
						    &again_end));
		CHECK(again == start && again_end == end);
		CHECK(!pln_symbolizer_function_range(f.symbolizer, f.file, end, &again,
						     &again_end));
	}
	CHECK(!pln_symbolizer_function_range(f.symbolizer, f.file, 0, &start, &end));
	CHECK(!pln_symbolizer_function_range(f.symbolizer, f.file, UINT64_MAX, &start, &end));
	fixture_close(&f);
}

static void test_no_table(void)
{
	struct pln_array fdes = { 0 };
	struct pln_elf *elf;

	if (!CHECK(fixture_run("gcc -O2 -fPIC -shared -o lib.so $S/exports.c && objcopy -R "
			       ".eh_frame -R .eh_frame_hdr lib.so bare.so 2>/dev/null")) ||
	    !CHECK_EQ(pln_elf_open(fixture_path("bare.so"), &elf), 0))
		return;
	/* The segment of .eh_frame_hdr may still be there, empty. */
	pln_fdes_read(elf, &fdes);
	CHECK_EQ(fdes.size, 0);
	CHECK(!pln_fdes_find(&fdes, 0x1000));
	pln_elf_close(elf);
	pln_array_free(&fdes);
}

/* Every FDE that readelf sees in the file, and no other. */
static void check_against_readelf(const char *name)
{
	struct pln_array fdes = { 0 };
	const struct pln_fde *known;
	char command[512], line[512];
	uint64_t start, end;
	size_t count = 0;
	struct pln_elf *elf;
	FILE *output;

	if (!CHECK_EQ(pln_elf_open(fixture_path(name), &elf), 0))
		return;
	CHECK_EQ(pln_fdes_read(elf, &fdes), 0);
	snprintf(command, sizeof(command), "readelf --debug-dump=frames '%s' 2>/dev/null",
		 fixture_path(name));
	output = popen(command, "r");
	while (output && fgets(line, sizeof(line), output)) {
		const char *pc = strstr(line, " FDE cie=") ? strstr(line, " pc=") : NULL;

		if (!pc || sscanf(pc, " pc=%" SCNx64 "..%" SCNx64, &start, &end) != 2)
			continue;
		count++;
		known = pln_fdes_find(&fdes, start);
		CHECK(known && known->start == start && known->end == end);
	}
	if (output)
		pclose(output);
	CHECK(count > 2);
	CHECK_EQ(fdes.size / sizeof(*known), count);
	pln_elf_close(elf);
	pln_array_free(&fdes);
}

static void test_agrees_with_readelf(void)
{
	static const char *const ways[] = {
		"-fPIC -shared $S/exports.c",
		"-fPIC -shared $S/exports.c -ffunction-sections -Wl,--gc-sections",
		"-fPIC -shared $S/inlined.c -mcmodel=large",
		"-no-pie $S/inlined.c",
		"-static $S/inlined.c",
		"-pie $S/inlined.c -Wl,--no-eh-frame-hdr",
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		printf("%s\n", ways[i]);
		if (CHECK(fixture_run("gcc -O2 %s -o program", ways[i])))
			check_against_readelf("program");
	}
	if (fixture_has("g++") && CHECK(fixture_run("g++ -O2 -o program $S/names.cc")))
		check_against_readelf("program");
}

/* ----------------------------------------------------------- files made by hand */

/* No sections: one segment with everything, in which addresses are offsets. */
#define IMAGE_MAX (8 << 20)
#define HDR_OFFSET 0x200 /* .eh_frame_hdr, then .eh_frame */
#define CODE_OFFSET 0x300

struct image {
	uint8_t *bytes;
	size_t size; /* where .eh_frame is written on */
	size_t entry; /* the one being written */
	size_t frames;
};

static void put(struct image *image, uint64_t value, unsigned size)
{
	memcpy(image->bytes + image->size, &value, size);
	image->size += size;
}

static void image_begin(struct image *image)
{
	Elf64_Ehdr header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB,
					   EV_CURRENT },
			      .e_type = ET_DYN,
			      .e_machine = EM_X86_64,
			      .e_version = EV_CURRENT,
			      .e_phoff = sizeof(header),
			      .e_ehsize = sizeof(header),
			      .e_phentsize = sizeof(Elf64_Phdr),
			      .e_phnum = 2 };

	image->bytes = calloc(1, IMAGE_MAX);
	memcpy(image->bytes, &header, sizeof(header));
	image->size = HDR_OFFSET;
	put(image, 1, 1); /* version */
	put(image, 0x1b, 1); /* pc-relative, 4 bytes: where .eh_frame is */
	put(image, 0xff, 1); /* no table */
	put(image, 0xff, 1);
	image->frames = 0x400;
	put(image, image->frames - image->size, 4);
	image->size = image->frames;
}

static void entry_begin(struct image *image)
{
	image->entry = image->size;
	put(image, 0, 4);
}

static void entry_end(struct image *image)
{
	uint32_t length = (uint32_t)(image->size - image->entry - 4);

	memcpy(image->bytes + image->entry, &length, 4);
}

/* Returns where it is. `data` are those of the augmentation. */
static size_t put_cie(struct image *image, unsigned version, const char *letters, const char *data,
		      size_t data_size)
{
	entry_begin(image);
	put(image, 0, 4);
	put(image, version, 1);
	memcpy(image->bytes + image->size, letters, strlen(letters) + 1);
	image->size += strlen(letters) + 1;
	put(image, 1, 1);
	put(image, 0x78, 1);
	put(image, 16, 1);
	if (*letters == 'z')
		put(image, data_size, 1);
	memcpy(image->bytes + image->size, data, data_size);
	image->size += data_size;
	entry_end(image);
	return image->entry;
}

static void put_fde(struct image *image, size_t cie, bool relative, unsigned address_size,
		    uint64_t start, uint64_t size)
{
	entry_begin(image);
	put(image, image->size - cie, 4);
	put(image, relative ? start - image->size : start, address_size);
	put(image, size, address_size);
	entry_end(image);
}

/* Writes the headers of the segments; then reads the FDEs. */
static int image_read(struct image *image, struct pln_array *fdes)
{
	Elf64_Phdr segments[2] = {
		{ .p_type = PT_LOAD,
		  .p_flags = PF_R | PF_X,
		  .p_filesz = image->size,
		  .p_memsz = image->size },
		{ .p_type = PT_GNU_EH_FRAME,
		  .p_offset = HDR_OFFSET,
		  .p_vaddr = HDR_OFFSET,
		  .p_filesz = 8,
		  .p_memsz = 8 },
	};
	void *copy = malloc(image->size);
	struct pln_elf *elf;
	int rc;

	memcpy(image->bytes + sizeof(Elf64_Ehdr), segments, sizeof(segments));
	memcpy(copy, image->bytes, image->size);
	if (!CHECK_EQ(pln_elf_open_memory(copy, image->size, &elf), 0))
		return -EIO;
	*fdes = (struct pln_array){ 0 };
	rc = pln_fdes_read(elf, fdes);
	pln_elf_close(elf);
	return rc;
}

static void image_end(struct image *image, struct pln_array *fdes)
{
	pln_array_free(fdes);
	free(image->bytes);
}

static void check_one_function(const struct pln_array *fdes, uint64_t start, uint64_t end)
{
	const struct pln_fde *fde = pln_fdes_find(fdes, start);

	CHECK(fde && fde->start == start && fde->end == end);
	CHECK(pln_fdes_find(fdes, end - 1) == fde);
}

/* Each function has 8 bytes, behind a gap of 8. */
static uint64_t code(unsigned i)
{
	return CODE_OFFSET + 16 * i;
}

static void test_encodings(void)
{
	struct image image;
	struct pln_array fdes;
	size_t cie;

	image_begin(&image);
	cie = put_cie(&image, 1, "zR", "\x1b", 1);
	put_fde(&image, cie, true, 4, code(5), 8);
	cie = put_cie(&image, 1, "zPLR", "\x9b\x01\x02\x03\x04\x1b\x1c", 7);
	put_fde(&image, cie, true, 8, code(0), 8);
	cie = put_cie(&image, 3, "zRS", "\x03", 1);
	put_fde(&image, cie, false, 4, code(1), 8);
	cie = put_cie(&image, 1, "", "", 0);
	put_fde(&image, cie, false, 8, code(2), 8);
	cie = put_cie(&image, 1, "zR", "\x02", 1);
	put_fde(&image, cie, false, 2, code(3), 8);
	cie = put_cie(&image, 1, "zPR", "\xff\x1b", 2);
	put_fde(&image, cie, true, 4, code(4), 8);
	put(&image, 0, 4);
	/* Behind the terminator. */
	put_fde(&image, cie, true, 4, code(7), 8);
	CHECK_EQ(image_read(&image, &fdes), 0);
	CHECK_EQ(fdes.size / sizeof(struct pln_fde), 6);
	for (unsigned i = 0; i < 6; i++) {
		check_one_function(&fdes, code(i), code(i) + 8);
		CHECK(!pln_fdes_find(&fdes, code(i) + 8));
		CHECK(!pln_fdes_find(&fdes, code(i) - 1));
	}
	image_end(&image, &fdes);
}

/* What is not understood, or makes no sense, costs that entry alone. */
static void test_strange_entries(void)
{
	struct image image;
	struct pln_array fdes;
	size_t cie;

	image_begin(&image);
	cie = put_cie(&image, 1, "eh", "", 0);
	put_fde(&image, cie, false, 8, code(0), 8);
	cie = put_cie(&image, 9, "zR", "\x1b", 1);
	put_fde(&image, cie, true, 4, code(1), 8);
	cie = put_cie(&image, 1, "zR", "\x3b", 1); /* relative to data */
	put_fde(&image, cie, false, 4, code(2), 8);
	cie = put_cie(&image, 1, "zR", "\x9b", 1); /* where the address is */
	put_fde(&image, cie, true, 4, code(3), 8);
	cie = put_cie(&image, 1, "zR", "\x1b", 1);
	put_fde(&image, cie, true, 4, code(4), 0);
	put_fde(&image, cie, true, 4, code(5), UINT32_MAX); /* ends before it starts */
	put_fde(&image, cie, true, 4, 0, IMAGE_MAX + 1); /* more than there is */
	put_fde(&image, image.size + 100, true, 4, code(6), 8); /* CIE behind it */
	put_fde(&image, image.frames - 5, true, 4, code(7), 8); /* and before the table */
	put_fde(&image, cie, true, 4, code(8), 8);
	entry_begin(&image); /* cut short */
	put(&image, image.size - cie, 4);
	put(&image, 0, 2);
	entry_end(&image);
	put_fde(&image, cie, true, 4, code(9), 8);
	put(&image, 1 << 30, 4); /* longer than the file */
	put(&image, 0, 8);
	CHECK_EQ(image_read(&image, &fdes), 0);
	CHECK_EQ(fdes.size / sizeof(struct pln_fde), 2);
	check_one_function(&fdes, code(8), code(8) + 8);
	check_one_function(&fdes, code(9), code(9) + 8);
	image_end(&image, &fdes);

	image_begin(&image);
	image.bytes[HDR_OFFSET] = 2;
	CHECK_EQ(-image_read(&image, &fdes), ENOENT);
	image.bytes[HDR_OFFSET] = 1;
	memset(image.bytes + HDR_OFFSET + 4, 0x7f, 4);
	CHECK_EQ(-image_read(&image, &fdes), ENOENT);
	image_end(&image, &fdes);
}

/* Two CIEs without an end in sight, and every FDE names the other one than its neighbour. */
static void test_no_quadratic_time(void)
{
	enum { CIE_SIZE = 1 << 20 };
	struct image image;
	struct pln_array fdes;
	size_t cies[2];
	clock_t before;

	image_begin(&image);
	for (int i = 0; i < 2; i++) {
		cies[i] = image.size;
		entry_begin(&image);
		put(&image, 0, 4);
		put(&image, 1, 1);
		memset(image.bytes + image.size, 'z', CIE_SIZE);
		image.size += CIE_SIZE;
		entry_end(&image);
	}
	for (unsigned i = 0; image.size < IMAGE_MAX - 64; i++)
		put_fde(&image, cies[i % 2], true, 4, code(0), 8);
	before = clock();
	CHECK_EQ(image_read(&image, &fdes), 0);
	CHECK(clock() - before < CLOCKS_PER_SEC);
	CHECK_EQ(fdes.size, 0);
	image_end(&image, &fdes);
}

/* -------------------------------------------------------------- damaged files */

static uint64_t seed = 1;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* The table or its header is damaged, or cut short. */
static void test_damaged(void)
{
	struct image image;
	struct pln_array fdes;
	uint8_t *original = malloc(4096);
	size_t cie = 0, size;
	unsigned kept = 0;

	image_begin(&image);
	for (unsigned i = 0; i < 12; i++) {
		if (i % 4 == 0)
			cie = put_cie(&image, 1, "zPLR", "\x9b\x01\x02\x03\x04\x1b\x1b", 7);
		put_fde(&image, cie, true, 4, code(i), 8);
	}
	size = image.size;
	memcpy(original, image.bytes, size);
	for (unsigned i = 0; i < 20000; i++) {
		unsigned changes = 1 + next_random() % 6;

		memcpy(image.bytes, original, size);
		image.size = i % 8 ? size : HDR_OFFSET + next_random() % (size - HDR_OFFSET);
		while (changes--)
			image.bytes[HDR_OFFSET + next_random() % (size - HDR_OFFSET)] =
				next_random() % 2 ? (uint8_t)next_random() : 0xff;
		image_read(&image, &fdes);
		for (uint64_t at = CODE_OFFSET; at < size; at += 7) {
			const struct pln_fde *fde = pln_fdes_find(&fdes, at);

			kept += fde != NULL;
			if (fde && !(fde->start <= at && at < fde->end && fde->end <= image.size))
				CHECK(!"inside of its own range and of the file");
		}
		pln_array_free(&fdes);
	}
	CHECK(kept > 20000);
	free(original);
	image_end(&image, &fdes);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		seed = strtoull(argv[1], NULL, 10) | 1;
	test_encodings();
	test_strange_entries();
	test_no_quadratic_time();
	test_damaged();
	if (!fixture_has("gcc")) {
		printf("not tested: no gcc\n");
		return check_result();
	}
	test_stripped();
	test_no_table();
	test_agrees_with_readelf();
	return check_result();
}
