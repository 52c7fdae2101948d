/* SPDX-License-Identifier: MIT */
/*
 * merge.c - see merge.h.
 */
#include "diff/merge.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pillion/pillion.h>

#include "profile/writer.h"
#include "report/names.h"

/* What ids and times of one input are moved by. */
struct base {
	uint32_t process, thread, module, function, frame, stack;
	int64_t time_ns;
};

struct merge {
	struct pln_writer *writer;
	const struct pln_merge_input *input; /* the one at hand */
	struct pln_profile *profile;
	struct base base;
	uint64_t end_ns; /* of the whole */
};

/* ------------------------------------------------------------- ids and times */

static uint32_t moved(uint32_t id, uint32_t by)
{
	return id == PLN_NONE ? PLN_NONE : id + by;
}

/* 0 means "not yet" or "never" and stays; nothing is before the start of all clocks. */
static uint64_t at(const struct merge *m, uint64_t time_ns)
{
	int64_t by = m->base.time_ns;

	if (!time_ns)
		return 0;
	return by < 0 && time_ns <= -(uint64_t)by ? 1 : time_ns + (uint64_t)by;
}

/* ----------------------------------------------------------------- recording */

static void append(char *list, size_t size, const char *text, const char *separator)
{
	size_t used = strlen(list);

	snprintf(list + used, size - used, "%s%s", used ? separator : "", text);
}

/* Whether an earlier input has the text already. */
static bool is_known(const struct pln_merge_input *inputs, size_t count, size_t offset,
		     const char *text)
{
	for (size_t i = 0; i < count; i++) {
		const char *const *other =
			(const void *)((const char *)&inputs[i].profile->recording + offset);

		if (!strcmp(*other, text))
			return true;
	}
	return !*text;
}

struct recording_texts {
	char command[4096];
	char host[512];
	const char *directory; /* that all were recorded in, or "" */
};

static void join_texts(struct recording_texts *t, const struct pln_merge_input *inputs,
		       size_t count)
{
	t->command[0] = t->host[0] = '\0';
	t->directory = inputs[0].profile->recording.working_directory;
	for (size_t i = 0; i < count; i++) {
		const struct pln_recording *r = &inputs[i].profile->recording;

		if (!is_known(inputs, i, offsetof(struct pln_recording, command), r->command))
			append(t->command, sizeof(t->command), r->command, " + ");
		if (!is_known(inputs, i, offsetof(struct pln_recording, host), r->host))
			append(t->host, sizeof(t->host), r->host, ", ");
		if (strcmp(t->directory, r->working_directory))
			t->directory = "";
	}
}

/* The clock of the profile that starts first goes on; rates are the first one's, as processes have
 * their own. */
static struct pln_recording join_recordings(const struct recording_texts *texts,
					    const struct pln_merge_input *inputs, size_t count)
{
	struct pln_recording all = inputs[0].profile->recording;

	all.command = texts->command;
	all.host = texts->host;
	all.working_directory = texts->directory;
	all.pillion_version = PILLION_VERSION;
	for (size_t i = 1; i < count; i++) {
		const struct pln_recording *r = &inputs[i].profile->recording;

		if (r->start_real_ns < all.start_real_ns) {
			all.start_real_ns = r->start_real_ns;
			all.start_ns = r->start_ns;
		}
		all.exit_status = r->exit_status == all.exit_status ? all.exit_status : -1;
		all.collector_cpu_ns += r->collector_cpu_ns;
		if (r->collector_peak_rss > all.collector_peak_rss)
			all.collector_peak_rss = r->collector_peak_rss;
	}
	return all;
}

/* --------------------------------------------------------------- definitions */

static void add_process(struct merge *m, const struct pln_process *process)
{
	struct pln_process p = *process;

	p.start_ns = at(m, p.start_ns);
	p.end_ns = at(m, p.end_ns);
	/* Whoever ran on when its recording ended was seen to there, not to the end of the whole.
	 */
	if (!p.end_ns && at(m, m->profile->recording.end_ns) != m->end_ns)
		p.end_ns = at(m, m->profile->recording.end_ns);
	p.heap_peak_ns = at(m, p.heap_peak_ns);
	p.finalizing_ns = at(m, p.finalizing_ns);
	pln_writer_add_process(m->writer, &p);
}

static void add_thread(struct merge *m, const struct pln_thread *thread)
{
	struct pln_thread t = *thread;

	t.process = moved(t.process, m->base.process);
	t.start_ns = at(m, t.start_ns);
	t.seen_ns = at(m, t.seen_ns);
	pln_writer_add_thread(m->writer, &t);
}

static void add_label(struct merge *m, const struct pln_label *label)
{
	struct pln_label l = *label;

	l.process += m->base.process;
	pln_writer_add_label(m->writer, &l);
}

static void add_module(struct merge *m, const struct pln_module_info *module)
{
	struct pln_module_info copy = *module;

	copy.process = moved(copy.process, m->base.process);
	pln_writer_add_module(m->writer, &copy);
}

static void add_frame(struct merge *m, const struct pln_frame *frame)
{
	struct pln_frame f = *frame;

	f.module = moved(f.module, m->base.module);
	f.function = moved(f.function, m->base.function);
	pln_writer_add_frame(m->writer, &f);
}

static void add_stack(struct merge *m, const struct pln_stack_node *node)
{
	const struct pln_stack_node n = {
		.parent = moved(node->parent, m->base.stack),
		.frame = node->frame + m->base.frame,
	};

	pln_writer_add_stack(m->writer, &n);
}

/*
 * The locations of a native frame. One that nobody could name may be named where its files are,
 * unless its own recording had them and found nothing.
 */
static int add_symbols(struct merge *m, uint32_t frame)
{
	const struct pln_profile *p = m->profile;
	uint32_t first = p->frame_first_location[frame];
	uint32_t count = p->frame_first_location[frame + 1] - first;
	struct pln_location *locations;

	if (p->frames[frame].kind != PLN_FRAME_NATIVE)
		return 0;
	if (!p->recording.symbolized && p->functions[p->locations[first].function].unknown)
		return 0;
	locations = malloc(count * sizeof(*locations));
	if (!locations)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		locations[i] = p->locations[first + i];
		locations[i].function += m->base.function;
	}
	pln_writer_add_locations(m->writer, frame + m->base.frame, locations, count);
	free(locations);
	return 0;
}

static int add_definitions(struct merge *m)
{
	const struct pln_profile *p = m->profile;
	int err = 0;

	for (size_t i = 0; i < p->process_count; i++)
		add_process(m, &p->processes[i]);
	for (size_t i = 0; i < p->label_count; i++)
		add_label(m, &p->labels[i]);
	for (size_t i = 0; i < p->thread_count; i++)
		add_thread(m, &p->threads[i]);
	for (size_t i = 0; i < p->module_count; i++)
		add_module(m, &p->modules[i]);
	for (size_t i = 0; i < p->function_count; i++)
		pln_writer_add_function(m->writer, &p->functions[i]);
	for (size_t i = 0; i < p->frame_count; i++)
		add_frame(m, &p->frames[i]);
	for (size_t i = 0; i < p->stack_count; i++)
		add_stack(m, &p->stacks[i]);
	for (uint32_t f = 0; f < p->frame_count && !err; f++)
		err = add_symbols(m, f);
	return err;
}

/* --------------------------------------------------------------- what happened */

static int add_sample(const struct pln_sample_row *row, void *arg)
{
	struct merge *m = arg;
	struct pln_sample_row s = *row;

	s.time_ns = at(m, s.time_ns);
	s.thread += m->base.thread;
	s.stack = moved(s.stack, m->base.stack);
	pln_writer_add_sample(m->writer, &s);
	return 0;
}

/* A block that could not be written has no id, and its free none to go to. */
static void add_blocks(struct merge *m)
{
	for (size_t i = 0; i < m->profile->block_count; i++) {
		struct pln_block_row b = m->profile->blocks[i];
		uint32_t id;

		b.time_ns = at(m, b.time_ns);
		b.thread += m->base.thread;
		b.stack = moved(b.stack, m->base.stack);
		id = pln_writer_add_block(m->writer, &b);
		if (b.freed_ns && id != PLN_NONE)
			pln_writer_add_free(m->writer, id, at(m, b.freed_ns));
	}
}

static void add_heap_points(struct merge *m)
{
	for (size_t i = 0; i < m->profile->heap_point_count; i++) {
		struct pln_heap_point point = m->profile->heap_points[i];

		point.time_ns = at(m, point.time_ns);
		point.process += m->base.process;
		pln_writer_add_heap_point(m->writer, &point);
	}
}

/* ----------------------------------------------------------------------- notes */

static void add_note(struct merge *m, uint64_t time_ns, uint32_t process, uint32_t level,
		     const char *format, ...) __attribute__((format(printf, 5, 6)));

static void add_note(struct merge *m, uint64_t time_ns, uint32_t process, uint32_t level,
		     const char *format, ...)
{
	struct pln_note_row note = { .time_ns = time_ns, .process = process, .level = level };
	char *text = NULL;
	va_list args;
	int size;

	va_start(args, format);
	size = vasprintf(&text, format, args);
	va_end(args);
	if (size < 0)
		return;
	note.text = text;
	pln_writer_add_note(m->writer, &note);
	free(text);
}

/* Where it came from, and what the header of one profile cannot say of several. */
static void add_origin(struct merge *m)
{
	const struct pln_profile *p = m->profile;
	const struct pln_recording *r = &p->recording;
	const char *name = pln_base_name(m->input->path);
	time_t start = (time_t)(r->start_real_ns / 1000000000);
	uint64_t start_ns = at(m, r->start_ns), period_ns = pln_profile_period_ns(p);
	char when[64] = "", status[48];
	struct tm tm;

	if (localtime_r(&start, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	add_note(m, start_ns, PLN_NONE, 0,
		 "%s: %zu process%s, recorded %s on %s at %.5g Hz: %s; %s", name, p->process_count,
		 p->process_count == 1 ? "" : "es", when, *r->host ? r->host : "an unnamed host",
		 period_ns ? 1e9 / (double)period_ns : 0, r->command,
		 r->exit_status == -1 ? "how it ended is not known"
				      : pln_exit_text(r->exit_status, status, sizeof(status)));
	if (p->bad_bytes || r->truncated)
		add_note(m, start_ns, PLN_NONE, 1, "%s: the last %llu bytes could not be read",
			 name, (unsigned long long)p->bad_bytes);
	if (r->lost_samples)
		add_note(m, start_ns, PLN_NONE, 1,
			 "%s: %llu samples could not be written when it was recorded (disk or "
			 "memory full)",
			 name, (unsigned long long)r->lost_samples);
}

static void add_notes(struct merge *m)
{
	const struct pln_profile *p = m->profile;

	add_origin(m);
	for (size_t i = 0; i < p->note_count; i++) {
		const struct pln_note_row *n = &p->notes[i];

		if (n->process == PLN_NONE)
			add_note(m, at(m, n->time_ns), PLN_NONE, n->level, "%s: %s",
				 pln_base_name(m->input->path), n->text);
		else
			add_note(m, at(m, n->time_ns), moved(n->process, m->base.process), n->level,
				 "%s", n->text);
	}
}

/* ------------------------------------------------------------------- the whole */

/* By how much this input's clock is behind that of the whole, when the wall clocks agree. */
static int64_t time_base(const struct pln_recording *all, const struct pln_recording *r)
{
	/* Unsigned, as what a damaged file says may overflow. */
	return (int64_t)((r->start_real_ns - all->start_real_ns) - (r->start_ns - all->start_ns));
}

static int add_input(struct merge *m, const struct pln_recording *all)
{
	struct pln_profile *p = m->profile;
	int err;

	m->base.time_ns = time_base(all, &p->recording);
	err = add_definitions(m);
	if (!err)
		err = pln_profile_each_sample(p, add_sample, m);
	if (err)
		return err;
	add_blocks(m);
	add_heap_points(m);
	add_notes(m);
	m->base.process += (uint32_t)p->process_count;
	m->base.thread += (uint32_t)p->thread_count;
	m->base.module += (uint32_t)p->module_count;
	m->base.function += (uint32_t)p->function_count;
	m->base.frame += (uint32_t)p->frame_count;
	m->base.stack += (uint32_t)p->stack_count;
	return pln_writer_flush(m->writer);
}

/* The last thing seen by any of them, in the clock of the whole. */
static uint64_t end_of_all(const struct pln_recording *all, const struct pln_merge_input *inputs,
			   size_t count)
{
	struct merge m = { .writer = NULL };
	uint64_t end = 0;

	for (size_t i = 0; i < count; i++) {
		uint64_t own;

		m.base.time_ns = time_base(all, &inputs[i].profile->recording);
		own = at(&m, inputs[i].profile->recording.end_ns);
		end = own > end ? own : end;
	}
	return end;
}

int pln_merge(int fd, const struct pln_merge_input *inputs, size_t count, uint64_t *lost)
{
	struct recording_texts texts;
	struct merge m = { .writer = NULL };
	struct pln_recording all;
	int err, end_err;

	join_texts(&texts, inputs, count);
	all = join_recordings(&texts, inputs, count);
	all.end_ns = m.end_ns = end_of_all(&all, inputs, count);
	err = pln_writer_open(&m.writer, fd, &all);
	if (err)
		return err;
	for (size_t i = 0; i < count && !err; i++) {
		m.input = &inputs[i];
		m.profile = inputs[i].profile;
		err = add_input(&m, &all);
	}
	end_err = pln_writer_end(m.writer, &all);
	*lost = pln_writer_lost_samples(m.writer) + pln_writer_lost_blocks(m.writer);
	pln_writer_free(m.writer);
	return err ? err : end_err;
}
