/* SPDX-License-Identifier: MIT */
/*
 * session.h - one recording: the processes that say hello, until they are gone.
 *
 *   session.c    the recording: sockets and timers in, chunks out
 *   hello.c      who may join: credentials, token, version, the memfd
 *   segment.c    maps a stranger's memory and checks its layout
 *   target.c     one followed process, from hello to its end
 *   drain.c      takes records out of lanes, in the order that makes sense of them
 *   records.c    threads, modules, code objects, notes
 *   samples.c    one sample to one row: finish, join, resolve, intern
 *   burst.c      stacks that burst mode counted in place, to rows
 *   modules.c    which file was mapped at an address at a time
 *   tables.c     equal functions, frames and stacks get one id
 *   symbols.c    the names of native frames, at the end
 *   rotate.c     the recording goes on in a new file
 *   carry.c      and a process with it
 *   control.c    what `pillion ctl` asks for
 *
 * Everything that a target wrote is untrusted: it is copied once, then checked.
 */
#ifndef PILLION_COLLECTOR_SESSION_H
#define PILLION_COLLECTOR_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <pillion/wire.h>

#include "ingest/loop.h"
#include "profile/model.h"

struct pln_session;

#define PLN_WHY_SIZE 500 /* a reason, with a path and a way out */

enum pln_session_event {
	PLN_SESSION_IDLE, /* every process ended and none came for a while */
	PLN_SESSION_TIME_OVER, /* the duration is over and the targets went quiet */
	PLN_SESSION_WRITTEN, /* some of the profile went to the file: once a second, about */
};

struct pln_session_options {
	struct pln_loop *loop;
	int listen_fd; /* SOCK_SEQPACKET, listening, until doors close; stays the caller's */
	bool need_token; /* else: any process of the same user may join, and of these: */
	bool any_user;
	const uid_t *users; /* outlive the session */
	size_t user_count;
	uint8_t token[PILLION_TOKEN_SIZE];
	uint64_t duration_ns; /* 0: no end; counts from the first hello */
	uint64_t rotate_ns, rotate_bytes; /* go on in a new file after so long, so much; 0: never */
	/* Command ("": that of the first process), host, directory; strings outlive the session. */
	struct pln_recording recording;
	/*
	 * Opens the profile when the first process says hello. Returns an fd (which stays
	 * the caller's) or -errno, with the reason in `why`. Where nothing can be written to it,
	 * the next process has it opened anew.
	 */
	int (*open_output)(pid_t pid, const char *executable, char *why, size_t size, void *arg);
	/*
	 * Opens the next one, as open_output(), while the one before is still written to; that
	 * is the caller's to close in output_ended(); so is a new one that could not be used. Both
	 * NULL: there is one file only.
	 */
	int (*next_output)(char *why, size_t size, void *arg);
	void (*output_ended)(int fd, void *arg);
	void (*event)(struct pln_session *session, enum pln_session_event event, void *arg);
	void (*progress)(size_t done, size_t total, void *arg); /* of symbols; may be NULL */
	void *arg;
	const char *notice; /* one line for the first profile's notes; NULL: none */
	bool dies_with_targets; /* the end of any may be ours: name frames in advance */
};

/* What the result line is made of. */
struct pln_session_summary {
	uint64_t samples; /* in the profile */
	uint64_t drops;
	uint64_t lost_records; /* lane data that made no sense */
	uint64_t lost_samples; /* not in it: disk or memory was full */
	uint64_t lost_blocks; /* the same, of sampled allocations and frees */
	uint64_t bytes; /* of all files */
	uint64_t target_cpu_ns;
	uint64_t overhead_ns; /* handlers and sampling threads */
	uint64_t collector_cpu_ns;
	uint32_t processes;
	uint32_t running; /* of these: they ran on when the recording ended */
	uint32_t threads;
	uint32_t refused_count;
	uint32_t native_only; /* processes whose interpreter could not be read */
	uint32_t nameless; /* processes of containers whose files could not be kept in reach */
	char refused[PLN_WHY_SIZE]; /* why the last one was refused */
	char native_only_why[128];
	int write_error; /* first -errno of writing the profile, 0: none */
};

/* `options` is copied. Returns 0 or -errno. */
int pln_session_open(struct pln_session **session, const struct pln_session_options *options);

/*
 * Takes in who still waits at the door. From then on the kernel refuses who comes, who may ask
 * again or elsewhere; the caller may close the socket.
 */
void pln_session_close_doors(struct pln_session *session);

/*
 * Ends the recording: closes doors, tells targets to go quiet, drains them, writes symbols
 * and the end. `exit_status` is the command's, as from wait(2), or -1. The session can then
 * only be asked for its summary, amended, and freed.
 */
void pln_session_finish(struct pln_session *session, int exit_status);

/*
 * After a recording that ended before its command: adds how the command ended to the
 * profile, unless somebody has touched the file since.
 */
void pln_session_amend(struct pln_session *session, int exit_status);

/* Processes of the recording that have not ended. */
unsigned pln_session_live(const struct pln_session *session);

void pln_session_summarize(const struct pln_session *session, struct pln_session_summary *summary);
void pln_session_free(struct pln_session *session);

#endif
