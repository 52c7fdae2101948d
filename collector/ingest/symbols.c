/* SPDX-License-Identifier: MIT */
/*
 * symbols.c - the names of native frames, once everything is recorded.
 *
 * It comes last because it reads files, which can take seconds: until then the
 * profile is whole without it, and if we are killed here a reader finds the names. Not so
 * where a container goes with its first process, or with the program that this one is an init
 * for, and with it the collector and the files: there frames are named after a second, then
 * ever more seldom, down to once a minute. Nor where so many containers came and went that
 * their roots use up the descriptors.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/roots.h"
#include "ingest/session_i.h"
#include "profile/symbolize.h"

#define NAME_FIRST_NS 1000000000ull
#define NAME_SELDOM_NS 60000000000ull

/* Whose names are looked for. */
struct naming {
	struct pln_session *session;
	const struct pln_session_file *file;
};

static const char *root_of(uint32_t process, void *arg)
{
	const struct pln_session_file *file = ((struct naming *)arg)->file;
	const struct pln_root *root =
		process < file->target_count ? file->targets[process]->target->root : NULL;

	return root ? pln_root_path(root) : NULL;
}

static uint32_t add_function(const struct pln_function *function, void *arg)
{
	const struct pln_session_file *file = ((struct naming *)arg)->file;

	return pln_tables_function(file->tables, function);
}

static void found(uint32_t frame, const struct pln_location *locations, unsigned count, void *arg)
{
	const struct pln_session_file *file = ((struct naming *)arg)->file;

	pln_writer_add_locations(file->writer, frame, locations, count);
}

static void progress(size_t done, size_t total, void *arg)
{
	struct pln_session *s = ((struct naming *)arg)->session;

	/* A signal to pass on must not wait until we are done, nor must a lane that fills. */
	pln_loop_poll(s->options.loop, 0);
	if (s->options.progress && !s->reading_symbols)
		s->options.progress(done, total, s->options.arg);
}

/* Once in a file, though it is of many processes, and frames are named in several turns. */
static void problem(const char *path, const char *text, void *arg)
{
	const struct pln_session_file *file = ((struct naming *)arg)->file;
	struct pln_note_row note = { pln_session_now_ns(), PLN_NONE, 1, NULL };
	bool is_new = false;
	char *line;

	(void)pln_intern_add(file->tables->problems, path, strlen(path), &is_new);
	if (!is_new || asprintf(&line, "%s: %s; some of its functions have no lines, or no names",
				path, text) < 0)
		return;
	note.text = line;
	pln_writer_add_note(file->writer, &note);
	free(line);
}

/* Those before have their names already. */
static bool is_wanted(uint32_t frame, void *arg)
{
	const struct pln_session_file *file = ((struct naming *)arg)->file;

	return frame >= file->named_frames;
}

/* Returns 0 or -errno. */
static int symbolize(struct pln_session *s, const struct pln_session_file *file,
		     const struct pln_module_info *modules, const struct pln_frame *frames)
{
	struct naming naming = { s, file };
	struct pln_symbolize_job job = {
		.modules = modules,
		.module_count = file->tables->module_count,
		.frames = frames,
		.frame_count = file->tables->frame_count,
		.wanted = is_wanted,
		.root_of = root_of,
		.add_function = add_function,
		.found = found,
		.progress = progress,
		.problem = problem,
		.arg = &naming,
	};

	return pln_symbolize(&job);
}

void pln_session_symbolize(struct pln_session *s, const struct pln_session_file *file)
{
	struct pln_note_row note = { file->recording.end_ns, PLN_NONE, 1,
				     "symbols could not be read: native frames have no names" };

	if (symbolize(s, file, file->tables->module_rows, file->tables->frame_rows))
		pln_writer_add_note(file->writer, &note);
}

/* ------------------------------------------------------------------- in advance */

/* With the first process of the PID namespace that we are in the kernel ends us. */
static bool dies_with_target(const struct pln_session *s)
{
	for (size_t i = s->live_count; i-- > 0;)
		if (s->live[i]->target->pid == 1 || s->options.dies_with_targets)
			return true;
	return false;
}

static void *copy_of(const void *rows, size_t count, size_t size)
{
	void *copy = malloc(count * size + 1);

	return copy && count ? memcpy(copy, rows, count * size) : copy;
}

/* Drains and hellos go on meanwhile, and tables grow and move: what is named is a copy of them. */
static bool name_now(struct pln_session *s)
{
	bool done = false;
	struct pln_session_file file = s->file;
	size_t frame_count = s->file.tables->frame_count;
	struct pln_frame *frames =
		copy_of(s->file.tables->frame_rows, frame_count, sizeof(*frames));
	struct pln_module_info *modules = copy_of(s->file.tables->module_rows,
						  s->file.tables->module_count, sizeof(*modules));
	struct pln_session_target **targets =
		copy_of(s->file.targets, s->file.target_count, sizeof(struct pln_session_target *));

	file.targets = targets;
	s->reading_symbols = true;
	if (frames && modules && targets)
		done = !symbolize(s, &file, modules, frames);
	if (done)
		s->file.named_frames = frame_count;
	s->reading_symbols = false;
	free(frames);
	free(modules);
	free(targets);
	return done;
}

/*
 * A container goes with its processes, but for us: where many have come and gone, what they
 * left open is not kept until the end.
 */
static void let_go_of_roots(struct pln_session *s)
{
	bool named;

	for (size_t i = 0; i < s->file.target_count; i++) {
		const struct pln_target *t = s->file.targets[i]->target;

		s->file.targets[i]->being_named = t->ended && t->root && pln_root_is_kept(t->root);
	}
	named = s->file.tables->frame_count == s->file.named_frames || name_now(s);
	for (size_t i = 0; named && i < s->file.target_count; i++) {
		struct pln_target *t = s->file.targets[i]->target;

		/* Others have ended since. */
		if (!s->file.targets[i]->being_named)
			continue;
		pln_root_release(t->root);
		t->root = NULL;
	}
}

void pln_session_name_in_advance(struct pln_session *s)
{
	if (s->file.writer && !s->reading_symbols && pln_roots_idle() > pln_roots_idle_max())
		let_go_of_roots(s);
	if (!s->file.writer || s->reading_symbols || !dies_with_target(s) ||
	    pln_session_now_ns() - s->named_ns < s->name_after_ns)
		return;
	if (s->named_ns && s->file.tables->frame_count > s->file.named_frames)
		(void)name_now(s);
	s->name_after_ns = s->named_ns ? 2 * s->name_after_ns : NAME_FIRST_NS;
	if (s->name_after_ns > NAME_SELDOM_NS)
		s->name_after_ns = NAME_SELDOM_NS;
	s->named_ns = pln_session_now_ns();
}
