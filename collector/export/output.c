/* SPDX-License-Identifier: MIT */
/*
 * output.c - see output.h.
 */
#include "export/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A pipe, a socket, a device: there is nothing to replace, and no name to keep. */
static bool is_special(const char *path)
{
	struct stat st;

	return !stat(path, &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

/* "-", or a name of what stdout is: /dev/stdout, /proc/self/fd/1, the file that it was sent to. */
static bool is_stdout(const char *path)
{
	struct stat named, own;

	if (!strcmp(path, "-"))
		return true;
	return !stat(path, &named) && !fstat(STDOUT_FILENO, &own) && named.st_dev == own.st_dev &&
	       named.st_ino == own.st_ino;
}

bool pln_export_output_is_taken(const char *path)
{
	return !is_stdout(path) && !is_special(path) && !access(path, F_OK);
}

/* Under a name that nobody has: what a killed export left behind may be there still. */
static int open_temporary(struct pln_export_output *output)
{
	for (unsigned i = 0; i < 100; i++) {
		int size = snprintf(output->temporary, sizeof(output->temporary), "%s.%ld-%u.part",
				    output->path, (long)getpid(), i);
		int fd;

		if ((size_t)size >= sizeof(output->temporary))
			return -ENAMETOOLONG;
		fd = open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd >= 0 || errno != EEXIST)
			return fd < 0 ? -errno : fd;
	}
	return -EEXIST;
}

int pln_export_output_open(struct pln_export_output *output, const char *path, bool replace)
{
	int fd;

	memset(output, 0, sizeof(*output));
	/* What a link names is replaced, not the link. */
	output->path = realpath(path, output->real_path) ? output->real_path : path;
	output->replace = replace;
	if (!replace && pln_export_output_is_taken(path))
		return -EEXIST;
	if (is_stdout(path)) {
		output->direct = true;
		output->file = stdout;
		return 0;
	}
	output->direct = is_special(path);
	fd = output->direct ? open(path, O_WRONLY | O_CLOEXEC) : open_temporary(output);
	if (fd < 0)
		return output->direct ? -errno : fd;
	output->file = fdopen(fd, "w");
	if (!output->file) {
		close(fd);
		return -ENOMEM;
	}
	return 0;
}

static int close_file(struct pln_export_output *output)
{
	bool failed = ferror(output->file); /* earlier: the last flush may well succeed */
	int err = 0;

	errno = 0;
	if ((output->file == stdout ? fflush(stdout) : fclose(output->file)) || failed)
		err = -(errno ? errno : EIO);
	output->file = NULL;
	return err;
}

/* link() does not replace, so a file made meanwhile is safe; rename() does. */
static int put_in_place(const struct pln_export_output *output)
{
	int err = 0;

	if (output->replace)
		return rename(output->temporary, output->path) ? -errno : 0;
	if (link(output->temporary, output->path))
		err = -errno;
	/* File systems without hard links. */
	if ((err == -EPERM || err == -EOPNOTSUPP || err == -ENOSYS) && access(output->path, F_OK))
		return rename(output->temporary, output->path) ? -errno : 0;
	unlink(output->temporary);
	return err;
}

int pln_export_output_commit(struct pln_export_output *output)
{
	int err = close_file(output);

	if (output->direct)
		return err;
	if (!err)
		err = put_in_place(output);
	if (err)
		unlink(output->temporary);
	return err;
}

void pln_export_output_abandon(struct pln_export_output *output)
{
	if (output->file)
		close_file(output);
	if (!output->direct)
		unlink(output->temporary);
}
