/* SPDX-License-Identifier: MIT */
/*
 * rotation.c - see rotation.h.
 *
 * What is removed is chosen with care: a regular file in the directory of the profile, of a
 * name that the template can make, that begins as a profile does, and that nobody has
 * locked: files that are being written to are (template.c).
 */
#include "cli/rotation.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pillion/duration.h>

#include "profile/format.h"

#define KEEP_LEAST (1u << 20)
#define PARTS 4 /* of what is kept, one file has at most */
#define PATTERN_SIZE 8192

/* ------------------------------------------------------------------ parsing */

/* "10M" to bytes: a whole number above 0, and its unit. */
static bool parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGT"; /* each 1024 of the one before it */
	char *end;
	const char *unit;
	unsigned shift;

	errno = 0;
	*bytes = strtoull(text, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (*text < '0' || *text > '9' || errno || !unit || end[1])
		return false;
	shift = 10 * (unsigned)(unit - units + 1);
	if (!*bytes || *bytes > UINT64_MAX / 2 >> shift)
		return false;
	*bytes <<= shift;
	return true;
}

/* Never "10", which could be either, nor "10m", which to other tools is a size. */
static bool parse_time(const char *text, uint64_t *ns)
{
	const char *unit = text + strspn(text, "0123456789.");

	return *unit && strcmp(unit, "m") != 0 && pln_duration_parse(text, ns) &&
	       *ns >= PILLION_SECOND_NS;
}

static bool parse_rotate(struct pln_rotation *r, const char *text)
{
	char copy[64], *rest = copy, *one;

	if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy))
		return false;
	while ((one = strsep(&rest, ",")))
		if (!parse_time(one, &r->every_ns) && !parse_size(one, &r->size_bytes))
			return false;
	return true;
}

static bool parse_keep(struct pln_rotation *r, const char *text)
{
	return parse_size(text, &r->keep_bytes) && r->keep_bytes >= KEEP_LEAST;
}

/*
 * Who goes on without what is wrong must have none of it: of "500MB" the number alone was read, and
 * to keep 500 bytes is to remove everything.
 */
static int refuse(struct pln_rotation *r, const char *wanted, const char *text, char *why,
		  size_t size)
{
	r->every_ns = r->size_bytes = r->keep_bytes = 0;
	snprintf(why, size, "%s; not '%s'", wanted, text);
	return -EINVAL;
}

int pln_rotation_parse(struct pln_rotation *r, const char *rotate, const char *keep, char *why,
		       size_t size)
{
	r->every_ns = r->size_bytes = r->keep_bytes = 0;
	if (rotate && *rotate && !parse_rotate(r, rotate))
		return refuse(r,
			      "--rotate and PILLION_ROTATE want a time, a size, or both, such as "
			      "60s, 1h, 10M or 60s,10M",
			      rotate, why, size);
	if (keep && *keep && !parse_keep(r, keep))
		return refuse(r,
			      "--keep and PILLION_KEEP want a size of 1M or more, such as 500M or "
			      "2G",
			      keep, why, size);
	if (r->keep_bytes && (!r->size_bytes || r->size_bytes > r->keep_bytes / PARTS))
		r->size_bytes = r->keep_bytes / PARTS;
	return 0;
}

int pln_rotation_choose(struct pln_rotation *r, const char *rotate, const char *keep, char *why,
			size_t size)
{
	return pln_rotation_parse(r, rotate ? rotate : getenv("PILLION_ROTATE"),
				  keep ? keep : getenv("PILLION_KEEP"), why, size);
}

/* -------------------------------------------------------------------- files */

/* What comes after a device, or a pipe, would be a file beside it. */
static int refuse_what_has_no_next(struct pln_rotation *r, char *why, size_t size)
{
	struct stat st;

	if (!(r->every_ns || r->size_bytes || r->keep_bytes) || fstat(r->output.fd, &st) ||
	    S_ISREG(st.st_mode))
		return 0;
	snprintf(why, size, "%s is not a file: there is no next one (--rotate, --keep)",
		 r->output.path);
	pln_output_close(&r->output, false);
	return -EINVAL;
}

int pln_rotation_open(struct pln_rotation *r, const char *text, pid_t pid, const char *program,
		      enum pln_overwrite overwrite, char *why, size_t size)
{
	int error;

	r->text = text;
	r->pid = pid;
	r->number = 1;
	snprintf(r->program, sizeof(r->program), "%s", program);
	error = pln_output_open(&r->output, text, pid, program, overwrite, why, size);
	return error ? error : refuse_what_has_no_next(r, why, size);
}

int pln_rotation_next(struct pln_rotation *r, char *why, size_t size)
{
	unsigned number = r->number + 1;
	struct pln_output next;
	int error =
		pln_output_open_numbered(&next, r->text, r->pid, r->program, &number, why, size);

	if (error)
		return error;
	r->number = number;
	r->before = r->output;
	r->output = next;
	return next.fd;
}

void pln_rotation_ended(struct pln_rotation *r, int fd)
{
	if (fd == r->output.fd) {
		pln_output_close(&r->output, true);
		r->output = r->before;
	} else {
		close(fd);
	}
	pln_rotation_make_room(r);
}

/* --------------------------------------------------------------------- room */

struct kept_file {
	char name[256];
	struct timespec time;
	uint64_t bytes;
	bool removable;
};

struct kept_files {
	struct kept_file *rows;
	size_t count, capacity;
	uint64_t bytes;
};

static bool is_profile(int fd)
{
	uint32_t magic = 0;

	return pread(fd, &magic, sizeof(magic), 0) == sizeof(magic) && magic == PILLION_FILE_MAGIC;
}

static struct kept_file *new_row(struct kept_files *files)
{
	size_t more = files->capacity ? files->capacity * 2 : 32;
	struct kept_file *rows;

	if (files->count < files->capacity)
		return &files->rows[files->count];
	rows = realloc(files->rows, more * sizeof(*rows));
	if (!rows)
		return NULL;
	files->rows = rows;
	files->capacity = more;
	return &rows[files->count];
}

static void add_file(struct kept_files *files, int directory, const char *name)
{
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct kept_file *row = new_row(files);
	struct stat st;

	if (fd < 0)
		return;
	if (row && strlen(name) < sizeof(row->name) && !fstat(fd, &st) && S_ISREG(st.st_mode) &&
	    is_profile(fd)) {
		strcpy(row->name, name);
		row->time = st.st_mtim;
		row->bytes = (uint64_t)st.st_blocks * 512; /* with what is set aside for its end */
		/* Shared, as NFS has no other lock for who only reads: who writes has it alone. */
		row->removable = !flock(fd, LOCK_SH | LOCK_NB);
		files->bytes += row->bytes;
		files->count++;
	}
	close(fd);
}

static int by_age(const void *a, const void *b)
{
	const struct timespec *s = &((const struct kept_file *)a)->time;
	const struct timespec *t = &((const struct kept_file *)b)->time;

	if (s->tv_sec != t->tv_sec)
		return s->tv_sec < t->tv_sec ? -1 : 1;
	return s->tv_nsec < t->tv_nsec ? -1 : s->tv_nsec > t->tv_nsec;
}

static DIR *open_directory(const char *path)
{
	char directory[sizeof(((struct pln_output *)0)->path)];
	const char *slash = strrchr(path, '/');

	if (!slash)
		return opendir(".");
	snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path) + 1, path);
	return opendir(directory);
}

static void collect_files(struct kept_files *files, DIR *directory, const char *pattern)
{
	struct dirent *entry;
	regex_t names;

	if (regcomp(&names, pattern, REG_EXTENDED | REG_NOSUB))
		return;
	while ((entry = readdir(directory)))
		if (!regexec(&names, entry->d_name, 0, NULL, 0))
			add_file(files, dirfd(directory), entry->d_name);
	regfree(&names);
}

/* Another collector may have taken it meanwhile: that makes room as well. */
static bool remove_file(const struct kept_file *file, DIR *directory)
{
	return file->removable && (!unlinkat(dirfd(directory), file->name, 0) || errno == ENOENT);
}

void pln_rotation_make_room(const struct pln_rotation *r)
{
	struct kept_files files = { 0 };
	char pattern[PATTERN_SIZE];
	DIR *directory;

	if (!r->keep_bytes || !r->text ||
	    pln_output_pattern(pattern, sizeof(pattern), r->text, r->program))
		return;
	directory = open_directory(r->output.path);
	if (!directory)
		return;
	collect_files(&files, directory, pattern);
	if (files.count)
		qsort(files.rows, files.count, sizeof(*files.rows), by_age);
	for (size_t i = 0; i < files.count && files.bytes > r->keep_bytes; i++)
		if (remove_file(&files.rows[i], directory))
			files.bytes -= files.rows[i].bytes;
	free(files.rows);
	closedir(directory);
}
