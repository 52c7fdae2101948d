/* SPDX-License-Identifier: MIT */
/*
 * socket.c - see socket.h.
 */
#include "cli/socket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 256 /* fork storms connect faster than we accept */

/* Fills `un`; returns its length, or -errno for what is no address. */
static int parse_address(const char *address, struct sockaddr_un *un)
{
	size_t length = strlen(address);

	if ((address[0] != '@' && address[0] != '/') || length < 2)
		return -EINVAL;
	if (length >= sizeof(un->sun_path))
		return -ENAMETOOLONG;
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, address, length);
	if (address[0] == '@')
		un->sun_path[0] = '\0';
	/* An abstract name ends with its length, a path with a zero. */
	return (int)(offsetof(struct sockaddr_un, sun_path) + length + (address[0] == '/'));
}

/* A socket file that nobody listens on any more is in the way of the next one. */
static void remove_stale(const struct sockaddr_un *un, int length)
{
	struct stat st;
	int fd;

	if (!un->sun_path[0] || lstat(un->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)un, (socklen_t)length) && errno == ECONNREFUSED)
		unlink(un->sun_path);
	close(fd);
}

int pln_socket_listen(const char *address)
{
	struct sockaddr_un un;
	int length = parse_address(address, &un);
	int fd, error;

	if (length < 0)
		return length;
	remove_stale(&un, length);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&un, (socklen_t)length) || listen(fd, BACKLOG)) {
		error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

static bool is_trusted(int fd)
{
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t size = sizeof(peer);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) &&
	       (peer.uid == geteuid() || !peer.uid || !geteuid());
}

int pln_socket_connect(const char *address)
{
	const struct timeval limit = { .tv_sec = 1 };
	struct sockaddr_un un;
	int length = parse_address(address, &un);
	int fd, error = 0;

	if (length < 0)
		return length;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)&un, (socklen_t)length))
		error = -errno;
	else if (!is_trusted(fd))
		error = -EACCES;
	if (!error)
		return fd;
	close(fd);
	return error;
}

void pln_socket_remove(const char *address)
{
	if (address[0] == '/')
		unlink(address);
}

void pln_socket_raise_fd_limit(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int random_bytes(void *to, size_t size)
{
	ssize_t n = getrandom(to, size, 0);

	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EIO;
}

int pln_socket_random_address(char address[PLN_ADDRESS_SIZE])
{
	uint64_t random[2];
	int error = random_bytes(random, sizeof(random));

	snprintf(address, PLN_ADDRESS_SIZE, "@pillion-%016llx%016llx",
		 (unsigned long long)random[0], (unsigned long long)random[1]);
	return error;
}

int pln_token_random(uint8_t token[PILLION_TOKEN_SIZE])
{
	return random_bytes(token, PILLION_TOKEN_SIZE);
}

void pln_token_format(const uint8_t token[PILLION_TOKEN_SIZE],
		      char text[2 * PILLION_TOKEN_SIZE + 1])
{
	for (unsigned i = 0; i < PILLION_TOKEN_SIZE; i++)
		snprintf(text + 2 * i, 3, "%02x", token[i]);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool pln_token_parse(const char *text, uint8_t token[PILLION_TOKEN_SIZE])
{
	if (strlen(text) != 2 * PILLION_TOKEN_SIZE)
		return false;
	for (unsigned i = 0; i < PILLION_TOKEN_SIZE; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		token[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}
