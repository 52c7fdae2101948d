/* SPDX-License-Identifier: MIT */
/*
 * session_fixture.h - a recording in a temporary file, for tests of ingest.
 */
#ifndef PILLION_TESTS_SESSION_FIXTURE_H
#define PILLION_TESTS_SESSION_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fake_target.h"
#include "ingest/session.h"
#include "profile/reader.h"

struct fixture {
	struct pln_loop loop;
	struct pln_session *session;
	char address[108];
	uint8_t token[PILLION_TOKEN_SIZE];
	int listen_fd;
	int output_fd;
	char path[64];
	unsigned idle_events;
	unsigned over_events;
	struct pln_profile *profile;
};

/* Listening; the profile is opened by the first hello. Exits the test program on failure. */
void fixture_open(struct fixture *fx, uint64_t duration_ns);

/* Serves the loop for `ms`, or until done() when that is not NULL; false: it never was. */
bool fixture_serve(struct fixture *fx, int ms, bool (*done)(void *arg), void *arg);

/* For fixture_serve(), with the session: a process has been let in, or one was not. */
bool fixture_has_joined(void *session);
bool fixture_was_refused(void *session);

/* Makes a target that is this process itself, and lets it in. Exits the test program on failure. */
void fixture_join(struct fixture *fx, struct fake *fake, uint32_t lanes, uint32_t lane_size);

/* Ends the recording and reads the profile, when there is one, into fx->profile. */
void fixture_finish(struct fixture *fx);
void fixture_close(struct fixture *fx);

/* All rows of the profile, in order. Freed by the caller. */
struct pln_sample_row *fixture_rows(const struct fixture *fx, size_t *count);

/*
 * The frames of a stack as "outer;...;inner": Python ones as name:line, native ones as
 * base+0xaddress, or 0xaddress without module.
 */
const char *fixture_stack(const struct fixture *fx, uint32_t stack);

#endif
