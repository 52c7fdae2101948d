/* SPDX-License-Identifier: MIT */
/*
 * segment.h - a target's segment, mapped and checked.
 */
#ifndef PILLION_COLLECTOR_SEGMENT_H
#define PILLION_COLLECTOR_SEGMENT_H

#include <stddef.h>
#include <stdint.h>

#include <pillion/wire.h>

/* One lane, with the size that we checked and not the one that the target can change. */
struct pln_lane_view {
	struct pln_lane *lane;
	uint32_t data_size;
};

/* What burst mode counts; shared is NULL without it. */
struct pln_burst_view {
	struct pln_burst *shared;
	struct pln_burst_node *nodes;
	struct pln_burst_cell *cells;
	uint32_t node_max;
	uint32_t cell_max;
};

/* What the target calls itself. */
struct pln_segment_texts {
	char executable[257];
	char arguments[1025]; /* zero-separated */
	size_t arguments_size;
	char labels[PILLION_LABELS_SIZE + 1];
};

/*
 * Sizes and offsets are our copies: lane i lies inside [base, base + size) for every
 * i < lane_count, whatever the target writes later. Only atomics are read through
 * `shared` and `slots`.
 */
struct pln_segment_view {
	unsigned char *base;
	size_t size;
	struct pln_segment *shared;
	struct pln_slot *slots;
	uint32_t lane_count;
	uint32_t lane_size;
	uint32_t lane_data_size;
	uint64_t lanes_off;
	struct pln_lane_view control;
	struct pln_lane_view sampler;
	struct pln_burst_view burst;

	uint32_t pid; /* what the target says of itself */
	uint32_t ppid;
	uint32_t reason;
	uint64_t start_mono_ns;
	uint64_t period_ns;
	uint64_t tick_ns;
	uint64_t inherited_bytes; /* live when the process was forked */
	struct pln_segment_texts *texts; /* for as long as it is mapped */
};

/*
 * Maps the memfd. Returns 0, or -errno with the reason in `why`: -EPROTONOSUPPORT for
 * another version, -EPERM for memory that could shrink under us, -EINVAL for nonsense.
 */
int pln_segment_map(struct pln_segment_view *view, int memfd, char *why, size_t why_size);
void pln_segment_unmap(struct pln_segment_view *view);

/* The process's command line as a shell would need it. malloc'ed; NULL: no memory. */
char *pln_segment_command(const struct pln_segment_view *view);

/* The lane of slot `index` (< lane_count). */
struct pln_lane_view pln_segment_lane(const struct pln_segment_view *view, uint32_t index);

#endif
