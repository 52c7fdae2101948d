/* SPDX-License-Identifier: MIT */
/*
 * diagnose.c - see diagnose.h. Looks at the file that was executed: LD_PRELOAD is
 * ignored, without a word, by static, setuid and foreign programs.
 */
#include "cli/diagnose.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <pillion/values.h>

#include "cli/library.h"
#include "cli/program.h"

#define MAX_SCRIPTS 4 /* as deep as the kernel follows #! */

struct image {
	char path[PATH_MAX];
	struct stat st;
	const unsigned char *bytes;
	size_t size;
};

static bool open_image(struct image *image)
{
	int fd = open(image->path, O_RDONLY | O_CLOEXEC);
	void *bytes;

	if (fd < 0)
		return false;
	bytes = MAP_FAILED;
	if (!fstat(fd, &image->st) && S_ISREG(image->st.st_mode) && image->st.st_size > 0)
		bytes = mmap(NULL, (size_t)image->st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (bytes == MAP_FAILED)
		return false;
	image->bytes = bytes;
	image->size = (size_t)image->st.st_size;
	return true;
}

static void close_image(struct image *image)
{
	if (image->bytes)
		munmap((void *)image->bytes, image->size);
	image->bytes = NULL;
}

/*
 * "#!/path/interpreter argument": the interpreter's path, or what env(1) is told to
 * run. Returns false when the file is no script.
 */
static bool script_interpreter(const struct image *image, char path[PATH_MAX])
{
	char line[PATH_MAX] = "", *save = NULL, *word;
	size_t length = image->size < sizeof(line) - 1 ? image->size : sizeof(line) - 1;

	if (length < 3 || memcmp(image->bytes, "#!", 2))
		return false;
	memcpy(line, image->bytes + 2, length - 2);
	line[strcspn(line, "\n")] = '\0';
	word = strtok_r(line, " \t", &save);
	if (!word)
		return false;
	if (strlen(word) < 4 || strcmp(word + strlen(word) - 4, "/env"))
		return snprintf(path, PATH_MAX, "%s", word) < PATH_MAX;
	do
		word = strtok_r(NULL, " \t", &save);
	while (word && (*word == '-' || strchr(word, '=')));
	return word && pln_program_find(word, path);
}

static bool is_elf(const struct image *image)
{
	return image->size >= sizeof(Elf64_Ehdr) && !memcmp(image->bytes, ELFMAG, SELFMAG);
}

static bool is_foreign(const struct image *image)
{
	const Elf64_Ehdr *ehdr = (const void *)image->bytes;

	return image->bytes[EI_CLASS] != ELFCLASS64 || ehdr->e_machine != EM_X86_64;
}

static bool read_at(const struct image *image, uint64_t at, void *to, size_t size)
{
	if (at > image->size || image->size - at < size)
		return false;
	memcpy(to, image->bytes + at, size);
	return true;
}

/* The program header `i`. False: there are not that many. */
static bool read_header(const struct image *image, unsigned i, Elf64_Phdr *header)
{
	const Elf64_Ehdr *ehdr = (const void *)image->bytes;

	return i < ehdr->e_phnum && read_at(image, ehdr->e_phoff + (uint64_t)i * sizeof(*header),
					    header, sizeof(*header));
}

static bool find_header(const struct image *image, uint32_t type, Elf64_Phdr *header)
{
	for (unsigned i = 0; read_header(image, i, header); i++)
		if (header->p_type == type)
			return true;
	return false;
}

/* The loader that the program asks for; "" none: it is static. */
static void read_loader(const struct image *image, char *loader, size_t size)
{
	Elf64_Phdr header;

	*loader = '\0';
	if (!find_header(image, PT_INTERP, &header) || header.p_offset > image->size ||
	    header.p_filesz > image->size - header.p_offset)
		return;
	snprintf(loader, size, "%.*s", (int)(header.p_filesz < size ? header.p_filesz : size),
		 (const char *)image->bytes + header.p_offset);
}

/* Where in the file an address is; past its end: nowhere. */
static uint64_t offset_of(const struct image *image, uint64_t address)
{
	Elf64_Phdr header;

	for (unsigned i = 0; read_header(image, i, &header); i++)
		if (header.p_type == PT_LOAD && address >= header.p_vaddr &&
		    address - header.p_vaddr < header.p_filesz)
			return header.p_offset + (address - header.p_vaddr);
	return UINT64_MAX;
}

/* The next entry of that tag, from entry *i on, which is moved behind it. */
static bool next_dynamic(const struct image *image, const Elf64_Phdr *dynamic, Elf64_Sxword tag,
			 uint64_t *i, uint64_t *value)
{
	Elf64_Dyn entry;

	while (*i < dynamic->p_filesz / sizeof(entry) &&
	       read_at(image, dynamic->p_offset + (*i)++ * sizeof(entry), &entry, sizeof(entry)) &&
	       entry.d_tag != DT_NULL)
		if (entry.d_tag == tag) {
			*value = entry.d_un.d_val;
			return true;
		}
	return false;
}

/* It is linked to AddressSanitizer's shared runtime. */
static bool has_sanitizer(const struct image *image)
{
	uint64_t i = 0, strings, name;
	char text[PLN_LIBRARY_RUNTIME_MAX + 1] = "";
	Elf64_Phdr dynamic;

	if (!is_elf(image) || is_foreign(image) || !find_header(image, PT_DYNAMIC, &dynamic) ||
	    !next_dynamic(image, &dynamic, DT_STRTAB, &i, &strings))
		return false;
	strings = offset_of(image, strings);
	if (strings > image->size)
		return false;
	for (i = 0; next_dynamic(image, &dynamic, DT_NEEDED, &i, &name);)
		if (read_at(image, strings + name, text, sizeof(text) - 1) &&
		    pln_library_must_be_first(text))
			return true;
	return false;
}

static bool is_privileged(const struct image *image)
{
	return image->st.st_mode & (S_ISUID | S_ISGID) ||
	       getxattr(image->path, "security.capability", NULL, 0) > 0;
}

static bool is_python(const struct image *image)
{
	return memmem(image->bytes, image->size, "_PyRuntime", 10) ||
	       memmem(image->bytes, image->size, "libpython", 9);
}

/* Any of its builds has the name of that variable in it, and nothing else has. */
static bool is_pillion(const struct image *image)
{
	return memmem(image->bytes, image->size, "PILLION_ONLY_PID", 16);
}

static void judge(const struct image *image, char *text, size_t size)
{
	const char *path = image->path;
	char loader[PATH_MAX];

	if (!is_elf(image)) {
		snprintf(text, size,
			 "%s is not a program that can be preloaded; give pillion the "
			 "python command itself",
			 path);
		return;
	}
	if (is_foreign(image)) {
		snprintf(text, size,
			 "%s is not an x86-64 program, and libpillion.so is; use a "
			 "64-bit x86 Python",
			 path);
		return;
	}
	read_loader(image, loader, sizeof(loader));
	if (!*loader)
		snprintf(text, size,
			 "%s is statically linked, so nothing can be preloaded into "
			 "it; use a dynamically linked Python",
			 path);
	else if (is_privileged(image))
		snprintf(text, size,
			 "%s is setuid or has file capabilities, so the loader ignores "
			 "LD_PRELOAD; run pillion behind it, in front of python",
			 path);
	else if (strstr(loader, "musl"))
		snprintf(text, size,
			 "%s uses musl, and libpillion.so was built for glibc; use a "
			 "glibc Python",
			 path);
	else if (!pln_library_is_behind_another() && has_sanitizer(image))
		snprintf(text, size,
			 "%s ends where a library comes before AddressSanitizer's, and ran "
			 "without Pillion; name that one in LD_PRELOAD to record it",
			 path);
	else if (is_pillion(image))
		snprintf(text, size,
			 "%s is pillion itself, which is not recorded; what it records goes into "
			 "its own profile",
			 path);
	else if (is_python(image))
		snprintf(text, size,
			 "%s is Python, but --include or --exclude left it out, it ended before "
			 "sampling began, or was kept from it: PILLION_LOG=debug says by what",
			 path);
	else
		snprintf(text, size,
			 "%s is not Python, and started none that kept its environment and began "
			 "before it ended; give pillion the python command itself, or --wait",
			 path);
}

/* What runs for the command: a script's interpreter. False: it cannot be read. */
static bool open_program(struct image *image, const char *command)
{
	char next[PATH_MAX];

	*image = (struct image){ .bytes = NULL };
	if (!pln_program_find(command, image->path))
		snprintf(image->path, sizeof(image->path), "%s", command);
	if (!open_image(image))
		return false;
	for (int i = 0; i < MAX_SCRIPTS && script_interpreter(image, next); i++) {
		close_image(image);
		strcpy(image->path, next);
		if (!open_image(image))
			return false;
	}
	return true;
}

void pln_diagnose(const char *command, char *text, size_t size)
{
	const char *disabled = getenv("PILLION_DISABLE");
	struct image image;

	if (disabled && pln_value_disables(disabled)) {
		snprintf(text, size, "PILLION_DISABLE is set; unset it to record");
		return;
	}
	if (!open_program(&image, command)) {
		snprintf(text, size, "%s could not be read to see why; is it Python?", image.path);
		return;
	}
	judge(&image, text, size);
	close_image(&image);
}

bool pln_diagnose_has_sanitizer(const char *command)
{
	struct image image;
	bool has;

	if (!open_program(&image, command))
		return false;
	has = has_sanitizer(&image);
	close_image(&image);
	return has;
}
