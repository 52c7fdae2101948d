/* SPDX-License-Identifier: MIT */
/*
 * announce.c - threads, modules, interpreter and notes into the control lane.
 *
 * Context: sampling thread, the lane's only writer. The lane is separate so that samples
 * cannot crowd these records out; one that finds it full all the same is counted and, for
 * modules, lost to symbolization, which the profile then shows as unknown addresses.
 */
#include "announce.h"

#include <stddef.h>
#include <string.h>

#include <pillion/lane.h>

#include "clock.h"
#include "memory/counters.h"
#include "native/native.h"
#include "segment.h"

static struct pln_record *reserve(uint32_t size)
{
	struct pln_lane *lane = pln_segment_control();
	struct pln_record *rec =
		pln_lane_reserve_sigsafe(lane, pln_segment_own.control_data_size, size);

	if (!rec)
		pln_segment_drop_sigsafe(PILLION_DROP_LANE_FULL);
	return rec;
}

static void commit(struct pln_record *rec, uint16_t type)
{
	struct pln_lane *lane = pln_segment_control();

	rec->type = type;
	pln_lane_commit_sigsafe(lane, pln_segment_own.control_data_size, rec);
}

/* Copies a fixed record but for its header, which the reservation has filled in. */
static void put(struct pln_record *rec, const void *from, size_t size)
{
	memcpy(rec + 1, (const char *)from + sizeof(*rec), size - sizeof(*rec));
}

void pln_announce_thread(const struct pln_thread *thread, uint16_t type)
{
	const struct pln_slot *slot = pln_segment_slot_sigsafe(thread->index);
	uint64_t cpu = pln_load_relaxed(&slot->cpu_ns);
	uint64_t base = pln_load_relaxed(&slot->cpu_base_ns);
	uint64_t dormant = pln_load_relaxed(&slot->dormant_cpu_ns);
	uint64_t ours = cpu - base - dormant;
	uint64_t sampled = pln_load_relaxed(&slot->sampled_cpu_ns);
	struct pln_record *rec = reserve(sizeof(struct pln_wire_thread));
	struct pln_wire_thread out = {
		.time_ns = pln_load_relaxed(&slot->seen_ns),
		.start_ns = pln_load_relaxed(&slot->start_ns),
		.cpu_ns = cpu,
		.cpu_base_ns = base,
		.unsampled_cpu_ns = ours > sampled ? ours - sampled : 0,
		.unsampled_wall_ns = pln_load_relaxed(&slot->pending_offcpu_ns) +
				     pln_load_relaxed(&slot->pending_runnable_ns),
		.dormant_cpu_ns = dormant,
		.dormant_wall_ns = pln_load_relaxed(&slot->dormant_wall_ns),
		.thread = thread->serial,
		.tid = thread->tid,
		.is_main = thread->is_main,
		.has_python = (uint8_t)pln_load_relaxed(&thread->has_python),
	};

	if (!rec)
		return;
	pln_memory_add_counts(out.heap, slot->heap);
	memcpy(out.name, thread->name, sizeof(out.name));
	put(rec, &out, sizeof(out));
	commit(rec, type);
}

void pln_announce_interpreter(const struct pln_wire_interpreter *interpreter)
{
	struct pln_record *rec = reserve(sizeof(*interpreter));

	if (!rec)
		return;
	put(rec, interpreter, sizeof(*interpreter));
	((struct pln_wire_interpreter *)rec)->time_ns = pln_now_ns_sigsafe();
	commit(rec, PILLION_RECORD_INTERPRETER);
}

void pln_announce_note(uint32_t level, const char *text)
{
	struct pln_wire_note note = { .time_ns = pln_now_ns_sigsafe(),
				      .level = level,
				      .text_size = (uint32_t)strlen(text) };
	struct pln_record *rec = reserve((uint32_t)sizeof(note) + note.text_size);

	if (!rec)
		return;
	put(rec, &note, sizeof(note));
	memcpy((char *)rec + sizeof(note), text, note.text_size);
	commit(rec, PILLION_RECORD_NOTE);
}

static void module_added(const struct pln_module *module, void *arg)
{
	size_t length = strlen(module->path);
	struct pln_record *rec = reserve((uint32_t)(sizeof(struct pln_wire_module) + length));
	struct pln_wire_module out = {
		.lo = module->lo,
		.hi = module->hi,
		.bias = module->bias,
		.time_ns = pln_now_ns_sigsafe(),
		.eh_frame_hdr = module->eh_frame_hdr,
		.build_id_size = (uint8_t)module->build_id_size,
		.path_size = (uint32_t)length,
	};

	(void)arg;
	if (!rec)
		return;
	memcpy(out.build_id, module->build_id, sizeof(out.build_id));
	put(rec, &out, sizeof(out));
	memcpy((char *)rec + sizeof(out), module->path, length);
	commit(rec, PILLION_RECORD_MODULE);
}

static void module_gone(const struct pln_module *module, void *arg)
{
	struct pln_wire_module_gone out = { .lo = module->lo,
					    .hi = module->hi,
					    .time_ns = pln_now_ns_sigsafe() };
	struct pln_record *rec = reserve(sizeof(out));

	(void)arg;
	if (!rec)
		return;
	put(rec, &out, sizeof(out));
	commit(rec, PILLION_RECORD_MODULE_GONE);
}

void pln_announce_modules(bool tables)
{
	const struct pln_module_events events = { .added = module_added,
						  .gone = module_gone,
						  .no_tables = !tables };

	(void)pln_native_refresh(&events);
}
