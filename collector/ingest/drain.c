/* SPDX-License-Identifier: MIT */
/*
 * drain.c - take records out of a target's lanes.
 *
 * Lanes are independent, so records that explain each other can lie in different
 * ones: a sample in thread 7's lane may use a code object that thread 3 described.
 * The target describes first and uses after; so does this file, by positions:
 *
 *   1. note the heads of all lanes           (what will be used)
 *   2. take the control lane, and the code objects of every lane up to a head read
 *      after step 1                          (what explains it)
 *   3. take the samples up to the heads of step 1, and only these are consumed
 *
 * Code objects behind the heads of step 1 are met again next time; taking one twice
 * changes nothing.
 *
 * Modules are told of in the control lane, but late: the target looks at the loader's list
 * at its ticks. A sample in code that was loaded since the last one waits in its lane.
 */
#include "ingest/target.h"

#include <stdlib.h>
#include <string.h>

#include <pillion/atomic.h>
#include <pillion/lane.h>

#include "ingest/burst.h"
#include "ingest/scratch.h"

#define WAITS_AT_MOST_NS 500000000u /* a target that does not tick tells of no module */
#define WAITS_UP_TO_PERCENT 50 /* in a lane that is fuller, nothing waits */

struct lane_pass {
	struct pln_lane_view view;
	uint64_t tail;
	uint64_t limit; /* head of step 1 */
	bool is_sampler;
};

/* What the target wrote into head or tail cannot be followed: skip to where it writes now. */
static void give_up(struct pln_target *t, struct pln_lane *lane, uint64_t head)
{
	t->row.lost_records++;
	pln_lane_consume(lane, head);
}

/*
 * Copies the record at `pos` to scratch: the target cannot change it any more while we
 * look. Returns its size, 0 at the end, or -EPROTO.
 */
static int64_t copy_record(struct pln_target *t, struct pln_lane_view view, uint64_t pos,
			   uint64_t head, struct pln_record **copy)
{
	const struct pln_record *rec;
	int64_t size;

	if ((pos | head) & 7)
		return -EPROTO;
	size = pln_lane_peek(view.lane, view.data_size, pos, head, &rec);
	if (size <= 0)
		return size;
	*copy = pln_scratch_record(t->scratch, (size_t)size);
	if (!*copy)
		return -ENOMEM;
	memcpy(*copy, rec, (size_t)size);
	(*copy)->size = (uint32_t)size;
	return size;
}

/* Step 2, one lane. What is wrong with it, step 3 will see and count. */
static void take_codes(struct pln_target *t, struct pln_lane_view view)
{
	uint64_t head = pln_lane_head(view.lane);
	uint64_t pos = pln_load_relaxed(&view.lane->tail);
	const struct pln_record *rec;
	struct pln_record *copy;
	int64_t size;

	while (!((pos | head) & 7) &&
	       (size = pln_lane_peek(view.lane, view.data_size, pos, head, &rec)) > 0) {
		/* A racy look only saves the copy; what counts is read from the copy. */
		if (*(const volatile uint16_t *)&rec->type == PILLION_RECORD_CODE) {
			if (copy_record(t, view, pos, head, &copy) <= 0)
				return;
			if (copy->type == PILLION_RECORD_CODE)
				pln_target_take_record(t, copy);
		}
		pos += (uint64_t)size;
	}
}

/* Whether the target will still tell what a sample's addresses are in. */
static bool must_wait(const struct pln_target *t, const struct pln_record *rec)
{
	return rec->type == PILLION_RECORD_SAMPLE &&
	       pln_target_sample_is_early(t, rec, WAITS_AT_MOST_NS);
}

/* Step 3. */
static void take_samples(struct pln_target *t, const struct lane_pass *pass, bool may_wait)
{
	uint64_t pos = pass->tail;
	struct pln_record *copy;
	int64_t size;

	while ((size = copy_record(t, pass->view, pos, pass->limit, &copy)) > 0 &&
	       !(may_wait && must_wait(t, copy))) {
		if (copy->type == PILLION_RECORD_SAMPLE)
			pln_target_take_sample(t, copy, pass->is_sampler);
		else if (copy->type == PILLION_RECORD_FREE)
			pln_target_take_free(t, (const void *)copy);
		else if (copy->type != PILLION_RECORD_CODE && copy->type != PILLION_RECORD_PAD)
			t->row.lost_records++;
		pos += (uint64_t)size;
	}
	if (size < 0)
		give_up(t, pass->view.lane, pass->limit);
	else
		pln_lane_consume(pass->view.lane, pos);
}

static void take_control(struct pln_target *t)
{
	struct pln_lane_view view = t->segment.control;
	uint64_t head = pln_lane_head(view.lane);
	uint64_t pos = pln_load_relaxed(&view.lane->tail);
	struct pln_record *copy;
	int64_t size;

	while ((size = copy_record(t, view, pos, head, &copy)) > 0) {
		if (copy->type != PILLION_RECORD_PAD)
			pln_target_take_record(t, copy);
		pos += (uint64_t)size;
	}
	if (size < 0)
		give_up(t, view.lane, head);
	else
		pln_lane_consume(view.lane, pos);
}

/* The tail is ours, but kept where the target could write too: records are checked anyway. */
static struct lane_pass note_lane(struct pln_lane_view view, bool is_sampler)
{
	struct lane_pass pass = { .view = view, .is_sampler = is_sampler };

	pass.limit = pln_lane_head(view.lane);
	/* relaxed: we are its only writer */
	pass.tail = pln_load_relaxed(&view.lane->tail);
	return pass;
}

/* A free slot's lane is empty and perhaps was never touched: to read it would allocate it. */
static bool slot_has_lane(const struct pln_slot *slot)
{
	/* acquire: pairs with the target's release of LIVE, which comes after its lane is set up */
	uint32_t state = pln_load_acquire(&slot->state);

	return state == PILLION_SLOT_LIVE || state == PILLION_SLOT_EXITED ||
	       state == PILLION_SLOT_DRAINING;
}

/* Step 1: lanes with something in them. */
static size_t note_lanes(struct pln_target *t, struct lane_pass *passes)
{
	size_t count = 0;

	passes[count] = note_lane(t->segment.sampler, true);
	count += passes[count].limit != passes[count].tail;
	for (uint32_t i = 0; i < t->segment.lane_count; i++) {
		if (!slot_has_lane(&t->segment.slots[i]))
			continue;
		passes[count] = note_lane(pln_segment_lane(&t->segment, i), false);
		count += passes[count].limit != passes[count].tail;
	}
	return count;
}

/* Step 2 looks at all lanes anew: one that was empty in step 1 may hold an explanation now. */
static void take_all_codes(struct pln_target *t)
{
	take_codes(t, t->segment.sampler);
	for (uint32_t i = 0; i < t->segment.lane_count; i++)
		if (slot_has_lane(&t->segment.slots[i]))
			take_codes(t, pln_segment_lane(&t->segment, i));
}

static unsigned percent_full(const struct lane_pass *pass)
{
	uint64_t used = pass->limit - pass->tail;

	return used < pass->view.data_size ? (unsigned)(used * 100 / pass->view.data_size) : 100;
}

/*
 * A tick is over when the next has begun. Before the control lane is taken: what that tick told is
 * in it.
 */
static void note_tick(struct pln_target *t, bool last)
{
	/* acquire: pairs with pln_tick() */
	uint64_t beat_ns = pln_load_acquire(&t->segment.shared->heartbeat_ns);

	if (last) {
		t->told_until_ns = UINT64_MAX;
	} else if (beat_ns != t->beat_ns) {
		t->told_until_ns = t->beat_ns - (t->beat_ns ? PILLION_MODULES_WITHIN_NS : 0);
		t->beat_ns = beat_ns;
	}
}

unsigned pln_target_drain(struct pln_target *t, uint64_t now_ns, bool last)
{
	unsigned fullest = 0;
	struct lane_pass *passes = pln_scratch_passes(t->scratch, (t->segment.lane_count + 1) *
									  sizeof(struct lane_pass));
	size_t count;

	if (!passes)
		return 0;
	t->drain_ns = now_ns;
	pln_target_note_burst(t);
	note_tick(t, last);
	count = note_lanes(t, passes);
	take_control(t);
	take_all_codes(t);
	for (size_t i = 0; i < count; i++) {
		unsigned percent = percent_full(&passes[i]);

		if (fullest < percent)
			fullest = percent;
		take_samples(t, &passes[i], percent <= WAITS_UP_TO_PERCENT);
	}
	pln_target_take_burst(t, false);
	return fullest;
}
