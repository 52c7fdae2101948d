/* SPDX-License-Identifier: MIT */
/*
 * session_i.h - the inside of a session. Private to ingest/.
 */
#ifndef PILLION_COLLECTOR_SESSION_I_H
#define PILLION_COLLECTOR_SESSION_I_H

#include "ingest/hello.h"
#include "ingest/session.h"
#include "ingest/tables.h"
#include "ingest/target.h"
#include "profile/writer.h"

/* A connection that has not said hello yet. */
struct pln_guest {
	struct pln_watch watch;
	struct pln_session *session;
	struct pln_guest *next;
	uint64_t since_ns;
};

/* A target, and the session that its watch leads to. */
struct pln_session_target {
	struct pln_target *target;
	struct pln_session *session;
	struct pln_watch watch;
	size_t place; /* in live[], until it ends */
	bool watched;
	bool being_named; /* it had ended when the search for names began that goes on */
};

/* One file of the recording. */
struct pln_session_file {
	struct pln_writer *writer; /* NULL before the first hello and after the end */
	struct pln_tables *tables; /* NULL: as writer */
	struct pln_session_target **targets; /* by process id */
	size_t target_count, target_capacity;
	struct pln_recording recording;
	uint64_t begin_ns;
	uint64_t bytes; /* when it had ended */
	unsigned refusals_noted; /* in it */
	size_t named_frames; /* frames below have their symbols in the file */
	int output_fd; /* the caller's; valid while there is a writer */
};

struct pln_session {
	struct pln_session_options options;
	struct pln_hello_rules rules;
	struct pln_watch listener;
	struct pln_watch timer;
	bool listening; /* the listener is in the loop */
	uint64_t interval_ns; /* of the timer, as armed */
	struct pln_guest *guests;
	size_t guest_count;
	struct pln_session_file file;
	/*
	 * Of its targets, the ones that there is something to do about, in no order: a service may
	 * have had a hundred thousand. Removed by putting the last in the place: walk from the end.
	 */
	struct pln_session_target **live; /* not ended */
	size_t live_count, live_capacity;
	struct pln_session_target **unreaped; /* ended in this file, but nobody knows how yet */
	size_t unreaped_count, unreaped_capacity;
	uint64_t rotate_again_ns; /* after a failure, not before */
	uint64_t rotated_cpu_ns; /* of our own: what files before have */
	uint32_t rotations; /* files that have ended before this one */
	bool rotate_wanted;
	bool reading_symbols; /* and the recording goes on: nothing may end, or begin anew */
	uint64_t named_ns, name_after_ns; /* when frames were last named; when again */
	char *command; /* of the first process; NULL: the options have one */
	uint32_t first_pid;
	struct pln_scratch *scratch;
	uint64_t open_ns;
	uint64_t first_hello_ns;
	uint64_t last_seen_ns; /* a process was there */
	uint64_t flushed_ns;
	uint64_t stopped_ns; /* when the targets were told to stop, 0: not */
	bool closed; /* nobody else is let in */
	bool finished;
	struct pln_session_summary summary;
};

/* symbols.c: names of all native frames, into the writer. */
void pln_session_symbolize(struct pln_session *s, const struct pln_session_file *file);

/* Names what there is so far, now and then, where the end may come without warning. */
void pln_session_name_in_advance(struct pln_session *s);

/* session.c */
uint64_t pln_session_now_ns(void);
void pln_session_drain(struct pln_session *s);
/* `gone`: the process ended now, else it runs on without us. */
void pln_session_end_target(struct pln_session_target *st, bool gone);
void pln_session_note(struct pln_session *s, uint32_t level, const char *text);
void pln_session_keep_error(struct pln_session *s, int error);
/* Opens writer and tables, on its output_fd. Returns 0 or -errno, and both are NULL. */
int pln_session_open_file(struct pln_session_file *file);
/* And forgets them; targets are left. */
void pln_session_close_file(struct pln_session_file *file);
/* Symbols and the end. The writer stays, for pln_session_amend(). */
void pln_session_end_file(struct pln_session *s, struct pln_session_file *file, uint64_t end_ns,
			  int exit_status);
/* What the result line has of a target: sums, and that it was there. */
void pln_session_add_sums(struct pln_session_summary *sum, const struct pln_target *t);
void pln_session_add_presence(struct pln_session_summary *sum, const struct pln_target *t);

/* Lets in who says hello on `conn`. Returns 0, or -errno with the reason in `why`. */
int pln_session_admit(struct pln_session *s, int conn, char *why, size_t size);

/* guests.c: the listener's callback; once a tick; the last ones; the end. */
void pln_guests_on_connect(struct pln_watch *watch);
void pln_guests_tick(struct pln_session *s);
void pln_guests_serve_last(struct pln_session *s);
void pln_guests_close(struct pln_session *s);

/* rotate.c: begins a new file and ends the old one, when it is time to. */
void pln_session_rotate_when_due(struct pln_session *s);

/* control.c: whether what waits on `conn` is a wish of `pillion ctl`; answers it. */
bool pln_control_is_next(int conn);
void pln_control_serve(struct pln_session *s, int conn);

#endif
