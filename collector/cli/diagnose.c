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

/* The loader that the program asks for; "" none: it is static. */
static void read_loader(const struct image *image, char *loader, size_t size)
{
	const Elf64_Ehdr *ehdr = (const void *)image->bytes;

	*loader = '\0';
	for (unsigned i = 0; i < ehdr->e_phnum; i++) {
		uint64_t at = ehdr->e_phoff + (uint64_t)i * sizeof(Elf64_Phdr);
		Elf64_Phdr phdr;

		if (at > image->size || image->size - at < sizeof(phdr))
			return;
		memcpy(&phdr, image->bytes + at, sizeof(phdr));
		if (phdr.p_type != PT_INTERP || phdr.p_offset > image->size ||
		    phdr.p_filesz > image->size - phdr.p_offset)
			continue;
		snprintf(loader, size, "%.*s", (int)(phdr.p_filesz < size ? phdr.p_filesz : size),
			 (const char *)image->bytes + phdr.p_offset);
		return;
	}
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

void pln_diagnose(const char *command, char *text, size_t size)
{
	struct image image = { .bytes = NULL };
	const char *disabled = getenv("PILLION_DISABLE");
	char next[PATH_MAX];

	if (disabled && pln_value_disables(disabled)) {
		snprintf(text, size, "PILLION_DISABLE is set; unset it to record");
		return;
	}
	if (!pln_program_find(command, image.path) || !open_image(&image)) {
		snprintf(text, size, "%s could not be read to see why; is it Python?", command);
		return;
	}
	for (int i = 0; i < MAX_SCRIPTS && script_interpreter(&image, next); i++) {
		close_image(&image);
		strcpy(image.path, next);
		if (!open_image(&image)) {
			snprintf(text, size, "%s could not be read to see why; is it Python?",
				 next);
			return;
		}
	}
	judge(&image, text, size);
	close_image(&image);
}
