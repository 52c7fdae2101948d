/* SPDX-License-Identifier: MIT */
/*
 * fuzz_hello.c - what anybody may say at the collector's socket: a message, descriptors with
 * it, and the header of the memory behind the first one. Whoever is refused leaves no
 * descriptor and no mapping behind; whoever is taken in can be read to the last byte.
 *
 * Input: bits (one byte), size of the message (one byte), the message, the header.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pillion/atomic.h>
#include <pillion/lane.h>
#include <pillion/pillion.h>

#include "fake_target.h"
#include "ingest/hello.h"
#include "ingest/session.h"

enum {
	WITHOUT_TOKEN = 1, /* its user is asked for */
	WITH_MEMORY = 2,
	WITH_UNSEALED = 4,
	WITH_OTHERS = 8, /* descriptors that nobody asked for */
	MAX_FDS = 6,
};

static struct fake honest, unsealed;
static struct pln_segment good;

static void make_memory(void)
{
	if (honest.seg)
		return;
	if (fake_create(&honest, 2, 4096, true) || fake_create(&unsealed, 2, 4096, false))
		abort();
	memcpy(&good, honest.seg, sizeof(good));
}

/* Over what is right already, so that most of it stays so. */
static void write_header(const uint8_t *data, size_t size)
{
	unsigned char *header = (unsigned char *)honest.seg;

	memcpy(header, &good, sizeof(good));
	for (size_t i = 0; i < size && i < sizeof(good); i++)
		header[i] ^= data[i];
}

static size_t choose_fds(uint8_t bits, int fds[MAX_FDS])
{
	size_t count = 0;

	if (bits & WITH_UNSEALED)
		fds[count++] = unsealed.memfd;
	if (bits & WITH_MEMORY)
		fds[count++] = honest.memfd;
	while (bits & WITH_OTHERS && count < MAX_FDS)
		fds[count++] = STDERR_FILENO;
	return count;
}

static void say(int sock, const void *message, size_t size, const int *fds, size_t count)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(MAX_FDS * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)(uintptr_t)message, size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (count) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	}
	(void)sendmsg(sock, &msg, MSG_NOSIGNAL);
}

static uint64_t touch_lane(struct pln_lane_view lane)
{
	return pln_load_relaxed(&lane.lane->head) + pln_lane_data(lane.lane)[lane.data_size - 1];
}

/* All that a view claims to be there. */
static bool can_be_read(const struct pln_segment_view *view)
{
	uint64_t sum = touch_lane(view->control) + touch_lane(view->sampler);
	char *command = pln_segment_command(view);
	bool ok = command && strlen(view->texts->executable) < sizeof(view->texts->executable);

	free(command);
	for (uint32_t i = 0; i < view->lane_count; i++)
		sum += touch_lane(pln_segment_lane(view, i)) +
		       pln_load_relaxed(&view->slots[i].state);
	if (view->burst.shared)
		sum += view->burst.nodes[view->burst.node_max - 1].parent +
		       view->burst.cells[view->burst.cell_max - 1].node;
	return ok && sum < UINT64_MAX;
}

static bool listen_to(int sock, bool need_token)
{
	struct pln_hello_rules rules = { .need_token = need_token };
	struct pln_target_hello hello = { .pidfd = -1, .root_fd = -1 };
	char why[PLN_WHY_SIZE];
	bool ok;

	memset(why, 'x', sizeof(why));
	if (pln_hello_take(sock, &rules, &hello, why, sizeof(why)))
		return memchr(why, 0, sizeof(why)) && *why;
	ok = can_be_read(&hello.segment);
	pln_segment_unmap(&hello.segment);
	if (hello.pidfd >= 0)
		close(hello.pidfd);
	if (hello.root_fd >= 0)
		close(hello.root_fd);
	return ok;
}

/* The lowest free descriptor: a higher one afterwards means that one was left open. */
static int lowest_free(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

bool fuzz_hello(const uint8_t *data, size_t size)
{
	struct pln_hello message = { .magic = PILLION_HELLO_MAGIC,
				     .version = PILLION_WIRE_VERSION,
				     .size = sizeof(message),
				     .build = PILLION_VERSION };
	int pair[2], fds[MAX_FDS], before;
	size_t said, count;
	bool ok;

	if (size < 2)
		return true;
	make_memory();
	before = lowest_free();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		abort();
	said = data[1] < size - 2 ? data[1] : size - 2;
	for (size_t i = 0; i < said && i < sizeof(message); i++)
		((unsigned char *)&message)[i] ^= data[2 + i];
	write_header(data + 2 + said, size - 2 - said);
	count = choose_fds(data[0], fds);
	/* Beyond its own size it is cut off: 255 says all of it. */
	say(pair[0], &message, data[1] < sizeof(message) ? data[1] : sizeof(message), fds, count);
	close(pair[0]);
	ok = listen_to(pair[1], !(data[0] & WITHOUT_TOKEN));
	close(pair[1]);
	return ok && lowest_free() == before;
}
