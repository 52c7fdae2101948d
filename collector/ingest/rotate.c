/* SPDX-License-Identifier: MIT */
/*
 * rotate.c - a recording that never ends, in files that do.
 *
 * Between two drains everything changes over: what was drained is in the old file, what
 * comes is for the new one. The old one then gets its symbols and its end; that may take a
 * second, in which lanes are drained as ever. Where no new file can be had, the old one
 * goes on.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pillion/kernel_clock.h>

#include "ingest/session_i.h"

#define PATIENCE_NS 10000000000ull /* after a failure */

static bool is_due(const struct pln_session *s)
{
	const struct pln_session_options *o = &s->options;
	uint64_t now_ns = pln_session_now_ns();

	if (!s->file.writer || s->reading_symbols || s->stopped_ns || !o->next_output ||
	    now_ns < s->rotate_again_ns || !pln_session_live(s))
		return false;
	return s->rotate_wanted || (o->rotate_ns && now_ns - s->file.begin_ns >= o->rotate_ns) ||
	       (o->rotate_bytes && pln_writer_bytes(s->file.writer) >= o->rotate_bytes);
}

static void note_failure(struct pln_session *s, const char *why)
{
	char text[PLN_WHY_SIZE + 64];

	snprintf(text, sizeof(text), "no new profile could be begun: %s", why);
	pln_session_note(s, 1, text);
}

/* Returns 0 or -errno. */
static int open_next(struct pln_session *s, struct pln_session_file *next)
{
	char why[PLN_WHY_SIZE] = "";
	int error;

	next->targets = calloc(s->file.target_count, sizeof(*next->targets));
	next->target_capacity = s->file.target_count;
	if (!next->targets)
		return -ENOMEM;
	next->output_fd = s->options.next_output(why, sizeof(why), s->options.arg);
	if (next->output_fd < 0) {
		note_failure(s, why);
		return next->output_fd;
	}
	/* That may have taken a while, and what was sampled in it will be in the file before. */
	next->recording = s->file.recording;
	next->begin_ns = next->recording.start_ns = pln_session_now_ns();
	next->recording.start_real_ns = pln_kernel_clock_ns(CLOCK_REALTIME);
	error = pln_session_open_file(next);
	if (error) {
		note_failure(s, strerror(-error));
		s->options.output_ended(next->output_fd, s->options.arg);
	}
	return error;
}

/* Those that live go over; one for which there is no memory is not followed any more. */
static void move_targets(struct pln_session *s, struct pln_session_file *next)
{
	for (size_t i = 0; i < s->file.target_count; i++) {
		struct pln_target *t = s->file.targets[i]->target;
		uint32_t threads = (uint32_t)t->thread_count;

		pln_target_publish_all(t);
		pln_session_add_sums(&s->summary, t);
		if (!t->ended && pln_target_carry(t, next->tables, next->begin_ns)) {
			next->targets[next->target_count++] = s->file.targets[i];
			s->summary.threads += threads - (uint32_t)t->thread_count;
			continue;
		}
		if (!t->ended)
			pln_session_end_target(s->file.targets[i], false);
		else if (t->wants_exit_status)
			pln_target_collect_status(t);
		pln_session_add_presence(&s->summary, t);
	}
}

/* What has ended belongs to the old file alone. */
static void release(struct pln_session *s, struct pln_session_file *old)
{
	for (size_t i = 0; i < old->target_count; i++) {
		struct pln_session_target *st = old->targets[i];

		if (!st->target->ended || st->target->tables != old->tables)
			continue;
		if (st->watched)
			pln_loop_remove(s->options.loop, &st->watch);
		pln_target_free(st->target);
		free(st);
	}
	free(old->targets);
	pln_session_close_file(old);
}

static void rotate(struct pln_session *s, struct pln_session_file *next)
{
	struct pln_session_file old = s->file;

	move_targets(s, next);
	s->file = *next;
	s->unreaped_count = 0; /* they are the old file's, and have been asked */
	s->reading_symbols = true;
	pln_session_end_file(s, &old, next->begin_ns, -1);
	s->reading_symbols = false;
	s->rotations++;
	release(s, &old);
	s->options.output_ended(old.output_fd, s->options.arg);
}

void pln_session_rotate_when_due(struct pln_session *s)
{
	struct pln_session_file next = { .target_count = 0 };

	if (!is_due(s))
		return;
	s->rotate_wanted = false;
	if (open_next(s, &next)) {
		free(next.targets);
		s->rotate_again_ns = pln_session_now_ns() + PATIENCE_NS;
		return;
	}
	pln_session_drain(s);
	rotate(s, &next);
}
