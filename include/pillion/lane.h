/* SPDX-License-Identifier: MIT */
/*
 * lane.h - one writer, one reader, no waiting: the only code that touches head
 * and tail of a lane.
 *
 * Producer (in the target, async-signal-safe):
 *	p = pln_lane_reserve_sigsafe(lane, data_size, size);  fill it;
 *	pln_lane_commit_sigsafe(lane, data_size, p);
 * Consumer (in the collector, which does not trust the producer: data_size comes
 * from what it mapped, and every record is checked before it is handed out):
 *	while ((n = pln_lane_peek(lane, data_size, pos, head, &rec)) > 0)
 *		use rec; pos += n;
 *	pln_lane_consume(lane, pos);
 */
#ifndef PILLION_LANE_H
#define PILLION_LANE_H

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "atomic.h"
#include "wire.h"

static inline unsigned char *pln_lane_data(struct pln_lane *lane)
{
	return (unsigned char *)(lane + 1);
}

/*
 * Context: handler or sampling thread; the lane's only writer. Returns room for
 * a record of `size` bytes (rounded up to 8) with its header filled in but for
 * the type, or NULL when the lane is full. Nothing is visible before commit; a
 * reservation that is never committed costs nothing.
 */
static inline struct pln_record *pln_lane_reserve_sigsafe(struct pln_lane *lane, uint32_t data_size,
							  uint32_t size)
{
	uint64_t head = pln_load_relaxed(&lane->head);
	/* acquire: pairs with pln_lane_consume(); the bytes were read before we overwrite them */
	uint64_t tail = pln_load_acquire(&lane->tail);
	uint32_t at = (uint32_t)(head & (data_size - 1));
	uint32_t room = data_size - at;
	uint32_t need = size = (size + 7u) & ~7u;
	struct pln_record *rec;

	if (room < size)
		need += room;
	/* The collector can write here, too: a head that was not ours leads nowhere. */
	if (head % 8 || head - tail > data_size)
		return NULL;
	if (size > data_size || data_size - (head - tail) < need)
		return NULL;
	if (room < size) {
		/* Not committed yet: the pad and the record become visible together. */
		rec = (struct pln_record *)(pln_lane_data(lane) + at);
		rec->size = room;
		rec->type = PILLION_RECORD_PAD;
		rec->reserved = 0;
		at = 0;
	}
	rec = (struct pln_record *)(pln_lane_data(lane) + at);
	rec->size = size;
	rec->reserved = 0;
	return rec;
}

/* Shrinks a reserved record to what was used, before commit. */
static inline void pln_lane_trim_sigsafe(struct pln_record *rec, uint32_t size)
{
	rec->size = (size + 7u) & ~7u;
}

/* Makes a reserved record visible to the collector. */
static inline void pln_lane_commit_sigsafe(struct pln_lane *lane, uint32_t data_size,
					   const struct pln_record *rec)
{
	uint64_t head = pln_load_relaxed(&lane->head);
	uint32_t at = (uint32_t)(head & (data_size - 1));
	uint32_t pos = (uint32_t)((const unsigned char *)rec - pln_lane_data(lane));

	if (pos != at) /* a pad was put before it */
		head += data_size - at;
	/* release: record bytes before the new head; pairs with pln_lane_head() */
	pln_store_release(&lane->head, head + rec->size);
}

/* Consumer: everything before the returned position may be peeked. */
static inline uint64_t pln_lane_head(struct pln_lane *lane)
{
	/* acquire: pairs with pln_lane_commit_sigsafe() */
	return pln_load_acquire(&lane->head);
}

/*
 * Consumer: the record at byte position `pos` (start with the lane's tail), not
 * reaching past `head` (from pln_lane_head). Returns its size, 0 when there is
 * none, -EPROTO when the producer's data makes no sense (give the lane up).
 */
static inline int64_t pln_lane_peek(struct pln_lane *lane, uint32_t data_size, uint64_t pos,
				    uint64_t head, const struct pln_record **rec)
{
	uint32_t at = (uint32_t)(pos & (data_size - 1));
	uint32_t size;

	if (pos == head)
		return 0;
	if (head - pos > data_size || data_size - at < sizeof(struct pln_record))
		return -EPROTO;
	*rec = (const struct pln_record *)(pln_lane_data(lane) + at);
	/* Read once: the producer may not change it, but we do not rely on that. */
	size = *(const volatile uint32_t *)&(*rec)->size;
	if (size < sizeof(struct pln_record) || size % 8 || size > data_size - at ||
	    size > head - pos)
		return -EPROTO;
	return size;
}

/* Consumer: everything before `pos` is read and may be overwritten. */
static inline void pln_lane_consume(struct pln_lane *lane, uint64_t pos)
{
	/* release: our reads come before the reuse; pairs with pln_lane_reserve_sigsafe() */
	pln_store_release(&lane->tail, pos);
}

#endif
