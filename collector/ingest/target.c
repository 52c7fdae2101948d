/* SPDX-License-Identifier: MIT */
/*
 * target.c - one followed process: its rows in the profile, its totals, its end.
 *
 * The totals lie in the shared segment, which outlives the process as long as we map
 * it: they are as true after a SIGKILL as before.
 */
#include "ingest/target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pillion/atomic.h>

#include "ingest/burst.h"
#include "ingest/hello.h"
#include "ingest/roots.h"

#define SILENCE_NS 30000000000ull
#define MAX_WAIT_NS (1ull << 60)

/* ---------------------------------------------------------------------- new */

static void fill_row(struct pln_target *t)
{
	const struct pln_segment_view *seg = &t->segment;
	struct pln_process *row = &t->row;

	row->pid = t->pid > 0 ? (uint32_t)t->pid : seg->pid;
	row->inner_pid = seg->pid;
	row->ppid = seg->ppid;
	row->reason = seg->reason;
	row->executable = t->executable ? t->executable : "";
	row->command = t->command ? t->command : "";
	row->start_ns = seg->start_mono_ns;
	row->exit_status = -1;
	row->interpreter_status = PILLION_INTERPRETER_FOUND;
	row->layout = t->layout;
	row->layout_detail = t->layout_detail;
	row->period_ns = seg->period_ns;
	row->tick_ns = seg->tick_ns;
}

struct pln_target *pln_target_new(struct pln_tables *tables, struct pln_scratch *scratch,
				  struct pln_target_hello *hello)
{
	struct pln_target *t = calloc(1, sizeof(*t));

	if (t) {
		t->serials = pln_intern_new();
		t->code_keys = pln_intern_new();
	}
	if (!t || !t->serials || !t->code_keys) {
		pln_hello_release(hello);
		if (t) {
			pln_intern_free(t->serials);
			pln_intern_free(t->code_keys);
		}
		free(t);
		return NULL;
	}
	t->tables = tables;
	t->writer = tables->writer;
	t->scratch = scratch;
	t->segment = hello->segment;
	t->pid = hello->pid;
	t->pidfd.fd = hello->pidfd;
	t->executable = strdup(t->segment.texts->executable);
	t->command = pln_segment_command(&t->segment);
	t->root = pln_root_take(hello->root_fd, t->pid);
	fill_row(t);
	t->id = pln_writer_add_process(t->writer, &t->row);
	pln_target_add_labels(t);
	return t;
}

/* "key=value,key=value"; what is not of that form is left out. */
void pln_target_add_labels(struct pln_target *t)
{
	char text[sizeof(t->segment.texts->labels)], *rest = text;
	struct pln_label label = { .process = t->id };
	char *one, *equals;

	strcpy(text, t->segment.texts->labels);
	while ((one = strsep(&rest, ","))) {
		equals = strchr(one, '=');
		if (!equals || equals == one)
			continue;
		*equals = '\0';
		label.key = one;
		label.value = equals + 1;
		pln_writer_add_label(t->writer, &label);
	}
}

/* ------------------------------------------------------------------ publish */

static void read_totals(struct pln_target *t)
{
	struct pln_segment *seg = t->segment.shared;
	const struct pln_process *before = &t->before;
	struct pln_process *row = &t->row;

	/* relaxed: statistics, each for itself */
	for (unsigned i = 0; i < PILLION_DROP_COUNT; i++)
		row->drops[i] = pln_since(pln_load_relaxed(&seg->drops[i]), before->drops[i]);
	row->engine = pln_load_relaxed(&seg->engine);
	row->ticks = pln_since(pln_load_relaxed(&seg->ticks), before->ticks);
	row->handler_calls =
		pln_since(pln_load_relaxed(&seg->handler_calls), before->handler_calls);
	row->handler_ns = pln_since(pln_load_relaxed(&seg->handler_ns), before->handler_ns);
	row->sampler_cpu_ns =
		pln_since(pln_load_relaxed(&seg->sampler_cpu_ns), before->sampler_cpu_ns);
	row->process_cpu_ns =
		pln_since(pln_load_relaxed(&seg->process_cpu_ns), before->process_cpu_ns);
	row->table_bytes = pln_load_relaxed(&seg->table_bytes);
	row->private_bytes = pln_load_relaxed(&seg->private_bytes);
	row->dormant_ns = pln_since(pln_load_relaxed(&seg->dormant_ns), before->dormant_ns);
}

struct clocks {
	uint64_t seen_ns;
	uint64_t cpu_ns;
	uint64_t pending_offcpu_ns;
	uint64_t pending_runnable_ns;
	uint64_t dormant_cpu_ns;
	uint64_t dormant_wall_ns;
	struct pln_heap_counts heap[PILLION_HEAP_COUNT];
};

/* Returns the serial of the thread that the clocks are of, 0: none, or just changing. */
static uint32_t read_clocks(const struct pln_slot *slot, struct clocks *clocks)
{
	/* acquire: pairs with the release of the state, which comes after the clocks are set */
	uint32_t state = pln_load_acquire(&slot->state);
	uint32_t serial = pln_load_relaxed(&slot->serial);

	if (state != PILLION_SLOT_LIVE && state != PILLION_SLOT_EXITED &&
	    state != PILLION_SLOT_DRAINING)
		return 0;
	clocks->seen_ns = pln_load_relaxed(&slot->seen_ns);
	clocks->cpu_ns = pln_load_relaxed(&slot->cpu_ns);
	clocks->pending_offcpu_ns = pln_load_relaxed(&slot->pending_offcpu_ns);
	clocks->pending_runnable_ns = pln_load_relaxed(&slot->pending_runnable_ns);
	pln_target_copy_heap(clocks->heap, slot->heap);
	clocks->dormant_cpu_ns = pln_load_relaxed(&slot->dormant_cpu_ns);
	clocks->dormant_wall_ns = pln_load_relaxed(&slot->dormant_wall_ns);
	/* A slot that changed hands meanwhile has another serial, or shows it next time. */
	return pln_load_acquire(&slot->serial) == serial ? serial : 0;
}

/* The target wrote it: what no thread can have waited is not believed. */
static uint64_t plausible_wait(uint64_t ns)
{
	return ns < MAX_WAIT_NS ? ns : 0;
}

void pln_target_thread_since(struct pln_target_thread *thread)
{
	struct pln_thread *row = &thread->row;

	row->cpu_ns = pln_since(row->cpu_ns, thread->before.cpu_ns);
	row->dormant_cpu_ns = pln_since(row->dormant_cpu_ns, thread->before.dormant_cpu_ns);
	row->dormant_wall_ns = pln_since(row->dormant_wall_ns, thread->before.dormant_wall_ns);
}

/* A slot whose thread has ended is emptied: its counts are told as it ends. */
static void update_heap(struct pln_target_thread *thread, const struct clocks *clocks)
{
	struct pln_thread *row = &thread->row;
	struct pln_heap_counts heap[PILLION_HEAP_COUNT];

	memcpy(heap, clocks->heap, sizeof(heap));
	pln_target_subtract_heap(heap, thread->before.heap);
	if (heap[0].alloc_calls >= row->heap[0].alloc_calls)
		memcpy(row->heap, heap, sizeof(heap));
}

static void update_thread(struct pln_target *t, struct pln_target_thread *thread,
			  const struct clocks *clocks)
{
	struct pln_thread *row = &thread->row;
	uint64_t cpu_ns = row->cpu_ns;

	if (row->exited || clocks->seen_ns < row->seen_ns ||
	    clocks->seen_ns > t->drain_ns + PLN_TARGET_AHEAD_NS ||
	    clocks->cpu_ns < thread->clock_base_ns ||
	    clocks->dormant_cpu_ns > clocks->cpu_ns - thread->clock_base_ns)
		return;
	row->cpu_ns = clocks->cpu_ns - thread->clock_base_ns - clocks->dormant_cpu_ns;
	row->dormant_cpu_ns = clocks->dormant_cpu_ns;
	row->dormant_wall_ns = plausible_wait(clocks->dormant_wall_ns);
	pln_target_thread_since(thread);
	update_heap(thread, clocks);
	if (cpu_ns != row->cpu_ns)
		thread->dirty = true;
	row->seen_ns = clocks->seen_ns;
	row->unsampled_cpu_ns = pln_since(row->cpu_ns, thread->sampled_cpu_ns);
	row->unsampled_wall_ns =
		pln_since(plausible_wait(clocks->pending_offcpu_ns), thread->prepaid_offcpu_ns);
	thread->pending_runnable_ns =
		pln_since(plausible_wait(clocks->pending_runnable_ns), thread->prepaid_runnable_ns);
}

static void update_known_thread(struct pln_target *t, uint32_t serial, const struct clocks *clocks)
{
	uint32_t index = pln_intern_find(t->serials, &serial, sizeof(serial));

	if (index != PLN_NONE)
		update_thread(t, &t->threads[index], clocks);
}

/*
 * The sampling thread announces threads once a tick: of one that began after the last tick its slot
 * alone can tell, and of its time off the CPU no stack.
 */
static void update_any_thread(struct pln_target *t, uint32_t serial, const struct clocks *clocks)
{
	size_t known = t->thread_count;
	struct pln_target_thread *thread = pln_target_thread(t, serial);
	uint64_t lived_ns;

	if (!thread)
		return;
	update_thread(t, thread, clocks);
	if (t->thread_count == known || thread->row.seen_ns < thread->row.start_ns)
		return;
	thread->row.is_main = thread->row.tid == t->segment.pid;
	lived_ns = thread->row.seen_ns - thread->row.start_ns;
	if (lived_ns > thread->row.cpu_ns)
		thread->row.unsampled_wall_ns = plausible_wait(lived_ns - thread->row.cpu_ns);
}

static void read_slots(struct pln_target *t, void (*update)(struct pln_target *t, uint32_t serial,
							    const struct clocks *clocks))
{
	struct clocks clocks;

	for (uint32_t i = 0; i < t->segment.lane_count; i++) {
		uint32_t serial = read_clocks(&t->segment.slots[i], &clocks);

		if (serial)
			update(t, serial, &clocks);
	}
}

/*
 * The target reads that clock a few times a second at most: its threads' may have been read later,
 * and a process may end before it was read at all.
 */
static void raise_process_cpu(struct pln_target *t)
{
	uint64_t known_ns = t->row.sampler_cpu_ns;

	for (size_t i = 0; i < t->thread_count; i++)
		known_ns += t->threads[i].row.cpu_ns + t->threads[i].row.dormant_cpu_ns;
	if (t->row.process_cpu_ns < known_ns)
		t->row.process_cpu_ns = known_ns;
}

/* A thread that used no CPU is told about at the end only: most threads wait, always. */
static void publish_threads(struct pln_target *t, bool all)
{
	for (size_t i = 0; i < t->thread_count; i++) {
		struct pln_target_thread *thread = &t->threads[i];

		if (!thread->dirty && !all)
			continue;
		thread->row.name = thread->name;
		pln_writer_update_thread(t->writer, thread->id, &thread->row);
		thread->dirty = false;
	}
}

void pln_target_publish(struct pln_target *t)
{
	if (t->ended)
		return;
	read_totals(t);
	pln_target_read_heap(t, false);
	read_slots(t, update_known_thread);
	raise_process_cpu(t);
	publish_threads(t, false);
	pln_writer_update_process(t->writer, t->id, &t->row);
}

void pln_target_publish_all(struct pln_target *t)
{
	if (t->ended)
		return;
	pln_target_take_burst(t, true);
	read_totals(t);
	pln_target_read_heap(t, false);
	read_slots(t, update_known_thread);
	raise_process_cpu(t);
	pln_target_charge_pending(t);
	pln_target_conclude_burst(t);
	publish_threads(t, true);
	pln_writer_update_process(t->writer, t->id, &t->row);
}

/* ---------------------------------------------------------------------- end */

static bool has_ended(int pidfd)
{
	struct pollfd poll_pid = { .fd = pidfd, .events = POLLIN };

	return poll(&poll_pid, 1, 0) > 0;
}

/* As descriptors were short it has none of its own; when it has ended, it gets one for its status.
 */
static bool is_gone_by_pid(struct pln_target *t)
{
	int fd = pln_pidfd_open(t->pid);
	bool gone;

	if (fd < 0)
		return kill(t->pid, 0) && errno == ESRCH;
	if (has_ended(fd) && pln_descriptor_may_stay(fd)) {
		t->pidfd.fd = fd;
		return true;
	}
	gone = has_ended(fd);
	close(fd);
	return gone;
}

bool pln_target_is_gone(struct pln_target *t, uint64_t now_ns)
{
	uint64_t heartbeat_ns;

	if (t->pidfd.fd >= 0)
		return has_ended(t->pidfd.fd);
	if (t->pid > 0)
		return is_gone_by_pid(t);
	/* Nothing but its silence can tell. */
	heartbeat_ns = pln_load_relaxed(&t->segment.shared->heartbeat_ns);
	return heartbeat_ns && now_ns > heartbeat_ns && now_ns - heartbeat_ns > SILENCE_NS;
}

static void note_undescribed(struct pln_target *t)
{
	struct pln_note_row note = { t->row.end_ns, t->id, 1, NULL };
	size_t count = 0;
	char text[128];

	for (size_t i = 0; i < t->code_count; i++)
		count += !t->codes[i].described;
	if (!count)
		return;
	snprintf(text, sizeof(text),
		 "%zu code objects were never described: their frames show as <unknown>", count);
	note.text = text;
	pln_writer_add_note(t->writer, &note);
}

void pln_target_collect_status(struct pln_target *t)
{
	int status = t->pidfd.fd >= 0 ? pln_exit_status(t->pidfd.fd) : PLN_EXIT_NEVER_TOLD;

	if (status == PLN_EXIT_NOT_YET)
		return;
	t->wants_exit_status = false;
	/* A service that forks for years would use up the descriptors. */
	if (t->pidfd.fd >= 0)
		close(t->pidfd.fd);
	t->pidfd.fd = -1;
	if (status == PLN_EXIT_NEVER_TOLD)
		return;
	t->row.exit_status = status;
	pln_writer_update_process(t->writer, t->id, &t->row);
}

/* What only draining needs: a service may have had a hundred thousand processes. Its row stays. */
static void release_memory(struct pln_target *t)
{
	pln_intern_free(t->serials);
	pln_intern_free(t->code_keys);
	t->serials = t->code_keys = NULL;
	free(t->threads);
	t->threads = NULL; /* and thread_count says how many there were */
	t->thread_capacity = 0;
	for (size_t i = 0; i < t->code_count; i++) {
		free(t->codes[i].linetable);
		free(t->codes[i].name);
		free(t->codes[i].file);
	}
	free(t->codes);
	t->codes = NULL;
	t->code_count = t->code_capacity = 0;
	pln_target_forget_resolved(t);
	free(t->resolved);
	t->resolved = NULL;
	t->resolved_capacity = 0;
	pln_target_free_blocks(t);
	pln_unwinder_free(t->unwinder);
	t->unwinder = NULL;
	pln_modules_free(&t->modules);
	pln_target_free_burst(t);
	pln_segment_unmap(&t->segment);
}

void pln_target_end(struct pln_target *t, uint64_t now_ns, bool gone)
{
	if (t->ended)
		return;
	(void)pln_target_drain(t, now_ns, true);
	pln_target_take_burst(t, true);
	read_totals(t);
	pln_target_read_heap(t, gone);
	read_slots(t, update_any_thread);
	raise_process_cpu(t);
	pln_target_charge_pending(t);
	pln_target_conclude_burst(t);
	publish_threads(t, true);
	t->ended = true;
	pln_root_leave(t->root);
	t->row.end_ns = gone ? now_ns : 0;
	t->wants_exit_status = gone;
	pln_writer_update_process(t->writer, t->id, &t->row);
	if (t->wants_exit_status)
		pln_target_collect_status(t);
	note_undescribed(t);
	release_memory(t);
}

void pln_target_free(struct pln_target *t)
{
	if (!t)
		return;
	release_memory(t);
	free(t->executable);
	free(t->command);
	if (!t->ended)
		pln_root_leave(t->root);
	pln_root_release(t->root);
	if (t->pidfd.fd >= 0)
		close(t->pidfd.fd);
	free(t);
}
