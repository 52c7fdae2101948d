/* SPDX-License-Identifier: MIT */
/*
 * symbols.c - the names of native frames, once everything is recorded.
 *
 * It comes last because it reads files, which can take seconds: until then the
 * profile is whole without it, and if we are killed here a reader finds the names.
 */
#include "ingest/session_i.h"
#include "profile/symbolize.h"

static const char *root_of(uint32_t process, void *arg)
{
	const struct pln_part *part = arg;

	return process < part->target_count ? part->targets[process]->target->root : NULL;
}

static uint32_t add_function(const struct pln_function *function, void *arg)
{
	const struct pln_part *part = arg;

	return pln_tables_function(part->tables, function);
}

static void found(uint32_t frame, const struct pln_location *locations, unsigned count, void *arg)
{
	const struct pln_part *part = arg;

	pln_writer_add_locations(part->writer, frame, locations, count);
}

static void progress(size_t done, size_t total, void *arg)
{
	const struct pln_part *part = arg;
	struct pln_session *s = part->session;

	/* A signal to pass on must not wait until we are done, nor must a lane that fills. */
	pln_loop_poll(s->options.loop, 0);
	if (s->options.progress && !s->rotating)
		s->options.progress(done, total, s->options.arg);
}

void pln_session_symbolize(const struct pln_part *part)
{
	struct pln_symbolize_job job = {
		.modules = part->tables->module_rows,
		.module_count = part->tables->module_count,
		.frames = part->tables->frame_rows,
		.frame_count = part->tables->frame_count,
		.root_of = root_of,
		.add_function = add_function,
		.found = found,
		.progress = progress,
		.arg = (void *)part,
	};
	struct pln_note_row note = { part->recording.end_ns, PLN_NONE, 1,
				     "symbols could not be read: native frames have no names" };

	if (pln_symbolize(&job))
		pln_writer_add_note(part->writer, &note);
}
