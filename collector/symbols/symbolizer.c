/* SPDX-License-Identifier: MIT */
/*
 * symbolizer.c - files opened once, and the best that each of them says of an address.
 *
 * A file is checked when it is opened and read when it is first asked: modules that no
 * sample hit cost one open fd. DWARF names and lines win; the symbol table gives the
 * linkage name, and all that is known where there is no DWARF. Where there is no symbol
 * either, the tables for unwinding still tell functions apart.
 */
#include "symbols/symbols.h"

#include "symbols/arena.h"
#include "symbols/debug_file.h"
#include "symbols/demangle.h"
#include "symbols/dwarf_file.h"
#include "symbols/elf_fdes.h"
#include "symbols/elf_symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>

/* Deeper chains of inlined functions are shown without their middle. */
#define FRAMES_MAX 128

struct pln_symbol_file {
	struct pln_symbol_file *next;
	dev_t device;
	ino_t inode;
	char *path; /* as the target sees it */
	char *root; /* or NULL */
	struct pln_elf *elf; /* until it is loaded */
	bool loaded;
	struct pln_symtab symbols;
	struct pln_array fdes; /* struct pln_fde */
	struct pln_dwarf_file *dwarf; /* or NULL */
	char *debug_path; /* or NULL */
	const char *source;
};

struct pln_symbolizer {
	struct pln_arena *arena;
	struct pln_symbol_file *files;
	struct pln_dwarf_pool pool;
	char **debug_dirs; /* NULL-terminated */
};

static char **copy_list(const char *const *list)
{
	size_t count = 0;
	char **copy;

	while (list[count])
		count++;
	copy = calloc(count + 1, sizeof(*copy));
	for (size_t i = 0; copy && i < count; i++)
		copy[i] = strdup(list[i]);
	return copy;
}

static void free_list(char **list)
{
	for (char **item = list; item && *item; item++)
		free(*item);
	free(list);
}

struct pln_symbolizer *pln_symbolizer_new(const char *const *debug_dirs)
{
	static const char *const standard[] = { "/usr/lib/debug", NULL };
	struct pln_symbolizer *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->arena = pln_arena_new();
	s->debug_dirs = copy_list(debug_dirs ? debug_dirs : standard);
	if (s->arena && s->debug_dirs)
		return s;
	pln_symbolizer_free(s);
	return NULL;
}

static void free_file(struct pln_symbol_file *file)
{
	pln_elf_close(file->elf);
	pln_symtab_free(&file->symbols);
	pln_array_free(&file->fdes);
	pln_dwarf_file_free(file->dwarf);
	free(file->debug_path);
	free(file->path);
	free(file->root);
	free(file);
}

void pln_symbolizer_free(struct pln_symbolizer *s)
{
	struct pln_symbol_file *next;

	if (!s)
		return;
	for (struct pln_symbol_file *file = s->files; file; file = next) {
		next = file->next;
		free_file(file);
	}
	free_list(s->debug_dirs);
	pln_arena_free(s->arena);
	free(s);
}

static int check_build(const uint8_t *build_id, size_t size, struct pln_elf **elf)
{
	if (!size || pln_elf_same_build(*elf, build_id, size))
		return 0;
	pln_elf_close(*elf);
	*elf = NULL;
	return -ESTALE;
}

static int open_checked(const char *path, const uint8_t *build_id, size_t size,
			struct pln_elf **elf)
{
	int rc = pln_elf_open(path, elf);

	return rc ? rc : check_build(build_id, size, elf);
}

/* The kernel's own library is in no file, but in this process too: the same when its build is. */
static int open_vdso(const uint8_t *build_id, size_t size, struct pln_elf **elf)
{
	const char *image = (const char *)getauxval(AT_SYSINFO_EHDR);
	const Elf64_Ehdr *header = (const void *)image;
	size_t image_size;
	void *copy;
	int rc;

	if (!image || !size)
		return -ENOENT;
	/* The section headers come last in it. */
	image_size = header->e_shoff + (size_t)header->e_shnum * header->e_shentsize;
	copy = malloc(image_size);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, image, image_size);
	rc = pln_elf_open_memory(copy, image_size, elf);
	return rc ? rc : check_build(build_id, size, elf);
}

/*
 * Under the root first. The same path in our own root may be another file: it is taken
 * only when its build id proves that it is not.
 */
static int open_target(const char *root, const char *path, const uint8_t *build_id, size_t size,
		       struct pln_elf **elf)
{
	char rooted[PATH_MAX];
	int rc;

	if (!strcmp(path, "[vdso]"))
		return open_vdso(build_id, size, elf);
	if (!root)
		return open_checked(path, build_id, size, elf);
	if (snprintf(rooted, sizeof(rooted), "%s%s", root, path) >= (int)sizeof(rooted))
		return -ENAMETOOLONG;
	rc = open_checked(rooted, build_id, size, elf);
	if (rc && size && !open_checked(path, build_id, size, elf))
		return 0;
	return rc;
}

static struct pln_symbol_file *find_open(struct pln_symbolizer *s, const struct stat *st)
{
	for (struct pln_symbol_file *file = s->files; file; file = file->next) {
		if (file->device == st->st_dev && file->inode == st->st_ino)
			return file;
	}
	return NULL;
}

static struct pln_symbol_file *add_file(struct pln_symbolizer *s, const char *root,
					const char *path, const struct stat *st)
{
	struct pln_symbol_file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	file->device = st->st_dev;
	file->inode = st->st_ino;
	file->path = strdup(path);
	file->root = root ? strdup(root) : NULL;
	file->source = "none";
	if (!file->path || (root && !file->root)) {
		free_file(file);
		return NULL;
	}
	file->next = s->files;
	s->files = file;
	return file;
}

int pln_symbolizer_file(struct pln_symbolizer *s, const char *root, const char *path,
			const uint8_t *build_id, size_t build_id_size, struct pln_symbol_file **out)
{
	struct pln_symbol_file *file;
	struct pln_elf *elf;
	struct stat st = { 0 };
	int rc = open_target(root, path, build_id, build_id_size, &elf);

	if (rc)
		return rc;
	if (elf->fd >= 0 && fstat(elf->fd, &st)) {
		pln_elf_close(elf);
		return -EIO;
	}
	file = find_open(s, &st);
	if (file) {
		pln_elf_close(elf);
		*out = file;
		return 0;
	}
	file = add_file(s, root, path, &st);
	if (!file) {
		pln_elf_close(elf);
		return -ENOMEM;
	}
	file->elf = elf;
	*out = file;
	return 0;
}

/* Opens the DWARF that `holder` (at `path`) has. */
static void open_dwarf(struct pln_symbolizer *s, struct pln_symbol_file *file,
		       const struct pln_debug_search *search, const struct pln_elf *holder,
		       const char *path)
{
	struct pln_dwarf_source source = {
		.alt_fd = -1,
		.code_low = file->elf->code_low,
		.code_high = file->elf->code_high,
	};
	struct pln_elf *alt;
	char *alt_path;

	if (!pln_elf_has(holder, ".debug_info") && !pln_elf_has(holder, ".zdebug_info"))
		return;
	source.fd = fcntl(holder->fd, F_DUPFD_CLOEXEC, 0);
	if (source.fd < 0)
		return;
	if (!pln_debug_file_find_alt(search, holder, path, &alt, &alt_path)) {
		source.alt_fd = fcntl(alt->fd, F_DUPFD_CLOEXEC, 0);
		pln_elf_close(alt);
		free(alt_path);
	}
	file->dwarf = pln_dwarf_file_new(&s->pool, &source);
}

/* The file's own DWARF, else that of its debug file; symbols of all there is. */
static void load(struct pln_symbolizer *s, struct pln_symbol_file *file)
{
	struct pln_debug_search search = { file->root, (const char *const *)s->debug_dirs };
	struct pln_elf *debug = NULL, *mini = NULL;

	file->loaded = true;
	pln_symtab_add(&file->symbols, file->elf);
	pln_fdes_read(file->elf, &file->fdes);
	open_dwarf(s, file, &search, file->elf, file->path);
	if (!file->dwarf &&
	    !pln_debug_file_find(&search, file->elf, file->path, &debug, &file->debug_path)) {
		pln_symtab_add(&file->symbols, debug);
		open_dwarf(s, file, &search, debug, file->debug_path);
	}
	if (!file->symbols.has_symtab && !pln_debug_file_unpack_mini(file->elf, &mini))
		pln_symtab_add(&file->symbols, mini);
	pln_symtab_finish(&file->symbols, s->arena);
	if (file->dwarf)
		file->source = "dwarf";
	else if (file->symbols.slices.size)
		file->source = file->symbols.has_symtab ? "symtab" : "dynsym";
	pln_elf_close(mini);
	pln_elf_close(debug);
	pln_elf_close(file->elf);
	file->elf = NULL;
}

static const char *symbol_name(struct pln_symbolizer *s, struct pln_elf_symbol *symbol)
{
	if (!symbol->name)
		symbol->name = pln_shown_name(s->arena, symbol->linkage_name);
	return symbol->name;
}

static void fill(struct pln_symbol *out, const struct pln_dwarf_frame *frames, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		out[i] = (struct pln_symbol){
			.name = frames[i].name,
			.linkage_name = frames[i].linkage_name,
			.file = frames[i].file,
			.line = frames[i].line,
			.decl_line = frames[i].decl_line,
			.inlined = i + 1 < count,
		};
	}
}

unsigned pln_symbolizer_lookup(struct pln_symbolizer *s, struct pln_symbol_file *file,
			       uint64_t address, struct pln_symbol *out, unsigned max)
{
	struct pln_dwarf_frame frames[FRAMES_MAX];
	struct pln_elf_symbol *symbol;
	unsigned count = 0;

	if (!max)
		return 0;
	if (!file->loaded)
		load(s, file);
	symbol = pln_symtab_find(&file->symbols, s->arena, address);
	if (file->dwarf)
		count = pln_dwarf_file_frames(file->dwarf, s->arena, address, frames,
					      max < FRAMES_MAX ? max : FRAMES_MAX);
	if (!count && !symbol)
		return 0;
	if (!count)
		frames[count++] = (struct pln_dwarf_frame){ "", "", "", 0, 0 };
	fill(out, frames, count);
	if (!symbol)
		return count;
	/* The physical function has the symbol's linkage name, with what a split appended. */
	out[count - 1].linkage_name = symbol->linkage_name;
	if (!*out[count - 1].name)
		out[count - 1].name = symbol_name(s, symbol);
	return count;
}

bool pln_symbolizer_function_range(struct pln_symbolizer *s, struct pln_symbol_file *file,
				   uint64_t address, uint64_t *start, uint64_t *end)
{
	const struct pln_fde *fde;

	if (!file->loaded)
		load(s, file);
	fde = pln_fdes_find(&file->fdes, address);
	if (!fde)
		return false;
	*start = fde->start;
	*end = fde->end;
	return true;
}

const char *pln_symbol_file_source(const struct pln_symbol_file *file)
{
	return file->source;
}

const char *pln_symbol_file_debug_path(const struct pln_symbol_file *file)
{
	return file->debug_path ? file->debug_path : "";
}

const char *pln_symbol_file_problem(const struct pln_symbol_file *file)
{
	return file->dwarf ? pln_dwarf_file_problem(file->dwarf) : "";
}
