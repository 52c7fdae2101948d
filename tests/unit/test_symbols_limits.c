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

int main(void)
{
	test_shared_names("shared_names", 30000, 16);
	test_shared_names("one_address", 30000, 0);
	test_jumps();
	return check_result();
}
