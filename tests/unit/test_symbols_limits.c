/* SPDX-License-Identifier: MIT */
/*
 * A small file, or one that is mostly holes, costs the collector little memory and time,
 * whatever it claims to have.
 *
 * Each file is looked at by a child: what it took is what it is asked for at its end.
 */
#include "symbols/fixture.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#define PEAK_MAX_MB 400
#define CHILD_MAX_SECONDS 30

#define SECTIONS_MAX 8
#define TEXT 0x10000
#define LONG_NAME ((size_t)1 << 20)
#define NAME_MAX_BYTES 16384

/* A file in the making: its sections, the first of which are the usual ones. */
struct made {
	Elf64_Ehdr header;
	struct {
		const char *name;
		Elf64_Shdr header;
		const void *data; /* NULL: a hole */
	} sections[SECTIONS_MAX];
	unsigned count;
};

static struct made make_file(void)
{
	struct made made = {
		.header = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				     EV_CURRENT },
			.e_type = ET_DYN,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_shoff = sizeof(Elf64_Ehdr),
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_shentsize = sizeof(Elf64_Shdr),
			.e_shstrndx = 1,
		},
		.count = 2,
	};

	made.sections[0].name = "";
	made.sections[1].name = ".shstrtab";
	made.sections[1].header = (Elf64_Shdr){ .sh_type = SHT_STRTAB };
	return made;
}

/* Returns the new section's header and number. */
static Elf64_Shdr *add_section(struct made *made, const char *name, uint32_t type, const void *data,
			       uint64_t size)
{
	made->sections[made->count].name = name;
	made->sections[made->count].data = data;
	made->sections[made->count].header =
		(Elf64_Shdr){ .sh_type = type, .sh_size = size, .sh_addralign = 1 };
	return &made->sections[made->count++].header;
}

static unsigned add_text(struct made *made)
{
	Elf64_Shdr *text = add_section(made, ".text", SHT_NOBITS, NULL, (uint64_t)1 << 24);

	text->sh_flags = SHF_ALLOC | SHF_EXECINSTR;
	text->sh_addr = TEXT;
	return made->count - 1;
}

static bool write_file(struct made *made, const char *name)
{
	int fd = open(fixture_path(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint64_t at = sizeof(Elf64_Ehdr) + made->count * sizeof(Elf64_Shdr);
	char names[512] = "";
	size_t used = 1;
	bool ok = fd >= 0;

	for (unsigned i = 1; i < made->count; i++) {
		made->sections[i].header.sh_name = (Elf64_Word)used;
		used += (size_t)sprintf(names + used, "%s", made->sections[i].name) + 1;
	}
	if (!made->sections[1].header.sh_size) {
		made->sections[1].header.sh_size = used;
		made->sections[1].data = names;
	}
	if (!made->header.e_shnum && !made->sections[0].header.sh_size)
		made->header.e_shnum = (Elf64_Half)made->count;
	ok = ok && pwrite(fd, &made->header, sizeof(made->header), 0) > 0;
	for (unsigned i = 0; ok && i < made->count; i++) {
		Elf64_Shdr *header = &made->sections[i].header;

		header->sh_offset = i ? at : 0;
		if (header->sh_type != SHT_NOBITS)
			at += header->sh_size;
		ok = pwrite(fd, header, sizeof(*header),
			    (off_t)(sizeof(Elf64_Ehdr) + i * sizeof(*header))) > 0 &&
		     (!made->sections[i].data ||
		      pwrite(fd, made->sections[i].data, header->sh_size,
			     (off_t)header->sh_offset) == (ssize_t)header->sh_size);
	}
	ok = ok && !ftruncate(fd, (off_t)at);
	if (fd >= 0)
		close(fd);
	return CHECK(ok);
}

/* Opens and looks up; 0 or what was expected and is not so. */
static int look(const char *name, uint64_t address, size_t name_length)
{
	const char *dirs[] = { fixture_path("debug"), NULL };
	struct pln_symbolizer *s = pln_symbolizer_new(dirs);
	struct pln_symbol symbols[16];
	struct pln_symbol_file *file;
	uint64_t start, end;
	int rc = 0;

	if (!pln_symbolizer_file(s, NULL, fixture_path(name), NULL, 0, &file)) {
		unsigned count = pln_symbolizer_lookup(s, file, address, symbols, 16);

		pln_symbolizer_function_range(s, file, address, &start, &end);
		if (count != (name_length > 0) ||
		    (count && strlen(symbols[0].linkage_name) != name_length))
			rc = 2;
	} else if (name_length) {
		rc = 1;
	}
	pln_symbolizer_free(s);
	return rc;
}

/* A child looks: `name_length` 0: there is nothing to be found, the file may be refused. */
static void check_cheap(const char *name, uint64_t address, size_t name_length)
{
	struct rusage usage;
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		alarm(CHILD_MAX_SECONDS);
		_exit(look(name, address, name_length));
	}
	CHECK(wait4(pid, &status, 0, &usage) == pid);
	printf("%s: %ld MB, %ld.%02ld s\n", name, usage.ru_maxrss / 1024,
	       usage.ru_utime.tv_sec + usage.ru_stime.tv_sec,
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 10000 % 100);
	if (!CHECK_EQ((unsigned)status, 0) || !CHECK(usage.ru_maxrss / 1024 < PEAK_MAX_MB))
		fprintf(stderr, "\t%s\n", name);
	unlink(fixture_path(name));
}

/* --------------------------------------------------------------- names */

/* Two strings of a megabyte that differ in their last letter. */
static char *long_names(size_t *size)
{
	char *names = malloc(2 * LONG_NAME + 1);

	memset(names, 'a', 2 * LONG_NAME + 1);
	names[0] = names[LONG_NAME] = names[2 * LONG_NAME] = '\0';
	names[2 * LONG_NAME - 1] = 'b';
	*size = 2 * LONG_NAME + 1;
	return names;
}

/* Functions of 16 bytes, each `step` behind the one before it, that share the two names. */
static void test_shared_names(const char *name, unsigned count, unsigned step)
{
	struct made made = make_file();
	Elf64_Sym *symbols = calloc(count + 1, sizeof(*symbols));
	unsigned text = add_text(&made);
	size_t size;
	char *names = long_names(&size);
	Elf64_Shdr *table;

	for (unsigned i = 0; i < count; i++)
		symbols[i + 1] = (Elf64_Sym){
			.st_name = i % 2 ? LONG_NAME + 1 : 1,
			.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
			.st_shndx = (Elf64_Section)text,
			.st_value = TEXT + (uint64_t)i * step,
			.st_size = 16,
		};
	add_section(&made, ".strtab", SHT_STRTAB, names, size);
	table = add_section(&made, ".symtab", SHT_SYMTAB, symbols, (count + 1) * sizeof(*symbols));
	table->sh_link = text + 1;
	table->sh_entsize = sizeof(*symbols);
	if (write_file(&made, name))
		check_cheap(name, TEXT, NAME_MAX_BYTES);
	free(names);
	free(symbols);
}

/* Six bytes each, all through one slot of the GOT, whose function has a name of a megabyte. */
static void test_jumps(void)
{
	enum { JUMPS = 100000, SLOT = 0x8000, PLT = 0x100000 };
	struct made made = make_file();
	Elf64_Sym symbols[2] = { { 0 }, { .st_name = 1 } };
	Elf64_Rela slot = { SLOT, ELF64_R_INFO(1, R_X86_64_JUMP_SLOT), 0 };
	uint8_t *code = malloc((size_t)6 * JUMPS);
	size_t size;
	char *names = long_names(&size);

	for (int i = 0; i < JUMPS; i++) {
		int32_t distance = SLOT - (PLT + 6 * (i + 1));

		memcpy(code + (size_t)6 * i, "\xff\x25", 2);
		memcpy(code + (size_t)6 * i + 2, &distance, 4);
	}
	add_section(&made, ".dynstr", SHT_STRTAB, names, size);
	add_section(&made, ".dynsym", SHT_DYNSYM, symbols, sizeof(symbols))->sh_link = 2;
	add_section(&made, ".rela.plt", SHT_RELA, &slot, sizeof(slot))->sh_link = 3;
	add_section(&made, ".plt", SHT_PROGBITS, code, (size_t)6 * JUMPS)->sh_addr = PLT;
	if (write_file(&made, "jumps"))
		check_cheap("jumps", PLT + 1, NAME_MAX_BYTES + strlen("@plt"));
	free(names);
	free(code);
}

/* --------------------------------------------------------------- holes */

/* More than is read of anything, and less than would hurt if it was. */
#define HUGE ((uint64_t)2 << 30)

static void check_hole(struct made *made, const char *name)
{
	if (write_file(made, name))
		check_cheap(name, TEXT, 0);
}

/* A section that is nothing but a hole. */
static void test_huge_section(const char *file, const char *name, uint32_t type)
{
	struct made made = make_file();
	unsigned text = add_text(&made);
	Elf64_Shdr *section;

	section = add_section(&made, name, type, NULL, HUGE);
	section->sh_link = text;
	check_hole(&made, file);
}

/* The tables that symbols and sections have their names in. */
static void test_huge_strings(void)
{
	Elf64_Sym symbols[2] = { { 0 },
				 { .st_name = 1,
				   .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
				   .st_shndx = 2,
				   .st_value = TEXT } };
	struct made made = make_file();

	made.sections[1].header.sh_size = HUGE;
	check_hole(&made, "section_names");
	made = make_file();
	add_text(&made);
	add_section(&made, ".symtab", SHT_SYMTAB, symbols, sizeof(symbols))->sh_link = 4;
	add_section(&made, ".strtab", SHT_STRTAB, NULL, HUGE);
	check_hole(&made, "strings");
}

/* The first section says how many there are, 64 bytes each, and how many segments. */
static void test_many_headers(void)
{
	struct made made = make_file();

	made.count = 1;
	made.header.e_shstrndx = 0;
	made.sections[0].header.sh_size = HUGE / sizeof(Elf64_Shdr) / 8;
	if (write_file(&made, "sections") &&
	    CHECK(!truncate(fixture_path("sections"), (off_t)HUGE + 4096)))
		check_cheap("sections", TEXT, 0);
	made = make_file();
	made.header.e_phoff = 4096;
	made.header.e_phnum = PN_XNUM;
	made.sections[0].header.sh_info = HUGE / sizeof(Elf64_Phdr);
	add_section(&made, ".hole", SHT_PROGBITS, NULL, 2 * HUGE);
	made.header.e_shnum = (Elf64_Half)made.count;
	check_hole(&made, "segments");
}

/* The one segment, with no sections to look into first. */
static void test_huge_notes_segment(void)
{
	struct made made = make_file();
	Elf64_Phdr segment = { .p_type = PT_NOTE, .p_offset = 4096, .p_filesz = HUGE };

	add_section(&made, ".hole", SHT_PROGBITS, NULL, HUGE + 8192);
	add_section(&made, ".segments", SHT_PROGBITS, &segment, sizeof(segment));
	made.header.e_phnum = 1;
	made.header.e_phoff = sizeof(Elf64_Ehdr) + made.count * sizeof(Elf64_Shdr) + HUGE + 8192;
	/* Where the names of the sections are to be. */
	made.header.e_phoff += sizeof(".shstrtab") + sizeof(".hole") + sizeof(".segments") + 1;
	check_hole(&made, "notes_segment");
}

/* The debug file that the link names is mostly a hole: its checksum would take an hour. */
static void test_huge_debug_file(void)
{
	static const char link[] = "huge.debug\0\0abcd";
	struct made made = make_file();

	CHECK(fixture_run("gcc -O2 -o huge.debug $S/inlined.c && truncate -s 8T huge.debug"));
	add_section(&made, ".gnu_debuglink", SHT_PROGBITS, link, 16);
	check_hole(&made, "huge_debug_file");
	unlink(fixture_path("huge.debug"));
}

/* A link of some MB that says to unpack to 500 MB, and would. */
static void test_packed_link(void)
{
	size_t size = (size_t)500 << 20;
	uLongf packed_size = compressBound(1 << 20) + sizeof(Elf64_Chdr) + (size >> 7);
	uint8_t *packed = malloc(packed_size), *zeros = calloc(1, size);
	Elf64_Chdr head = { .ch_type = ELFCOMPRESS_ZLIB, .ch_size = size, .ch_addralign = 1 };
	struct made made = make_file();

	memcpy(packed, &head, sizeof(head));
	memcpy(zeros, "none", 4);
	packed_size -= sizeof(head);
	CHECK_EQ(compress2(packed + sizeof(head), &packed_size, zeros, size, 1), Z_OK);
	free(zeros);
	add_section(&made, ".gnu_debuglink", SHT_PROGBITS, packed, packed_size + sizeof(head))
		->sh_flags = SHF_COMPRESSED;
	check_hole(&made, "packed_link");
	free(packed);
}

int main(void)
{
	test_shared_names("shared_names", 30000, 16);
	test_shared_names("one_address", 30000, 0);
	test_jumps();
	test_huge_section("notes", ".note", SHT_NOTE);
	test_huge_section("symbols", ".symtab", SHT_SYMTAB);
	test_huge_section("relocations", ".rela.plt", SHT_RELA);
	test_huge_section("stubs", ".plt", SHT_PROGBITS);
	test_huge_section("frames", ".eh_frame", SHT_PROGBITS);
	test_huge_section("link", ".gnu_debuglink", SHT_PROGBITS);
	test_huge_section("mini", ".gnu_debugdata", SHT_PROGBITS);
	test_huge_strings();
	test_many_headers();
	test_huge_notes_segment();
	test_packed_link();
	if (fixture_has("gcc"))
		test_huge_debug_file();
	return check_result();
}
