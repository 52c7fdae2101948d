/* SPDX-License-Identifier: MIT */
/*
 * append.c - see append.h.
 */
#include "profile/append.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 4096u

void pln_append_open(struct pln_append *a, int fd)
{
	off_t end = lseek(fd, 0, SEEK_END);

	*a = (struct pln_append){ .fd = fd, .offset = end > 0 ? (uint64_t)end : 0 };
}

/* Cuts off what a failed write left behind, so that the next chunk follows a whole one. */
static int remove_torn(struct pln_append *a)
{
	if (!a->torn)
		return 0;
	if (ftruncate(a->fd, (off_t)a->offset) || lseek(a->fd, (off_t)a->offset, SEEK_SET) < 0)
		return -errno;
	a->torn = false;
	/* What was set aside went with it. */
	a->set_aside = 0;
	return 0;
}

/*
 * Only what is not ours yet is asked for: where that fails, some file systems take back
 * all that is in the range and was not written to. Devices, pipes and file systems that
 * cannot set aside are written to as they are.
 */
static int set_aside(struct pln_append *a, uint64_t end)
{
	uint64_t from = a->set_aside > a->offset ? a->set_aside : a->offset;

	end = (end + BLOCK - 1) / BLOCK * BLOCK;
	if (end <= from)
		return 0;
	while (fallocate(a->fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(end - from)))
		if (errno != EINTR)
			return errno == ENOSPC || errno == EDQUOT ? -errno : 0;
	a->set_aside = end;
	return 0;
}

static int write_all(struct pln_append *a, const uint8_t *bytes, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t got = write(a->fd, bytes + done, size - done);
		int err = got < 0 ? -errno : -ENOSPC;

		if (err == -EINTR)
			continue;
		if (got <= 0) {
			a->torn = a->torn || done;
			remove_torn(a);
			return err;
		}
		done += (size_t)got;
	}
	a->offset += size;
	return 0;
}

int pln_append_write(struct pln_append *a, const void *bytes, size_t size, uint64_t room)
{
	int err = remove_torn(a);

	if (!err && room)
		err = set_aside(a, a->offset + size + room);
	return err ? err : write_all(a, bytes, size);
}

void pln_append_settle(struct pln_append *a)
{
	struct stat st;

	if (!a->set_aside || fstat(a->fd, &st) || (uint64_t)st.st_size != a->offset)
		return;
	/* To its own size: that frees the blocks behind it. */
	if (!ftruncate(a->fd, (off_t)a->offset))
		a->set_aside = 0;
}
