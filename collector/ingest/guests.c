/* SPDX-License-Identifier: MIT */
/*
 * guests.c - who has connected, and has not said hello yet.
 *
 * Few at a time, and each for seconds only, as anybody may connect. But one that is let in and
 * dropped before it spoke is lost, while those outside wait in the socket's queue and lose
 * nothing: where places or descriptors are short, nobody else is let in for a moment.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ingest/roots.h"
#include "ingest/session_i.h"

#define GUEST_PATIENCE 5000000000ull /* for a hello, once connected */
#define GUEST_GRACE 1000000000ull /* the same, while others wait for its place */
#define MAX_GUESTS 64
#define MAX_NOTED 16 /* refusals in a file: anybody may ask for as many as they like */
#define MAX_ON_SPARES 3 /* connections on descriptors that are spared */
#define MAX_ACCEPTED 16 /* at a time: they may come faster than they are served */

static void note_refused(struct pln_session *s, const char *why)
{
	char text[PLN_WHY_SIZE + 32];

	s->summary.refused_count++;
	/* Of many for one reason, or for very many, the end tells how many they were. */
	if (!strcmp(s->summary.refused, why))
		return;
	snprintf(s->summary.refused, sizeof(s->summary.refused), "%s", why);
	if (!s->file.writer || s->file.refusals_noted > MAX_NOTED)
		return;
	if (s->file.refusals_noted++ < MAX_NOTED)
		snprintf(text, sizeof(text), "a process was refused: %s", why);
	else
		snprintf(text, sizeof(text), "more were refused; why, is not noted any more");
	pln_session_note(s, 1, text);
}

static void drop_guest(struct pln_guest *guest)
{
	struct pln_session *s = guest->session;
	struct pln_guest **at = &s->guests;

	while (*at != guest)
		at = &(*at)->next;
	*at = guest->next;
	s->guest_count--;
	pln_loop_remove(s->options.loop, &guest->watch);
	close(guest->watch.fd);
	free(guest);
}

static void listen_again(struct pln_session *s)
{
	if (!s->listening)
		s->listening = !pln_loop_add(s->options.loop, &s->listener);
}

static void stop_listening(struct pln_session *s)
{
	pln_loop_remove(s->options.loop, &s->listener);
	s->listening = false;
}

static void serve_guest(struct pln_guest *guest)
{
	struct pln_session *s = guest->session;
	char why[PLN_WHY_SIZE] = "";
	int error;

	if (pln_control_is_next(guest->watch.fd)) {
		pln_control_serve(s, guest->watch.fd);
		drop_guest(guest);
		return;
	}
	error = pln_session_admit(s, guest->watch.fd, why, sizeof(why));
	pln_hello_answer(guest->watch.fd, error, why);
	/* To come too late, or to die on the way, is no one's mistake. */
	if (error && error != -ECANCELED && error != -ECONNRESET)
		note_refused(s, why);
	drop_guest(guest);
}

static void on_hello(struct pln_watch *watch)
{
	struct pln_guest *guest = pln_watch_owner(watch, struct pln_guest, watch);
	struct pln_session *s = guest->session;

	serve_guest(guest);
	/* There is room again. */
	listen_again(s);
}

/* Its hello may wait since it came: while we are busy, or stopped, nobody is asked. */
static bool serve_if_it_spoke(struct pln_guest *guest)
{
	struct pollfd said = { .fd = guest->watch.fd, .events = POLLIN };

	if (poll(&said, 1, 0) <= 0)
		return false;
	serve_guest(guest);
	return true;
}

static void add_guest(struct pln_session *s, int conn)
{
	struct pln_guest *guest = calloc(1, sizeof(*guest));

	if (!guest) {
		close(conn);
		return;
	}
	guest->session = s;
	guest->since_ns = pln_session_now_ns();
	guest->watch = (struct pln_watch){ conn, on_hello };
	guest->next = s->guests;
	s->guests = guest;
	s->guest_count++;
	if (pln_loop_add(s->options.loop, &guest->watch))
		drop_guest(guest);
}

/*
 * The oldest goes: served when it has spoken, dropped when it had its time. False: it just came,
 * and its hello is on the way; whoever waits outside meanwhile loses nothing.
 */
static bool make_room(struct pln_session *s)
{
	struct pln_guest *oldest = s->guests;

	/* New ones are put in front. */
	while (oldest && oldest->next)
		oldest = oldest->next;
	if (!oldest || serve_if_it_spoke(oldest))
		return true;
	if (pln_session_now_ns() - oldest->since_ns <= GUEST_GRACE)
		return false;
	drop_guest(oldest);
	return true;
}

/*
 * What comes with a hello needs descriptors as well: of those that are spared for it, connections
 * have a few only. (Who is served gives a low one back, and the next who connects has that.)
 * `conn` came last: if it need not have a spare one, no more of them are taken than before.
 */
static bool is_crowded(const struct pln_session *s, int conn)
{
	unsigned spares = 0;

	if (s->guest_count >= MAX_GUESTS || pln_descriptor_may_stay(conn))
		return s->guest_count >= MAX_GUESTS;
	for (const struct pln_guest *guest = s->guests; guest; guest = guest->next)
		spares += !pln_descriptor_may_stay(guest->watch.fd);
	return spares > MAX_ON_SPARES;
}

void pln_guests_on_connect(struct pln_watch *watch)
{
	struct pln_session *s = pln_watch_owner(watch, struct pln_session, listener);
	bool room = true;

	for (unsigned i = 0; room && i < MAX_ACCEPTED; i++) {
		int conn = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (conn < 0) {
			/* It stays readable: let the next tick try again, rather than spin. */
			room = errno != EMFILE && errno != ENFILE;
			break;
		}
		add_guest(s, conn);
		while (room && is_crowded(s, conn))
			room = make_room(s);
	}
	if (!room)
		stop_listening(s);
}

static void drop_silent_guests(struct pln_session *s)
{
	uint64_t now_ns = pln_session_now_ns();
	struct pln_guest *guest = s->guests, *next;

	for (; guest; guest = next) {
		next = guest->next;
		if (now_ns - guest->since_ns > GUEST_PATIENCE && !serve_if_it_spoke(guest))
			drop_guest(guest);
	}
}

void pln_guests_tick(struct pln_session *s)
{
	drop_silent_guests(s);
	listen_again(s);
}

/*
 * The kernel refuses who connects from now on. Who did before is served, or finds the line
 * dead: nobody shall take silence for an answer.
 */
void pln_guests_serve_last(struct pln_session *s)
{
	bool any = true;

	if (s->listening)
		stop_listening(s);
	(void)shutdown(s->listener.fd, SHUT_RD);
	while (any) {
		pln_guests_on_connect(&s->listener);
		any = s->guests;
		while (s->guests)
			if (!serve_if_it_spoke(s->guests))
				drop_guest(s->guests);
	}
}

void pln_guests_close(struct pln_session *s)
{
	while (s->guests)
		drop_guest(s->guests);
	if (s->listening)
		stop_listening(s);
}
