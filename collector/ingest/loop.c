/* SPDX-License-Identifier: MIT */
/*
 * loop.c - see loop.h. One event at a time: a callback may remove any watch, and
 * with a batch the rest of it could name watches that are gone.
 */
#include "ingest/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <pillion/kernel_clock.h>

#define POLL_MS 10 /* something may be ready all the time */

int pln_loop_open(struct pln_loop *loop)
{
	loop->stopped = false;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return loop->epoll_fd < 0 ? -errno : 0;
}

int pln_loop_add(struct pln_loop *loop, struct pln_watch *watch)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = watch };

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) ? -errno : 0;
}

void pln_loop_remove(struct pln_loop *loop, struct pln_watch *watch)
{
	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
}

/* Returns 1 when a watch was served, 0 when none was ready in time, or -errno. */
static int serve_one(struct pln_loop *loop, int timeout_ms)
{
	struct epoll_event event;
	struct pln_watch *watch;
	int n = epoll_wait(loop->epoll_fd, &event, 1, timeout_ms);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n == 0)
		return 0;
	watch = event.data.ptr;
	watch->ready(watch);
	return 1;
}

int pln_loop_run(struct pln_loop *loop)
{
	int result = 0;

	loop->stopped = false;
	while (!loop->stopped && result >= 0)
		result = serve_one(loop, -1);
	return result < 0 ? result : 0;
}

void pln_loop_stop(struct pln_loop *loop)
{
	loop->stopped = true;
}

static int64_t now_ms(void)
{
	return (int64_t)(pln_kernel_clock_ns(CLOCK_MONOTONIC) / 1000000);
}

/* What is left is served the next time: the kernel gives each watch its turn. */
void pln_loop_poll(struct pln_loop *loop, int timeout_ms)
{
	int64_t until_ms = now_ms() + timeout_ms + POLL_MS;

	while (serve_one(loop, timeout_ms) > 0 && now_ms() < until_ms)
		timeout_ms = 0;
}

void pln_loop_close(struct pln_loop *loop)
{
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	loop->epoll_fd = -1;
}
