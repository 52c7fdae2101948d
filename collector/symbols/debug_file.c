/* SPDX-License-Identifier: MIT */
/*
 * debug_file.c - the search for separate debug files.
 *
 * Every file found is checked (build id, or the checksum of the link) before it is
 * used: with the wrong one every name and line would be wrong and look right.
 *
 *   build id       <dir>/.build-id/ab/cdef....debug
 *   .gnu_debuglink <dirname>/NAME, <dirname>/.debug/NAME, <dir>/<dirname>/NAME
 *   dwz            the path in .gnu_debugaltlink (relative to the file that has it),
 *                  <dir>/.build-id/ab/cdef....debug, <dir>/.dwz/NAME
 */
#include "symbols/debug_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#ifdef PILLION_HAVE_LZMA
#include <lzma.h>
#endif

/* Symbols of the biggest programs unpack to a tenth of this. */
#define MINI_MAX_BYTES ((size_t)256 << 20)

/* In the file: what programs with two million functions would have. */
#define MINI_PACKED_MAX_BYTES ((uint64_t)32 << 20)

/* A file's name, four bytes of padding at most, and a checksum or a build id. */
#define LINK_MAX_BYTES ((uint64_t)PATH_MAX + 4 + PLN_BUILD_ID_MAX)

/*
 * Of a debug file whose checksum is to be right, which means to read all of it, some seconds
 * for this much. The largest are those of browsers with 2 to 3 GB, and found by build id.
 */
#define SUMMED_MAX_BYTES ((uint64_t)4 << 30)

/* What the file that is looked for must be. */
struct wanted {
	const struct pln_elf *owner; /* the file itself is not its own debug file */
	const uint8_t *build_id;
	size_t build_id_size;
	bool check_crc;
	uint32_t crc;
};

static bool file_crc(const struct pln_elf *file, uint32_t *crc)
{
	static uint8_t block[1 << 16];
	uint64_t at = 0;
	ssize_t got = 1;

	if (file->size > SUMMED_MAX_BYTES)
		return false;
	*crc = (uint32_t)crc32(0, NULL, 0);
	/* It may grow meanwhile. */
	while (got > 0 && at <= SUMMED_MAX_BYTES) {
		got = pread(file->fd, block, sizeof(block), (off_t)at);
		if (got > 0) {
			*crc = (uint32_t)crc32(*crc, block, (uInt)got);
			at += (uint64_t)got;
		}
	}
	return got == 0;
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return a >= 0 && b >= 0 && !fstat(a, &x) && !fstat(b, &y) && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

static bool is_wanted(const struct wanted *wanted, const struct pln_elf *file)
{
	uint32_t crc;

	if (wanted->owner && same_file(wanted->owner->fd, file->fd))
		return false;
	if (wanted->build_id_size && (file->build_id_size || !wanted->check_crc) &&
	    !pln_elf_same_build(file, wanted->build_id, wanted->build_id_size))
		return false;
	return !wanted->check_crc || (file_crc(file, &crc) && crc == wanted->crc);
}

static int try_path(const struct wanted *wanted, const char *path, struct pln_elf **found,
		    char **found_path)
{
	if (pln_elf_open(path, found))
		return -ENOENT;
	if (is_wanted(wanted, *found)) {
		*found_path = strdup(path);
		if (*found_path)
			return 0;
	}
	pln_elf_close(*found);
	*found = NULL;
	return -ENOENT;
}

/* The path under the root, then the path alone. */
static int try_both(const struct pln_debug_search *search, const struct wanted *wanted,
		    const char *path, struct pln_elf **found, char **found_path)
{
	char rooted[PATH_MAX];

	if (search->root && path[0] == '/' &&
	    snprintf(rooted, sizeof(rooted), "%s%s", search->root, path) < (int)sizeof(rooted) &&
	    !try_path(wanted, rooted, found, found_path))
		return 0;
	return try_path(wanted, path, found, found_path);
}

static int try_build_id(const struct pln_debug_search *search, const struct wanted *wanted,
			struct pln_elf **found, char **found_path)
{
	char path[PATH_MAX], id[2 * PLN_BUILD_ID_MAX + 1] = "";

	if (wanted->build_id_size < 2 || wanted->build_id_size > PLN_BUILD_ID_MAX)
		return -ENOENT;
	for (size_t i = 0; i < wanted->build_id_size; i++)
		snprintf(id + 2 * i, 3, "%02x", wanted->build_id[i]);
	for (const char *const *dir = search->dirs; *dir; dir++) {
		if (snprintf(path, sizeof(path), "%s/.build-id/%.2s/%s.debug", *dir, id, id + 2) <
			    (int)sizeof(path) &&
		    !try_both(search, wanted, path, found, found_path))
			return 0;
	}
	return -ENOENT;
}

/* Length of "/usr/lib" in "/usr/lib/libfoo.so". */
static int dirname_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (int)(slash - path) : 0;
}

static int try_link(const struct pln_debug_search *search, const struct wanted *wanted,
		    const char *path, const char *name, struct pln_elf **found, char **found_path)
{
	static const char *const beside[] = { "/", "/.debug/" };
	int length = dirname_length(path);
	const char *dirname = length || path[0] == '/' ? path : ".";
	char candidate[PATH_MAX];

	if (!length && path[0] != '/')
		length = 1;
	for (size_t i = 0; i < 2; i++) {
		if (snprintf(candidate, sizeof(candidate), "%.*s%s%s", length, dirname, beside[i],
			     name) < (int)sizeof(candidate) &&
		    !try_both(search, wanted, candidate, found, found_path))
			return 0;
	}
	for (const char *const *dir = search->dirs; *dir && path[0] == '/'; dir++) {
		if (snprintf(candidate, sizeof(candidate), "%s%.*s/%s", *dir, length, path, name) <
			    (int)sizeof(candidate) &&
		    !try_both(search, wanted, candidate, found, found_path))
			return 0;
	}
	return -ENOENT;
}

/*
 * Both kinds of link are a file name that ends in NUL and then bytes: a checksum,
 * aligned to 4, or a build id. Returns a copy of the section's bytes, or NULL.
 */
static char *read_link(const struct pln_elf *file, const char *section_name, size_t *name_length,
		       size_t *size)
{
	GElf_Shdr header;
	Elf_Scn *section = pln_elf_section(file, section_name, &header);
	struct pln_content content;
	char *copy;

	if (!section || pln_elf_content(file, section, &header, LINK_MAX_BYTES, &content))
		return NULL;
	copy = malloc(content.size + 1);
	if (copy) {
		memcpy(copy, content.data, content.size);
		*name_length = strnlen(copy, content.size);
		*size = content.size;
	}
	pln_content_free(&content);
	if (copy && *name_length && *name_length < *size)
		return copy;
	free(copy);
	return NULL;
}

static int find_by_link(const struct pln_debug_search *search, struct wanted *wanted,
			const char *path, struct pln_elf **found, char **found_path)
{
	size_t length, size, at;
	char *link = read_link(wanted->owner, ".gnu_debuglink", &length, &size);
	int rc = -ENOENT;

	if (!link)
		return -ENOENT;
	at = (length + 4) & ~(size_t)3;
	if (at + sizeof(wanted->crc) <= size && !strchr(link, '/')) {
		memcpy(&wanted->crc, link + at, sizeof(wanted->crc));
		wanted->check_crc = true;
		rc = try_link(search, wanted, path, link, found, found_path);
	}
	free(link);
	return rc;
}

int pln_debug_file_find(const struct pln_debug_search *search, const struct pln_elf *file,
			const char *path, struct pln_elf **found, char **found_path)
{
	struct wanted wanted = {
		.owner = file,
		.build_id = file->build_id,
		.build_id_size = file->build_id_size,
	};

	if (!try_build_id(search, &wanted, found, found_path))
		return 0;
	return find_by_link(search, &wanted, path, found, found_path);
}

static int find_alt(const struct pln_debug_search *search, const struct wanted *wanted,
		    const char *path, const char *name, struct pln_elf **found, char **found_path)
{
	const char *slash = strrchr(name, '/');
	char candidate[PATH_MAX];
	int dirname = dirname_length(path);

	if (name[0] == '/' && !try_both(search, wanted, name, found, found_path))
		return 0;
	if (name[0] != '/' &&
	    snprintf(candidate, sizeof(candidate), "%.*s%s%s", dirname, path,
		     dirname || path[0] == '/' ? "/" : "", name) < (int)sizeof(candidate) &&
	    !try_path(wanted, candidate, found, found_path))
		return 0;
	if (!try_build_id(search, wanted, found, found_path))
		return 0;
	for (const char *const *dir = search->dirs; *dir; dir++) {
		if (snprintf(candidate, sizeof(candidate), "%s/.dwz/%s", *dir,
			     slash ? slash + 1 : name) < (int)sizeof(candidate) &&
		    !try_both(search, wanted, candidate, found, found_path))
			return 0;
	}
	return -ENOENT;
}

int pln_debug_file_find_alt(const struct pln_debug_search *search, const struct pln_elf *file,
			    const char *path, struct pln_elf **found, char **found_path)
{
	size_t length, size;
	char *link = read_link(file, ".gnu_debugaltlink", &length, &size);
	struct wanted wanted = { .owner = file };
	int rc = -ENOENT;

	if (!link)
		return -ENODATA;
	wanted.build_id = (uint8_t *)link + length + 1;
	wanted.build_id_size = size - length - 1;
	/* All that follows the name is the id: as long as the file likes. */
	if (wanted.build_id_size && wanted.build_id_size <= PLN_BUILD_ID_MAX)
		rc = find_alt(search, &wanted, path, link, found, found_path);
	free(link);
	return rc;
}

#ifdef PILLION_HAVE_LZMA
/* Grows the output until all of it fits. */
static uint8_t *unpack_xz(const struct pln_content *packed, size_t *size)
{
	for (size_t room = 16 * packed->size + 4096; room <= MINI_MAX_BYTES; room *= 4) {
		uint64_t memory = UINT64_C(128) << 20;
		size_t from = 0, to = 0;
		uint8_t *out = malloc(room);
		lzma_ret rc;

		if (!out)
			return NULL;
		rc = lzma_stream_buffer_decode(&memory, 0, NULL, packed->data, &from, packed->size,
					       out, &to, room);
		if (rc == LZMA_OK) {
			*size = to;
			return out;
		}
		free(out);
		if (rc != LZMA_BUF_ERROR)
			return NULL;
	}
	return NULL;
}

int pln_debug_file_unpack_mini(const struct pln_elf *file, struct pln_elf **found)
{
	GElf_Shdr header;
	Elf_Scn *section = pln_elf_section(file, ".gnu_debugdata", &header);
	struct pln_content packed;
	uint8_t *unpacked;
	size_t size;

	if (!section || pln_elf_content(file, section, &header, MINI_PACKED_MAX_BYTES, &packed))
		return -ENOENT;
	unpacked = unpack_xz(&packed, &size);
	pln_content_free(&packed);
	return unpacked ? pln_elf_open_memory(unpacked, size, found) : -ENOENT;
}
#else
int pln_debug_file_unpack_mini(const struct pln_elf *file, struct pln_elf **found)
{
	(void)file;
	(void)found;
	return -ENOENT;
}
#endif
