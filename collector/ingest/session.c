/* SPDX-License-Identifier: MIT */
/*
 * session.c - the recording: who is there, when to drain, when to write, when to end.
 *
 * Everything runs in one loop on one thread. A tick drains all targets, and once a
 * second what was learned goes to the file. A target that dies is drained at once,
 * by its pidfd; nothing is expected of it but what it committed before.
 */
#include "ingest/session.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <pillion/atomic.h>
#include <pillion/kernel_clock.h>

#include "ingest/roots.h"
#include "ingest/session_i.h"
#include "profile/grow.h"

#define MS 1000000ull
#define SECOND (1000 * MS)
#define DRAIN_INTERVAL (50 * MS)
#define HURRIED_INTERVAL (10 * MS) /* while lanes fill faster than that */
#define HURRY_PERCENT 25
#define IDLE_INTERVAL (250 * MS)
#define FLUSH_INTERVAL SECOND
#define FIRST_FLUSHES (100 * MS) /* of the first second: most definitions are made there */
#define QUIET_AFTER (200 * MS) /* a target goes quiet within a few ticks */
#define IDLE_AFTER (500 * MS)
#define PID_FS 0x50494446 /* PID_FS_MAGIC in the kernel's magic.h */
#define FIRST_HELLO_PATIENCE (10 * SECOND)
#define LAST_WORDS (200 * MS) /* for processes that end with the command */

uint64_t pln_session_now_ns(void)
{
	return pln_kernel_clock_ns(CLOCK_MONOTONIC);
}

static void arm_timer(struct pln_session *s, uint64_t interval_ns)
{
	struct itimerspec spec = {
		.it_interval = { (time_t)(interval_ns / SECOND), (long)(interval_ns % SECOND) },
		.it_value = { (time_t)(interval_ns / SECOND), (long)(interval_ns % SECOND) },
	};

	if (s->interval_ns == interval_ns)
		return;
	s->interval_ns = interval_ns;
	(void)timerfd_settime(s->timer.fd, 0, &spec, NULL);
}

void pln_session_note(struct pln_session *s, uint32_t level, const char *text)
{
	struct pln_note_row note = { pln_session_now_ns(), PLN_NONE, level, text };

	if (s->file.writer)
		pln_writer_add_note(s->file.writer, &note);
}

void pln_session_keep_error(struct pln_session *s, int error)
{
	if (error && !s->summary.write_error)
		s->summary.write_error = error;
}

unsigned pln_session_live(const struct pln_session *s)
{
	return (unsigned)s->live_count;
}

/* ------------------------------------------------------------------- targets */

static void unwatch(struct pln_session_target *st)
{
	if (st->watched)
		pln_loop_remove(st->session->options.loop, &st->watch);
	st->watched = false;
}

/* live[] has room for it. */
static void add_to_live(struct pln_session *s, struct pln_session_target *st)
{
	st->place = s->live_count;
	s->live[s->live_count++] = st;
}

static void remove_from_live(struct pln_session *s, const struct pln_session_target *st)
{
	struct pln_session_target *last = s->live[--s->live_count];

	s->live[st->place] = last;
	last->place = st->place;
}

void pln_session_end_target(struct pln_session_target *st, bool gone)
{
	struct pln_session *s = st->session;
	uint64_t now_ns = pln_session_now_ns();

	if (st->target->ended)
		return;
	unwatch(st);
	s->last_seen_ns = now_ns;
	pln_target_end(st->target, now_ns, gone);
	remove_from_live(s, st);
	/* Without memory it is asked once more at the end. */
	if (st->target->wants_exit_status &&
	    pln_grow(&s->unreaped, &s->unreaped_capacity, s->unreaped_count, sizeof(*s->unreaped)))
		s->unreaped[s->unreaped_count++] = st;
}

static void on_death(struct pln_watch *watch)
{
	pln_session_end_target(pln_watch_owner(watch, struct pln_session_target, watch), true);
}

/* Since Linux 6.9 each process has an inode of its own there; before, all have one. */
static bool is_same_pidfd(int a, int b)
{
	struct statfs fs;
	struct stat x, y;

	return a >= 0 && b >= 0 && !fstatfs(a, &fs) && fs.f_type == PID_FS && !fstat(a, &x) &&
	       !fstat(b, &y) && x.st_ino == y.st_ino;
}

/*
 * The same process with a new segment is a new program: the old one ended with exec. Returns what
 * the process had used by then: its clock goes on.
 */
static uint64_t end_same_process(struct pln_session *s, const struct pln_target_hello *hello)
{
	uint64_t cpu_ns = 0;

	for (size_t i = s->live_count; i-- > 0;) {
		struct pln_target *t = s->live[i]->target;
		bool runs_on;

		/* Without a pid it is in another namespace. */
		if (hello->pid > 0 ? t->pid != hello->pid
				   : !is_same_pidfd(t->pidfd.fd, hello->pidfd))
			continue;
		/* Or else it had but the same number. */
		runs_on = !pln_target_is_gone(t, pln_session_now_ns());
		pln_session_end_target(s->live[i], true);
		if (runs_on)
			cpu_ns = t->before.process_cpu_ns + t->row.process_cpu_ns;
	}
	return cpu_ns;
}

/* Without memory the hello is released all the same. */
static int add_target(struct pln_session *s, struct pln_target_hello *hello)
{
	struct pln_session_target *st = NULL;
	uint64_t used_ns;

	if (pln_grow(&s->file.targets, &s->file.target_capacity, s->file.target_count,
		     sizeof(*s->file.targets)) &&
	    pln_grow(&s->live, &s->live_capacity, s->live_count, sizeof(*s->live)))
		st = calloc(1, sizeof(*st));
	used_ns = end_same_process(s, hello);
	/* relaxed: a clock value */
	pln_store_relaxed(&hello->segment.shared->collector_ns, pln_session_now_ns());
	if (st)
		st->target = pln_target_new(s->file.tables, s->scratch, hello);
	else
		pln_hello_release(hello);
	if (!st || !st->target) {
		free(st);
		return -ENOMEM;
	}
	st->target->before.process_cpu_ns = used_ns;
	st->session = s;
	st->watch = (struct pln_watch){ st->target->pidfd.fd, on_death };
	s->file.targets[s->file.target_count++] = st;
	add_to_live(s, st);
	st->watched = st->watch.fd >= 0 && !pln_loop_add(s->options.loop, &st->watch);
	s->last_seen_ns = pln_session_now_ns();
	arm_timer(s, DRAIN_INTERVAL);
	return 0;
}

/* --------------------------------------------------------------------- file */

int pln_session_open_file(struct pln_session_file *file)
{
	int error = pln_writer_open(&file->writer, file->output_fd, &file->recording);

	if (error) {
		file->writer = NULL;
		return error;
	}
	file->tables = malloc(sizeof(*file->tables));
	error = file->tables ? pln_tables_open(file->tables, file->writer) : -ENOMEM;
	if (!error)
		return 0;
	free(file->tables);
	pln_writer_free(file->writer);
	file->tables = NULL;
	file->writer = NULL;
	return error;
}

void pln_session_close_file(struct pln_session_file *file)
{
	if (file->tables)
		pln_tables_close(file->tables);
	free(file->tables);
	pln_writer_free(file->writer);
	file->tables = NULL;
	file->writer = NULL;
}

/* That of a process which is not in the profile. */
static void forget_command(struct pln_session *s)
{
	if (s->command)
		s->file.recording.command = "";
	free(s->command);
	s->command = NULL;
}

static int open_profile(struct pln_session *s, const struct pln_target_hello *hello, char *why,
			size_t size)
{
	struct pln_recording *recording = &s->file.recording;
	int fd, error;

	if (s->file.writer)
		return 0;
	fd = s->options.open_output(hello->pid > 0 ? hello->pid : (pid_t)hello->segment.pid,
				    hello->segment.texts->executable, why, size, s->options.arg);
	if (fd < 0)
		return fd;
	s->file.output_fd = fd;
	recording->period_ns = hello->segment.period_ns;
	recording->tick_ns = hello->segment.tick_ns;
	if (!s->command && !*recording->command) {
		s->command = pln_segment_command(&hello->segment);
		recording->command = s->command ? s->command : "";
	}
	s->first_pid = hello->segment.pid;
	error = pln_session_open_file(&s->file);
	pln_session_keep_error(s, error);
	if (error) {
		snprintf(why, size,
			 "the profile cannot be written: %s; choose another place with -o or "
			 "PILLION_OUTPUT",
			 strerror(-error));
		forget_command(s);
		return error;
	}
	s->first_hello_ns = s->flushed_ns = s->file.begin_ns = pln_session_now_ns();
	if (s->options.notice)
		pln_session_note(s, 1, s->options.notice);
	return 0;
}

int pln_session_admit(struct pln_session *s, int conn, char *why, size_t size)
{
	struct pln_target_hello hello;
	int error = pln_hello_take(conn, &s->rules, &hello, why, size);

	if (error)
		return error;
	if (s->stopped_ns) {
		snprintf(why, size, "the recording is over");
		error = -ECANCELED;
	} else {
		error = open_profile(s, &hello, why, size);
	}
	if (error) {
		pln_hello_release(&hello);
		return error;
	}
	error = add_target(s, &hello);
	if (error)
		snprintf(why, size, "the collector has no memory for the process");
	return error;
}

/* ---------------------------------------------------------------------- tick */

static void tell_targets_to_stop(struct pln_session *s)
{
	for (size_t i = s->live_count; i-- > 0;)
		/* relaxed: a word on its own */
		pln_store_relaxed(&s->live[i]->target->segment.shared->command,
				  PILLION_COMMAND_STOP);
}

/* Each by a clock of its own: what is ahead of it made no sense, and many take long to drain. */
static unsigned drain_all(struct pln_session *s)
{
	unsigned fullest = 0, percent;

	for (size_t i = s->live_count; i-- > 0;) {
		struct pln_session_target *st = s->live[i];
		struct pln_target *t = st->target;
		uint64_t now_ns = pln_session_now_ns();

		/* relaxed: a clock value */
		pln_store_relaxed(&t->segment.shared->collector_ns, now_ns);
		percent = pln_target_drain(t, now_ns, false);
		pln_target_follow_heap(t);
		if (fullest < percent)
			fullest = percent;
		if (!st->watched && pln_target_is_gone(t, now_ns))
			pln_session_end_target(st, true);
	}
	return fullest;
}

void pln_session_drain(struct pln_session *s)
{
	(void)drain_all(s);
}

static void publish_all(struct pln_session *s)
{
	for (size_t i = s->live_count; i-- > 0;)
		pln_target_publish(s->live[i]->target);
	for (size_t i = s->unreaped_count; i-- > 0;) {
		struct pln_target *t = s->unreaped[i]->target;

		pln_target_collect_status(t);
		if (!t->wants_exit_status)
			s->unreaped[i] = s->unreaped[--s->unreaped_count];
	}
}

static void tell(struct pln_session *s, enum pln_session_event event)
{
	if (s->options.event)
		s->options.event(s, event, s->options.arg);
}

static void flush(struct pln_session *s)
{
	uint64_t now_ns = pln_session_now_ns();
	bool is_young = now_ns - s->first_hello_ns < SECOND;

	if (!s->file.writer || now_ns - s->flushed_ns < (is_young ? FIRST_FLUSHES : FLUSH_INTERVAL))
		return;
	s->flushed_ns = now_ns;
	publish_all(s);
	pln_session_keep_error(s, pln_writer_flush(s->file.writer));
	tell(s, PLN_SESSION_WRITTEN);
}

/* May finish the session: nothing of it is touched afterwards. */
static void watch_clock(struct pln_session *s)
{
	uint64_t now_ns = pln_session_now_ns();
	uint64_t patience = s->first_hello_ns ? IDLE_AFTER : FIRST_HELLO_PATIENCE;
	uint64_t duration = s->options.duration_ns;

	/* It comes back when that file has ended. */
	if (s->reading_symbols)
		return;
	if (duration && s->first_hello_ns && !s->stopped_ns &&
	    now_ns - s->first_hello_ns >= duration) {
		tell_targets_to_stop(s);
		s->stopped_ns = now_ns;
	}
	if (s->stopped_ns && now_ns - s->stopped_ns >= QUIET_AFTER)
		tell(s, PLN_SESSION_TIME_OVER);
	else if (!s->guests && !pln_session_live(s) && now_ns - s->last_seen_ns >= patience)
		tell(s, PLN_SESSION_IDLE);
}

static void on_tick(struct pln_watch *watch)
{
	struct pln_session *s = pln_watch_owner(watch, struct pln_session, timer);
	unsigned fullest;
	uint64_t expired;

	(void)!read(watch->fd, &expired, sizeof(expired));
	fullest = drain_all(s);
	/* Each looks at the clock: while names are read the loop goes on, for seconds maybe. */
	flush(s);
	pln_session_rotate_when_due(s);
	pln_session_name_in_advance(s);
	pln_guests_tick(s);
	if (!pln_session_live(s))
		arm_timer(s, IDLE_INTERVAL);
	else
		arm_timer(s, fullest > HURRY_PERCENT ? HURRIED_INTERVAL : DRAIN_INTERVAL);
	watch_clock(s);
}

/* --------------------------------------------------------------- open, finish */

static int start(struct pln_session *s)
{
	int flags = fcntl(s->listener.fd, F_GETFL);
	int error;

	if (flags < 0 || fcntl(s->listener.fd, F_SETFL, flags | O_NONBLOCK))
		return -errno;
	s->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->timer.fd < 0)
		return -errno;
	s->scratch = pln_scratch_new();
	if (!s->scratch)
		return -ENOMEM;
	error = pln_loop_add(s->options.loop, &s->timer);
	if (!error)
		error = pln_loop_add(s->options.loop, &s->listener);
	s->listening = !error;
	arm_timer(s, IDLE_INTERVAL);
	return error;
}

int pln_session_open(struct pln_session **session, const struct pln_session_options *options)
{
	struct pln_session *s = calloc(1, sizeof(*s));
	int error;

	if (!s)
		return -ENOMEM;
	s->options = *options;
	s->file.recording = options->recording;
	s->rules.need_token = options->need_token;
	s->rules.any_user = options->any_user;
	s->rules.users = options->users;
	s->rules.user_count = options->user_count;
	memcpy(s->rules.token, options->token, sizeof(s->rules.token));
	s->listener = (struct pln_watch){ options->listen_fd, pln_guests_on_connect };
	s->timer = (struct pln_watch){ -1, on_tick };
	s->open_ns = s->last_seen_ns = pln_session_now_ns();
	error = start(s);
	if (error) {
		pln_session_free(s);
		s = NULL;
	}
	*session = s;
	return error;
}

static void stop_ticking(struct pln_session *s)
{
	if (s->timer.fd < 0)
		return;
	pln_loop_remove(s->options.loop, &s->timer);
	close(s->timer.fd);
	s->timer.fd = -1;
}

/*
 * The command is over, but a hello may still be on its way through the socket, and
 * its helpers may still be dying.
 */
static void await_last_words(struct pln_session *s)
{
	uint64_t until_ns = pln_session_now_ns() + LAST_WORDS;

	pln_guests_on_connect(&s->listener);
	do
		pln_loop_poll(s->options.loop, pln_session_live(s) || s->guests ? 10 : 0);
	while ((pln_session_live(s) || s->guests) && pln_session_now_ns() < until_ns);
}

void pln_session_close_doors(struct pln_session *s)
{
	if (s->closed)
		return;
	s->closed = true;
	if (!s->stopped_ns)
		await_last_words(s);
	pln_guests_serve_last(s);
}

static void end_all(struct pln_session *s)
{
	tell_targets_to_stop(s);
	for (size_t i = 0; i < s->file.target_count; i++) {
		struct pln_session_target *st = s->file.targets[i];

		if (st->target->ended && st->target->wants_exit_status)
			pln_target_collect_status(st->target);
		else if (!st->target->ended)
			pln_session_end_target(
				st, pln_target_is_gone(st->target, pln_session_now_ns()));
	}
}

static uint64_t own_cpu_ns(void)
{
	return pln_kernel_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

/* With its last process; where one runs on, when it was told to stop. Our own grace is not in it.
 */
static uint64_t end_of_recording(const struct pln_session *s)
{
	uint64_t end_ns = 0;

	for (size_t i = 0; i < s->file.target_count; i++) {
		uint64_t target_end_ns = s->file.targets[i]->target->row.end_ns;

		if (!target_end_ns)
			return s->stopped_ns ? s->stopped_ns : pln_session_now_ns();
		if (end_ns < target_end_ns)
			end_ns = target_end_ns;
	}
	return end_ns ? end_ns : pln_session_now_ns();
}

/* Where nobody started the command it is the first process: how did its last program end? */
static int status_of_first(const struct pln_session *s)
{
	int status = -1;

	for (size_t i = 0; s->command && i < s->file.target_count; i++)
		if (s->file.targets[i]->target->row.inner_pid == s->first_pid)
			status = s->file.targets[i]->target->row.exit_status;
	return status;
}

void pln_session_end_file(struct pln_session *s, struct pln_session_file *file, uint64_t end_ns,
			  int exit_status)
{
	struct pln_recording *recording = &file->recording;
	struct rusage usage;
	struct stat st;

	recording->end_ns = end_ns;
	pln_session_keep_error(s, pln_writer_flush(file->writer));
	pln_session_symbolize(s, file);
	recording->exit_status = exit_status;
	recording->collector_cpu_ns = own_cpu_ns() - s->rotated_cpu_ns;
	s->rotated_cpu_ns += recording->collector_cpu_ns;
	getrusage(RUSAGE_SELF, &usage);
	recording->collector_peak_rss = (uint64_t)usage.ru_maxrss * 1024;
	pln_session_keep_error(s, pln_writer_end(file->writer, recording));
	s->summary.lost_samples += pln_writer_lost_samples(file->writer);
	s->summary.lost_blocks += pln_writer_lost_blocks(file->writer);
	s->summary.collector_cpu_ns = own_cpu_ns();
	if (fstat(file->output_fd, &st))
		return;
	file->bytes = (uint64_t)st.st_size;
	s->summary.bytes += file->bytes;
}

/* What all of it came to, for those who read the profile and did not see our last words. */
static void note_shortages(struct pln_session *s)
{
	struct pln_session_summary sum;
	char text[PLN_WHY_SIZE + 64];

	pln_session_summarize(s, &sum);
	if (sum.refused_count > 1) {
		snprintf(text, sizeof(text), "%" PRIu32 " processes were refused, the last: %s",
			 sum.refused_count, sum.refused);
		pln_session_note(s, 1, text);
	}
	if (sum.nameless) {
		snprintf(text, sizeof(text),
			 "%" PRIu32 " processes of containers have native frames without names: no "
			 "descriptor was left for their files; raise the limit (ulimit -n)",
			 sum.nameless);
		pln_session_note(s, 1, text);
	}
}

static void close_profile(struct pln_session *s, int exit_status)
{
	note_shortages(s);
	if (exit_status == -1)
		exit_status = status_of_first(s);
	pln_session_end_file(s, &s->file, end_of_recording(s), exit_status);
}

void pln_session_finish(struct pln_session *s, int exit_status)
{
	if (s->finished)
		return;
	s->finished = true;
	pln_session_close_doors(s);
	stop_ticking(s);
	end_all(s);
	if (s->file.writer)
		close_profile(s, exit_status);
}

/* Nobody has removed, replaced or overwritten it. */
static bool is_file_as_left(const struct pln_session *s)
{
	struct stat st;

	return !fstat(s->file.output_fd, &st) && st.st_nlink &&
	       (uint64_t)st.st_size == s->file.bytes;
}

void pln_session_amend(struct pln_session *s, int exit_status)
{
	if (!s->file.writer || !is_file_as_left(s))
		return;
	for (size_t i = 0; i < s->file.target_count; i++)
		pln_target_collect_status(s->file.targets[i]->target);
	s->file.recording.exit_status = exit_status;
	(void)pln_writer_end(s->file.writer, &s->file.recording);
}

void pln_session_add_sums(struct pln_session_summary *sum, const struct pln_target *t)
{
	sum->samples += t->samples;
	for (unsigned i = 0; i < PILLION_DROP_COUNT; i++)
		sum->drops += t->row.drops[i];
	sum->lost_records += t->row.lost_records;
	sum->target_cpu_ns += t->row.process_cpu_ns;
	sum->overhead_ns += t->row.handler_ns + t->row.sampler_cpu_ns;
}

void pln_session_add_presence(struct pln_session_summary *sum, const struct pln_target *t)
{
	sum->processes++;
	sum->running += t->row.end_ns == 0;
	sum->threads += (uint32_t)t->thread_count;
	sum->nameless += t->root && !pln_root_is_kept(t->root);
	if (t->row.interpreter_status == PILLION_INTERPRETER_REFUSED) {
		sum->native_only++;
		snprintf(sum->native_only_why, sizeof(sum->native_only_why), "%s",
			 t->layout_detail);
	}
}

void pln_session_summarize(const struct pln_session *s, struct pln_session_summary *summary)
{
	*summary = s->summary;
	for (size_t i = 0; i < s->file.target_count; i++) {
		pln_session_add_sums(summary, s->file.targets[i]->target);
		pln_session_add_presence(summary, s->file.targets[i]->target);
	}
	summary->samples -= summary->lost_samples;
}

void pln_session_free(struct pln_session *s)
{
	if (!s)
		return;
	pln_guests_close(s);
	stop_ticking(s);
	for (size_t i = 0; i < s->file.target_count; i++) {
		unwatch(s->file.targets[i]);
		pln_target_free(s->file.targets[i]->target);
		free(s->file.targets[i]);
	}
	free(s->file.targets);
	free(s->live);
	free(s->unreaped);
	pln_session_close_file(&s->file);
	pln_scratch_free(s->scratch);
	free(s->command);
	free(s);
}
