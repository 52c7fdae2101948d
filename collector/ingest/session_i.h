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
	bool watched;
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
	struct pln_session_target **targets; /* by process id */
	size_t target_count, target_capacity;
	struct pln_writer *writer; /* NULL before the first hello and after the end */
	int output_fd; /* the caller's; valid while there is a writer */
	char *command; /* of the first process; NULL: the options have one */
	struct pln_tables tables;
	struct pln_scratch *scratch;
	uint64_t open_ns;
	uint64_t first_hello_ns;
	uint64_t last_seen_ns; /* a process was there */
	uint64_t flushed_ns;
	uint64_t stopped_ns; /* when the targets were told to stop, 0: not */
	bool finished;
	struct pln_session_summary summary;
};

/* symbols.c: names of all native frames, into the writer. */
void pln_session_symbolize(struct pln_session *s);

uint64_t pln_session_now_ns(void);

#endif
