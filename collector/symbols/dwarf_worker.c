/* SPDX-License-Identifier: MIT */
/*
 * dwarf_worker.c - the collector's end of a worker: start it, ask it, bury it.
 *
 * The collector must not wait for any child but its own (no waitpid(-1)), or it might
 * reap a worker and leave us with a stale pid.
 */
#include "symbols/dwarf_worker.h"

#include "symbols/dwarf_serve.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <pillion/kernel_clock.h>

/* The slowest unit seen took 0.06 s, the slowest index 0.1 s. */
#define ANSWER_MAX_NS (INT64_C(30) * 1000000000)

/* Answers are a fraction of the debug file's size. */
#define ANSWER_MAX_BYTES ((uint64_t)1 << 30)

struct pln_dwarf_worker {
	pid_t pid;
	int socket;
};

static int64_t now_ns(void)
{
	return (int64_t)pln_kernel_clock_ns(CLOCK_MONOTONIC);
}

static _Noreturn void run_child(int socket, pid_t parent, const struct pln_dwarf_source *source)
{
	/* Die with the collector, even if that was before prctl(). */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	pln_dwarf_serve(socket, source);
}

int pln_dwarf_worker_start(const struct pln_dwarf_source *source, struct pln_dwarf_worker **worker)
{
	struct pln_dwarf_worker *new = calloc(1, sizeof(*new));
	pid_t parent = getpid();
	int pair[2];

	if (!new)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
		free(new);
		return -errno;
	}
	new->pid = fork();
	if (!new->pid)
		run_child(pair[1], parent, source);
	close(pair[1]);
	if (new->pid < 0) {
		close(pair[0]);
		free(new);
		return -EAGAIN;
	}
	new->socket = pair[0];
	*worker = new;
	return 0;
}

void pln_dwarf_worker_stop(struct pln_dwarf_worker *worker)
{
	if (!worker)
		return;
	close(worker->socket);
	kill(worker->pid, SIGKILL);
	while (waitpid(worker->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free(worker);
}

static int wait_readable(int socket, int64_t deadline)
{
	struct pollfd poller = { .fd = socket, .events = POLLIN };

	for (;;) {
		int64_t left = deadline - now_ns();
		int rc = left <= 0 ? 0 : poll(&poller, 1, (int)(left / 1000000) + 1);

		if (rc > 0)
			return 0;
		if (!rc)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

static int receive(int socket, void *data, size_t size, int64_t deadline)
{
	char *at = data;

	while (size) {
		int rc = wait_readable(socket, deadline);
		ssize_t got;

		if (rc)
			return rc;
		got = recv(socket, at, size, MSG_DONTWAIT);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got <= 0)
			return -EPIPE;
		at += got;
		size -= (size_t)got;
	}
	return 0;
}

/* Bytes that follow the header; 0 when it claims too many. */
static uint64_t payload_size(const struct pln_dwarf_header *header)
{
	uint64_t total = 0;

	for (int i = 0; i < PLN_DWARF_ARRAYS; i++) {
		if (header->sizes[i] > ANSWER_MAX_BYTES)
			return 0;
		total += (header->sizes[i] + 7) & ~UINT64_C(7);
	}
	return total > ANSWER_MAX_BYTES ? 0 : total;
}

int pln_dwarf_worker_ask(struct pln_dwarf_worker *worker, uint64_t offset,
			 struct pln_dwarf_unit **unit)
{
	int64_t deadline = now_ns() + ANSWER_MAX_NS;
	struct pln_dwarf_header header;
	uint64_t size;
	void *memory;
	int rc;

	if (send(worker->socket, &offset, sizeof(offset), MSG_NOSIGNAL) != sizeof(offset))
		return -EPIPE;
	rc = receive(worker->socket, &header, sizeof(header), deadline);
	if (rc)
		return rc;
	if (header.error)
		return -ENODATA;
	size = payload_size(&header);
	if (!size)
		return -EPROTO;
	memory = malloc(size);
	if (!memory)
		return -ENOMEM;
	rc = receive(worker->socket, memory, size, deadline);
	if (rc) {
		free(memory);
		return rc;
	}
	*unit = pln_dwarf_unit_new(&header, memory);
	return *unit ? 0 : -EPROTO;
}
