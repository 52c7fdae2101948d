/* SPDX-License-Identifier: MIT */
/*
 * control.c - see control.h. Wishes are written where the targets look for them, which they
 * do within a fraction of a second; whether they were granted, a later query tells.
 */
#include "ingest/control.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pillion/atomic.h>

#include "ingest/session_i.h"

bool pln_control_is_next(int conn)
{
	uint32_t magic = 0;

	return recv(conn, &magic, sizeof(magic), MSG_PEEK | MSG_DONTWAIT) == sizeof(magic) &&
	       magic == PLN_CONTROL_MAGIC;
}

static bool is_allowed(int conn)
{
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t size = sizeof(peer);

	return !getsockopt(conn, SOL_SOCKET, SO_PEERCRED, &peer, &size) &&
	       (peer.uid == geteuid() || peer.uid == 0);
}

static bool knows(const struct pln_session *s, uint32_t pid)
{
	for (size_t i = s->live_count; i-- > 0;)
		if (s->live[i]->target->row.pid == pid)
			return true;
	return false;
}

/* A number that is no process of ours may be what a process has for its own. */
static bool is_meant(const struct pln_session *s, const struct pln_target *t, uint32_t pid)
{
	if (pid == (uint32_t)getpid() || t->row.pid == pid)
		return true;
	return !knows(s, pid) && t->row.inner_pid == pid;
}

static void wish(struct pln_target *t, bool on)
{
	_Atomic uint32_t *word = &t->segment.shared->wish;

	/* relaxed: a word on its own, and we are its only writer */
	pln_store_relaxed(word, ((pln_load_relaxed(word) >> 1) + 1) << 1 | on);
}

static int32_t obey(struct pln_session *s, const struct pln_control *c)
{
	if (s->stopped_ns || s->closed)
		return -ECANCELED;
	if (c->verb == PLN_CONTROL_ROTATE) {
		if (!s->options.next_output)
			return -EOPNOTSUPP;
		s->rotate_wanted = true;
		s->rotate_again_ns = 0;
		return 0;
	}
	for (size_t i = s->live_count; c->verb != PLN_CONTROL_QUERY && i-- > 0;)
		if (is_meant(s, s->live[i]->target, c->pid))
			wish(s->live[i]->target, c->verb == PLN_CONTROL_START);
	return 0;
}

/* One that became a program which is not recorded lives, but is none that could obey. */
static void count(const struct pln_session *s, uint32_t pid, struct pln_control_answer *answer)
{
	for (size_t i = s->live_count; i-- > 0;) {
		const struct pln_target *t = s->live[i]->target;
		uint32_t state;

		if (!is_meant(s, t, pid))
			continue;
		/* relaxed: a word on its own */
		state = pln_load_relaxed(&t->segment.shared->state);
		answer->processes += state != PILLION_TARGET_EXECED;
		answer->sampling +=
			state == PILLION_TARGET_SAMPLING || state == PILLION_TARGET_FINALIZING;
	}
	answer->files = s->rotations;
}

void pln_control_serve(struct pln_session *s, int conn)
{
	struct pln_control_answer answer = { .magic = PLN_CONTROL_MAGIC };
	struct pln_control c;

	if (recv(conn, &c, sizeof(c), MSG_DONTWAIT) != sizeof(c) ||
	    c.version != PLN_CONTROL_VERSION || c.verb > PLN_CONTROL_ROTATE)
		answer.status = -EPROTO;
	else if (!is_allowed(conn))
		answer.status = -EACCES;
	else
		count(s, c.pid, &answer);
	if (!answer.status)
		answer.status = answer.processes ? obey(s, &c) : -ESRCH;
	/* Who is gone by now needs no answer. */
	(void)send(conn, &answer, sizeof(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
}
