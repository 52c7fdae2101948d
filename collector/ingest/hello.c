/* SPDX-License-Identifier: MIT */
/*
 * hello.c - one message, one memfd, and who sent them.
 *
 * Anybody who can reach the socket can write to it (abstract names have no file
 * permissions), so: the kernel says who is there, the token proves that the process
 * was invited, and the memory is checked in segment.c.
 */
#include "ingest/hello.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ingest/roots.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

#define MAX_FDS 4

struct message {
	struct pln_hello hello;
	size_t size;
	bool cut; /* descriptors came that there was no room for */
	int memfd; /* -1: none came */
	int root_fd; /* -1: none came */
};

static int refuse(char *why, size_t size, int error, const char *reason)
{
	snprintf(why, size, "%s", reason);
	return error;
}

/* Keeps the first two descriptors that came, closes all others. */
static void take_fds(struct msghdr *msg, struct message *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (m->memfd < 0)
				m->memfd = fd;
			else if (m->root_fd < 0)
				m->root_fd = fd;
			else
				close(fd);
		}
	}
}

static int receive(int conn, struct message *m)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(MAX_FDS * sizeof(int))];
	struct iovec iov = { &m->hello, sizeof(m->hello) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	memset(m, 0, sizeof(*m));
	m->memfd = m->root_fd = -1;
	n = recvmsg(conn, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	/* Also of a message of no bytes, which the end of the connection cannot be told from. */
	take_fds(&msg, m);
	m->size = (size_t)n;
	m->cut = msg.msg_flags & MSG_CTRUNC;
	return n ? 0 : -ECONNRESET;
}

/* Takes the same time wherever the difference is. */
static bool same_token(const uint8_t *a, const uint8_t *b)
{
	unsigned difference = 0;

	for (size_t i = 0; i < PILLION_TOKEN_SIZE; i++)
		difference |= a[i] ^ b[i];
	return difference == 0;
}

static bool is_allowed(const struct pln_hello_rules *rules, const struct ucred *peer)
{
	if (rules->any_user || peer->uid == geteuid() || peer->uid == 0)
		return true;
	for (size_t i = 0; i < rules->user_count; i++)
		if (rules->users[i] == peer->uid)
			return true;
	return false;
}

static int refuse_what_it_lacks(char *why, size_t size, const struct pln_hello *h)
{
	if (h->error == EBUSY)
		snprintf(why, size,
			 "process %u has no signal left for samples; name one that the program "
			 "can spare (--signal)",
			 h->pid);
	else if (h->error == ENOMEM)
		snprintf(why, size,
			 "process %u has no room for shared memory; raise its limits (ulimit -v, "
			 "ulimit -f)",
			 h->pid);
	else
		snprintf(why, size,
			 "memfd_create failed in process %u: %s; allow it where system calls are "
			 "filtered (seccomp)",
			 h->pid, strerror(h->error));
	return -EPROTO;
}

/* Version before all else: of another one, not even the sizes are known. */
static int check(const struct message *m, const struct pln_hello_rules *rules,
		 const struct ucred *peer, char *why, size_t size)
{
	const struct pln_hello *h = &m->hello;

	if (m->size < offsetof(struct pln_hello, token) || h->magic != PILLION_HELLO_MAGIC) {
		snprintf(why, size, "process %d sent %zu bytes that are no hello", (int)peer->pid,
			 m->size);
		return -EPROTO;
	}
	if (h->version != PILLION_WIRE_VERSION) {
		snprintf(why, size,
			 "libpillion.so speaks protocol %u and this pillion %u: use both from one "
			 "version",
			 h->version, PILLION_WIRE_VERSION);
		return -EPROTONOSUPPORT;
	}
	if (m->size < sizeof(*h) || h->size < sizeof(*h))
		return refuse(why, size, -EPROTO, "the hello was cut short");
	if (rules->need_token ? !same_token(h->token, rules->token) : !is_allowed(rules, peer))
		return refuse(why, size, -EACCES, "the process was not invited to this recording");
	if (m->memfd < 0 && h->error)
		return refuse_what_it_lacks(why, size, h);
	if (m->memfd < 0 && m->cut)
		return refuse(
			why, size, -EMFILE,
			"no descriptor is free in the collector; raise its limit (ulimit -n)");
	if (m->memfd < 0)
		return refuse(why, size, -EPROTO, "the hello came without shared memory");
	return 0;
}

/*
 * By the kernel's word where it has one: a pid alone could be another's by now. Where
 * descriptors run short, the pid has to do.
 */
static int open_pidfd(int conn, pid_t pid)
{
	socklen_t size = sizeof(int);
	int fd = -1;

	if (getsockopt(conn, SOL_SOCKET, SO_PEERPIDFD, &fd, &size))
		fd = pid > 0 ? pln_pidfd_open(pid) : -1;
	if (fd < 0 || pid <= 0 || pln_descriptor_may_stay(fd))
		return fd;
	close(fd);
	return -1;
}

int pln_hello_take(int conn, const struct pln_hello_rules *rules, struct pln_target_hello *hello,
		   char *why, size_t why_size)
{
	struct ucred peer = { 0 };
	socklen_t peer_size = sizeof(peer);
	struct message m;
	int error;

	if (getsockopt(conn, SOL_SOCKET, SO_PEERCRED, &peer, &peer_size))
		return refuse(why, why_size, -errno, "the process cannot be identified");
	error = receive(conn, &m);
	if (error)
		refuse(why, why_size, error, "the hello could not be read");
	else
		error = check(&m, rules, &peer, why, why_size);
	if (!error)
		error = pln_segment_map(&hello->segment, m.memfd, why, why_size);
	/* The mapping stays without it. */
	if (m.memfd >= 0)
		close(m.memfd);
	if (error) {
		if (m.root_fd >= 0)
			close(m.root_fd);
		return error;
	}
	hello->root_fd = m.root_fd;
	hello->pid = peer.pid;
	hello->pidfd = open_pidfd(conn, peer.pid);
	return 0;
}

void pln_hello_release(struct pln_target_hello *hello)
{
	pln_segment_unmap(&hello->segment);
	if (hello->pidfd >= 0)
		close(hello->pidfd);
	if (hello->root_fd >= 0)
		close(hello->root_fd);
}

void pln_hello_answer(int conn, int status, const char *why)
{
	struct pln_welcome welcome = {
		.magic = PILLION_HELLO_MAGIC,
		.version = PILLION_WIRE_VERSION,
		.size = sizeof(welcome),
		.status = status,
	};

	snprintf(welcome.message, sizeof(welcome.message), "%s", why);
	/* Who is gone by now needs no answer. */
	(void)send(conn, &welcome, sizeof(welcome), MSG_NOSIGNAL | MSG_DONTWAIT);
}
