/* SPDX-License-Identifier: MIT */
/*
 * source.c - see source.h.
 */
#include "annotate/source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE_MAX_BYTES (64 << 20)
#define TAB_COLUMNS 8u

/* The file may shrink meanwhile: what is there is taken. */
static int read_all(struct pln_source *source, int fd, size_t size)
{
	size_t got = 0;
	ssize_t step = 1;

	source->text = malloc(size + 1);
	if (!source->text)
		return -ENOMEM;
	while (got < size && step > 0) {
		step = read(fd, source->text + got, size - got);
		if (step > 0)
			got += (size_t)step;
	}
	source->text[got] = '\0';
	return step < 0 ? -errno : 0;
}

/* A zero byte ends the text: what is behind it is no source. */
static int split(struct pln_source *source)
{
	size_t count = 1;
	char *at = source->text;

	for (const char *c = at; *c; c++)
		count += *c == '\n';
	source->lines = calloc(count, sizeof(*source->lines));
	if (!source->lines)
		return -ENOMEM;
	while (at && *at) {
		char *end = strchr(at, '\n');

		source->lines[source->count++] = at;
		if (end)
			*end = '\0';
		at[strcspn(at, "\r")] = '\0';
		at = end ? end + 1 : NULL;
	}
	return 0;
}

static int read_fd(struct pln_source *source, int fd)
{
	struct stat st;
	int err;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > SIZE_MAX_BYTES)
		return -EFBIG;
	source->changed_ns =
		(uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
	err = read_all(source, fd, (size_t)st.st_size);
	return err ? err : split(source);
}

int pln_source_read(struct pln_source *source, const char *path, const char *directory)
{
	bool relative = path[0] != '/' && directory && *directory;
	char full[PATH_MAX];
	int fd, err;

	memset(source, 0, sizeof(*source));
	if ((size_t)snprintf(full, sizeof(full), "%s%s%s", relative ? directory : "",
			     relative ? "/" : "", path) >= sizeof(full))
		return -ENAMETOOLONG;
	fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	err = read_fd(source, fd);
	close(fd);
	if (err)
		pln_source_free(source);
	return err;
}

void pln_source_free(struct pln_source *source)
{
	free(source->text);
	free(source->lines);
	memset(source, 0, sizeof(*source));
}

char *pln_source_line(const struct pln_source *source, uint32_t number)
{
	const char *line = number && number <= source->count ? source->lines[number - 1] : "";
	size_t tabs = 0, column = 0;
	char *copy;

	for (const char *c = line; *c; c++)
		tabs += *c == '\t';
	copy = malloc(strlen(line) + tabs * TAB_COLUMNS + 1);
	if (!copy)
		return NULL;
	for (const char *c = line; *c; c++) {
		size_t width = *c == '\t' ? TAB_COLUMNS - column % TAB_COLUMNS : 1;

		memset(copy + column, *c == '\t' ? ' ' : *c, width);
		column += width;
	}
	copy[column] = '\0';
	return copy;
}
