/* SPDX-License-Identifier: MIT */
/*
 * roots.c - see roots.h.
 *
 * What roots there are is a fact of the machine, not of a session: one list serves all. A
 * mount's number is not used again while a descriptor holds it, so that two roots with the
 * same mount and inode show the same tree.
 */
#include "ingest/roots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define IDLE_MAX 32u

struct pln_root {
	struct pln_root *next;
	int fd; /* -1: it could not be kept */
	unsigned users; /* processes that hold it */
	unsigned live; /* of these: have not ended */
	bool has_mount;
	uint64_t mount, inode;
	uint32_t device_major, device_minor;
	char path[64];
};

static struct pln_root *roots;
/* For those of which no descriptor could be kept. */
static struct pln_root lost = { .fd = -1, .path = "/dev/null" };

static uint64_t descriptor_limit(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) ? UINT64_MAX : limit.rlim_cur;
}

bool pln_descriptor_may_stay(int fd)
{
	return (uint64_t)fd + PLN_SPARE_DESCRIPTORS < descriptor_limit();
}

/* -------------------------------------------------------------- whose it is */

static bool same_mounts(pid_t pid)
{
	char path[64], theirs[64], ours[64];
	ssize_t a, b;

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	a = readlink(path, theirs, sizeof(theirs));
	b = readlink("/proc/self/ns/mnt", ours, sizeof(ours));
	return a > 0 && a == b && !memcmp(theirs, ours, (size_t)a);
}

/* False: not known. */
static bool look_at(struct pln_root *root, int fd, const char *path)
{
	struct statx st;

	if (statx(fd, path, *path ? 0 : AT_EMPTY_PATH, STATX_TYPE | STATX_INO | STATX_MNT_ID,
		  &st) ||
	    !S_ISDIR(st.stx_mode))
		return false;
	root->has_mount = st.stx_mask & STATX_MNT_ID; /* Linux 5.8 */
	root->mount = root->has_mount ? st.stx_mnt_id : 0;
	root->inode = st.stx_ino;
	root->device_major = st.stx_dev_major;
	root->device_minor = st.stx_dev_minor;
	return true;
}

/* One mount is seen at one place only: with its number the whole tree is the same. */
static bool is_same(const struct pln_root *a, const struct pln_root *b)
{
	return a->inode == b->inode && a->device_major == b->device_major &&
	       a->device_minor == b->device_minor && a->has_mount == b->has_mount &&
	       a->mount == b->mount;
}

/* Of a root that was looked at. */
static bool is_ours(const struct pln_root *root, pid_t pid)
{
	struct pln_root ours;

	if (!look_at(&ours, AT_FDCWD, "/"))
		return true;
	return is_same(root, &ours) && (root->has_mount || (pid > 0 && same_mounts(pid)));
}

/* ------------------------------------------------------------------- holding */

static int open_root(pid_t pid)
{
	char path[64];

	if (pid <= 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static struct pln_root *find_held(const struct pln_root *like)
{
	struct pln_root *root = like->has_mount ? roots : NULL;

	while (root && !is_same(root, like))
		root = root->next;
	return root;
}

/* Takes `fd` over. */
static struct pln_root *hold(const struct pln_root *like, int fd)
{
	struct pln_root *root = pln_descriptor_may_stay(fd) ? malloc(sizeof(*root)) : NULL;

	if (!root) {
		close(fd);
		return &lost;
	}
	*root = *like;
	root->fd = fd;
	snprintf(root->path, sizeof(root->path), "/proc/self/fd/%d", fd);
	root->next = roots;
	roots = root;
	return root;
}

struct pln_root *pln_root_take(int given, pid_t pid)
{
	struct pln_root like = { .fd = -1 }, *root;
	int fd = given >= 0 ? given : open_root(pid);

	if (fd < 0)
		return NULL;
	if (!look_at(&like, fd, "") || is_ours(&like, pid)) {
		close(fd);
		return NULL;
	}
	root = find_held(&like);
	if (root)
		close(fd);
	else
		root = hold(&like, fd);
	root->users++;
	root->live++;
	return root;
}

const char *pln_root_path(const struct pln_root *root)
{
	return root->path;
}

bool pln_root_is_kept(const struct pln_root *root)
{
	return root->fd >= 0;
}

void pln_root_leave(struct pln_root *root)
{
	if (root)
		root->live--;
}

void pln_root_release(struct pln_root *root)
{
	struct pln_root **at = &roots;

	if (!root || --root->users || root == &lost)
		return;
	while (*at != root)
		at = &(*at)->next;
	*at = root->next;
	close(root->fd);
	free(root);
}

size_t pln_roots_idle(void)
{
	size_t idle = 0;

	for (const struct pln_root *root = roots; root; root = root->next)
		idle += !root->live;
	return idle;
}

size_t pln_roots_idle_max(void)
{
	uint64_t share = descriptor_limit() / 8;

	return share < IDLE_MAX ? (size_t)share : IDLE_MAX;
}
