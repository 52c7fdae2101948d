/* SPDX-License-Identifier: MIT */
/*
 * hello.c - hand the segment to the collector.
 *
 * Context: start of sampling, normal context; waits at most for CONNECT_LIMIT_US. Nothing stays
 * open: the message waits in the collector's queue, and the mapping needs no descriptor.
 * The collector answers by its heartbeat in the segment, or by silence, after which the
 * library goes dormant. Why it refused a process is waited for only where PILLION_LOG asks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <pillion/pillion.h>
#include <pillion/syscall.h>

#include "log.h"
#include "options.h"
#include "process/process.h"

#define CONNECT_LIMIT_US 500000
#define CONNECT_LIMIT_FORK_US 50000 /* a program may fork often while the collector is stopped */
#define ANSWER_LIMIT_S 2 /* a collector that was just started answers in some milliseconds */

/* "@name" is an abstract address, anything else a path. Returns its length, 0: too long. */
static socklen_t fill_address(struct sockaddr_un *address, const char *text)
{
	size_t length = strlen(text);

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	if (!length || length >= sizeof(address->sun_path))
		return 0;
	memcpy(address->sun_path, text, length);
	if (*text == '@')
		address->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (*text != '@'));
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void parse_token(const char *text, uint8_t token[PILLION_TOKEN_SIZE])
{
	memset(token, 0, PILLION_TOKEN_SIZE);
	for (unsigned i = 0; i < PILLION_TOKEN_SIZE; i++) {
		int high = hex_digit(text[0]);
		int low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0)
			return;
		token[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
}

static int send_alone(int sock, const struct pln_hello *hello)
{
	return send(sock, hello, sizeof(*hello), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int send_with_fds(int sock, const struct pln_hello *hello, const int *fds, size_t count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct iovec part = { (void *)hello, sizeof(*hello) };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	memset(&control, 0, sizeof(control));
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(header), fds, count * sizeof(int));
	return sendmsg(sock, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* The collector may be in another container, where our paths lead to other files. */
static int send_with_segment(int sock, const struct pln_hello *hello, int segment_fd)
{
	static const char root[] = "/";
	int fds[2] = { segment_fd, -1 };
	int error;

	fds[1] = (int)pln_syscall4(SYS_openat, AT_FDCWD, (long)root,
				   O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	error = send_with_fds(sock, hello, fds, fds[1] < 0 ? 1 : 2);
	if (fds[1] >= 0)
		close(fds[1]);
	return error;
}

static int connect_to(const char *where, long limit_us)
{
	struct timeval limit = { .tv_usec = limit_us };
	struct sockaddr_un address;
	socklen_t length = fill_address(&address, where);
	int sock, error;

	if (!length)
		return -EINVAL;
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	(void)setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (!connect(sock, (struct sockaddr *)&address, length))
		return sock;
	error = -errno;
	close(sock);
	return error;
}

/* Returns 0 unless it is known to be refused. */
static int hear_answer(int sock)
{
	struct timeval limit = { .tv_sec = ANSWER_LIMIT_S };
	struct pln_welcome answer = { .status = 0 };

	(void)setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (recv(sock, &answer, sizeof(answer), 0) < (ssize_t)sizeof(answer) ||
	    answer.magic != PILLION_HELLO_MAGIC || !answer.status)
		return 0;
	answer.message[sizeof(answer.message) - 1] = '\0';
	pln_log(PLN_LOG_ERROR, "not sampling: ", answer.message);
	return -ECANCELED;
}

static int say(int segment_fd, enum pln_hello_reason reason, long limit_us, bool hear)
{
	struct pln_hello hello = { .magic = PILLION_HELLO_MAGIC,
				   .version = PILLION_WIRE_VERSION,
				   .size = sizeof(hello),
				   .pid = (uint32_t)pln_getpid_sigsafe(),
				   .ppid = (uint32_t)pln_syscall3(SYS_getppid, 0, 0, 0),
				   .reason = reason,
				   .error = segment_fd < 0 ? -segment_fd : 0 };
	int sock, error;

	memcpy(hello.build, PILLION_VERSION, sizeof(PILLION_VERSION));
	parse_token(pln_options.token, hello.token);
	sock = connect_to(pln_options.socket, limit_us);
	if (sock < 0)
		return sock;
	error = segment_fd < 0 ? send_alone(sock, &hello)
			       : send_with_segment(sock, &hello, segment_fd);
	if (!error && hear)
		error = hear_answer(sock);
	close(sock);
	return error;
}

int pln_hello_send(int segment_fd, enum pln_hello_reason reason)
{
	bool forked = reason == PILLION_REASON_FORK;
	bool hear =
		segment_fd >= 0 && reason == PILLION_REASON_START && pln_log_is_on(PLN_LOG_ERROR);

	return say(segment_fd, reason, forked ? CONNECT_LIMIT_FORK_US : CONNECT_LIMIT_US, hear);
}

int pln_hello_send_late(int segment_fd, enum pln_hello_reason reason)
{
	return say(segment_fd, reason, CONNECT_LIMIT_FORK_US, false);
}
